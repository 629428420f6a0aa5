# quantize.sh - the table of errors, JSON, warnings, and that nothing is left behind.
. "$(dirname "$0")/common.sh"
small=$source_folder/tests/data/models/llama3-f16.gguf
[ -r "$small" ] || skip "there is no $small"

expect 0 quantize "$small" "$work/q8.gguf" Q8_0
for word in "rms error" "F16 -> Q8_0" "largest" "tensors kept their type" "bits a weight"; do says out "$word"; done
[ ! -s "$work/err" ] || fail "quantize in a pipe says: $(cat "$work/err")"
[ "$(grep -c '  largest$' "$work/out")" -eq 2 ] || fail "the worst tensor is not marked: $(cat "$work/out")"

expect 0 quantize "$small" "$work/q5.gguf" q5_k_m --json -t 1
[ "$("$json_lines" type <"$work/out")" = '"q5_k_m"' ] || fail "quantize --json: type"
[ "$("$json_lines" tensors.1.name <"$work/out")" = '"token_embd.weight"' ] || fail "quantize --json: tensors"
for key in bits_per_weight bytes_before bytes seconds tensors.1.relative_error tensors.1.largest_error; do
    "$json_lines" $key <"$work/out" | grep -q '^[0-9.e+-]*[1-9]' || fail "quantize --json: $key"
done
expect 0 info "$work/q5.gguf"
says out "Q6_K"

expect 0 quantize "$work/q8.gguf" "$work/again.gguf" Q4_0
[ "$(grep -c "were quantised already" "$work/err")" -eq 1 ] || fail "no single warning: $(cat "$work/err")"

expect 2 quantize "$small" "$work/other.gguf" Q77
says err "Q77"
[ ! -e "$work/other.gguf" ] || fail "quantize left a file behind"

# Ctrl-C: the file is large enough to be caught half way, wherever that is
"$program" quantize "$source_folder/models/entropix-40m-q6_k.gguf" "$work/stopped.gguf" Q4_K_M -t 1 >"$work/out" 2>"$work/err" &
child=$!
sleep 0.2
kill -INT $child 2>/dev/null
status=0
wait $child || status=$?
case $status in
0) [ -e "$work/stopped.gguf" ] || fail "no file although quantize ended well" ;;
130) [ ! -e "$work/stopped.gguf" ] || fail "a file although quantize was stopped" ;;
*) fail "stopped quantize: status $status: $(cat "$work/err")" ;;
esac
ls "$work" | grep -q part && fail "a temporary file was left behind: $(ls "$work")"
finish
