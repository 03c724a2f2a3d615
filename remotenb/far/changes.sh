# What a commit of a container would take with it, and how much room there is; nothing is changed.
# In: ENGINE (the engine's command), ID (the container), RUNS (empty: it does not), PRIVATE (an
# expression for paths that would stay behind). Prints records, their fields separated by tabs.

LC_ALL=C
export LC_ALL PRIVATE

$ENGINE inspect -s -f 'size{{"\t"}}{{.SizeRw}}
base{{"\t"}}{{.Image}}{{range .Mounts}}
mount{{"\t"}}{{.Destination}}{{end}}' "$ID" || exit

root=$($ENGINE info -f '{{.DockerRootDir}}' 2>/dev/null) || root=$($ENGINE info -f '{{.Store.GraphRoot}}' 2>/dev/null)
df -Pk "${root:-/}" 2>/dev/null | awk 'NR == 2 { printf "free\t%.0f\n", $4 * 1024 }'

# one line of a file's mode in hex, its size and its name, as far as the container can tell
sizes() {
    [ -z "$RUNS" ] || sed -n 's/^[AC] //p' | tr '\n' '\0' |
        $ENGINE exec -i -u 0 "$ID" xargs -0 stat -c '%f %s %n' 2>/dev/null
}

changed=$($ENGINE diff "$ID") || exit
{
    printf '%s\n' "$changed"
    echo '='
    printf '%s\n' "$changed" | sizes
} | awk '
    $0 == "=" { sized = 1; next }
    !sized {
        kind = substr($0, 1, 1)
        path = substr($0, 3)
        if (match(path, ENVIRON["PRIVATE"])) {
            stays = substr(path, 1, RSTART + RLENGTH - 1)
            sub(/\/$/, "", stays)
            if (!(stays in behind)) print "behind\t" stays
            behind[stays] = left[path] = 1
        }
        else if (kind == "D") deleted++
        next
    }
    {
        mode = $1; size = $2; path = $0
        sub(/^[^ ]* [^ ]* /, "", path)
        if (mode !~ /^8...$/ || path in left) next
        n = split(path, part, "/")
        folder = ""
        for (i = 2; i < n && i < 5; i++) folder = folder "/" part[i]
        if (folder == "") folder = "/"
        files[folder]++
        bytes[folder] += size
    }
    END {
        printf "deleted\t%d\n", deleted
        for (folder in files) printf "folder\t%s\t%d\t%.0f\n", folder, files[folder], bytes[folder]
    }'
