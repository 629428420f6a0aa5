/* neon_vector.c - passes over rows of activations and logits. */
#include "kernel/neon.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* ---- activations -------------------------------------------------------------------------------------------- */

enum { QUANT_VECTORS = EX_QUANT_BLOCK / 4 };

/* The largest magnitude of 32 values, or NaN when there is one: vmaxq_f32 lets it pass. */
ALWAYS_INLINE float largest_magnitude(const float32x4_t values[QUANT_VECTORS]) {
    float32x4_t largest = vabsq_f32(values[0]);
    UNROLL for (int v = 1; v < QUANT_VECTORS; v++) largest = vmaxq_f32(largest, vabsq_f32(values[v]));
    return vmaxvq_f32(largest);
}

/* Sixteen values to integers, half to even. */
ALWAYS_INLINE int8x16_t round_sixteen(const float32x4_t values[4], float inverse) {
    int16x4_t fours[4];
    UNROLL for (int v = 0; v < 4; v++) fours[v] = vmovn_s32(vcvtnq_s32_f32(vmulq_n_f32(values[v], inverse)));
    return vcombine_s8(vmovn_s16(vcombine_s16(fours[0], fours[1])), vmovn_s16(vcombine_s16(fours[2], fours[3])));
}

/* A block with a NaN or infinity gets the scale NaN, so that the fault reaches the logits, where it is found. */
static void quantize_block(const float *values, int8_t *quants, float *scale, int16_t *sums) {
    float32x4_t fours[QUANT_VECTORS];
    UNROLL for (int v = 0; v < QUANT_VECTORS; v++) fours[v] = vld1q_f32(values + v * 4);
    float largest = largest_magnitude(fours);
    *scale = largest <= FLT_MAX ? largest / 127 : NAN;
    if (!(*scale >= FLT_MIN)) { /* nothing, or less than has an inverse */
        if (largest <= FLT_MAX) *scale = 0;
        memset(quants, 0, EX_QUANT_BLOCK);
        sums[0] = sums[1] = 0;
        return;
    }
    for (int half = 0; half < 2; half++) {
        int8x16_t sixteen = round_sixteen(fours + half * 4, 1 / *scale);
        vst1q_s8(quants + half * EX_SUM_BLOCK, sixteen);
        sums[half] = vaddlvq_s8(sixteen);
    }
}

void ex_neon_quantize_row(const float *values, size_t n, int8_t *quants, float *scales, int16_t *sums) {
    for (size_t b = 0; b < n / EX_QUANT_BLOCK; b++)
        quantize_block(values + b * EX_QUANT_BLOCK, quants + b * EX_QUANT_BLOCK, scales + b, sums + 2 * b);
}

void ex_neon_rms_norm(const float *x, const float *weight, size_t n, float epsilon, float *out) {
    float64x2_t low_sum = vdupq_n_f64(0), high_sum = low_sum;
    for (size_t i = 0; i < n; i += 4) {
        float32x4_t values = neon_load_or(x + i, n - i, 0);
        float64x2_t low = neon_low_double(values), high = neon_high_double(values);
        low_sum = vfmaq_f64(low_sum, low, low);
        high_sum = vfmaq_f64(high_sum, high, high);
    }
    double sum = vaddvq_f64(vaddq_f64(low_sum, high_sum));
    const float scale = (float)(1 / sqrt(sum / (double)n + (double)epsilon));
    for (size_t i = 0; i < n; i += 4) {
        float32x4_t scaled = vmulq_n_f32(neon_load_or(x + i, n - i, 0), scale);
        neon_store_first(out + i, n - i, vmulq_f32(scaled, neon_load_or(weight + i, n - i, 0)));
    }
}

/* 1 / (1 + e^-x), from e^-|x|, which cannot overflow. */
ALWAYS_INLINE float32x4_t sigmoid(float32x4_t x) {
    const float32x4_t one = vdupq_n_f32(1);
    float32x4_t e = neon_exp_negative(vnegq_f32(vabsq_f32(x)));
    return vdivq_f32(vbslq_f32(vcltzq_f32(x), e, one), vaddq_f32(one, e));
}

void ex_neon_swiglu(float *gate, const float *up, size_t n) {
    for (size_t i = 0; i < n; i += 4) {
        float32x4_t x = neon_load_or(gate + i, n - i, 0);
        float32x4_t gated = vmulq_f32(vmulq_f32(x, sigmoid(x)), neon_load_or(up + i, n - i, 0));
        neon_store_first(gate + i, n - i, gated);
    }
}

void ex_neon_add(float *x, const float *y, size_t n) {
    for (size_t i = 0; i < n; i += 4)
        neon_store_first(x + i, n - i, vaddq_f32(neon_load_or(x + i, n - i, 0), neon_load_or(y + i, n - i, 0)));
}

uint64_t ex_neon_read_memory(const void *memory, size_t n_bytes) {
    enum { REGISTERS = 8, STEP = REGISTERS * 16 };
    const unsigned char *bytes = memory;
    uint64x2_t sums[REGISTERS];
    for (int k = 0; k < REGISTERS; k++) sums[k] = vdupq_n_u64(0);
    size_t i = 0;
    for (; i + STEP <= n_bytes; i += STEP) {
        neon_prefetch_ahead(bytes + i, STEP);
        UNROLL for (int k = 0; k < REGISTERS; k++)
            sums[k] = vaddq_u64(sums[k], vreinterpretq_u64_u8(vld1q_u8(bytes + i + k * 16)));
    }
    for (int k = 1; k < REGISTERS; k++) sums[0] = vaddq_u64(sums[0], sums[k]);
    uint64_t total = vaddvq_u64(sums[0]);
    for (; i < n_bytes; i++) total += bytes[i];
    return total;
}

/* ---- logits ------------------------------------------------------------------------------------------------- */

/* vmaxq_f32 of a number and NaN is NaN. */
float ex_neon_maximum(const float *values, size_t n) {
    enum { CHAINS = 4 };
    float32x4_t maxima[CHAINS];
    for (int k = 0; k < CHAINS; k++) maxima[k] = vdupq_n_f32(-INFINITY);
    size_t i = 0;
    for (; i + CHAINS * 4 <= n; i += CHAINS * 4)
        UNROLL for (int k = 0; k < CHAINS; k++) maxima[k] = vmaxq_f32(maxima[k], vld1q_f32(values + i + k * 4));
    for (; i < n; i += 4) maxima[0] = vmaxq_f32(maxima[0], neon_load_or(values + i, n - i, -INFINITY));
    return vmaxvq_f32(vmaxq_f32(vmaxq_f32(maxima[0], maxima[1]), vmaxq_f32(maxima[2], maxima[3])));
}

/* e^x in doubles to 3e-10, for x in [-700, 0]: x = n ln 2 + r with |r| <= ln 2 / 2, and the first nine terms of
 * the series of e^r. */
ALWAYS_INLINE float64x2_t exponential(float64x2_t x) {
    static const double terms[] = {1.0 / 5040, 1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 1.0 / 2, 1, 1};
    float64x2_t n = vrndnq_f64(vmulq_n_f64(x, M_LOG2E));
    float64x2_t r = vfmsq_f64(x, n, vdupq_n_f64(M_LN2)), e = vdupq_n_f64(1.0 / 40320);
    UNROLL for (size_t i = 0; i < sizeof terms / sizeof *terms; i++) e = vfmaq_f64(vdupq_n_f64(terms[i]), e, r);
    int64x2_t exponent = vaddq_s64(vcvtq_s64_f64(n), vdupq_n_s64(1023));
    return vmulq_f64(e, vreinterpretq_f64_s64(vshlq_n_s64(exponent, 52)));
}

typedef struct moment_sums {
    float64x2_t sum, sum_x, sum_x_squared;
} moment_sums;

/* What lies more than 700 below, as -infinity does, adds nothing that a sum would keep. */
ALWAYS_INLINE void add_moments(moment_sums *sums, float64x2_t values, float64x2_t maximum) {
    float64x2_t x = vmaxq_f64(vsubq_f64(values, maximum), vdupq_n_f64(-700));
    float64x2_t e = exponential(x);
    float64x2_t e_x = vmulq_f64(e, x);
    sums->sum = vaddq_f64(sums->sum, e);
    sums->sum_x = vaddq_f64(sums->sum_x, e_x);
    sums->sum_x_squared = vfmaq_f64(sums->sum_x_squared, e_x, x);
}

static ex_exponential_sums sums_below(float maximum, const float *values, size_t n) {
    const float64x2_t maxima = vdupq_n_f64((double)maximum);
    moment_sums low = {vdupq_n_f64(0), vdupq_n_f64(0), vdupq_n_f64(0)}, high = low;
    for (size_t i = 0; i < n; i += 4) {
        float32x4_t four = neon_load_or(values + i, n - i, -INFINITY);
        add_moments(&low, neon_low_double(four), maxima);
        add_moments(&high, neon_high_double(four), maxima);
    }
    return (ex_exponential_sums){maximum, vaddvq_f64(vaddq_f64(low.sum, high.sum)),
                                 vaddvq_f64(vaddq_f64(low.sum_x, high.sum_x)),
                                 vaddvq_f64(vaddq_f64(low.sum_x_squared, high.sum_x_squared))};
}

ex_exponential_sums ex_neon_exponential_sums(const float *values, size_t n, float *block_maxima) {
    float maximum = -INFINITY;
    for (size_t i = 0; i < n; i += EX_LOGITS_BLOCK) {
        float of_block = ex_neon_maximum(values + i, n - i < EX_LOGITS_BLOCK ? n - i : EX_LOGITS_BLOCK);
        if (block_maxima) block_maxima[i / EX_LOGITS_BLOCK] = of_block;
        if (of_block > maximum || isnan(of_block)) maximum = of_block;
    }
    return isfinite(maximum) ? sums_below(maximum, values, n) : (ex_exponential_sums){.maximum = maximum};
}

size_t ex_neon_select_at_least(const float *values, size_t n, float threshold, int *indices, size_t capacity) {
    const float32x4_t limit = vdupq_n_f32(threshold);
    size_t count = 0;
    for (size_t i = 0; i < n; i += 16) {
        if (i + 16 <= n) { /* most groups have nothing to select */
            float32x4_t low = vmaxnmq_f32(vld1q_f32(values + i), vld1q_f32(values + i + 4));
            float32x4_t high = vmaxnmq_f32(vld1q_f32(values + i + 8), vld1q_f32(values + i + 12));
            if (vmaxvq_u32(vcgeq_f32(vmaxnmq_f32(low, high), limit)) == 0) continue;
        }
        for (size_t k = i; k < n && k < i + 16; k++) {
            if (!(values[k] >= threshold)) continue;
            if (count < capacity) indices[count] = (int)k;
            count++;
        }
    }
    return count;
}
