# Makes a container and starts it; without parameters, starts the one of that NAME again.
# In: NAME, STATE (its folder), TOKEN, SERVE (serve.sh), INSTALLING (not empty: Jupyter comes later),
# SETTINGS (what it is made by, kept for another such), and what make_container.sh wants, which
# stands before this; the parameters are the command that creates the container. What fails
# leaves nothing behind, nor does a laptop that is gone: then writing fails.

made=
undo() {
    take_away
    [ -z "$made" ] || rm -rf "$STATE" "$STATE.json"
    exit 1
}
trap '' PIPE
trap undo HUP TERM INT

make_folders

umask 077
[ -d "$STATE" ] || made=1
# cat, because it says why when it cannot write; a shell's own printf does not
mkdir -p "$STATE/rt" && printf '%s\n' "$SERVE" | cat >"$STATE/serve.sh" || undo
# the token outlives the container: with it and the port the browser's login goes on
[ -s "$STATE/token" ] || printf '%s' "$TOKEN" | cat >"$STATE/token" || undo

if [ $# -gt 0 ]; then
    # a container of this name that ran as root left a cookie secret that only root can read
    [ -z "$PASSWD" ] || find "$STATE/rt" -mindepth 1 ! -user "$(id -u)" -exec rm -rf {} +
    make_container "$@"
    # not where what runs in the container could write: by this another one is made
    printf '%s\n' "$SETTINGS" | cat >"$STATE.json" || undo
fi
# what an earlier life of it left would be taken for this one's
[ "$($ENGINE inspect -f '{{.State.Running}}' "$NAME")" = true ] || rm -f "$STATE"/rt/*server-*.json
[ -z "$INSTALLING" ] || : >"$STATE/installing" || undo
$ENGINE start "$NAME" >/dev/null || undo

printf '@token %s\n' "$(cat "$STATE/token")" || undo
case $ENGINE in *podman) id=ID ip=HostIP ;; *) id=Id ip=HostIp ;; esac
$ENGINE inspect -f '@id {{.'$id'}}
@workdir {{.Config.WorkingDir}}{{range $port, $bound := .NetworkSettings.Ports}}{{range $bound}}
@port {{$port}} {{.'$ip'}} {{.HostPort}}{{end}}{{end}}{{range .NetworkSettings.Networks}}
@address {{.IPAddress}}{{end}}' "$NAME" || undo
holders
exit 0
