# What is on this machine, as one JSON object; nothing is changed and nothing inferred.
# In: SUDO (how sudo is called), ENGINE (auto, docker, podman, host), WANTED (a container's name, or empty),
# SCAN (scan.sh; empty to look for no server), ENTER (what comes before it on the host).
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
    run host_scan 10 env INSIDE=host sh -c "$ENTER$SCAN"
}

# Docker, by sudo where it must be; and the user's own podman, and root's where it was ever used
# and sudo lets us. What each said that does not answer is kept; of the others, what is in them.
docker_engine() {
    case $ENGINE in auto | docker) ;; *) return 0 ;; esac
    # podman's stand-in of that name has no server
    version='{"Server":{"Version":{{json .Server.Version}}}}'
    run docker 10 docker version --format "$version"
    E=docker member=docker
    if [ "$rc" != 0 ]; then
        run sudo_docker 10 $SUDO docker version --format "$version"
        E="$SUDO docker" member=sudo_docker
    fi
    [ "$rc" = 0 ] && what_is_in_it engine_info images containers
}

PODMAN='{"Version":{{json .Version.Version}},"Rootless":{{json .Host.Security.Rootless}},
"SELinux":{{json .Host.Security.SELinuxEnabled}},"Runtime":{{json .Host.OCIRuntime.Name}},"Cgroups":{{json .Host.CgroupsVersion}},"Ids":{{json .Host.IDMappings}}}'
PODMAN=$(printf '%s' "$PODMAN" | tr -d '\n')

podman_engine() {
    case $ENGINE in auto | podman) ;; *) return 0 ;; esac
    run podman 20 podman info --format "$PODMAN"
    E=podman member=podman
    [ "$rc" = 0 ] && what_is_in_it podmans_surroundings images containers
}
roots_podman_engine() {
    case $ENGINE in auto | podman) ;; *) return 0 ;; esac
    command -v podman >/dev/null 2>&1 && [ "$(id -u)" != 0 ] || return 0
    # where podman itself made the folder, only root may look into it
    [ -d /var/lib/containers ] && { [ ! -x /var/lib/containers ] || [ -d /var/lib/containers/storage ]; } || return 0
    run sudo_podman 20 $SUDO podman info --format "$PODMAN"
    E="$SUDO podman" member=sudo_podman
    [ "$rc" = 0 ] && what_is_in_it podmans_surroundings images containers
}

what_is_in_it() {
    case $member in
        *docker) ID=.Id CONTAINER=$DOCKERS_CONTAINER ROW='{{json .}}' ;;
        *) ID=.ID CONTAINER=$PODMANS_CONTAINER ROW=$PODMANS_IMAGE ;;
    esac
    printf '"in_%s":{' "$member"
    at_once "$@"
    printf '"":null},'
}

engine_info() { run info 10 $E info --format '{{json .}}'; }

# No daemon of podman's starts containers again, and a user's may end with the last login: what
# there is against both, by systemd's files, as its bus cannot be had without a login of its own.
podmans_surroundings() {
    run surroundings 2 sh -c '
        units=$1
        [ ! -d /run/systemd/system ] || echo systemd
        [ ! -e "/var/lib/systemd/linger/$(id -un)" ] || echo linger
        set -- "$HOME"/.config/systemd/user/*.wants/podman-restart.service /etc/systemd/user/*.wants/podman-restart.service
        [ "$units" = user ] || set -- /etc/systemd/system/*.wants/podman-restart.service
        for unit; do [ ! -e "$unit" ] && [ ! -L "$unit" ] || echo restart; done
        for init in catatonit /usr/libexec/podman/catatonit /usr/lib/podman/catatonit /usr/libexec/catatonit/catatonit docker-init tini; do
            path=$(command -v "$init") && echo "init $path" && break
        done' sh "$([ "$E" = podman ] && [ "$(id -u)" != 0 ] && echo user || echo system)"
}

# Whether podman can give containers GPUs; it takes --gpus and does nothing.
cdi() {
    run cdi 2 sh -c 'grep -ls "nvidia.com/gpu" /etc/cdi/*.yaml /etc/cdi/*.json /var/run/cdi/*.yaml /var/run/cdi/*.json'
}

images() { run images 10 $E images --no-trunc --format "$ROW"; }
PODMANS_IMAGE='{"Repository":{{json .Repository}},"Tag":{{json .Tag}},"ID":{{json .ID}},"Size":{{json .Size}}}'

# Nothing of .Config.Env: there may be secrets in it, and not all of these are the user's.
CONTAINER='"Name":{{json .Name}},"Status":{{json .State.Status}},"Image":{{json .Image}},
"Labels":{{json .Config.Labels}},"NetworkMode":{{json .HostConfig.NetworkMode}},
"User":{{json .Config.User}},"Restart":{{json .HostConfig.RestartPolicy.Name}},
"Networks":{{json .NetworkSettings.Networks}},"Ports":{{json .NetworkSettings.Ports}}'
CONTAINER=$(printf '%s' "$CONTAINER" | tr -d '\n')
DOCKERS_CONTAINER="{\"Id\":{{json .Id}},\"Ref\":{{json .Config.Image}},
\"DeviceRequests\":{{json .HostConfig.DeviceRequests}},\"Runtime\":{{json .HostConfig.Runtime}},$CONTAINER}"
DOCKERS_CONTAINER=$(printf '%s' "$DOCKERS_CONTAINER" | tr -d '\n')
PODMANS_CONTAINER="{\"Id\":{{json .ID}},\"Ref\":{{json .ImageName}},$CONTAINER}"

containers() {
    ids=$(bounded 10 $E ps -aq --no-trunc | head -n 200)
    [ -n "$ids" ] || return 0
    evidence=$(bounded 10 $E inspect -f "$(evidence)" $ids 2>/dev/null)
    owners=$(owners)
    at_once inspected devices owned scans
}

evidence() {
    printf '%s\n%s' "C{{\"\t\"}}{{$ID}}{{\"\t\"}}{{.State.Pid}}{{\"\t\"}}{{.State.Running}}{{\"\t\"}}{{index .Config.Labels \"remotenb.user\"}}{{\$id := $ID}}{{range .Mounts}}" \
        'M{{"\t"}}{{$id}}{{"\t"}}{{.Source}}{{end}}'
}

inspected() { run containers 10 $E inspect -f "$CONTAINER" $ids; }

# podman tells of a CDI device nowhere but in the words that made the container; no others of them
# leave this machine.
devices() {
    case $member in *docker) return 0 ;; esac
    words='{{$id := .ID}}{{range .Config.CreateCommand}}{{$id}} {{.}}{{"\n"}}{{end}}'
    run devices 10 sh -c '"$@" | sed -n "s|^\([0-9a-f]*\) \(--device=\)\{0,1\}nvidia.com/gpu=\([0-9A-Za-z:-]*\)$|\1 \3|p"' \
        sh $E inspect -f "$words" $ids
}

owned() { run owners 2 printf '%s\n' "$owners"; }

# Whose container? By its owner label; else by its process's uid; else by a mount under
# somebody's home. In podman without root there are only the user's. Only people count: uid 0 and the uids that belong to no account say nothing.
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
    } | awk -F'\t' -v me="$(id -un)" -v own="$([ "$E" = podman ] && [ "$(id -u)" != 0 ] && echo 1)" '
        $1 == "P" {
            split(substr($0, 3), field, ":")
            if (field[3] >= 1000 && field[3] < 65534) {
                account[field[3]] = field[1]
                if (length(field[6]) > 1) home[field[6]] = field[1]
            }
        }
        $1 == "U" { uid[$2] = $3 }
        $1 == "C" { ids[++count] = $2; label[$2] = $5 }
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
                if (own) say(id, "mine", me, "it is in your own podman")
                else if (label[id] != "" && label[id] != "<no value>")
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
    [ -n "$WANTED" ] && wanted=$(bounded 5 $E inspect -f "{{$ID}}" "$WANTED" 2>/dev/null)
    running=$(printf '%s\n' "$evidence" | awk -F'\t' '$1 == "C" && $4 == "true" {printf "%s ", $2}')
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
# what takes longest begins first
at_once docker_engine podman_engine roots_podman_engine host_scan about gpus toolkit cdi
printf '"version":1}\n'
