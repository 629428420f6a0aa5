/* workspace.h - every buffer that evaluating a batch writes, carved out of one reserved region when a session opens.
 * Rows of a batch are tokens; B stands for n_batch. */
#ifndef EX_MODEL_WORKSPACE_H
#define EX_MODEL_WORKSPACE_H

#include "model/model.h"

enum {
    EX_DEVIATION_CHUNK = 1024, /* positions whose head deviation is summed as one piece */
    EX_TILE_TOKENS = 16        /* tokens of a prefill that attend together, at most */
};

typedef struct ex_tile { /* one thread's scratch for attention: tile_rows queries of one key-value head */
    float *queries; /* [tile_rows][head_dim] */
    float *scores;  /* [tile_rows][scores_stride] */
    float *out;     /* [tile_rows][head_dim] */
} ex_tile;

typedef struct ex_workspace {
    size_t n_batch, n_context;
    size_t scores_stride;  /* n_context rounded up to whole pages */
    size_t tile_tokens;    /* tokens of one tile */
    float *x;              /* [B][n_embd] residual stream */
    float *projected;      /* [B][n_embd] what a block adds to it */
    float *normed;         /* [B][n_embd] */
    float *q, *k, *v;      /* [B][n_head * head_dim], [B][n_head_kv * head_dim] twice */
    float *attended;       /* [B][n_head * head_dim] */
    float *gate, *up;      /* [B][n_ff] */
    int8_t *quants;        /* [B][widest input] */
    float *scales;         /* [B][widest input / 32] */
    int16_t *sums;         /* [B][widest input / 16] */
    float *cosines, *sines; /* [B][n_rot / 2] */
    float *logits;         /* [n_vocab] */
    float *probabilities;  /* [n_head][scores_stride] of the last query in the current layer */
    float *scores;         /* [n_layer][n_head][n_context] of the last query, or NULL */
    ex_tile *tiles;        /* [n_threads] */
    double *deviation;     /* [n_layer][chunks], partial sums of the last query */
    size_t n_chunks;
    int32_t *n_positions;  /* [n_layer] */
    double *head_entropy, *head_maximum, *head_strength; /* [n_layer][n_head] */
    double *layer_deviation; /* [n_layer] */
    void *region;
    size_t region_bytes;
} ex_workspace;

ex_code ex_workspace_open(ex_workspace *workspace, const ex_model *model, size_t n_context, size_t n_batch,
                          bool keep_scores, ex_error *error);
void ex_workspace_close(ex_workspace *workspace);

#endif
