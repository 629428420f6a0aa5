# render.sh - chat templates through the program: rules, failures with their place, and the golden renderings.
. "$(dirname "$0")/common.sh"

cat >"$work/chat.jinja" <<'END'
{%- for message in messages %}
    {%- if message.role == 'system' %}{{ raise_exception('no ' ~ message.role ~ ' here') }}{% endif %}
{{- '<' ~ message.role ~ '>' ~ message.content | trim ~ '\n' }}
{%- endfor %}
{%- if date %}{{ strftime_now('%Y-%m-%d %H:%M') }}{% endif %}
END
render() { "$program" render -T "$work/chat.jinja" "$@" >"$work/out" 2>"$work/err"; }

echo '{"inputs":{"messages":[{"role":"user","content":" Grüße\u0000\ud83d\ude42 "},{"role":"assistant","content":""}]}}' |
    render || fail "render: status $?"
[ "$(cat "$work/out")" = '{"output":"<user>Grüße\u0000🙂\n<assistant>\n"}' ] || fail "render: $(cat "$work/out")"
echo '{"inputs":{"messages":[],"date":1}}' | render --now 2026-11-23 || fail "render --now: status $?"
says out '"2026-11-23 00:00"'
echo '{"inputs":{"messages":[],"date":1}}' | render --now 2024-02-29T23:59 || fail "render --now: status $?"
says out '"2024-02-29 23:59"'

status=0
cat >"$work/in" <<'END'
{"inputs":{"messages":[{"role":"system","content":""}]}}
nonsense
{"inputs":[]}
{"inputs":{"messages":3}}
{"inputs":{"messages":[]}}
END
render <"$work/in" || status=$?
[ "$status" -eq 2 ] || fail "lines without an answer give status $status"
[ "$("$json_lines" line <"$work/out" | tr '\n' ' ')" = "1 2 3 4 " ] || fail "errors do not name their lines"
says out "chat.jinja:2:57: no system here"
says out "column 8"
says out "needs \\\"inputs\\\""
says out "chat.jinja:1:"
[ "$(tail -n 1 "$work/out")" = '{"output":""}' ] || fail "the good line after bad ones is lost"

expect 2 render
says err "-T FILE"
expect 2 render -T "$work/nothing"
says err "nothing"
for date in 2026-13-01 2026-02-30 today ""; do
    expect 2 render -T "$work/chat.jinja" --now "$date"
    says err "2026-11-23"
done
printf 'a\n{%% for x %%}' >"$work/broken.jinja"
expect 2 render -T "$work/broken.jinja"
says err "broken.jinja:2:"
printf '{{ a | frobnicate }}' >"$work/broken.jinja"
expect 2 render -T "$work/broken.jinja"
says err "broken.jinja:1:8: there is no filter named frobnicate"
printf '{%% if a %%}{{ a | frobnicate }}{%% endif %%}' >"$work/broken.jinja"
printf '{"inputs":{"a":1}}\n{"inputs":{}}\n' | "$program" render -T "$work/broken.jinja" >"$work/out" &&
    fail "a filter that nobody has"
says out "broken.jinja:1:18: there is no filter named frobnicate"
says out '{"output":""}'

golden=$source_folder/../shared/golden/templates
if [ -r "$golden/cases.jsonl" ]; then
    "$json_lines" template <"$golden/cases.jsonl" | tr -d '"' | sort -u >"$work/names"
    while read -r name; do
        grep -F "{\"template\": \"$name\"" "$golden/cases.jsonl" >"$work/cases"
        "$program" render -T "$golden/$name" --now 2026-11-23 <"$work/cases" >"$work/answers" 2>"$work/err"
        "$json_lines" output <"$work/cases" | grep -v '^null$' >"$work/wanted"
        "$json_lines" output <"$work/answers" | cmp -s - "$work/wanted" || fail "$name renders something else"
        [ "$(wc -l <"$work/answers")" -eq "$(wc -l <"$work/cases")" ] || fail "$name: not every line is answered"
    done <"$work/names"
    echo "$(wc -l <"$golden/cases.jsonl") golden renderings"
fi
finish
