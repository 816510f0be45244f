#!/usr/bin/env python3
"""How fast a recording larger than most answers, beside DuckDB on the same files.

    sql.py PROGRAMS [--events 10] [--samples 100] [--grow 1,10] [--rounds 3] [--scratch DIR]

PROGRAMS is the folder with whence and whence-generate; sizes are in millions. Each
question is asked by a process of its own, in turns, on two CPUs; recordings are in
the page cache. What whence answers is compared with DuckDB's answer, and what it
answers in 256 MB with its answer in all memory: a difference ends the run. DuckDB's
time begins when it is loaded, whence's with its process. Prints Markdown.
"""

import argparse
import hashlib
import json
import math
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import questions
from side_by_side import machine

CPUS = sorted(os.sched_getaffinity(0))[:2]
# Samples on one distinct stack, and lifecycle events of one process.
SAMPLES_PER_STACK = 100
EVENTS_PER_PROCESS = 3
# Seconds after which recursive SQL is given up.
PATIENCE_S = 300

DUCKDB = """
import json, resource, sys, time
import duckdb
asked = json.load(sys.stdin)
begin, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF)
database = duckdb.connect(config={"threads": asked["threads"]})
database.execute("SET enable_progress_bar = false")
for table, files in asked["tables"].items():
    database.execute(f"CREATE VIEW {table} AS SELECT * FROM read_parquet('{files}')")
rows = database.execute(asked["sql"]).fetchall()
seconds, after = time.monotonic() - begin, resource.getrusage(resource.RUSAGE_SELF)
cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
json.dump({"seconds": seconds, "cpu": cpu, "rows": rows}, sys.stdout, default=int)
"""


class Run:
    """One answer, and what it took."""

    def __init__(self, seconds, cpu_s, rss_bytes, status, said, text):
        self.seconds, self.cpu_s, self.rss_bytes = seconds, cpu_s, rss_bytes
        self.status, self.said, self.text = status, said, text


def run(command, stdin=None, patience_s=None):
    """Runs a program on two CPUs, with what it took."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as said, tempfile.TemporaryFile("w+") as fed:
        fed.write(stdin or "")
        fed.seek(0)
        begin = time.monotonic()
        child = subprocess.Popen(command, stdin=fed, stdout=out, stderr=said,
                                 preexec_fn=lambda: os.sched_setaffinity(0, CPUS))
        while True:
            pid, status, usage = os.wait4(child.pid, os.WNOHANG if patience_s else 0)
            if pid:
                break
            if time.monotonic() - begin > patience_s:
                child.kill()
            time.sleep(0.005)
        seconds = time.monotonic() - begin
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        said.seek(0)
        return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024,
                   child.returncode, said.read(), out.read())


class Bench:
    """The programs, and a folder for recordings."""

    def __init__(self, options, folder):
        self.whence = str(options.programs.absolute() / "whence")
        self.generate = str(options.programs.absolute() / "whence-generate")
        self.rounds, self.folder = options.rounds, pathlib.Path(folder)

    def recording(self, name, compact=False, **sizes):
        """A recording of these sizes in millions; the same options give the same rows.
        One that is compacted has its table of processes complete, whatever its size."""
        path = self.folder / f"{name}.whence"
        if not path.exists():
            command = [self.generate, "-o", str(path), "--segment", "60"]
            for option, value in sizes.items():
                command.append("--" + option.replace("_", "-"))
                if value is not True:
                    command.append(value if isinstance(value, str) else f"{value:.6f}M")
            subprocess.run(command, check=True)
            if compact:
                subprocess.run([self.whence, "compact", str(path)], check=True, stdout=subprocess.DEVNULL)
        return str(path)

    def ask(self, recording, arguments, *, human=False, memory=None):
        """whence's answer."""
        command = [self.whence, arguments[0], "-i", recording, *([] if human else ["--format", "json"])]
        if memory:
            command += ["--max-memory", memory]
        command += arguments[1:]
        answer = run(command)
        if answer.status:
            raise SystemExit(f"{' '.join(command)}: exit {answer.status}: {answer.said.strip()}")
        return answer

    def ask_duckdb(self, recording, sql):
        """DuckDB's answer; `None` if it took too long."""
        folders = [p for p in pathlib.Path(recording).iterdir() if p.is_dir() and any(p.glob("*.parquet"))]
        asked = {"threads": len(CPUS), "sql": sql,
                 "tables": {p.name: f"{p}/*.parquet" for p in folders}}
        answer = run([sys.executable, "-c", DUCKDB], json.dumps(asked), PATIENCE_S)
        if answer.status == -9:
            return None
        if answer.status:
            raise SystemExit(f"DuckDB: exit {answer.status}: {answer.said.strip()}\n{sql}")
        said = json.loads(answer.text)
        answer.seconds, answer.cpu_s, answer.rows = said["seconds"], said["cpu"], said["rows"]
        return answer

    def compare(self, name, recording, arguments, rows_of, sql):
        """Asks both in turns. Gives their runs; none of DuckDB's if it took too long."""
        ours, theirs = [], []
        for _ in range(self.rounds):
            ours.append(self.ask(recording, arguments))
            other = self.ask_duckdb(recording, sql) if sql else None
            if other is None:
                sql = None
                continue
            theirs.append(other)
            rows = rows_of([json.loads(line) for line in parse(ours[-1].text)])
            if rows != other.rows:
                raise SystemExit(f"{name}: answers differ:\nwhence {rows[:5]}\nDuckDB {other.rows[:5]}")
        return ours, theirs


def parse(text):
    """Lines of an array of objects."""
    lines = (line.strip().rstrip(",") for line in text.splitlines())
    return [line for line in lines if line.startswith("{")]


def median(runs, of):
    return statistics.median(getattr(run, of) for run in runs)


def figures(runs):
    """Seconds, seconds of CPU, and the most memory, as cells."""
    if not runs:
        return [f"over {PATIENCE_S}", "", ""]
    rss = max(run.rss_bytes for run in runs)
    return [f"{median(runs, 'seconds'):.2f}", f"{median(runs, 'cpu_s'):.2f}", f"{rss / 1e6:.0f}"]


def row(*cells):
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def head(*names):
    print()
    row(*names)
    row("---", *["---:"] * (len(names) - 1))


BOTH = ["s", "CPU s", "MB", "DuckDB s", "CPU s", "MB", "ratio", "ratio of CPU"]


def beside(bench, asked):
    """A table of questions asked of both; gives the ratios of time and of CPU."""
    head("question", *BOTH)
    ratios = []
    for name, (recording, arguments, rows_of, sql) in asked.items():
        ours, theirs = bench.compare(name, recording, arguments, rows_of, sql)
        both = [""] * 2
        if theirs:
            of = [median(ours, what) / max(median(theirs, what), 1e-3) for what in ("seconds", "cpu_s")]
            ratios.append(of)
            both = [f"{ratio:.2f}" if ratio >= 0.1 else f"{ratio:.3f}" for ratio in of]
        row(name, *figures(ours), *figures(theirs), *both)
    return ratios


def geometric_mean(values):
    return math.exp(statistics.fmean(map(math.log, values)))


def aggregates(bench, life, samples):
    print("\n### Aggregates, beside DuckDB on the same files")
    def of(recording, library):
        values = lambda rows: [list(r.values()) for r in rows]
        return {name: (recording, ["query", sql], values, sql) for name, sql in library.items()}
    asked = of(life, questions.AGGREGATES) | of(samples, questions.SAMPLE_AGGREGATES)
    ratios = beside(bench, asked)
    for at, what in enumerate(["time", "CPU time"]):
        each = [ratio[at] for ratio in ratios]
        print(f"\nRatio of {what}: geometric mean {geometric_mean(each):.2f}, worst {max(each):.2f}, "
              f"of {len(each)} questions.")


def trees_and_paths(bench, life, samples):
    print("\n### Trees and paths, beside SQL that recurses or takes stacks apart")
    rows = [json.loads(line) for line in parse(bench.ask(samples, ["top", "--rows", "10"]).text)]
    function = [r["name"] for r in rows if r["kind"] == "function" and "+0x" not in r["name"]][-1]
    asked = {name: (life, *of) for name, of in questions.trees("awk", "ci-runner").items()}
    asked |= {name: (samples, *of) for name, of in questions.paths(function).items()}
    beside(bench, asked)


# A row for each process, with every column that takes something to find.
DERIVED = """
    SELECT source, count(*) AS n, max(depth) AS depth, count(cmdline) AS lines, count(cwd) AS folders,
      sum(uid) AS uids, sum(end_ns - start_ns) AS ns, sum(max_rss_bytes) AS rss, sum(tree_last - tree_first) AS below
    FROM process GROUP BY source ORDER BY source"""
BELOW_RUNNER = "SELECT count(*) AS n FROM descendants((SELECT upid FROM process WHERE comm = 'ci-runner'))"
ABOVE_LAST = "SELECT count(*) AS n FROM ancestors((SELECT max(upid) FROM process))"


def shapes(bench, options, life):
    print("\n### Shapes")
    million = min(1.0, options.events / 10)
    cut = bench.recording("cut-off", processes=options.events / EVENTS_PER_PROCESS, cut_off=True)
    chain = bench.recording("chain", compact=True, processes=million, shape="chain")
    star = bench.recording("star", compact=True, processes=million, shape="star")
    whole, derived = (bench.ask(recording, ["query", DERIVED]).text for recording in (life, cut))
    if whole != derived:
        raise SystemExit(f"the derived table differs:\n{whole}\n{derived}")
    asked = {f"{options.events:g} M events, cut off: table `process` derived": (cut, ["query", DERIVED])}
    for name, recording in ((f"chain, {million:g} M deep", chain), (f"star, {million:g} M wide", star)):
        asked[f"{name}: descendants"] = (recording, ["query", BELOW_RUNNER])
        asked[f"{name}: ancestors"] = (recording, ["query", ABOVE_LAST])
        asked[f"{name}: who python3"] = (recording, ["who", "python3"])
        asked[f"{name}: tree --match"] = (recording, ["tree", "--match", "queue 7$"])
    head("question", "s", "CPU s", "MB")
    for name, (recording, arguments) in asked.items():
        human = arguments[0] in ("who", "tree")
        row(name, *figures([bench.ask(recording, arguments, human=human) for _ in range(bench.rounds)]))


def growth(bench, sizes):
    print("\n### Growth")
    asked = {
        "who awk": (["who", "awk"], True), "tree --match awk": (["tree", "--match", "^awk"], True),
        "execs by parent and program": (["query", questions.AGGREGATES["execs by parent and program"]], False),
        "fork to exec": (["query", questions.AGGREGATES["fork to exec"]], False),
        "CPU time by thread": (["query", questions.SAMPLE_AGGREGATES["CPU time by thread"]], False),
        "top": (["top"], True), "why do_syscall_64": (["why", "do_syscall_64"], True),
    }
    head("question", *[f"{size:g} M: {what}" for size in sizes for what in ("s", "CPU s", "MB")])
    recordings = [
        bench.recording(f"grow-{size:g}", compact=True, processes=size / EVENTS_PER_PROCESS, samples=size, stacks=min(size / 10, 1))
        for size in sizes]
    for name, (arguments, human) in asked.items():
        cells = []
        for recording in recordings:
            cells += figures([bench.ask(recording, arguments, human=human) for _ in range(bench.rounds)])
        row(name, *cells)


def in_little_memory(bench, life, samples):
    print("\n### In 256 MB, with the same bytes out")
    asked = {
        "who awk": (life, ["who", "awk"], True),
        "tree --match awk": (life, ["tree", "--match", "^awk"], True),
        "descendants": (life, ["query", BELOW_RUNNER], False),
        "replay": (life, ["replay"], True),
        "top": (samples, ["top"], True),
        "why do_syscall_64": (samples, ["why", "do_syscall_64"], True),
    }
    asked |= {name: (life, ["query", sql], False) for name, sql in questions.AGGREGATES.items()}
    asked |= {name: (samples, ["query", sql], False) for name, sql in questions.SAMPLE_AGGREGATES.items()}
    head("question", "s", "CPU s", "MB", "in 256 MB: s", "CPU s", "MB")
    for name, (recording, arguments, human) in asked.items():
        runs = [bench.ask(recording, arguments, human=human, memory=memory) for memory in (None, "256MB")]
        if len({hashlib.sha256(run.text.encode()).digest() for run in runs}) != 1:
            raise SystemExit(f"{name}: the answer in 256 MB differs")
        row(name, *figures(runs[:1]), *figures(runs[1:]))


TABLES = ["aggregates", "trees", "shapes", "growth", "memory"]


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("programs", type=pathlib.Path)
    arguments.add_argument("--events", type=float, default=10, help="millions of lifecycle events")
    arguments.add_argument("--samples", type=float, default=100, help="millions of samples")
    arguments.add_argument("--grow", default="1,10", help="millions of both, for the table of growth")
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--only", choices=TABLES, action="append", help="this table; may be repeated")
    arguments.add_argument("--scratch", type=pathlib.Path, help="a folder for recordings, which are kept")
    options = arguments.parse_args()
    only = options.only or TABLES
    folder = options.scratch or tempfile.mkdtemp(prefix="whence-bench-")
    try:
        bench = Bench(options, folder)
        life = bench.recording("life", compact=True, processes=options.events / EVENTS_PER_PROCESS)
        samples = bench.recording("samples", processes=0.01, samples=options.samples,
                                  stacks=options.samples / SAMPLES_PER_STACK)
        import duckdb
        print(f"{options.events:g} M lifecycle events; {options.samples:g} M samples on "
              f"{options.samples / SAMPLES_PER_STACK:g} M stacks; medians of {options.rounds}, memory is the most.")
        print(machine(f"DuckDB {duckdb.__version__}, {len(CPUS)} threads each") + ".")
        if "aggregates" in only:
            aggregates(bench, life, samples)
        if "trees" in only:
            trees_and_paths(bench, life, samples)
        if "shapes" in only:
            shapes(bench, options, life)
        if "growth" in only:
            growth(bench, [float(size) for size in options.grow.split(",")])
        if "memory" in only:
            in_little_memory(bench, life, samples)
    finally:
        if not options.scratch:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
