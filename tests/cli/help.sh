# help.sh - help, man pages and completion of every subcommand.
. "$(dirname "$0")/common.sh"
commands="run chat decide logits tokenize render info bench perplexity quantize convert calibrate plot"

check_width() {
    widest=$(awk '{ gsub(/[\200-\277]/, ""); if (length > widest) widest = length } END { print widest + 0 }' "$work/out")
    [ "$widest" -le 100 ] || fail "$1 is $widest columns wide"
}

expect 0 --help
check_width --help
for command in $commands; do says out "  $command"; done
expect 0 --version
says out "entropix "
expect 2

for command in $commands; do
    for form in -h --help; do
        expect 0 "$command" $form
        check_width "$command $form"
        says out "usage: entropix $command"
    done
    says out "Exit status"
    cp "$work/out" "$work/help"
    expect 0 help "$command"
    cmp -s "$work/out" "$work/help" || fail "help $command differs from $command --help"
    expect 0 man "$command"
    says out ".SH OPTIONS"
    # Every option of the help is in the man page.
    sed -n 's/^ .*--\([a-z-]*\).*/\1/p' "$work/help" | grep -v '^$' | sort -u | while read -r name; do
        escaped=$(echo "$name" | sed 's/-/\\\\-/g')
        grep -q -- "\\\\-\\\\-$escaped" "$work/out" || echo "$name"
    done >"$work/missing"
    [ ! -s "$work/missing" ] || fail "man $command lacks $(tr '\n' ' ' <"$work/missing")"
done
expect 0 man
says out ".TH ENTROPIX 1"
expect 2 help nothing
expect 2 man nothing
expect 2 completion fish

expect 0 completion bash
if command -v bash >/dev/null 2>&1; then
    cp "$work/out" "$work/completion"
    complete_words() { # the words of the line so far, the last one being completed
        bash -c '. "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _entropix; echo "${COMPREPLY[*]}"' \
            "$work/completion" "$@" >"$work/out"
    }
    complete_words entropix qu
    says out "quantize"
    complete_words entropix run --temp
    says out "--temp"
    complete_words entropix chat --color n
    says out "never"
    complete_words entropix run --tokens
    [ -z "$(tr -d '\n' <"$work/out")" ] || fail "run --tokens is completed, but run has no such option"
fi
finish
