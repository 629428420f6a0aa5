# perplexity.sh - the figure against one computed from logits by another way, and what is wrong with its input.
. "$(dirname "$0")/common.sh"
need_model

printf 'The river rises in the hills north of the town, passes two mills and meets the sea after forty miles. %s' \
    'In spring its banks are under water.' >"$work/text"
ids=$(tr -d '\n' <"$work/text" | sed 's/.*/{"text":"&"}/' | "$program" tokenize --add-bos | "$json_lines" ids | tr -d '[]')

# Natural logarithms of what the model gave to each scored token of the window that begins at token $1.
losses() {
    window=$(echo "$ids" | cut -d, -f "$(($1 + 1))-$(($1 + 16))" | sed 's/^[0-9]*/0/')
    "$program" logits --tokens "$window" --all >"$work/logits"
    for position in 8 9 10 11 12 13 14; do
        next=$(echo "$window" | cut -d, -f $((position + 2)))
        "$json_lines" "logits.$position" <"$work/logits" | tr -d '[]' |
            awk -F, -v next_token="$next" '{ for (i = 1; i <= NF; i++) sum += exp($i)
                                             print log(sum) - $(next_token + 1) }'
    done
}
{ losses 0; losses 16; } >"$work/losses"
[ "$(wc -l <"$work/losses")" -eq 14 ] || fail "the test has $(wc -l <"$work/losses") losses"

expect 0 perplexity -f "$work/text" -c 16 --cache-type f32 --json
cp "$work/out" "$work/figures"
[ "$("$json_lines" windows <"$work/figures")" -eq 2 ] || fail "windows: $(cat "$work/figures")"
[ "$("$json_lines" scored <"$work/figures")" -eq 14 ] || fail "scored: $(cat "$work/figures")"
awk -v measured="$("$json_lines" perplexity <"$work/figures")" -v error="$("$json_lines" standard_error <"$work/figures")" '
    { n++; sum += $1; squares += $1 * $1 }
    END {
        mean = sum / n
        wanted = exp(mean)
        wanted_error = wanted * sqrt((squares / n - mean * mean) / (n - 1))
        print measured, wanted, error, wanted_error
        exit !((measured / wanted - 1) ^ 2 < 1e-10 && (error / wanted_error - 1) ^ 2 < 1e-8)
    }' "$work/losses" >"$work/compared" || fail "measured and wanted, with their errors: $(cat "$work/compared")"

expect 0 perplexity -f "$work/text" -c 16
for word in perplexity bits entropy varentropy tokens/s "7 of each of 2 windows of 16"; do says out "$word"; done
"$program" perplexity -f - -c 16 --json --cache-type f32 -t 1 <"$work/text" >"$work/out" || fail "standard input"
[ "$("$json_lines" perplexity <"$work/out")" = "$("$json_lines" perplexity <"$work/figures")" ] ||
    fail "one thread makes another figure"

expect 2 perplexity
says err "-f FILE"
expect 2 perplexity -f "$work/nothing"
says err "nothing"
expect 2 perplexity -f "$work/text"
says err "too few for one window of"
expect 2 perplexity -f "$work/text" -c 3
says err "from 4"
printf 'ab\377c' >"$work/broken"
expect 2 perplexity -f "$work/broken" -c 4
says err "byte 2"
finish
