#include "text/charsmap.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/utf8.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_KEY = 256,        /* bytes; a damaged trie may have cycles */
    MAX_REPLACEMENT = 256 /* bytes; keeps what a text can grow to within bounds */
};

static uint32_t read_u32(const unsigned char *bytes) {
    return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static ex_code fault(const ex_key *key, const char *what, ex_error *error) {
    return ex_fail(error, EX_ERROR_FORMAT, key->offset, "tokenizer.ggml.precompiled_charsmap at offset %" PRIu64 " %s",
                   key->offset, what);
}

static ex_code check_texts(const ex_charsmap *charsmap, const ex_key *key, ex_error *error) {
    const char *texts = charsmap->texts;
    size_t n = charsmap->n_texts;
    if (n > 0 && texts[n - 1] != 0) return fault(key, "has a replacement without an end", error);
    if (ex_utf8_valid_prefix(texts, n) != n) return fault(key, "has a replacement that is not UTF-8", error);
    for (size_t at = 0; at < n; at += strlen(texts + at) + 1)
        if (strlen(texts + at) > MAX_REPLACEMENT) return fault(key, "has a replacement of over 256 bytes", error);
    return EX_OK;
}

ex_code ex_charsmap_open(ex_charsmap *charsmap, const ex_file *file, ex_error *error) {
    const ex_key *key = ex_file_find_key(file, "tokenizer.ggml.precompiled_charsmap");
    if (!key) return EX_OK;
    if (key->type != EX_VALUE_ARRAY || (key->element != EX_VALUE_U8 && key->element != EX_VALUE_I8))
        return fault(key, "must be an array of bytes", error);
    if (key->count == 0) return EX_OK;
    const unsigned char *bytes = key->data;
    uint64_t n_trie = key->count >= 4 ? read_u32(bytes) : 0;
    if (key->count < 4 || n_trie % 4 != 0 || n_trie > key->count - 4)
        return fault(key, "names a trie that is not there", error);
    charsmap->n_units = (size_t)n_trie / 4;
    charsmap->n_texts = (size_t)(key->count - 4 - n_trie);
    charsmap->units = ex_allocate(charsmap->n_units, sizeof *charsmap->units);
    charsmap->texts = ex_allocate(charsmap->n_texts, 1);
    if (!charsmap->units || !charsmap->texts) return ex_fail_memory(error, "the table of normalisation");
    for (size_t i = 0; i < charsmap->n_units; i++) charsmap->units[i] = read_u32(bytes + 4 + 4 * i);
    memcpy(charsmap->texts, bytes + 4 + n_trie, charsmap->n_texts);
    return check_texts(charsmap, key, error);
}

void ex_charsmap_close(ex_charsmap *charsmap) {
    free(charsmap->units);
    free(charsmap->texts);
}

/* A unit of the double array: its label in the low byte, whether a value hangs on it in bit 8, where its children are
 * from bit 10 on, counted in 256 when bit 9 is set. A value is a unit of its own, with bit 31 set. */
static size_t children_of(uint32_t unit, size_t at) { return at ^ (size_t)(unit >> 10) << ((unit >> 9 & 1) * 8); }

static bool replacement_at(const ex_charsmap *charsmap, size_t unit, ex_string *out) {
    if (unit >= charsmap->n_units) return false;
    size_t value = charsmap->units[unit] & 0x7FFFFFFFu;
    if (value >= charsmap->n_texts || (value > 0 && charsmap->texts[value - 1] != 0)) return false;
    *out = (ex_string){charsmap->texts + value, strlen(charsmap->texts + value)};
    return true;
}

size_t ex_charsmap_find(const ex_charsmap *charsmap, const char *text, size_t length, ex_string *replacement) {
    size_t found = 0;
    if (charsmap->n_units == 0) return 0;
    size_t at = children_of(charsmap->units[0], 0);
    for (size_t i = 0; i < length && i < MAX_KEY; i++) {
        at ^= (unsigned char)text[i];
        if (at >= charsmap->n_units) break;
        uint32_t unit = charsmap->units[at];
        if ((unit & 0x800000FFu) != (unsigned char)text[i]) break;
        at = children_of(unit, at);
        bool whole = i + 1 == length || (text[i + 1] & 0xC0) != 0x80;
        if (unit >> 8 & 1 && whole && replacement_at(charsmap, at, replacement)) found = i + 1;
    }
    return found;
}
