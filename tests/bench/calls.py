#!/usr/bin/env python3
"""What recording adds to each system call of the host, of which nothing is recorded.

    calls.py PROGRAMS [--rounds 5]

PROGRAMS is the folder with whence-record. A recorder that is not installed, or
that does not run here, is listed with the reason. Prints Markdown.
"""

import argparse
import pathlib
import subprocess
import tempfile

from side_by_side import Recorder, build, machine, spread, statistics, take_turns, version
from storm import BPFTRACE, PERF_EVENTS

ARGV = "bpftrace, argv"


def recorders(programs):
    record = str(programs / "whence-record")
    whence = lambda *options: lambda out: [record, "-o", out + "/x.whence", "--sample", "0", *options]
    yield Recorder("whence", whence(), output="x.whence")
    yield Recorder("whence --no-failed-execs", whence("--no-failed-execs"), output="x.whence")
    yield Recorder("perf record", lambda out: ["perf", "record", "-a", "-e", PERF_EVENTS, "-o", out + "/perf.data"],
                   output="perf.data")
    yield Recorder(ARGV, lambda out: ["bpftrace", "-o", out + "/text", "-e", BPFTRACE[ARGV]], output="text")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("programs", type=pathlib.Path)
    arguments.add_argument("--rounds", type=int, default=5)
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        program = build("calls.c", folder)
        load = lambda _: float(subprocess.run([program], capture_output=True, text=True, check=True).stdout)
        known = list(recorders(options.programs.absolute()))
        pairs, reasons = take_turns(known, load, options.rounds)
    alone = [pair[0] for of_one in pairs.values() for pair in of_one]
    print(f"getppid(2), the best of 40 times 100,000, {options.rounds} pairs; {statistics.median(alone):.0f} ns without "
          f"a recorder ({min(alone):.0f} to {max(alone):.0f}).")
    print(machine(version(["perf", "--version"]), version(["bpftrace", "--version"])) + ".\n")
    print("| recorder | added ns per system call | spread |")
    print("| --- | ---: | --- |")
    for recorder in known:
        if recorder.name in reasons:
            print(f"| {recorder.name} | not run: {reasons[recorder.name]} | |")
        else:
            added = [recorded - alone for alone, recorded, _ in pairs[recorder.name]]
            print(f"| {recorder.name} | {spread(added, '{:+.0f}')} |")


if __name__ == "__main__":
    main()
