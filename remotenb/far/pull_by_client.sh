# Pulls with the engine's own client, and the logins that the user has over there; or with one that
# is kept for this pull alone, in a folder of its own that goes with it.
# In: MARKER, ENGINE (the engine's command), NAME (the image), REGISTRY, WHO (who logs in there;
# empty for the user's own logins). Stdin: the key, if somebody logs in.

printf '\n%s\n' "$MARKER"

pull() {
    if [ -z "$WHO" ]; then
        $ENGINE pull "$NAME"
        return
    fi
    case $ENGINE in
    *podman)
        $ENGINE login --authfile "$dir/auth.json" -u "$WHO" --password-stdin "$REGISTRY" &&
            $ENGINE pull --authfile "$dir/auth.json" "$NAME"
        ;;
    *)
        $ENGINE --config "$dir" login -u "$WHO" --password-stdin "$REGISTRY" >/dev/null &&
            $ENGINE --config "$dir" pull "$NAME"
        ;;
    esac
}

dir=
if [ -n "$WHO" ]; then
    umask 077
    trap 'rm -rf "$dir"' EXIT
    trap 'exit 129' HUP TERM INT PIPE
    for place in "$XDG_RUNTIME_DIR" /dev/shm "${TMPDIR:-/tmp}"; do  # memory, if there is some
        [ -d "$place" ] && dir=$(mktemp -d "$place/remotenb-XXXXXXXX" 2>/dev/null) && break
    done
    [ -n "$dir" ] || exit 1
fi
pull 2>&1
