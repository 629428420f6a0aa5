/* open_text.c - repetition, variety and likeness of texts, by counting n-grams. */
#include "open_text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct ngram {
    int32_t tokens[EVAL_ORDER_MAX]; /* the first `order`; 0 after them */
} ngram;

typedef struct ngrams {
    ngram *sorted;
    size_t n;
} ngrams;

static int compare_ngrams(const void *left, const void *right) { return memcmp(left, right, sizeof(ngram)); }

static size_t count_of(eval_text text, size_t order) { return text.n >= order ? text.n - order + 1 : 0; }

static bool ngrams_open(ngrams *out, const eval_text *texts, size_t n_texts, size_t order) {
    *out = (ngrams){0};
    size_t n = 0;
    for (size_t i = 0; i < n_texts; i++) n += count_of(texts[i], order);
    if (n == 0) return true;
    out->sorted = calloc(n, sizeof *out->sorted);
    if (!out->sorted) return false;
    for (size_t i = 0; i < n_texts; i++)
        for (size_t k = 0; k < count_of(texts[i], order); k++)
            memcpy(out->sorted[out->n++].tokens, texts[i].tokens + k, order * sizeof *texts[i].tokens);
    qsort(out->sorted, n, sizeof *out->sorted, compare_ngrams);
    return true;
}

static void ngrams_close(ngrams *of) { free(of->sorted); }

/* The first after `begin` that differs from it. */
static size_t run_end(const ngrams *of, size_t begin) {
    size_t end = begin + 1;
    while (end < of->n && compare_ngrams(&of->sorted[begin], &of->sorted[end]) == 0) end++;
    return end;
}

static size_t count_distinct(const ngrams *of) {
    size_t n_distinct = 0;
    for (size_t i = 0; i < of->n; i = run_end(of, i)) n_distinct++;
    return n_distinct;
}

bool eval_distinct(const eval_text *texts, size_t n_texts, size_t order, double *share) {
    *share = NAN;
    if (order < 1 || order > EVAL_ORDER_MAX) return true;
    ngrams all;
    if (!ngrams_open(&all, texts, n_texts, order)) return false;
    if (all.n > 0) *share = (double)count_distinct(&all) / (double)all.n;
    ngrams_close(&all);
    return true;
}

bool eval_repetition(eval_text text, size_t order, double *share) {
    bool ok = eval_distinct(&text, 1, order, share);
    *share = 1 - *share;
    return ok;
}

bool eval_unigram_entropy(const eval_text *texts, size_t n_texts, double *bits) {
    *bits = NAN;
    ngrams all;
    if (!ngrams_open(&all, texts, n_texts, 1)) return false;
    if (all.n > 0) *bits = 0;
    for (size_t i = 0, end; i < all.n; i = end) {
        end = run_end(&all, i);
        double share = (double)(end - i) / (double)all.n;
        *bits -= share * log2(share);
    }
    ngrams_close(&all);
    return true;
}

eval_loop eval_longest_loop(eval_text text, size_t max_period) {
    eval_loop longest = {0};
    if (max_period == 0 || max_period > text.n / 2) max_period = text.n / 2;
    for (size_t period = 1; period <= max_period; period++) {
        size_t n_equal = 0; /* tokens in a row, up to i, that equal the one before by a period */
        for (size_t i = period; i < text.n; i++) {
            n_equal = text.tokens[i] == text.tokens[i - period] ? n_equal + 1 : 0;
            if (n_equal >= period && n_equal + period > longest.length)
                longest = (eval_loop){i + 1 - n_equal - period, n_equal + period, period};
        }
    }
    return longest;
}

/* Sum over n-grams of the smaller of both counts. */
static size_t count_shared(const ngrams *a, const ngrams *b) {
    size_t n_shared = 0;
    for (size_t i = 0, j = 0; i < a->n && j < b->n;) {
        int side = compare_ngrams(&a->sorted[i], &b->sorted[j]);
        n_shared += side == 0;
        i += side <= 0;
        j += side >= 0;
    }
    return n_shared;
}

static bool pair_similarity(const ngrams *a, const ngrams *b, double *similarity) {
    double sum = 0, n_orders = 0;
    for (size_t order = 0; order < EVAL_SIMILARITY_ORDER; order++) {
        size_t n = a[order].n + b[order].n;
        if (n == 0) continue;
        sum += 2 * (double)count_shared(&a[order], &b[order]) / (double)n;
        n_orders++;
    }
    if (n_orders == 0) return false;
    *similarity = sum / n_orders;
    return true;
}

static double mean_similarity(const ngrams (*texts)[EVAL_SIMILARITY_ORDER], size_t n_texts) {
    double sum = 0, n_pairs = 0, similarity;
    for (size_t i = 0; i < n_texts; i++) {
        for (size_t j = i + 1; j < n_texts; j++) {
            if (!pair_similarity(texts[i], texts[j], &similarity)) continue;
            sum += similarity;
            n_pairs++;
        }
    }
    return n_pairs > 0 ? sum / n_pairs : NAN;
}

bool eval_self_similarity(const eval_text *texts, size_t n_texts, double *similarity) {
    *similarity = NAN;
    if (n_texts < 2) return true;
    ngrams(*all)[EVAL_SIMILARITY_ORDER] = calloc(n_texts, sizeof *all);
    if (!all) return false;
    bool ok = true;
    for (size_t i = 0; ok && i < n_texts; i++)
        for (size_t order = 1; ok && order <= EVAL_SIMILARITY_ORDER; order++)
            ok = ngrams_open(&all[i][order - 1], &texts[i], 1, order);
    if (ok) *similarity = mean_similarity((const ngrams(*)[EVAL_SIMILARITY_ORDER])all, n_texts);
    for (size_t i = 0; i < n_texts; i++)
        for (size_t order = 0; order < EVAL_SIMILARITY_ORDER; order++) ngrams_close(&all[i][order]);
    free(all);
    return ok;
}
