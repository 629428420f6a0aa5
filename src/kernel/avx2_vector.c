/* avx2_vector.c - passes over rows of activations and logits. */
#include "kernel/avx2.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* ---- activations -------------------------------------------------------------------------------------------- */

/* The largest magnitude of 32 values, or a NaN among them. Magnitudes compare as integers; NaNs are above infinity. */
ALWAYS_INLINE float largest_magnitude(const __m256 values[4]) {
    __m256i bits[4];
    for (int v = 0; v < 4; v++) bits[v] = _mm256_castps_si256(avx2_absolute(values[v]));
    __m256i eight = _mm256_max_epi32(_mm256_max_epi32(bits[0], bits[1]), _mm256_max_epi32(bits[2], bits[3]));
    __m128i four = _mm_max_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
    __m128i two = _mm_max_epi32(four, _mm_shuffle_epi32(four, 0x4E));
    return _mm_cvtss_f32(_mm_castsi128_ps(_mm_max_epi32(two, _mm_shuffle_epi32(two, 0xB1))));
}

/* A block with a NaN or infinity gets the scale NaN, so that the fault reaches the logits, where it is found. */
static void quantize_block(const float *values, int8_t *quants, float *scale, int16_t *sums) {
    __m256 eights[4];
    for (int v = 0; v < 4; v++) eights[v] = _mm256_loadu_ps(values + v * 8);
    float largest = largest_magnitude(eights);
    *scale = largest <= FLT_MAX ? largest / 127 : NAN;
    if (!(*scale >= FLT_MIN)) { /* nothing, or less than has an inverse */
        if (largest <= FLT_MAX) *scale = 0;
        memset(quants, 0, EX_QUANT_BLOCK);
        sums[0] = sums[1] = 0;
        return;
    }
    const __m256 inverse = _mm256_set1_ps(1 / *scale);
    __m256i integers[4];
    for (int v = 0; v < 4; v++) integers[v] = _mm256_cvtps_epi32(_mm256_mul_ps(eights[v], inverse));
    /* Packing works in each half alone, so its result has groups of four in the order 0 2 4 6, 1 3 5 7. */
    __m256i bytes = _mm256_packs_epi16(_mm256_packs_epi32(integers[0], integers[1]),
                                       _mm256_packs_epi32(integers[2], integers[3]));
    bytes = _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
    _mm256_storeu_si256((__m256i *)(void *)quants, bytes);
    __m256i fours = _mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_set1_epi8(1), bytes), _mm256_set1_epi16(1));
    __m256i twos = _mm256_add_epi32(fours, _mm256_shuffle_epi32(fours, 0x4E));
    __m256i halves = _mm256_add_epi32(twos, _mm256_shuffle_epi32(twos, 0xB1));
    sums[0] = (int16_t)_mm_cvtsi128_si32(_mm256_castsi256_si128(halves));
    sums[1] = (int16_t)_mm_cvtsi128_si32(_mm256_extracti128_si256(halves, 1));
}

void ex_avx2_quantize_row(const float *values, size_t n, int8_t *quants, float *scales, int16_t *sums) {
    for (size_t b = 0; b < n / EX_QUANT_BLOCK; b++)
        quantize_block(values + b * EX_QUANT_BLOCK, quants + b * EX_QUANT_BLOCK, scales + b, sums + 2 * b);
}

void ex_avx2_rms_norm(const float *x, const float *weight, size_t n, float epsilon, float *out) {
    const __m256 zero = _mm256_setzero_ps();
    __m256d low_sum = _mm256_setzero_pd(), high_sum = low_sum;
    for (size_t i = 0; i < n; i += 8) {
        __m256 values = avx2_load_or(x + i, n - i, zero);
        __m256d low = avx2_low_pd(values), high = avx2_high_pd(values);
        low_sum = _mm256_fmadd_pd(low, low, low_sum);
        high_sum = _mm256_fmadd_pd(high, high, high_sum);
    }
    double sum = avx2_sum_pd(_mm256_add_pd(low_sum, high_sum));
    const __m256 scale = _mm256_set1_ps((float)(1 / sqrt(sum / (double)n + (double)epsilon)));
    for (size_t i = 0; i < n; i += 8) {
        __m256 scaled = _mm256_mul_ps(avx2_load_or(x + i, n - i, zero), scale);
        avx2_store_first(out + i, n - i, _mm256_mul_ps(scaled, avx2_load_or(weight + i, n - i, zero)));
    }
}

/* 1 / (1 + e^-x), from e^-|x|, which cannot overflow. */
ALWAYS_INLINE __m256 sigmoid(__m256 x) {
    const __m256 one = _mm256_set1_ps(1);
    __m256 e = avx2_exp_negative(_mm256_or_ps(x, _mm256_set1_ps(-0.0f)));
    __m256 numerator = _mm256_blendv_ps(one, e, x); /* by the sign of x */
    return _mm256_div_ps(numerator, _mm256_add_ps(one, e));
}

void ex_avx2_swiglu(float *gate, const float *up, size_t n) {
    const __m256 zero = _mm256_setzero_ps();
    for (size_t i = 0; i < n; i += 8) {
        __m256 x = avx2_load_or(gate + i, n - i, zero);
        __m256 gated = _mm256_mul_ps(_mm256_mul_ps(x, sigmoid(x)), avx2_load_or(up + i, n - i, zero));
        avx2_store_first(gate + i, n - i, gated);
    }
}

void ex_avx2_add(float *x, const float *y, size_t n) {
    const __m256 zero = _mm256_setzero_ps();
    for (size_t i = 0; i < n; i += 8) {
        __m256 sum = _mm256_add_ps(avx2_load_or(x + i, n - i, zero), avx2_load_or(y + i, n - i, zero));
        avx2_store_first(x + i, n - i, sum);
    }
}

uint64_t ex_avx2_read_memory(const void *memory, size_t n_bytes) {
    enum { REGISTERS = 4, STEP = REGISTERS * 32 };
    const char *bytes = memory;
    __m256i sums[REGISTERS];
    for (int k = 0; k < REGISTERS; k++) sums[k] = _mm256_setzero_si256();
    size_t i = 0;
    for (; i + STEP <= n_bytes; i += STEP) {
        const __m256i *vectors = (const __m256i *)(const void *)(bytes + i);
        avx2_prefetch_ahead(vectors, STEP);
        for (int k = 0; k < REGISTERS; k++) sums[k] = _mm256_add_epi64(sums[k], _mm256_loadu_si256(vectors + k));
    }
    uint64_t words[4], total = 0;
    for (int k = 1; k < REGISTERS; k++) sums[0] = _mm256_add_epi64(sums[0], sums[k]);
    _mm256_storeu_si256((__m256i *)(void *)words, sums[0]);
    for (int k = 0; k < 4; k++) total += words[k];
    for (; i < n_bytes; i++) total += (unsigned char)bytes[i];
    return total;
}

/* ---- logits ------------------------------------------------------------------------------------------------- */

float ex_avx2_maximum(const float *values, size_t n) {
    enum { CHAINS = 4 };
    __m256 maxima[CHAINS], not_number = _mm256_setzero_ps();
    for (int k = 0; k < CHAINS; k++) maxima[k] = _mm256_set1_ps(-INFINITY);
    size_t i = 0;
    for (; i + CHAINS * 8 <= n; i += CHAINS * 8) {
        UNROLL for (int k = 0; k < CHAINS; k++) {
            __m256 eight = _mm256_loadu_ps(values + i + k * 8);
            not_number = _mm256_or_ps(not_number, _mm256_cmp_ps(eight, eight, _CMP_UNORD_Q));
            maxima[k] = _mm256_max_ps(maxima[k], eight);
        }
    }
    for (; i < n; i += 8) {
        __m256 eight = avx2_load_or(values + i, n - i, maxima[0]);
        not_number = _mm256_or_ps(not_number, _mm256_cmp_ps(eight, eight, _CMP_UNORD_Q));
        maxima[0] = _mm256_max_ps(maxima[0], eight);
    }
    if (_mm256_movemask_ps(not_number)) return NAN;
    return avx2_maximum_of(_mm256_max_ps(_mm256_max_ps(maxima[0], maxima[1]), _mm256_max_ps(maxima[2], maxima[3])));
}

typedef struct moment_sums {
    __m256d sum, sum_x, sum_x_squared;
} moment_sums;

/* e^r is put together in double precision, so that the sums keep what single precision would round away. */
ALWAYS_INLINE void add_moments(moment_sums *sums, __m256d minus_one, __m256d power, __m256d x) {
    __m256d e = _mm256_fmadd_pd(minus_one, power, power);
    __m256d e_x = _mm256_mul_pd(e, x);
    sums->sum = _mm256_add_pd(sums->sum, e);
    sums->sum_x = _mm256_add_pd(sums->sum_x, e_x);
    sums->sum_x_squared = _mm256_fmadd_pd(e_x, x, sums->sum_x_squared);
}

/* What a - b has lost to rounding, exactly (Knuth's TwoSum). */
ALWAYS_INLINE __m256 difference_error(__m256 a, __m256 b, __m256 difference) {
    __m256 minus_b = _mm256_sub_ps(difference, a);
    return _mm256_sub_ps(_mm256_sub_ps(a, _mm256_sub_ps(difference, minus_b)), _mm256_add_ps(b, minus_b));
}

ex_exponential_sums ex_avx2_exponential_sums(const float *values, size_t n, float maximum) {
    const __m256 masked = _mm256_set1_ps(-INFINITY), maxima = _mm256_set1_ps(maximum);
    /* What lies more than 87 below adds nothing that a sum would keep. */
    const __m256 lowest = _mm256_set1_ps(nextafterf(maximum - 87, maximum));
    const __m256d wide_maxima = _mm256_set1_pd((double)maximum);
    moment_sums low = {_mm256_setzero_pd(), _mm256_setzero_pd(), _mm256_setzero_pd()}, high = low;
    for (size_t i = 0; i < n; i += 8) {
        __m256 eight = avx2_load_or(values + i, n - i, masked);
        __m256 counts = _mm256_cmp_ps(eight, lowest, _CMP_NLT_UQ);
        eight = _mm256_max_ps(lowest, eight);
        __m256 x = _mm256_sub_ps(eight, maxima), power;
        __m256 minus_one = avx2_exp_parts(x, difference_error(eight, maxima, x), &power);
        power = _mm256_and_ps(power, counts);
        add_moments(&low, avx2_low_pd(minus_one), avx2_low_pd(power), _mm256_sub_pd(avx2_low_pd(eight), wide_maxima));
        add_moments(&high, avx2_high_pd(minus_one), avx2_high_pd(power),
                    _mm256_sub_pd(avx2_high_pd(eight), wide_maxima));
    }
    return (ex_exponential_sums){avx2_sum_pd(_mm256_add_pd(low.sum, high.sum)),
                                 avx2_sum_pd(_mm256_add_pd(low.sum_x, high.sum_x)),
                                 avx2_sum_pd(_mm256_add_pd(low.sum_x_squared, high.sum_x_squared))};
}

/* Which of eight values reach the limit, as bits. */
ALWAYS_INLINE unsigned at_least(__m256 eight, __m256 limit) {
    return (unsigned)_mm256_movemask_ps(_mm256_cmp_ps(eight, limit, _CMP_GE_OQ));
}

/* Adds the indices of the bits set in `found`, counted from `first`, to the `count` that there are. */
ALWAYS_INLINE size_t add_indices(unsigned found, size_t first, int *indices, size_t capacity, size_t count) {
    for (; found; found &= found - 1, count++)
        if (count < capacity) indices[count] = (int)first + __builtin_ctz(found);
    return count;
}

size_t ex_avx2_select_at_least(const float *values, size_t n, float threshold, int *indices, size_t capacity) {
    const __m256 limit = _mm256_set1_ps(threshold), not_number = _mm256_set1_ps(NAN);
    size_t count = 0, i = 0;
    for (; i + 32 <= n; i += 32) {
        unsigned found = 0;
        UNROLL for (unsigned k = 0; k < 4; k++)
            found |= at_least(_mm256_loadu_ps(values + i + k * 8), limit) << k * 8;
        count = add_indices(found, i, indices, capacity, count);
    }
    for (; i < n; i += 8)
        count = add_indices(at_least(avx2_load_or(values + i, n - i, not_number), limit), i, indices, capacity, count);
    return count;
}
