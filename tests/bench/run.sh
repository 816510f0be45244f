#!/usr/bin/env bash
# Runs all benchmarks and writes their page: run.sh PROGRAMS PAGE. What is said of
# the figures comes from about.md. BENCH_SQL gives sql.py other sizes; TRACEXEC, if
# set, compares tracexec too.
set -euo pipefail
cd "$(dirname "$0")"/../..

programs=$1 page=$2
[ "$(id -u)" = 0 ] && sudo=() || sudo=(sudo)
# Written whole or not at all.
draft=$(mktemp)
trap 'rm -f "$draft"' EXIT

section() {
    printf '\n## %s\n\n' "$1" >>"$draft"
    shift
    echo "$*" >&2
    "$@" >>"$draft"
}

cat tests/bench/about.md >"$draft"
section "A storm of processes" "${sudo[@]}" tests/bench/storm.py "$programs" ${TRACEXEC:+--tracexec}
section "System calls" "${sudo[@]}" tests/bench/calls.py "$programs"
section "CPU samples" "${sudo[@]}" tests/bench/samples.py "$programs"
section "Reading samples" "${sudo[@]}" tests/bench/reading.py "$programs"
section "Starting, and doing nothing" "${sudo[@]}" tests/bench/start.py "$programs"
section "Asking" "${PYTHON:-python3}" tests/bench/sql.py "$programs" ${BENCH_SQL:-}
section "Reports" tests/bench/report.py "$programs"
install -m 644 "$draft" "$page"
