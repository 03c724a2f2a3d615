# Starts a container; attended.sh, which follows, begins it and ends it with the link.
# In: MARKER, ENGINE (the engine's command), ID (the container).

# An engine lets a container run on when its client dies.
hang_up() { $ENGINE stop -t 5 "$ID" </dev/null >/dev/null 2>&1; }

begin() {
    if [ -t 0 ]; then size_again </dev/null >/dev/null 2>&1 & fi
    exec $ENGINE start --attach --interactive "$ID"
}

# An engine sets the terminal's size once the program runs, which may have asked for it before.
size_again() {
    left=50
    until [ "$($ENGINE inspect -f '{{.State.Running}}' "$ID")" = true ]; do
        left=$((left - 1))
        [ "$left" -gt 0 ] && sleep 0.2 || return
    done
    sleep 0.5
    $ENGINE kill -s WINCH "$ID"
}
