# Makes a container and starts it; without parameters, starts the one of that NAME again.
# In: NAME, STATE (its folder), TOKEN, SERVE (serve.sh), FOLDERS (to be mounted, one a line),
# ENGINE (the engine's command), USER_HOME, PASSWD and GROUP (who it runs as: a folder, a line,
# lines; empty for whoever the image says); the parameters are the command that creates the container.
# What fails leaves nothing behind, nor does a laptop that is gone: then writing fails.

id=
made=
undo() {
    [ -z "$id" ] || $ENGINE rm -f "$id" >/dev/null 2>&1
    [ -z "$made" ] || rm -rf "$STATE"
    exit 1
}
trap '' PIPE
trap undo HUP TERM INT

# as the user and before the engine, which would make a missing folder root's
while IFS= read -r folder; do
    [ -z "$folder" ] || [ -e "$folder" ] || mkdir -p "$folder" || {
        echo "remotenb: cannot make $folder" >&2
        undo
    }
done <<FOLDERS
$FOLDERS
FOLDERS

umask 077
[ -d "$STATE" ] || made=1
# cat, because it says why when it cannot write; a shell's own printf does not
mkdir -p "$STATE/rt" && printf '%s\n' "$SERVE" | cat >"$STATE/serve.sh" || undo
# the token outlives the container: with it and the port the browser's login goes on
[ -s "$STATE/token" ] || printf '%s' "$TOKEN" | cat >"$STATE/token" || undo

# Images know nothing of this user: names for the numbers, a home, and the image's working folder.
introduce() {
    root=$STATE/root
    rm -rf "$root" && mkdir -p "$root/etc" || return 1
    { echo "$PASSWD" && from_image /etc/passwd; } >"$root/etc/passwd"
    { echo "$GROUP" && from_image /etc/group; } >"$root/etc/group"
    chmod 644 "$root/etc/passwd" "$root/etc/group"
    folder=$($ENGINE inspect -f '{{.Config.WorkingDir}}' "$id")
    case $folder in
        "" | / | /bin* | /dev* | /etc* | /lib* | /proc* | /run* | /sbin* | /sys* | /usr*) folder=$USER_HOME ;;
    esac
    (umask 022 && mkdir -p "$root$USER_HOME" "$root$folder") &&
        tar -C "$root" --owner=0 --group=0 -cf "$root.tar" etc/passwd etc/group &&
        tar -C "$root" --no-recursion -rf "$root.tar" "${USER_HOME#/}" "${folder#/}" &&
        $ENGINE cp - "$id:/" <"$root.tar"
}
from_image() { $ENGINE cp "$id:$1" - 2>/dev/null | tar -xOf - 2>/dev/null; }

if [ $# -gt 0 ]; then
    # a container of this name that ran as root left a cookie secret that only root can read
    [ -z "$PASSWD" ] || find "$STATE/rt" -mindepth 1 ! -user "$(id -u)" -exec rm -rf {} +
    id=$("$@") || undo
    [ -z "$PASSWD" ] || introduce >&2 || echo "remotenb: $USER_HOME could not be made in it" >&2
    rm -rf "$STATE/root" "$STATE/root.tar"
fi
# what an earlier life of it left would be taken for this one's
[ "$($ENGINE inspect -f '{{.State.Running}}' "$NAME")" = true ] || rm -f "$STATE"/rt/*server-*.json
$ENGINE start "$NAME" >/dev/null || undo

printf '@token %s\n' "$(cat "$STATE/token")" || undo
$ENGINE inspect -f '@id {{.Id}}
@workdir {{.Config.WorkingDir}}{{range $port, $bound := .NetworkSettings.Ports}}{{range $bound}}
@port {{$port}} {{.HostIp}} {{.HostPort}}{{end}}{{end}}{{range .NetworkSettings.Networks}}
@address {{.IPAddress}}{{end}}' "$NAME" || undo
