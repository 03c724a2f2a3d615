# What a check-up wants to know beyond the probe; nothing is changed that is not undone.
# In: ENGINE (its command; empty for none), ID (a running container to look into, or empty), IMAGE
# (looked into instead, in a container that goes at once), and as parameters the options for that.
# Out: lines of NAME, a tab, VALUE. A value is one line; each command has its end.

LC_ALL=C
export LC_ALL

if command -v timeout >/dev/null 2>&1; then
    bounded() { seconds=$1 && shift && timeout -k 1 "$seconds" "$@"; }
else
    bounded() { shift && "$@"; }
fi

say() { printf '%s\t%s\n' "$1" "$(printf '%s' "$2" | tr '\t\r\n' '   ' | head -c 600)"; }

# space FOLDER: KiB that are free, and KiB in all
space() { df -Pk "$1" 2>/dev/null | awk 'NR == 2 { print $4, $2 }'; }

say time "$(date +%s)"
state=$HOME/.local/state
if mkdir -p "$state" 2>/dev/null && [ -w "$state" ]; then say home yes; else say home no; fi
say home_space "$(space "$HOME")"
[ -n "$ENGINE" ] || exit 0

# docker's word, then podman's
root=$(bounded 10 $ENGINE info -f '{{.DockerRootDir}}' 2>/dev/null) ||
    root=$(bounded 10 $ENGINE info -f '{{.Store.GraphRoot}}' 2>/dev/null)
say engine_root "$root"
say engine_space "$(space "$root")"

INSIDE='if command -v nvidia-smi >/dev/null 2>&1; then
    gpus=$($(command -v timeout >/dev/null && echo timeout -k 1 8) nvidia-smi -L 2>&1)
    echo "gpu_code $?"
    printf "gpu_said %s\n" "$(printf "%s" "$gpus" | tr "\n" ";")"
fi
echo "jupyter $(command -v jupyter || command -v jupyter-lab || command -v jupyter-notebook)"
echo "shm $(df -Pk /dev/shm 2>/dev/null | awk "NR == 2 { print \$2 }")"'

if [ -n "$ID" ]; then
    inside=$(bounded 20 $ENGINE exec "$ID" sh -c "$INSIDE" 2>&1)
elif [ -n "$IMAGE" ]; then
    inside=$(bounded 60 $ENGINE run --rm --pull=never --network=none --entrypoint=sh "$@" \
        "$IMAGE" -c "$INSIDE" 2>&1)
else
    exit 0
fi
say inside_code $?
say inside_said "$inside"
printf '%s\n' "$inside" | while read -r name value; do
    case $name in
    gpu_code | gpu_said | jupyter | shm) say "inside_$name" "$value" ;;
    esac
done
