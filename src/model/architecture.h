/* architecture.h - what differs between model families, as data. The forward pass is one algorithm; a row here says
 * which of its options a family uses. A new architecture is a row in architecture.c. */
#ifndef EX_MODEL_ARCHITECTURE_H
#define EX_MODEL_ARCHITECTURE_H

#include <stdbool.h>

#include "entropix.h"

/* Beyond these a file is damaged or hostile, not a model that fits into a machine. */
enum { EX_MAX_LAYERS = 1024, EX_MAX_EXPERTS = 1024 };

typedef enum ex_rope_kind {
    EX_ROPE_PAIRS, /* rotates (2i, 2i+1); GGUF converters permute Llama weights for it ("NORM") */
    EX_ROPE_HALVES /* rotates (i, i + n_rot/2) ("NEOX") */
} ex_rope_kind;

typedef enum ex_gate { /* how a feed-forward block gates: activation(gate) * up */
    EX_GATE_SILU,
    EX_GATE_GELU,        /* the tanh approximation */
    EX_GATE_SILU_CLAMPED /* gpt-oss: min(gate, 7) * sigmoid(1.702 gate) * (clamp(up, -7, 7) + 1) */
} ex_gate;

typedef enum ex_feature { /* which tensors a model has; a set of them */
    EX_FEATURE_PRE_NORM = 1,         /* attn_norm, ffn_norm: blocks read the normed residual stream */
    EX_FEATURE_POST_NORM = 2,        /* post_attention_norm, post_ffw_norm: what blocks add to it is normed */
    EX_FEATURE_HEAD_NORM = 4,        /* attn_q_norm, attn_k_norm of each head, before RoPE */
    EX_FEATURE_PROJECTION_NORM = 8,  /* the same over all heads of a token together */
    EX_FEATURE_SINKS = 16,           /* attn_sinks: one score more for each head, for a position without a value */
    EX_FEATURE_MISNAMED_NORM = 32,   /* ffn_norm is called post_attention_norm */
    /* The rest follows from the file. */
    EX_FEATURE_NAMED_NORM = 64,      /* it is called ffn_norm */
    EX_FEATURE_DENSE = 128,          /* one feed-forward block a layer */
    EX_FEATURE_EXPERTS = 256,        /* several, of which a router takes some for each token */
    EX_FEATURE_SPLIT_QKV = 512,
    EX_FEATURE_FUSED_QKV = 1024,
    EX_FEATURE_SPLIT_GATE = 2048,
    EX_FEATURE_FUSED_GATE = 4096     /* ffn_up holds gate and up */
} ex_feature;

enum { EX_WINDOW_ALL = EX_MAX_LAYERS + 1 }; /* a window_period: no layer is left out */

typedef struct ex_architecture {
    const char *name; /* general.architecture */
    ex_rope_kind rope;
    uint32_t features; /* of ex_feature, those above the line */
    ex_gate gate;
    int32_t window_period;    /* of layers, all but each so-many-th have the file's sliding window; 0: none has */
    int32_t window;           /* where the file has no key: early converters wrote none of these three */
    float attention_softcap, logit_softcap;
    int32_t unrotated_period; /* each so-many-th layer has no RoPE; 0: all have */
    bool scales_embedding;    /* by sqrt(n_embd), unless the file says otherwise */
    int32_t wide_n_layer;     /* the size whose scores are scaled by sqrt(n_embd / n_head) instead of sqrt(head_dim) */
    bool plain_local_rope;    /* layers with a sliding window take no RoPE scaling */
    float local_rope_base;    /* and have this base, unless the file says otherwise; 0: that of all others */
    bool exact_yarn_ramp;     /* between real numbers, not whole pairs ("truncate": false) */
} ex_architecture;

/* The row of a file's architecture. EX_ERROR_UNSUPPORTED names it and those that there are. */
ex_code ex_architecture_find(const ex_architecture **out, const ex_file *file, ex_error *error);

#endif
