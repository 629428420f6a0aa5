/* batch_signals.h - metrics of an answer's tokens, pooled as the tokens come. */
#ifndef EVAL_BATCH_SIGNALS_H
#define EVAL_BATCH_SIGNALS_H

#include "record.h"

enum { EVAL_WINDOW = 8 }; /* tokens of EVAL_POOL_LAST */

typedef struct eval_pooling {
    size_t n_tokens;
    double first[EVAL_METRIC_COUNT], sum[EVAL_METRIC_COUNT], maximum[EVAL_METRIC_COUNT];
    double window[EVAL_WINDOW][EVAL_METRIC_COUNT]; /* the newest at (n_tokens - 1) mod EVAL_WINDOW */
} eval_pooling;

/* Adds a token that was chosen; the clarification that a rule inserts is not the model's, and does not count. */
void eval_pooling_add(eval_pooling *pooling, const ex_event *event);
eval_signals eval_pooling_result(const eval_pooling *pooling);

#endif
