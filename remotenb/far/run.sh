# Makes a container, and starts it if it is to run by itself.
# In: what make_container.sh wants, which stands before this; DETACH (empty: it is only made); the
# parameters are the command that creates it. Prints its id, and who was given GPUs. What fails leaves nothing behind.

undo() {
    take_away
    exit 1
}
trap '' PIPE
trap undo HUP TERM INT

make_folders
make_container "$@"
[ -z "$DETACH" ] || $ENGINE start "${id:?}" >/dev/null || undo
printf '@id %s\n' "$id" || undo
holders
exit 0
