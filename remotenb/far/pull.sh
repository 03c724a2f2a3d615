# Asks the engine to pull, through the door that its client has for ssh (docker system dial-stdio).
# In: MARKER, ENGINE (the engine's command). Stdin: one HTTP request without a body, then perhaps
# a line `stop`. Stdout: the answer. A login is in the request, and so on no disk and in no argv.
# When the link breaks, the pull goes on; `stop` ends it.

printf '\n%s\n' "$MARKER"

return=$(printf '\r')
request=
while IFS= read -r line; do
    request="$request$line
"
    [ "$line" != "$return" ] || break
done

umask 077
dir=$(mktemp -d "${TMPDIR:-/tmp}/remotenb-XXXXXXXX") && mkfifo "$dir/in" || exit 1
# nobody may read any more: that is no reason to end
trap '' HUP PIPE
{ $ENGINE system dial-stdio <"$dir/in" | tee /dev/null; } 2>&1 &
pull=$!
# the engine gives up when the last writer goes, which is this shell
exec 3>"$dir/in"
rm -r "$dir"
trap 'exit 129' TERM

exec 4<&0  # a command in the background would get an empty stdin
(IFS= read -r word && [ "$word" = stop ] && kill -s TERM "$$") <&4 3>&- >/dev/null 2>&1 &
watch=$!
exec 4<&-

printf '%s' "$request" >&3
wait "$pull"
kill "$watch" 2>/dev/null
