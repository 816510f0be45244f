#!/usr/bin/env bash
# Records this host while two stories happen, and prints the answers.
#
#   demo.sh PROGRAMS     the folder with whence and whence-record
set -euo pipefail

programs=$1
here=$(cd "$(dirname "$0")" && pwd)
whence=$programs/whence
recording=whence-demo.whence
block_file=$(mktemp ./whence-demo.XXXXXX)
pids=()

cleanup() {
    for pid in "${pids[@]}"; do
        kill "$pid" 2>/dev/null || true
    done
    rm -f "$block_file"
}
trap cleanup EXIT

say() { printf '\n\033[1m$ %s\033[0m\n' "$*"; }

# Writes past the page cache, so that block requests complete.
disk_work() {
    while :; do
        dd if=/dev/zero of="$block_file" bs=256k count=16 oflag=direct status=none ||
            dd if=/dev/zero of="$block_file" bs=256k count=16 conv=fsync status=none
        sleep 0.3
    done 2>/dev/null
}

rm -rf "$recording"
"$here/ksmtuned" &
pids+=($!)
disk_work &
pids+=($!)
sleep 1

say "whence record -d 8s -s tracepoint:block:block_rq_complete -o $recording"
"$whence" record -d 8s -s tracepoint:block:block_rq_complete -o "$recording"

say "whence who awk"
"$whence" who awk -i "$recording"
say "whence replay | head"
"$whence" replay -i "$recording" | grep -m 6 -E ' (awk|pgrep|sleep) '
say "whence why block_rq_complete"
"$whence" why block_rq_complete -i "$recording"

cat <<END

The recording is $recording. Go on with:
  $whence info -i $recording
  $whence tree -i $recording --match ksmtuned
  $whence query -i $recording 'SELECT comm, count(*) FROM exec GROUP BY comm'
END
