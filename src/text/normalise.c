#include "text/normalise.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/utf8.h"

#include <stdlib.h>
#include <utf8proc.h>

/* No character below U+0300 changes, nor joins one before it. */
static bool is_plain(ex_string text) {
    for (size_t i = 0; i < text.length; i++)
        if ((unsigned char)text.data[i] >= 0xCC) return false;
    return true;
}

/* Room for the canonical decomposition of every character. */
static utf8proc_int32_t *decompose(ex_string text, size_t *count) {
    enum { LONGEST = 4 }; /* code points that one character becomes */
    utf8proc_int32_t *out = NULL;
    for (int pass = 0; pass < 2; pass++) { /* counts, then writes */
        *count = 0;
        for (size_t at = 0; at < text.length;) {
            uint32_t codepoint;
            utf8proc_int32_t parts[LONGEST];
            at += ex_utf8_decode(text.data + at, text.length - at, &codepoint);
            utf8proc_ssize_t n = utf8proc_decompose_char((utf8proc_int32_t)codepoint, parts, LONGEST,
                                                         UTF8PROC_STABLE | UTF8PROC_DECOMPOSE, NULL);
            if (n < 1 || n > LONGEST) {
                parts[0] = (utf8proc_int32_t)codepoint;
                n = 1;
            }
            for (utf8proc_ssize_t i = 0; i < n; i++, ++*count)
                if (out) out[*count] = parts[i];
        }
        if (pass == 0 && !(out = ex_allocate(*count + 1, sizeof *out))) return NULL;
    }
    return out;
}

static unsigned class_of(utf8proc_int32_t codepoint) {
    return (unsigned)utf8proc_get_property(codepoint)->combining_class & 255;
}

/* Orders marks by class, equal ones as they stand. The library would take quadratic time for a long run of them. */
static void sort_marks(utf8proc_int32_t *marks, size_t n, utf8proc_int32_t *scratch) {
    size_t first[257] = {0};
    for (size_t i = 0; i < n; i++) first[class_of(marks[i]) + 1]++;
    for (size_t i = 1; i < 257; i++) first[i] += first[i - 1];
    for (size_t i = 0; i < n; i++) scratch[first[class_of(marks[i])]++] = marks[i];
    for (size_t i = 0; i < n; i++) marks[i] = scratch[i];
}

static void sort_short(utf8proc_int32_t *marks, size_t n) {
    for (size_t i = 1; i < n; i++) {
        utf8proc_int32_t mark = marks[i];
        size_t at = i;
        for (; at > 0 && class_of(marks[at - 1]) > class_of(mark); at--) marks[at] = marks[at - 1];
        marks[at] = mark;
    }
}

static void order(utf8proc_int32_t *text, size_t count, utf8proc_int32_t *scratch) {
    enum { SHORT = 32 };
    for (size_t first = 0, last; first < count; first = last) {
        for (last = first; last < count && class_of(text[last]) != 0;) last++;
        if (last - first > SHORT) sort_marks(text + first, last - first, scratch);
        else if (last - first > 1) sort_short(text + first, last - first);
        if (last == first) last++;
    }
}

static ex_code encode(const utf8proc_int32_t *text, size_t count, ex_string *out, char **memory, ex_error *error) {
    *memory = ex_allocate(count, 4);
    if (!*memory) return ex_fail_memory(error, "the normalised text");
    size_t length = 0;
    for (size_t i = 0; i < count; i++) length += ex_utf8_encode((uint32_t)text[i], *memory + length);
    *out = (ex_string){*memory, length};
    return EX_OK;
}

ex_code ex_normalise_nfc(ex_string text, ex_string *out, char **memory, ex_error *error) {
    *out = text;
    *memory = NULL;
    if (is_plain(text)) return EX_OK;
    size_t count;
    utf8proc_int32_t *codepoints = decompose(text, &count);
    utf8proc_int32_t *scratch = codepoints ? ex_allocate(count, sizeof *scratch) : NULL;
    ex_code code = scratch ? EX_OK : ex_fail_memory(error, "the normalised text");
    if (code == EX_OK) {
        order(codepoints, count, scratch);
        utf8proc_ssize_t n = utf8proc_normalize_utf32(codepoints, (utf8proc_ssize_t)count,
                                                      UTF8PROC_STABLE | UTF8PROC_COMPOSE);
        code = n < 0 ? ex_fail_memory(error, "the normalised text")
                     : encode(codepoints, (size_t)n, out, memory, error);
    }
    free(codepoints);
    free(scratch);
    return code;
}
