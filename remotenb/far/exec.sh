# Runs a command in a container, with this channel as its stdin and stdout, and ends it with the link.
# In: MARKER, ENGINE (the engine's command), ID (the container), WHO (inside it), TERMINAL (its
# TERM; empty for none); the parameters are the command.

printf '\n%s\n' "$MARKER"

# An engine lets what it has begun run on when its client dies; so the first process is marked,
# with its pid in there, and its group is told that the terminal is gone. What has left that group
# (nohup, tmux) was meant to stay.
end() {
    trap '' HUP TERM INT PIPE
    $ENGINE exec ${WHO:+-u "$WHO"} "$ID" sh -c '
        pid=$(grep -aho "REMOTENB_EXEC=$1-[0-9]*" /proc/[0-9]*/environ 2>/dev/null | head -n 1)
        pid=${pid##*-}
        [ -z "$pid" ] || kill -s HUP -- "-$pid"; kill -s CONT -- "-$pid"' \
        sh "$MARKER" </dev/null >/dev/null 2>&1
    kill "$client" 2>/dev/null
    exit 129
}
trap end HUP TERM

home=
[ "$WHO" != root ] || home=1  # else the user's home would fill with files of root
tty=
[ -z "$TERMINAL" ] || tty=1

exec 3<&0  # a command in the background would get an empty stdin
$ENGINE exec -i ${tty:+-t -e "TERM=$TERMINAL"} ${WHO:+-u "$WHO"} ${home:+-e HOME=/root} "$ID" \
    sh -c 'mark=$1; shift; export REMOTENB_EXEC="$mark-$$"; exec "$@"' sh "$MARKER" "$@" <&3 3<&- &
client=$!
exec 3<&-

# without a terminal nobody is told that sshd has ended
(while kill -0 "$PPID"; do sleep 1; done; kill -s TERM "$$") </dev/null >/dev/null 2>&1 &
watch=$!

wait "$client"
code=$?
kill "$watch" 2>/dev/null
exit "$code"
