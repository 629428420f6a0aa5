/* avx2_vector.c - passes over rows of activations, and memory. */
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
