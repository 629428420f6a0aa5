#include "base/utf8.h"

#include <stdbool.h>

static size_t sequence_length(unsigned char lead) {
    if (lead < 0x80) return 1;
    if (lead >= 0xC2 && lead <= 0xDF) return 2;
    if (lead >= 0xE0 && lead <= 0xEF) return 3;
    if (lead >= 0xF0 && lead <= 0xF4) return 4;
    return 0;
}

/* The second byte's range is what excludes overlong forms, surrogates and values past U+10FFFF. */
static bool second_byte_fits(unsigned char lead, unsigned char second) {
    unsigned char low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    unsigned char high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    return second >= low && second <= high;
}

size_t ex_utf8_decode(const char *text, size_t length, uint32_t *codepoint) {
    if (length == 0) return 0;
    const unsigned char *bytes = (const unsigned char *)text;
    size_t n = sequence_length(bytes[0]);
    if (n == 0 || n > length) return 0;
    if (n == 1) {
        *codepoint = bytes[0];
        return 1;
    }
    if (!second_byte_fits(bytes[0], bytes[1])) return 0;
    uint32_t value = bytes[0] & (0x7Fu >> n);
    for (size_t i = 1; i < n; i++) {
        if ((bytes[i] & 0xC0) != 0x80) return 0;
        value = value << 6 | (bytes[i] & 0x3Fu);
    }
    *codepoint = value;
    return n;
}

size_t ex_utf8_encode(uint32_t codepoint, char out[4]) {
    if (codepoint < 0x80) {
        out[0] = (char)codepoint;
        return 1;
    }
    size_t n = codepoint < 0x800 ? 2 : codepoint < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--) {
        out[i] = (char)(0x80 | (codepoint & 0x3F));
        codepoint >>= 6;
    }
    static const unsigned char lead[5] = {0, 0, 0xC0, 0xE0, 0xF0};
    out[0] = (char)(lead[n] | codepoint);
    return n;
}

size_t ex_utf8_valid_prefix(const char *text, size_t length) {
    size_t at = 0;
    while (at < length) {
        uint32_t codepoint;
        size_t n = ex_utf8_decode(text + at, length - at, &codepoint);
        if (n == 0) return at;
        at += n;
    }
    return at;
}

size_t ex_utf8_incomplete_suffix(const char *text, size_t length) {
    for (size_t back = 1; back <= 3 && back <= length; back++) {
        unsigned char byte = (unsigned char)text[length - back];
        if ((byte & 0xC0) == 0x80) continue;
        size_t n = sequence_length(byte);
        if (n <= back) return 0;
        if (back > 1 && !second_byte_fits(byte, (unsigned char)text[length - back + 1])) return 0;
        return back;
    }
    return 0;
}
