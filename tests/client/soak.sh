#!/bin/sh
# soak.sh - builds the program with AddressSanitizer and LeakSanitizer, and runs soak.mjs. Status 77: skipped.
# sh soak.sh [REQUESTS]   ENTROPIX_PROGRAM names one that is built already
set -eu
cd "$(dirname "$0")/../.."
model=models/entropix-40m-q6_k.gguf
[ -r "$model" ] || { echo "skipped: the model that ships is not there"; exit 77; }
command -v node >/dev/null || { echo "skipped: no node"; exit 77; }
program=${ENTROPIX_PROGRAM:-build/asan/entropix}
[ -n "${ENTROPIX_PROGRAM:-}" ] || { cmake --preset asan >/dev/null && cmake --build --preset asan --target entropix; }
ASAN_OPTIONS=detect_leaks=1 exec node tests/client/soak.mjs "$program" "$model" "${1:-10000}"
