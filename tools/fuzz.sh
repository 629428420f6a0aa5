#!/usr/bin/env bash
# Builds the fuzz targets with clang and runs each: tools/fuzz.sh [SECONDS [TARGET...]]
# Inputs that reach new code gather in build/fuzz/corpus; those that break something in build/fuzz/findings.
# One line a target: runs, seconds, edges of code reached, findings.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

seconds=${1:-30}
shift || true
tools/build.sh fuzz
targets=("$@")
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <(find tests/fuzz/corpus -mindepth 1 -maxdepth 1 -printf '%f\n' | sort)

status=0
for target in "${targets[@]}"; do
    gathered=build/fuzz/corpus/$target
    findings=build/fuzz/findings/$target
    mkdir -p "$gathered" "$findings"
    log=build/fuzz/$target.log
    # No input takes more than a second or two; 25 leave room for a machine that is busy with something else.
    nice build/fuzz/tests/fuzz/fuzz_"$target" -max_total_time="$seconds" -timeout=25 -rss_limit_mb=2048 -max_len=16384 \
        -print_final_stats=1 -artifact_prefix="$findings/" "$gathered" "tests/fuzz/corpus/$target" >"$log" 2>&1 </dev/null &&
        found=0 || found=1
    awk -v target="$target" -v found="$found" -v log_file="$log" '
        / cov: / { for (i = 1; i < NF; i++) if ($i == "cov:") edges = $(i + 1) }
        /^#[0-9]+/ { runs = substr($1, 2) + 0 }
        /^stat::number_of_executed_units:/ { runs = $2 }
        /^Done .* runs in / { for (i = 1; i < NF; i++) if ($i == "in") time = $(i + 1) }
        END {
            printf "%-12s %9d runs in %4d s, %5d edges, %d findings", target, runs, time, edges, found
            print found ? ": " log_file : ""
        }' "$log"
    [ "$found" -eq 0 ] || status=1
done
exit $status
