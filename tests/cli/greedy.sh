# greedy.sh - the likeliest tokens of the shipped model are the same with every kernel table, on every machine. What
# follows the source folder is the emulator that runs the program, if it needs one.
. "$(dirname "$0")/common.sh"
shift 3
need_model

expected=" Paris. The capital of the state of Ohio is Columbus."
tables=$("$@" "$program" run --cpu none -n 1 2>&1 | sed -n 's/.*use one of //p' | tr -d ',')
case $tables in
    portable*) ;;
    *) fail "no list of kernel tables: $tables" ;;
esac
for table in $tables; do
    text=$("$@" "$program" run --cpu "$table" --policy plain --temp 0 -n 12 --no-display-prompt \
        -p "The capital of France is" 2>"$work/err") || fail "$table: $(cat "$work/err")"
    [ "$text" = "$expected" ] || fail "$table: $text"
    echo "$table:$text"
done
finish
