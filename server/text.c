/* text.c - a text that grows. */
#include "text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void text_add(server_text *text, const char *bytes, size_t length) {
    if (text->failed || length == 0) return;
    if (length >= text->capacity - text->length || !text->bytes) {
        const size_t capacity = 2 * (text->length + length) + 256;
        char *grown = realloc(text->bytes, capacity);
        if (!grown) {
            text->failed = true;
            return;
        }
        text->bytes = grown;
        text->capacity = capacity;
    }
    memcpy(text->bytes + text->length, bytes, length);
    text->length += length;
    text->bytes[text->length] = 0;
}

void text_add_string(server_text *text, const char *string) { text_add(text, string, strlen(string)); }

void text_add_json(server_text *text, json_t *value) {
    char *dumped = value ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    json_decref(value);
    if (dumped)
        text_add_string(text, dumped);
    else
        text->failed = true;
    free(dumped);
}

void text_clear(server_text *text) {
    text->length = 0;
    if (text->bytes) text->bytes[0] = 0;
}

void text_free(server_text *text) {
    free(text->bytes);
    *text = (server_text){0};
}

/* Length of the character at `bytes`, 0 where they are none (RFC 3629: no surrogates, nothing overlong). */
static size_t character_length(const unsigned char *bytes, size_t length) {
    const unsigned char first = bytes[0];
    const size_t n = first < 0x80                    ? 1
                     : first >= 0xC2 && first < 0xE0 ? 2
                     : first >= 0xE0 && first < 0xF0 ? 3
                     : first >= 0xF0 && first < 0xF5 ? 4
                                                     : 0;
    if (n == 0 || n > length) return 0;
    for (size_t i = 1; i < n; i++)
        if ((bytes[i] & 0xC0) != 0x80) return 0;
    if (first == 0xE0 && bytes[1] < 0xA0) return 0;
    if (first == 0xED && bytes[1] >= 0xA0) return 0;
    if (first == 0xF0 && bytes[1] < 0x90) return 0;
    return first == 0xF4 && bytes[1] >= 0x90 ? 0 : n;
}

json_t *json_of_bytes(const char *bytes, size_t length) {
    json_t *whole = json_stringn(bytes ? bytes : "", length);
    if (whole) return whole;
    server_text text = {0};
    for (size_t at = 0; at < length;) {
        const size_t n = character_length((const unsigned char *)bytes + at, length - at);
        if (n > 0)
            text_add(&text, bytes + at, n);
        else
            text_add_string(&text, "\xEF\xBF\xBD");
        at += n > 0 ? n : 1;
    }
    json_t *value = text.failed ? NULL : json_stringn(text.bytes ? text.bytes : "", text.length);
    text_free(&text);
    return value;
}

json_t *json_of_number(double value) { return isfinite(value) ? json_real(value) : json_null(); }
