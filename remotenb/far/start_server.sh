# Starts a Jupyter server that outlives this shell: in a container, or on the host.
# In: the token on stdin; $1 the address to bind, $2 the text of serve.sh, $3 seconds to wait,
# $4 the folder to start in, or nothing; $5 for serve.sh; and what environment.sh left.
# Out: where its state is, and the record of its runtime file as scan.sh prints it.
cd "${4:-.}" || exit 1
umask 077
address=$1 serve=$2 limit=$3 tornado=$5

if [ "$INSIDE" = container ]; then base=/tmp/remotenb-$(id -u); else base=$HOME/.local/state/remotenb; fi
dir=$base/server-$(date +%s)-$$
mkdir -p "$base" && [ "$(stat -c %u "$base")" = "$(id -u)" ] && [ ! -L "$base" ] && mkdir "$dir" "$dir/rt" || {
    echo "cannot make $dir" >&2
    exit 1
}
cat >"$dir/token" && printf '%s\n' "$serve" >"$dir/serve.sh" || { rm -rf "$dir"; exit 1; }

JUPYTER_TOKEN_FILE=$dir/token JUPYTER_RUNTIME_DIR=$dir/rt
export JUPYTER_TOKEN_FILE JUPYTER_RUNTIME_DIR
# A server that was ready takes its folder away when it ends; of one that was not, the log is wanted.
run='echo $$ >"$0/pid"; ${activate:+bash -c "$activate" bash} sh "$0/serve.sh" "$1" any "$2" >"$0/log" 2>&1; echo $? >"$0/exit"; [ ! -e "$0/ready" ] || rm -rf "$0"'
if command -v setsid >/dev/null 2>&1; then
    setsid sh -c "$run" "$dir" "$address" "$tornado" </dev/null >/dev/null 2>&1 &
else
    nohup sh -c "$run" "$dir" "$address" "$tornado" </dev/null >/dev/null 2>&1 &
fi
server=$!

echo "@state $dir"
end=$(($(date +%s) + limit))
while [ "$(date +%s)" -le "$end" ]; do
    for file in "$dir"/rt/jpserver-[0-9]*.json "$dir"/rt/nbserver-[0-9]*.json; do
        if tail -c 3 "$file" 2>/dev/null | grep -q '}'; then
            : >"$dir/ready"
            echo "@file 1 0 $file"
            sed 's/^/ /' "$file"
            echo
            exit 0
        fi
    done
    [ ! -e "$dir/exit" ] || break
    sleep 0.1
done

if [ -e "$dir/exit" ]; then echo "@ended $(cat "$dir/exit")"; else echo "@silent"; fi
kill -s TERM -- "-$server" 2>/dev/null || kill "$server" 2>/dev/null
tail -c 8192 "$dir/log" | sed 's/^/ /'
rm -rf "$dir"
exit 0
