/* rule.h - the rules of a policy, compiled: text to programs, and what they decide. The language: docs/SAMPLER.md. */
#ifndef EX_SAMPLER_RULE_H
#define EX_SAMPLER_RULE_H

#include "sampler/history.h"

typedef struct ex_rule_input {
    const ex_policy *policy;        /* of which the rules were compiled: keys are read when they are needed */
    const ex_metrics *metrics;      /* of the present step */
    const ex_layer_metrics *layers; /* [n_layer] or NULL: terms of single layers are 0 then */
    int32_t n_layer;
    const ex_history *history;      /* windows look back into it; NULL: none */
    bool may_insert;
} ex_rule_input;

/* Fills `decision`; `held` is the state of every `until`, before and after. Pure but for these. Allocates nothing. */
void ex_rules_decide(const ex_rules *rules, const ex_rule_input *input, uint64_t *held, ex_decision *decision);
/* Positions that the longest window looks back, the present one included. */
size_t ex_rules_window(const ex_rules *rules);
/* Some rule may do this. */
bool ex_rules_may(const ex_rules *rules, ex_action action);

#endif
