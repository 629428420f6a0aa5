# run.sh - generation: JSON, determinism, colours, limits, failures of output.
. "$(dirname "$0")/common.sh"
need_model

tokens() { "$program" run --json --seed 11 -n 12 -p "Once upon a time" "$@" | grep -v '"summary"'; }
tokens -t 1 >"$work/one"
tokens -t 2 >"$work/two"
cmp -s "$work/one" "$work/two" || fail "two threads make other tokens than one"
tokens -t 1 | cmp -s - "$work/one" || fail "the same seed makes other tokens"
[ "$("$json_lines" token <"$work/one" | wc -l)" -eq 12 ] || fail "not 12 tokens"
for key in text position strategy inserted metrics.logits_entropy metrics.head_consensus decision.temperature \
    decision.margin base.top_k candidates n_candidates draw.token draw.uniform; do
    [ "$("$json_lines" $key <"$work/one" | wc -l)" -eq 12 ] || fail "$key is missing in --json"
done

expect 0 run --json --seed 11 -n 3
tail -n 1 "$work/out" >"$work/summary"
[ "$("$json_lines" summary.seed <"$work/summary")" = 11 ] || fail "the seed is not in the summary"
[ "$("$json_lines" summary.end <"$work/summary")" = '"length"' ] || fail "the end is not in the summary"
[ "$("$json_lines" summary.tokens <"$work/summary")" = 3 ] || fail "the count is not in the summary"
[ ! -s "$work/err" ] || fail "--json writes to standard error: $(cat "$work/err")"

expect 0 run --temp 0 -n 1
says out "The capital of France is Paris"
for word in prefill decode strategy means seed; do says err "$word"; done
expect 0 run --temp 0 -n 1 --no-display-prompt
if grep -q capital "$work/out"; then fail "--no-display-prompt shows the prompt"; fi
expect 0 run --explain --seed 1 -n 4 --no-display-prompt
[ "$(wc -l <"$work/out")" -eq 4 ] || fail "--explain is not one line a token"
for word in logits_entropy interaction_strength "margin" "T 0.666 ->" "top_k 27 ->" "kept " "logits_entropy"; do
    says out "$word"
done
expect 0 run --verbose-prompt -n 0
says err '" France"'

escape=$(printf '\033')
expect 0 run -n 2
if grep -q "$escape" "$work/out" "$work/err"; then fail "colours without a terminal"; fi
expect 0 run -n 2 --color always
grep -q "$escape" "$work/out" || fail "--color always has no colours"
expect 0 run -n 2 --color never
if grep -q "$escape" "$work/out"; then fail "--color never has colours"; fi
if script -qec true /dev/null </dev/null >/dev/null 2>&1; then
    on_terminal() { script -qec "'$program' run -n 2" /dev/null </dev/null >"$work/out" 2>&1; }
    on_terminal
    grep -q "$escape\\[38" "$work/out" || fail "no colours on a terminal"
    NO_COLOR=1
    export NO_COLOR
    on_terminal
    if grep -q "$escape\\[38" "$work/out"; then fail "NO_COLOR is not respected"; fi
    unset NO_COLOR
fi

awk 'BEGIN { for (i = 0; i < 300; i++) printf "word " }' >"$work/long"
expect 0 run -f "$work/long" -c 100 -n 5 --no-display-prompt
says err "kept: the beginning token and the last"
expect 0 run -n -1 -c 16 --ignore-eos
says err "the context of 16 positions full"
printf 'ab\377c' >"$work/broken"
expect 2 run -f "$work/broken"
says err "byte 2"

expect 0 run -n 40 --policy plain --seed 2
"$program" run -n 400 --seed 1 2>"$work/err" | head -c 1 >/dev/null
if grep -q "cannot" "$work/err"; then fail "a closed pipe is not quiet: $(cat "$work/err")"; fi
if [ -c /dev/full ]; then
    status=0
    "$program" run -n 2 >/dev/full 2>"$work/err" || status=$?
    [ "$status" -eq 2 ] || fail "a full disk gives status $status"
    says err "cannot write"
fi

rm "$work/out"
"$program" run -n -1 --ignore-eos --seed 1 >"$work/out" 2>"$work/err" &
runner=$!
waited=0
while [ ! -s "$work/out" ] && [ $waited -lt 600 ]; do # it has begun when the prompt is there
    sleep 0.1
    waited=$((waited + 1))
done
kill -INT $runner
status=0
wait $runner || status=$?
# A shell without job control starts background programs with SIGINT ignored; the program catches it all the same.
[ "$status" -eq 130 ] || fail "Ctrl-C gives status $status"
says err "by Ctrl-C"

# The text as a heat map: a background for each token, a legend in the summary; nothing of it without colours.
expect 0 run -n 8 --seed 7 --color always --heat entropy
says out "48;5;"
says err "entropy, bits"
COLORTERM=truecolor expect 0 run -n 8 --seed 7 --color always --heat attention
says out "48;2;"
expect 0 run -n 8 --seed 7 --heat varentropy
grep -q "$(printf '\033')" "$work/out" "$work/err" && fail "--heat colours a pipe"
grep -q "^heat" "$work/err" && fail "a legend without colours"
expect 2 run --heat attention --no-attention-statistics
says err "choose one"
expect 2 run --heat warm
says err "entropy|varentropy|attention"
finish
