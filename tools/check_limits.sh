#!/usr/bin/env bash
# Checks the sizes that keep the code readable. Prints FILE:LINE for each violation.
#   tools/check_limits.sh [ROOT]
# A file whose first line contains "generated" is a table: its length does not count.
set -euo pipefail
export LC_ALL=C
cd "${1:-$(dirname "${BASH_SOURCE[0]}")/..}"

status=0

# Fonts, pictures, models and test data are not text of ours.
mapfile -t files < <(find . \( -name .git -o -path ./build -o -path ./install -o -path ./tests/data \) -prune -o -type f \
    \( -name '*.[ch]' -o -name '*.sh' -o -name '*.awk' -o -name '*.py' -o -name '*.md' -o -name '*.cmake' -o -name '*.in' \
    -o -name CMakeLists.txt -o -path ./run -o -path ./check -o -path ./.ci/run \) -print | sed 's|^\./||' | sort)

awk '
BEGIN { max_file = 1000; max_header = 500; max_function = 100; max_columns = 120 }

function report(line, message) {
    printf "%s:%d: %s\n", name, line, message
    violations++
}

function check_file_length(    limit) {
    limit = name ~ /^include\// ? max_header : max_file
    if (name != "" && !generated && lines > limit) report(lines, lines " lines, at most " limit)
}

FNR == 1 {
    check_file_length()
    name = FILENAME
    generated = tolower($0) ~ /generated/
    is_c = name ~ /\.[ch]$/
    first = 0
}

{ lines = FNR }
/[ \t]$/ { report(FNR, "space at the end of the line") }
/\t/ { report(FNR, "tab") }
!is_c { next }

{
    columns = length($0) - gsub(/[\200-\277]/, "&") # bytes of UTF-8 that continue a character
    if (columns > max_columns) report(FNR, columns " columns, at most " max_columns)
}
/(^|[^A-Z])(TODO|FIXME|XXX)([^A-Z]|$)/ { report(FNR, "left-over note") }

# A definition starts at the last line in column 0 and ends with a brace in column 0.
/^}/ {
    if ($0 == "}" && first && FNR - first + 1 > max_function)
        report(first, "function of " (FNR - first + 1) " lines, at most " max_function)
    first = 0
    next
}
/^[A-Za-z_]/ && !/:$/ { first = FNR }

END { check_file_length(); if (violations) exit 1 }
' "${files[@]}" || status=1

if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
    kilobytes=$(git ls-files -z -- . | xargs -0 -r du -ck --apparent-size 2>/dev/null | awk '$2 == "total" { n += $1 } END { print n + 0 }')
    if [ "$kilobytes" -gt $((55 * 1024)) ]; then
        echo "the repository holds $((kilobytes / 1024)) MB, at most 55"
        status=1
    fi
fi
exit $status
