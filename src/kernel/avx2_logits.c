/* avx2_logits.c - passes over the logits for the sampler. */
#include "kernel/avx2.h"

#include <math.h>

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

/* ---- sums of exponentials ----------------------------------------------------------------------------------- */

enum { SCALE_EXPONENT = 28 }; /* weights are e^y · 2^28, so that single precision has them all from -103 to 64 */

/* Bits of 2^(j/8), less j · 2^20: see `exponential`; and what single precision has lost of each, relative to it. */
static const int32_t eighths[8] = {0x3F800000, 0x3F7B95C2, 0x3F7837F0, 0x3F75FED7,
                                   0x3F7504F3, 0x3F75672A, 0x3F7744FD, 0x3F7AC0C7};
static const float eighth_errors[8] = {0,               -0x1.9c0c22p-27f, 0x1.125002p-25f,  -0x1.0a3550p-25f,
                                       0x1.26055cp-26f, 0x1.67a1cap-28f,  -0x1.f9c304p-27f, -0x1.a5217cp-28f};

/* e^y · 2^28 as power · (1 + minus_one), for y in [-103, 64] or NaN; y = k ln 2 / 8 + r. Adding `magic` rounds to the
 * integer k = 8 n + j and leaves it in the lowest bits of the sum. The last three, j, choose 2^(j/8) from the table;
 * all of k, shifted to where the lowest bit of n meets the exponent's, multiplies by 2^n, and what j adds below, the
 * table has less. The first r, with k fused to a number of 24 bits near ln 2 / 8, is exact. Roundings of numbers below
 * 2^-4 come to 6e-9 of e^y at most; the polynomial 1 + r + r² q(r) adds 1.7e-10. */
ALWAYS_INLINE __m256 exponential(__m256 y, __m256 *power) {
    const __m256 magic = _mm256_set1_ps(0x1.8p23f);
    __m256 shifted = _mm256_fmadd_ps(y, _mm256_set1_ps(0x1.715476p+3f), magic);
    __m256 k = _mm256_sub_ps(shifted, magic);
    __m256i index = _mm256_castps_si256(shifted);
    __m256i table = _mm256_loadu_si256((const void *)eighths);
    table = _mm256_add_epi32(table, _mm256_set1_epi32(SCALE_EXPONENT << 23));
    __m256i bits = _mm256_add_epi32(_mm256_permutevar8x32_epi32(table, index), _mm256_slli_epi32(index, 20));
    *power = _mm256_castsi256_ps(bits);
    __m256 r = _mm256_fnmadd_ps(k, _mm256_set1_ps(0x1.62e430p-4f), y);
    __m256 error = _mm256_permutevar8x32_ps(_mm256_loadu_ps(eighth_errors), index);
    r = _mm256_add_ps(r, _mm256_fnmadd_ps(k, _mm256_set1_ps(-0x1.05c610p-32f), error));
    __m256 q = _mm256_set1_ps(0.041660419049454195f);
    q = _mm256_fmadd_ps(q, r, _mm256_set1_ps(0.1666802859378912f));
    q = _mm256_fmadd_ps(q, r, _mm256_set1_ps(0.5000000128032888f));
    return _mm256_fmadd_ps(_mm256_mul_ps(r, r), q, r);
}

typedef struct moments { /* four lanes of each sum */
    __m256d sum, sum_y, sum_y_squared;
} moments;

/* The weight is put together in double precision, so that the sums keep what single precision would round away. */
ALWAYS_INLINE void add_four(moments *to, __m256d minus_one, __m256d power, __m256d y) {
    __m256d e = _mm256_fmadd_pd(minus_one, power, power);
    __m256d e_y = _mm256_mul_pd(e, y);
    to->sum = _mm256_add_pd(to->sum, e);
    to->sum_y = _mm256_add_pd(to->sum_y, e_y);
    to->sum_y_squared = _mm256_fmadd_pd(e_y, y, to->sum_y_squared);
}

/* Values of one block, at most EX_LOGITS_BLOCK. Returns their maximum. What lies below -103 is nothing beside the
 * maximum. Of two operands, NaN passes as the second. */
ALWAYS_INLINE __m256 add_block(moments to[2], const float *values, size_t n, __m256 pivot) {
    const __m256 nothing = _mm256_set1_ps(-INFINITY), lowest = _mm256_set1_ps(-103);
    __m256 maximum = nothing;
    for (size_t i = 0; i < n; i += 8) {
        __m256 eight = avx2_load_or(values + i, n - i, nothing), power;
        maximum = _mm256_max_ps(eight, maximum);
        __m256 y = _mm256_max_ps(lowest, _mm256_sub_ps(eight, pivot));
        __m256 minus_one = exponential(y, &power);
        add_four(&to[0], avx2_low_pd(minus_one), avx2_low_pd(power), avx2_low_pd(y));
        add_four(&to[1], avx2_high_pd(minus_one), avx2_high_pd(power), avx2_high_pd(y));
    }
    return maximum;
}

static ex_pivot_sums pivot_pass(const float *values, size_t n, float pivot, float *block_maxima) {
    const moments zero = {_mm256_setzero_pd(), _mm256_setzero_pd(), _mm256_setzero_pd()};
    moments sums[2] = {zero, zero};
    __m256 maximum = _mm256_set1_ps(-INFINITY);
    for (size_t i = 0; i < n; i += EX_LOGITS_BLOCK) {
        __m256 of_block = add_block(sums, values + i, n - i < EX_LOGITS_BLOCK ? n - i : EX_LOGITS_BLOCK,
                                    _mm256_set1_ps(pivot));
        maximum = _mm256_max_ps(maximum, of_block);
        if (block_maxima) block_maxima[i / EX_LOGITS_BLOCK] = avx2_maximum_of(of_block);
    }
    return (ex_pivot_sums){avx2_maximum_of(maximum), avx2_sum_pd(_mm256_add_pd(sums[0].sum, sums[1].sum)),
                           avx2_sum_pd(_mm256_add_pd(sums[0].sum_y, sums[1].sum_y)),
                           avx2_sum_pd(_mm256_add_pd(sums[0].sum_y_squared, sums[1].sum_y_squared))};
}

ex_exponential_sums ex_avx2_exponential_sums(const float *values, size_t n, float *block_maxima) {
    return ex_sums_by_pivot(pivot_pass, SCALE_EXPONENT, values, n, block_maxima);
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
