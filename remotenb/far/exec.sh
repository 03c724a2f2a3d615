# Runs a command in a container; attended.sh, which follows, begins it and ends it with the link.
# In: MARKER, ENGINE (the engine's command), ID (the container), WHO (inside it), TERMINAL (its
# TERM; empty for none); the parameters are the command.

# An engine lets what it has begun run on when its client dies; so the first process is marked,
# with its pid in there, and its group is told that the terminal is gone. What heeds that not
# (nohup) or has left the group (tmux) was meant to stay.
hang_up() {
    $ENGINE exec ${WHO:+-u "$WHO"} "$ID" sh -c '
        marker=$1
        shift
        for pause; do  # it may only just have been begun
            mark=$(grep -aho "REMOTENB_EXEC=$marker-[0-9]*" /proc/[0-9]*/environ 2>/dev/null | head -n 1)
            [ -z "$mark" ] || break
            sleep "$pause"
        done
        [ -z "$mark" ] || { kill -s HUP -- "-${mark##*-}"; kill -s CONT -- "-${mark##*-}"; }' \
        sh "$MARKER" "$@" </dev/null >/dev/null 2>&1
}

home=
case $WHO in root | 0 | root:* | 0:*) home=1 ;; esac  # else root's files would fill the user's home
tty=
[ -z "$TERMINAL" ] || tty=1

# An engine sets the terminal's size once the command runs, which may have asked for it before.
size=$([ -z "$tty" ] || stty size 2>/dev/null)

begin() {
    exec $ENGINE exec -i ${tty:+-t -e "TERM=$TERMINAL"} ${WHO:+-u "$WHO"} ${home:+-e HOME=/root} "$ID" \
        sh -c '[ -z "$2" ] || stty rows "${2% *}" cols "${2#* }" 2>/dev/null
            export REMOTENB_EXEC="$1-$$"; shift 2; exec "$@"' sh "$MARKER" "$size" "$@"
}
