/* config.h - config.json: the shape of a model, its family and its RoPE scaling, and the GGUF keys for them. */
#ifndef EX_CONVERT_CONFIG_H
#define EX_CONVERT_CONFIG_H

#include "convert/source.h"
#include "file/gguf.h"

typedef struct ex_family { /* what differs between the models that can be converted */
    const char *model_type;   /* in config.json */
    const char *architecture; /* in GGUF */
    bool interleaved;         /* RoPE turns neighbours, so rows of Q and K are put into that order */
    bool head_norms;          /* Q and K have norms of their own */
} ex_family;

typedef enum ex_scaling_kind { EX_SCALING_NONE, EX_SCALING_LINEAR, EX_SCALING_YARN, EX_SCALING_LLAMA3 } ex_scaling_kind;

typedef struct ex_scaling {
    ex_scaling_kind kind;
    double factor, original_context;
    double low_frequency, high_frequency;         /* llama3 */
    double beta_fast, beta_slow, attention_factor; /* yarn; 1 for an attention factor as usual */
} ex_scaling;

typedef enum ex_tied { EX_TIED_NOT, EX_TIED, EX_TIED_UNSTATED } ex_tied;

typedef struct ex_config {
    const ex_family *family;
    int64_t n_layer, n_head, n_head_kv, n_embd, n_ff, head_dim, n_context;
    double rms_epsilon, rope_base;
    ex_scaling scaling;
    ex_tied tied; /* the output matrix is the embedding */
} ex_config;

ex_code ex_config_read(ex_config *config, const ex_source *source, ex_error *error);
ex_code ex_config_write(const ex_config *config, ex_writer *writer, ex_error *error);
/* What the llama3 scaling divides each of the head_dim / 2 frequencies by. */
void ex_config_divisors(const ex_config *config, float *divisors);

#endif
