# calibrate.sh - tables, JSON, the policy file, the policy in a model and what run makes of it.
. "$(dirname "$0")/common.sh"
small=$source_folder/tests/data/models/llama3-f16.gguf
[ -r "$small" ] || skip "there is no $small"
text=$source_folder/docs/SAMPLER.md
calibrate="calibrate -m $small -c 64 -t 1 --positions 600"

expect 0 $calibrate -f "$text" -o "$work/mine.policy" --embed "$work/mine.gguf"
for word in "metric " "attn_entropy_normalized" "strategy" "wanted" "high_uncertainty" "thresholds" "low_varentropy" \
    "held out" "policy   $work/mine.policy" "carries it"; do
    says out "$word"
done
[ ! -s "$work/err" ] || fail "calibrate in a pipe says: $(cat "$work/err")"
ls "$work" | grep -q part && fail "a temporary file was left behind: $(ls "$work")"

cp "$work/mine.policy" "$work/out"
for word in "# Calibrated from the policy entropix" "# greedy" "# quantiles" "SAMPLER.md" "[explore]"; do says out "$word"; done
for key in low_entropy low_varentropy clarify_entropy explore_entropy high_entropy high_varentropy; do
    [ "$(grep -c "^$key = " "$work/mine.policy")" -eq 1 ] || fail "the policy lacks $key"
done

# a policy file is used by name, the one in the model without asking, and another one on request
expect 0 run -m "$small" --policy "$work/mine.policy" -p "Hello" -n 4 -s 1 -t 1
cp "$work/out" "$work/by_name"
expect 0 run -m "$work/mine.gguf" -p "Hello" -n 4 -s 1 -t 1
says err "policy of the model file"
cmp -s "$work/out" "$work/by_name" || fail "the policy in the model decides otherwise than the file"
expect 0 run -m "$work/mine.gguf" --policy plain -p "Hello" -n 4 -s 1 -t 1
says err "policy plain"

# a calibrated policy and model can be the beginning of another
expect 0 calibrate -m "$work/mine.gguf" -c 64 -t 1 --positions 300 -f "$text" --held-out "$source_folder/README.md" \
    --policy "$work/mine.policy" --shares greedy=0.25,clarify=0,explore=0.1,high_uncertainty=0.1 --json
[ "$("$json_lines" shares.greedy.wanted <"$work/out")" = 0.25 ] || fail "calibrate --json: shares: $(cat "$work/out")"
[ "$("$json_lines" thresholds.clarify_entropy <"$work/out")" = 1000 ] || fail "calibrate --json: clarify_entropy"
for key in shares.explore.measured quantiles.logits_entropy weights.without positions_held_out; do
    "$json_lines" $key <"$work/out" >"$work/value" || fail "calibrate --json: $key"
done

expect 2 calibrate -m "$small"
says err "-f FILE"
expect 2 $calibrate -f "$text" --shares greedy=0.5,branch=0.1
says err "branch=0.1"
expect 2 $calibrate -f "$text" --shares greedy=0.9,explore=0.3
says err "add up"
expect 2 $calibrate -f "$text" --policy plain
says err "no rule"
echo "too short" >"$work/short"
expect 2 $calibrate -f "$work/short" -o "$work/none.policy"
says err "too short"
[ ! -e "$work/none.policy" ] || fail "a policy was written without a calibration"
expect 2 $calibrate -f "$text" -o "$work/no/such/folder.policy"
says err "cannot write"
finish
