# Begins what `begin` of the script before this one execs, with this channel as its stdin and stdout;
# when the link ends, or nobody reads any more, ends it by `hang_up` with pauses between its tries.
# In: MARKER (printed first); the parameters are begin's.

printf '\n%s\n' "$MARKER"

end() {
    trap '' HUP TERM INT PIPE
    kill "$client" 2>/dev/null
    hang_up "$@"
}
trap 'end 1 1 1; exit 129' HUP TERM

exec 3<&0  # a command in the background would get an empty stdin
begin "$@" <&3 3<&- &
client=$!
exec 3<&-

# without a terminal nobody is told that sshd has ended
(while kill -0 "$PPID"; do sleep 1; done; kill -s TERM "$$") </dev/null >/dev/null 2>&1 &
watch=$!

wait "$client"
code=$?
kill "$watch" 2>/dev/null
# the client alone died of SIGPIPE: nobody reads any more
[ "$code" -ne 141 ] || end 0
exit "$code"
