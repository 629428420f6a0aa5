/* candidate.h - what a candidate is worth and how one is drawn. */
#ifndef EX_SAMPLER_CANDIDATE_H
#define EX_SAMPLER_CANDIDATE_H

#include "entropix.h"

/* The confidence terms of the score: the same for every candidate of one step. */
double ex_confidence(const ex_policy *policy, const ex_metrics *metrics);

/* Draws n_draws times (at most EX_DRAWS_MAX); the candidate with the best score wins, the lower id on a tie. */
void ex_draw_best(const ex_distribution *distribution, int32_t n_draws, ex_random_key key, ex_draw *out);

#endif
