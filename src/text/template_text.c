/* template_text.c - texts that remember where each byte came from: building, cutting, joining. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/utf8.h"
#include "text/template_run.h"

enum { SLACK_FROM = 512 }; /* bytes; shorter texts are copied when they grow */

/* ---- under construction ---- */

static bool reserve(ex_jinja_run *run, size_t length) {
    if (length > EX_JINJA_OUTPUT_MAX - run->length)
        return ex_jinja_fail(run, "the output is longer than %d MiB", EX_JINJA_OUTPUT_MAX >> 20);
    size_t capacity = run->capacity ? run->capacity : 4096;
    while (capacity < run->length + length) capacity *= 2;
    if (capacity == run->capacity) return true;
    char *bytes = ex_allocate(capacity, 1);
    uint8_t *marks = ex_allocate(capacity, 1);
    if (!bytes || !marks) {
        free(bytes);
        free(marks);
        return ex_jinja_fail_memory(run);
    }
    if (run->length) {
        memcpy(bytes, run->bytes, run->length);
        memcpy(marks, run->marks, run->length);
    }
    free(run->bytes);
    free(run->marks);
    run->bytes = bytes;
    run->marks = marks;
    run->capacity = capacity;
    return true;
}

bool ex_jinja_emit(ex_jinja_run *run, const char *bytes, size_t length, bool trusted) {
    if (!reserve(run, length)) return false;
    if (length) memcpy(run->bytes + run->length, bytes, length);
    memset(run->marks + run->length, trusted, length);
    run->length += length;
    return true;
}

bool ex_jinja_emit_part(ex_jinja_run *run, const ex_jinja_text *text, size_t first, size_t length) {
    if (!ex_jinja_charge(run, length)) return false;
    size_t at = run->length;
    if (!ex_jinja_emit(run, text->bytes + first, length, text->trusted)) return false;
    if (text->marks && length) memcpy(run->marks + at, text->marks + first, length);
    return true;
}

bool ex_jinja_emit_text(ex_jinja_run *run, const ex_jinja_text *text) {
    return ex_jinja_emit_part(run, text, 0, text->length);
}

bool ex_jinja_emit_character(ex_jinja_run *run, uint32_t codepoint, bool trusted) {
    char bytes[4];
    return ex_jinja_emit(run, bytes, ex_utf8_encode(codepoint, bytes), trusted);
}

bool ex_jinja_emit_escaped(ex_jinja_run *run, const ex_jinja_text *text) {
    static const char special[] = "&<>'\"";
    static const char *const escapes[] = {"&amp;", "&lt;", "&gt;", "&#39;", "&#34;"};
    size_t first = 0;
    for (size_t at = 0; at < text->length; at++) {
        const char *found = text->bytes[at] ? strchr(special, text->bytes[at]) : NULL;
        if (!found) continue;
        const char *escape = escapes[found - special];
        if (!ex_jinja_emit_part(run, text, first, at - first) ||
            !ex_jinja_emit(run, escape, strlen(escape), ex_jinja_is_trusted(text, at)))
            return false;
        first = at + 1;
    }
    return ex_jinja_emit_part(run, text, first, text->length - first);
}

bool ex_jinja_cut(ex_jinja_run *run, size_t first, const ex_jinja_text **out) {
    size_t length = run->length - first;
    const uint8_t *marks = run->marks ? run->marks + first : NULL;
    bool trusted = length == 0 || marks[0];
    bool mixed = length > 0 && memchr(marks, !trusted, length) != NULL;
    ex_jinja_text *text = ex_jinja_take(run, 1, sizeof *text);
    char *bytes = ex_jinja_take(run, length, mixed ? 2 : 1);
    if (!text || !bytes) return false;
    if (length) memcpy(bytes, run->bytes + first, length);
    *text = (ex_jinja_text){.bytes = bytes, .length = length, .trusted = trusted};
    if (mixed) text->marks = memcpy(bytes + length, marks, length);
    run->length = first;
    *out = text;
    return true;
}

bool ex_jinja_cut_value(ex_jinja_run *run, size_t first, ex_value *out) {
    const ex_jinja_text *text;
    if (!ex_jinja_cut(run, first, &text)) return false;
    *out = ex_jinja_text_value(text);
    return true;
}

/* ---- pieces and sums ---- */

bool ex_jinja_is_trusted(const ex_jinja_text *text, size_t at) {
    return text->marks && at < text->length ? text->marks[at] : text->trusted;
}

bool ex_jinja_text_part(ex_jinja_run *run, const ex_jinja_text *text, size_t first, size_t length,
                        const ex_jinja_text **out) {
    if (length == text->length) {
        *out = text;
        return true;
    }
    ex_jinja_text *part = ex_jinja_take(run, 1, sizeof *part);
    if (!part) return false;
    *part = *text;
    part->bytes += first;
    if (part->marks) part->marks += first;
    part->length = length;
    *out = part;
    return true;
}

bool ex_jinja_part_value(ex_jinja_run *run, const ex_jinja_text *text, size_t first, size_t length, ex_value *out) {
    const ex_jinja_text *part;
    if (!ex_jinja_text_part(run, text, first, length, &part)) return false;
    *out = ex_jinja_text_value(part);
    return true;
}

bool ex_jinja_mark_up(ex_jinja_run *run, const ex_jinja_text *text, ex_value *out) {
    ex_jinja_text *marked = ex_jinja_take(run, 1, sizeof *marked);
    if (!marked) return false;
    *marked = *text;
    marked->markup = true;
    *out = ex_jinja_text_value(marked);
    return true;
}

bool ex_jinja_literal(ex_jinja_run *run, const char *bytes, ex_value *out) {
    ex_jinja_text *text = ex_jinja_take(run, 1, sizeof *text);
    if (!text) return false;
    *text = (ex_jinja_text){.bytes = bytes, .length = strlen(bytes), .trusted = true};
    *out = ex_jinja_text_value(text);
    return true;
}

static void copy_text(char *bytes, uint8_t *marks, const ex_jinja_text *text) {
    if (text->length == 0) return;
    memcpy(bytes, text->bytes, text->length);
    if (!marks) return;
    if (text->marks) memcpy(marks, text->marks, text->length);
    else memset(marks, text->trusted, text->length);
}

static bool concat_with_slack(ex_jinja_run *run, ex_jinja_text *sum, const ex_jinja_text *a, const ex_jinja_text *b) {
    ex_jinja_slack *slack = a->slack;
    bool has_room = slack && a->marks && a->bytes + a->length == slack->bytes + slack->used &&
                    slack->capacity - slack->used >= b->length;
    if (!has_room) {
        slack = ex_jinja_take(run, 1, sizeof *slack);
        if (!slack) return false;
        slack->capacity = sum->length * 2;
        slack->bytes = ex_jinja_take(run, slack->capacity, 2);
        if (!slack->bytes) return false;
        slack->marks = (uint8_t *)slack->bytes + slack->capacity;
        slack->used = a->length;
        copy_text(slack->bytes, slack->marks, a);
    }
    copy_text(slack->bytes + slack->used, slack->marks + slack->used, b);
    slack->used += b->length;
    sum->slack = slack;
    sum->bytes = slack->bytes + slack->used - sum->length;
    sum->marks = slack->marks + slack->used - sum->length;
    return true;
}

bool ex_jinja_text_concat(ex_jinja_run *run, const ex_jinja_text *a, const ex_jinja_text *b,
                          const ex_jinja_text **out) {
    *out = b->length == 0 ? a : b;
    if (a->length == 0 || b->length == 0) return true;
    ex_jinja_text *sum = ex_jinja_take(run, 1, sizeof *sum);
    if (!sum || !ex_jinja_charge(run, b->length)) return false;
    *out = sum;
    sum->length = a->length + b->length;
    sum->trusted = a->trusted;
    if (sum->length >= SLACK_FROM) return concat_with_slack(run, sum, a, b);
    bool mixed = a->marks || b->marks || a->trusted != b->trusted;
    char *bytes = ex_jinja_take(run, sum->length, mixed ? 2 : 1);
    if (!bytes) return false;
    uint8_t *marks = mixed ? (uint8_t *)bytes + sum->length : NULL;
    copy_text(bytes, marks, a);
    copy_text(bytes + a->length, marks ? marks + a->length : NULL, b);
    sum->bytes = bytes;
    sum->marks = marks;
    return true;
}

/* ---- characters ---- */

size_t ex_jinja_character(const ex_jinja_text *text, size_t at, uint32_t *codepoint) {
    unsigned char byte = (unsigned char)text->bytes[at];
    *codepoint = byte;
    if (byte < 0x80) return 1;
    size_t n = ex_utf8_decode(text->bytes + at, text->length - at, codepoint);
    if (n) return n;
    *codepoint = 0xFFFD;
    return 1;
}

size_t ex_jinja_count_characters(const ex_jinja_text *text) {
    size_t count = 0;
    uint32_t codepoint;
    for (size_t at = 0; at < text->length; count++) at += ex_jinja_character(text, at, &codepoint);
    return count;
}

size_t ex_jinja_character_offset(const ex_jinja_text *text, size_t index) {
    size_t at = 0;
    uint32_t codepoint;
    for (; index > 0 && at < text->length; index--) at += ex_jinja_character(text, at, &codepoint);
    return at;
}

size_t ex_jinja_find(const ex_jinja_text *text, const ex_jinja_text *needle, size_t from) {
    if (from > text->length) return SIZE_MAX;
    if (needle->length == 0) return from;
    const char *found = memmem(text->bytes + from, text->length - from, needle->bytes, needle->length);
    return found ? (size_t)(found - text->bytes) : SIZE_MAX;
}

/* Length of the character that ends at `end`. */
static size_t character_before(const ex_jinja_text *text, size_t end, uint32_t *codepoint) {
    size_t start = end - 1;
    while (start > 0 && end - start < 4 && ((unsigned char)text->bytes[start] & 0xC0) == 0x80) start--;
    if (ex_jinja_character(text, start, codepoint) == end - start) return end - start;
    *codepoint = 0xFFFD;
    return 1;
}

static bool in_set(const ex_jinja_text *set, uint32_t codepoint) {
    if (!set) return ex_jinja_is_space(codepoint);
    uint32_t member;
    for (size_t at = 0; at < set->length;) {
        at += ex_jinja_character(set, at, &member);
        if (member == codepoint) return true;
    }
    return false;
}

bool ex_jinja_strip(ex_jinja_run *run, const ex_jinja_text *text, const ex_jinja_text *set, int sides,
                    ex_value *out) {
    size_t first = 0, end = text->length, cost = set ? set->length : 1;
    uint32_t codepoint;
    while ((sides & EX_JINJA_LEFT) && first < end) {
        size_t n = ex_jinja_character(text, first, &codepoint);
        if (!in_set(set, codepoint)) break;
        first += n;
        if (!ex_jinja_charge(run, cost)) return false;
    }
    while ((sides & EX_JINJA_RIGHT) && end > first) {
        size_t n = character_before(text, end, &codepoint);
        if (!in_set(set, codepoint)) break;
        end -= n;
        if (!ex_jinja_charge(run, cost)) return false;
    }
    return ex_jinja_part_value(run, text, first, end - first, out);
}

/* ---- replace, join, lines ---- */

/* Python puts `new` before every character and at the end when there is nothing to look for. */
static bool emit_between(ex_jinja_run *run, const ex_jinja_text *text, const ex_jinja_text *new, int64_t count) {
    size_t at = 0;
    uint32_t codepoint;
    for (; count != 0; count--) {
        if (!ex_jinja_emit_text(run, new)) return false;
        if (at == text->length) return true;
        size_t n = ex_jinja_character(text, at, &codepoint);
        if (!ex_jinja_emit_part(run, text, at, n)) return false;
        at += n;
    }
    return ex_jinja_emit_part(run, text, at, text->length - at);
}

bool ex_jinja_replace(ex_jinja_run *run, const ex_jinja_text *text, const ex_jinja_text *old,
                      const ex_jinja_text *new, int64_t count, ex_value *out) {
    size_t start = run->length, at = 0;
    if (old->length == 0) return emit_between(run, text, new, count) && ex_jinja_cut_value(run, start, out);
    if (!ex_jinja_charge_characters(run, text)) return false;
    for (; count != 0; count--) {
        size_t found = ex_jinja_find(text, old, at);
        if (found == SIZE_MAX) break;
        if (!ex_jinja_emit_part(run, text, at, found - at) || !ex_jinja_emit_text(run, new)) return false;
        at = found + old->length;
    }
    return ex_jinja_emit_part(run, text, at, text->length - at) && ex_jinja_cut_value(run, start, out);
}

bool ex_jinja_join(ex_jinja_run *run, const ex_jinja_text *separator, const ex_jinja_list *items, ex_value *out) {
    size_t start = run->length;
    for (size_t i = 0; i < items->count; i++) {
        if (i > 0 && !ex_jinja_emit_text(run, separator)) return false;
        if (!ex_jinja_print(run, items->items[i])) return false;
    }
    return ex_jinja_cut_value(run, start, out);
}

static bool is_line_break(uint32_t codepoint) {
    return (codepoint >= 0x0A && codepoint <= 0x0D) || (codepoint >= 0x1C && codepoint <= 0x1E) ||
           codepoint == 0x85 || codepoint == 0x2028 || codepoint == 0x2029;
}

bool ex_jinja_split_lines(ex_jinja_run *run, const ex_jinja_text *text, bool keep_ends, ex_jinja_list **out) {
    size_t first = 0;
    ex_jinja_list *lines = ex_jinja_make_list(run, EX_JINJA_FORM_LIST, 0);
    if (!lines || !ex_jinja_charge_characters(run, text)) return false;
    for (size_t at = 0; at < text->length;) {
        uint32_t codepoint = 0;
        size_t end = at;
        at += ex_jinja_character(text, at, &codepoint);
        bool breaks = is_line_break(codepoint);
        if (!breaks && at < text->length) continue;
        if (!breaks) end = at;
        else if (codepoint == '\r' && at < text->length && text->bytes[at] == '\n') at++;
        ex_value line;
        if (!ex_jinja_part_value(run, text, first, (keep_ends ? at : end) - first, &line) ||
            !ex_jinja_append(run, lines, line))
            return false;
        first = at;
    }
    *out = lines;
    return true;
}
