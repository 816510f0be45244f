"""Checks a file against the schema that speedscope publishes, and prints, as
JSON, the weight of each function (at the leaf, anywhere). The first frame of
each path is the process."""

import collections
import json
import pathlib
import sys

import jsonschema

release = pathlib.Path(sys.prefix, "npm/node_modules/speedscope/dist/release")
profile = json.load(open(sys.argv[1]))
jsonschema.validate(profile, json.load(open(release / "file-format-schema.json")))

frames = profile["shared"]["frames"]
(only,) = profile["profiles"]
assert len(only["samples"]) == len(only["weights"])
assert only["endValue"] == sum(only["weights"])
functions = collections.defaultdict(lambda: [0, 0])
for stack, weight in zip(only["samples"], only["weights"]):
    path = [frames[frame]["name"] for frame in stack[1:]]
    for function in set(path):
        functions[function][1] += weight
    if path:
        functions[path[-1]][0] += weight
print(json.dumps({"functions": functions, "unit": only["unit"]}))
