/* avx512_vector.c - passes over one row: activations, norms, memory. */
#include "kernel/avx512.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* ---- activations -------------------------------------------------------------------------------------------- */

/* Sums of the two halves of 32 quants. */
static inline void sum_quants(__m256i quants, int16_t sums[2]) {
    __m256i positive = _mm256_xor_si256(quants, _mm256_set1_epi8(-128)); /* 128 more each */
    __m256i eights = _mm256_sad_epu8(positive, _mm256_setzero_si256());
    __m256i sixteens = _mm256_add_epi32(eights, _mm256_shuffle_epi32(eights, 0x4E));
    sums[0] = (int16_t)(_mm256_extract_epi32(sixteens, 0) - 16 * 128);
    sums[1] = (int16_t)(_mm256_extract_epi32(sixteens, 4) - 16 * 128);
}

/* A block with a NaN or infinity gets the scale NaN, so that the fault reaches the logits, where it is found. */
static inline __m256i quantize_block(const float *values, float *scale) {
    __m512 low = _mm512_loadu_ps(values), high = _mm512_loadu_ps(values + EX_LANES);
    __m512 absolute[2] = {ex_absolute(low), ex_absolute(high)};
    const __m512 infinity = _mm512_set1_ps(INFINITY);
    __mmask16 infinite = _mm512_cmp_ps_mask(absolute[0], infinity, _CMP_NLT_UQ);
    infinite |= _mm512_cmp_ps_mask(absolute[1], infinity, _CMP_NLT_UQ);
    *scale = infinite ? NAN : _mm512_reduce_max_ps(_mm512_max_ps(absolute[0], absolute[1])) / 127;
    if (!(*scale >= FLT_MIN)) { /* nothing, or less than has an inverse */
        if (!infinite) *scale = 0;
        return _mm256_setzero_si256();
    }
    const __m512 inverse = _mm512_set1_ps(1 / *scale);
    __m128i low_quants = _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(_mm512_mul_ps(low, inverse)));
    __m128i high_quants = _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(_mm512_mul_ps(high, inverse)));
    return _mm256_set_m128i(high_quants, low_quants);
}

void ex_avx512_quantize_row(const float *values, size_t n, int8_t *quants, float *scales, int16_t *sums) {
    for (size_t b = 0; b < n / EX_QUANT_BLOCK; b++) {
        __m256i block = quantize_block(values + b * EX_QUANT_BLOCK, &scales[b]);
        _mm256_storeu_si256((void *)(quants + b * EX_QUANT_BLOCK), block);
        sum_quants(block, sums + 2 * b);
    }
}

void ex_avx512_rms_norm(const float *x, const float *weight, size_t n, float epsilon, float *out) {
    __m512d low = _mm512_setzero_pd(), high = low;
    for (size_t i = 0; i < n; i += EX_LANES) {
        __m512 values = _mm512_maskz_loadu_ps(ex_first_lanes(n - i), x + i);
        __m512d a = _mm512_cvtps_pd(_mm512_castps512_ps256(values));
        __m512d b = _mm512_cvtps_pd(_mm512_extractf32x8_ps(values, 1));
        low = _mm512_fmadd_pd(a, a, low);
        high = _mm512_fmadd_pd(b, b, high);
    }
    const double mean = ex_sum_double_lanes(_mm512_add_pd(low, high)) / (double)n;
    const __m512 scale = _mm512_set1_ps((float)(1 / sqrt(mean + (double)epsilon)));
    for (size_t i = 0; i < n; i += EX_LANES) {
        __mmask16 lanes = ex_first_lanes(n - i);
        __m512 values = _mm512_mul_ps(_mm512_maskz_loadu_ps(lanes, x + i), scale);
        _mm512_mask_storeu_ps(out + i, lanes, _mm512_mul_ps(values, _mm512_maskz_loadu_ps(lanes, weight + i)));
    }
}

void ex_avx512_swiglu(float *gate, const float *up, size_t n) {
    for (size_t i = 0; i < n; i += EX_LANES) {
        __mmask16 lanes = ex_first_lanes(n - i);
        __m512 x = _mm512_maskz_loadu_ps(lanes, gate + i);
        __m512 e = ex_exp(_mm512_xor_ps(x, _mm512_set1_ps(-0.0f)));
        __m512 gated = _mm512_div_ps(x, _mm512_add_ps(_mm512_set1_ps(1), e));
        _mm512_mask_storeu_ps(gate + i, lanes, _mm512_mul_ps(gated, _mm512_maskz_loadu_ps(lanes, up + i)));
    }
}

void ex_avx512_add(float *x, const float *y, size_t n) {
    for (size_t i = 0; i < n; i += EX_LANES) {
        __mmask16 lanes = ex_first_lanes(n - i);
        __m512 sum = _mm512_add_ps(_mm512_maskz_loadu_ps(lanes, x + i), _mm512_maskz_loadu_ps(lanes, y + i));
        _mm512_mask_storeu_ps(x + i, lanes, sum);
    }
}

/* ---- memory ------------------------------------------------------------------------------------------------- */

enum {
    STREAMS = 16, /* read side by side: one alone gets two thirds of what the memory gives */
    PREFETCH_BYTES = 512
};

static inline __m512i add_line(__m512i sum, const unsigned char *line) {
    _mm_prefetch((const void *)((uintptr_t)line + PREFETCH_BYTES), _MM_HINT_T0);
    return _mm512_add_epi64(sum, _mm512_loadu_si512(line));
}

uint64_t ex_avx512_read_memory(const void *memory, size_t n_bytes) {
    const unsigned char *bytes = memory;
    const size_t stream = n_bytes / STREAMS / 64 * 64;
    __m512i sums[STREAMS];
    for (size_t s = 0; s < STREAMS; s++) sums[s] = _mm512_setzero_si512();
    for (size_t i = 0; i < stream; i += 64)
        for (size_t s = 0; s < STREAMS; s++) sums[s] = add_line(sums[s], bytes + s * stream + i);
    for (size_t i = STREAMS * stream; i < n_bytes; i += 64) {
        __mmask64 live = n_bytes - i >= 64 ? ~0ULL : (1ULL << (n_bytes - i)) - 1;
        sums[0] = _mm512_add_epi64(sums[0], _mm512_maskz_loadu_epi8(live, bytes + i));
    }
    for (size_t s = 1; s < STREAMS; s++) sums[0] = _mm512_add_epi64(sums[0], sums[s]);
    uint64_t lanes[8], sum = 0;
    _mm512_storeu_si512(lanes, sums[0]);
    for (int i = 0; i < 8; i++) sum += lanes[i];
    return sum;
}
