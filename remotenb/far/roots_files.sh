# Counts the files of root under a folder, or gives them to the user.
# In: ENGINE, SOURCE (of --mount), REMAP (an option), OWNER (uid:gid; empty to count only), WHOSE (tests of find's);
# the parameters are images: the first that has a shell is taken.
# Everything is done as root in a container that sees nothing but that folder: links are not followed, other file systems not
# entered, and a file with a second name, which may be a system's, is left alone.

find='
do=$1
set -- find /folder -xdev $2 \( -type d -o -links 1 \)
if [ -n "$do" ]; then "$@" -exec chown -h "$do" {} +; exit; fi
"$@" -print0 | tr "\n\0" "?\n" | awk "{ n++; if (n <= 5) shown[n] = \$0 } END { print n + 0; for (i = 1; i <= n && i <= 5; i++) print shown[i] }"
'
for image; do
    $ENGINE run --rm --pull=never --network=none --read-only --user=0:0 $REMAP \
        --cap-drop=ALL --cap-add=CHOWN --cap-add=DAC_READ_SEARCH \
        --mount="type=bind,$SOURCE,dst=/folder" --entrypoint=sh "$image" -c "$find" sh "$OWNER" "$WHOSE"
    code=$?
    [ "$code" = 127 ] || break
done
exit "$code"
