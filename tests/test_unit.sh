#!/usr/bin/env bash
# The systemd unit, as systemd itself reads it: tests/test_unit.sh UNIT. Status 77: skipped.
set -euo pipefail
unit=$1
exposure_most=15 # tenths; an ordinary service has 96
command -v systemd-analyze >/dev/null || { echo "skipped: no systemd-analyze"; exit 77; }
[ "$(systemd-analyze --version | awk 'NR == 1 { print $2 }' | tr -dc 0-9)" -ge 250 ] ||
    { echo "skipped: systemd-analyze is older than version 250"; exit 77; }
messages=$(systemd-analyze verify "$unit" 2>&1) || { echo "$messages"; exit 1; }
# Only what it says of this unit counts, not of others on the machine.
if grep -F "$(basename "$unit")" <<<"$messages"; then exit 1; fi
systemd-analyze security --offline=yes --threshold="$exposure_most" --no-pager "$unit" >/dev/null ||
    { systemd-analyze security --offline=yes --no-pager "$unit" | tail -n 1; exit 1; }
systemd-analyze security --offline=yes --no-pager "$unit" | tail -n 1
