# ahead.sh - policy keys from the command line, several answers, and what is said of looking ahead and taking back.
. "$(dirname "$0")/common.sh"

# Keys and flags: wrong names and values, before any model is opened.
expect 2 run --set tmeperature=1
says err 'did you mean "temperature"'
expect 2 run --set temperature
says err "KEY=VALUE"
expect 2 run --set =1
says err "KEY=VALUE"
expect 2 run --set low_entropy=9
says err "clarify_entropy"
expect 2 run --top-k 1.5
says err "--top-k: top_k: 1.5 is not a whole number"
expect 2 run --mirostat 3
says err "from 0 to 2"
expect 2 run --samplers "top_k;topp"
says err "no stage \"topp\""
expect 2 run --logit-bias 13
says err "ID+BIAS"
expect 2 run --ban ""
expect 2 run --mirostat 1 --adaptive-target 0.5
expect 2 run --chains 0
expect 2 run --chains 257
expect 2 run --chains 2 --choose best
says err "consistent|mean-entropy|tail-entropy"
expect 2 run --chains 2 --explain
says err "--explain"
expect 2 run --chains 2 -n 0
expect 2 bench --options --kernels
says err "choose one"
expect 2 bench --csv
set --
for i in $(seq 129); do set -- "$@" --set "temperature=$i"; done
expect 2 run "$@"
says err "policy file"

# Every flag that stands for a key says so in the table: its key exists, and the help names the presets.
expect 0 run --help
for flag in samplers typical top-nsigma top-h eta-cutoff epsilon-cutoff xtc-probability xtc-threshold repeat-penalty \
    repeat-last-n frequency-penalty presence-penalty dry-multiplier dry-base dry-allowed-length dry-penalty-last-n \
    dry-sequence-breaker dynatemp-range dynatemp-exp mirostat mirostat-lr mirostat-ent adaptive-target adaptive-decay \
    logit-bias ban lookahead candidates branches branch-tokens rewind temp top-k top-p min-p; do
    says out " --$flag "
    cp "$work/out" "$work/help"
    expect 2 run "--$flag" "$(printf 'x\377')"
    says err "--$flag: "
    if grep -q "no policy key" "$work/err"; then fail "--$flag sets a key that there is not"; fi
    cp "$work/help" "$work/out"
done
says out "entropixplained"
says out "3 when a rule"

need_model
summary() { tail -n 1 "$work/out" | "$json_lines" "summary.$1"; }

# Of two that set one key, the last counts, whichever way it is given.
expect 0 run --json -n 1 --set temperature=0.5 --temp 0.25
[ "$(head -n 1 "$work/out" | "$json_lines" base.temperature)" = 0.25 ] || fail "--set before --temp"
expect 0 run --json -n 1 --temp 0.25 --set temperature=0.5
[ "$(head -n 1 "$work/out" | "$json_lines" base.temperature)" = 0.5 ] || fail "--temp before --set"
[ "$(summary policy)" = '"entropix"' ] || fail "the default policy is $(summary policy)"

# Penalties see the prompt, also a long one that is read in pieces.
plain="--policy plain --temp 0 -n 1 --no-display-prompt"
# shellcheck disable=SC2086 # several words
{
    awk 'BEGIN { printf "The capital of France is Paris."; for (i = 0; i < 560; i++) printf " and"
        print " so. The capital of France is" }' >"$work/long"
    expect 0 run $plain -f "$work/long"
    without=$(cat "$work/out")
    expect 0 run $plain -f "$work/long" --repeat-last-n -1 --presence-penalty 100
    [ "$(cat "$work/out")" != "$without" ] || fail "a penalty over all of a long prompt changes nothing: $without"
    expect 0 run $plain --logit-bias 13=false --logit-bias 14+0.5 --dry-multiplier 1 --dry-sequence-breaker none
    expect 0 run $plain --ban " Paris" -n 4
    if grep -q Paris "$work/out"; then fail "--ban \" Paris\" lets it through"; fi
    expect 0 run $plain -n 4 --ban "a \"quoted\" text" --ban 'C:\dir'
}

# A trap: a status of its own, and the metrics. A rule that stops is an end like others.
trap_rules="rules=[doubt]
when = logits_entropy > 3
action = trap
[never]
when = logits_entropy < 0
action = greedy"
expect 3 run -p "The best programming language for" --policy plain --set strategies=true --set "$trap_rules"
says err "uncertain, by rule doubt at entropy"
says err "not held  never"
expect 3 run --json -p "The best programming language for" --policy plain --set strategies=true --set "$trap_rules"
[ "$(summary end)" = '"trap"' ] || fail "the end is not trap: $(summary end)"
[ "$(summary rules.0.held) $(summary rules.1.held)" = "1 0" ] || fail "held: $(summary rules)"
[ "$(head -n 1 "$work/out" | "$json_lines" end)" = '"trap"' ] || fail "the last event does not say trap"
[ "$(head -n 1 "$work/out" | "$json_lines" token)" = null ] || fail "a trap has a token"
expect 3 run --explain -p "The best programming language for" --policy plain --set strategies=true --set "$trap_rules"
says out "uncertain"
expect 0 run -p "The best programming language for" --policy plain --set strategies=true \
    --set "$(echo "$trap_rules" | sed 's/trap/stop/')"
says err "by rule doubt"

# What was looked at, branched and taken back.
ahead="rules=[all]
candidates = candidates"
expect 0 run --json --seed 3 -n 20 -p "The best programming language for" --policy plain --set strategies=true \
    --set "$ahead" --lookahead 1 --candidates 6
[ "$(summary effort.looked_ahead)" -gt 0 ] || fail "nothing was looked at"
grep -v '"n_ahead":0' "$work/out" | head -n 1 >"$work/one"
for key in ahead.0.token ahead.1.text ahead.0.score ahead.1.entropy_after ahead.0.varentropy_after; do
    [ -n "$("$json_lines" $key <"$work/one")" ] || fail "$key is missing in --json"
done
expect 0 run --explain --seed 3 -n 20 -p "The best programming language for" --policy plain --set strategies=true \
    --set "$ahead" --lookahead 1 --candidates 6
says out "ahead of "
says err "rules     all 20"
expect 0 run --json --seed 3 -n 20 --policy plain --set strategies=true --branches 2 --branch-tokens 3 \
    --set "rules=[b]
when = logits_entropy > 1
action = branch"
[ "$(summary effort.branched)" -gt 0 ] || fail "nothing was branched"
[ "$(summary effort.tokens_of_lost_branches)" -gt 0 ] || fail "no token was lost"
[ "$(summary tokens)" = 20 ] || fail "not 20 tokens with branches"

# Several answers: the chosen one is shown, all are compared; the same at any number of threads.
expect 0 run --chains 3 -n 12 --seed 5 -p "Once upon a time" -t 1
cp "$work/out" "$work/shown"
says err "* chosen by --choose consistent"
[ "$(grep -c '^ [ *] *[0-2]  ' "$work/err")" -eq 3 ] || fail "not three answers: $(cat "$work/err")"
[ "$(grep -c '^ \*' "$work/err")" -eq 1 ] || fail "not one that is chosen"
if grep -q "$(printf '\r')" "$work/err"; then fail "progress without a terminal"; fi
expect 0 run --chains 3 -n 12 --seed 5 -p "Once upon a time" -t 2
cmp -s "$work/out" "$work/shown" || fail "another answer with two threads"
expect 0 run --json --chains 3 -n 12 --seed 5 -p "Once upon a time"
[ "$(wc -l <"$work/out")" -eq 4 ] || fail "--json --chains 3 writes $(wc -l <"$work/out") lines"
for key in answer text tokens.11 consistency mean_entropy tail_entropy end chosen; do
    [ "$("$json_lines" $key <"$work/out" | wc -l)" -eq 3 ] || fail "$key is missing in --json --chains"
done
[ "$("$json_lines" chosen <"$work/out" | grep -c true)" -eq 1 ] || fail "not one that is chosen in --json"
chosen=$(summary chosen)
[ "$(sed -n "$((chosen + 1))p" "$work/out" | "$json_lines" chosen)" = true ] || fail "the summary names another"
# The first answer of several is the one that there is alone.
"$json_lines" tokens <"$work/out" | head -n 1 >"$work/first"
expect 0 run --json -n 12 --seed 5 -p "Once upon a time"
[ "[$(grep -v summary "$work/out" | "$json_lines" token | tr '\n' ',' | sed 's/,$//')]" = "$(cat "$work/first")" ] ||
    fail "the first of several answers differs from the only one"
for choose in mean-entropy tail-entropy; do
    expect 0 run --json --chains 3 -n 12 --seed 5 --choose $choose -p "Once upon a time"
    key=$(echo $choose | tr - _)
    least=$("$json_lines" $key <"$work/out" | sort -g | head -n 1)
    [ "$(grep '"chosen":true' "$work/out" | "$json_lines" $key)" = "$least" ] || fail "--choose $choose"
done

expect 0 bench --options -n 8 -r 1 --csv
says out "option,ratio,lowest,highest"
says out '"preset entropix",'
expect 0 bench --options -n 8 -r 1 --json
[ "$("$json_lines" options.0.option <"$work/out")" = '"preset entropixplained"' ] || fail "bench --options --json"
finish
