#!/usr/bin/env bash
# Static analysis: tools/analyse.sh [FILE.c...] (all of src, cli, eval, server unless told)
# clang-tidy with the checks of .clang-tidy, and cppcheck; what these get wrong about this code is listed in
# tools/cppcheck.suppressions with the reason. Exit status 1 where either has something to say.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tools/build.sh check # the compile commands, and the sources that the build writes
files=("$@")
[ ${#files[@]} -gt 0 ] || mapfile -t files < <(find src cli eval server -name '*.c' ! -name 'neon*' | sort)

status=0
printf '%s\0' "${files[@]}" | xargs -0 -n 4 -P "$(nproc)" clang-tidy -p build/check --quiet 2>/dev/null || status=1
grep -v '^#' tools/cppcheck.suppressions >build/check/cppcheck.suppressions
cppcheck --quiet --std=c11 -j "$(nproc)" --enable=warning,performance,portability --error-exitcode=1 \
    --suppressions-list=build/check/cppcheck.suppressions -D_GNU_SOURCE \
    -I include -I src -I . -I server -I eval -I cli "${files[@]}" || status=1
[ $status -ne 0 ] || echo "${#files[@]} files, nothing found"
exit $status
