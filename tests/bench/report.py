#!/usr/bin/env python3
"""How large a report is, and how long a browser takes to open it.

    report.py PROGRAMS [--processes 10k] [--stacks 10k] [--rounds 5]

PROGRAMS is the folder with whence and whence-generate. The browser is headless
chromium, driven by chromedriver, with an empty profile each time. Prints Markdown.
"""

import argparse
import pathlib
import shutil
import subprocess
import tempfile
import time

from browser import Browser
from side_by_side import machine, spread, version

def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("programs", type=pathlib.Path)
    arguments.add_argument("--processes", default="10k")
    arguments.add_argument("--stacks", default="10k")
    arguments.add_argument("--samples", default="200k")
    arguments.add_argument("--rounds", type=int, default=5)
    options = arguments.parse_args()
    missing = [program for program in ("chromium", "chromedriver") if not shutil.which(program)]
    if missing:
        print(f"The report was not opened: {' and '.join(missing)} not installed.")
        return
    with tempfile.TemporaryDirectory() as folder:
        recording, page = f"{folder}/x.whence", pathlib.Path(folder, "x.html")
        shape = ["--processes", options.processes, "--stacks", options.stacks, "--samples", options.samples]
        subprocess.run([options.programs / "whence-generate", *shape, "-o", recording], check=True, stderr=subprocess.DEVNULL)
        begin = time.monotonic()
        said = subprocess.run([options.programs / "whence", "report", "-i", recording, "-o", page],
                              check=True, capture_output=True, text=True).stderr.strip().splitlines()[-1]
        made_s = time.monotonic() - begin
        opened = []
        for _ in range(options.rounds):
            with Browser() as browser:
                opened.append(browser.open(page))
        print(f"A report of {options.processes} processes and {options.samples} samples of {options.stacks} "
              f"call paths: {said.removeprefix('whence: ')}.")
        print(machine(version(["chromium", "--version"])) + ".\n")
        print("| size, MB | s to make | ms to open | spread |")
        print("| ---: | ---: | ---: | --- |")
        print(f"| {page.stat().st_size / 1e6:.2f} | {made_s:.1f} | {spread(opened, '{:.0f}')} |")


if __name__ == "__main__":
    main()
