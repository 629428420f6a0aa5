#!/usr/bin/env bash
# Configures and builds a preset of CMakePresets.json: tools/build.sh PRESET.
# Quiet: one line of progress on a terminal, and what the tools said when something fails.
set -euo pipefail
exec </dev/null

preset=${1:?"usage: tools/build.sh PRESET"}
cd "$(dirname "${BASH_SOURCE[0]}")/.."
log=$(mktemp)
trap 'rm -f "$log"' EXIT

fail() {
    grep -v '^Building [0-9]' "$log" >&2
    echo "The build failed (preset $preset); its output is above." >&2
    exit 1
}

show_progress() { # the last line of standard input, over and over in the same place
    if [ -t 2 ]; then
        while IFS= read -r line; do printf '\r\033[K%.79s' "$line" >&2; done
        printf '\r\033[K' >&2
    else
        cat >/dev/null
    fi
}

# A build folder that was configured before configures itself again when it must.
if [ ! -f "build/$preset/build.ninja" ]; then
    cmake --preset "$preset" >"$log" 2>&1 || fail
fi
NINJA_STATUS='Building %f/%t ' cmake --build --preset "$preset" 2>&1 | tee "$log" | show_progress || fail
