#!/usr/bin/env python3
"""What CPU samples cost a load that uses every CPU, and how many bytes each takes.

    samples.py PROGRAMS [--rounds 5] [--seconds 5]

PROGRAMS is the folder with whence-record. Prints Markdown.
"""

import argparse
import os
import pathlib
import re
import subprocess
import tempfile

from side_by_side import Recorder, build, machine, spread, statistics, take_turns, version


def recorders(programs):
    record = str(programs / "whence-record")

    def whence(name, hz, unwind):
        return Recorder(
            name, lambda out: [record, "-o", out + "/x.whence", "--sample", str(hz), "--unwind", unwind],
            output="x.whence", keeps=r"sample +(\d+) rows")

    def perf(name, hz, graph):
        return Recorder(
            name, lambda out: ["perf", "record", "-F", str(hz), "-a", "--call-graph", graph, "-o", out + "/perf.data"],
            output="perf.data", keeps=r"\((\d+) samples\)")

    yield whence("whence --sample 4999 --unwind fp", 4999, "fp")
    yield perf("perf record -F 4999 -g", 4999, "fp")
    yield whence("whence --sample 99 --unwind dwarf", 99, "dwarf")
    yield perf("perf record -F 99 --call-graph dwarf", 99, "dwarf")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("programs", type=pathlib.Path)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--seconds", type=float, default=5)
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench(options, build("deep.c", folder, "-fno-omit-frame-pointer", "-fno-optimize-sibling-calls", "-pthread"))


def bench(options, program):
    def burn(_):
        command = [program, str(options.seconds), str(os.cpu_count())]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    known = list(recorders(options.programs))
    pairs, reasons = take_turns(known, burn, options.rounds)
    print(f"{os.cpu_count()} threads that burn CPU for {options.seconds:g} s in paths 10 to 34 deep, "
          f"the whole host recorded, {options.rounds} pairs.")
    print(machine(version(["perf", "--version"])) + ".\n")
    print("| recorder | work lost, % | spread | recorder's CPU, % of one | samples | bytes per sample |")
    print("| --- | ---: | --- | ---: | ---: | ---: |")
    for recorder in known:
        row(recorder, pairs[recorder.name], reasons.get(recorder.name), options.seconds)


def row(recorder, pairs, reason, seconds):
    if not pairs:
        print(f"| {recorder.name} | not run: {reason} | | | | |")
        return
    lost = [100 * (1 - recorded / alone) for alone, recorded, _ in pairs]
    cpu = statistics.median(run.cpu_s for _, _, run in pairs) * 100 / seconds
    counts = [int(re.search(recorder.keeps, run.said)[1]) for _, _, run in pairs]
    each = statistics.median(run.bytes / count for (_, _, run), count in zip(pairs, counts))
    print(f"| {recorder.name} | {spread(lost)} | {cpu:.1f} | {statistics.median(counts):.0f} | {each:.1f} |")


if __name__ == "__main__":
    main()
