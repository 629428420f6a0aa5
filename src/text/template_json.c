/* template_json.c - tojson as Python's json.dumps writes it, and from_json. Texts keep the origin of each byte; what
 * JSON puts around them is not trusted. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
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
    else if (!ex_jinja_charge_number(run, value.as.number)) return false;
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
    ex_json_cursor cursor; /* over the text's bytes */
} json_reader;

static bool fail_json(const json_reader *reader) {
    return ex_jinja_fail(reader->run, "from_json: this is no JSON, at byte %zu of the text", reader->cursor.at);
}

static bool read_value(json_reader *reader, ex_value *out);

static bool read_text(json_reader *reader, ex_value *out) {
    size_t start = reader->run->length;
    for (;;) {
        ex_json_piece piece = ex_json_next_piece(&reader->cursor);
        bool ok = true;
        switch (piece.kind) {
        case EX_JSON_PLAIN:
            ok = ex_jinja_emit_part(reader->run, reader->text, piece.first, piece.length);
            break;
        case EX_JSON_ESCAPED:
            ok = ex_jinja_emit_character(reader->run, piece.codepoint, ex_jinja_is_trusted(reader->text, piece.first));
            break;
        case EX_JSON_END: return ex_jinja_cut_value(reader->run, start, out);
        case EX_JSON_FAULT: return fail_json(reader);
        }
        if (!ok) return false;
    }
}

static bool read_list(json_reader *reader, ex_value *out) {
    ex_jinja_list *list = ex_jinja_make_list(reader->run, EX_JINJA_FORM_LIST, 0);
    if (!list) return false;
    *out = ex_jinja_list_value(list);
    ex_json_skip_space(&reader->cursor);
    if (ex_json_skip(&reader->cursor, ']')) return true;
    do {
        ex_value item;
        if (!read_value(reader, &item) || !ex_jinja_append(reader->run, list, item)) return false;
        ex_json_skip_space(&reader->cursor);
    } while (ex_json_skip(&reader->cursor, ','));
    return ex_json_skip(&reader->cursor, ']') || fail_json(reader);
}

static bool read_map(json_reader *reader, ex_value *out) {
    ex_jinja_map *map = ex_jinja_map_new(&reader->run->arena);
    if (!map) return ex_jinja_fail_memory(reader->run);
    *out = (ex_value){.kind = EX_JINJA_MAP, .as.map = map};
    ex_json_skip_space(&reader->cursor);
    if (ex_json_skip(&reader->cursor, '}')) return true;
    do {
        ex_value key, value;
        ex_json_skip_space(&reader->cursor);
        if (!ex_json_skip(&reader->cursor, '"')) return fail_json(reader);
        if (!read_text(reader, &key)) return false;
        ex_json_skip_space(&reader->cursor);
        if (!ex_json_skip(&reader->cursor, ':')) return fail_json(reader);
        if (!read_value(reader, &value)) return false;
        if (!ex_jinja_map_set(map, key, value)) return ex_jinja_fail_memory(reader->run);
        ex_json_skip_space(&reader->cursor);
    } while (ex_json_skip(&reader->cursor, ','));
    return ex_json_skip(&reader->cursor, '}') || fail_json(reader);
}

static bool read_number(json_reader *reader, ex_value *out) {
    size_t first = reader->cursor.at;
    bool is_integer, ok;
    if (!ex_json_skip_number(&reader->cursor, &is_integer)) return fail_json(reader);
    const char *bytes = reader->cursor.text + first;
    size_t length = reader->cursor.at - first;
    *out = ex_jinja_integer(0);
    if (is_integer) ok = ex_jinja_read_integer(bytes, length, 10, &out->as.integer);
    else ok = ex_jinja_read_number(bytes, length, &out->as.number), out->kind = EX_JINJA_NUMBER;
    return ok || ex_jinja_fail(reader->run, "from_json: a number is too large, at byte %zu of the text", first);
}

/* The last three as Python reads them. */
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
        if (!ex_json_skip_word(&reader->cursor, words[i].word)) continue;
        *out = words[i].value;
        return true;
    }
    return read_number(reader, out);
}

static bool read_value(json_reader *reader, ex_value *out) {
    bool ok;
    if (!ex_jinja_enter(reader->run)) return false;
    ex_json_skip_space(&reader->cursor);
    if (ex_json_skip(&reader->cursor, '"')) ok = read_text(reader, out);
    else if (ex_json_skip(&reader->cursor, '[')) ok = read_list(reader, out);
    else if (ex_json_skip(&reader->cursor, '{')) ok = read_map(reader, out);
    else ok = read_word(reader, out);
    reader->run->depth--;
    return ok;
}

bool ex_jinja_read_json(ex_jinja_run *run, const ex_jinja_text *text, size_t *at, ex_value *out) {
    json_reader reader = {.run = run, .text = text, .cursor = {text->bytes, text->length, 0}};
    bool ok = ex_jinja_charge(run, text->length) && read_value(&reader, out);
    if (ok) ex_json_skip_space(&reader.cursor);
    *at = reader.cursor.at;
    return ok && (*at == text->length || fail_json(&reader));
}

bool ex_jinja_from_json(ex_jinja_run *run, const ex_jinja_call *call, ex_value *out) {
    size_t at;
    if (call->subject.kind != EX_JINJA_TEXT) return ex_jinja_fail_type(run, "from_json needs a text", call->subject);
    return ex_jinja_read_json(run, call->subject.as.text, &at, out);
}
