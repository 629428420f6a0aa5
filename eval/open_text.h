/* open_text.h - measures of continued prose that need no right answer, on arrays of tokens.
 *
 * An n-gram is `order` tokens in a row, order in 1..EVAL_ORDER_MAX; a text of length L has L - order + 1 of them
 * (none when that is below 1). Functions that return bool are false only when memory is out. What cannot be said is
 * NaN. */
#ifndef EVAL_OPEN_TEXT_H
#define EVAL_OPEN_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { EVAL_ORDER_MAX = 8, EVAL_SIMILARITY_ORDER = 4 };

typedef struct eval_text {
    const int32_t *tokens;
    size_t n;
} eval_text;

/* rep-n: share of the text's n-grams that occurred before in it, 1 - distinct / all (Welleck et al. 2020). */
bool eval_repetition(eval_text text, size_t order, double *share);

/* distinct-n: distinct n-grams of all texts together over all their n-grams (Li et al. 2016, there for 1 and 2). */
bool eval_distinct(const eval_text *texts, size_t n_texts, size_t order, double *share);

/* Entropy of the distribution of tokens in all texts together, in bits. */
bool eval_unigram_entropy(const eval_text *texts, size_t n_texts, double *bits);

typedef struct eval_loop {
    size_t start, length; /* tokens; length 0: there is none */
    size_t period;        /* length / period copies, the last one perhaps cut */
} eval_loop;

/* The longest loop: the longest stretch tokens[start .. start + length) in which every token from the period-th on
 * equals the one `period` before it, and that holds at least two whole copies (length >= 2 period). Among the longest
 * the one with the smallest period, then the first. Periods up to `max_period` are looked at, 0: all, in O(n
 * max_period). */
eval_loop eval_longest_loop(eval_text text, size_t max_period);

/* Self-similarity of texts that began alike: mean over all pairs of texts of the mean over n =
 * 1..EVAL_SIMILARITY_ORDER of Dice's coefficient of their n-grams, 2 |A and B| / (|A| + |B|) with counts (an n-gram
 * that is in A twice and in B three times is shared twice). Orders of which neither text has an n-gram are left out,
 * and pairs without any order. 1: all the same; 0: no token in common. NaN below two texts. */
bool eval_self_similarity(const eval_text *texts, size_t n_texts, double *similarity);

#endif
