#!/usr/bin/env python3
"""How soon a recorder records, how much memory it takes while nothing happens,
and how large its program is.

    start.py PROGRAMS [--rounds 5]

PROGRAMS is the folder with whence-record. Prints Markdown.
"""

import argparse
import os
import pathlib
import re
import shutil
import signal
import statistics
import subprocess
import tempfile
import time

from side_by_side import cpu_s, machine, spread, version

BPFTRACE = "tracepoint:syscalls:sys_enter_execve { join(args->argv); }"
# A mark every so often: an exec with the time since the recorder's in argv.
EVERY_S = 0.005


def recorders(programs):
    record = str(programs / "whence-record")
    probes = [option for group in PROBES for option in ("-s", f"tracepoint:{group}:*")]
    yield "whence", [record, "-o", "x.whence", "--print", "--sample", "0"]
    yield "whence, CPU samples and some 50 probes", [record, "-o", "x.whence", "--print", *probes]
    yield "bpftrace, argv", ["bpftrace", "-e", BPFTRACE]


# Groups of tracepoints: 52 in Linux 6.18, few of them hit while nothing happens.
PROBES = ["writeback", "vmscan"]


def start(command, folder):
    """Seconds until the first mark is seen, seconds of CPU and bytes of memory when idle."""
    with open(folder + "/said", "w") as said:
        begin = time.monotonic()
        child = subprocess.Popen(command, stdout=said, stderr=subprocess.PIPE, cwd=folder)
        while time.monotonic() - begin < 2:
            subprocess.run(["/bin/true", f"mark-{time.monotonic() - begin:.4f}"], check=True)
            time.sleep(EVERY_S)
        if child.poll() is not None:
            return child.stderr.read().decode().strip().splitlines()[-1]
        before = cpu_s(child.pid)
        time.sleep(5)
        idle = (cpu_s(child.pid) - before) / 5
        status = pathlib.Path(f"/proc/{child.pid}/status").read_text()
        memory = int(re.search(r"VmRSS:\s+(\d+)", status)[1]) * 1024
        child.send_signal(signal.SIGINT)
        child.communicate(timeout=60)
    marks = re.findall(r"mark-([\d.]+)", pathlib.Path(folder + "/said").read_text())
    return (min(map(float, marks)), idle, memory) if marks else "no mark was seen"


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("programs", type=pathlib.Path)
    arguments.add_argument("--rounds", type=int, default=5)
    options = arguments.parse_args()
    runs, reasons = {}, {}
    for _ in range(options.rounds):
        for name, command in recorders(options.programs.absolute()):
            with tempfile.TemporaryDirectory() as folder:
                result = start(command, folder) if shutil.which(command[0]) else "not installed"
            if isinstance(result, str):
                reasons[name] = result
            else:
                runs.setdefault(name, []).append(result)
    print(f"Median of {options.rounds} starts, in turns; memory and CPU of five idle seconds.")
    print(machine(version(["bpftrace", "--version"])) + ".\n")
    print("| recorder | ms until it records | spread | idle CPU, % of one | memory, MB | program, MB |")
    print("| --- | ---: | --- | ---: | ---: | ---: |")
    for name, command in recorders(options.programs.absolute()):
        if name not in runs:
            print(f"| {name} | not run: {reasons.get(name)} | | | | |")
            continue
        first, idle, memory = zip(*runs[name])
        program = os.stat(os.path.realpath(shutil.which(command[0]))).st_size
        print(f"| {name} | {spread([s * 1e3 for s in first], '{:.0f}')} | {statistics.median(idle) * 100:.2f} "
              f"| {statistics.median(memory) / 1e6:.0f} | {program / 1e6:.1f} |")


if __name__ == "__main__":
    main()
