/* avx2_matmul_float.c - matrix products with float weights: eight partial sums, element i in sum i mod 8. */
#include "kernel/avx2.h"
#include "kernel/matmul_tiles.h"

#include <string.h>

enum { ROWS = 4, TOKENS = 3 }; /* twelve accumulators, three registers of activations, one of weights */

typedef __m256 (*load_eight)(const void *weights);

ALWAYS_INLINE __m256 load_f32(const void *weights) { return _mm256_loadu_ps(weights); }

ALWAYS_INLINE __m256 load_f16(const void *weights) { return avx2_load_halves(weights); }

ALWAYS_INLINE __m256 load_bf16(const void *weights) {
    __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)weights));
    return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
}

/* The last n < 8 weights of a row, zeros after them, without reading past them. */
ALWAYS_INLINE __m256 load_tail(load_eight load, size_t weight_bytes, const char *weights, size_t n) {
    _Alignas(32) char padded[32] = {0};
    memcpy(padded, weights, n * weight_bytes);
    return load(padded);
}

ALWAYS_INLINE void float_tile(load_eight load, size_t weight_bytes, const char *rows, size_t row_bytes,
                              const ex_activations *x, size_t token, float *out, size_t out_stride, size_t n_rows,
                              size_t n_tokens) {
    const size_t n = x->n_in, n_whole = n - n % 8;
    const float *values = x->values + token * n;
    __m256 sums[ROWS][TOKENS], x_eight[TOKENS];
    UNROLL for (size_t r = 0; r < n_rows; r++)
        UNROLL for (size_t t = 0; t < n_tokens; t++) sums[r][t] = _mm256_setzero_ps();
    for (size_t i = 0; i < n_whole; i += 8) {
        UNROLL for (size_t t = 0; t < n_tokens; t++) x_eight[t] = _mm256_loadu_ps(values + t * n + i);
        UNROLL for (size_t r = 0; r < n_rows; r++) {
            __m256 weights = load(rows + r * row_bytes + i * weight_bytes);
            UNROLL for (size_t t = 0; t < n_tokens; t++) sums[r][t] = _mm256_fmadd_ps(weights, x_eight[t], sums[r][t]);
        }
    }
    if (n_whole < n) {
        UNROLL for (size_t r = 0; r < n_rows; r++) {
            __m256 weights = load_tail(load, weight_bytes, rows + r * row_bytes + n_whole * weight_bytes, n - n_whole);
            UNROLL for (size_t t = 0; t < n_tokens; t++) {
                __m256 tail = avx2_load_or(values + t * n + n_whole, n - n_whole, _mm256_setzero_ps());
                sums[r][t] = _mm256_fmadd_ps(weights, tail, sums[r][t]);
            }
        }
    }
    UNROLL for (size_t r = 0; r < n_rows; r++)
        UNROLL for (size_t t = 0; t < n_tokens; t++) out[t * out_stride + r] = avx2_sum(sums[r][t]);
}

#define F32_TILE(...) float_tile(load_f32, 4, __VA_ARGS__)
#define F16_TILE(...) float_tile(load_f16, 2, __VA_ARGS__)
#define BF16_TILE(...) float_tile(load_bf16, 2, __VA_ARGS__)

EX_DEFINE_MATMUL(ex_avx2_matmul_f32, f32, F32_TILE, ROWS, TOKENS)
EX_DEFINE_MATMUL(ex_avx2_matmul_f16, f16, F16_TILE, ROWS, TOKENS)
EX_DEFINE_MATMUL(ex_avx2_matmul_bf16, bf16, BF16_TILE, ROWS, TOKENS)
