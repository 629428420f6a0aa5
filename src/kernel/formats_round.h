/* formats_round.h - how encoders round: values to levels and scales to half precision. */
#ifndef EX_KERNEL_FORMATS_ROUND_H
#define EX_KERNEL_FORMATS_ROUND_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include "base/half.h"

/* The level in [0, highest] nearest to `value`; 0 for NaN. The tests come first: a conversion out of the range of int
 * is undefined. */
static inline int ex_round_level(float value, int highest) {
    float shifted = value + 0.5f;
    shifted = shifted > 0 ? shifted : 0;
    shifted = shifted < (float)highest ? shifted : (float)highest;
    return (int)shifted;
}

/* The value of largest magnitude, with its sign; the first of several. */
static inline float ex_extreme(const float *values, size_t n) {
    float extreme = 0;
    for (size_t i = 0; i < n; i++)
        if (fabsf(values[i]) > fabsf(extreme)) extreme = values[i];
    return extreme;
}

/* A scale as the block stores it, and the inverse of what was stored, so that quants make up for its rounding.
 * The inverse of a scale that is nothing in half precision is 0: all weights become 0. */
static inline uint16_t ex_round_scale(float scale, float *inverse) {
    const float largest = 65504;
    scale = scale > largest ? largest : scale < -largest ? -largest : scale;
    uint16_t half = ex_half_from_float(scale);
    float stored = ex_half_to_float(half);
    *inverse = stored != 0 ? 1 / stored : 0;
    return half;
}

#endif
