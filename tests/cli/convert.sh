# convert.sh - a Hugging Face folder through the program: the file it makes runs, and what is wrong is named.
. "$(dirname "$0")/common.sh"
expect 2 convert
says err "DIR OUT"
expect 2 convert "$work"
says err "DIR OUT"
expect 2 convert "$work/absent" "$work/out.gguf"
says err "absent"
mkdir "$work/empty"
expect 2 convert "$work/empty" "$work/out.gguf"
says err "config.json"
expect 2 convert "$work/empty" "$work/out.gguf" --type q8_0
says err "f16|bf16|f32"
[ -z "$(ls "$work" | grep gguf)" ] || fail "a file was left behind: $(ls "$work")"

folder=$source_folder/../shared/golden/hf/llama3
tokens=$source_folder/../shared/golden/hf/llama3-tokens.jsonl
[ -r "$folder/config.json" ] || { echo "no golden folder beside the project"; finish; exit 0; }
expect 0 convert "$folder" "$work/model.gguf"
says out "model.gguf: "
[ ! -s "$work/err" ] || fail "convert in a pipe says: $(cat "$work/err")"
expect 0 info "$work/model.gguf"
for word in llama F16 llama-bpe "runs here"; do says out "$word"; done

"$json_lines" ids <"$tokens" >"$work/wanted"
"$program" tokenize -m "$work/model.gguf" --parse-special <"$tokens" | "$json_lines" ids | cmp -s - "$work/wanted" ||
    fail "the converted vocabulary gives other tokens"
expect 0 logits -m "$work/model.gguf" --tokens 0,5,9 -t 1
"$json_lines" logits <"$work/out" >"$work/logits"
[ "$(tr ',' '\n' <"$work/logits" | grep -c '[0-9]')" -gt 100 ] || fail "logits: $(head -c 300 "$work/out")"
expect 0 run -m "$work/model.gguf" -p "Hello" -n 4 --temp 0

for type in bf16 f32; do
    expect 0 convert "$folder" "$work/$type.gguf" --type $type
    expect 0 info "$work/$type.gguf"
    says out "$(echo $type | tr a-z A-Z)"
done
expect 0 logits -m "$work/f32.gguf" --tokens 0,5,9 -t 1
"$json_lines" logits <"$work/out" | cmp -s - "$work/logits" || fail "F16 weights give other logits as F32"

expect 2 convert "$folder" "$work/nowhere/model.gguf"
says err "nowhere"
# A broken folder leaves nothing behind, neither a file nor a temporary one.
cp -r "$folder" "$work/broken"
chmod -R u+w "$work/broken"
head -c 100000 "$folder/model.safetensors" >"$work/broken/model.safetensors"
expect 2 convert "$work/broken" "$work/broken.gguf"
says err "model.safetensors"
ls "$work" | grep -q "^\.*broken.gguf" && fail "a file was left behind: $(ls "$work")"
finish
