# Joins bytes and pieces of files, as RECIPE has them, and gives them to a command.
# In: FOLDER, RECIPE (lines: "bytes BASE64", "part NAME COUNT"); the parameters are the command; without any, the SHA-256 is printed.

cd "$FOLDER" || exit 1

join() {
    while read -r kind what count; do
        case $kind in
            bytes) printf '%s' "$what" | base64 -d ;;
            part) head -c "$count" "$what" ;;
        esac || exit 1
    done
}

sum() {
    if command -v sha256sum >/dev/null; then sha256sum
    elif command -v openssl >/dev/null; then openssl dgst -sha256 -r
    elif command -v python3 >/dev/null; then
        python3 -c 'import hashlib,sys
h=hashlib.sha256()
for block in iter(lambda: sys.stdin.buffer.read(1 << 20), b""): h.update(block)
print(h.hexdigest())'
    else busybox sha256sum
    fi
}

[ $# -gt 0 ] || set -- sum
join <<RECIPE | "$@"
$RECIPE
RECIPE
