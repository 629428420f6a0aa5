/* candidate.c - scores of candidates and the draws among them. */
#include "sampler/candidate.h"

#include "base/rng.h"
#include "sampler/strategy.h"

double ex_confidence(const ex_policy *policy, const ex_metrics *metrics) {
    return policy->score_logits_entropy * (1 - metrics->logits_entropy) +
           policy->score_attn_entropy * (1 - metrics->attn_entropy) +
           policy->score_logits_varentropy * (1 - ex_policy_varentropy(policy, metrics)) +
           policy->score_attn_varentropy * (1 - metrics->attn_varentropy) +
           policy->score_agreement * metrics->agreement + policy->score_interaction * metrics->interaction_strength;
}

/* The candidate in whose share of [0,1) the number falls. The last one also takes what rounding leaves over. */
static const ex_candidate *candidate_at(const ex_distribution *distribution, double uniform) {
    double mass = 0;
    size_t last = distribution->count - 1;
    for (size_t i = 0; i < last; i++) {
        mass += distribution->candidates[i].probability;
        if (uniform < mass) return &distribution->candidates[i];
    }
    return &distribution->candidates[last];
}

static bool is_better(const ex_candidate *candidate, const ex_candidate *best) {
    if (!best || candidate->score != best->score) return !best || candidate->score > best->score;
    return candidate->token < best->token;
}

void ex_draw_best(const ex_distribution *distribution, int32_t n_draws, ex_random_key key, ex_draw *out) {
    out->token = EX_TOKEN_NONE;
    out->n_draws = 0;
    if (distribution->count == 0) return;
    const ex_candidate *best = NULL;
    for (int32_t i = 0; i < n_draws && i < EX_DRAWS_MAX; i++) {
        double uniform = ex_uniform(key.seed, key.sequence, key.position, (uint32_t)i);
        const ex_candidate *drawn = candidate_at(distribution, uniform);
        out->uniform[i] = uniform;
        out->drawn[i] = drawn->token;
        out->n_draws = i + 1;
        if (is_better(drawn, best)) best = drawn;
    }
    if (best) out->token = best->token;
}
