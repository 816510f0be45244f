#!/usr/bin/env python3
"""Takes the pictures of the report in README.md anew, from recordings of this host.

    pictures.py PROGRAMS FOLDER

PROGRAMS is the folder with whence and whence-record, FOLDER where pictures go. Needs
root, make, gcc, chromium and chromedriver. A script builds a program; the second time,
a daemon that it has started looks at memory again and again.
"""

import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "bench"))
from browser import ENTER, ESCAPE, Browser  # noqa: E402

EVENT = "tracepoint:block:block_rq_complete"
BUILD = """#!/bin/bash
sleep 1
make -s -B -j2
sleep 1
"""
WITH_DAEMON = """#!/bin/bash
./ksmtuned &
sleep 2
make -s -B -j2
sleep 3
kill %1
"""
DISK = "for i in 1 2 3 4 5 6; do dd if=/dev/zero of=block bs=256k count=16 conv=fsync status=none; sleep 0.3; done"
MAKEFILE = """
program: $(patsubst %.c,%.o,$(wildcard *.c))
\tgcc -o $@ $^
%.o: %.c
\tgcc -O2 -c $< -o $@
"""
CHOOSE = """
    const box = document.getElementById("event");
    box.value = [...box.options].find((option) => option.textContent === "%s").value;
    box.dispatchEvent(new Event("change"));
"""


def write(folder):
    """What is built, and what builds it."""
    (folder / "Makefile").write_text(MAKEFILE)
    (folder / "main.c").write_text("int main(void) { return 0; }\n")
    for i in range(8):
        functions = (f"int f{i}_{n}(int x) {{ return x * {n} + (x >> {n % 7}); }}\n" for n in range(600 * (i % 3 + 1)))
        (folder / f"part{i}.c").write_text("".join(functions))
    shutil.copy(HERE / "ksmtuned", folder)
    for name, script in (("before", BUILD), ("now", WITH_DAEMON)):
        (folder / name).mkdir()
        (folder / name / "nightly.sh").write_text(script)
        (folder / name / "nightly.sh").chmod(0o755)


def record(programs, folder, name, options, command):
    subprocess.run([programs / "whence-record", *options, "-o", folder / f"{name}.whence", "--", *command],
                   cwd=folder, check=True)


def report(programs, folder, name, *options):
    page = folder / f"{name}.html"
    subprocess.run([programs / "whence", "report", "-i", folder / f"{name}.whence", *options, "-o", page], check=True)
    return page


def main():
    programs, pictures = (pathlib.Path(path).resolve() for path in sys.argv[1:3])
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        write(folder)
        # Whole paths, whatever they cost.
        for name in ("before", "now"):
            record(programs, folder, name, ["--unwind", "dwarf"], [f"{name}/nightly.sh"])
        # Interrupts hit others than those who wait for the disk.
        record(programs, folder, "disk", ["--system-wide", "-s", EVENT], ["sh", "-c", DISK])
        page = report(programs, folder, "now", "--against", folder / "before.whence")
        with Browser(1280, 720) as browser:
            browser.open(page)
            browser.keys("//^nightly/" + ENTER + ESCAPE + "o/awk" + ENTER + ESCAPE)
            browser.picture(pictures / "report-processes.png")
            browser.open(report(programs, folder, "disk"))
            browser.keys("t3")
            browser.run(CHOOSE % EVENT)
            browser.picture(pictures / "report-paths.png")
        # No more than the first list.
        with Browser(1280, 400) as browser:
            browser.open(page)
            browser.keys("5")
            browser.picture(pictures / "report-changes.png")


if __name__ == "__main__":
    main()
