#!/usr/bin/env bash
# Checks which way #include arrows point and that banned functions stay out. Prints FILE:LINE for each violation.
#   tools/check_includes.sh [ROOT]
set -euo pipefail
cd "${1:-$(dirname "${BASH_SOURCE[0]}")/..}"

mapfile -t files < <(find include src cli eval server bench examples tests tools cuda web -name '*.[ch]' 2>/dev/null | sort)

awk '
BEGIN {
    # Rooms of src/ and the rooms that each may include. Any of them may include entropix.h.
    rooms["base"] = ""
    rooms["file"] = rooms["text"] = rooms["kernel"] = rooms["sampler"] = "base"
    rooms["convert"] = "base file text"
    rooms["model"] = "base file kernel"
    rooms["generate"] = "base file text kernel model sampler"
    rooms["cuda"] = "base kernel model"

    # Headers from outside that have one place, and where.
    place["utf8proc.h"] = "^(src/text|tests)/"
    place["pcre2.h"] = "^(src/text|tests)/"
    place["immintrin.h"] = place["x86intrin.h"] = "^src/kernel/a[vm]x"
    place["arm_neon.h"] = "^src/kernel/neon"
    place["jansson.h"] = "^(cli|eval|server|bench|tests|tools)/"
    place["histedit.h"] = place["editline/readline.h"] = place["readline/readline.h"] = "^cli/"
    place["librsvg/rsvg.h"] = place["cairo.h"] = "^cli/"
    place["microhttpd.h"] = "^server/"
    place["cmocka.h"] = "^tests/"

    everywhere = "sprintf vsprintf strcpy strcat strtok sscanf atoi atol atof alloca rand srand gets system popen mktemp tmpnam"
    in_library = everywhere " printf fprintf vprintf vfprintf dprintf puts fputs putchar perror exit _exit _Exit " \
        "quick_exit abort assert signal sigaction setlocale getenv"
}

function report(message) {
    printf "%s:%d: %s\n", FILENAME, FNR, message
    violations++
}

function has_word(list, word) { return index(" " list " ", " " word " ") > 0 }

function folder_of(path) { return path ~ /\// ? substr(path, 1, index(path, "/") - 1) : "" }

function exists(path,    line, answer) {
    answer = (getline line < path) >= 0
    close(path)
    return answer
}

function check_include(name, quoted,    target) {
    if (name ~ /\.c$/) { report("includes a .c file: " name); return }
    if (name in place && FILENAME !~ place[name]) report("<" name "> does not belong here, only in " place[name])
    if (!quoted || name == "entropix.h" || name == "entropix_sampler.h" || area == "tests" || area == "tools") return
    if (area == "include") { report("the public header includes \"" name "\""); return }
    if (area == "cli" && name ~ /^(eval|server)\// && exists(name)) return
    if (area != "src") {
        if (exists("src/" name) || !exists(own_folder name)) report(area " may include entropix.h and its own headers, not \"" name "\"")
        return
    }
    target = folder_of(name)
    if (target == "") report("write \"" room "/" name "\"")
    else if (!(target in rooms)) report("no room of src/: \"" name "\"")
    else if (target != room && !has_word(rooms[room], target)) report(room " may not include " target ": \"" name "\"")
}

# The line without comments, and with strings and character constants emptied.
function code_of(line,    out, c, quote, i) {
    out = quote = ""
    for (i = 1; i <= length(line); i++) {
        c = substr(line, i, 1)
        if (in_comment) {
            if (c == "*" && substr(line, i + 1, 1) == "/") { in_comment = 0; i++ }
        } else if (quote != "") {
            if (c == "\\") i++
            else if (c == quote) { quote = ""; out = out c }
        } else if (c == "/" && substr(line, i + 1, 1) == "*") { in_comment = 1; i++ }
        else if (c == "/" && substr(line, i + 1, 1) == "/") break
        else {
            if (c == "\"" || c == "\047") quote = c
            out = out c
        }
    }
    return out
}

function check_calls(code, banned,    word) {
    while (match(code, /[A-Za-z_][A-Za-z_0-9]*[ ]*\(/)) {
        word = substr(code, RSTART, RLENGTH - 1)
        sub(/ +$/, "", word)
        if (has_word(banned, word)) report("banned function: " word)
        code = substr(code, RSTART + RLENGTH)
    }
}

FNR == 1 {
    in_comment = 0
    area = folder_of(FILENAME)
    own_folder = FILENAME
    sub(/[^\/]*$/, "", own_folder)
    room = FILENAME
    sub(/^src\//, "", room)
    room = folder_of(room)
    if (area == "src" && !(room in rooms)) report("src/" room " is no room: add it to tools/check_includes.sh")
}

/^[ \t]*#[ \t]*include[ \t]*[<"]/ {
    name = $0
    sub(/^[ \t]*#[ \t]*include[ \t]*[<"]/, "", name)
    sub(/[>"].*/, "", name)
    check_include(name, $0 ~ /include[ \t]*"/)
}

{
    code = code_of($0)
    if (area == "src") check_calls(code, in_library)
    else if (area == "cli" || area == "eval" || area == "server") check_calls(code, everywhere)
}

END { if (violations) { printf "%d violations\n", violations; exit 1 } }
' "${files[@]}"
