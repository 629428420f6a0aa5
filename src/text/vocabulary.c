#include "text/vocabulary.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "text/keys.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- forms ---- */

/* The byte that a character stands for in byte-level BPE, or -1. Printable bytes stand for themselves; the other 68
 * follow in order from U+0100. */
static int byte_of_character(uint32_t codepoint) {
    if (codepoint < 0x100) {
        bool itself = (codepoint >= 33 && codepoint <= 126) || (codepoint >= 161 && codepoint != 173);
        return itself ? (int)codepoint : -1;
    }
    uint32_t n = codepoint - 0x100;
    if (n < 33) return (int)n;
    if (n < 67) return (int)(n - 33 + 127);
    return n == 67 ? 173 : -1;
}

/* A text with other characters too was never mapped (a token that was added by hand): it is taken as it stands. */
static size_t plain_from_byte_level(const char *text, size_t length, char *out) {
    size_t n_out = 0;
    for (size_t at = 0; at < length;) {
        uint32_t codepoint;
        size_t n = ex_utf8_decode(text + at, length - at, &codepoint);
        int byte = n ? byte_of_character(codepoint) : -1;
        if (byte < 0) {
            memcpy(out, text, length);
            return length;
        }
        out[n_out++] = (char)byte;
        at += n;
    }
    return n_out;
}

static size_t plain_from_escaped_space(const char *text, size_t length, char *out) {
    size_t n_out = 0;
    for (size_t at = 0; at < length;) {
        bool escaped = length - at >= 3 && memcmp(text + at, "\xE2\x96\x81", 3) == 0;
        out[n_out++] = escaped ? ' ' : text[at];
        at += escaped ? 3 : 1;
    }
    return n_out;
}

size_t ex_text_plain(ex_text_form form, const char *text, size_t length, char *out) {
    return form == EX_FORM_BYTE_LEVEL ? plain_from_byte_level(text, length, out)
                                      : plain_from_escaped_space(text, length, out);
}

/* ---- from bytes to id ---- */

static uint64_t mix(uint64_t hash, uint64_t word) {
    hash = (hash ^ word) * 0xD6E8FEB86659FD93u;
    return hash ^ hash >> 32;
}

static uint64_t hash_bytes(const char *text, size_t length) {
    uint64_t hash = length * 0x9E3779B97F4A7C15u, word = 0;
    for (; length >= sizeof word; text += sizeof word, length -= sizeof word) {
        memcpy(&word, text, sizeof word);
        hash = mix(hash, word);
    }
    word = 0;
    memcpy(&word, text, length);
    return mix(hash, word);
}

/* The slot that holds the text, or the free one where it belongs. */
static size_t find_slot(const ex_vocabulary *vocabulary, const char *text, size_t length) {
    size_t slot = hash_bytes(text, length) & (vocabulary->n_slots - 1);
    for (; vocabulary->slots[slot]; slot = (slot + 1) & (vocabulary->n_slots - 1)) {
        const ex_token *token = &vocabulary->tokens[vocabulary->slots[slot] - 1];
        if (token->length == length && memcmp(token->text, text, length) == 0) break;
    }
    return slot;
}

int32_t ex_vocabulary_find_any(const ex_vocabulary *vocabulary, const char *text, size_t length) {
    if (length == 0 || length > vocabulary->longest) return EX_TOKEN_NONE;
    return vocabulary->slots[find_slot(vocabulary, text, length)] - 1;
}

static bool is_ordinary(const ex_token *token) {
    return token->kind == EX_KIND_NORMAL || token->kind == EX_KIND_USER_DEFINED || token->kind == EX_KIND_UNUSED;
}

int32_t ex_vocabulary_find(const ex_vocabulary *vocabulary, const char *text, size_t length) {
    int32_t id = ex_vocabulary_find_any(vocabulary, text, length);
    return id != EX_TOKEN_NONE && is_ordinary(&vocabulary->tokens[id]) ? id : EX_TOKEN_NONE;
}

int32_t ex_vocabulary_unknown(const ex_vocabulary *vocabulary) {
    int32_t id = vocabulary->unknown;
    if (id == EX_TOKEN_NONE || id == vocabulary->beginning) return EX_TOKEN_NONE;
    return vocabulary->tokens[id].ends_generation ? EX_TOKEN_NONE : id;
}

static void insert_kinds(ex_vocabulary *vocabulary, bool ordinary) {
    for (int32_t id = 0; id < vocabulary->size; id++) {
        const ex_token *token = &vocabulary->tokens[id];
        if (token->length == 0 || token->kind == EX_KIND_BYTE || is_ordinary(token) != ordinary) continue;
        size_t slot = find_slot(vocabulary, token->text, token->length);
        if (!vocabulary->slots[slot]) vocabulary->slots[slot] = id + 1;
    }
}

/* Ordinary tokens first: where a control token has the same text, ordinary text must not find that. */
static ex_code build_index(ex_vocabulary *vocabulary, ex_error *error) {
    vocabulary->n_slots = 16;
    while (vocabulary->n_slots < 2 * (size_t)vocabulary->size) vocabulary->n_slots *= 2;
    vocabulary->slots = ex_allocate(vocabulary->n_slots, sizeof *vocabulary->slots);
    if (!vocabulary->slots) return ex_fail_memory(error, "the vocabulary");
    insert_kinds(vocabulary, true);
    insert_kinds(vocabulary, false);
    return EX_OK;
}

/* ---- loading ---- */

static ex_code read_kinds(ex_vocabulary *vocabulary, const ex_file *file, ex_error *error) {
    const ex_key *key;
    ex_code code = ex_keys_integers(file, "tokenizer.ggml.token_type", (uint64_t)vocabulary->size, &key, error);
    if (code != EX_OK) return code;
    for (int32_t id = 0; id < vocabulary->size; id++) {
        int64_t kind = EX_KIND_NORMAL;
        if (key) ex_key_integer(key, (uint64_t)id, &kind);
        if (kind == 0) kind = EX_KIND_NORMAL; /* "undefined" */
        if (kind < EX_KIND_NORMAL || kind > EX_KIND_BYTE)
            return ex_fail(error, EX_ERROR_FORMAT, key->offset,
                           "tokenizer.ggml.token_type at offset %" PRIu64 ": token %" PRId32 " has type %" PRId64
                           ", known are 1 to 6", key->offset, id, kind);
        vocabulary->tokens[id].kind = (uint8_t)kind;
    }
    return EX_OK;
}

static ex_code read_scores(ex_vocabulary *vocabulary, const ex_file *file, ex_error *error) {
    const ex_key *key;
    ex_code code = ex_keys_numbers(file, "tokenizer.ggml.scores", (uint64_t)vocabulary->size, &key, error);
    if (code != EX_OK || !key) return code;
    vocabulary->scores = ex_allocate((size_t)vocabulary->size, sizeof *vocabulary->scores);
    if (!vocabulary->scores) return ex_fail_memory(error, "the vocabulary's scores");
    for (int32_t id = 0; id < vocabulary->size; id++) {
        double score = 0;
        ex_key_number(key, (uint64_t)id, &score);
        if (isnan(score))
            return ex_fail(error, EX_ERROR_FORMAT, key->offset,
                           "tokenizer.ggml.scores at offset %" PRIu64 ": the score of token %" PRId32
                           " is not a number", key->offset, id);
        vocabulary->scores[id] = (float)score;
    }
    return EX_OK;
}

static int hexadecimal_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that "<0x0A>" names, or -1 for anything that is not exactly of this shape. */
static int byte_of_name(ex_string text) {
    if (text.length != 6 || memcmp(text.data, "<0x", 3) != 0 || text.data[5] != '>') return -1;
    int high = hexadecimal_digit(text.data[3]), low = hexadecimal_digit(text.data[4]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/* Writes the token's bytes at `out`. */
static ex_code read_text(ex_vocabulary *vocabulary, int32_t id, const ex_key *key, ex_string text, char *out,
                         ex_error *error) {
    ex_token *token = &vocabulary->tokens[id];
    token->text = out;
    if (token->kind == EX_KIND_BYTE) {
        int byte = byte_of_name(text);
        if (byte < 0)
            return ex_fail(error, EX_ERROR_FORMAT, ex_keys_offset(key, text),
                           "tokenizer.ggml.tokens at offset %" PRIu64 ": token %" PRId32
                           " is of type byte, but not written like <0x0A>", ex_keys_offset(key, text), id);
        out[0] = (char)byte;
        token->length = 1;
        if (vocabulary->bytes[byte] == EX_TOKEN_NONE) vocabulary->bytes[byte] = id;
        return EX_OK;
    }
    if (token->kind == EX_KIND_NORMAL || token->kind == EX_KIND_UNUSED) {
        token->length = (uint32_t)ex_text_plain(vocabulary->form, text.data, text.length, out);
    } else {
        memcpy(out, text.data, text.length);
        token->length = (uint32_t)text.length;
    }
    if (token->length > vocabulary->longest) vocabulary->longest = token->length;
    return EX_OK;
}

static ex_code measure_texts(const ex_key *key, uint64_t *total, ex_error *error) {
    ex_string text;
    const void *cursor = NULL;
    *total = 0;
    while (ex_key_next_string(key, &cursor, &text)) {
        if (text.length > INT32_MAX)
            return ex_fail(error, EX_ERROR_UNSUPPORTED, ex_keys_offset(key, text),
                           "tokenizer.ggml.tokens at offset %" PRIu64 ": a token of 2 GiB or more",
                           ex_keys_offset(key, text));
        *total += text.length;
    }
    return EX_OK;
}

static ex_code read_texts(ex_vocabulary *vocabulary, const ex_key *key, ex_error *error) {
    uint64_t total;
    ex_code code = measure_texts(key, &total, error);
    if (code != EX_OK) return code;
    vocabulary->texts = ex_allocate(total, 1);
    if (!vocabulary->texts) return ex_fail_memory(error, "the vocabulary's texts");
    char *out = vocabulary->texts;
    const void *cursor = NULL;
    ex_string text;
    for (int32_t id = 0; id < vocabulary->size && ex_key_next_string(key, &cursor, &text); id++) {
        code = read_text(vocabulary, id, key, text, out, error);
        if (code != EX_OK) return code;
        out += vocabulary->tokens[id].length;
    }
    return EX_OK;
}

static ex_code read_tokens(ex_vocabulary *vocabulary, const ex_file *file, ex_error *error) {
    const ex_key *key;
    ex_code code = ex_keys_strings(file, "tokenizer.ggml.tokens", &key, error);
    if (code != EX_OK) return code;
    if (!key) return ex_fail(error, EX_ERROR_FORMAT, 0, "%s: tokenizer.ggml.tokens is missing", ex_file_path(file));
    if (key->count == 0 || key->count > INT32_MAX / 4)
        return ex_fail(error, EX_ERROR_FORMAT, key->offset,
                       "tokenizer.ggml.tokens at offset %" PRIu64 " has %" PRIu64 " elements", key->offset, key->count);
    vocabulary->size = (int32_t)key->count;
    vocabulary->tokens = ex_allocate((size_t)vocabulary->size, sizeof *vocabulary->tokens);
    if (!vocabulary->tokens) return ex_fail_memory(error, "the vocabulary");
    code = read_kinds(vocabulary, file, error);
    if (code == EX_OK) code = read_texts(vocabulary, key, error);
    if (code == EX_OK) code = read_scores(vocabulary, file, error);
    return code == EX_OK ? build_index(vocabulary, error) : code;
}

static int32_t if_within(const ex_vocabulary *vocabulary, int32_t id) {
    return id < vocabulary->size ? id : EX_TOKEN_NONE;
}

static ex_code read_special_ids(ex_vocabulary *vocabulary, const ex_file *file, ex_agreed_ids agreed, ex_error *error) {
    const struct {
        const char *name;
        int32_t *id, otherwise;
    } ids[] = {
        {"tokenizer.ggml.bos_token_id", &vocabulary->beginning, agreed.beginning},
        {"tokenizer.ggml.eos_token_id", &vocabulary->end, agreed.end},
        {"tokenizer.ggml.unknown_token_id", &vocabulary->unknown, agreed.unknown},
    };
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        *ids[i].id = if_within(vocabulary, ids[i].otherwise);
        ex_code code = ex_keys_token(file, ids[i].name, vocabulary->size, ids[i].id, error);
        if (code != EX_OK) return code;
    }
    return EX_OK;
}

ex_code ex_vocabulary_open(ex_vocabulary *vocabulary, const ex_file *file, ex_text_form form, ex_agreed_ids agreed,
                           ex_error *error) {
    vocabulary->form = form;
    for (int byte = 0; byte < 256; byte++) vocabulary->bytes[byte] = EX_TOKEN_NONE;
    ex_code code = read_tokens(vocabulary, file, error);
    return code == EX_OK ? read_special_ids(vocabulary, file, agreed, error) : code;
}

void ex_vocabulary_close(ex_vocabulary *vocabulary) {
    free(vocabulary->tokens);
    free(vocabulary->scores);
    free(vocabulary->texts);
    free(vocabulary->slots);
}

/* ---- characters ---- */

bool ex_vocabulary_push_bytes(const ex_vocabulary *vocabulary, const char *text, size_t length, ex_token_list *out) {
    for (size_t i = 0; i < length; i++)
        if (vocabulary->bytes[(unsigned char)text[i]] == EX_TOKEN_NONE) return false;
    for (size_t i = 0; i < length; i++) ex_token_push(out, vocabulary->bytes[(unsigned char)text[i]]);
    return true;
}

bool ex_vocabulary_push_unknown(const ex_vocabulary *vocabulary, const char *text, size_t length, ex_token_list *out) {
    if (ex_vocabulary_push_bytes(vocabulary, text, length, out)) return true;
    int32_t unknown = ex_vocabulary_unknown(vocabulary);
    if (unknown != EX_TOKEN_NONE) ex_token_push(out, unknown);
    return unknown != EX_TOKEN_NONE;
}

size_t ex_vocabulary_split(const ex_vocabulary *vocabulary, const char *word, size_t length, ex_symbol *symbols) {
    size_t n = 0;
    for (size_t at = 0; at < length; n++) {
        uint32_t codepoint;
        size_t bytes = ex_utf8_decode(word + at, length - at, &codepoint);
        int32_t token = ex_vocabulary_find(vocabulary, word + at, bytes);
        symbols[n] = (ex_symbol){.first = (uint32_t)at, .length = (uint32_t)bytes, .token = token};
        at += bytes;
    }
    return n;
}
