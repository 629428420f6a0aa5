/* formats_round.h - how encoders round: values to levels and scales to half precision. */
#ifndef EX_KERNEL_FORMATS_ROUND_H
#define EX_KERNEL_FORMATS_ROUND_H

#include <float.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include "base/half.h"

/* The whole number in [lowest, highest] nearest to `value`, of two the even one; `lowest` for NaN. The bounds are below
 * 2^22: adding 1.5 * 2^23 then leaves no bit for a fraction. That is arithmetic alone, of which compilers make vectors
 * on every processor. */
static inline float ex_round_level(float value, float lowest, float highest) {
    float level = value > lowest ? value : lowest;
    level = level < highest ? level : highest;
    return (level + 0x1.8p23f) - 0x1.8p23f;
}

/* 0 for 0, without a condition: gcc makes no vectors of loops in which a division may not happen. Scales below 1e-19,
 * which no block can store, count as 0. */
static inline float ex_inverse_of(float scale) { return scale / (scale * scale + FLT_MIN); }

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

/* `scale` as half precision keeps it. */
static inline float ex_stored_scale(float scale) {
    float inverse;
    return ex_half_to_float(ex_round_scale(scale, &inverse));
}

#endif
