# What commits and pushes that were broken off have left here.
# In: ENGINE (the engine's command), COMMITTED and PARTIAL (a label of theirs, each).
# Out, with tabs between: "mine" REF ID SIZE, "any" REF ID SIZE (of all images), "files" FOLDER KIB.

me=$(id -u)
tab=$(printf '\t')

images() {
    word=$1 && shift
    $ENGINE images --format "$word$tab{{.Repository}}:{{.Tag}}$tab{{.ID}}$tab{{.Size}}" "$@" 2>/dev/null
}

images mine --filter=dangling=true --filter="label=$COMMITTED"
images mine --filter="label=$PARTIAL"
images any
# where transfer_folder.sh keeps what arrived of an image, in a folder of the image's key
for folder in "$HOME/.local/state/remotenb/transfer"/* "/var/tmp/remotenb-$me"/* "/tmp/remotenb-$me"/*; do
    [ -d "$folder" ] && [ ! -h "$folder" ] && [ "$(stat -c %u "$folder")" = "$me" ] || continue
    printf 'files\t%s\t%s\n' "$folder" "$(du -sk "$folder" | cut -f 1)"
done
exit 0
