/* statistics.h - how sure a comparison of policies is: intervals and tests over questions and seeds.
 *
 * Scores are arrays [n_questions][n_seeds], row after row: values[question * n_seeds + seed], in [0,1] unless a
 * function says otherwise, NaN where an answer is missing. Every question weighs the same, however many of its seeds
 * are there.
 *
 * Answers to one question resemble each other, so a question with all its seeds is the unit that is drawn: the
 * variance of the questions' means already holds what the seeds add. To draw the seeds of each drawn question again
 * would count them twice (Davison and Hinkley, "Bootstrap methods and their application", 1997, section 3.8);
 * tests/test_eval_simulation.c shows both. A seed must mean other random numbers in each question, or its luck is
 * shared and the intervals are too short.
 *
 * Intervals are percentiles of the resamples, expanded for few questions (Hesterberg, The American Statistician 69,
 * 2015): plain ones divide the variance by n where n - 1 belongs and know no t distribution. Those of scores in [0,1]
 * are longer by half an answer on each side, since shares move in steps of an answer. One question alone has no
 * interval (NaN).
 *
 * Nothing here prints or keeps state; the same input and seed give the same bytes. Functions that return bool are
 * false only when memory is out. What cannot be said (no data) is NaN. */
#ifndef EVAL_STATISTICS_H
#define EVAL_STATISTICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { EVAL_RESAMPLES = 10000 };

/* All intervals are two-sided, 95 %. */
typedef struct eval_interval {
    double value, low, high;
} eval_interval;

typedef struct eval_bootstrap {
    size_t n_resamples; /* 0: EVAL_RESAMPLES */
    uint64_t seed;
} eval_bootstrap;

/* Each takes NULL as EVAL_RESAMPLES and seed 0. */

/* Mean of the questions' means, of any quantity: scores, tokens, seconds. */
bool eval_mean(const double *values, size_t n_questions, size_t n_seeds, const eval_bootstrap *bootstrap,
               eval_interval *mean);

/* The same for scores in [0,1]. Where all are 0, or all are 1, resampling knows no other value: Wilson's interval
 * with the number of questions stands in. */
bool eval_accuracy(const double *scores, size_t n_questions, size_t n_seeds, const eval_bootstrap *bootstrap,
                   eval_interval *accuracy);

/* Mean of `numerators` over mean of `denominators`, such as correct answers for each token: times 1,000 it is the
 * accuracy per 1,000 tokens. Pairs of which one is NaN are left out of both. */
bool eval_ratio(const double *numerators, const double *denominators, size_t n_questions, size_t n_seeds,
                const eval_bootstrap *bootstrap, eval_interval *ratio);

typedef struct eval_difference {
    eval_interval difference;                   /* mean of a - b */
    double p;                                   /* that the two are alike, two-sided; see below */
    size_t n_questions, n_pairs;                /* with at least one complete pair; complete pairs */
    size_t n_questions_better, n_questions_worse; /* where a's mean is above, below b's */
} eval_difference;

/* Policy a against policy b on the same questions with the same seeds; pairs of which one is NaN are left out. Scores
 * in [0,1]. Where no question tells them apart, the interval is what Wilson's says of a difference never seen in n
 * questions. p: the share of random exchanges of a and b within whole questions that give a difference as large as
 * the one seen (Fisher's randomisation test with n_resamples exchanges, the one that was seen counted among them). It
 * uses partly right questions, where McNemar's test sees majorities only. */
bool eval_paired_difference(const double *a, const double *b, size_t n_questions, size_t n_seeds,
                            const eval_bootstrap *bootstrap, eval_difference *difference);

/* Wilson's score interval for `n_right` (may be fractional) of n independent answers (Wilson 1927). */
eval_interval eval_wilson(double n_right, size_t n);

typedef struct eval_discordance {
    size_t n_both, n_neither, n_only_a, n_only_b;
    size_t n_undecided; /* questions on which a or b is right with exactly half its seeds: in none of the four */
    double p;
} eval_discordance;

/* McNemar's exact test on one outcome for each question: right when the mean of its complete pairs is above 1/2.
 * Seeds of one question depend on each other, so they are no separate trials. p is the two-sided binomial probability
 * of n_only_a against n_only_b at 1/2, doubled from the smaller tail, at most 1; not the mid-p. */
eval_discordance eval_mcnemar(const double *a, const double *b, size_t n_questions, size_t n_seeds);
double eval_mcnemar_p(size_t n_only_a, size_t n_only_b);

/* Holm's step-down correction (Holm 1979): the i-th smallest of n gets the maximum of (n - j) p_j over j <= i (from
 * 0), at most 1. A hypothesis is rejected at level alpha when its adjusted p is at most alpha. NaN stays NaN and
 * counts as no hypothesis. `adjusted` may be `p`. */
bool eval_holm(const double *p, size_t n, double *adjusted);

#endif
