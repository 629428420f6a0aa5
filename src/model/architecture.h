/* architecture.h - what differs between model families, as data. The forward pass is one algorithm; a row here says
 * which of its options a family uses. A new architecture is a row in architecture.c. */
#ifndef EX_MODEL_ARCHITECTURE_H
#define EX_MODEL_ARCHITECTURE_H

#include "entropix.h"

typedef enum ex_rope_kind {
    EX_ROPE_PAIRS, /* rotates (2i, 2i+1); GGUF converters permute Llama weights for it ("NORM") */
    EX_ROPE_HALVES /* rotates (i, i + n_rot/2) ("NEOX") */
} ex_rope_kind;

typedef struct ex_architecture {
    const char *name; /* general.architecture */
    ex_rope_kind rope;
} ex_architecture;

/* The row of a file's architecture. EX_ERROR_UNSUPPORTED names it and those that there are. */
ex_code ex_architecture_find(const ex_architecture **out, const ex_file *file, ex_error *error);

/* The numbers that shape a model, read from the file's keys and checked against each other. */
typedef struct ex_shape {
    int32_t n_layer, n_head, n_head_kv, n_embd, n_ff, n_vocab;
    int32_t head_dim; /* of queries, keys and values */
    int32_t n_rot;    /* leading dimensions of a head that RoPE rotates */
    int32_t n_context;
    float rms_epsilon;
    float rope_base;
    float rope_scale; /* positions are multiplied by it (linear scaling) */
} ex_shape;

ex_code ex_shape_read(ex_shape *shape, const ex_file *file, ex_error *error);

#endif
