/* avx512_matmul_few.c - products of packed rows with a few tokens: two groups of sixteen rows, whose chunks were just
 * unpacked and are in the first-level cache, meet up to six tokens. Two groups, because each four activations are then
 * loaded for two products: with one group loads are the limit. Bits are those of the kernel for one token. */
#include "kernel/avx512_matmul.h"

enum { GROUPS = 2 };

typedef __m512i tile_dots[GROUPS][EX_FEW_TOKENS];

/* Sums of the products of the n columns that have scale number i. `bias`: what they begin with, if there is no zero. */
EX_INLINE void dot_columns(const ex_chunk *weights, const ex_chunk_tokens *tokens, bool has_zero, int32_t bias,
                           size_t n_tokens, size_t i, size_t n, tile_dots dots) {
#pragma GCC unroll 6
    for (size_t t = 0; t < n_tokens; t++) {
        const __m512i start = _mm512_set1_epi32(has_zero ? tokens->terms[t].starts[i] : bias);
#pragma GCC unroll 2
        for (size_t g = 0; g < GROUPS; g++) dots[g][t] = start;
    }
#pragma GCC unroll 8
    for (size_t k = 0; k < n; k++) {
        __m512i quants[GROUPS];
#pragma GCC unroll 2
        for (size_t g = 0; g < GROUPS; g++) quants[g] = _mm512_load_si512(weights[g].quants[n * i + k]);
#pragma GCC unroll 6
        for (size_t t = 0; t < n_tokens; t++) {
            int32_t four;
            memcpy(&four, tokens->quants[t] + 4 * (n * i + k), sizeof four);
            const __m512i same = _mm512_set1_epi32(four);
#pragma GCC unroll 2
            for (size_t g = 0; g < GROUPS; g++) dots[g][t] = _mm512_dpbusd_epi32(dots[g][t], quants[g], same);
        }
    }
}

/* The same, scaled, where sums begin with the bias. */
EX_INLINE void multiply_columns(const ex_chunk *weights, const ex_chunk_tokens *tokens, bool has_zero, size_t n_tokens,
                                size_t i, size_t n, __m512 scaled[GROUPS][EX_FEW_TOKENS]) {
    tile_dots dots;
    dot_columns(weights, tokens, has_zero, EX_BIAS_BITS, n_tokens, i, n, dots);
#pragma GCC unroll 2
    for (size_t g = 0; g < GROUPS; g++) {
        const __m512 scales = _mm512_load_ps(weights[g].scales[i]);
        const __m512 offsets = _mm512_mul_ps(scales, _mm512_set1_ps(-EX_BIAS));
#pragma GCC unroll 6
        for (size_t t = 0; t < n_tokens; t++) scaled[g][t] = ex_scale_biased(dots[g][t], scales, offsets);
    }
}

EX_INLINE void add_block(ex_chunk_kind kind, const ex_chunk *weights, const ex_chunk_tokens *tokens, size_t n_tokens,
                         size_t b, __m512 sums[GROUPS][EX_FEW_TOKENS]) {
    const bool minimums = kind == EX_CHUNK_MINIMUM, halves = kind == EX_CHUNK_TWO_SCALES;
    __m512 scaled[GROUPS][EX_FEW_TOKENS];
    tile_dots second;
    multiply_columns(weights, tokens, !minimums, n_tokens, halves ? 2 * b : b, halves ? 4 : 8, scaled);
    if (halves) dot_columns(weights, tokens, true, 0, n_tokens, 2 * b + 1, 4, second);
#pragma GCC unroll 2
    for (size_t g = 0; g < GROUPS; g++)
#pragma GCC unroll 6
        for (size_t t = 0; t < n_tokens; t++) {
            const float scale = tokens->scales[t][b];
            sums[g][t] = halves ? ex_add_halves(sums[g][t], scaled[g][t], second[g][t],
                                                _mm512_load_ps(weights[g].scales[2 * b + 1]), scale)
                                : ex_add_block(sums[g][t], scaled[g][t], scale);
            if (minimums)
                sums[g][t] = ex_subtract_minimum(sums[g][t], _mm512_load_ps(weights[g].minimums[b]),
                                                 tokens->terms[t].sums[b]);
        }
}

EX_INLINE void multiply_kept(ex_chunk_kind kind, const ex_chunk *weights, size_t n_blocks,
                             const ex_chunk_tokens *tokens, size_t n_tokens, ex_lane_sums *const out[GROUPS]) {
    __m512 sums[GROUPS][EX_FEW_TOKENS];
#pragma GCC unroll 2
    for (size_t g = 0; g < GROUPS; g++)
#pragma GCC unroll 6
        for (size_t t = 0; t < n_tokens; t++) sums[g][t] = _mm512_load_ps(out[g][t]);
#pragma GCC unroll 1
    for (size_t b = 0; b < n_blocks; b++) add_block(kind, weights, tokens, n_tokens, b, sums);
#pragma GCC unroll 2
    for (size_t g = 0; g < GROUPS; g++)
#pragma GCC unroll 6
        for (size_t t = 0; t < n_tokens; t++) _mm512_store_ps(out[g][t], sums[g][t]);
}

typedef void multiply_function(const ex_chunk *weights, size_t n_blocks, const ex_chunk_tokens *tokens,
                               ex_lane_sums *const sums[GROUPS]);

#define TILE(kind, n)                                                                                                  \
    static void multiply_##kind##_##n(const ex_chunk *weights, size_t n_blocks, const ex_chunk_tokens *tokens,         \
                                      ex_lane_sums *const sums[GROUPS]) {                                              \
        multiply_kept(EX_CHUNK_##kind, weights, n_blocks, tokens, n, sums);                                            \
    }
#define TILES(kind) TILE(kind, 3) TILE(kind, 4) TILE(kind, 5) TILE(kind, 6)
TILES(ONE_SCALE)
TILES(TWO_SCALES)
TILES(MINIMUM)

#define TILE_ROW(kind)                                                                                                 \
    [EX_CHUNK_##kind] = {[3] = multiply_##kind##_3, multiply_##kind##_4, multiply_##kind##_5, multiply_##kind##_6}

void ex_multiply_kept(ex_chunk_kind kind, const ex_chunk weights[GROUPS], size_t n_blocks,
                      const ex_chunk_tokens *tokens, size_t n_tokens, ex_lane_sums *const sums[GROUPS]) {
    static multiply_function *const multiply[][EX_FEW_TOKENS + 1] = {TILE_ROW(ONE_SCALE), TILE_ROW(TWO_SCALES),
                                                                     TILE_ROW(MINIMUM)};
    multiply[kind][n_tokens](weights, n_blocks, tokens, sums);
}
