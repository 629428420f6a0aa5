# grammar.sh - answers that follow a JSON schema.
. "$(dirname "$0")/common.sh"
need_model

cat >"$work/schema" <<'END'
{"type": "object", "required": ["name", "age"], "additionalProperties": false,
 "properties": {"name": {"type": "string", "maxLength": 10}, "age": {"type": "integer", "minimum": 18, "maximum": 99}}}
END
for seed in 1 2 3; do
    expect 0 run --json-schema "$work/schema" --no-display-prompt --temp 1.5 --seed $seed -n 200 -p "A person as JSON:"
    tr -d '\n' <"$work/out" >"$work/answer"
    age=$("$json_lines" age <"$work/answer")
    if [ "$age" -lt 18 ] || [ "$age" -gt 99 ]; then fail "an age of $age"; fi
    [ -n "$("$json_lines" name <"$work/answer")" ] || fail "no name in $(cat "$work/answer")"
    says err "ended     by the model"
done

# a trace that knows the grammar
expect 0 run --json-schema "$work/schema" --trace "$work/trace" --temp 1.5 --seed 1 -n 200 -p "A person as JSON:"
expect 0 replay "$work/trace"

echo '{"enum": ["yes", "no"]}' >"$work/other"
expect 0 run --json-schema "$work/other" --no-display-prompt --seed 1 -p "Is water wet?"
grep -Eq '^ ?"(yes|no)"$' "$work/out" || fail "neither yes nor no: $(cat "$work/out")"
expect 0 run --json-object --no-display-prompt --seed 1 -n 8 -p "JSON:"
grep -Eq '^ ?\{' "$work/out" || fail "no object: $(cat "$work/out")"

echo '{"type": "object", "patternProperties": {}}' >"$work/other"
expect 2 run --json-schema "$work/other"
says err "#/patternProperties"
echo '{"type": ' >"$work/other"
expect 2 run --json-schema "$work/other"
says err "byte"
expect 2 run --json-schema "$work/none"
expect 2 run --json-schema "$work/schema" --json-object
says err "choose one"
expect 2 run --json-object --ignore-eos
says err "ignore_end"
finish
