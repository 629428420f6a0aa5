/* history.h - what a sampler remembers of one answer: a log with one record for each accepted token. All that a later
 * step depends on is in the records, so going back is dropping records and a branch is a copy. */
#ifndef EX_SAMPLER_HISTORY_H
#define EX_SAMPLER_HISTORY_H

#include "entropix_sampler.h"

typedef struct ex_running_variance { /* Welford's: one pass, no cancellation */
    double count, mean, squares;
} ex_running_variance;

ex_running_variance ex_variance_add(ex_running_variance variance, double value);

/* What stages and rules carry from token to token; all zero before the first. */
typedef struct ex_carried {
    uint64_t held;             /* of each `until` in the rules: it holds */
    double mirostat_surprise;  /* bits; 0: not begun */
    double adaptive_sum, adaptive_weight;
} ex_carried;

typedef struct ex_record {
    int32_t token;
    bool inserted;
    bool measured;             /* metrics are there: a step chose this token or the insertion that it begins */
    int32_t rule;              /* that held in that step */
    ex_metrics metrics;
    ex_carried carried;
    ex_running_variance entropies; /* of all measured positions so far */
    size_t n_measured;         /* measured records up to here */
    int32_t n_insertions;      /* begun so far */
    int64_t n_since_insertion; /* generated tokens since then */
} ex_record;

typedef struct ex_history {
    ex_record *records; /* [capacity] a ring; record i is at i % capacity */
    size_t capacity, count;
    size_t peak;        /* the highest count: older records than peak - capacity are overwritten */
    ex_record pending;  /* of the step that has no token yet */
    bool has_pending;
    int32_t *context;   /* [context_capacity] a ring of prompt and generated tokens, for penalties; may be NULL */
    size_t context_capacity, n_context, context_peak;
} ex_history;

/* Room for windows of `window` records and EX_REWIND_MAX beyond; `context` tokens for penalties. */
ex_code ex_history_open(ex_history *history, size_t window, size_t context, ex_error *error);
void ex_history_close(ex_history *history);
void ex_history_reset(ex_history *history);
void ex_history_copy(ex_history *to, const ex_history *from); /* of the same sizes */

/* The record of the newest token, and of the one `back` before it; NULL where there is none (any more). */
const ex_record *ex_history_newest(const ex_history *history, size_t back);
/* What holds before the next step: the newest record's, or zeros. */
ex_carried ex_history_carried(const ex_history *history);

void ex_history_prompt(ex_history *history, const int32_t *tokens, size_t n_tokens);
void ex_history_accept(ex_history *history, int32_t token, bool inserted);
/* False when what is to be forgotten is more than the log still has. */
bool ex_history_truncate(ex_history *history, size_t count);

/* Tokens of prompt and answer, `back` = 0 the newest; EX_TOKEN_NONE past what is remembered. */
int32_t ex_history_token(const ex_history *history, size_t back);

#endif
