#!/usr/bin/env bash
# Unpacks the arm64 packages that a cross build links into build/aarch64-libraries. The system's own list of packages
# and architectures stays as it is.
set -euo pipefail
exec </dev/null
cd "$(dirname "${BASH_SOURCE[0]}")/.."

target=$PWD/build/aarch64-libraries
packages=(libcmocka-dev libcmocka0 libutf8proc-dev libutf8proc2 libjansson-dev libjansson4 libpcre2-dev libpcre2-8-0
    libedit-dev libedit2 libbsd-dev libbsd0 libmd-dev libmd0 libncurses-dev libtinfo6)
wanted="${packages[*]}"
[ "$(cat "$target/complete" 2>/dev/null)" = "$wanted" ] && exit 0

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/packages"
chmod 777 "$work/packages"
options=(-q -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o Dir::State::Lists="$work/lists"
    -o Dir::Cache="$work/cache")
echo "Fetching arm64 libraries into build/aarch64-libraries" >&2
if ! { apt-get "${options[@]}" update && cd "$work/packages" && apt-get "${options[@]}" download "${packages[@]}"; } \
    >"$work/log" 2>&1; then
    tail -n 20 "$work/log" >&2
    echo "apt-get failed; its last lines are above." >&2
    exit 1
fi
rm -rf "$target"
mkdir -p "$target"
for package in *.deb; do dpkg-deb -x "$package" "$target"; done
echo "$wanted" >"$target/complete"
