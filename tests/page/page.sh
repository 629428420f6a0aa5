#!/bin/sh
# Drives the page in a headless browser: page.sh PROGRAM SOURCE FOLDER. What it needs is put into FOLDER, never into the
# source tree; so are the screenshots. Status 77: skipped.
set -eu
program=$1 source=$2 folder=$3
skip() { echo "skipped: $1"; exit 77; }
command -v node >/dev/null || skip "there is no node"
browser=${CHROMIUM:-$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)}
[ -n "$browser" ] || skip "there is no chromium (CHROMIUM=PATH names one)"
mkdir -p "$folder"
cp "$source/tests/page/package.json" "$folder/"
if [ ! -d "$folder/node_modules/playwright-core" ]; then
    command -v npm >/dev/null || skip "there is no npm to install playwright-core"
    (cd "$folder" && timeout 120 npm install --no-audit --no-fund --silent >install.log 2>&1) ||
        skip "playwright-core cannot be installed (install.log in $folder)"
fi
exec node "$source/tests/page/page.mjs" "$program" "$folder" "$browser"
