#!/usr/bin/env bash
# Installs into a temporary prefix, moves it, and builds and runs the examples against it in each way that it offers.
#   tests/test_install.sh BUILD_FOLDER
set -euo pipefail
source=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cmake --install "$build" --prefix "$work/first" >"$work/log"
mv "$work/first" "$work/prefix"
prefix=$work/prefix
model=$(find "$prefix/share/entropix" -name '*.gguf' -print -quit)

use() { # a folder with the two examples
    "$1/example_sampler_only" >"$work/output"
    grep -q '^entropy 1.736' "$work/output" || { cat "$work/output"; exit 1; }
    [ -z "$model" ] || "$1/example_generate" "$model" "The capital of France is" | grep -q Paris
}

for kind in shared static; do
    cmake -G Ninja -S "$source/examples" -B "$work/$kind" -DCMAKE_PREFIX_PATH="$prefix" -DENTROPIX_KIND=$kind \
        -DCMAKE_C_COMPILER="${CC:-cc}" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
    cmake --build "$work/$kind" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
    use "$work/$kind"
    echo "CMake, $kind: ok"
done

library_folder=$(dirname "$(find "$prefix" -name libentropix.so | head -n 1)")
export PKG_CONFIG_PATH=$library_folder/pkgconfig LD_LIBRARY_PATH=$library_folder
mkdir "$work/pkg-config"
for example in generate sampler_only; do
    # shellcheck disable=SC2046 # flags are words
    "${CC:-cc}" -std=c11 "$source/examples/$example.c" -o "$work/pkg-config/example_$example" \
        $(pkg-config --cflags --libs entropix)
done
use "$work/pkg-config"
for file in bin/entropix share/man/man1/entropix.1 share/man/man1/entropix-run.1 \
    share/bash-completion/completions/entropix share/entropix/README.md \
    share/entropix/tasks/facts.json share/entropix/tasks/prose.txt; do
    [ -s "$prefix/$file" ] || { echo "not installed: $file"; exit 1; }
done
[ "$(pkg-config --modversion entropix)" = "$(sed -n 's/^#define EX_VERSION "\(.*\)"/\1/p' "$prefix/include/entropix.h")" ]
[[ "$("$prefix/bin/entropix" --version)" == "entropix $(pkg-config --modversion entropix)"* ]]
echo "pkg-config: ok"

# The moved program finds its model and its tasks, and nothing of the build.
if [ -n "$model" ]; then
    cd /
    unset ENTROPIX_MODEL
    "$prefix/bin/entropix" info >"$work/output"
    grep -qF "file          $prefix/" "$work/output" || { cat "$work/output"; exit 1; }
    "$prefix/bin/entropix" eval --task facts --policy plain --limit 2 -o "$work/answers" >"$work/output" 2>&1 ||
        { cat "$work/output"; exit 1; }
    echo "its own files: ok"
fi
