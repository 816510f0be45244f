#!/usr/bin/env bash
# Prints a folder with Debian's stock kernel: vmlinuz, and the modules that a
# virtual disk needs, in the order in which they are loaded. It is fetched once
# by the package manager and unpacked, not installed.
set -euo pipefail

modules=(virtio/virtio_ring virtio/virtio virtio/virtio_pci_modern_dev
    virtio/virtio_pci_legacy_dev virtio/virtio_pci block/virtio_blk)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/whence/kernel

fail() {
    echo "$1" >&2
    exit 1
}

# The image that the meta package stands for today; offline, one that is here.
package=$(apt-cache depends linux-image-amd64 2>/dev/null | sed -n 's/.*Depends: //p' | head -1)
if [ -z "$package" ] || ! apt-cache show "$package" >/dev/null 2>&1; then
    package=$(ls -t "$cache" 2>/dev/null | head -1)
fi
[ -n "$package" ] || fail "the package manager knows no linux-image-amd64"
[[ $package == linux-image-6.1.* ]] || fail "the second kernel is 6.1, and here is $package"
kernel=$cache/$package
if [ ! -e "$kernel/vmlinuz" ]; then
    mkdir -p "$cache"
    work=$(mktemp -d "$cache/.fetch.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    cd "$work"
    apt-get download -qq "$package" >/dev/null 2>&1 || fail "failed to download $package"
    dpkg-deb --fsys-tarfile ./*.deb | tar x
    mkdir kernel
    mv boot/vmlinuz-* kernel/vmlinuz
    n=0
    for module in "${modules[@]}"; do
        n=$((n + 1))
        mv lib/modules/*/kernel/drivers/"$module.ko" "kernel/$n-${module#*/}.ko"
    done
    # Renamed when it is whole: a fetch that was cut off leaves nothing.
    mv kernel "$kernel" 2>/dev/null || [ -e "$kernel/vmlinuz" ]
fi
echo "$kernel"
