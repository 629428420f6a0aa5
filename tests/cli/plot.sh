# plot.sh - pictures of a trace made by hand: well-formed, a mark for each token, every strategy named; what is broken is
# named with its line.
. "$(dirname "$0")/common.sh"
trace=$source_folder/tests/data/trace.jsonl

well_formed() {
    if command -v xmllint >/dev/null 2>&1; then
        xmllint --noout "$1" 2>"$work/why" || fail "$1 is no XML: $(head -n 3 "$work/why")"
    elif command -v python3 >/dev/null 2>&1; then
        python3 -c 'import sys, xml.dom.minidom; xml.dom.minidom.parse(sys.argv[1])' "$1" 2>"$work/why" ||
            fail "$1 is no XML: $(tail -n 1 "$work/why")"
    fi
}

# counts FILE PATTERN N: so many lines of the file match.
counts() {
    n=$(grep -c -e "$2" "$work/$1") || true
    [ "$n" -eq "$3" ] || fail "$1 has $n lines with '$2', not $3"
}

expect 0 plot "$trace" -o "$work/all.svg"
[ ! -s "$work/out" ] && [ ! -s "$work/err" ] || fail "plot says: $(cat "$work/out" "$work/err")"
well_formed "$work/all.svg"
for word in greedy risk clarify "my own" "low_entropy 0.1" "high_entropy 5" ">3.25<" "high_varentropy 4.5" \
    "made by hand &lt;&amp;&gt;" "One &amp; two" prefers-color-scheme "branched here" "went back to here" \
    "back from 6 to 5: resample" "lost, 1 tokens"; do says all.svg "$word"; done
grep -q '[^ a-z.0-9>]2 \* \|>9<' "$work/all.svg" && fail "a product with a metric became a threshold"

expect 0 plot "$trace" -o "$work/plane.svg" --part plane
well_formed "$work/plane.svg"
# The marks of tokens have titles, those of the legend have none: six decisions, one of them taken back.
counts plane.svg 'class="dot s[0-9]*".*<title>' 6
counts plane.svg 'taken back' 1
expect 0 plot "$trace" -o "$work/timeline.svg" --part timeline --width 480
well_formed "$work/timeline.svg"
counts timeline.svg 'class="mono ' 4
counts timeline.svg 'class="ghost".*<title>' 1
expect 0 plot "$trace" -o "$work/heads.svg" --part heads
well_formed "$work/heads.svg"
counts heads.svg 'layer [01], head [012]: ' 6
says heads.svg "layer 0, head 0: 0.400 bits"

expect 0 plot "$trace" -o "$work/dark.svg" --theme dark
well_formed "$work/dark.svg"
grep -q 'var(\|prefers' "$work/dark.svg" && fail "a picture in dark colours asks for the reader's"

expect 0 plot "$trace" -o "$work/page.html"
for word in "<!DOCTYPE html>" 'type="range"' 'data-i="5"' 'u003cb>'; do says page.html "$word"; done
sed 's|http://www.w3.org/2000/svg||' "$work/page.html" | grep -q 'https\{0,1\}:\|src=\|@import' &&
    fail "the page asks for something from elsewhere"

# Without attention statistics, without tokens, from a pipe.
sed 's/"head_entropy":[^a-z]*,//; s/"attn_entropy":[0-9.]*,//; s/,"head_disagreement":[0-9.]*//' "$trace" >"$work/bare.jsonl"
expect 0 plot "$work/bare.jsonl" -o "$work/bare.svg"
well_formed "$work/bare.svg"
says bare.svg "no attention statistics"
expect 0 plot "$work/bare.jsonl" -o "$work/bare.html"
head -n 1 "$trace" | "$program" plot - -o "$work/empty.svg" || fail "a trace from a pipe"
well_formed "$work/empty.svg"
says empty.svg "no tokens in this trace"

# A PNG where the program can draw one; else the reason and the package.
status=0
# The renderer keeps what it holds until the program ends, which a sanitizer would report.
ASAN_OPTIONS=detect_leaks=0 "$program" plot "$trace" -o "$work/all.png" 2>"$work/err" || status=$?
if [ "$status" -eq 0 ]; then
    [ "$(head -c 4 "$work/all.png" | tail -c 3)" = PNG ] || fail "all.png is no PNG"
else
    says err librsvg
    [ ! -e "$work/all.png" ] || fail "a PNG was left behind"
fi

expect 2 plot
says err "TRACE"
expect 2 plot "$trace"
says err "-o FILE"
expect 2 plot "$trace" -o "$work/picture.jpg"
says err ".svg, .png or .html"
expect 2 plot "$trace" -o "$work/x.svg" --part eyes
says err "plane|timeline|heads"
expect 2 plot "$work/absent.jsonl" -o "$work/x.svg"
says err "absent.jsonl"
expect 2 plot "$trace" -o "$work/nowhere/x.svg"
says err "nowhere/x.svg: cannot write"

# breaks SED WORDS: the changed trace is refused with these words, and no picture is made.
breaks() {
    sed "$1" "$trace" >"$work/broken.jsonl"
    expect 2 plot "$work/broken.jsonl" -o "$work/broken.svg"
    says err "broken.jsonl:$2"
    [ ! -e "$work/broken.svg" ] || fail "'$1' left a picture behind"
}
breaks '5s/}$//' "5: column "
breaks '3s/.*/[1]/' "3: no JSON object"
breaks '1d' "1: no header of a trace"
breaks '1s/"trace":1/"trace":2/' "1: a trace of version 2"
breaks '2s/"logits_varentropy"/"other"/' "2: the metrics have no number logits_varentropy"
breaks '3s/"kind":"token",//' "3: the line has no kind"
breaks '4s/\[\[0.25,1,1.5\],/[/' "4: head_entropy has 1 layers, but 2"
breaks '4s/\[0.25,1,1.5\]/[0.25]/' "4: head_entropy: layer 0 has 1 heads, not 3"
breaks d "1: the file is empty"
finish
