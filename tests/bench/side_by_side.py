"""Runs recorders beside each other, in turns, and tells what each has cost.

A machine is not the same twice: each run of a recorder stands beside one of the
load alone, all recorders take turns, and medians and spreads are of the pairs.
"""

import os
import pathlib
import platform
import re
import shutil
import signal
import statistics
import subprocess
import tempfile
import time

HERE = pathlib.Path(__file__).parent


class Recorder:
    """A recorder: its command for a folder of output, and how to read its end."""

    def __init__(self, name, command, *, output, lost=None, keeps="", before=None, wraps=False):
        self.name, self.command, self.keeps = name, command, keeps
        self.output = output  # file or folder it writes, below the folder given
        self.lost = lost or (lambda said: "not said")
        # A tracer that runs the load as its child instead of beside it.
        self.wraps = wraps
        self.before = before

    def missing(self):
        program = self.command("x")[0]
        return None if shutil.which(program) else f"{program} is not installed"


class Run:
    """What a recorder has left behind, and the CPU time that it took while it recorded:
    not to start, nor to end. None where it is not known."""

    def __init__(self, bytes_, cpu_s, said):
        self.bytes, self.cpu_s, self.said = bytes_, cpu_s, said


class Failed(Exception):
    """A recorder that does not run here, with what it said."""


def build(source, folder, *flags):
    program = os.path.join(folder, pathlib.Path(source).stem)
    subprocess.run(["gcc", "-O2", *flags, "-o", program, HERE / source], check=True)
    return program


def size(path):
    path = pathlib.Path(path)
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(f.stat().st_size for f in files if f.is_file())


def beside(recorder, load, settle_s=2.5):
    """Runs the load while the recorder records; gives the load's result and a Run."""
    with tempfile.TemporaryDirectory() as out, open(out + "/said", "w+") as said:
        command = recorder.command(out)
        if recorder.wraps:
            result = load(command)
            return result, Run(size(f"{out}/{recorder.output}"), None, "")
        child = subprocess.Popen(command, stdout=said, stderr=said, stdin=subprocess.DEVNULL)
        time.sleep(settle_s)
        if child.poll() is not None:
            said.seek(0)
            text = said.read().strip()
            raise Failed(text.splitlines()[-1] if text else f"exit {child.returncode}")
        before = cpu_s(child.pid)
        result = load([])
        time.sleep(1)
        cpu = cpu_s(child.pid) - before
        child.send_signal(signal.SIGINT)
        child.wait()
        said.seek(0)
        return result, Run(size(f"{out}/{recorder.output}"), cpu, said.read())


def cpu_s(pid):
    """CPU time of a process that runs."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def take_turns(recorders, load, rounds):
    """Pairs of (load alone, load recorded, Run) by recorder, and why others failed."""
    reasons = {r.name: r.missing() for r in recorders if r.missing()}
    pairs = {r.name: [] for r in recorders}
    for _ in range(rounds):
        for recorder in recorders:
            if recorder.name in reasons:
                continue
            alone = load([])
            try:
                recorded, run = beside(recorder, load)
            except Failed as failed:
                reasons[recorder.name] = str(failed)
                continue
            pairs[recorder.name].append((alone, recorded, run))
    return pairs, reasons


def spread(values, form="{:+.1f}"):
    """Median, and least to greatest."""
    show = form.format
    return f"{show(statistics.median(values))} | {show(min(values))} to {show(max(values))}"


def lost_of_whence(said):
    if "nothing was lost" in said:
        return "0"
    found = re.search(r"LOST: (.*)", said)
    return found[1] if found else "not said"


def version(command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return "not installed"
    return (done.stdout or done.stderr).strip().splitlines()[0]


def machine(*versions):
    """The line that says where figures come from."""
    model = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    host = f"{os.cpu_count()} CPUs ({model[1] if model else platform.machine()}), Linux {platform.release()}"
    return "; ".join([host, *versions])
