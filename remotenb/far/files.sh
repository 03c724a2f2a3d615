# Runs a Python of ours, as the far end of a copy, with this channel as its stdin and stdout.
# In: MARKER, CODE (it reads the rest of itself from stdin) and WISH, what it is told; INSIDE, what
# stands before a command to run it in the container, or nothing for here. For a path in a folder
# that the container mounts: UNDER, that folder of this machine, PLACE, the path in it, and HERE, the
# same wish for here. HANDING is handing.py, and SHARED the folders of this machine that the
# container sees, as that wants them.

printf '\n%s\n' "$MARKER"

# Here it is this user who reads and writes, and docker's copying, which costs two thirds of the
# speed, is spared. A link may lead where only the container sees it.
seen_here() {
    [ -n "$PLACE" ] && [ -d "$UNDER" ] && [ -r "$UNDER" ] && [ -w "$UNDER" ] && [ -x "$UNDER" ] || return 1
    command -v python3 >/dev/null || return 1
    place=$(readlink -f -- "$PLACE") && under=$(readlink -f -- "$UNDER") || return 1
    case $place/ in "$under"/*) ;; *) return 1 ;; esac
}

run='exec "$(command -v python3 || command -v python)" -I -c "$@"'
if seen_here; then INSIDE='' WISH=$HERE; fi
set -- $INSIDE sh -c "$run" sh "$CODE" "$WISH"
if [ -n "$INSIDE" ] && [ -n "$SHARED" ] && command -v python3 >/dev/null; then
    exec python3 -I -c "$HANDING
give(*sys.argv[1:])" "$HANDING" "$SHARED" "$@"
fi
exec "$@"
