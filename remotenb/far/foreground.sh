# Starts a container, with this channel as its stdin and stdout, and ends it with the link.
# In: MARKER, ENGINE (the engine's command), ID (the container).

printf '\n%s\n' "$MARKER"

# An engine lets a container run on when its client dies.
hang_up() {
    trap '' HUP TERM INT PIPE
    kill "$client" 2>/dev/null
    $ENGINE stop -t 5 "$ID" </dev/null >/dev/null 2>&1
}
trap 'hang_up; exit 129' HUP TERM

exec 3<&0  # a command in the background would get an empty stdin
$ENGINE start --attach --interactive "$ID" <&3 3<&- &
client=$!
exec 3<&-

# without a terminal nobody is told that sshd has ended
(while kill -0 "$PPID"; do sleep 1; done; kill -s TERM "$$") </dev/null >/dev/null 2>&1 &
watch=$!

wait "$client"
code=$?
kill "$watch" 2>/dev/null
# the client alone died of SIGPIPE: nobody reads any more
[ "$code" -ne 141 ] || hang_up
exit "$code"
