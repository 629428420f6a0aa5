# stop.sh - where an answer ends: stop texts, tokens that end a turn, and what summaries say of it.
. "$(dirname "$0")/common.sh"
need_model

answer() { "$program" run --temp 0 -n 30 -p "Once upon a time" --no-display-prompt "$@" 2>"$work/err"; }
answer >"$work/whole"
answer --stop "little girl" >"$work/out"
[ "$(cat "$work/out")" = "$(sed 's/little girl.*//' "$work/whole" | head -n 1)" ] ||
    fail "--stop cuts at another place: $(cat "$work/out") of $(cat "$work/whole")"
says err "at a stop text"
answer --stop "nowhere" --stop "tle gi" --stop "girl" >"$work/out"
[ "$(cat "$work/out")" = "$(sed 's/tle gi.*//' "$work/whole" | head -n 1)" ] || fail "the first of three stop texts"
answer --stop "little girl of another name" --stop=nowhere | cmp -s - "$work/whole" || fail "held back text is lost"

expect 0 run --json --temp 0 -n 30 -p "Once upon a time" --stop "little girl"
tail -n 1 "$work/out" >"$work/summary"
[ "$("$json_lines" summary.end <"$work/summary")" = '"stop"' ] || fail "the end is not stop in the summary"
if grep -v '"summary"' "$work/out" | "$json_lines" text | grep -q "little"; then fail "--json shows the stop text"; fi
expect 0 run --json --temp 0 -n 5 -p "Once upon a time" --stop "a little girl and more"
[ "$(grep -v '"summary"' "$work/out" | "$json_lines" text | tr -d '"\n')" = ", there was a little" ] ||
    fail "--json loses text at the end: $("$json_lines" text <"$work/out")"

ask="What is the capital of France?"
echo "$ask" | "$program" chat --temp 0 --policy plain >"$work/whole" || fail "chat: status $?"
echo "$ask" | "$program" chat --temp 0 --policy plain --stop " Paris" >"$work/out" || fail "chat --stop: status $?"
[ "$(cat "$work/out")" = "$(sed 's/ Paris.*//' "$work/whole" | head -n 1)" ] || fail "chat --stop: $(cat "$work/out")"
echo "$ask" | "$program" chat --temp 0 --policy plain --ignore-eos -n 100 >"$work/out" || fail "chat --ignore-eos"
[ "$(wc -c <"$work/out")" -gt "$(($(wc -c <"$work/whole") + 50))" ] || fail "chat --ignore-eos ends all the same"

expect 2 run --stop ""
says err "empty"
expect 2 run --stop "$(printf 'a\377')"
says err "UTF-8"
set --
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17; do set -- "$@" --stop "$i"; done
expect 2 run "$@"
says err "16 times"
finish
