/* sampler_support.h - a policy and a sampler that are known to open. */
#ifndef EX_TESTS_SAMPLER_SUPPORT_H
#define EX_TESTS_SAMPLER_SUPPORT_H

#include "sampler/sampler.h"
#include "support.h"

static inline ex_policy preset(const char *name) {
    ex_policy policy;
    ex_error error;
    assert_ok(ex_policy_preset(&policy, name, &error), &error);
    return policy;
}

static inline ex_sampler *open_sampler(const ex_policy *policy, int32_t n_vocab) {
    ex_sampler *sampler;
    ex_error error;
    assert_ok(ex_sampler_open_with(&sampler, policy, n_vocab, &ex_vector_math_portable, &error), &error);
    return sampler;
}

#endif
