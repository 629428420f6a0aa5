/* neon_matmul_float.c - matrix products with float weights: eight partial sums, element i in sum i mod 8. */
#include "kernel/neon.h"
#include "kernel/matmul_tiles.h"

#include <string.h>

enum { ROWS = 4, TOKENS = 3 }; /* twelve pairs of accumulators, three of activations, one of weights */

typedef neon_eight (*load_eight)(const void *weights);

ALWAYS_INLINE neon_eight load_f32(const void *weights) { return neon_load_eight(weights); }

ALWAYS_INLINE neon_eight load_f16(const void *weights) { return neon_load_halves(weights); }

ALWAYS_INLINE neon_eight load_bf16(const void *weights) {
    uint16x8_t eight = vld1q_u16((const uint16_t *)weights);
    return (neon_eight){vreinterpretq_f32_u32(vshll_n_u16(vget_low_u16(eight), 16)),
                        vreinterpretq_f32_u32(vshll_high_n_u16(eight, 16))};
}

/* The last n < 8 weights of a row, zeros after them, without reading past them. */
ALWAYS_INLINE neon_eight load_tail(load_eight load, size_t weight_bytes, const char *weights, size_t n) {
    _Alignas(16) char padded[32] = {0};
    memcpy(padded, weights, n * weight_bytes);
    return load(padded);
}

ALWAYS_INLINE neon_eight multiply_add(neon_eight sum, neon_eight weights, neon_eight x) {
    return (neon_eight){vfmaq_f32(sum.low, weights.low, x.low), vfmaq_f32(sum.high, weights.high, x.high)};
}

ALWAYS_INLINE void float_tile(load_eight load, size_t weight_bytes, const char *rows, size_t row_bytes,
                              const ex_activations *x, size_t token, float *out, size_t out_stride, size_t n_rows,
                              size_t n_tokens) {
    const size_t n = x->n_in, n_whole = n - n % 8;
    const float *values = x->values + token * n;
    neon_eight sums[ROWS][TOKENS], x_eight[TOKENS];
    UNROLL for (size_t r = 0; r < n_rows; r++)
        UNROLL for (size_t t = 0; t < n_tokens; t++) sums[r][t] = (neon_eight){vdupq_n_f32(0), vdupq_n_f32(0)};
    for (size_t i = 0; i < n_whole; i += 8) {
        UNROLL for (size_t t = 0; t < n_tokens; t++) x_eight[t] = neon_load_eight(values + t * n + i);
        UNROLL for (size_t r = 0; r < n_rows; r++) {
            neon_eight weights = load(rows + r * row_bytes + i * weight_bytes);
            UNROLL for (size_t t = 0; t < n_tokens; t++) sums[r][t] = multiply_add(sums[r][t], weights, x_eight[t]);
        }
    }
    if (n_whole < n) {
        UNROLL for (size_t r = 0; r < n_rows; r++) {
            neon_eight weights = load_tail(load, weight_bytes, rows + r * row_bytes + n_whole * weight_bytes,
                                           n - n_whole);
            UNROLL for (size_t t = 0; t < n_tokens; t++) {
                neon_eight tail = load_tail(load_f32, sizeof *values, (const char *)(values + t * n + n_whole),
                                            n - n_whole);
                sums[r][t] = multiply_add(sums[r][t], weights, tail);
            }
        }
    }
    UNROLL for (size_t r = 0; r < n_rows; r++)
        UNROLL for (size_t t = 0; t < n_tokens; t++)
            out[t * out_stride + r] = neon_sum(vaddq_f32(sums[r][t].low, sums[r][t].high));
}

#define F32_TILE(...) float_tile(load_f32, 4, __VA_ARGS__)
#define F16_TILE(...) float_tile(load_f16, 2, __VA_ARGS__)
#define BF16_TILE(...) float_tile(load_bf16, 2, __VA_ARGS__)

EX_DEFINE_MATMUL(ex_neon_matmul_f32, f32, F32_TILE, ROWS, TOKENS)
EX_DEFINE_MATMUL(ex_neon_matmul_f16, f16, F16_TILE, ROWS, TOKENS)
EX_DEFINE_MATMUL(ex_neon_matmul_bf16, bf16, BF16_TILE, ROWS, TOKENS)
