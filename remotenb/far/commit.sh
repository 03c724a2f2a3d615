# Makes an image of a container: its base, with what was changed, and nothing else.
# In: ENGINE (the engine's command), ID (the container), BASE (its image), PAUSE (true, false),
# PRIVATE (an expression for paths that stay behind), PASSWD and GROUP (lines that stay behind),
# EVERYONES (everyones.py), REMAP (an option), ROOT (an option, where the base's user is not root); the
# parameters are options for the commit that make its configuration the base's. Prints the image's
# id; it has no name yet.
#
# An engine's own commit takes everything, the container's environment and its user too, and what
# is in a layer stays there for good. So what is wanted is copied into a fresh container of the
# base, and that is committed. What fails leaves nothing behind.

export PRIVATE
raw=
copy=
aside=$(umask 077 && mktemp -d) || exit 1
leave() {
    [ -z "$copy" ] || $ENGINE rm -f "$copy" >/dev/null 2>&1
    [ -z "$raw" ] || $ENGINE rmi -f "$raw" >/dev/null 2>&1
    rm -rf "$aside"
    exit "$1"
}
trap '' PIPE
trap 'leave 1' HUP TERM INT

# Run in the image of all that there is: what stays behind of two files, what others find of packages
# in homes, and a tar of the paths on stdin and of what that changed.
pack='
cd / || exit
without() { rest=$(grep -vxF "$2" "$1") && printf "%s\n" "$rest" >"$1"; }
[ -z "$1" ] || without /etc/passwd "$1"
[ -z "$2" ] || without /etc/group "$2"
everyones=$3
shift 3
changed=
for packages; do
    python=${packages#*/lib/}
    python=$(command -v "${python%%/*}") || continue
    changed="$changed$("$python" -I -c "$everyones" "$packages")
" || exit
done
paths() { { cat; printf "%s" "$changed"; } | sort -u; }
there() {
    case $1 in
        # where the driver was mounted an empty file is left, which would hide the next box of that name
        *nvidia* | *libcuda* | *libnv* | *vdpau*) [ -d "$1" ] || [ -s "$1" ] ;;
        *) [ -e "$1" ] || [ -L "$1" ] ;;
    esac
}
if tar --version 2>/dev/null | grep -q GNU; then
    paths | while IFS= read -r path; do
        if there "$path"; then printf "%s\n" "$path"; fi
    done | tar -c -f - --no-recursion --no-unquote --xattrs -T -
else  # of busybox: it reads no list
    set --
    list=$(paths)
    while IFS= read -r path; do
        if there "$path"; then set -- "$@" "$path"; fi
    done <<LIST
$list
LIST
    tar -c -f - --no-recursion "$@"
fi
'

$ENGINE diff "$ID" >"$aside/diff" || leave 1
awk -v kept="$aside/kept" -v deleted="$aside/deleted" -v packages="$aside/packages" '
    BEGIN { printf "" >kept; printf "" >deleted; printf "" >packages }
    { path = substr($0, 3) }
    path ~ ENVIRON["PRIVATE"] { next }
    /^D/ { print path >deleted; next }
    match(path, "^/home/[^/]+/[.]local/lib/python3[.][0-9]+/site-packages/") {
        folder = substr(path, 1, RLENGTH - 1)
        if (!(folder in seen)) print folder >packages
        seen[folder] = 1
    }
    { print "." path >kept }' "$aside/diff" || leave 1

raw=$($ENGINE commit --pause="$PAUSE" "$ID") || leave 1
# a client's own configuration may put proxies into every container's environment
host=$($ENGINE context inspect -f '{{.Endpoints.docker.Host}}' 2>/dev/null)
plain=
case $host in unix://*) plain="--config $aside --host $host" ;; esac
# and podman puts these into every one's, and from there into the image
case $ENGINE in *podman) own='--unsetenv=container --unsetenv=TERM' ;; *) own= ;; esac
copy=$($ENGINE $plain create --pull=never --network=none --interactive $own $REMAP $ROOT --entrypoint=sh "$BASE" \
    -c 'while IFS= read -r path; do rm -rf -- "$path"; done') || leave 1
[ ! -s "$aside/deleted" ] || $ENGINE start -ai "$copy" <"$aside/deleted" >&2 || leave 1
pack() {
    set -- "$PASSWD" "$GROUP" "$EVERYONES"
    while IFS= read -r folder; do set -- "$@" "$folder"; done <"$aside/packages"
    $ENGINE run --rm --pull=never --network=none --interactive --user=0:0 $REMAP --entrypoint=sh "$raw" \
        -c "$pack" sh "$@" <"$aside/kept" || : >"$aside/failed"
}
pack | $ENGINE cp - "$copy:/" >&2 || leave 1
[ ! -e "$aside/failed" ] || leave 1
$ENGINE rmi -f "$raw" >/dev/null 2>&1
raw=

made=$($ENGINE commit --pause=false "$@" "$copy") || leave 1
# whoever wanted it may have left meanwhile, and it has no name yet
printf '%s\n' "$made" || { $ENGINE rmi "$made" >/dev/null 2>&1; leave 1; }
leave 0
