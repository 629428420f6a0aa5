/* reference_model.h - what a model file computes, in double precision and in the plainest way: one token at a time, all
 * keys and values kept, every weight decoded beforehand. Written from what the architectures are defined to do and
 * not from src/model, so that the two can disagree. For tiny models. */
#ifndef EX_TESTS_REFERENCE_MODEL_H
#define EX_TESTS_REFERENCE_MODEL_H

#include "entropix.h"

typedef struct reference_model reference_model;

/* For at most n_context tokens; `file` must outlive it and hold a model that is whole. */
reference_model *reference_open(const ex_file *file, size_t n_context);
void reference_close(reference_model *model);

size_t reference_vocabulary(const reference_model *model);

/* Appends a token. `logits` receives [n_vocab]. */
void reference_step(reference_model *model, int32_t token, double *logits);

/* Scores of the last query, [n_layer][n_head][columns], as ex_session_scores has them. */
const double *reference_scores(const reference_model *model, size_t *n_columns);

typedef struct reference_extremes { /* how far what was computed came: tests see that they test something */
    double score, gate, up, logit; /* largest absolute values, before caps and clamps */
} reference_extremes;

reference_extremes reference_seen(const reference_model *model);

#endif
