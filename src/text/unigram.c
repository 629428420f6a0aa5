#include "text/unigram.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "text/keys.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TOKEN = 512 }; /* bytes; longer tokens are never found, so that every text takes linear time */

static const double unknown_penalty = 10; /* below the lowest score */

/* ---- opening ---- */

static bool is_piece(const ex_vocabulary *vocabulary, int32_t id) {
    const ex_token *token = &vocabulary->tokens[id];
    return (token->kind == EX_KIND_NORMAL || token->kind == EX_KIND_USER_DEFINED) && token->length <= MAX_TOKEN &&
           isfinite(vocabulary->scores[id]) && ex_utf8_valid_prefix(token->text, token->length) == token->length;
}

static double lowest_score(const ex_vocabulary *vocabulary) {
    double lowest = 0;
    bool any = false;
    for (int32_t id = 0; id < vocabulary->size; id++) {
        double score = vocabulary->scores[id];
        if (vocabulary->tokens[id].kind != EX_KIND_NORMAL || !isfinite(score)) continue;
        if (!any || score < lowest) lowest = score;
        any = true;
    }
    return lowest;
}

ex_code ex_unigram_open(ex_unigram *unigram, const ex_vocabulary *vocabulary, const ex_file *file, ex_error *error) {
    unigram->vocabulary = vocabulary;
    unigram->add_space_prefix = true;
    if (!vocabulary->scores)
        return ex_fail(error, EX_ERROR_FORMAT, 0, "%s: tokenizer.ggml.scores is missing", ex_file_path(file));
    unigram->unknown_score = lowest_score(vocabulary) - unknown_penalty;
    ex_code code = ex_prefix_open(&unigram->tokens, vocabulary, is_piece, error);
    if (code == EX_OK) code = ex_charsmap_open(&unigram->charsmap, file, error);
    if (code == EX_OK)
        code = ex_keys_boolean(file, "tokenizer.ggml.add_space_prefix", &unigram->add_space_prefix, error);
    if (code != EX_OK) return code;
    const char *key = "tokenizer.ggml.remove_extra_whitespaces";
    return ex_keys_boolean(file, key, &unigram->remove_extra_whitespaces, error);
}

void ex_unigram_close(ex_unigram *unigram) {
    ex_prefix_close(&unigram->tokens);
    ex_charsmap_close(&unigram->charsmap);
}

/* ---- normalising ---- */

typedef struct buffer {
    char *data;
    size_t length, capacity;
} buffer;

static bool append(buffer *b, const char *text, size_t length) {
    if (b->capacity - b->length < length) {
        size_t capacity = 2 * (b->capacity + length);
        char *data = ex_allocate(capacity, 1);
        if (!data) return false;
        if (b->length) memcpy(data, b->data, b->length);
        free(b->data);
        b->data = data;
        b->capacity = capacity;
    }
    if (length) memcpy(b->data + b->length, text, length);
    b->length += length;
    return true;
}

/* What the next characters become; returns how many bytes of them. */
static size_t normalise_next(const ex_unigram *unigram, const char *text, size_t length, ex_string *out) {
    size_t n = ex_charsmap_find(&unigram->charsmap, text, length, out);
    if (n == 0) {
        uint32_t codepoint;
        n = ex_utf8_decode(text, length, &codepoint);
        *out = (ex_string){text, n};
        if (codepoint == 0x2581) *out = (ex_string){" ", 1}; /* as in the vocabulary */
    }
    return n;
}

/* The text with its replacements, and a space before it if `prefix`. Of spaces that follow one another, or stand at the
 * ends, remove_extra_whitespaces leaves one or none; that before the text is made, and not one of them. */
static ex_code normalise(const ex_unigram *unigram, const char *text, size_t length, bool prefix, buffer *out,
                         ex_error *error) {
    bool remove = unigram->remove_extra_whitespaces, after_space = remove;
    bool good = append(out, " ", prefix && !remove);
    prefix = prefix && remove;
    for (size_t at = 0; good && at < length;) {
        ex_string next;
        at += normalise_next(unigram, text + at, length - at, &next);
        for (; remove && after_space && next.length && *next.data == ' '; next.length--) next.data++;
        if (next.length == 0) continue;
        if (prefix) good = append(out, " ", 1);
        prefix = false;
        good = good && append(out, next.data, next.length);
        after_space = remove && next.data[next.length - 1] == ' ';
    }
    if (!good || out->length > INT32_MAX) return ex_fail_memory(error, "the normalised text");
    while (remove && out->length && out->data[out->length - 1] == ' ') out->length--;
    return EX_OK;
}

/* ---- the best way ---- */

typedef struct place { /* between two characters, and the best way to it */
    double score;
    uint32_t from;  /* where its last token begins; on the way back, where the next one ends */
    int32_t token;  /* its last token; EX_TOKEN_NONE: one character that is none */
} place;

static void offer(place *to, double score, size_t from, int32_t token) {
    if (score > to->score) *to = (place){score, (uint32_t)from, token};
}

/* All ways on from `at` by one token; returns the place behind the character there. */
static size_t extend(const ex_unigram *unigram, const char *text, size_t length, place *places, size_t at) {
    const ex_vocabulary *vocabulary = unigram->vocabulary;
    uint32_t codepoint;
    size_t next = at + ex_utf8_decode(text + at, length - at, &codepoint);
    double score = places[at].score;
    bool single = false;
    ex_prefix_walk walk = ex_prefix_begin(&unigram->tokens, vocabulary, text + at, length - at);
    for (int32_t token; (token = ex_prefix_next(&walk)) != EX_TOKEN_NONE;) {
        size_t end = at + vocabulary->tokens[token].length;
        offer(&places[end], score + (double)vocabulary->scores[token], at, token);
        single = single || end == next;
    }
    if (!single) offer(&places[next], score + unigram->unknown_score, at, EX_TOKEN_NONE);
    return next;
}

/* Turns the links of the best way round, so that it can be read from the beginning. */
static void turn_round(place *places, size_t length) {
    uint32_t next = 0;
    int32_t next_token = EX_TOKEN_NONE;
    for (size_t at = length;;) {
        place here = places[at];
        places[at].from = next;
        places[at].token = next_token;
        if (at == 0) return;
        next = (uint32_t)at;
        next_token = here.token;
        at = here.from;
    }
}

/* A run of characters that are no tokens is one unknown token, unless there are tokens for its bytes. */
static ex_code push_way(const ex_unigram *unigram, const char *text, const place *places, size_t length,
                        uint64_t offset, ex_token_list *out, ex_error *error) {
    const ex_vocabulary *vocabulary = unigram->vocabulary;
    int32_t unknown = ex_vocabulary_unknown(vocabulary);
    bool in_unknown = false;
    for (size_t at = 0, end; at < length; at = end) {
        end = places[at].from;
        bool known = places[at].token != EX_TOKEN_NONE;
        if (known) ex_token_push(out, places[at].token);
        if (known || ex_vocabulary_push_bytes(vocabulary, text + at, end - at, out)) {
            in_unknown = false;
            continue;
        }
        if (unknown == EX_TOKEN_NONE)
            return ex_fail(error, EX_ERROR_UNSUPPORTED, offset,
                           "the vocabulary has no tokens for a character in the text after byte %" PRIu64, offset);
        if (!in_unknown) ex_token_push(out, unknown);
        in_unknown = true;
    }
    return EX_OK;
}

static ex_code run_normalised(const ex_unigram *unigram, const char *text, size_t length, uint64_t offset,
                              ex_token_list *out, ex_error *error) {
    place *places = ex_allocate(length + 1, sizeof *places);
    if (!places) return ex_fail_memory(error, "the tokenizer");
    for (size_t at = 1; at <= length; at++) places[at].score = -INFINITY;
    for (size_t at = 0; at < length;) at = extend(unigram, text, length, places, at);
    turn_round(places, length);
    ex_code code = push_way(unigram, text, places, length, offset, out, error);
    free(places);
    return code;
}

ex_code ex_unigram_run(const ex_unigram *unigram, const char *text, size_t length, uint64_t offset, bool begins,
                       ex_token_list *out, ex_error *error) {
    if (length == 0) return EX_OK;
    buffer normalised = {0};
    ex_code code = normalise(unigram, text, length, begins && unigram->add_space_prefix, &normalised, error);
    if (code == EX_OK) code = run_normalised(unigram, normalised.data, normalised.length, offset, out, error);
    free(normalised.data);
    return code;
}
