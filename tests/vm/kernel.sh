#!/usr/bin/env bash
# kernel.sh VERSION: prints a folder with a stock kernel of Debian, 6.1 of Debian 12
# or 6.12 of its backports: vmlinuz, and the modules that a virtual disk with a file
# system needs, in the order in which they are loaded. It is fetched once by the
# package manager and unpacked, not installed.
set -euo pipefail

version=$1
mirror=${WHENCE_MIRROR:-http://deb.debian.org/debian}
# Those that are built in are not among its files.
modules=(drivers/virtio/virtio_ring drivers/virtio/virtio drivers/virtio/virtio_pci_modern_dev
    drivers/virtio/virtio_pci_legacy_dev drivers/virtio/virtio_pci drivers/block/virtio_blk
    crypto/crc32c_generic lib/libcrc32c lib/crc16 fs/mbcache fs/jbd2/jbd2 fs/ext4/ext4)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/whence/kernels
mkdir -p "$cache"

fail() {
    echo "$1" >&2
    exit 1
}

# One of that version that has been fetched.
here() { find "$cache" -maxdepth 1 -name "linux-image-$version.*" -printf '%T@ %f\n' | sort -n | sed -n '$s/^[^ ]* //p'; }
# The image that the meta package stands for today.
image() { apt-cache "$@" depends linux-image-amd64 2>/dev/null | sed -n 's/.*Depends: //p' | head -1; }

# The package manager with lists of its own: those of this machine lack backports,
# and stay as they are.
apt=()
own_lists() {
    local dir=$cache/apt
    mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror bookworm-backports main" \
        >"$dir/sources.list"
    apt=(-o "Dir::Etc::SourceList=$dir/sources.list" -o Dir::Etc::SourceParts=-
        -o "Dir::State::Lists=$dir/lists" -o "Dir::Cache=$dir/cache" -o APT::Sandbox::User=)
    apt-get "${apt[@]}" update -qq >/dev/null 2>&1 || fail "the package manager cannot reach $mirror"
}

case $version in
6.1)
    package=$(image)
    if [ -z "$package" ] || ! apt-cache show "$package" >/dev/null 2>&1; then
        package=$(here)
    fi
    ;;
6.12)
    package=$(here)
    if [ -z "$package" ]; then
        own_lists
        package=$(image "${apt[@]}")
    fi
    ;;
*) fail "no kernel $version is known" ;;
esac
[ -n "$package" ] || fail "the package manager knows no linux-image-amd64 of $version"
[[ $package == linux-image-$version.* ]] || fail "the kernel is to be $version, and here is $package"
kernel=$cache/$package
if [ ! -e "$kernel/vmlinuz" ]; then
    work=$(mktemp -d "$cache/.fetch.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    cd "$work"
    apt-get "${apt[@]}" download -qq "$package" >/dev/null 2>&1 || fail "failed to download $package"
    dpkg-deb --fsys-tarfile ./*.deb | tar x
    mkdir kernel
    mv boot/vmlinuz-* kernel/vmlinuz
    n=10
    for module in "${modules[@]}"; do
        n=$((n + 1))
        file=$(echo lib/modules/*/kernel/"$module".ko*)
        case $file in
        *.ko.xz) xz -dc "$file" >"kernel/$n-${module##*/}.ko" ;;
        *.ko) mv "$file" "kernel/$n-${module##*/}.ko" ;;
        esac
    done
    # Renamed when it is whole: a fetch that was cut off leaves nothing.
    mv kernel "$kernel" 2>/dev/null || [ -e "$kernel/vmlinuz" ]
fi
echo "$kernel"
