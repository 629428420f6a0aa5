/* weights.h - a model's tensors, found by name, checked for shape and type, where they lie in the file's map. */
#ifndef EX_MODEL_WEIGHTS_H
#define EX_MODEL_WEIGHTS_H

#include "kernel/kernel.h"
#include "model/shape.h"

typedef struct ex_matrix { /* y = W x + b; W [n_out][n_in]; of experts, the first one's */
    const void *data;
    uint32_t type;
    size_t n_in, n_out, row_bytes;
    size_t n_experts;    /* 1: the matrix alone */
    size_t expert_bytes; /* from one expert's matrix to the next one's; biases lie n_out apart */
    ex_matmul *matmul;   /* for the layout of its rows, which packer.h changes */
    const float *bias;   /* [n_out], or NULL */
} ex_matrix;

typedef struct ex_layer { /* norms are NULL where the architecture has none */
    const float *attn_norm, *ffn_norm, *attn_post_norm, *ffn_post_norm; /* [n_embd] */
    const float *attn_q_norm, *attn_k_norm; /* [head_dim], or all heads' together */
    const float *attn_sinks;                /* [n_head] */
    ex_matrix attn_q, attn_k, attn_v, attn_output, ffn_gate, ffn_up, ffn_down;
    ex_matrix router;                       /* without data where there are no experts */
} ex_layer;

/* Columns of a row of scores behind its positions. */
static inline size_t ex_layer_sinks(const ex_layer *layer) { return layer->attn_sinks ? 1 : 0; }

typedef struct ex_weights {
    ex_matrix token_embd, output; /* output is token_embd where they are tied */
    const float *output_norm;     /* [n_embd] */
    const float *rope_freqs, *rope_factors_short, *rope_factors_long; /* [n_rot / 2] divisors, or NULL */
    ex_layer *layers;             /* [n_layer] */
    uint64_t n_parameters, n_bytes, bytes_per_token;
} ex_weights;

/* Every tensor of the file must be one that the forward pass reads: weights that would be ignored are an error. */
ex_code ex_weights_open(ex_weights *weights, const ex_file *file, const ex_architecture *architecture,
                        const ex_shape *shape, const ex_kernels *kernels, ex_error *error);
void ex_weights_close(ex_weights *weights);

/* Looks through all weights for the first value that is not finite, to explain logits that are not. Fills `error` with
 * tensor, row and file offset and returns true when there is one. Slow: reads the whole file. */
bool ex_weights_explain(const ex_file *file, ex_error *error);

#endif
