#!/usr/bin/env bash
# Checks the built libraries: tools/check_library.sh libentropix.so libentropix.a [HEADERS]
#   the shared library exports what the public headers declare, all of it and nothing else
#   neither has mutable global state
set -euo pipefail
shared=$1
static=$2
headers=${3:-$(dirname "${BASH_SOURCE[0]}")/../include}
status=0

declared=$(grep -h '^EX_API' "$headers"/*.h | grep -o 'ex_[a-z0-9_]*(' | tr -d '(' | sort -u)
exported=$(nm -D --defined-only "$shared" | awk '{ print $NF }' | sort -u)
missing=$(comm -23 <(echo "$declared") <(echo "$exported"))
extra=$(comm -13 <(echo "$declared") <(echo "$exported"))
if [ -n "$missing" ]; then
    echo "declared in a public header, but not defined: $(tr '\n' ' ' <<<"$missing")"
    status=1
fi
if [ -n "$extra" ]; then
    echo "exported, but not declared in a public header: $(tr '\n' ' ' <<<"$extra")"
    status=1
fi

# Constants with addresses in them lie in .data.rel.ro, which is read-only once the program runs.
mutable=$(objdump -t "$static" | awk '
    /file format/ { object = $1 }
    / \.(data|bss|tdata|tbss)[.\t ]/ && !/ \.data\.rel\.ro/ && !/ d  \./ { print object $NF }')
if [ -n "$mutable" ]; then
    echo "mutable global state: $(tr '\n' ' ' <<<"$mutable")"
    status=1
fi
exit $status
