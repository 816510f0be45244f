#!/usr/bin/env python3
"""What recording adds to each process of a storm, against other recorders.

Runs all of them in turns, so that a disturbance of the machine hits all alike,
and prints the medians as a Markdown table:

    storm.py PROGRAMS [--rounds 5] [--count 20000]

PROGRAMS is the folder with whence-record. A recorder that is not installed, or
that does not run here, is listed with the reason.
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

HERE = pathlib.Path(__file__).parent
PERF_EVENTS = ",".join(f"sched:sched_process_{e}" for e in ("fork", "exec", "exit"))
BPFTRACE = "tracepoint:syscalls:sys_enter_execve { printf(\"%d %d \", elapsed, pid); join(args->argv); }"


class Recorder:
    """A recorder: how it is started, and what it says of bytes and losses."""

    def __init__(self, name, keeps, command, output, lost):
        self.name, self.keeps, self.command = name, keeps, command
        self.output, self.lost = output, lost

    def missing(self):
        found = shutil.which(self.command("x")[0])
        return None if found else "not installed"


def size(path):
    path = pathlib.Path(path)
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(f.stat().st_size for f in files if f.is_file())


def recorders(programs):
    record = str(programs / "whence-record")
    yield Recorder(
        "whence", "fork, exec, exit, exact argv, cwd, user, cgroup, stacks of callers",
        lambda out: [record, "-o", out + "/x.whence", "--sample", "0"],
        lambda out: size(out + "/x.whence"),
        lambda said: 0 if "nothing was lost" in said else said.split("LOST:")[-1].splitlines()[0].strip())
    yield Recorder(
        "perf record", "3 events, no argv",
        lambda out: ["perf", "record", "-q", "-a", "-e", PERF_EVENTS, "-o", out + "/perf.data"],
        lambda out: size(out + "/perf.data"),
        lambda said: 0 if "lost" not in said.lower() else "some")
    yield Recorder(
        "bpftrace", "argv, joined",
        lambda out: ["bpftrace", "-o", out + "/text", "-e", BPFTRACE],
        lambda out: size(out + "/text"),
        lambda said: sum(map(int, re.findall(r"Lost (\d+) events", said))))


def storm(program, count):
    done = subprocess.run([program, str(count), str(os.cpu_count())], capture_output=True, text=True, check=True)
    return float(done.stdout)


def record(recorder, program, count):
    """Microseconds per process, bytes per process, what was lost; or a reason."""
    with tempfile.TemporaryDirectory() as out, open(out + "/said", "w+") as said:
        child = subprocess.Popen(recorder.command(out), stdout=said, stderr=said)
        time.sleep(2.5)
        if child.poll() is not None:
            said.seek(0)
            return said.read().strip().splitlines()[-1]
        us = storm(program, count)
        time.sleep(1)
        child.send_signal(signal.SIGINT)
        child.wait(timeout=120)
        said.seek(0)
        return us, recorder.output(out) / count, recorder.lost(said.read())


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("programs", type=pathlib.Path)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--count", type=int, default=20000)
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as build:
        program = build + "/storm"
        subprocess.run(["gcc", "-O2", "-static", "-o", program, HERE / "storm.c"], check=True)
        bench(options, program)


def bench(options, program):
    known = list(recorders(options.programs))
    reasons = {r.name: r.missing() for r in known}
    alone, runs = [], {r.name: [] for r in known}
    for _ in range(options.rounds):
        for recorder in known:
            if reasons[recorder.name]:
                continue
            # Each beside a run without any: the machine is not the same twice.
            before = storm(program, options.count)
            result = record(recorder, program, options.count)
            if isinstance(result, str):
                reasons[recorder.name] = result
                continue
            alone.append(before)
            runs[recorder.name].append((result[0] - before, *result[1:]))
    report(options, known, reasons, alone, runs)


def report(options, known, reasons, alone, runs):
    kernel = os.uname().release
    print(f"{options.count} processes, {os.cpu_count()} CPUs, Linux {kernel}, median of {options.rounds} pairs;")
    print(f"without a recorder {statistics.median(alone):.1f} us per process"
          f" ({min(alone):.1f} to {max(alone):.1f}).\n")
    print("| recorder | added us per process | spread | bytes per process | lost | keeps |")
    print("| --- | --- | --- | --- | --- | --- |")
    for recorder in known:
        if not runs[recorder.name]:
            print(f"| {recorder.name} | {reasons[recorder.name]} | | | | {recorder.keeps} |")
            continue
        added, size_, lost = zip(*runs[recorder.name])
        worst = max(lost, key=lambda l: (isinstance(l, str), l))
        print(f"| {recorder.name} | {statistics.median(added):+.1f} | {min(added):+.1f} to {max(added):+.1f} "
              f"| {statistics.median(size_):.0f} | {worst} | {recorder.keeps} |")


if __name__ == "__main__":
    main()
