# The private folder where what arrives of an image waits until it is loaded.
# In: KEY (the image's), NEED (KiB), ROOT (the engine's own folder, or empty).
# Out: the folder; the KiB that are free there; those that are free in ROOT, or - where nobody can tell; then SIZE NAME of each file.

umask 077
me=$(id -u)
free() { df -Pk "$1" 2>/dev/null | awk 'NR == 2 { kib = $4 } END { print kib == "" ? "-" : kib }'; }

# The one that has it already, else the first with room, else the roomiest.
chosen=
most=-1
for base in "$HOME/.local/state/remotenb/transfer" "/var/tmp/remotenb-$me" "/tmp/remotenb-$me"; do
    mkdir -p "$base" 2>/dev/null
    # in /tmp somebody else may have been there before: ours, and a folder in truth, or none
    [ ! -h "$base" ] && [ "$(stat -c %u "$base" 2>/dev/null)" = "$me" ] && chmod 700 "$base" && [ -w "$base" ] || continue
    find "$base" -mindepth 1 -maxdepth 1 -mtime +7 -exec rm -rf {} + 2>/dev/null  # never gone on with
    if [ -d "$base/$KEY" ]; then
        chosen=$base
        break
    fi
    room=$(free "$base")
    [ "$room" != - ] || room=0
    [ "$most" -ge "$NEED" ] || [ "$room" -le "$most" ] || { chosen=$base most=$room; }
done
[ -n "$chosen" ] || { echo "there is no folder to write to" >&2; exit 1; }
mkdir -p "$chosen/$KEY" && cd "$chosen/$KEY" && touch . || exit 1
pwd
free .
free "$ROOT"
stat -c '%s %n' -- * 2>/dev/null
exit 0
