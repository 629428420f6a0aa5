# common.sh - what the tests of the program share. Each test is run as `sh TEST.sh PROGRAM JSON_LINES SOURCE_FOLDER`.
program=$1
json_lines=$2
source_folder=$3
model=$source_folder/models/entropix-40m-q6_k.gguf
LC_ALL=C
TERM=xterm
export LC_ALL TERM
unset NO_COLOR ENTROPIX_MODEL
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0

fail() {
    echo "FAILED: $*"
    failures=$((failures + 1))
}

skip() {
    echo "skipped: $*"
    exit 77
}

need_model() {
    [ -r "$model" ] || skip "the model that ships is not at $model"
    ENTROPIX_MODEL=$model
    export ENTROPIX_MODEL
}

# expect STATUS ARGUMENTS...: runs the program; its output is in $work/out and $work/err.
expect() {
    wanted=$1
    shift
    status=0
    "$program" "$@" >"$work/out" 2>"$work/err" </dev/null || status=$?
    [ "$status" -eq "$wanted" ] || fail "entropix $*: status $status, not $wanted: $(cat "$work/err")"
}

# says FILE TEXT: the file must contain the text.
says() {
    grep -qF -e "$2" "$work/$1" || fail "'$2' is missing in: $(head -c 600 "$work/$1")"
}

finish() {
    [ "$failures" -eq 0 ] || exit 1
    echo "ok"
}
