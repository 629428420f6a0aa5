#include "text/bpe.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"
#include "base/utf8.h"
#include "text/huggingface.h"
#include "text/keys.h"
#include "text/normalise.h"

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
    size_t n_left = ex_text_plain(vocabulary->form, text.data, (size_t)(gap - text.data), plain);
    size_t rest = text.length - (size_t)(gap + 1 - text.data);
    size_t n_right = ex_text_plain(vocabulary->form, gap + 1, rest, plain + n_left);
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

static const char pattern_key[] = "entropix.tokenizer.pre_pattern";
static const char normaliser_key[] = "entropix.tokenizer.normalizer";

/* One expression or a list of them. */
static ex_code read_pattern(ex_bpe *bpe, const ex_key *key, ex_error *error) {
    bool list = key->type == EX_VALUE_ARRAY;
    if ((list ? key->element : key->type) != EX_VALUE_STRING)
        return ex_fail(error, EX_ERROR_FORMAT, key->offset,
                       "%s at offset %" PRIu64 " must be a string or an array of strings", pattern_key, key->offset);
    ex_code code = ex_pattern_open(&bpe->pattern, error);
    ex_string expression;
    if (code == EX_OK && !list && ex_key_string(key, 0, &expression))
        return ex_pattern_add(bpe->pattern, expression, ex_keys_offset(key, expression), error);
    const void *cursor = NULL;
    while (code == EX_OK && list && ex_key_next_string(key, &cursor, &expression))
        code = ex_pattern_add(bpe->pattern, expression, ex_keys_offset(key, expression), error);
    return code;
}

static ex_code read_huggingface(ex_bpe *bpe, const ex_file *file, const ex_key *key, ex_error *error) {
    ex_huggingface found;
    ex_code code = ex_huggingface_read(&found, file, key, error);
    bpe->pattern = found.pattern;
    bpe->flags = found.flags;
    return code;
}

/* `named`: the file has a name for its pre-tokeniser, though none that is known. */
static ex_code find_own_pretokeniser(ex_bpe *bpe, const ex_file *file, const ex_key *named, ex_error *error) {
    const ex_key *key = ex_file_find_key(file, pattern_key);
    if (key) return read_pattern(bpe, key, error);
    key = ex_file_find_key(file, "tokenizer.huggingface.json");
    if (key) return read_huggingface(bpe, file, key, error);
    if (!named) {
        bpe->pretokeniser = ex_pretokeniser_find((ex_string){"default", 7})->pretokeniser;
        return EX_OK;
    }
    ex_string name = {"", 0};
    ex_key_string(named, 0, &name);
    return ex_fail(error, EX_ERROR_UNSUPPORTED, named->offset,
                   "tokenizer.ggml.pre is \"%.*s\", a pre-tokeniser that this version does not know, and the file has "
                   "no expressions for it (%s)", name.length < 40 ? (int)name.length : 40, name.data, pattern_key);
}

static ex_code find_pretokeniser(ex_bpe *bpe, const ex_file *file, const char *pre, ex_error *error) {
    const char *key_name = "tokenizer.ggml.pre";
    ex_string name = {"", 0};
    ex_code code = ex_keys_text(file, key_name, &name, error);
    if (code != EX_OK) return code;
    if (pre) name = (ex_string){pre, strlen(pre)};
    const ex_pretokeniser_name *row = ex_pretokeniser_find(name);
    if (!row) return find_own_pretokeniser(bpe, file, ex_file_find_key(file, key_name), error);
    bpe->pretokeniser = row->pretokeniser;
    bpe->flags = row->flags;
    return EX_OK;
}

/* Files of this project may say which normaliser the tokenizer has; no other key does. */
static ex_code read_normaliser(ex_bpe *bpe, const ex_file *file, ex_error *error) {
    ex_string name = {"", 0};
    ex_code code = ex_keys_text(file, normaliser_key, &name, error);
    if (code != EX_OK || name.length == 0) return code;
    bpe->flags &= ~(uint32_t)EX_PRE_NFC;
    if (ex_string_is(name, "nfc")) bpe->flags |= EX_PRE_NFC;
    else if (!ex_string_is(name, "none"))
        return ex_fail(error, EX_ERROR_UNSUPPORTED, ex_file_find_key(file, normaliser_key)->offset,
                       "%s is \"%.*s\"; this version knows nfc and none", normaliser_key,
                       name.length < 40 ? (int)name.length : 40, name.data);
    return EX_OK;
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

ex_code ex_bpe_open(ex_bpe *bpe, const ex_vocabulary *vocabulary, const ex_file *file, const char *pre,
                    ex_error *error) {
    bpe->vocabulary = vocabulary;
    ex_code code = find_pretokeniser(bpe, file, pre, error);
    if (code == EX_OK) code = read_normaliser(bpe, file, error);
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
    ex_pattern_close(bpe->pattern);
    free(bpe->merges);
    free(bpe->slots);
}

/* ---- running ---- */

typedef struct bpe_run {
    const ex_bpe *bpe;
    const char *text;
    uint64_t offset; /* of the text in the caller's */
    bool moved;      /* the text is not the caller's any more: places in it mean nothing to him */
    ex_merger *merger;
    ex_token_list *out;
} bpe_run;

static uint64_t position_of(const bpe_run *run, const char *at) {
    return run->moved ? run->offset : run->offset + (uint64_t)(at - run->text);
}

static ex_code split_bytes(const bpe_run *run, const char *word, size_t length, size_t *n, ex_error *error) {
    for (*n = 0; *n < length; ++*n) {
        unsigned char byte = (unsigned char)word[*n];
        int32_t token = run->bpe->bytes[byte];
        run->merger->symbols[*n] = (ex_symbol){.first = (uint32_t)*n, .length = 1, .token = token};
        uint64_t position = position_of(run, word + *n);
        if (token == EX_TOKEN_NONE)
            return ex_fail(error, EX_ERROR_UNSUPPORTED, position,
                           "the vocabulary has no token for byte 0x%02X, at byte %" PRIu64 " of the text", byte,
                           position);
    }
    return EX_OK;
}

static ex_code push_symbols(const bpe_run *run, const char *word, ex_error *error) {
    const ex_symbol *symbols = run->merger->symbols;
    for (uint32_t i = 0; i != EX_NO_SYMBOL; i = symbols[i].next) {
        const char *text = word + symbols[i].first;
        if (symbols[i].token != EX_TOKEN_NONE) {
            ex_token_push(run->out, symbols[i].token);
        } else if (!ex_vocabulary_push_unknown(run->bpe->vocabulary, text, symbols[i].length, run->out)) {
            uint64_t position = position_of(run, text);
            return ex_fail(error, EX_ERROR_UNSUPPORTED, position,
                           "the vocabulary has no tokens for the character at byte %" PRIu64 " of the text", position);
        }
    }
    return EX_OK;
}

static ex_code run_word(void *context, const char *word, size_t length, ex_error *error) {
    const bpe_run *run = context;
    const ex_bpe *bpe = run->bpe;
    if (bpe->flags & EX_PRE_WHOLE_WORDS || (bpe->flags & EX_PRE_WHOLE_NEWLINES && *word == '\n')) {
        int32_t whole = ex_vocabulary_find(bpe->vocabulary, word, length);
        if (whole != EX_TOKEN_NONE) {
            ex_token_push(run->out, whole);
            return EX_OK;
        }
    }
    ex_code code = ex_merger_reserve(run->merger, length, error);
    if (code != EX_OK) return code;
    size_t n;
    if (bpe->vocabulary->form == EX_FORM_BYTE_LEVEL) code = split_bytes(run, word, length, &n, error);
    else n = ex_vocabulary_split(bpe->vocabulary, word, length, run->merger->symbols);
    if (code != EX_OK) return code;
    ex_merger_run(run->merger, n, word, find_merge, bpe);
    return push_symbols(run, word, error);
}

static ex_code run_words(bpe_run *run, ex_string text, ex_error *error) {
    const ex_bpe *bpe = run->bpe;
    run->text = text.data;
    if (bpe->pretokeniser) return ex_pretokenise(bpe->pretokeniser, text.data, text.length, run_word, run, error);
    return ex_pattern_split(bpe->pattern, text.data, text.length, run->offset, run_word, run, NULL, error);
}

/* U+2581 in the text counts as a space where the vocabulary writes it so. */
static ex_code run_unescaped(bpe_run *run, ex_string text, ex_error *error) {
    if (run->bpe->vocabulary->form == EX_FORM_BYTE_LEVEL) return run_words(run, text, error);
    char *plain = ex_allocate(text.length, 1);
    if (!plain) return ex_fail_memory(error, "the tokenizer");
    size_t length = ex_text_plain(run->bpe->vocabulary->form, text.data, text.length, plain);
    run->moved = run->moved || length != text.length;
    ex_code code = run_words(run, (ex_string){plain, length}, error);
    free(plain);
    return code;
}

ex_code ex_bpe_run(const ex_bpe *bpe, const char *text, size_t length, uint64_t offset, ex_merger *merger,
                   ex_token_list *out, ex_error *error) {
    bpe_run run = {.bpe = bpe, .offset = offset, .merger = merger, .out = out};
    ex_string plain = {text, length};
    char *memory = NULL;
    if (bpe->flags & EX_PRE_NFC) {
        ex_code code = ex_normalise_nfc((ex_string){text, length}, &plain, &memory, error);
        if (code != EX_OK) return code;
    }
    run.moved = memory != NULL;
    ex_code code = run_unescaped(&run, plain, error);
    free(memory);
    return code;
}
