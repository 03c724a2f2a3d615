# Whether podman is about to copy an image, for its files get other owners where the user is the same inside.
# In: ENGINE, IMAGE. Out: nothing if it did so before, or does not tell; else the image's bytes, and the KiB that are
# free where they go.

root=$($ENGINE info -f '{{.Store.GraphRoot}} {{.Store.GraphDriverName}}') || exit 0
driver=${root##* } root=${root% *}
image=$($ENGINE image inspect -f '{{.ID}} {{.Size}}' "$IMAGE") || exit 0
# each image that was copied has there which layers that made
tr -d '\n' <"$root/$driver-images/images.json" | sed 's/{"id":"/\
&/g' | grep -F "{\"id\":\"${image% *}\"" | grep -qF '"mapped-layers":["' && exit 0
printf '%s %s\n' "${image#* }" "$(df -Pk "$root" 2>/dev/null | awk 'NR == 2 { print $4 }')"
