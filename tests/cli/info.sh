# info.sh - files that this program cannot run, made from good ones by changing a few bytes: the reason names what it
# is, and the rest is described all the same.
. "$(dirname "$0")/common.sh"
need_model
small=$source_folder/tests/data/models/llama3-f16.gguf
[ -r "$small" ] || skip "the small test model is not at $small"
bent=$work/bent.gguf

# describes WORDS: the file is described in words and as JSON, and the reason has the words; `run` fails with them too.
describes() {
    expect 0 info -v "$bent"
    for word in architecture weights layers tokens "blk.0.attn_q.weight" "cannot run here: "; do says out "$word"; done
    grep "^cannot run here: " "$work/out" | grep -qF -e "$1" || fail "'$1' is not the reason: $(grep ^cannot "$work/out")"
    expect 0 info --json "$bent"
    [ "$("$json_lines" supported <"$work/out")" = false ] || fail "$1: supported in JSON"
    "$json_lines" reason <"$work/out" | grep -qF -e "$1" || fail "'$1' is not the reason in JSON"
    expect 2 run -m "$bent" -n 1
    says err "$1"
}

sed 's/llama/mamba/g' "$small" >"$bent"
describes mamba
says err "architecture"
sed 's/qwen2/qwen9/' "$model" >"$bent"
describes qwen9
expect 0 info "$bent"
says out "cannot tokenize here: "
sed 's/gpt2/gpt9/' "$model" >"$bent"
describes gpt9

# The type of a tensor lies behind its name, the number of its dimensions (2) and these.
cp "$small" "$bent"
name=blk.0.attn_q.weight
at=$(grep -abo "$name" "$bent" | head -n 1 | cut -d: -f 1)
printf '\310' | dd of="$bent" bs=1 seek=$((at + ${#name} + 20)) conv=notrunc 2>/dev/null
describes "tensor '$name': type 200 is private to the ik_llama.cpp fork"
expect 0 info -v "$bent"
says out "$name type 200"
printf '\053' | dd of="$bent" bs=1 seek=$((at + ${#name} + 20)) conv=notrunc 2>/dev/null
describes "type 43 is unknown"
expect 2 quantize "$bent" "$work/out.gguf" Q8_0
says err "type 43 is unknown"

# What is not in this interpreter of Jinja.
sed 's/endfor/embark/' "$model" >"$bent"
expect 0 info "$bent"
says out "cannot be used: tokenizer.chat_template:"
says out "embark"
says out "runs here"
echo hello | "$program" chat -m "$bent" >"$work/out" 2>"$work/err" && fail "chat with a broken template"
says err "embark"
finish
