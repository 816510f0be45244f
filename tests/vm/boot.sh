#!/usr/bin/env bash
# boot.sh KERNEL PROGRAMS WORK OUTPUT: boots KERNEL (see kernel.sh) in software
# emulation with the programs of the folder PROGRAMS, which do what WORK says
# (see init), and unpacks into OUTPUT what that leaves on the second disk.
set -euo pipefail
cd "$(dirname "$0")"
kernel=$1 programs=$2 work=$3 output=$4

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
root=$dir/root
# Programs lie where they lie here, so that commands are the same.
mkdir -p "$root"/{bin,modules,lib64,proc,sys,dev,tmp,etc,recordings} "$root$programs/examples" "$output"
cp /bin/busybox "$root/bin/"
cp "$kernel"/*.ko "$root/modules/"
cp init "$root/"
cp "$work" "$root/work"
echo root:x:0:0::/:/bin/sh >"$root/etc/passwd"
echo "$programs" >"$root/etc/programs"
for program in whence-record whence-workload examples/verifier; do
    strip -o "$root$programs/$program" "$programs/$program"
    ldd "$programs/$program" | grep -o '/[^ ]*' | while read -r library; do
        mkdir -p "$root$(dirname "$library")"
        [ -e "$root$library" ] || cp -L "$library" "$root$library"
    done
done
(cd "$root" && find . | cpio --quiet -o -H newc) >"$dir/initramfs"
truncate -s 64M "$dir/read.img" "$dir/result.img"

./qemu.sh "$kernel" "$dir/initramfs" "$output/console.log" \
    -drive file="$dir/read.img",if=virtio,format=raw,readonly=on \
    -drive file="$dir/result.img",if=virtio,format=raw
tar xf "$dir/result.img" -C "$output"
