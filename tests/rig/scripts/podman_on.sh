#!/bin/sh
# podman_on.sh USER UID: in the box, as root: take podman out, and make a box of namespaces what a
# real machine is to it. Its images stay in the cache, beside docker's.
set -eu
user=$1 uid=$2
ln -sf /opt/away/podman /usr/bin/podman
if ! [ -d /run/dev ]; then
    # crun takes no mixture of control groups; only this mount namespace loses the newer kind
    umount /sys/fs/cgroup/unified 2>/dev/null || true
    # /dev/fuse and /dev/net/tun are open to everybody on a real machine, and a kernel has mqueue
    mkdir /run/dev
    mount -t tmpfs -o mode=755 tmpfs /run/dev
    mkdir /run/dev/net /run/dev/pts /run/dev/shm /run/dev/mqueue
    for node in null:1:3 zero:1:5 full:1:7 random:1:8 urandom:1:9 tty:5:0 fuse:10:229 net/tun:10:200; do
        numbers=${node#*:}
        mknod -m 666 "/run/dev/${node%%:*}" c "${numbers%:*}" "${numbers#*:}"
    done
    ln -s pts/ptmx /run/dev/ptmx
    for link in fd:/proc/self/fd stdin:fd/0 stdout:fd/1 stderr:fd/2; do
        ln -s "${link#*:}" "/run/dev/${link%%:*}"
    done
    mount --rbind /dev/pts /run/dev/pts
    mount --rbind /dev/shm /run/dev/shm
    mount --rbind /run/dev /dev
    mount --make-rshared /
fi
chmod 755 /srv/podman
install -d -m 700 -o "$user" -g "$user" "/srv/podman/$user"
install -d -m 755 /run/user
install -d -m 700 -o "$user" -g "$user" "/run/user/$uid"
echo "$user:100000:65536" | tee /etc/subuid >/etc/subgid
cat >/etc/containers/storage.conf <<'CONF'
[storage]
driver = "overlay"
graphroot = "/var/lib/containers/storage"
runroot = "/run/containers/storage"
rootless_storage_path = "/srv/podman/$USER"
CONF
