#!/bin/bash
# build_base.sh DIR: DIR/root becomes the root file system under every NGC-like image, and
# DIR/layer.tar the same as a docker layer.
set -euo pipefail
dir=$1 here=$(dirname "$(realpath "$0")") root=$1/root
debootstrap --variant=minbase --include=python3,python3-venv,python3-pip,ca-certificates,procps \
    bookworm "$root" >"$dir/log" 2>&1 || { tail -5 "$dir/log" >&2; exit 1; }
rm -rf "$root"/var/cache/apt/*.bin "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/* \
    "$root"/usr/share/{doc,man,locale,info}/*
# debootstrap copies the builder's own
: >"$root/etc/resolv.conf"
: >"$root/etc/hostname"
: >"$root/etc/hosts"
mkdir -p "$root/etc/pip" "$root/opt/nvidia/entrypoint.d"
: >"$root/etc/pip/constraint.txt"
install -d -m 777 "$root/workspace"
install -m 755 "$here/nvidia_entrypoint.sh" "$root/opt/nvidia/"
tar -C "$root" --numeric-owner -cf "$dir/layer.tar" .
