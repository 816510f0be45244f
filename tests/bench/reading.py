#!/usr/bin/env python3
"""How many samples a second are read and answered from, beside perf on the same load.

    reading.py PROGRAMS [--seconds 60] [--rounds 3]

PROGRAMS is the folder with whence and whence-record. One load is recorded twice, by
each recorder alone; then each is asked in turns, by a process of its own. Shares of
the heaviest functions are compared: a difference of more than two points ends the
run. Prints Markdown.
"""

import argparse
import json
import os
import pathlib
import re
import signal
import statistics
import subprocess
import tempfile
import time

from side_by_side import build, machine, version

HZ = 4999
# Functions that are compared, and by how many points of a hundred they may differ.
COMPARED = 8
POINTS = 2.0


def record(command, load):
    """Runs the load while a recorder of the whole host records; gives what it said."""
    with tempfile.TemporaryFile("w+") as said:
        child = subprocess.Popen(command, stdout=said, stderr=said, stdin=subprocess.DEVNULL)
        time.sleep(2.5)
        load()
        child.send_signal(signal.SIGINT)
        child.wait()
        said.seek(0)
        return said.read()


def timed(command):
    """What a program printed, and how long it took."""
    begin = time.monotonic()
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return time.monotonic() - begin, text


def count(pattern, said):
    found = re.search(pattern, said)
    if not found:
        raise SystemExit(f"no count of samples in: {said.strip()}")
    return int(found[1])


def shares_of_perf(text, program):
    """Self shares of the load's functions, in percent of its samples."""
    rows = re.findall(r"^\s+(\d+\.\d+)%\s+(\S+)\s+\S+\s+\[\.\]\s+(\S+)", text, re.M)
    return {name: float(share) for share, comm, name in rows if comm == program}


def shares_of_whence(text):
    """The same, in percent of all weight."""
    rows = json.loads(text)
    total = sum(row["weight"] for row in rows)
    return {row["function"]: 100 * row["weight"] / total for row in rows}


def compare(ours, theirs):
    """The greatest difference of share among the functions that perf has as heaviest."""
    def of_all(shares):
        total = sum(shares.values())
        return {name: 100 * share / total for name, share in shares.items()}
    ours, theirs = of_all(ours), of_all(theirs)
    heaviest = sorted(theirs, key=theirs.get, reverse=True)[:COMPARED]
    differs = max(abs(ours.get(name, 0) - theirs[name]) for name in heaviest)
    if differs > POINTS:
        both = "\n".join(f"{name}: whence {ours.get(name, 0):.1f} %, perf {theirs[name]:.1f} %" for name in heaviest)
        raise SystemExit(f"shares differ by {differs:.1f} points:\n{both}")
    return differs


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("programs", type=pathlib.Path)
    arguments.add_argument("--seconds", type=float, default=60)
    arguments.add_argument("--rounds", type=int, default=3)
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench(options, folder)


def bench(options, folder):
    program = build("deep.c", folder, "-fno-omit-frame-pointer", "-fno-optimize-sibling-calls", "-pthread")
    whence, recorder = (str(options.programs / name) for name in ("whence", "whence-record"))
    ours, theirs = folder + "/x.whence", folder + "/perf.data"

    def load():
        subprocess.run([program, str(options.seconds), str(os.cpu_count())], check=True, stdout=subprocess.DEVNULL)

    samples = {
        "whence": count(r"sample +(\d+) rows", record(
            [recorder, "-o", ours, "--sample", str(HZ), "--unwind", "fp"], load)),
        "perf": count(r"\((\d+) samples\)", record(
            ["perf", "record", "-F", str(HZ), "-a", "-g", "-o", theirs], load)),
    }
    heaviest = f"""
        SELECT y.function, sum(s.weight) AS weight
        FROM sample s JOIN stack k ON k.stack_id = s.user_stack_id JOIN symbol y ON y.frame_id = k.frame_ids[1]
        WHERE s.comm = '{pathlib.Path(program).name}' AND s.context = 'task' AND s.kernel_stack_id IS NULL
        GROUP BY y.function"""
    function = json.loads(timed(
        [whence, "query", "-i", ours, "--format", "json", heaviest + " ORDER BY weight DESC LIMIT 1"])[1])[0]["function"]
    asked = {
        "whence top": ("whence", [whence, "top", "-i", ours]),
        f"whence why {function}": ("whence", [whence, "why", "-i", ours, function]),
        "perf script": ("perf", ["perf", "script", "-i", theirs]),
        "perf report --stdio": ("perf", ["perf", "report", "--stdio", "-i", theirs]),
    }
    took = {name: [] for name in asked}
    for _ in range(options.rounds):
        for name, (_, command) in asked.items():
            took[name].append(timed(command)[0])
    rates = {name: samples[by] / statistics.median(took[name]) for name, (by, _) in asked.items()}
    differs = compare(
        shares_of_whence(timed([whence, "query", "-i", ours, "--format", "json", heaviest])[1]),
        shares_of_perf(timed(["perf", "report", "--stdio", "--no-children", "-g", "none", "--sort", "comm,dso,sym", "-i", theirs])[1],
                       pathlib.Path(program).name))
    print(f"{options.seconds:g} s of a load on {os.cpu_count()} CPUs at {HZ} Hz, asked {options.rounds} times; shares of "
          f"the {COMPARED} heaviest functions of the load differ from perf's by {differs:.1f} points at most.")
    print(machine(version(["perf", "--version"])) + ".\n")
    print("| question | samples | s | samples per second | times perf script | times perf report |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for name, (by, _) in asked.items():
        times = [f"{rates[name] / rates[other]:.0f}" if by == "whence" else "" for other in ("perf script", "perf report --stdio")]
        print(f"| {name} | {samples[by]:,} | {statistics.median(took[name]):.2f} | {rates[name]:,.0f} | {times[0]} | {times[1]} |")


if __name__ == "__main__":
    main()
