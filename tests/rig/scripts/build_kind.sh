#!/bin/bash
# build_kind.sh BASE DIR BANNER [REQUIREMENT...]: DIR/layer.tar is what one kind of image adds
# to the base. Runs in a mount namespace of its own: every mount here ends with this script.
set -euo pipefail
base=$1 dir=$2 banner=$3
shift 3
mkdir -p "$dir"/{upper,work,merged}
mount -t overlay overlay -o "lowerdir=$base,upperdir=$dir/upper,workdir=$dir/work" "$dir/merged"
cp "$banner" "$dir/merged/opt/nvidia/entrypoint.d/10-banner.txt"
if [ $# -gt 0 ]; then
    # the builder's name server and certificates are lent by bind mounts, and leave no trace
    mount --bind /etc/resolv.conf "$dir/merged/etc/resolv.conf"
    mount --bind /etc/hosts "$dir/merged/etc/hosts"
    mount --bind /etc/ssl/certs/ca-certificates.crt "$dir/merged/etc/ssl/certs/ca-certificates.crt"
    lent=()
    for name in PIP_INDEX_URL HTTPS_PROXY https_proxy NO_PROXY no_proxy; do
        [ -n "${!name:-}" ] && lent+=("$name=${!name}")
    done
    chroot "$dir/merged" /usr/bin/env -i PATH=/usr/bin:/bin:/usr/sbin:/sbin HOME=/root LC_ALL=C.UTF-8 \
        "${lent[@]}" python3 -m pip install --quiet --no-cache-dir --break-system-packages \
        --root-user-action=ignore --no-warn-script-location --disable-pip-version-check "$@"
    umount "$dir"/merged/etc/{resolv.conf,hosts,ssl/certs/ca-certificates.crt}
fi
umount "$dir/merged"
rm -rf "$dir"/upper/{tmp,run,var/tmp}/*
# A file of the base that a kind removed would be a character device here, which docker
# does not read as a removal. No kind removes any; this says so if one ever does.
if find "$dir/upper" -type c | grep -q .; then echo "a kind removes files of the base" >&2; exit 1; fi
tar -C "$dir/upper" --numeric-owner -cf "$dir/layer.tar" .
rm -rf "$dir"/{upper,work,merged}
