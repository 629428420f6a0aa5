/* sampler.h - what the sampler room shows to generate: how an engine lends it faster passes. All else is public. */
#ifndef EX_SAMPLER_SAMPLER_H
#define EX_SAMPLER_SAMPLER_H

#include "base/vector_math.h"
#include "entropix.h"

/* `math` must outlive the sampler. ex_sampler_open uses the portable one. */
void ex_sampler_set_math(ex_sampler *sampler, const ex_vector_math *math);

#endif
