#include "base/json.h"

#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"
#include "base/utf8.h"

/* ---- pieces ---- */

void ex_json_skip_space(ex_json_cursor *cursor) {
    for (char c = ex_json_peek(cursor); c == ' ' || c == '\n' || c == '\r' || c == '\t'; c = ex_json_peek(cursor))
        cursor->at++;
}

bool ex_json_skip(ex_json_cursor *cursor, char c) {
    if (ex_json_peek(cursor) != c) return false;
    cursor->at++;
    return true;
}

bool ex_json_skip_word(ex_json_cursor *cursor, const char *word) {
    size_t n = strlen(word);
    if (cursor->length - cursor->at < n || memcmp(cursor->text + cursor->at, word, n) != 0) return false;
    cursor->at += n;
    return true;
}

static bool skip_digits(ex_json_cursor *cursor) {
    size_t first = cursor->at;
    while (ex_json_peek(cursor) >= '0' && ex_json_peek(cursor) <= '9') cursor->at++;
    return cursor->at > first;
}

bool ex_json_skip_number(ex_json_cursor *cursor, bool *is_integer) {
    *is_integer = true;
    ex_json_skip(cursor, '-');
    size_t whole = cursor->at;
    if (!skip_digits(cursor) || (cursor->text[whole] == '0' && cursor->at > whole + 1)) return false;
    if (ex_json_skip(cursor, '.')) {
        *is_integer = false;
        if (!skip_digits(cursor)) return false;
    }
    if (ex_json_skip(cursor, 'e') || ex_json_skip(cursor, 'E')) {
        *is_integer = false;
        if (!ex_json_skip(cursor, '+')) ex_json_skip(cursor, '-');
        return skip_digits(cursor);
    }
    return true;
}

/* Four hexadecimal digits. */
static bool read_unit(ex_json_cursor *cursor, uint32_t *unit) {
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    *unit = 0;
    for (int i = 0; i < 4; i++) {
        const char *digit = ex_json_peek(cursor) ? strchr(digits, ex_json_peek(cursor)) : NULL;
        if (!digit) return false;
        *unit = *unit << 4 | (uint32_t)((digit - digits) & 15);
        cursor->at++;
    }
    return true;
}

static bool read_escape(ex_json_cursor *cursor, uint32_t *codepoint) {
    static const char letters[] = "\"\\/nrtfb", values[] = "\"\\/\n\r\t\f\b";
    char c = ex_json_peek(cursor);
    const char *found = c ? strchr(letters, c) : NULL;
    if (!found && c != 'u') return false;
    cursor->at++;
    if (found) {
        *codepoint = (uint32_t)values[found - letters];
        return true;
    }
    uint32_t low;
    if (!read_unit(cursor, codepoint)) return false;
    if (*codepoint >= 0xD800 && *codepoint < 0xDC00 && ex_json_skip_word(cursor, "\\u")) {
        if (!read_unit(cursor, &low) || low < 0xDC00 || low > 0xDFFF) return false;
        *codepoint = 0x10000 + ((*codepoint - 0xD800) << 10) + (low - 0xDC00);
    }
    if (*codepoint >= 0xD800 && *codepoint < 0xE000) *codepoint = 0xFFFD;
    return true;
}

ex_json_piece ex_json_next_piece(ex_json_cursor *cursor) {
    ex_json_piece piece = {.kind = EX_JSON_PLAIN, .first = cursor->at};
    for (char c = ex_json_peek(cursor); (unsigned char)c >= 0x20 && c != '"' && c != '\\'; c = ex_json_peek(cursor))
        cursor->at++;
    piece.length = cursor->at - piece.first;
    if (piece.length > 0) return piece;
    if (ex_json_skip(cursor, '"')) {
        piece.kind = EX_JSON_END;
    } else if (ex_json_skip(cursor, '\\')) {
        piece.first = cursor->at;
        piece.kind = read_escape(cursor, &piece.codepoint) ? EX_JSON_ESCAPED : EX_JSON_FAULT;
    } else {
        piece.kind = EX_JSON_FAULT;
    }
    return piece;
}

/* ---- documents ---- */

typedef struct reader {
    ex_json_cursor cursor;
    ex_json_document *document;
    char *text; /* where the next decoded text goes: never more bytes than its source */
    const char *path;
    uint64_t start;
    int depth;
    ex_error *error;
} reader;

static const char *const kind_names[] = {"null",   "true or false", "an integer", "a number",
                                         "a text", "a list",        "a map"};

const char *ex_json_kind_name(ex_json_kind kind) { return kind_names[kind]; }

static ex_code fail(const reader *r, size_t at, const char *what) {
    uint64_t position = r->start + at;
    return ex_fail(r->error, EX_ERROR_FORMAT, position, "%s: byte %" PRIu64 ": %s", r->path, position, what);
}

static ex_code expected(const reader *r, const char *what) {
    return fail(r, r->cursor.at, r->cursor.at == r->cursor.length ? "the JSON text ends too early" : what);
}

/* The value's place in the list of nodes, which may move when the next one is added. */
static ex_code add_node(reader *r, ex_string name, size_t *index) {
    ex_json_document *document = r->document;
    if (document->n_nodes == document->capacity) {
        size_t capacity = document->capacity ? document->capacity * 2 : 64;
        ex_json *larger = ex_allocate(capacity, sizeof *larger);
        if (!larger) return ex_fail_memory(r->error, "a JSON text");
        if (document->n_nodes) memcpy(larger, document->nodes, document->n_nodes * sizeof *larger);
        free(document->nodes);
        document->nodes = larger;
        document->capacity = capacity;
    }
    *index = document->n_nodes++;
    document->nodes[*index] = (ex_json){.name = name, .offset = r->start + r->cursor.at, .n_nodes = 1};
    return EX_OK;
}

static ex_code read_text(reader *r, ex_string *out) {
    char *first = r->text;
    for (;;) {
        ex_json_piece piece = ex_json_next_piece(&r->cursor);
        if (piece.kind == EX_JSON_FAULT) return expected(r, "this is no JSON text (control character, or bad escape)");
        if (piece.kind == EX_JSON_END) break;
        if (piece.kind == EX_JSON_PLAIN) {
            memcpy(r->text, r->cursor.text + piece.first, piece.length);
            r->text += piece.length;
        } else {
            r->text += ex_utf8_encode(piece.codepoint, r->text);
        }
    }
    *out = (ex_string){first, (size_t)(r->text - first)};
    return EX_OK;
}

static bool number_of(const char *text, size_t length, double *out) {
    char terminated[400];
    if (length >= sizeof terminated) return false;
    memcpy(terminated, text, length);
    terminated[length] = '\0';
    locale_t locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!locale) return false;
    *out = strtod_l(terminated, NULL, locale);
    freelocale(locale);
    return isfinite(*out);
}

static bool integer_of(const char *text, size_t length, int64_t *out) {
    bool negative = *text == '-';
    *out = 0;
    for (size_t i = negative; i < length; i++) {
        int digit = negative ? '0' - text[i] : text[i] - '0';
        if (__builtin_mul_overflow(*out, 10, out) || __builtin_add_overflow(*out, digit, out)) return false;
    }
    return true;
}

static ex_code read_number(reader *r, ex_json *out) {
    size_t first = r->cursor.at;
    bool is_integer;
    if (!ex_json_skip_number(&r->cursor, &is_integer)) return expected(r, "this is no JSON");
    const char *text = r->cursor.text + first;
    size_t length = r->cursor.at - first;
    out->kind = EX_JSON_INTEGER;
    if (is_integer && integer_of(text, length, &out->as.integer)) return EX_OK;
    out->kind = EX_JSON_NUMBER;
    return number_of(text, length, &out->as.number) ? EX_OK : fail(r, first, "this number is too large");
}

static ex_code read_plain(reader *r, ex_json *out) {
    static const struct {
        const char *word;
        ex_json_kind kind;
        bool value;
    } words[] = {{"null", EX_JSON_NULL, false}, {"true", EX_JSON_BOOLEAN, true}, {"false", EX_JSON_BOOLEAN, false}};
    if (ex_json_skip(&r->cursor, '"')) {
        out->kind = EX_JSON_TEXT;
        return read_text(r, &out->as.text);
    }
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (ex_json_skip_word(&r->cursor, words[i].word)) {
            out->kind = words[i].kind;
            out->as.boolean = words[i].value;
            return EX_OK;
        }
    return read_number(r, out);
}

static ex_code read_value(reader *r, ex_string name);

static ex_code read_name(reader *r, ex_string *name) {
    ex_json_skip_space(&r->cursor);
    if (!ex_json_skip(&r->cursor, '"')) return expected(r, "a name in quotes is needed here");
    ex_code code = read_text(r, name);
    if (code != EX_OK) return code;
    ex_json_skip_space(&r->cursor);
    return ex_json_skip(&r->cursor, ':') ? EX_OK : expected(r, "a colon is needed here");
}

static int compare_names(const void *a, const void *b) {
    ex_string x = (*(const ex_json *const *)a)->name, y = (*(const ex_json *const *)b)->name;
    int order = memcmp(x.data, y.data, x.length < y.length ? x.length : y.length);
    return order ? order : (x.length > y.length) - (x.length < y.length);
}

static ex_code check_names(const reader *r, const ex_json *map) {
    if (map->count < 2) return EX_OK;
    const ex_json **members = ex_allocate(map->count, sizeof *members), *twice = NULL;
    if (!members) return ex_fail_memory(r->error, "a JSON text");
    size_t n = 0;
    for (const ex_json *member = NULL; (member = ex_json_next(map, member));) members[n++] = member;
    qsort(members, n, sizeof *members, compare_names);
    for (size_t i = 1; i < n && !twice; i++)
        if (compare_names(&members[i - 1], &members[i]) == 0)
            twice = members[i - 1] > members[i] ? members[i - 1] : members[i];
    free(members);
    if (!twice) return EX_OK;
    int shown = (int)ex_utf8_valid_prefix(twice->name.data, twice->name.length < 80 ? twice->name.length : 80);
    return ex_fail(r->error, EX_ERROR_FORMAT, twice->offset, "%s: byte %" PRIu64 ": the name '%.*s' occurs twice",
                   r->path, twice->offset, shown, twice->name.data);
}

/* The items of the container at `index`, whose opening bracket has been skipped. */
static ex_code read_items(reader *r, size_t index, bool is_map) {
    char closing = is_map ? '}' : ']';
    size_t count = 0;
    ex_json_skip_space(&r->cursor);
    if (!ex_json_skip(&r->cursor, closing)) {
        do {
            ex_string name = {0};
            ex_code code = is_map ? read_name(r, &name) : EX_OK;
            if (code == EX_OK) code = read_value(r, name);
            if (code != EX_OK) return code;
            count++;
            ex_json_skip_space(&r->cursor);
        } while (ex_json_skip(&r->cursor, ','));
        if (!ex_json_skip(&r->cursor, closing))
            return expected(r, is_map ? "a comma or } is needed here" : "a comma or ] is needed here");
    }
    ex_json *container = &r->document->nodes[index];
    container->kind = is_map ? EX_JSON_MAP : EX_JSON_LIST;
    container->count = count;
    container->n_nodes = r->document->n_nodes - index;
    return is_map ? check_names(r, container) : EX_OK;
}

static ex_code read_value(reader *r, ex_string name) {
    size_t index = 0;
    ex_json_skip_space(&r->cursor);
    ex_code code = add_node(r, name, &index);
    if (code != EX_OK) return code;
    bool is_map = ex_json_peek(&r->cursor) == '{';
    size_t first = r->cursor.at;
    if (!is_map && ex_json_peek(&r->cursor) != '[') {
        code = read_plain(r, &r->document->nodes[index]);
    } else {
        if (r->depth == EX_JSON_DEPTH_MAX) return fail(r, first, "lists and maps are nested too deep");
        r->depth++;
        r->cursor.at++;
        code = read_items(r, index, is_map);
        r->depth--;
    }
    r->document->nodes[index].n_bytes = r->cursor.at - first;
    return code;
}

ex_code ex_json_read(ex_json_document *document, const char *text, size_t length, const char *path, uint64_t start,
                     ex_error *error) {
    *document = (ex_json_document){0};
    reader r = {{text, length, 0}, document, NULL, path, start, 0, error};
    size_t valid = ex_utf8_valid_prefix(text, length);
    if (valid != length) return fail(&r, valid, "this is not valid UTF-8");
    r.text = document->texts = ex_allocate(length, 1);
    ex_code code = r.text ? read_value(&r, (ex_string){0}) : ex_fail_memory(error, "a JSON text");
    ex_json_skip_space(&r.cursor);
    if (code == EX_OK && r.cursor.at != length)
        code = fail(&r, r.cursor.at, "something follows the end of the JSON text");
    if (code != EX_OK) ex_json_free(document);
    return code;
}

void ex_json_free(ex_json_document *document) {
    free(document->nodes);
    free(document->texts);
    *document = (ex_json_document){0};
}

const ex_json *ex_json_next(const ex_json *container, const ex_json *item) {
    const ex_json *next = item ? item + item->n_nodes : container + 1;
    return next < container + container->n_nodes ? next : NULL;
}

const ex_json *ex_json_member(const ex_json *map, const char *name) {
    if (!map || map->kind != EX_JSON_MAP) return NULL;
    for (const ex_json *member = NULL; (member = ex_json_next(map, member));)
        if (ex_string_is(member->name, name)) return member->kind == EX_JSON_NULL ? NULL : member;
    return NULL;
}

bool ex_json_is(const ex_json *value, const char *text) {
    return value && value->kind == EX_JSON_TEXT && ex_string_is(value->as.text, text);
}
