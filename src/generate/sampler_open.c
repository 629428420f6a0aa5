/* sampler_open.c - the public way to a sampler: the sampler room knows no kernels, so here they meet. */
#include "kernel/kernel.h"
#include "sampler/sampler.h"

ex_code ex_sampler_open(ex_sampler **out, const ex_policy *policy, int32_t n_vocab, ex_error *error) {
    const ex_kernels *kernels;
    *out = NULL;
    ex_code code = ex_kernels_select(&kernels, NULL, error);
    return code == EX_OK ? ex_sampler_open_with(out, policy, n_vocab, &kernels->vector_math, error) : code;
}
