/* sampler_support.h - a policy and a sampler that are known to open. */
#ifndef EX_TESTS_SAMPLER_SUPPORT_H
#define EX_TESTS_SAMPLER_SUPPORT_H

#include <string.h>

#include "sampler/rule.h"
#include "sampler/sampler.h"
#include "support.h"

/* NULL: the document's. */
static inline ex_policy preset(const char *name) {
    ex_policy policy;
    ex_error error;
    assert_ok(ex_policy_preset(&policy, name ? name : "entropixplained", &error), &error);
    return policy;
}

/* A name that outlives the rules that it came from. */
static inline const char *kept_name(const char *name) {
    static const char *const names[] = {"greedy",           "clarify",  "clarify_resample", "explore",
                                        "high_uncertainty", "adaptive", "plain",            ""};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], name) == 0) return names[i];
    return "a strategy that the tests do not know";
}

/* What the rules of a policy decide on these metrics alone. */
static inline ex_decision decide_at(const ex_policy *policy, const ex_metrics *metrics, bool clarified) {
    ex_rules *rules;
    ex_error error;
    ex_decision decision;
    uint64_t held = 0;
    assert_ok(ex_rules_open(&rules, policy, &error), &error);
    ex_rule_input input = {.policy = policy, .metrics = metrics, .may_insert = !clarified};
    ex_rules_decide(rules, &input, &held, &decision);
    decision.strategy = kept_name(decision.strategy);
    ex_rules_close(rules);
    return decision;
}

static inline ex_sampler *open_sampler(const ex_policy *policy, int32_t n_vocab) {
    ex_sampler *sampler;
    ex_error error;
    assert_ok(ex_sampler_open_with(&sampler, policy, n_vocab, &ex_vector_math_portable, &error), &error);
    return sampler;
}

#endif
