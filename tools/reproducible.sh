#!/usr/bin/env bash
# Builds the committed tree in two folders whose names differ in length, and compares the bytes of the program, the
# libraries, the man pages and the completion. Exit status 1 where one differs.
#   tools/reproducible.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
folders=("$place/a" "$place/a-folder-with-a-longer-name")
for folder in "${folders[@]}"; do
    mkdir "$folder"
    git archive HEAD | tar -x -C "$folder"
    # A cache of compilations would compare one build with itself.
    (cd "$folder" && CCACHE_DISABLE=1 cmake --preset release >/dev/null && CCACHE_DISABLE=1 cmake --build --preset release >/dev/null)
done

status=0
while read -r file; do
    if cmp "${folders[0]}/$file" "${folders[1]}/$file"; then
        echo "identical: ${file#build/release/} $(sha256sum <"${folders[0]}/$file" | cut -c 1-64)"
    else
        status=1
    fi
done < <(cd "${folders[0]}" && find build/release -type f \( -name entropix -o -name '*.1' -o -name 'libentropix.so.*' \
    -o -name libentropix.a \) | sort)
exit $status
