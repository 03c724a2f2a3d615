#!/bin/sh
# box_init.sh DISK DOCKER NAME: the first process of a box, in new mount, pid, uts and ipc
# namespaces. It lays the box's file tree and becomes the box's pid 1; killing that is a power cut.
#
# The tree is an overlay of this machine's own: all software installed here is there at the same
# path, and no write comes back. DISK (a tmpfs) keeps the box's writes over a power cut.
set -eu
disk=$1 docker=$2 name=$3
mount -t overlay overlay -o "lowerdir=/,upperdir=$disk/upper,workdir=$disk/work" "$disk/tree"
cd "$disk/tree"
mount -t proc proc proc
mount --rbind /sys sys && mount --make-rslave sys
mount --rbind /dev dev && mount --make-rslave dev
mount -t tmpfs -o mode=1777 tmpfs dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts dev/pts
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
mount -t tmpfs -o mode=1777 tmpfs var/tmp
mount -t tmpfs -o mode=700 tmpfs root # nothing of the tester's own home is in the box
mount --bind "$disk/home" home
mkdir -p var/lib/docker run/lock run/sshd .old
# docker's overlays cannot lie on this one: a plain directory of the cache
mount --bind "$docker" var/lib/docker
# podman is put away until a test takes it out (podman_on.sh), as most boxes have docker alone
if [ -e /usr/bin/podman ]; then
    mkdir -p opt/away "$docker/podman" srv/podman
    : >opt/away/podman
    mount --bind /usr/bin/podman opt/away/podman
    mount --bind "$docker/podman" srv/podman
    [ -L usr/bin/podman ] || rm -f usr/bin/podman
fi
hostname "$name"
pivot_root . .old
umount -l /.old
rmdir /.old
echo on
exec docker-init -- sleep infinity </dev/null >/dev/null 2>&1
