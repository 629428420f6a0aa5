#!/usr/bin/env bash
# Installs the Debian packages that a purpose needs and this machine lacks:
#   tools/install_packages.sh run     the program
#   tools/install_packages.sh check   the program and its tests
#   tools/install_packages.sh clang   the same with clang
#   tools/install_packages.sh fuzz    clang with libFuzzer, besides what check needs
#   tools/install_packages.sh memory  the same
#   tools/install_packages.sh coverage|analyse  what counts lines; what reads the sources
#   tools/install_packages.sh aarch64 what cross-compiles for 64-bit Arm and runs it
# A need is met when its test succeeds, wherever the thing came from; packages are asked for only after that.
set -euo pipefail

# Standard input belongs to the program that starts afterwards.
exec </dev/null

# purposes | test | Debian packages | what for
needs="\
run check clang | compiles_c                        | gcc libc6-dev     | the C compiler
run check clang | command -v cmake                  | cmake             | configures the build
run check clang | command -v ninja                  | ninja-build       | runs the build
run check clang | command -v pkg-config             | pkg-config        | finds the libraries
run check clang | pkg-config --exists libutf8proc   | libutf8proc-dev   | Unicode tables
run check clang | pkg-config --exists libpcre2-8    | libpcre2-dev      | regular expressions that tokenizers bring along
run check clang | pkg-config --exists jansson       | libjansson-dev    | JSON of the program and the tests
run check clang | pkg-config --exists libmicrohttpd | libmicrohttpd-dev | HTTP of entropix serve
run check clang | pkg-config --exists libedit       | libedit-dev       | line editing in entropix chat
check clang     | pkg-config --exists cmocka        | libcmocka-dev     | unit tests
check clang     | optional librsvg-2.0              | librsvg2-dev      | PNG of entropix plot
clang           | command -v clang                  | clang             | the second compiler
fuzz memory     | command -v clang                  | clang             | the compiler of libFuzzer and MemorySanitizer
fuzz memory     | fuzzer_links                      | libclang-rt-14-dev | libFuzzer and the sanitizers
coverage        | command -v python3                | python3-minimal   | adds up what gcov counted
analyse         | command -v clang-tidy             | clang-tidy        | static analysis
analyse         | command -v cppcheck               | cppcheck          | static analysis
aarch64         | command -v aarch64-linux-gnu-gcc  | gcc-aarch64-linux-gnu libc6-dev-arm64-cross | the cross compiler
aarch64         | command -v qemu-aarch64-static    | qemu-user-static  | runs what it builds"

compiles_c() {
    echo '#include <stdio.h>' | "${CC:-cc}" -E - >/dev/null
}

fuzzer_links() {
    echo 'int LLVMFuzzerTestOneInput(const char *d, long n) { return d && n < 0; }' |
        clang -fsanitize=fuzzer,address -x c - -o /dev/null
}

# The program does without it: it is not asked for where nothing can be installed.
optional() {
    pkg-config --exists "$1" || ! command -v apt-get || { [ "$(id -u)" -ne 0 ] && ! command -v sudo; }
}

purpose=${1:?"usage: tools/install_packages.sh run|check|clang|fuzz|aarch64"}
packages=()
reasons=()
while IFS='|' read -r purposes test names reason; do
    [[ " $purposes " == *" $purpose "* ]] || continue
    eval "$test" </dev/null >/dev/null 2>&1 && continue
    read -ra names <<<"$names"
    packages+=("${names[@]}")
    reasons+=("$(printf '  %-16s %s' "${names[*]}" "${reason# }")")
done <<<"$needs"
[ ${#packages[@]} -gt 0 ] || exit 0

say() { printf '%s\n' "$@" >&2; }

if ! command -v apt-get >/dev/null; then
    say "This machine lacks what the build needs, and it has no apt-get. Install what corresponds to these Debian packages:" \
        "${reasons[@]}"
    exit 1
fi
as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        say "The build needs packages that are not installed, and there is no sudo. As root:" \
            "  apt-get install --no-install-recommends ${packages[*]}"
        exit 1
    fi
    as_root=(sudo)
fi
say "Installing with ${as_root[*]+sudo }apt-get:" "${reasons[@]}"
as_root+=(env DEBIAN_FRONTEND=noninteractive)
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! "${as_root[@]}" apt-get update -q >"$log" 2>&1 ||
    ! "${as_root[@]}" apt-get install -q -y --no-install-recommends "${packages[@]}" >>"$log" 2>&1; then
    tail -n 20 "$log" >&2
    say "apt-get failed; its last lines are above."
    exit 1
fi
