/* batch.h - one batch on its way through the layers: what the steps of the forward pass share. */
#ifndef EX_MODEL_BATCH_H
#define EX_MODEL_BATCH_H

#include "model/kv_pages.h"
#include "model/workspace.h"

typedef struct ex_batch {
    const ex_model *model;
    ex_workspace *work;
    const ex_kv_table *kv;
    ex_kv_type kv_type;
    const int32_t *tokens; /* [n_tokens] */
    size_t n_tokens;
    size_t first;          /* position of tokens[0] */
    bool statistics;       /* reduce the attention of the last query */
    bool keep_scores;      /* and keep its scores in work->scores */
    float *all_logits;     /* [n_tokens][n_vocab], or NULL */
    bool want_logits;      /* of the last token, into work->logits */
} ex_batch;

/* Runs on every worker of a team. */
void ex_forward(void *batch, ex_worker *worker);

/* The attention of one layer: q, k, v of the batch (before RoPE) in, `attended` out, keys and values into the cache.
 * Begins after a barrier and ends before one. */
void ex_attention_run(const ex_batch *batch, ex_worker *worker, size_t layer);

/* A share of the last query's head deviation; follows the barrier after ex_attention_run. Uses no work counter. */
void ex_attention_deviation(const ex_batch *batch, const ex_worker *worker, size_t layer);

/* After the last layer, by one thread. */
void ex_attention_finish(const ex_batch *batch);

#endif
