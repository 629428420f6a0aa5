#!/usr/bin/env bash
# The program while the system fails it (tests/torture): every n-th call instead of the spread that ./check takes.
#   tools/torture.sh [calls|cuts|kills|server|disks]
# Takes about twenty minutes. The last line counts; docs/TESTING.md has a section about it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
tools/build.sh check
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
build=$PWD/build/check
"$build/tests/torture/test_torture" "$build/entropix" "$build/tests/torture/faults.so" "$folder" full "$@"
