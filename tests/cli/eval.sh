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

begin=$(date +%s%N)
expect 0 eval $arguments -o "$work/whole"
duration=$((($(date +%s%N) - begin) / 1000000))
[ -s "$work/err" ] && fail "progress into a pipe: $(head -c 300 "$work/err")"
says out "3 lines that are no questions"
cp "$work/whole/report.md" "$work/whole/report.html" "$work/whole/run.json" "$work/"
for file in out report.md report.html run.json; do
    says $file "$work/sums.jsonl:3"
    says $file "is not JSON"
    says $file "$work/sums.jsonl:5"
    says $file "lacks"
    says $file "$work/sums.jsonl:7"
    says $file "positions"
done
says report.md "| lines that are no questions | 3"
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
# ranks NAME VARIABLES...: runs every part as a launcher would, "@" standing for its rank; the parts give the whole.
ranks() {
    name=$1
    shift
    for rank in 0 1 2; do
        env $(echo "$@" | sed "s/@/$rank/g") "$program" eval $arguments -o "$work/$name" >/dev/null 2>"$work/err" ||
            fail "$name: $(cat "$work/err")"
    done
    expect 0 eval merge "$work/$name/shard-0" "$work/$name/shard-1" "$work/$name/shard-2" -o "$work/$name.joined"
    same "$work/$name.joined"
}
ranks mpirun OMPI_COMM_WORLD_RANK=@ OMPI_COMM_WORLD_SIZE=3
ranks pmi PMI_RANK=@ PMI_SIZE=3
ranks array SLURM_ARRAY_TASK_ID=1@ SLURM_ARRAY_TASK_MIN=10 SLURM_ARRAY_TASK_COUNT=3 SLURM_PROCID=0 SLURM_STEP_NUM_TASKS=1
ranks srun SLURM_PROCID=@ SLURM_STEP_NUM_TASKS=3 SLURM_NTASKS=3

# Killed 20 times at moments of a fixed seed, begun again when it was done in between, and now and then cut in the middle
# of a line: the same bytes each time.
n_killed=0
for delay in $(awk -v most="$duration" 'BEGIN { srand(7); for (i = 0; i < 40; i++) printf "%.3f\n", rand() * most / 2500 }'); do
    [ $n_killed -lt 20 ] || break
    status=0
    timeout -s KILL "$delay" "$program" eval $arguments --parallel 4 -o "$work/killed" >/dev/null 2>&1 || status=$?
    if [ $status -eq 137 ]; then
        n_killed=$((n_killed + 1))
        [ -s "$work/killed/results.jsonl" ] && [ $((n_killed % 5)) -eq 0 ] && truncate -s -20 "$work/killed/results.jsonl"
    else
        [ $status -eq 0 ] || fail "going on after $n_killed kills: status $status"
        same "$work/killed"
        rm -r "$work/killed"
    fi
done
[ $n_killed -ge 15 ] || fail "only $n_killed kills hit a running process"
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

# Tuning: as many trials for each policy that has something to tune, on the even questions; answers to the odd ones.
expect 0 eval $arguments --tune 3 -o "$work/tuned"
grep -o '"question":[0-9]*' "$work/tuned/results.jsonl" | sort -u | tr '\n' ' ' >"$work/out"
[ "$(cat "$work/out")" = '"question":1 "question":3 ' ] || fail "tuned answers: $(cat "$work/out")"
grep -o '"question":[0-9]*' "$work/tuned/tuning/results.jsonl" | sort -u | tr '\n' ' ' >"$work/out"
[ "$(cat "$work/out")" = '"question":0 "question":2 "question":4 ' ] || fail "trials: $(cat "$work/out")"
[ "$(wc -l <"$work/tuned/tuning/results.jsonl")" -eq 54 ] || fail "2 policies, 3 trials, 3 seeds, 3 questions"
[ "$(wc -l <"$work/tuned/results.jsonl")" -eq 18 ] || fail "3 policies, 3 seeds, 2 questions"
for trial in 0 1 2; do grep -qF "entropix#$trial" "$work/tuned/tuning/run.json" || fail "trial $trial is missing"; done
grep -qF "the questions of even number" "$work/tuned/report.md" || fail "the report does not tell of tuning"

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
