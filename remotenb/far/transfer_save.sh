# Writes an image of the engine's into a file of FOLDER, whose size is printed.
# In: FOLDER, ENGINE (its command), ID (the image's), REF (its name).

umask 077
cd "$FOLDER" || exit 1
if [ ! -f image.tar ]; then
    rm -f saving.*  # of a link that broke
    $ENGINE save "$REF" >"saving.$$" || { code=$?; rm -f "saving.$$"; exit "$code"; }
    mv "saving.$$" image.tar || exit 1
fi
stat -c %s image.tar
