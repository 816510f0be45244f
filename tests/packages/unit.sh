#!/usr/bin/env bash
# Installs both packages on a Debian 12 that runs, with its systemd, and has the unit
# of the flight recorder started, killed, stopped, cut off from its power and purged:
# unit.sh FOLDER-OF-DEBS. What is checked there says unit/check. Needs root, and says
# why it is skipped where it cannot run.
set -euo pipefail

debs=$(realpath "$1")
mirror=${WHENCE_MIRROR:-http://deb.debian.org/debian}
cd "$(dirname "$0")"
skip() {
    echo "skipped the unit: $1"
    exit 0
}

[ "$(id -u)" = 0 ] || skip "run as root"
compgen -G "$debs/*.deb" >/dev/null || skip "there are none of the packages; cargo-deb makes them"
for program in debootstrap mkfs.ext4 qemu-system-x86_64 cpio busybox; do
    command -v "$program" >/dev/null || skip "$program is not installed"
done
kernel=$(../vm/kernel.sh 6.1) || skip "no kernel can be had"

dir=$(mktemp -d)
trap 'rm -rf --one-file-system "$dir"' EXIT
root=$dir/root
if ! debootstrap --variant=minbase --include=systemd-sysv bookworm "$root" "$mirror" >"$dir/said" 2>&1; then
    tail -n 3 "$dir/said"
    skip "no Debian 12 can be had from $mirror"
fi
mkdir "$root/check"
cp "$debs"/*.deb unit/check "$root/check/"
cp unit/check.service "$root/etc/systemd/system/"
mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
ln -s ../check.service "$root/etc/systemd/system/multi-user.target.wants/"
rm -rf "$root/var/cache/apt"
truncate -s 4G "$dir/disk"
mkfs.ext4 -q -d "$root" "$dir/disk"
rm -rf --one-file-system "$root"

first=$dir/first
mkdir -p "$first"/{bin,modules,debian,proc,dev}
cp /bin/busybox "$first/bin/"
cp "$kernel"/*.ko "$first/modules/"
cp unit/init "$first/"
(cd "$first" && find . | cpio --quiet -o -H newc) >"$dir/initramfs"

# The first ends as if its power was cut; the second finds what that left.
for boot in first second; do
    ../vm/qemu.sh "$kernel" "$dir/initramfs" "$dir/console" -drive file="$dir/disk",if=virtio,format=raw
    tr -d '\r' <"$dir/console" | grep '^check: ' || true
    if ! grep -q "^check: the $boot boot passed" "$dir/console"; then
        tail -n 40 "$dir/console"
        echo "the unit: the $boot boot failed"
        exit 1
    fi
done
echo "the unit starts, is confined, restarts, stops, outlives a power cut and goes"
