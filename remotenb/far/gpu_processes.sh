# Who computes on the GPUs: a line for each process, with tabs between GPU's uuid, MiB, pid, user,
# container's id, notebook kernel's id, program. What is not known is empty.

tab=$(printf '\t')
if command -v timeout >/dev/null 2>&1; then set -- timeout 10; fi
"$@" nvidia-smi --format=csv,noheader,nounits --query-compute-apps=gpu_uuid,pid,used_memory |
    head -n 500 | tr -d ' \r' | while IFS=, read -r uuid pid memory; do
    case $pid in '' | *[!0-9]*) continue ;; esac
    user=$(stat -c %U "/proc/$pid" 2>/dev/null)
    container=$(sed -n 's/.*\([0-9a-f]\{64\}\).*/\1/p' "/proc/$pid/cgroup" 2>/dev/null | head -n 1)
    name=$(tr '\t\n' '  ' <"/proc/$pid/comm" 2>/dev/null)
    kernel=$(tr '\0' '\n' <"/proc/$pid/cmdline" 2>/dev/null | sed -n 's/.*kernel-\([0-9a-f-]*\)\.json$/\1/p')
    printf '%s\n' "$uuid$tab$memory$tab$pid$tab$user$tab$container$tab$kernel$tab$name"
done
