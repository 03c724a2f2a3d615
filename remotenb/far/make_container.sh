# How a container is made that is its user's; what begins with this calls it.
# In: ENGINE (the engine's command), FOLDERS (to be mounted, one a line), USER_HOME, PASSWD and
# GROUP (who it runs as: a folder, a line, lines; empty for whoever the image says), CHOSEN (the label
# that says who has which GPUs, if they were chosen for being idle). On a failure
# the caller's "undo" is called, which ends.

id=
bare=

# what was made until now
take_away() { [ -z "$id$bare" ] || $ENGINE rm -f $id $bare >/dev/null 2>&1; }

# as the user and before the engine, which would make a missing folder root's
make_folders() {
    while IFS= read -r folder; do
        [ -z "$folder" ] || [ -e "$folder" ] || mkdir -p "$folder" || {
            echo "remotenb: cannot make $folder" >&2
            undo
        }
    done <<FOLDERS
$FOLDERS
FOLDERS
}

# make_container COMMAND...: the command that creates it; "id" is what it prints
make_container() {
    id=$("$@") || undo
    [ -z "$PASSWD" ] || introduce >&2 || echo "remotenb: no names" >&2
}

# Images know nothing of this user: names for the numbers, a home, and the image's working folder.
introduce() {
    aside=$(umask 077 && mktemp -d) || return 1
    root=$aside/root
    mkdir -p "$root/etc" && introduced
    done=$?
    [ -z "$bare" ] || $ENGINE rm "$bare" >/dev/null
    rm -rf "$aside"
    return "$done"
}
introduced() {
    { echo "$PASSWD" && from_image /etc/passwd | grep -vxF "$PASSWD"; } >"$root/etc/passwd"
    { echo "$GROUP" && from_image /etc/group | grep -vxF "$GROUP"; } >"$root/etc/group"
    chmod 644 "$root/etc/passwd" "$root/etc/group"
    tar -C "$root" --owner=0 --group=0 -cf "$aside/tar" etc/passwd etc/group || return 1
    folder=$($ENGINE inspect -f '{{.HostConfig.UsernsMode}} {{.Config.WorkingDir}}' "$id")
    userns=${folder%% *} folder=${folder#* }
    mounts=$($ENGINE inspect -f '{{range .Mounts}}{{println .Destination}}{{end}}' "$id")
    case $folder in
        "" | / | /bin* | /dev* | /etc* | /lib* | /proc* | /run* | /sbin* | /sys* | /usr*) ;;
        *) give "$folder" || return 1 ;;
    esac
    give_home && $ENGINE cp -a=false - "$id:/" <"$aside/tar"  # podman would make it all the user's
}
from_image() { $ENGINE cp "$id:$1" - 2>/dev/null | tar -xOf - 2>/dev/null; }

# give FOLDER: it will be the user's; but one of the machine's, mounted there, stays as it is.
# Where docker gives others other uids, it gives them to what it copies too, also into a container
# that has the machine's: nobody's folder can be made the user's there, but one for everybody can.
give() {
    ! mounted "$1" || return 0
    (umask 022 && mkdir -p "$root$1") && { [ "$userns" != host ] || chmod 1777 "$root$1"; } &&
        tar -C "$root" --no-recursion -rf "$aside/tar" "${1#/}"
}
mounted() {
    while IFS= read -r mount; do
        [ -n "$mount" ] || continue
        case $1/ in "${mount%/}"/*) return 0 ;; esac
    done <<MOUNTS
$mounts
MOUNTS
    return 1
}

# In an image that was made where this name had another number, the folders in the home become this
# user's too, so that more can be put into them; the files there stay as they are. So do those on the
# way to what is mounted in the home, which the engine makes as root's. What is mounted there is not
# read, as it may be without end: a container of the image alone tells of the rest.
give_home() {
    give "$USER_HOME" || return 1
    [ "$userns" != host ] && ! mounted "$USER_HOME" || return 0
    told=$id
    case $mounts in *"$USER_HOME"/*)
        bare=$($ENGINE create --pull=never --network=none "$($ENGINE inspect -f '{{.Image}}' "$id")" true) || return 1
        told=$bare
        ;;
    esac
    { on_the_way && in_the_home; } | MOUNTS=$mounts awk '
        BEGIN { n = split(ENVIRON["MOUNTS"], mount, "\n") }
        {
            for (i = 1; i <= n; i++) if (mount[i] != "" && index("/" $0 "/", mount[i] "/") == 1) next
            print
        }' | sort -u >"$aside/folders"
    [ -s "$aside/folders" ] || return 0
    (cd "$root" && umask 022 && tr '\n' '\0' <"$aside/folders" | xargs -0 mkdir -p --) &&
        tar -C "$root" --no-recursion --no-unquote -rf "$aside/tar" -T "$aside/folders"
}
on_the_way() {
    printf '%s\n' "$mounts" | awk -v home="$USER_HOME/" '
        index($0, home) == 1 {
            n = split(substr($0, length(home) + 1), part, "/")
            path = substr(home, 2, length(home) - 2)
            for (i = 1; i < n; i++) print path = path "/" part[i]
        }'
}
in_the_home() {
    owner=$($ENGINE cp "$told:$USER_HOME" - 2>/dev/null | tar -tv --numeric-owner -f - 2>/dev/null | awk '{ print $2; exit }')
    case $owner in "" | "$(id -u)"/*) return 0 ;; esac
    $ENGINE cp "$told:$USER_HOME" - | tar -t --quoting-style=literal -f - |
        awk -v above="${USER_HOME%/*}/" -v home="${USER_HOME##*/}/" '
            index($0, home) == 1 && /[^\/]\/$/ { path = substr(above $0, 2); print substr(path, 1, length(path) - 1) }'
}

# Who else was given GPUs: the earliest keeps them.
holders() {
    [ -z "$CHOSEN" ] || $ENGINE ps -aq --no-trunc --filter "label=$CHOSEN" --filter status=created --filter status=running |
        xargs $ENGINE inspect -f '@holder {{.Created}} {{.Id}} {{index .Config.Labels "'"$CHOSEN"'"}}' 2>/dev/null
}
