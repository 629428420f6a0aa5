/* workspace.h - every buffer that evaluating a batch writes on the way. It belongs to the model, since the thread team
 * runs one batch at a time, and is as large as the largest session needs. Rows of a batch are tokens; B stands for how
 * many there are at most. */
#ifndef EX_MODEL_WORKSPACE_H
#define EX_MODEL_WORKSPACE_H

#include "kernel/kernel.h"
#include "model/rope.h"

enum {
    EX_DEVIATION_CHUNK = 1024, /* positions whose head deviation is summed as one piece */
    EX_TILE_TOKENS = 16,       /* tokens of a prefill that attend together, at most */
    EX_TIMELINES = 32          /* sessions that are evaluated together, at most */
};

typedef struct ex_input { /* rows of activations and their quants: what kernels multiply weights with */
    float *values;  /* [rows][width] */
    int8_t *quants; /* [rows][width] */
    float *scales;  /* [rows][width / 32] */
    int16_t *sums;  /* [rows][width / 16] */
    void *arranged; /* of all rows of a batch (ex_activations); NULL: the kernels have no such order */
} ex_input;

typedef struct ex_tile { /* one thread's scratch for attention: tile_rows queries of one key-value head */
    ex_input queries; /* [tile_rows][head_dim] */
    float *scores;    /* [tile_rows][scores_stride] */
    float *out;       /* [tile_rows][head_dim] */
} ex_tile;

/* A single token is normed by every thread for itself, which is quicker than to wait for the one who would do it for
 * all: each has a residual stream of its own. */
typedef struct ex_private {
    float *x;
    ex_input normed;
} ex_private;

typedef struct ex_route { /* one expert's share in one token */
    int32_t expert;
    float weight;
} ex_route;

typedef struct ex_routing { /* S = n_expert_used * B: a slot is a token as one expert sees it */
    float *router;         /* [B][n_expert] */
    ex_route *routes;      /* [B][n_expert_used] */
    uint32_t *first_slot;  /* [n_expert + 1]: an expert's slots follow each other */
    uint32_t *slot_tokens; /* [S] */
    uint32_t *slots;       /* [B][n_expert_used]: where a route's slot is */
    ex_input in;           /* [S][n_embd] */
    float *out;            /* [S][n_embd] */
} ex_routing;

typedef struct ex_workspace {
    size_t n_batch, n_context; /* that it is large enough for */
    size_t scores_stride;      /* positions of a row of scores, and one for a sink, in whole pages */
    size_t tile_tokens;        /* tokens of one tile */
    float *x;                  /* [B][n_embd] residual stream */
    float *projected;          /* [B][n_embd] what a block adds to it */
    ex_input normed;           /* [B][n_embd] */
    float *q, *k, *v;          /* [B][n_head * head_dim], [B][n_head_kv * head_dim] twice */
    ex_input attended;         /* [B][n_head * head_dim] */
    ex_input gated;            /* [B][n_ff], or [S][n_ff] */
    float *up;                 /* likewise */
    float *cosines[EX_ROPE_COUNT], *sines[EX_ROPE_COUNT]; /* [B][n_rot / 2] */
    float *logits;             /* [EX_TIMELINES][n_vocab] */
    float *probabilities;      /* [EX_TIMELINES][n_head][scores_stride] of the last queries in the current layer */
    ex_tile *tiles;            /* [n_threads] */
    ex_private *privates;      /* [n_threads] */
    ex_routing routing;
    void *memory;
    size_t n_bytes;
} ex_workspace;

struct ex_model;

/* Makes the model's workspace large enough for batches of n_batch tokens and timelines of n_context positions. */
ex_code ex_workspace_grow(struct ex_model *model, size_t n_batch, size_t n_context, ex_error *error);
void ex_workspace_close(ex_workspace *workspace);

#endif
