# What is on this machine, as one JSON object; nothing is changed and nothing inferred.
# In: SUDO (how sudo is called), ENGINE (auto, docker, host), WANTED (a container's name, or empty), SCAN (scan.sh; empty to
# look for no server).
# Each command's output becomes {"out": base64, "rc": n, "err": base64}: no text of this
# machine can break the JSON. Everything is bounded in time and in size.

LC_ALL=C
export LC_ALL

if command -v timeout >/dev/null 2>&1; then
    bounded() { seconds=$1 && shift && timeout -k 1 "$seconds" "$@"; }
else
    bounded() { shift && "$@"; }
fi

b64() { base64 | tr -d '\n'; }

# run NAME SECONDS COMMAND...: one member of the object, comma included. The exit code comes
# back through the end of stderr, as a pipe's left side has no other way to tell it.
run() {
    member=$1 && seconds=$2 && shift 2
    printf '"%s":{"out":"' "$member"
    {
        err=$({ { bounded "$seconds" "$@"; echo "rc=$?" >&2; } | head -c 524288 | b64 >&3; } 2>&1 | tail -c 4096)
    } 3>&1
    rc=${err##*rc=}
    printf '","rc":%s,"err":"%s"},' "$rc" "$(printf '%s' "${err%rc=*}" | b64)"
}

# at_once FUNCTION...: run them side by side, print what they print in the order given.
# No temporary files: each one's output waits in its pipe (and it with it) for its turn.
at_once() {
    [ $# -gt 0 ] || return 0
    first=$1 && shift
    "$first" | { rest=$(at_once "$@"); cat; printf '%s' "$rest"; }
}

# who logged in; a line for each group, because a directory service's names have spaces in them
ABOUT='printf "%s\n" "$(id -un)" "$(id -u)" "$HOME" "$(id -g)"
for gid in $(id -G | tr " " "\n" | head -n 32); do
    printf "%s %s\n" "$gid" "$(getent group "$gid" | cut -d: -f1)"
done'
about() { run about 5 sh -c "$ABOUT"; }

gpus() {
    command -v nvidia-smi >/dev/null 2>&1 || return 0
    at_once gpu_table gpu_processes
}
gpu_table() {
    run gpus 10 nvidia-smi --format=csv,noheader,nounits \
        --query-gpu=index,uuid,name,memory.total,memory.used,utilization.gpu
}
gpu_processes() {
    run gpu_processes 10 nvidia-smi --format=csv,noheader,nounits --query-compute-apps=gpu_uuid,pid
}

toolkit() {
    run toolkit 2 sh -c 'command -v nvidia-container-runtime-hook nvidia-container-runtime nvidia-ctk nvidia-container-cli'
}

host_scan() {
    [ -n "$SCAN" ] || return 0
    run host_scan 10 env INSIDE=host sh -c "$SCAN"
}

# The first engine that answers; what each of the others said is kept.
engine() {
    [ "$ENGINE" = host ] && return 0
    run docker 10 docker version --format '{{json .}}'
    if [ "$rc" = 0 ]; then E=docker
    else
        run sudo_docker 10 $SUDO docker version --format '{{json .}}'
        if [ "$rc" = 0 ]; then E="$SUDO docker"
        else
            run podman 10 podman version --format '{{json .}}'
            return 0
        fi
    fi
    printf '"engine":"%s",' "$(case $E in docker) echo docker ;; *) echo sudo_docker ;; esac)"
    at_once engine_info images containers
}

engine_info() { run info 10 $E info --format '{{json .}}'; }

images() { run images 10 $E images --no-trunc --format '{{json .}}'; }

# Nothing of .Config.Env: there may be secrets in it, and not all of these are the user's.
CONTAINER='{"Id":{{json .Id}},"Name":{{json .Name}},"Status":{{json .State.Status}},"Image":{{json .Image}},
"Ref":{{json .Config.Image}},"Labels":{{json .Config.Labels}},"NetworkMode":{{json .HostConfig.NetworkMode}},
"DeviceRequests":{{json .HostConfig.DeviceRequests}},"Runtime":{{json .HostConfig.Runtime}},
"Restart":{{json .HostConfig.RestartPolicy.Name}},
"Networks":{{json .NetworkSettings.Networks}},"Ports":{{json .NetworkSettings.Ports}}}'
CONTAINER=$(printf '%s' "$CONTAINER" | tr -d '\n')

EVIDENCE='C{{"\t"}}{{.Id}}{{"\t"}}{{.State.Pid}}{{"\t"}}{{index .Config.Labels "remotenb.user"}}{{range .Mounts}}
M{{"\t"}}{{$.Id}}{{"\t"}}{{.Source}}{{end}}'

containers() {
    ids=$(bounded 10 $E ps -aq --no-trunc | head -n 200)
    [ -n "$ids" ] || return 0
    evidence=$(bounded 10 $E inspect -f "$EVIDENCE" $ids 2>/dev/null)
    owners=$(owners)
    at_once inspected owned scans
}

inspected() { run containers 10 $E inspect -f "$CONTAINER" $ids; }

owned() { run owners 2 printf '%s\n' "$owners"; }

# Whose container? By its owner label; else by its process's uid; else by a mount under
# somebody's home. Only people count: uid 0 and the uids that belong to no account say nothing.
# Prints ID, mine|other|none, user, why; separated by tabs.
owners() {
    tab=$(printf '\t')
    uids=$(printf '%s\n' "$evidence" | while IFS="$tab" read -r kind id pid _; do
        [ "$kind" = C ] && [ "$pid" -gt 0 ] 2>/dev/null && printf 'U\t%s\t%s\n' "$id" "$(stat -c %u "/proc/$pid" 2>/dev/null)"
    done)
    # getent lists what can be listed; a directory service may answer for single names only
    names=$(printf '%s\n' "$evidence" | awk -F'\t' '$1 == "M" {n = split($3, part, "/"); for (i = 2; i <= n && i < 6; i++) print part[i]}' | sort -u | grep -v '^-' | head -n 100)
    numbers=$(printf '%s\n' "$uids" | awk -F'\t' '$3 > 0 {print $3}' | sort -u | head -n 100)
    {
        bounded 3 getent passwd | head -n 20000
        bounded 3 getent passwd $names $numbers
    } 2>/dev/null | sed 's/^/P\t/' | {
        cat
        printf '%s\n' "$uids" "$evidence"
    } | awk -F'\t' -v me="$(id -un)" '
        $1 == "P" {
            split(substr($0, 3), field, ":")
            if (field[3] >= 1000 && field[3] < 65534) {
                account[field[3]] = field[1]
                if (length(field[6]) > 1) home[field[6]] = field[1]
            }
        }
        $1 == "U" { uid[$2] = $3 }
        $1 == "C" { ids[++count] = $2; label[$2] = $4 }
        $1 == "M" {
            for (h in home) if (index($3 "/", h "/") == 1) {
                if (home[h] == me) mine[$2] = $3
                else { other[$2] = home[h]; where[$2] = $3 }
            }
        }
        function say(id, verdict, user, why) { printf "%s\t%s\t%s\t%s\n", id, verdict, user, why }
        END {
            for (i = 1; i <= count; i++) {
                id = ids[i]
                who = (id in uid && uid[id] in account) ? account[uid[id]] : ""
                if (label[id] != "" && label[id] != "<no value>")
                    say(id, label[id] == me ? "mine" : "other", label[id], "its label says so")
                else if (who != "" && who != me) say(id, "other", who, "its process is theirs")
                else if (id in other) say(id, "other", other[id], "it mounts " where[id])
                else if (id in mine) say(id, "mine", me, "it mounts " mine[id])
                else if (who == me) say(id, "mine", me, "its process is yours")
                else say(id, "none", "", "")
            }
        }'
}

# Only containers that run and are not another's are entered; the one that was asked for always.
scans() {
    [ -n "$SCAN" ] || return 0
    wanted=
    [ -n "$WANTED" ] && wanted=$(bounded 5 $E inspect -f '{{.Id}}' "$WANTED" 2>/dev/null)
    running=$(bounded 10 $E ps -q --no-trunc | tr '\n' ' ')
    printf '"scans":{'
    # shellcheck disable=SC2046  # ids, one a word
    at_once_each scan $(printf '%s\n' "$owners" | awk -F'\t' -v wanted="$wanted" -v running="$running" '
        BEGIN { n = split(running, id, " "); for (i = 1; i <= n; i++) runs[id[i]] }
        $1 in runs && ($1 == wanted || $2 != "other")' | cut -f 1 | head -n 24)
    printf '"":null},'
}

at_once_each() {
    each=$1 && shift
    [ $# -gt 0 ] || return 0
    one=$1 && shift
    "$each" "$one" | { rest=$(at_once_each "$each" "$@"); cat; printf '%s' "$rest"; }
}

scan() { run "$1" 8 $E exec -e INSIDE=container "$1" sh -c "$SCAN"; }

printf '{'
at_once about gpus toolkit host_scan engine
printf '"version":1}\n'
