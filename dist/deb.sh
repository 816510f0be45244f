#!/usr/bin/env bash
# Makes the Debian packages of programs that are built, with the pages that lie in
# dist/pages: deb.sh WHENCE-RECORD WHENCE FOLDER-FOR-PACKAGES
set -euo pipefail

programs=("$(realpath "$1")" "$(realpath "$2")")
mkdir -p "$3"
packages=$(realpath "$3")
cd "$(dirname "$0")/.."

# cargo deb takes them from where a release lies.
stage=$packages/stage
mkdir -p "$stage/release"
cp --update "${programs[@]}" "$stage/release/"
rm -f "$packages"/*.deb
for crate in recorder analyzer; do
    CARGO_TARGET_DIR=$stage cargo deb --quiet --no-build --fast --strip -p "whence-$crate" -o "$packages/"
done
