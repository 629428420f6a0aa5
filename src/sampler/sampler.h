/* sampler.h - what the sampler room shows to generate: a sampler with lent passes over the logits. */
#ifndef EX_SAMPLER_SAMPLER_H
#define EX_SAMPLER_SAMPLER_H

#include "base/vector_math.h"
#include "entropix.h"

/* ex_sampler_open, which chooses the best passes that the processor has, ends here. `math` must outlive the sampler. */
ex_code ex_sampler_open_with(ex_sampler **out, const ex_policy *policy, int32_t n_vocab, const ex_vector_math *math,
                             ex_error *error);

/* The metrics of a step alone, as if it were the first of an answer, and its likeliest token. */
ex_code ex_sampler_measure(ex_sampler *sampler, const float *logits, const ex_attention *attention,
                           ex_metrics *metrics, int32_t *likeliest, ex_error *error);

#endif
