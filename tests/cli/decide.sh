# decide.sh - the sampler as a filter.
. "$(dirname "$0")/common.sh"

echo '{"id": "sure", "logits": [30, 0, 0, 0]}' | "$program" decide >"$work/out" || fail "status $?"
[ "$("$json_lines" id <"$work/out")" = '"sure"' ] || fail "the id is not passed on"
[ "$("$json_lines" decision.strategy <"$work/out")" = '"greedy"' ] || fail "a sure case is not greedy"
[ "$("$json_lines" distribution.0 <"$work/out")" = '1.0' ] || fail "the likeliest token is not all of the distribution"

status=0
printf '%s\n' '{"id": 1, "logits": [1, 2]}' 'nonsense' '{"id": 3, "logits": [1, 2]}' |
    "$program" decide >"$work/out" || status=$?
[ "$status" -eq 2 ] || fail "a bad line gives status $status"
[ "$(wc -l <"$work/out")" -eq 3 ] || fail "not every line is answered"
sed -n 2p "$work/out" | "$json_lines" error | grep -q 'line 2' || fail "the error does not name its line"
[ "$(sed -n 3p "$work/out" | "$json_lines" id)" = 3 ] || fail "the line after a bad one is lost"

cases=$source_folder/tests/data/sampler_cases.jsonl
if [ -r "$cases" ]; then
    "$program" decide <"$cases" >"$work/answers" || fail "decide on sampler_cases.jsonl: status $?"
    "$json_lines" decision.strategy <"$cases" >"$work/wanted"
    "$json_lines" decision.strategy <"$work/answers" | cmp -s - "$work/wanted" || fail "strategies differ from the oracle"
fi
finish
