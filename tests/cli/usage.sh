# usage.sh - wrong arguments and wrong files: status 2, and a message that says the fix.
. "$(dirname "$0")/common.sh"

expect 2 rnu
says err "did you mean 'run'"
expect 2 run --tmep 1
says err "did you mean --temp"
expect 2 run --scores
says err "logits has"
expect 2 run --temp 101
says err "--temp: temperature: 101 is out of range, it must be from 0 to 100"
expect 2 run --temp=x
says err "--temp: temperature: \"x\" is not a finite decimal number"
expect 2 run -n 1.5
says err "whole number"
expect 2 run -n
says err "needs a value"
expect 2 run --explain=yes
says err "takes no value"
expect 2 run --color purple
says err "auto|always|never"
expect 2 run --json --explain
expect 2 run -p a -f b
expect 2 run stray
says err "stray"
expect 2 quantize one
says err "IN OUT TYPE"
expect 2 run --policy nothing-of-this-name
says err "entropix-2024-10"
expect 2 logits
says err "--tokens"
expect 2 logits --tokens 1,x
says err "'x' is not a token id"

for command in run chat logits tokenize info bench; do
    case $command in logits) more="--tokens 1" ;; *) more= ;; esac
    # shellcheck disable=SC2086 # nothing, or two words
    expect 2 $command $more -m "$work/absent.gguf"
    says err "absent.gguf"
    [ ! -s "$work/out" ] || fail "$command writes output for a file that is not there"
done
echo "this is no model" >"$work/foreign.gguf"
expect 2 info -m "$work/foreign.gguf"
says err "foreign.gguf"
expect 2 quantize "$work/foreign.gguf" "$work/quantized.gguf" Q8_0
[ ! -e "$work/quantized.gguf" ] || fail "quantize left a file behind"

ENTROPIX_MODEL=$work/elsewhere.gguf
export ENTROPIX_MODEL
expect 2 run
says err "elsewhere.gguf"
finish
