/* trace_line.c - text that grows, and JSON values in it. */
#include "generate/trace_line.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/utf8.h"

enum { FIRST_CAPACITY = 1 << 14 };

void ex_line_clear(ex_line *line) {
    line->length = 0;
    line->comma = line->failed = false;
}

void ex_line_free(ex_line *line) {
    free(line->text);
    *line = (ex_line){0};
}

/* Room for so many bytes more, or NULL. */
static char *reserve(ex_line *line, size_t length) {
    if (length <= line->capacity - line->length) return line->text + line->length;
    size_t capacity = line->capacity ? line->capacity : FIRST_CAPACITY;
    while (capacity - line->length < length && capacity < SIZE_MAX / 2) capacity *= 2;
    char *larger = ex_allocate(capacity, 1);
    if (!larger) {
        line->failed = true;
        return NULL;
    }
    if (line->length > 0) memcpy(larger, line->text, line->length);
    free(line->text);
    line->text = larger;
    line->capacity = capacity;
    return larger + line->length;
}

void ex_line_add(ex_line *line, const char *bytes, size_t length) {
    char *to = length > 0 ? reserve(line, length) : NULL;
    if (!to) return;
    memcpy(to, bytes, length);
    line->length += length;
}

static void add_byte(ex_line *line, char byte) { ex_line_add(line, &byte, 1); }

static void begin_value(ex_line *line, const char *key) {
    if (line->comma) add_byte(line, ',');
    line->comma = true;
    if (!key) return;
    add_byte(line, '"');
    ex_line_add(line, key, strlen(key));
    ex_line_add(line, "\":", 2);
}

void ex_line_open(ex_line *line, const char *key, char bracket) {
    begin_value(line, key);
    add_byte(line, bracket);
    line->comma = false;
}

void ex_line_close(ex_line *line, char bracket) {
    add_byte(line, bracket);
    line->comma = true;
}

static void add_escaped(ex_line *line, unsigned char c) {
    static const char digits[] = "0123456789abcdef";
    const char coded[6] = {'\\', 'u', '0', '0', digits[c >> 4], digits[c & 15]};
    if (c == '"' || c == '\\') {
        add_byte(line, '\\');
        add_byte(line, (char)c);
    } else if (c == '\n') {
        ex_line_add(line, "\\n", 2);
    } else {
        ex_line_add(line, coded, sizeof coded);
    }
}

void ex_line_text(ex_line *line, const char *key, ex_string text) {
    begin_value(line, key);
    add_byte(line, '"');
    for (size_t i = 0; i < text.length;) {
        const unsigned char c = (unsigned char)text.data[i];
        uint32_t codepoint;
        const size_t n = ex_utf8_decode(text.data + i, text.length - i, &codepoint);
        if (n == 0) ex_line_add(line, "\xEF\xBF\xBD", 3);
        else if (c < 0x20 || c == 0x7F || c == '"' || c == '\\') add_escaped(line, c);
        else ex_line_add(line, text.data + i, n);
        i += n > 0 ? n : 1;
    }
    add_byte(line, '"');
}

void ex_line_word(ex_line *line, const char *key, const char *text) {
    ex_line_text(line, key, (ex_string){text, strlen(text)});
}

void ex_line_integer(ex_line *line, const char *key, int64_t value) {
    begin_value(line, key);
    char *to = reserve(line, EX_DECIMAL_LENGTH);
    if (to) line->length += ex_decimal_write_integer(value, to);
}

void ex_line_unsigned(ex_line *line, const char *key, uint64_t value) {
    const uint64_t tens = value / 10;
    if (value <= INT64_MAX) {
        ex_line_integer(line, key, (int64_t)value);
        return;
    }
    ex_line_integer(line, key, (int64_t)tens);
    add_byte(line, (char)('0' + value % 10));
}

void ex_line_truth(ex_line *line, const char *key, bool value) {
    begin_value(line, key);
    ex_line_add(line, value ? "true" : "false", value ? 4 : 5);
}

void ex_line_null(ex_line *line, const char *key) {
    begin_value(line, key);
    ex_line_add(line, "null", 4);
}

void ex_line_number(ex_line *line, const ex_decimal_powers *powers, const char *key, double value) {
    begin_value(line, key);
    char *to = reserve(line, EX_DECIMAL_LENGTH);
    if (to) line->length += ex_decimal_write(powers, value, to);
}

void ex_line_float(ex_line *line, const ex_decimal_powers *powers, const char *key, float value) {
    begin_value(line, key);
    char *to = reserve(line, EX_DECIMAL_LENGTH);
    if (to) line->length += ex_decimal_write_float(powers, value, to);
}

void ex_line_fixed(ex_line *line, double value) {
    begin_value(line, NULL);
    char *to = reserve(line, EX_DECIMAL_LENGTH);
    if (!to) return;
    if (value >= 0 && value < 1e9) line->length += ex_decimal_write_fixed(value, to);
    else ex_line_add(line, "null", 4);
}

void ex_line_integers(ex_line *line, const char *key, const int32_t *values, size_t count) {
    ex_line_open(line, key, '[');
    for (size_t i = 0; i < count; i++) ex_line_integer(line, NULL, values[i]);
    ex_line_close(line, ']');
}
