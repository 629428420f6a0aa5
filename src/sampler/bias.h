/* bias.h - the policy's logit_bias: "15043+1,29871-0.5,13=false". */
#ifndef EX_SAMPLER_BIAS_H
#define EX_SAMPLER_BIAS_H

#include "entropix_sampler.h"

typedef struct ex_bias {
    int32_t token;
    float bias; /* added to its logit; -infinity: never */
} ex_bias;

/* *biases is to be freed; NULL when there are none. Tokens must be below `n_vocab`, and named once. */
ex_code ex_bias_read(ex_bias **biases, size_t *count, const char *text, size_t n_vocab, ex_error *error);

#endif
