/* statistics_random.h - the random numbers of resampling: SplitMix64 (Steele, Lea and Flood 2014). */
#ifndef EVAL_STATISTICS_RANDOM_H
#define EVAL_STATISTICS_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* `state` begins as any seed. */
static inline uint64_t eval_random(uint64_t *state) {
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Of n < 2^32 indices, by the upper half of a product; the deviation from uniform is below n / 2^32. */
static inline size_t eval_random_index(uint64_t *state, size_t n) {
    return (size_t)((eval_random(state) >> 32) * n >> 32);
}

#endif
