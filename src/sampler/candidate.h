/* candidate.h - what a candidate is worth and how one is drawn. */
#ifndef EX_SAMPLER_CANDIDATE_H
#define EX_SAMPLER_CANDIDATE_H

#include "entropix_sampler.h"

/* The confidence terms of the score, of the metrics that stand for what a candidate leads to. */
double ex_confidence(const ex_policy *policy, const ex_metrics *metrics);

/* NULL when the token is not among them. */
const ex_candidate *ex_candidate_of(const ex_distribution *distribution, int32_t token);

/* Draws n_draws times (at most EX_DRAWS_MAX); the candidate with the best score wins, the first drawn on a tie. */
void ex_draw_best(const ex_distribution *distribution, int32_t n_draws, ex_drawing drawing, ex_random_key key,
                  ex_draw *out);
/* One draw from the distribution that the winner of n draws has. */
void ex_draw_exact(const ex_distribution *distribution, int32_t n, ex_random_key key, ex_draw *out);

#endif
