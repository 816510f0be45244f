#!/usr/bin/env python3
"""What recording adds to each process of a storm, against other recorders.

    storm.py PROGRAMS [--rounds 5] [--count 20000] [--tracexec]

PROGRAMS is the folder with whence-record. A recorder that is not installed, or
that does not run here, is listed with the reason. Prints Markdown.
"""

import argparse
import os
import pathlib
import re
import subprocess
import tempfile

from side_by_side import Recorder, build, lost_of_whence, machine, spread, statistics, take_turns, version

PERF_EVENTS = ",".join(f"sched:sched_process_{e}" for e in ("fork", "exec", "exit"))
BPFTRACE = {
    "bpftrace, argv": "tracepoint:syscalls:sys_enter_execve { printf(\"%d %d \", elapsed, pid); join(args->argv); }",
    "bpftrace, argv and parent": "tracepoint:syscalls:sys_enter_execve { printf(\"%d %d %s %d \", elapsed, pid, "
                                 "comm, curtask->real_parent->tgid); join(args->argv); }",
}
# Tracers that stop each process run a smaller storm, or they would take an hour.
SLOW = 20


def recorders(programs, tracexec):
    record = str(programs / "whence-record")
    yield Recorder(
        "whence", lambda out: [record, "-o", out + "/x.whence", "--sample", "0"],
        output="x.whence", lost=lost_of_whence,
        keeps="fork, exec, exit, exact argv, cwd, user, cgroup, stacks of callers; Parquet")
    yield Recorder(
        "whence --no-failed-execs",
        lambda out: [record, "-o", out + "/x.whence", "--sample", "0", "--no-failed-execs"],
        output="x.whence", lost=lost_of_whence, keeps="the same, but for execs that fail")
    yield Recorder(
        "perf record", lambda out: ["perf", "record", "-a", "-e", PERF_EVENTS, "-o", out + "/perf.data"],
        output="perf.data", lost=lambda said: "some" if "lost" in said.lower() else "0",
        keeps="fork, exec, exit; no argv")
    for name, program in BPFTRACE.items():
        yield Recorder(
            name, lambda out, program=program: ["bpftrace", "-o", out + "/text", "-e", program],
            output="text", lost=lambda said: str(sum(map(int, re.findall(r"Lost (\d+) events", said)))),
            keeps="argv joined; text")
    yield Recorder(
        "strace", lambda out: ["strace", "-f", "-qq", "-e", "trace=execve", "-o", out + "/text"],
        output="text", wraps=True, lost=lambda said: "0", keeps="argv, cut; text")
    if tracexec:
        yield Recorder(
            "tracexec", lambda out: ["tracexec", "log", "-o", out + "/text", "--"],
            output="text", wraps=True, lost=lambda said: "0", keeps="argv, environment; text")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("programs", type=pathlib.Path)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--count", type=int, default=20000)
    arguments.add_argument("--tracexec", action="store_true")
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench(options, build("storm.c", folder, "-static"))


def bench(options, program):
    def storm(tracer):
        count = options.count // SLOW if tracer else options.count
        done = subprocess.run([*tracer, program, str(count), str(os.cpu_count())],
                              capture_output=True, text=True, check=True)
        return float(done.stdout.split()[-1])

    known = list(recorders(options.programs, options.tracexec))
    pairs, reasons = take_turns(known, storm, options.rounds)
    alone = [pair[0] for of_one in pairs.values() for pair in of_one]
    print(f"{options.count} processes from {os.cpu_count()} workers, {options.rounds} pairs; "
          f"{statistics.median(alone):.1f} us per process without a recorder "
          f"({min(alone):.1f} to {max(alone):.1f}).")
    print(machine(version(["perf", "--version"]), version(["bpftrace", "--version"]),
                  version(["strace", "--version"])) + ".\n")
    print("| recorder | added us per process | spread | CPU us per process | bytes per process | lost | keeps |")
    print("| --- | ---: | --- | ---: | ---: | --- | --- |")
    for recorder in known:
        row(recorder, pairs[recorder.name], reasons.get(recorder.name), options.count)


def row(recorder, pairs, reason, count):
    if not pairs:
        print(f"| {recorder.name} | not run: {reason} | | | | | {recorder.keeps} |")
        return
    processes = count // SLOW if recorder.wraps else count
    added = [recorded - alone for alone, recorded, _ in pairs]
    cpu = [run.cpu_s * 1e6 / processes for _, _, run in pairs if run.cpu_s is not None]
    of_cpu = f"{statistics.median(cpu):.1f}" if cpu else ""
    bytes_ = statistics.median(run.bytes / processes for _, _, run in pairs)
    lost = max((recorder.lost(run.said) for _, _, run in pairs), key=lambda text: (text != "0", text))
    print(f"| {recorder.name} | {spread(added)} | {of_cpu} | {bytes_:.0f} | {lost} | {recorder.keeps} |")


if __name__ == "__main__":
    main()
