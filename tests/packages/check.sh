#!/usr/bin/env bash
# Installs both packages into a Debian 12 that has nothing else, records in it, asks,
# and removes them again: check.sh FOLDER-OF-DEBS. Needs root, and says why it is
# skipped where it cannot run.
set -euo pipefail

debs=$1
mirror=${WHENCE_MIRROR:-http://deb.debian.org/debian}
skip() {
    echo "skipped the packages: $1"
    exit 0
}

[ "$(id -u)" = 0 ] || skip "run as root"
compgen -G "$debs/*.deb" >/dev/null || skip "there are none; cargo-deb makes them"
command -v debootstrap >/dev/null || skip "debootstrap is not installed"
unshare --mount true 2>/dev/null || skip "no mount namespace can be made here"

work=$(mktemp -d)
trap 'rm -rf --one-file-system "$work"' EXIT
root=$work/root
said=$work/debootstrap.log
if ! debootstrap --variant=minbase bookworm "$root" "$mirror" >"$said" 2>&1; then
    tail -n 3 "$said"
    skip "no Debian 12 can be had from $mirror"
fi
cp "$debs"/*.deb "$root/tmp/"

# In mounts of its own: they go with the shell. The recorder needs the host's pids.
unshare --mount bash -euo pipefail -s "$root" <<'INSIDE'
root=$1
mount --rbind /proc "$root/proc"
mount --rbind /sys "$root/sys"
inside() { chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root "$@"; }
fails() { echo "packages: $1"; exit 1; }

inside sh -c 'dpkg --install /tmp/*.deb' >/dev/null
inside whence --version
inside whence-record --version
# What a small Debian leaves out is listed all the same.
installed=$(inside dpkg --listfiles whence whence-record)
for file in lib/systemd/system/whence-record.service lib/sysusers.d/whence.conf \
    lib/tmpfiles.d/whence.conf share/man/man1/whence-record.1.gz share/man/man1/whence.1.gz \
    share/man/man1/whence-recover.1.gz share/man/man1/whence-replay.1.gz \
    share/man/man1/whence-who.1.gz share/bash-completion/completions/whence \
    share/bash-completion/completions/whence-record; do
    grep -qx "/usr/$file" <<<"$installed" || fails "no /usr/$file"
done
page=$(inside zcat /usr/share/man/man1/whence-record.1.gz)
case $page in *flight*) ;; *) fails "whence-record.1 is not of the recorder" ;; esac
inside whence-record --doctor | tail -n 1
inside whence record --output /tmp/x.whence -- /bin/sh -c '/bin/ls / >/dev/null; /bin/true'
info=$(inside whence info -i /tmp/x.whence)
grep -q "nothing was lost" <<<"$info" || fails "something was lost: $info"
who=$(inside whence who '^ls$' -i /tmp/x.whence)
grep -q ': 1 run$' <<<"$who" || fails "ls is not found: $who"
inside dpkg --purge whence whence-record >/dev/null
left=$(inside sh -c 'ls -d /usr/bin/whence* /etc/default/whence* 2>/dev/null || true')
[ -z "$left" ] || fails "$left is left"
INSIDE
echo "the packages install, run and go"
