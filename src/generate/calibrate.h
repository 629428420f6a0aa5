/* calibrate.h - what the files of calibration share: measuring a text, thresholds, weights. The last two are functions
 * of plain numbers. */
#ifndef EX_GENERATE_CALIBRATE_H
#define EX_GENERATE_CALIBRATE_H

#include "entropix.h"

enum {
    EX_TRIED = 4,         /* candidates that are looked at */
    EX_TRIED_STRIDE = 2,  /* of so many positions one is */
    EX_SCORE_WEIGHTS = 6
};

typedef struct ex_measured { /* one position of a text */
    ex_metrics metrics;
    uint32_t window; /* it lies in, of its part */
} ex_measured;

typedef struct ex_tried { /* a position where the text's own token was among the likeliest */
    size_t measured;      /* which position */
    int32_t truth;        /* the candidate that the text goes on with */
    double log_probability[EX_TRIED];
    double features[EX_TRIED][EX_SCORE_WEIGHTS]; /* what the score's weights multiply, after the candidate */
} ex_tried;

typedef struct ex_measured_text {
    ex_measured *positions;
    size_t n_positions;
    ex_tried *tried;
    size_t n_tried;
    size_t n_windows;
} ex_measured_text;

typedef struct ex_part { /* of the text: tokens without a beginning of sequence */
    const int32_t *tokens;
    size_t n_tokens;
} ex_part;

enum { EX_PARTS = 2 }; /* to calibrate on, and to check with */

/* Measures all parts, their windows side by side. Free with ex_measured_free, also on error. */
ex_code ex_measure_text(ex_engine *engine, const ex_part parts[EX_PARTS], const ex_calibration_options *options,
                        const ex_policy *policy, ex_measured_text out[EX_PARTS], ex_error *error);
void ex_measured_free(ex_measured_text *text);

/* Sets low_entropy, low_varentropy, clarify_entropy, explore_entropy, high_entropy and high_varentropy so that the
 * conditions of the matrix hold for these shares of n positions, as near as ties allow, and uncertain_entropy so that
 * two of the tokens that may be taken back are uncertain. The shares are not negative, 1 at most together. */
ex_code ex_solve_thresholds(const double *entropy, const double *varentropy, size_t n, const ex_shares *shares,
                            ex_policy *policy, ex_error *error);
/* Ascending. */
void ex_sort_numbers(double *numbers, size_t n);
/* Of n ascending numbers, with linear interpolation. */
double ex_quantile(const double *sorted, size_t n, double probability);

/* Weights with the highest mean log score of softmax(log_probability + weights · features), less a ridge that keeps
 * them small where nothing speaks for them. Four significant digits. */
void ex_fit_weights(const ex_tried *tried, size_t n, double weights[EX_SCORE_WEIGHTS]);
/* Of one choice: log2 of the truth's probability; `won`: it has the highest score. */
double ex_log_score(const ex_tried *tried, const double weights[EX_SCORE_WEIGHTS], bool *won);

void ex_set_score_weights(ex_policy *policy, const double weights[EX_SCORE_WEIGHTS]);
void ex_get_score_weights(const ex_policy *policy, double weights[EX_SCORE_WEIGHTS]);

#endif
