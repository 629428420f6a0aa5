/* strategy.h - the names by which the sampler room sees what the strategies share. */
#ifndef EX_SAMPLER_STRATEGY_H
#define EX_SAMPLER_STRATEGY_H

#include "entropix.h"

/* The varentropy that this policy looks at: of the token, or of the sequence. */
double ex_policy_varentropy(const ex_policy *policy, const ex_metrics *metrics);

#endif
