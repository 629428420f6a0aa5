#include "text/bpe.h"

#include "base/error.h"
#include "base/memory.h"
#include "text/keys.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- merges ---- */

/* The slot that holds the rank of this pair, or the free one where it belongs. */
static size_t find_slot(const ex_bpe *bpe, int32_t left, int32_t right) {
    uint64_t hash = ((uint64_t)(uint32_t)left << 32 | (uint32_t)right) * 0xD6E8FEB86659FD93u;
    hash = (hash ^ hash >> 32) * 0x9E3779B97F4A7C15u;
    size_t slot = (hash >> 24) & (bpe->n_slots - 1);
    for (; bpe->slots[slot]; slot = (slot + 1) & (bpe->n_slots - 1)) {
        const ex_merge *merge = &bpe->merges[bpe->slots[slot] - 1];
        if (merge->left == left && merge->right == right) break;
    }
    return slot;
}

static int32_t find_merge(const void *context, const char *word, const ex_symbol *left, const ex_symbol *right,
                          uint32_t *rank) {
    const ex_bpe *bpe = context;
    (void)word;
    uint32_t found = bpe->slots[find_slot(bpe, left->token, right->token)];
    if (!found) return EX_TOKEN_NONE;
    *rank = found - 1;
    return bpe->merges[*rank].result;
}

/* `plain` has room for `text`. The two parts are parted by the first space that is not the first character. */
static ex_code read_merge(ex_bpe *bpe, const ex_key *key, ex_string text, char *plain, ex_error *error) {
    const char *gap = text.length > 1 ? memchr(text.data + 1, ' ', text.length - 1) : NULL;
    if (!gap)
        return ex_fail(error, EX_ERROR_FORMAT, ex_keys_offset(key, text),
                       "tokenizer.ggml.merges at offset %" PRIu64 ": a merge without a space between its two parts",
                       ex_keys_offset(key, text));
    const ex_vocabulary *vocabulary = bpe->vocabulary;
    size_t n_left = ex_text_plain(EX_FORM_BYTE_LEVEL, text.data, (size_t)(gap - text.data), plain);
    size_t rest = text.length - (size_t)(gap + 1 - text.data);
    size_t n_right = ex_text_plain(EX_FORM_BYTE_LEVEL, gap + 1, rest, plain + n_left);
    ex_merge merge = {ex_vocabulary_find(vocabulary, plain, n_left),
                      ex_vocabulary_find(vocabulary, plain + n_left, n_right),
                      ex_vocabulary_find(vocabulary, plain, n_left + n_right)};
    if (merge.left == EX_TOKEN_NONE || merge.right == EX_TOKEN_NONE || merge.result == EX_TOKEN_NONE) return EX_OK;
    size_t slot = find_slot(bpe, merge.left, merge.right);
    if (bpe->slots[slot]) return EX_OK;
    bpe->merges[bpe->n_merges++] = merge;
    bpe->slots[slot] = (uint32_t)bpe->n_merges;
    return EX_OK;
}

static size_t longest_string(const ex_key *key) {
    size_t longest = 0;
    ex_string text;
    const void *cursor = NULL;
    while (ex_key_next_string(key, &cursor, &text))
        if (text.length > longest) longest = text.length;
    return longest;
}

static ex_code read_merges(ex_bpe *bpe, const ex_key *key, ex_error *error) {
    bpe->n_slots = 16;
    while (bpe->n_slots < key->count + key->count / 2) bpe->n_slots *= 2;
    bpe->merges = ex_allocate(key->count, sizeof *bpe->merges);
    bpe->slots = ex_allocate(bpe->n_slots, sizeof *bpe->slots);
    char *plain = ex_allocate(longest_string(key), 1);
    ex_code code = bpe->merges && bpe->slots && plain ? EX_OK : ex_fail_memory(error, "the merges");
    ex_string text;
    const void *cursor = NULL;
    while (code == EX_OK && ex_key_next_string(key, &cursor, &text)) code = read_merge(bpe, key, text, plain, error);
    free(plain);
    return code;
}

/* ---- opening ---- */

static ex_code find_pretokeniser(ex_bpe *bpe, const ex_file *file, ex_error *error) {
    ex_string name = {"default", 7};
    ex_code code = ex_keys_text(file, "tokenizer.ggml.pre", &name, error);
    if (code != EX_OK) return code;
    bpe->pre = ex_pretokeniser_find(name);
    if (bpe->pre) return EX_OK;
    return ex_fail(error, EX_ERROR_UNSUPPORTED, ex_file_find_key(file, "tokenizer.ggml.pre")->offset,
                   "tokenizer.ggml.pre is \"%.*s\", a pre-tokeniser that this version does not know",
                   name.length < 40 ? (int)name.length : 40, name.data);
}

/* Byte-level vocabularies have every byte as an ordinary token; <0x0A> is what others fall back to. */
static void find_bytes(ex_bpe *bpe) {
    for (int byte = 0; byte < 256; byte++) {
        char text = (char)byte;
        bpe->bytes[byte] = ex_vocabulary_find(bpe->vocabulary, &text, 1);
        if (bpe->bytes[byte] == EX_TOKEN_NONE) bpe->bytes[byte] = bpe->vocabulary->bytes[byte];
        if (bpe->bytes[byte] == EX_TOKEN_NONE) bpe->bytes[byte] = ex_vocabulary_unknown(bpe->vocabulary);
    }
}

ex_code ex_bpe_open(ex_bpe *bpe, const ex_vocabulary *vocabulary, const ex_file *file, ex_error *error) {
    bpe->vocabulary = vocabulary;
    ex_code code = find_pretokeniser(bpe, file, error);
    if (code != EX_OK) return code;
    find_bytes(bpe);
    const ex_key *key;
    code = ex_keys_strings(file, "tokenizer.ggml.merges", &key, error);
    if (code != EX_OK) return code;
    if (!key) return ex_fail(error, EX_ERROR_FORMAT, 0, "%s: tokenizer.ggml.merges is missing", ex_file_path(file));
    if (key->count > INT32_MAX / 4)
        return ex_fail(error, EX_ERROR_FORMAT, key->offset,
                       "tokenizer.ggml.merges at offset %" PRIu64 " has %" PRIu64 " elements", key->offset, key->count);
    return read_merges(bpe, key, error);
}

void ex_bpe_close(ex_bpe *bpe) {
    free(bpe->merges);
    free(bpe->slots);
}

/* ---- running ---- */

typedef struct bpe_run {
    const ex_bpe *bpe;
    const char *text;
    uint64_t offset;
    ex_merger *merger;
    ex_token_list *out;
} bpe_run;

static ex_code run_word(void *context, const char *word, size_t length, ex_error *error) {
    const bpe_run *run = context;
    const ex_bpe *bpe = run->bpe;
    if (bpe->pre->flags & EX_PRE_WHOLE_WORDS) {
        int32_t whole = ex_vocabulary_find(bpe->vocabulary, word, length);
        if (whole != EX_TOKEN_NONE) {
            ex_token_push(run->out, whole);
            return EX_OK;
        }
    }
    ex_code code = ex_merger_reserve(run->merger, length, error);
    if (code != EX_OK) return code;
    ex_symbol *symbols = run->merger->symbols;
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)word[i];
        symbols[i] = (ex_symbol){.first = (uint32_t)i, .length = 1, .token = bpe->bytes[byte]};
        uint64_t position = run->offset + (uint64_t)(word - run->text) + i;
        if (symbols[i].token == EX_TOKEN_NONE)
            return ex_fail(error, EX_ERROR_UNSUPPORTED, position,
                           "the vocabulary has no token for byte 0x%02X, at byte %" PRIu64 " of the text", byte,
                           position);
    }
    ex_merger_run(run->merger, length, word, find_merge, bpe);
    for (uint32_t i = 0; i != EX_NO_SYMBOL; i = symbols[i].next) ex_token_push(run->out, symbols[i].token);
    return EX_OK;
}

ex_code ex_bpe_run(const ex_bpe *bpe, const char *text, size_t length, uint64_t offset, ex_merger *merger,
                   ex_token_list *out, ex_error *error) {
    bpe_run run = {bpe, text, offset, merger, out};
    return ex_pretokenise(bpe->pre->pretokeniser, text, length, run_word, &run, error);
}
