/* rng.h - counter-based random numbers: a draw is a function of its key, so branches and batches never disturb each
 * other. Philox4x32-10, Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (SC 2011). */
#ifndef EX_BASE_RNG_H
#define EX_BASE_RNG_H

#include <stdint.h>

void ex_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/* Uniform in [0,1) with 53 random bits. */
double ex_uniform(uint64_t seed, uint32_t sequence, uint32_t position, uint32_t attempt, uint32_t draw);

#endif
