/* batch.h - one batch on its way through the layers: what the steps of the forward pass share. */
#ifndef EX_MODEL_BATCH_H
#define EX_MODEL_BATCH_H

#include "model/kv_pages.h"
#include "model/model.h"

typedef struct ex_statistics { /* of a timeline's last query */
    int32_t *n_positions;    /* [n_layer] */
    double *head_entropy, *head_maximum, *head_strength; /* [n_layer][n_head] */
    double *layer_deviation, *layer_entropy; /* [n_layer] */
    ex_head_sums *head_sums; /* [n_layer][n_chunks], over EX_DEVIATION_CHUNK positions each */
    size_t n_chunks;
} ex_statistics;

typedef struct ex_timeline { /* what the forward pass sees of a session */
    const ex_kv_table *kv;
    const float *rope_frequencies; /* [EX_ROPE_COUNT][n_rot / 2] */
    size_t first;                  /* position of its first token in this batch */
    ex_statistics *statistics;     /* of its last token; NULL: not wanted */
    float *scores;                 /* of its last token, [n_layer][n_head][positions]; NULL: not wanted */
    float *logits;                 /* [n_vocab] of its last token; NULL: not wanted */
} ex_timeline;

/* Either one timeline with any number of tokens, or several with one token each. */
typedef struct ex_batch {
    ex_model *model;
    const ex_timeline *timelines;
    size_t n_timelines;
    ex_kv_type kv_type;
    const int32_t *tokens; /* [n_tokens] */
    size_t n_tokens;
    float *all_logits;     /* [n_tokens][n_vocab], or NULL */
} ex_batch;

/* Positions that a query of a layer attends to: [first, last), and a sink's score after them where there are sinks. */
typedef struct ex_span {
    size_t first, last;
} ex_span;

static inline const ex_timeline *ex_batch_timeline(const ex_batch *batch, size_t token) {
    return &batch->timelines[batch->n_timelines > 1 ? token : 0];
}

static inline size_t ex_batch_position(const ex_batch *batch, size_t token) {
    return batch->n_timelines > 1 ? batch->timelines[token].first : batch->timelines[0].first + token;
}

/* The one whose results a timeline wants. */
static inline size_t ex_batch_last_token(const ex_batch *batch, size_t timeline) {
    return batch->n_timelines > 1 ? timeline : batch->n_tokens - 1;
}

/* Each token is the only one of its timeline. */
static inline bool ex_batch_is_lone(const ex_batch *batch) { return batch->n_tokens == batch->n_timelines; }

/* Runs on every worker of a team. */
void ex_forward(void *batch, ex_worker *worker);

/* ---- attention.c -------------------------------------------------------------------------------------------- */

/* The attention of one layer: q, k, v of the batch (before RoPE) in; `attended` out, from token `first_token` on, with
 * its quants when they are wanted; keys and values into the cache. Begins after a barrier and ends before one. */
void ex_attention_run(const ex_batch *batch, ex_worker *worker, size_t layer, bool quants, size_t first_token);

/* A share of the last queries' head deviation; follows the barrier after ex_attention_run. Uses no work counter. */
void ex_attention_deviation(const ex_batch *batch, const ex_worker *worker, size_t layer);

/* After the last layer, by one thread. */
void ex_attention_finish(const ex_batch *batch);

/* ---- project.c ---------------------------------------------------------------------------------------------- */

typedef struct ex_projection {
    const ex_matrix *matrix;
    float *out; /* [n_tokens][matrix->n_out] */
} ex_projection;

bool ex_needs_quants(const ex_matrix *matrix);

/* Rows [first, first + n_rows) as kernels want them. */
ex_activations ex_input_rows(const ex_input *input, size_t width, size_t first, size_t n_rows);
/* The same with all n_rows of a batch, which are also arranged, if there are several. */
ex_activations ex_input_batch(const ex_input *input, size_t width, size_t n_rows);

/* Quantises n values (a multiple of 32) of row `row` of x, from column `from` on, and arranges them if x is. */
void ex_input_quantize(const ex_kernels *kernels, const ex_input *input, const ex_activations *x, size_t row,
                       size_t from, size_t n);

/* Rows [first, first + n_rows) of one matrix (of an expert's, where there are several) times x, with the bias. */
void ex_project_rows(const ex_activations *x, const ex_matrix *matrix, size_t expert, size_t first, size_t n_rows,
                     float *out);

/* Several matrices with the same input, as one list of rows that threads share; ends with a barrier. */
void ex_project(ex_worker *worker, const ex_activations *x, const ex_projection *targets, size_t n_targets);

/* How many of n rows a thread takes at a time. */
size_t ex_rows_chunk(const ex_worker *worker, size_t n_rows);

/* Rows [first, first + n_rows) of gate and up, and what becomes of them: gated, in w->gated, and quantised. */
void ex_project_gated(const ex_batch *batch, const ex_activations *x, const ex_layer *layer, size_t expert,
                      size_t first_token, size_t first, size_t n_rows);

/* ---- experts.c ---------------------------------------------------------------------------------------------- */

/* A feed-forward block with experts: what of `x` (the normed batch) becomes w->projected. Begins after a barrier and
 * ends with one. */
void ex_experts_run(const ex_batch *batch, ex_worker *worker, const ex_layer *layer, const ex_input *normed);

#endif
