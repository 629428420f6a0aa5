# split.sh - models in several files: any of them opens them all, and everything is as with one file; experts too.
. "$(dirname "$0")/common.sh"
split_model=$(dirname "$json_lines")/split_model
small=$source_folder/tests/data/models/llama3-f16.gguf
experts=$source_folder/../shared/golden/models/qwen3moe-f16.gguf
[ -r "$small" ] || skip "the small test model is not at $small"

# same MODEL TYPE: the model in three files is described, evaluated and quantised as it is in one.
same() {
    rm -f "$work"/part-*
    "$split_model" "$1" "$work/part" 3 || fail "split_model: status $?"
    expect 0 info "$1"
    parameters=$(grep -o '[^ ]* parameters' "$work/out")
    expect 0 logits -m "$1" --tokens 1,5,9,2 --all --scores -t 2
    cp "$work/out" "$work/wanted"
    for part in 1 2 3; do
        expect 0 info "$work/part-0000$part-of-00003.gguf"
        says out "part-00001-of-00003.gguf and on, 3 files"
        says out "$parameters"
        says out "runs here"
    done
    expect 0 info -v "$work/part-00002-of-00003.gguf"
    says out " of file 1"
    says out " of file 3"
    expect 0 info --json "$work/part-00003-of-00003.gguf"
    [ "$("$json_lines" supported <"$work/out")" = true ] || fail "info --json of a split model: $(cat "$work/out")"
    expect 0 logits -m "$work/part-00002-of-00003.gguf" --tokens 1,5,9,2 --all --scores -t 2
    cmp -s "$work/out" "$work/wanted" || fail "$1: logits of the split model differ"
    expect 0 quantize "$1" "$work/one.gguf" "$2"
    expect 0 quantize "$work/part-00003-of-00003.gguf" "$work/three.gguf" "$2"
    cmp -s "$work/one.gguf" "$work/three.gguf" || fail "$1: quantised to another file when split"
}

same "$small" Q8_0
[ ! -r "$experts" ] || same "$experts" Q4_K_M

"$split_model" "$small" "$work/part" 3
rm "$work/part-00002-of-00003.gguf"
for part in 1 3; do
    expect 2 info "$work/part-0000$part-of-00003.gguf"
    says err "part-00002-of-00003.gguf is missing: the model is split into 3 files"
done
finish
