# What a pull needs to know of this machine. In: ENGINE (the engine's command).
# Prints: the processor, the free KiB where images lie (empty: unknown), and for each image its
# unpacked layers, a line each.

place=$($ENGINE info -f '{{.DockerRootDir}}' 2>/dev/null) || place=$($ENGINE info -f '{{.Store.GraphRoot}}')
uname -m
df -Pk "$place" 2>/dev/null | awk 'NR == 2 { kib = $4 } END { print kib }'
# shellcheck disable=SC2046  # ids, one a word
$ENGINE image inspect -f '{{join .RootFS.Layers " "}}' $($ENGINE images -q --no-trunc | sort -u | head -n 500) 2>/dev/null
exit 0
