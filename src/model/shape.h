/* shape.h - the numbers that shape a model, read from the file's keys and checked against each other. */
#ifndef EX_MODEL_SHAPE_H
#define EX_MODEL_SHAPE_H

#include "model/architecture.h"

typedef enum ex_rope_scaling { /* how positions beyond those first trained are reached */
    EX_ROPE_LINEAR,            /* positions are multiplied by rope_scale (1: not at all) */
    EX_ROPE_YARN,              /* Peng et al., 2023: low frequencies are, high ones are not */
    EX_ROPE_LONG               /* one divisor for each pair, for contexts up to n_context_original or beyond */
} ex_rope_scaling;

typedef struct ex_shape {
    int32_t n_layer, n_head, n_head_kv, n_embd, n_ff, n_vocab;
    int32_t n_expert, n_expert_used; /* 0: no layer has experts; n_ff is of one of them */
    int32_t head_dim; /* of queries, keys and values */
    int32_t n_context;
    float rms_epsilon;
    float attention_scale;   /* of query · key */
    float attention_softcap; /* scores are softcap * tanh(score / softcap); 0: as they are */
    float logit_softcap;     /* the same for logits */
    float logit_scale;       /* logits are multiplied by it */
    float embedding_scale, residual_scale, expert_scale;
    int32_t window;          /* positions that a query of a local layer sees, its own among them */
    uint64_t local_layers[EX_MAX_LAYERS / 64]; /* a bit for each layer that has the window */

    int32_t n_rot;           /* leading dimensions of a head that RoPE rotates */
    ex_rope_scaling rope_scaling;
    float rope_base, local_rope_base; /* the second where local layers have their own RoPE, unscaled; else 0 */
    float rope_scale;        /* 1 / factor */
    float rope_magnitude;    /* of the rotated vectors */
    int32_t n_context_original;
    float yarn_extrapolation, yarn_beta_fast, yarn_beta_slow;
    bool exact_yarn_ramp;
} ex_shape;

ex_code ex_shape_read(ex_shape *shape, const ex_architecture *architecture, const ex_file *file, ex_error *error);

static inline bool ex_shape_is_local(const ex_shape *shape, size_t layer) {
    return shape->local_layers[layer / 64] >> layer % 64 & 1;
}

#endif
