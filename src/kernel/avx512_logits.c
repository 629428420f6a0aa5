/* avx512_logits.c - passes over the logits for the sampler. */
#include <math.h>
#include <string.h>

#include "kernel/avx512.h"

float ex_avx512_maximum(const float *values, size_t n) {
    const __m512 lowest = _mm512_set1_ps(-INFINITY);
    __m512 maximum = lowest, other_maximum = lowest;
    __mmask16 not_numbers = 0;
    for (size_t i = 0; i < n; i += 2 * EX_LANES) {
        const size_t left = n - i;
        __m512 first = _mm512_mask_loadu_ps(lowest, ex_first_lanes(left), values + i);
        __m512 second = left > EX_LANES
                            ? _mm512_mask_loadu_ps(lowest, ex_first_lanes(left - EX_LANES), values + i + EX_LANES)
                            : lowest;
        not_numbers |= _mm512_cmp_ps_mask(first, second, _CMP_UNORD_Q);
        maximum = _mm512_max_ps(maximum, first);
        other_maximum = _mm512_max_ps(other_maximum, second);
    }
    return not_numbers ? NAN : _mm512_reduce_max_ps(_mm512_max_ps(maximum, other_maximum));
}

/* ---- sums of exponentials ----------------------------------------------------------------------------------- */

/* Four streams side by side: one alone would wait for its own results, and the processor does not look far enough ahead
 * to begin the next meanwhile. */
enum { STREAMS = 4, STEP = STREAMS * 8 };

static const double factors[16] = { /* c 2^(23/16) 2^((j + 9) mod 16 / 16), c being that of the polynomial */
    0x1.56953ffa5ea22p-1,
    0x1.65c01db04d2aep-1,
    0x1.7596e425671c5p-1,
    0x1.86212fc8b208fp-1,
    0x1.9766f34cebabcp-1,
    0x1.a9707b7a44bb3p-1,
    0x1.bc46732b65699p-1,
    0x1.cff1e777a6331p-2,
    0x1.e47c4c0c7d529p-2,
    0x1.f9ef7fb837e6ep-2,
    0x1.082ae89416bfep-1,
    0x1.13dd01ee5ac45p-1,
    0x1.2013aaaa9fedap-1,
    0x1.2cd4c13b865f1p-1,
    0x1.3a2666988e5eep-1,
    0x1.480f0130071dbp-1,
};

/* e^y for each stream, 0 from -750 down; NaN for -infinity. y = k ln 2 + r, where adding `magic` rounds k to a multiple
 * of 1/16 and leaves its sixteenths in the lowest bits of the sum. Any polynomial of degree 3 in r is c (x³ + p x + q)
 * with x = r + s, which is one operation less, and x costs none if s is a multiple of ln 2 / 16: then it comes with k,
 * and what it does to the powers of 2 comes with the table, as does c. The best s would be next to 1; 23 sixteenths of
 * ln 2 are 0.996. p, q and c have the smallest relative error for that s, 2.2e-9. scalef takes the whole part of k. */
EX_INLINE void exponentials(const __m512d y[STREAMS], __m512d out[STREAMS]) {
    const __m512d magic = _mm512_set1_pd(0x1.8p48), shifted_magic = _mm512_set1_pd(0x1.8p48 + 23.0 / 16);
    const __m512d table_low = _mm512_loadu_pd(factors), table_high = _mm512_loadu_pd(factors + 8);
    __m512d k[STREAMS], x[STREAMS], power[STREAMS];
    for (int s = 0; s < STREAMS; s++) k[s] = _mm512_fmadd_pd(y[s], _mm512_set1_pd(M_LOG2E), magic);
    for (int s = 0; s < STREAMS; s++)
        power[s] = _mm512_permutex2var_pd(table_low, _mm512_castpd_si512(k[s]), table_high);
    for (int s = 0; s < STREAMS; s++) k[s] = _mm512_sub_pd(k[s], shifted_magic);
    for (int s = 0; s < STREAMS; s++) x[s] = _mm512_fnmadd_pd(k[s], _mm512_set1_pd(M_LN2), y[s]);
    for (int s = 0; s < STREAMS; s++) power[s] = _mm512_scalef_pd(power[s], k[s]);
    for (int s = 0; s < STREAMS; s++) out[s] = _mm512_fmadd_pd(x[s], x[s], _mm512_set1_pd(0x1.7ff579450a7c8p+1));
    for (int s = 0; s < STREAMS; s++) out[s] = _mm512_fmadd_pd(out[s], x[s], _mm512_set1_pd(0x1.ffffffc4e0176p+0));
    for (int s = 0; s < STREAMS; s++) out[s] = _mm512_mul_pd(out[s], power[s]);
}

typedef struct moments { /* eight lanes of each sum */
    __m512d sum, sum_y, sum_y_squared;
} moments;

EX_INLINE __m512d add_streams(const __m512d values[STREAMS]) {
    return _mm512_add_pd(_mm512_add_pd(values[0], values[1]), _mm512_add_pd(values[2], values[3]));
}

/* -infinity would be NaN in the sums; `clamped` makes it -750, where e^y is 0. Of two operands, NaN passes as the
 * second. */
EX_INLINE void add_step(moments *to, const float *values, const double *pivot, bool clamped) {
    __m512d y[STREAMS], e[STREAMS];
    for (int s = 0; s < STREAMS; s++) y[s] = _mm512_cvtps_pd(_mm256_loadu_ps(values + s * 8));
    for (int s = 0; s < STREAMS && pivot; s++) y[s] = _mm512_sub_pd(y[s], _mm512_set1_pd(*pivot));
    for (int s = 0; s < STREAMS && clamped; s++) y[s] = _mm512_max_pd(_mm512_set1_pd(-750), y[s]);
    exponentials(y, e);
    to->sum = _mm512_add_pd(to->sum, add_streams(e));
    for (int s = 0; s < STREAMS; s++) e[s] = _mm512_mul_pd(e[s], y[s]);
    to->sum_y = _mm512_add_pd(to->sum_y, add_streams(e));
    for (int s = 0; s < STREAMS; s++) to->sum_y_squared = _mm512_fmadd_pd(e[s], y[s], to->sum_y_squared);
}

static float block_maximum(const float *values) {
    __m512 maximum = _mm512_set1_ps(-INFINITY), other_maximum = maximum;
    for (size_t i = 0; i < EX_LOGITS_BLOCK; i += 2 * EX_LANES) {
        maximum = _mm512_max_ps(_mm512_loadu_ps(values + i), maximum);
        other_maximum = _mm512_max_ps(_mm512_loadu_ps(values + i + EX_LANES), other_maximum);
    }
    return _mm512_reduce_max_ps(_mm512_max_ps(maximum, other_maximum));
}

/* The next block's maximum is wanted as soon as this block is added, so its lines are asked for meanwhile. */
EX_INLINE moments sum_block(const float *values, const double *pivot, bool clamped) {
    const __m512d zero = _mm512_setzero_pd();
    moments sums = {zero, zero, zero};
    for (size_t i = 0; i < EX_LOGITS_BLOCK; i += STEP) {
        const uintptr_t next = (uintptr_t)(values + i) + EX_LOGITS_BLOCK * sizeof *values;
        _mm_prefetch((const void *)next, _MM_HINT_T0);
        _mm_prefetch((const void *)(next + STEP / 2 * sizeof *values), _MM_HINT_T0);
        add_step(&sums, values + i, pivot, clamped);
    }
    return sums;
}

/* A block of fewer values, filled up with -infinity. */
static const float *pad_block(const float *values, size_t n, float padded[EX_LOGITS_BLOCK]) {
    for (size_t i = n; i < EX_LOGITS_BLOCK; i++) padded[i] = -INFINITY;
    return memcpy(padded, values, n * sizeof *values);
}

/* Blocks are added without clamping until one turns out to need it: masks come in numbers. */
EX_INLINE ex_pivot_sums sum_blocks(const float *values, size_t n, const double *pivot, float *block_maxima) {
    const __m512d zero = _mm512_setzero_pd();
    moments sums = {zero, zero, zero}, block = sums;
    float maximum = -INFINITY, padded[EX_LOGITS_BLOCK];
    bool clamped = false;
    for (size_t i = 0; i < n; i += EX_LOGITS_BLOCK) {
        const float *full = n - i < EX_LOGITS_BLOCK ? pad_block(values + i, n - i, padded) : values + i;
        const float of_block = block_maximum(full);
        if (block_maxima) block_maxima[i / EX_LOGITS_BLOCK] = of_block;
        maximum = of_block > maximum ? of_block : maximum;
        if (!clamped) {
            block = sum_block(full, pivot, false);
            clamped = _mm512_cmp_pd_mask(block.sum, block.sum, _CMP_UNORD_Q) != 0;
        }
        if (clamped) block = sum_block(full, pivot, true);
        sums.sum = _mm512_add_pd(sums.sum, block.sum);
        sums.sum_y = _mm512_add_pd(sums.sum_y, block.sum_y);
        sums.sum_y_squared = _mm512_add_pd(sums.sum_y_squared, block.sum_y_squared);
    }
    return (ex_pivot_sums){maximum, ex_sum_double_lanes(sums.sum), ex_sum_double_lanes(sums.sum_y),
                           ex_sum_double_lanes(sums.sum_y_squared)};
}

static ex_pivot_sums pivot_pass(const float *values, size_t n, float pivot, float *block_maxima) {
    const double wide_pivot = (double)pivot;
    return pivot == 0 ? sum_blocks(values, n, NULL, block_maxima) : sum_blocks(values, n, &wide_pivot, block_maxima);
}

ex_exponential_sums ex_avx512_exponential_sums(const float *values, size_t n, float *block_maxima) {
    return ex_sums_by_pivot(pivot_pass, 0, values, n, block_maxima);
}

size_t ex_avx512_select_at_least(const float *values, size_t n, float threshold, int *indices, size_t capacity) {
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512 limit = _mm512_set1_ps(threshold);
    size_t count = 0;
    for (size_t i = 0; i < n; i += EX_LANES) {
        __mmask16 exist = ex_first_lanes(n - i);
        __mmask16 found = _mm512_mask_cmp_ps_mask(exist, _mm512_maskz_loadu_ps(exist, values + i), limit, _CMP_GE_OQ);
        if (!found) continue;
        if (count < capacity) {
            __m512i chosen = _mm512_maskz_compress_epi32(found, _mm512_add_epi32(lanes, _mm512_set1_epi32((int)i)));
            size_t fit = (size_t)__builtin_popcount(found);
            if (fit > capacity - count) fit = capacity - count;
            _mm512_mask_storeu_epi32(indices + count, ex_first_lanes(fit), chosen);
        }
        count += (size_t)__builtin_popcount(found);
    }
    return count;
}
