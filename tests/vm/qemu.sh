#!/usr/bin/env bash
# qemu.sh KERNEL INITRAMFS CONSOLE OPTIONS...: runs a machine in software emulation
# until it switches itself off. What it says goes to the file CONSOLE; OPTIONS are
# those of qemu, such as its disks. Asked to end, it goes as if its power was cut.
set -euo pipefail
kernel=$1 initramfs=$2 console=$3
shift 3

# Where the processors are busy with others it takes its time.
exec timeout "${WHENCE_VM_SECONDS:-1800}" qemu-system-x86_64 -accel tcg,thread=multi -cpu max \
    -smp 2 -m 1024 -nodefaults -display none -no-reboot -serial "file:$console" \
    -kernel "$kernel/vmlinuz" -initrd "$initramfs" \
    -append "console=ttyS0 panic=-1 quiet no_timer_check" "$@"
