/* vote.c - how one answer comes out of several. Everything is computed from what results.jsonl holds, so that a report
 * can vote again. */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "record.h"

enum { ENTROPY = 0, SURPRISE = 8, WORDS_MAX = 512 }; /* metrics; words of a text that are compared */

static bool same(const eval_answer *a, const eval_answer *b) { return strcmp(a->answer, b->answer) == 0; }

/* Share of the answers that say the same as this one. */
static double agreement(const eval_answer *answers, size_t n_answers, size_t index) {
    size_t n = 0;
    for (size_t i = 0; i < n_answers; i++) n += same(&answers[i], &answers[index]);
    return (double)n / (double)n_answers;
}

/* ---- majority -------------------------------------------------------------------------------------------------- */

/* The geometric mean of the probabilities of its tokens, in (0,1]. */
static double certainty(const eval_answer *answer) {
    const double surprise = answer->signals.values[EVAL_POOL_MEAN][SURPRISE];
    return isfinite(surprise) ? exp2(-surprise) : 0;
}

/* An answer in which the pattern found nothing has no vote. */
static double weight_of(eval_vote vote, const eval_answer *answer) {
    if (!*answer->answer) return 0;
    return vote == EVAL_VOTE_CERTAIN ? certainty(answer) : 1;
}

static size_t majority(eval_vote vote, const eval_answer *answers, size_t n_answers, double *share) {
    double best = 0, total = 0;
    size_t winner = 0;
    for (size_t i = 0; i < n_answers; i++) {
        double sum = 0;
        for (size_t j = i; j < n_answers; j++)
            if (same(&answers[i], &answers[j])) sum += weight_of(vote, &answers[j]);
        total += weight_of(vote, &answers[i]);
        if (sum > best) best = sum, winner = i;
    }
    *share = total > 0 ? best / total : 0;
    return winner;
}

/* ---- the most in common ---------------------------------------------------------------------------------------- */

typedef struct word {
    const char *text;
    size_t length;
} word;

static size_t words_of(const char *text, word *words) {
    size_t count = 0;
    while (count < WORDS_MAX) {
        while (isspace((unsigned char)*text)) text++;
        if (!*text) break;
        const char *start = text;
        while (*text && !isspace((unsigned char)*text)) text++;
        words[count++] = (word){start, (size_t)(text - start)};
    }
    return count;
}

static int compare_words(const void *a, const void *b) {
    const word *left = a, *right = b;
    const size_t length = left->length < right->length ? left->length : right->length;
    const int order = memcmp(left->text, right->text, length);
    return order ? order : (left->length > right->length) - (left->length < right->length);
}

/* Dice's coefficient of two sorted lists, with counts. */
static double overlap(const word *a, size_t n_a, const word *b, size_t n_b) {
    size_t common = 0;
    for (size_t i = 0, j = 0; i < n_a && j < n_b;) {
        const int order = compare_words(&a[i], &b[j]);
        common += order == 0;
        i += order <= 0;
        j += order >= 0;
    }
    return n_a + n_b > 0 ? 2 * (double)common / (double)(n_a + n_b) : 1;
}

static double text_overlap(const char *a, const char *b) {
    word left[WORDS_MAX], right[WORDS_MAX];
    const size_t n_left = words_of(a, left), n_right = words_of(b, right);
    qsort(left, n_left, sizeof *left, compare_words);
    qsort(right, n_right, sizeof *right, compare_words);
    return overlap(left, n_left, right, n_right);
}

static size_t consistent(const eval_answer *answers, size_t n_answers, double *share) {
    double best = -1;
    size_t winner = 0;
    for (size_t i = 0; i < n_answers; i++) {
        double sum = 0;
        for (size_t j = 0; j < n_answers; j++)
            if (j != i) sum += text_overlap(answers[i].text, answers[j].text);
        if (sum > best) best = sum, winner = i;
    }
    *share = n_answers > 1 ? best / (double)(n_answers - 1) : 1;
    return winner;
}

/* ---- the surest ------------------------------------------------------------------------------------------------ */

static size_t surest(eval_pool pool, const eval_answer *answers, size_t n_answers, double *share) {
    size_t winner = 0;
    double lowest = INFINITY;
    for (size_t i = 0; i < n_answers; i++) {
        const double entropy = answers[i].signals.values[pool][ENTROPY];
        if (entropy < lowest) lowest = entropy, winner = i; /* not where it is NaN */
    }
    *share = agreement(answers, n_answers, winner);
    return winner;
}

size_t eval_vote_take(eval_vote vote, const eval_answer *answers, size_t n_answers, double *share) {
    double unused;
    if (!share) share = &unused;
    *share = 1;
    if (n_answers < 2) return 0;
    switch (vote) {
    case EVAL_VOTE_MAJORITY:
    case EVAL_VOTE_CERTAIN:
        return majority(vote, answers, n_answers, share);
    case EVAL_VOTE_CONSISTENT:
        return consistent(answers, n_answers, share);
    case EVAL_VOTE_ENTROPY:
        return surest(EVAL_POOL_MEAN, answers, n_answers, share);
    case EVAL_VOTE_TAIL:
        return surest(EVAL_POOL_LAST, answers, n_answers, share);
    default:
        *share = agreement(answers, n_answers, 0);
        return 0;
    }
}
