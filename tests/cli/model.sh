# model.sh - info, logits, chat, bench and quantize with the model that ships.
. "$(dirname "$0")/common.sh"
need_model

expect 0 info
for word in entropix-40m llama Q6_K 16,384 qwen2 "chat template yes" CC-BY-SA-4.0 "runs here"; do says out "$word"; done
expect 0 info --json "$model"
[ "$("$json_lines" architecture <"$work/out")" = '"llama"' ] || fail "info --json: architecture"
[ "$("$json_lines" shape.n_layer <"$work/out")" = 10 ] || fail "info --json: shape.n_layer"
[ "$("$json_lines" tokenizer.special_tokens.bos.token <"$work/out")" = 0 ] || fail "info --json: special tokens"
[ "$("$json_lines" supported <"$work/out")" = true ] || fail "info --json: supported"

expect 0 logits --tokens 0,5,9 --all --scores -t 1
cp "$work/out" "$work/logits"
[ "$("$json_lines" logits.2 <"$work/logits" | tr ',' '\n' | wc -l)" -eq 16384 ] || fail "logits --all: the last row"
[ "$("$json_lines" scores.9.7 <"$work/logits" | tr ',' '\n' | wc -l)" -eq 3 ] || fail "logits --scores: the last head"
"$json_lines" metrics.attn_entropy <"$work/logits" | grep -q '^[0-9]' || fail "logits: metrics"
expect 0 logits --tokens 0,5,9 -t 2
"$json_lines" logits <"$work/out" >"$work/last"
"$json_lines" logits.2 <"$work/logits" | cmp -s - "$work/last" || fail "logits of the last position differ with --all"
expect 2 logits --tokens 16384
says err "0 to 16383"

printf 'What is the capital of France?\n/regen\n\n/exit\nnot read\n' |
    "$program" chat --temp 0 -n 24 --policy plain >"$work/out" 2>"$work/err" || fail "chat: status $?"
[ "$(grep -c Paris "$work/out")" -eq 2 ] || fail "chat answers: $(cat "$work/out" "$work/err")"
status=0
awk 'BEGIN { for (i = 0; i < 200; i++) printf "word "; print "" }' | "$program" chat -c 64 >"$work/out" 2>"$work/err" ||
    status=$?
[ "$status" -eq 2 ] || fail "a message longer than the context: status $status"
says err "larger -c"

expect 0 bench --json -p 16 -n 8 -r 1 -t 1
for key in prefill.tokens_per_second prefill.peak_share prefill.peak_operations_per_second decode.tokens_per_second decode.tokens_per_second_mean \
    decode.tokens_per_second_without_statistics decode.bandwidth_share memory.read_bytes_per_second \
    memory.peak_bytes sampling.microseconds batch.ratio load.seconds; do
    "$json_lines" $key <"$work/out" | grep -q '^[0-9.e+-]*[1-9]' || fail "bench --json: $key"
done
hash=$("$json_lines" logits_hash <"$work/out")
expect 0 bench -p 16 -n 8 -r 1 -t 2
says out "pp16"
says out "tg8"
says out "$(echo "$hash" | tr -d '"')"
expect 0 bench -p 16 -n 8 -r 1 -d 80
says out "pp16 after 80"
says out "tg8 after 80"
says out "$(echo "$hash" | tr -d '"')"
expect 2 bench -p 16 -n 8 -r 1 -d 100000
says err "context of 1000"

expect 0 bench --kernels
for word in "portable" "matmul" "Q8_0" "integer_peak"; do says out "$word"; done
expect 0 bench --kernels --json
[ "$("$json_lines" functions.0.error <"$work/out")" = 0 ] || fail "bench --kernels: portable differs from itself"
[ "$("$json_lines" functions.0.kernels <"$work/out")" = '"portable"' ] || fail "bench --kernels: not portable first"

small=$source_folder/tests/data/models/llama3-f16.gguf
if [ -r "$small" ]; then
    expect 0 quantize "$small" "$work/small.gguf" Q8_0
    says out "Q8_0"
    expect 0 info "$work/small.gguf"
    says out "Q8_0"
    expect 2 quantize "$small" "$work/other.gguf" Q77
    says err "Q77"
    [ ! -e "$work/other.gguf" ] || fail "quantize left a file behind"
fi
finish
