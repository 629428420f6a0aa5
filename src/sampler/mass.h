/* mass.h - sums of weights that do not depend on the order of the terms: two ways to the same set of tokens must agree
 * to the last bit on which of them a filter keeps. */
#ifndef EX_SAMPLER_MASS_H
#define EX_SAMPLER_MASS_H

#include <stdint.h>

typedef struct ex_mass { /* fixed point, in units of 2^-32 and 2^-64 */
    uint64_t high, low;
} ex_mass;

/* `weight` is in [0,1]; what it has below 2^-64 is lost. Up to 2^31 terms. */
static inline void ex_mass_add(ex_mass *mass, double weight) {
    double scaled = weight * 0x1p32;
    uint64_t whole = (uint64_t)scaled;
    mass->high += whole;
    mass->low += (uint64_t)((scaled - (double)whole) * 0x1p32);
}

static inline double ex_mass_value(ex_mass mass) {
    uint64_t high = mass.high + (mass.low >> 32), low = mass.low & 0xFFFFFFFFu;
    return (double)high * 0x1p-32 + (double)low * 0x1p-64;
}

#endif
