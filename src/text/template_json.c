/* template_json.c - tojson as Python's json.dumps writes it, and from_json. Texts keep the origin of each byte; what
 * JSON puts around them is not trusted. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "text/template_run.h"

/* ---- writing ---- */

typedef struct json_style {
    const ex_jinja_text *indent; /* of one level; NULL: all on one line */
    const ex_jinja_text *item_separator, *key_separator;
    bool ensure_ascii, sort_keys;
    int level;
} json_style;

static bool emit_string(ex_jinja_run *run, const char *string) {
    return ex_jinja_emit(run, string, strlen(string), false);
}

static size_t escape_utf16(uint32_t codepoint, char out[16]) {
    if (codepoint <= 0xFFFF) return (size_t)snprintf(out, 16, "\\u%04x", codepoint);
    codepoint -= 0x10000;
    return (size_t)snprintf(out, 16, "\\u%04x\\u%04x", 0xD800 + (codepoint >> 10), 0xDC00 + (codepoint & 0x3FF));
}

/* The escape of a character in a JSON text; 0 when it stands for itself. */
static size_t escape(uint32_t codepoint, bool ensure_ascii, char out[16]) {
    static const char special[] = "\"\\\n\r\t\f\b", letters[] = "\"\\nrtfb";
    const char *found = codepoint > 0 && codepoint < 0x80 ? strchr(special, (int)codepoint) : NULL;
    if (found) return (size_t)snprintf(out, 16, "\\%c", letters[found - special]);
    return codepoint < 0x20 || (ensure_ascii && codepoint > 0x7E) ? escape_utf16(codepoint, out) : 0;
}

static bool write_text(ex_jinja_run *run, const ex_jinja_text *text, bool ensure_ascii) {
    size_t plain = 0, at = 0;
    if (!emit_string(run, "\"")) return false;
    while (at < text->length) {
        uint32_t codepoint;
        char escaped[16];
        size_t n = ex_jinja_character(text, at, &codepoint), length = escape(codepoint, ensure_ascii, escaped);
        if (length && (!ex_jinja_emit_part(run, text, plain, at - plain) ||
                       !ex_jinja_emit(run, escaped, length, ex_jinja_is_trusted(text, at))))
            return false;
        at += n;
        if (length) plain = at;
    }
    return ex_jinja_emit_part(run, text, plain, at - plain) && emit_string(run, "\"");
}

static bool write_number(ex_jinja_run *run, ex_value value) {
    char text[40];
    size_t length;
    if (value.kind == EX_JINJA_INTEGER)
        length = (size_t)snprintf(text, sizeof text, "%lld", (long long)value.as.integer);
    else if (isnan(value.as.number)) return emit_string(run, "NaN");
    else if (isinf(value.as.number)) return emit_string(run, value.as.number < 0 ? "-Infinity" : "Infinity");
    else length = ex_jinja_format_number(value.as.number, text);
    return ex_jinja_emit(run, text, length, false);
}

static bool write_value(ex_jinja_run *run, json_style *style, ex_value value);

static bool write_line_break(ex_jinja_run *run, const json_style *style) {
    if (!style->indent) return true;
    if (!emit_string(run, "\n")) return false;
    for (int i = 0; i < style->level; i++)
        if (!ex_jinja_emit_text(run, style->indent)) return false;
    return true;
}

static bool write_list(ex_jinja_run *run, json_style *style, const ex_jinja_list *list) {
    if (list->form > EX_JINJA_FORM_TUPLE)
        return ex_jinja_fail(run, "Object of type %s is not JSON serializable", ex_jinja_forms[list->form].name);
    if (list->count == 0) return emit_string(run, "[]");
    if (!emit_string(run, "[")) return false;
    style->level++;
    for (size_t i = 0; i < list->count; i++) {
        if (i > 0 && !ex_jinja_emit_text(run, style->item_separator)) return false;
        if (!write_line_break(run, style) || !write_value(run, style, list->items[i])) return false;
    }
    style->level--;
    return write_line_break(run, style) && emit_string(run, "]");
}

/* Keys that are no texts are written in quotes. */
static bool write_key(ex_jinja_run *run, json_style *style, ex_value key) {
    if (key.kind == EX_JINJA_TEXT) return write_text(run, key.as.text, style->ensure_ascii);
    return emit_string(run, "\"") && write_value(run, style, key) && emit_string(run, "\"");
}

/* Entries in the order to write them. */
static bool order_entries(ex_jinja_run *run, const json_style *style, const ex_jinja_map *map, ex_value *out) {
    static const ex_jinja_arguments none = {0};
    ex_value value = {.kind = EX_JINJA_MAP, .as.map = (ex_jinja_map *)map};
    if (!style->sort_keys) return ex_jinja_map_view(run, map, EX_JINJA_FORM_ITEMS, out);
    static const ex_jinja_text name = {.bytes = "case_sensitive", .length = 14};
    const ex_jinja_named sensitive = {&name, {.kind = EX_JINJA_BOOLEAN, .as.boolean = true}};
    ex_jinja_arguments arguments = none;
    arguments.named = &sensitive;
    arguments.n_named = 1;
    return ex_jinja_call_function(run, ex_jinja_find_filter("dictsort", 8), value, &arguments, out);
}

static bool write_map(ex_jinja_run *run, json_style *style, const ex_jinja_map *map) {
    ex_value entries;
    if (map->count == 0) return emit_string(run, "{}");
    if (!order_entries(run, style, map, &entries) || !emit_string(run, "{")) return false;
    style->level++;
    for (size_t i = 0; i < map->count; i++) {
        const ex_value *pair = entries.as.list->items[i].as.list->items;
        if (i > 0 && !ex_jinja_emit_text(run, style->item_separator)) return false;
        if (!write_line_break(run, style) || !write_key(run, style, pair[0]) ||
            !ex_jinja_emit_text(run, style->key_separator) || !write_value(run, style, pair[1]))
            return false;
    }
    style->level--;
    return write_line_break(run, style) && emit_string(run, "}");
}

static bool write_plain(ex_jinja_run *run, json_style *style, ex_value value) {
    switch (value.kind) {
    case EX_JINJA_NONE: return emit_string(run, "null");
    case EX_JINJA_BOOLEAN: return emit_string(run, value.as.boolean ? "true" : "false");
    case EX_JINJA_INTEGER:
    case EX_JINJA_NUMBER: return write_number(run, value);
    case EX_JINJA_TEXT: return write_text(run, value.as.text, style->ensure_ascii);
    case EX_JINJA_LIST: return write_list(run, style, value.as.list);
    case EX_JINJA_MAP: return write_map(run, style, value.as.map);
    default: return ex_jinja_fail(run, "Object of type %s is not JSON serializable", ex_jinja_type_name(value));
    }
}

static bool write_value(ex_jinja_run *run, json_style *style, ex_value value) {
    if (!ex_jinja_enter(run)) return false;
    bool ok = write_plain(run, style, value);
    run->depth--;
    return ok;
}

static bool read_indent(ex_jinja_run *run, const ex_jinja_call *call, json_style *style) {
    int64_t width;
    size_t start = run->length;
    if (!ex_jinja_given(call, 1)) return true;
    if (call->slots[1].kind == EX_JINJA_TEXT) return ex_jinja_text_slot(run, call, 1, &style->indent);
    if (!ex_jinja_integer_slot(run, call, 1, 0, &width)) return false;
    if (width > EX_JINJA_WIDTH_MAX) return ex_jinja_fail(run, "this indentation is too wide");
    for (; width > 0; width--)
        if (!emit_string(run, " ")) return false;
    return ex_jinja_cut(run, start, &style->indent);
}

static bool read_separators(ex_jinja_run *run, const ex_jinja_call *call, json_style *style) {
    ex_value separators = call->slots[2];
    if (!ex_jinja_given(call, 2)) return true;
    if (separators.kind != EX_JINJA_LIST || separators.as.list->count != 2 ||
        separators.as.list->items[0].kind != EX_JINJA_TEXT || separators.as.list->items[1].kind != EX_JINJA_TEXT)
        return ex_jinja_fail_type(run, "separators are two texts", separators);
    style->item_separator = separators.as.list->items[0].as.text;
    style->key_separator = separators.as.list->items[1].as.text;
    return true;
}

bool ex_jinja_to_json(ex_jinja_run *run, const ex_jinja_call *call, ex_value *out) {
    static const ex_jinja_text comma = {.bytes = ", ", .length = 2}, colon = {.bytes = ": ", .length = 2};
    static const ex_jinja_text bare_comma = {.bytes = ",", .length = 1};
    json_style style = {.ensure_ascii = ex_jinja_flag(call, 0), .sort_keys = ex_jinja_flag(call, 3)};
    size_t start = run->length;
    if (!read_indent(run, call, &style)) return false;
    style.item_separator = style.indent ? &bare_comma : &comma;
    style.key_separator = &colon;
    return read_separators(run, call, &style) && write_value(run, &style, call->subject) &&
           ex_jinja_cut_value(run, start, out);
}

/* ---- reading ---- */

typedef struct json_reader {
    ex_jinja_run *run;
    const ex_jinja_text *text;
    size_t at;
} json_reader;

static bool fail_json(const json_reader *reader) {
    return ex_jinja_fail(reader->run, "from_json: this is no JSON, at byte %zu of the text", reader->at);
}

static char peek(const json_reader *reader) {
    return reader->at < reader->text->length ? reader->text->bytes[reader->at] : 0;
}

static void skip_space(json_reader *reader) {
    while (peek(reader) == ' ' || peek(reader) == '\n' || peek(reader) == '\r' || peek(reader) == '\t') reader->at++;
}

static bool skip(json_reader *reader, char c) {
    if (peek(reader) != c) return false;
    reader->at++;
    return true;
}

static bool skip_word(json_reader *reader, const char *word) {
    size_t n = strlen(word);
    if (reader->text->length - reader->at < n || memcmp(reader->text->bytes + reader->at, word, n) != 0) return false;
    reader->at += n;
    return true;
}

static bool read_value(json_reader *reader, ex_value *out);

static bool read_unit(json_reader *reader, uint32_t *unit) {
    *unit = 0;
    for (int i = 0; i < 4; i++) {
        static const char digits[] = "0123456789abcdef0123456789ABCDEF";
        const char *digit = peek(reader) ? strchr(digits, peek(reader)) : NULL;
        if (!digit) return fail_json(reader);
        *unit = *unit << 4 | (uint32_t)((digit - digits) & 15);
        reader->at++;
    }
    return true;
}

static bool read_escape(json_reader *reader) {
    static const char letters[] = "\"\\/nrtfb", values[] = "\"\\/\n\r\t\f\b";
    bool trusted = ex_jinja_is_trusted(reader->text, reader->at);
    char c = peek(reader);
    const char *found = c ? strchr(letters, c) : NULL;
    uint32_t unit = 0, low;
    if (!found && c != 'u') return fail_json(reader);
    reader->at++;
    if (found) return ex_jinja_emit(reader->run, &values[found - letters], 1, trusted);
    if (!read_unit(reader, &unit)) return false;
    if (unit >= 0xD800 && unit < 0xDC00 && skip_word(reader, "\\u")) {
        if (!read_unit(reader, &low)) return false;
        if (low < 0xDC00 || low > 0xDFFF) return fail_json(reader);
        unit = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
    }
    if (unit >= 0xD800 && unit < 0xE000) unit = 0xFFFD;
    return ex_jinja_emit_character(reader->run, unit, trusted);
}

static bool read_text(json_reader *reader, ex_value *out) {
    size_t start = reader->run->length, plain;
    for (;;) {
        plain = reader->at;
        while (reader->at < reader->text->length && (unsigned char)peek(reader) >= 0x20 && peek(reader) != '"' &&
               peek(reader) != '\\')
            reader->at++;
        if (!ex_jinja_emit_part(reader->run, reader->text, plain, reader->at - plain)) return false;
        if (skip(reader, '"')) return ex_jinja_cut_value(reader->run, start, out);
        if (!skip(reader, '\\')) return fail_json(reader);
        if (!read_escape(reader)) return false;
    }
}

static bool read_list(json_reader *reader, ex_value *out) {
    ex_jinja_list *list = ex_jinja_make_list(reader->run, EX_JINJA_FORM_LIST, 0);
    if (!list) return false;
    *out = ex_jinja_list_value(list);
    skip_space(reader);
    if (skip(reader, ']')) return true;
    do {
        ex_value item;
        if (!read_value(reader, &item) || !ex_jinja_append(reader->run, list, item)) return false;
        skip_space(reader);
    } while (skip(reader, ','));
    return skip(reader, ']') || fail_json(reader);
}

static bool read_map(json_reader *reader, ex_value *out) {
    ex_jinja_map *map = ex_jinja_map_new(&reader->run->arena);
    if (!map) return ex_jinja_fail_memory(reader->run);
    *out = (ex_value){.kind = EX_JINJA_MAP, .as.map = map};
    skip_space(reader);
    if (skip(reader, '}')) return true;
    do {
        ex_value key, value;
        skip_space(reader);
        if (!skip(reader, '"')) return fail_json(reader);
        if (!read_text(reader, &key)) return false;
        skip_space(reader);
        if (!skip(reader, ':')) return fail_json(reader);
        if (!read_value(reader, &value)) return false;
        if (!ex_jinja_map_set(map, key, value)) return ex_jinja_fail_memory(reader->run);
        skip_space(reader);
    } while (skip(reader, ','));
    return skip(reader, '}') || fail_json(reader);
}

static bool skip_digits(json_reader *reader) {
    size_t first = reader->at;
    while (peek(reader) >= '0' && peek(reader) <= '9') reader->at++;
    return reader->at > first;
}

static bool read_number(json_reader *reader, ex_value *out) {
    const char *bytes = reader->text->bytes + reader->at;
    size_t first = reader->at;
    bool is_integer = true;
    skip(reader, '-');
    size_t digits = reader->at;
    bool ok = skip_digits(reader) && (reader->text->bytes[digits] != '0' || reader->at == digits + 1);
    if (ok && skip(reader, '.')) {
        is_integer = false;
        ok = skip_digits(reader);
    }
    if (ok && (skip(reader, 'e') || skip(reader, 'E'))) {
        is_integer = false;
        if (!skip(reader, '+')) skip(reader, '-');
        ok = skip_digits(reader);
    }
    if (!ok) return fail_json(reader);
    *out = ex_jinja_integer(0);
    if (is_integer) ok = ex_jinja_read_integer(bytes, reader->at - first, 10, &out->as.integer);
    else ok = ex_jinja_read_number(bytes, reader->at - first, &out->as.number), out->kind = EX_JINJA_NUMBER;
    return ok || ex_jinja_fail(reader->run, "from_json: a number is too large, at byte %zu of the text", first);
}

static bool read_word(json_reader *reader, ex_value *out) {
    static const struct {
        const char *word;
        ex_value value;
    } words[] = {
        {"null", {.kind = EX_JINJA_NONE}},
        {"true", {.kind = EX_JINJA_BOOLEAN, .as.boolean = true}},
        {"false", {.kind = EX_JINJA_BOOLEAN}},
        {"NaN", {.kind = EX_JINJA_NUMBER, .as.number = NAN}},
        {"Infinity", {.kind = EX_JINJA_NUMBER, .as.number = INFINITY}},
        {"-Infinity", {.kind = EX_JINJA_NUMBER, .as.number = -INFINITY}},
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (!skip_word(reader, words[i].word)) continue;
        *out = words[i].value;
        return true;
    }
    return read_number(reader, out);
}

static bool read_value(json_reader *reader, ex_value *out) {
    bool ok;
    if (!ex_jinja_enter(reader->run)) return false;
    skip_space(reader);
    if (skip(reader, '"')) ok = read_text(reader, out);
    else if (skip(reader, '[')) ok = read_list(reader, out);
    else if (skip(reader, '{')) ok = read_map(reader, out);
    else ok = read_word(reader, out);
    reader->run->depth--;
    return ok;
}

bool ex_jinja_from_json(ex_jinja_run *run, const ex_jinja_call *call, ex_value *out) {
    if (call->subject.kind != EX_JINJA_TEXT) return ex_jinja_fail_type(run, "from_json needs a text", call->subject);
    json_reader reader = {.run = run, .text = call->subject.as.text};
    if (!ex_jinja_charge(run, reader.text->length) || !read_value(&reader, out)) return false;
    skip_space(&reader);
    return reader.at == reader.text->length || fail_json(&reader);
}
