# eval.sh - a run, its parts, and going on after it was killed: the same bytes in every case.
. "$(dirname "$0")/common.sh"
need_model

# A few questions; line 3 is no JSON, line 5 has no question, line 7 does not fit the context.
long=$(printf 'stones and %.0s' $(seq 1200))
cat >"$work/sums.jsonl" <<END
{"question": "Omar has 4 candles. Ivy has 5 times as many. How many candles does Ivy have?", "answer": "20"}
{"question": "Carl shares 63 keys equally among 7 friends. How many keys does each friend get?", "answer": "9"}
{"question": "Carl
{"question": "Jane buys 2 apples for 2 dollars each. Jane pays with 31 dollars. How many dollars does Jane get back?", "answer": "27"}
{"answer": "27"}
{"question": "Anna has 12 books. Anna buys 13 more. How many books does Anna have now?", "answer": "25"}
{"question": "Anna has $long. How many?", "answer": "25"}
{"question": "Emma has 90 books. Emma uses 35 of them. How many books does Emma have now?", "answer": "55"}
END
arguments="--task $work/sums.jsonl --policy greedy,plain:temperature=1:top_p=0.95,entropix --seeds 3 --seed 7"

expect 0 eval $arguments -o "$work/whole"
says out "3 lines that are no questions"
for text in "line 3" "line 5" "line 7"; do says out "$text"; done
[ "$(wc -l <"$work/whole/results.jsonl")" -eq 45 ] || fail "lines: $(wc -l <"$work/whole/results.jsonl")"
[ "$(wc -l <"$work/whole/times.jsonl")" -eq 45 ] || fail "times: $(wc -l <"$work/whole/times.jsonl")"
[ -s "$work/whole/report.html" ] || fail "there is no report"

same() {
    cmp -s "$work/whole/results.jsonl" "$1/results.jsonl" || fail "results.jsonl of $1 differs"
    cmp -s "$work/whole/run.json" "$1/run.json" || fail "run.json of $1 differs"
}

# The company of an answer changes nothing, nor do the parts.
expect 0 eval $arguments --parallel 1 -o "$work/alone"
same "$work/alone"
for part in 0 1 2; do expect 0 eval $arguments --shard $part/3 -o "$work/parts"; done
expect 0 eval merge "$work/parts/shard-1" "$work/parts/shard-0" "$work/parts/shard-2" -o "$work/joined"
same "$work/joined"
expect 2 eval merge "$work/parts/shard-1" "$work/parts/shard-0" -o "$work/short"
says err "part 1 of 3"
OMPI_COMM_WORLD_RANK=1 OMPI_COMM_WORLD_SIZE=3 "$program" eval $arguments -o "$work/ranks" >/dev/null 2>&1 || fail "ranks"
cmp -s "$work/ranks/shard-1/results.jsonl" "$work/parts/shard-1/results.jsonl" || fail "a rank is not its part"

# Killed again and again, and cut in the middle of a line.
status=1
for try in $(seq 20); do
    timeout -s KILL "0.$((try * 37 % 60 + 15))" "$program" eval $arguments --parallel 4 -o "$work/killed" >/dev/null 2>&1 &&
        break
    [ -s "$work/killed/results.jsonl" ] && [ $((try % 5)) -eq 0 ] && truncate -s -20 "$work/killed/results.jsonl"
done
expect 0 eval $arguments -o "$work/killed"
same "$work/killed"
expect 0 eval $arguments -o "$work/killed"
same "$work/killed"

# Another run does not go on there, and what differs is named.
expect 2 eval --task "$work/sums.jsonl" --policy greedy --seeds 2 -o "$work/whole"
says err "seeds was 3 and is now 2"

# Choices: one line for a question, whatever the policies.
cat >"$work/choice.jsonl" <<END
{"question": "What is the capital of France?", "answer": "Paris", "choices": ["Rome", "Paris", "Oslo"]}
END
if "$program" eval --task "$work/choice.jsonl" --policy greedy,plain --seeds 2 -o "$work/choice" >/dev/null 2>"$work/err"; then
    [ "$(wc -l <"$work/choice/results.jsonl")" -eq 1 ] || fail "choices: $(cat "$work/choice/results.jsonl")"
    grep -q '"right":true' "$work/choice/results.jsonl" || fail "choices: $(cat "$work/choice/results.jsonl")"
    grep -q '"choice_scores":\[-' "$work/choice/results.jsonl" || fail "choices have no scores"
else
    fail "choices: $(cat "$work/err")"
fi

# Several answers within a budget.
expect 0 eval --task "$work/sums.jsonl" --limit 2 --policy greedy,plain:temperature=1 --budget tokens --times 3 \
    --vote majority,certain,consistent -o "$work/budget"
says out certain
awk '{ n = gsub(/"n_forwarded"/, "&"); total += n } END { exit !(total > NR) }' "$work/budget/results.jsonl" ||
    fail "a budget of 3 has one answer only"

# Mistakes.
expect 2 eval --policy greedy -o "$work/x"
says err "--task"
expect 2 eval --task "$work/sums.jsonl" --policy greedier -o "$work/x"
says err "greedier"
expect 2 eval --task "$work/sums.jsonl" --policy plain:temperature -o "$work/x"
says err "KEY=VALUE"
expect 2 eval --task "$work/sums.jsonl" --policy plain --vote most -o "$work/x"
says err "consistent"
expect 2 eval --task "$work/nowhere.jsonl" --policy plain -o "$work/x"
says err "nowhere"
expect 2 eval --task "$work/sums.jsonl" --policy plain --shard 3/3 -o "$work/x"
says err "--shard"
finish
