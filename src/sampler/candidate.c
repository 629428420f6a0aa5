/* candidate.c - scores of candidates and the draws among them. */
#include "sampler/candidate.h"

#include <math.h>

#include "base/rng.h"

static double varentropy_of(const ex_policy *policy, const ex_metrics *metrics) {
    return policy->varentropy == EX_VARENTROPY_SEQUENCE ? metrics->sequence_varentropy : metrics->logits_varentropy;
}

double ex_confidence(const ex_policy *policy, const ex_metrics *metrics) {
    return policy->score_logits_entropy * (1 - metrics->logits_entropy) +
           policy->score_attn_entropy * (1 - metrics->attn_entropy) +
           policy->score_logits_varentropy * (1 - varentropy_of(policy, metrics)) +
           policy->score_attn_varentropy * (1 - metrics->attn_varentropy) +
           policy->score_agreement * metrics->agreement + policy->score_interaction * metrics->interaction_strength;
}

const ex_candidate *ex_candidate_of(const ex_distribution *distribution, int32_t token) {
    for (size_t i = 0; i < distribution->count; i++)
        if (distribution->candidates[i].token == token) return &distribution->candidates[i];
    return NULL;
}

static double uniform_of(ex_random_key key, uint32_t draw) {
    return ex_uniform(key.seed, key.sequence, key.position, key.attempt, draw);
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

enum { NOISE_DRAW = 1 << 30, NOISE_SHIFT = 24 }; /* draw indices of noise: the draw's number above the candidate's */

/* The candidate with the largest probability / noise; *uniform becomes the number behind the winner's noise. */
static const ex_candidate *candidate_by_noise(const ex_distribution *distribution, ex_drawing drawing,
                                              ex_random_key key, uint32_t draw, double *uniform) {
    const uint32_t first = (uint32_t)NOISE_DRAW + (draw << NOISE_SHIFT);
    const ex_candidate *best = distribution->candidates;
    double most = -1;
    for (size_t i = 0; i < distribution->count; i++) {
        const double number = uniform_of(key, first + (uint32_t)i);
        const double noise = drawing == EX_DRAWING_UNIFORM_NOISE ? number : -log1p(-number);
        const double value = distribution->candidates[i].probability / noise;
        if (!(value > most)) continue;
        most = value;
        best = &distribution->candidates[i];
        *uniform = number;
    }
    return best;
}

static const ex_candidate *draw_one(const ex_distribution *distribution, ex_drawing drawing, ex_random_key key,
                                    uint32_t draw, double *uniform) {
    if (drawing != EX_DRAWING_INVERSE) return candidate_by_noise(distribution, drawing, key, draw, uniform);
    *uniform = uniform_of(key, draw);
    return candidate_at(distribution, *uniform);
}

void ex_draw_best(const ex_distribution *distribution, int32_t n_draws, ex_drawing drawing, ex_random_key key,
                  ex_draw *out) {
    out->token = EX_TOKEN_NONE;
    out->n_draws = 0;
    if (distribution->count == 0) return;
    const ex_candidate *best = NULL;
    for (int32_t i = 0; i < n_draws && i < EX_DRAWS_MAX; i++) {
        double uniform = 0;
        const ex_candidate *drawn = draw_one(distribution, drawing, key, (uint32_t)i, &uniform);
        out->uniform[i] = uniform;
        out->drawn[i] = drawn->token;
        out->n_draws = i + 1;
        if (!best || drawn->score > best->score) best = drawn;
    }
    if (best) out->token = best->token;
}

typedef struct tied { /* candidates with one score */
    double score, mass;
} tied;

/* The best score below `bound`, and what its candidates weigh together; mass 0 when there is none. */
static tied next_tied(const ex_distribution *distribution, double bound) {
    tied best = {-INFINITY, 0};
    for (size_t i = 0; i < distribution->count; i++) {
        const ex_candidate *candidate = &distribution->candidates[i];
        if (candidate->score >= bound || candidate->score < best.score) continue;
        if (candidate->score > best.score) best = (tied){candidate->score, 0};
        best.mass += candidate->probability;
    }
    return best;
}

/* The candidate of this score in whose share of their mass the number in [0,1) falls. */
static int32_t tied_at(const ex_distribution *distribution, tied group, double share) {
    double before = 0;
    int32_t token = EX_TOKEN_NONE;
    for (size_t i = 0; i < distribution->count; i++) {
        if (distribution->candidates[i].score != group.score) continue;
        token = distribution->candidates[i].token;
        before += distribution->candidates[i].probability;
        if (share * group.mass < before) break;
    }
    return token;
}

/* All n draws miss what is better with probability (1 - mass before)^n; the best of them falls into a group with the
 * difference of two such numbers. */
void ex_draw_exact(const ex_distribution *distribution, int32_t n, ex_random_key key, ex_draw *out) {
    out->token = EX_TOKEN_NONE;
    out->n_draws = 0;
    if (distribution->count == 0) return;
    const double uniform = uniform_of(key, 0), missed = 1 - uniform;
    double before = 0, missed_before = 1;
    tied group = next_tied(distribution, INFINITY);
    for (;;) {
        double missed_after = pow(fmax(0, 1 - before - group.mass), n);
        tied next = next_tied(distribution, group.score);
        if (missed > missed_after || next.mass == 0) {
            double share = (missed_before - missed) / (missed_before - missed_after);
            out->token = tied_at(distribution, group, share);
            break;
        }
        before += group.mass;
        missed_before = missed_after;
        group = next;
    }
    out->uniform[0] = uniform;
    out->drawn[0] = out->token;
    out->n_draws = 1;
}
