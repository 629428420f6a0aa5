# replay.sh - traces of the shipped model: their own policy, another one, two of them side by side, and what is broken.
. "$(dirname "$0")/common.sh"

expect 2 replay "$work/nowhere"
says err "nowhere"
expect 2 replay /dev/null
says err "no header of a trace"
printf '{"trace":1}\nx\n' >"$work/broken"
expect 2 replay "$work/broken"
says err "$work/broken:1: "
expect 2 replay "$work/broken" "$work/broken"
says err "--diff compares two"
expect 2 replay --diff "$work/broken"
expect 2 replay

need_model
make() { "$program" run -p "Once upon a time" --ignore-eos --seed 7 "$@" >"$work/out" 2>"$work/err" || fail "run $*"; }
summary() { tail -n 1 "$work/out" | "$json_lines" "summary.$1"; }

make -n 60 --trace "$work/a"
[ "$(wc -l <"$work/a")" -ge 62 ] || fail "the trace has $(wc -l <"$work/a") lines"
expect 0 replay "$work/a"
says out " 0 differ"
expect 0 replay --json "$work/a"
[ "$(wc -l <"$work/out")" -eq 1 ] || fail "--json shows differences: $(head -n 1 "$work/out")"
[ "$(summary identical)" = "$(summary decisions)" ] || fail "$(summary identical) of $(summary decisions) are identical"
[ "$(summary undecidable)" = 0 ] || fail "$(summary undecidable) are not decidable"
"$program" replay - <"$work/a" >"$work/out" || fail "a trace from standard input"

# One number that is not what it was.
sed '20s/"temperature":[0-9.]*/"temperature":0.123/' "$work/a" >"$work/changed"
expect 1 replay "$work/changed"
says out "line 20: parameters"
sed '20s/{/{"new":[{}],/' "$work/a" >"$work/newer"
expect 0 replay "$work/newer"
sed '20s/.$//' "$work/a" >"$work/broken"
expect 2 replay "$work/broken"
says err "$work/broken:20: "

expect 0 replay "$work/a" --policy plain
says out "plain"
says out "with the same random numbers"
expect 0 replay "$work/a" --policy plain --json
[ "$(summary other_strategies)" -gt 0 ] || fail "plain decides like the document"
expect 2 replay "$work/a" --policy nowhere

expect 0 replay --diff "$work/a" "$work/a"
says out "the same"
make -n 60 --temp 0 --policy plain --trace "$work/b"
expect 1 replay --diff "$work/a" "$work/b"
says out "first: "
expect 1 replay --json --diff "$work/a" "$work/b"
[ "$("$json_lines" same <"$work/out")" = false ] || fail "two other answers are the same"

# Everything that lies beside the straight line.
cat >"$work/policy" <<'END'
preset = entropixplained
rewind = 4
branches = 3
branch_tokens = 6
lookahead = 1
candidates = 4
dry_multiplier = 0.8
uncertain_entropy = 2
[sure]
when = logits_entropy < 0.5
action = greedy
[fork]
when = logits_entropy > 3 and logits_entropy < 4
action = branch
[back]
when = logits_entropy > 5
action = resample
[rest]
candidates = candidates
END
make -n 120 --seed 3 --policy "$work/policy" --trace "$work/c"
grep -q '"kind":"branch"' "$work/c" || fail "nothing branched"
expect 0 replay "$work/c"
says out " 0 differ"
expect 2 run -n 1 --trace "$work/no/such/folder/t"
says err "cannot create the file"
finish
