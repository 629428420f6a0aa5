/* signals.h - is doubt a signal? How well a metric tells wrong answers from right ones, and what abstaining by it
 * gives.
 *
 * One answer is one index i < n. `doubt` is a metric that grows with doubt: negate those that fall (margin,
 * consensus). An answer whose doubt is NaN is left out. `group` names the question of each answer, any numbers, so
 * that seeds of one question are not taken for independent answers; NULL: each answer is its own.
 *
 * Functions that return bool are false only when memory is out. What cannot be said is NaN. */
#ifndef EVAL_SIGNALS_H
#define EVAL_SIGNALS_H

#include "statistics.h"

/* ---- Receiver operating characteristic ---- */

typedef struct eval_roc {
    eval_interval area;
    size_t n_positive, n_negative;
} eval_roc;

/* Area under the curve: the probability that a positive (a wrong answer, an unknown question) has a higher score than
 * a negative, ties half. O(n log n). Variance by DeLong, DeLong and Clarke-Pearson (1988), with Obuchowski's sums
 * over groups (Biometrics 53, 1997), which without groups is the same; the interval is symmetric in log(area / (1 -
 * area)). At an area of 0 or 1 that variance is 0: Newcombe's interval (2006, from Hanley and McNeil's variance) with
 * the number of groups stands in. One class alone: area NaN. */
bool eval_roc_area(const double *score, const bool *positive, const uint32_t *group, size_t n, eval_roc *roc);

typedef struct eval_roc_point {
    double false_positive_rate, true_positive_rate;
    double threshold; /* positive is said where score >= threshold; infinity at the first point */
} eval_roc_point;

/* The curve from (0,0) to (1,1), a point for each distinct score. `points` has room for n + 1; *n_points is 0 when one
 * class is missing. */
bool eval_roc_points(const double *score, const bool *positive, size_t n, eval_roc_point *points, size_t *n_points);

/* ---- Calibration ---- */

typedef struct eval_bin {
    double low, high;              /* edges (equal width), or the smallest and largest probability (equal mass) */
    double probability, share;     /* mean probability that was said, and share that was right; NaN when empty */
    size_t n;
} eval_bin;

typedef struct eval_calibration {
    double error;         /* expected calibration error: sum of n_bin / n |share - probability| */
    double maximum_error; /* the largest |share - probability| of a bin */
    double brier;         /* mean (probability - right)^2 */
    size_t n;
} eval_calibration;

typedef enum eval_binning { EVAL_EQUAL_WIDTH, EVAL_EQUAL_MASS } eval_binning;

/* How well probabilities of being right hold (Naeini, Cooper and Hauskrecht 2015). A probability of p is in bin
 * floor(p n_bins), 1 in the last; with equal mass the sorted answers are cut into n_bins runs as equal as can be, equal
 * probabilities staying together. `bins` has room for n_bins and is filled. NaN probabilities are left out. */
bool eval_calibration_error(const double *probability, const bool *right, size_t n, eval_binning binning, size_t n_bins,
                            eval_bin *bins, eval_calibration *calibration);

typedef enum eval_mapping {
    EVAL_LOGISTIC, /* 1 / (1 + exp(-(a + b doubt))), with Platt's targets (1999): two parameters, for few answers */
    EVAL_ISOTONIC, /* the best monotone steps by pooling adjacent violators; rising or falling, as fits the better */
} eval_mapping;

/* The probability of being right that each doubt stands for, learned on the other half: groups are dealt into two
 * halves by `seed`, the map is fitted on one and used on the other, both ways, so that no answer has a part in its
 * own probability. NaN where doubt is NaN, and everywhere with fewer than two groups. */
bool eval_right_probability(const double *doubt, const bool *right, const uint32_t *group, size_t n,
                            eval_mapping mapping, uint64_t seed, double *probability);

/* ---- Abstaining ---- */

typedef struct eval_abstention {
    double threshold; /* answered where doubt <= threshold */
    double coverage;  /* share that is answered */
    double risk;      /* share of the answered that is wrong; NaN when nothing is answered */
    size_t n, n_answered, n_wrong, n_wrong_avoided, n_right_lost; /* n_wrong: of all n */
} eval_abstention;

typedef struct eval_risk_curve {
    double area;          /* mean risk over the coverages 1/n ... n/n; ties in their mean order */
    double area_best;     /* of a doubt that puts every wrong answer last */
    double area_random;   /* of a doubt that knows nothing: the share of wrong answers */
    size_t n, n_points;
} eval_risk_curve;

/* Risk and coverage (Geifman and El-Yaniv 2017) as the threshold rises: a point for each distinct doubt, the last one
 * with coverage 1. `points` has room for n, or is NULL. */
bool eval_risk_coverage(const double *doubt, const bool *wrong, size_t n, eval_abstention *points,
                        eval_risk_curve *curve);

eval_abstention eval_abstain(const double *doubt, const bool *wrong, size_t n, double threshold);

/* The lowest threshold that answers at least the share `coverage` of these. *threshold is NaN when there are none. */
bool eval_coverage_threshold(const double *doubt, size_t n, double coverage, double *threshold);

#endif
