/* tiny_model.h - small model files of any architecture with random weights, large enough that caps, clamps, windows,
 * sinks and the choice of experts show in the logits. */
#ifndef EX_TESTS_TINY_MODEL_H
#define EX_TESTS_TINY_MODEL_H

#include "entropix.h"

enum {
    TINY_VOCABULARY = 96, TINY_HEADS = 4, TINY_HEADS_KV = 2, TINY_HEAD_DIM = 32, TINY_CONTEXT = 256,
    TINY_KEYS = 12,
    TINY_MIXED = 1000 /* as a type: matrices in Q8_0, Q4_K, F16 and F32 by turns */
};

enum { /* tensors that a model has */
    TINY_PRE_NORM = 1, TINY_POST_NORM = 2, TINY_HEAD_NORM = 4, TINY_PROJECTION_NORM = 8, TINY_SINKS = 16,
    TINY_OPENAI_NORM = 32, /* the norm before the feed-forward block is called post_attention_norm */
    TINY_QKV_BIAS = 64, TINY_OUTPUT_BIAS = 128, TINY_FUSED_QKV = 256, TINY_FUSED_UP = 512, TINY_FUSED_EXPERTS = 1024,
    TINY_ROUTER_BIAS = 2048, TINY_EXPERT_BIAS = 4096, TINY_UNTIED = 8192, TINY_ROPE_FREQS = 16384,
    TINY_ROPE_FACTORS = 32768, TINY_EQUAL_ROUTES = 65536, /* experts 0 and 2 always have the same score */
    TINY_FFN_BIAS = 131072
};

typedef struct tiny_key { /* "ARCHITECTURE.name" */
    const char *name;
    char kind; /* 'u' integer, 'f' number, 's' text, 'b' an array of booleans written as digits */
    double number;
    const char *text;
} tiny_key;

typedef enum tiny_bend { /* of one tensor */
    TINY_WITHOUT, /* it is left out */
    TINY_WIDER,   /* its first dimension is twice as large */
    TINY_DEEPER   /* it has one more dimension, of 1 */
} tiny_bend;

typedef struct tiny_model {
    const char *architecture;
    uint32_t features;
    uint32_t n_layer, n_embd, n_ff; /* 0: 3, 64, 96 */
    uint32_t n_expert, n_used;
    uint32_t n_rot;                 /* 0: the key is left out */
    uint32_t type, expert_type;     /* of matrices; 0 is F32. Expert matrices have `type` where theirs is 0 */
    double gain;                    /* of matrices; 0: 1.5 */
    tiny_key keys[TINY_KEYS];       /* in place of the usual ones, or more */
    const char *bent;               /* name of a tensor, or NULL */
    tiny_bend bend;
} tiny_model;

void tiny_model_write(const tiny_model *model, const char *path);

#endif
