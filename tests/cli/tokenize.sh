# tokenize.sh - texts to ids and back with the model that ships.
. "$(dirname "$0")/common.sh"
need_model

cat >"$work/texts" <<'END'
{"text":""}
{"text":"Hello world"}
{"text":"  two  spaces\n\tand a tab"}
{"text":"äöü — 漢字 🙂 <|user|>"}
{"text":"a\u0000b"}
END
"$program" tokenize <"$work/texts" >"$work/ids" || fail "tokenize: status $?"
"$program" tokenize <"$work/ids" >"$work/back" || fail "tokenize of ids: status $?"
"$json_lines" text <"$work/texts" >"$work/wanted"
"$json_lines" text <"$work/back" | cmp -s - "$work/wanted" || fail "texts do not come back: $(cat "$work/back")"

one() { echo "$1" | "$program" tokenize $2 | "$json_lines" ids; }
[ "$(one '{"text":"<|user|>","parse_special":true}')" = "[3]" ] || fail "parse_special of a line"
[ "$(one '{"text":"<|user|>"}' --parse-special)" = "[3]" ] || fail "--parse-special"
[ "$(one '{"text":"<|user|>"}')" != "[3]" ] || fail "a control token came from plain text"
[ "$(one '{"text":""}' --add-bos)" = "[0]" ] || fail "--add-bos"
[ "$(one '{"text":""}' --add-eos)" = "[]" ] || fail "--add-eos where the file does not ask for it"
sed 's/tokenizer.ggml.add_bos_token/tokenizer.ggml.add_eos_token/' "$model" >"$work/ends.gguf"
expect 0 info --json "$work/ends.gguf"
end=$("$json_lines" tokenizer.special_tokens.eos.token <"$work/out")
[ "$(one '{"text":""}' "--add-eos -m $work/ends.gguf")" = "[$end]" ] || fail "--add-eos where the file asks for it"
[ "$(one '{"text":""}' "-m $work/ends.gguf")" = "[]" ] || fail "an end that nobody asked for"

status=0
printf '%s\n' 'x' '{"text":3}' '{"ids":[-1]}' '{"text":"still answered"}' | "$program" tokenize >"$work/out" || status=$?
[ "$status" -eq 2 ] || fail "bad lines give status $status"
[ "$("$json_lines" line <"$work/out" | tr '\n' ' ')" = "1 2 3 " ] || fail "errors do not name their lines"
tail -n 1 "$work/out" | "$json_lines" ids | grep -q '^\[' || fail "the good line after bad ones is lost"
finish
