/* breaker.c - where sequence breakers lie. Most lie within one token, which the vocabulary tells beforehand; only a
 * token that begins with the end of a longer breaker is compared with the tokens before it. */
#include "sampler/breaker.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "sampler/text_list.h"

typedef enum breaker_kind {
    NO_BREAKER,
    HAS_BREAKER, /* in its own text */
    MAY_END_ONE  /* that began before it */
} breaker_kind;

enum { BREAKER_MAX = 64, LENGTH_MAX = 64 };

typedef struct breaker {
    char text[LENGTH_MAX];
    size_t length;
} breaker;

struct ex_breaker_list { /* the policy's, read */
    size_t count;
    breaker items[BREAKER_MAX];
};

static ex_code read_list(ex_breaker_list *list, const char *text, ex_error *error) {
    ex_text_list texts;
    ex_code code = ex_text_list_read(&texts, "dry_sequence_breakers", text, error);
    if (code != EX_OK) return code;
    for (size_t i = 0; i < texts.count && code == EX_OK; i++) {
        if (i == BREAKER_MAX || texts.texts[i].length > LENGTH_MAX) {
            code = ex_fail(error, EX_ERROR_ARGUMENT, 0,
                           "dry_sequence_breakers: at most %d breakers of at most %d bytes each", BREAKER_MAX,
                           LENGTH_MAX);
        } else {
            memcpy(list->items[i].text, texts.texts[i].data, texts.texts[i].length);
            list->items[list->count++].length = texts.texts[i].length;
        }
    }
    ex_text_list_free(&texts);
    return code;
}

ex_code ex_breakers_check(const char *list, ex_error *error) {
    ex_breaker_list *copy = ex_allocate(1, sizeof *copy);
    ex_code code = copy ? read_list(copy, list, error) : ex_fail_memory(error, "sequence breakers");
    free(copy);
    return code;
}

void ex_breakers_close(ex_breakers *breakers) {
    free(breakers->kinds);
    free(breakers->list);
    free(breakers->texts); // NOLINT(clang-analyzer-unix.Malloc): NULL after the first close
    free(breakers->offsets);
    *breakers = (ex_breakers){0};
}

/* A text that begins with what is left of a breaker after its first `split` bytes. */
static bool ends_breaker(const breaker *one, size_t split, const char *text, size_t length) {
    const size_t left = one->length - split;
    return length >= left && memcmp(text, one->text + split, left) == 0;
}

static breaker_kind classify(const ex_breaker_list *list, const char *text, size_t length) {
    breaker_kind kind = NO_BREAKER;
    for (size_t i = 0; i < list->count; i++) {
        const breaker *one = &list->items[i];
        if (memmem(text, length, one->text, one->length)) return HAS_BREAKER;
        for (size_t split = 1; split < one->length; split++)
            if (ends_breaker(one, split, text, length)) kind = MAY_END_ONE;
    }
    return kind;
}

static const char *text_of_token(ex_text_of text_of, const void *context, size_t token, size_t *length) {
    *length = 0;
    const char *text = text_of(context, (int32_t)token, length);
    return text ? text : "";
}

static ex_code keep_texts(ex_breakers *breakers, ex_text_of text_of, const void *context, ex_error *error) {
    size_t total = 0, length;
    for (size_t i = 0; i < breakers->n_vocab; i++) {
        text_of_token(text_of, context, i, &length);
        total += length;
    }
    breakers->texts = ex_allocate(total, 1);
    breakers->offsets = ex_allocate(breakers->n_vocab + 1, sizeof *breakers->offsets);
    if (!breakers->texts || !breakers->offsets) return ex_fail_memory(error, "sequence breakers");
    for (size_t i = 0; i < breakers->n_vocab; i++) {
        const char *text = text_of_token(text_of, context, i, &length);
        memcpy(breakers->texts + breakers->offsets[i], text, length);
        breakers->offsets[i + 1] = breakers->offsets[i] + length;
    }
    return EX_OK;
}

ex_code ex_breakers_open(ex_breakers *breakers, const char *list, size_t n_vocab, ex_text_of text_of,
                         const void *context, ex_error *error) {
    bool reaches_across = false;
    ex_breakers_close(breakers);
    breakers->n_vocab = n_vocab;
    breakers->list = ex_allocate(1, sizeof *breakers->list);
    breakers->kinds = ex_allocate(n_vocab, sizeof *breakers->kinds);
    ex_code code = breakers->list && breakers->kinds ? read_list(breakers->list, list, error)
                                                     : ex_fail_memory(error, "sequence breakers");
    for (size_t i = 0; i < n_vocab && code == EX_OK; i++) {
        size_t length;
        const char *text = text_of_token(text_of, context, i, &length);
        breaker_kind kind = classify(breakers->list, text, length);
        breakers->kinds[i] = (uint8_t)kind;
        reaches_across |= kind == MAY_END_ONE;
    }
    if (code == EX_OK && reaches_across) code = keep_texts(breakers, text_of, context, error);
    if (code != EX_OK) ex_breakers_close(breakers);
    return code;
}

/* ---- in a context ---------------------------------------------------------------------------------------------- */

static breaker_kind kind_of(const ex_breakers *breakers, int32_t token) {
    if (!breakers->kinds || token < 0 || (size_t)token >= breakers->n_vocab) return NO_BREAKER;
    return (breaker_kind)breakers->kinds[token];
}

bool ex_breakers_has(const ex_breakers *breakers, int32_t token) { return kind_of(breakers, token) == HAS_BREAKER; }

static const char *kept_text(const ex_breakers *breakers, int32_t token, size_t *length) {
    *length = 0;
    if (token < 0 || (size_t)token >= breakers->n_vocab) return "";
    *length = (size_t)(breakers->offsets[token + 1] - breakers->offsets[token]);
    return breakers->texts + breakers->offsets[token];
}

/* The texts of these tokens, newest first, end with `text`. */
static bool end_with(const ex_breakers *breakers, const int32_t *recent, size_t n, const char *text, size_t left) {
    for (size_t i = 0; i < n && left > 0; i++) {
        size_t length;
        const char *own = kept_text(breakers, recent[i], &length);
        const size_t common = length < left ? length : left;
        if (memcmp(own + length - common, text + left - common, common) != 0) return false;
        left -= common;
    }
    return left == 0;
}

static bool ends_one(const ex_breakers *breakers, const int32_t *recent, size_t n) {
    size_t length;
    const char *text = kept_text(breakers, recent[0], &length);
    for (size_t i = 0; i < breakers->list->count; i++) {
        const breaker *one = &breakers->list->items[i];
        for (size_t split = 1; split < one->length; split++)
            if (ends_breaker(one, split, text, length) &&
                end_with(breakers, recent + 1, n - 1, one->text, split))
                return true;
    }
    return false;
}

size_t ex_breakers_find(const ex_breakers *breakers, const int32_t *recent, size_t n) {
    for (size_t i = 0; i < n && breakers->kinds; i++) {
        breaker_kind kind = kind_of(breakers, recent[i]);
        if (kind == HAS_BREAKER || (kind == MAY_END_ONE && ends_one(breakers, recent + i, n - i))) return i;
    }
    return n;
}
