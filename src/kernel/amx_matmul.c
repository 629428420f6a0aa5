/* amx_matmul.c - products of quantised weights with sixteen tokens and more, in tiles of sixteen rows times sixteen
 * tokens.
 *
 * Weights are unpacked as for AVX-512: the columns of a chunk are what a tile of weights holds. A tile instruction
 * makes the sums of one block, which are exact; scales and additions are then those of AVX-512 in the same order. So
 * the bits are those of its table, which also multiplies what does not fill a tile. */
#include "kernel/amx.h"
#include "kernel/avx512_unpack.h"

#include <string.h>

enum {
    GROUPS = 2,      /* of sixteen rows, that meet the same activations one after the other */
    TOKENS_MAX = 256 /* that share one unpacking */
};

/* To GCC 12 a tile load reads no memory, so stores before it could move behind it. */
#define MEMORY_IS_WRITTEN() __asm__ volatile("" ::: "memory")

typedef float tile_sums[AMX_TOKENS][AMX_ROWS];

typedef struct chunk_tokens { /* what a run of tokens brings to a chunk */
    const int8_t *quants;     /* the first token's */
    const float *scales;
    const float (*sums)[EX_CHUNK_SUMS]; /* of activations, as many as the type has minimums */
    size_t n_in, n_blocks;
} chunk_tokens;

/* Sums of activations for each 16 weights, or for each 32. */
static void prepare_sums(ex_chunk_kind kind, const ex_activations *x, size_t token, size_t n_tokens, size_t column,
                         size_t n_blocks, float sums[TOKENS_MAX][EX_CHUNK_SUMS]) {
    for (size_t t = 0; t < n_tokens; t++) {
        const size_t at = (token + t) * x->n_in + column;
        const float *scales = x->scales + at / EX_QUANT_BLOCK;
        const int16_t *halves = x->sums + at / EX_SUM_BLOCK;
        if (kind == EX_CHUNK_MINIMUM)
            for (size_t b = 0; b < n_blocks; b++) sums[t][b] = scales[b] * (float)(halves[2 * b] + halves[2 * b + 1]);
        else
            for (size_t s = 0; s < 2 * n_blocks; s++) sums[t][s] = scales[s / 2] * (float)halves[s];
    }
}

EX_INLINE bool has_minimums(ex_chunk_kind kind) {
    return kind == EX_CHUNK_MINIMUM || kind == EX_CHUNK_TWO_MINIMUMS;
}

EX_INLINE void multiply_block(const ex_chunk *weights, const chunk_tokens *x, size_t b,
                              int32_t dots[AMX_TOKENS][AMX_ROWS]) {
    _tile_zero(AMX_RESULT);
    _tile_loadd(AMX_TOKENS_BLOCK, x->quants + b * EX_QUANT_BLOCK, x->n_in);
    _tile_loadd(AMX_WEIGHTS_BLOCK, weights->quants[8 * b], AMX_ROWS * 4);
    _tile_dpbssd(AMX_RESULT, AMX_TOKENS_BLOCK, AMX_WEIGHTS_BLOCK);
    _tile_stored(AMX_RESULT, dots, AMX_ROWS * sizeof(int32_t));
}

EX_INLINE void multiply_half(const ex_chunk *weights, const chunk_tokens *x, size_t half,
                             int32_t dots[AMX_TOKENS][AMX_ROWS]) {
    _tile_zero(AMX_RESULT);
    _tile_loadd(AMX_TOKENS_HALF, x->quants + half * EX_SUM_BLOCK, x->n_in);
    _tile_loadd(AMX_WEIGHTS_HALF, weights->quants[4 * half], AMX_ROWS * 4);
    _tile_dpbssd(AMX_RESULT, AMX_TOKENS_HALF, AMX_WEIGHTS_HALF);
    _tile_stored(AMX_RESULT, dots, AMX_ROWS * sizeof(int32_t));
}

/* Sixteen rows times sixteen tokens, one chunk; the sums stay in registers. */
EX_INLINE void multiply_tile(ex_chunk_kind kind, const ex_chunk *weights, const chunk_tokens *x, tile_sums out) {
    const bool two_scales = kind == EX_CHUNK_TWO_SCALES || kind == EX_CHUNK_TWO_MINIMUMS;
    const bool minimums = has_minimums(kind);
    const size_t n_scales = x->n_in / EX_QUANT_BLOCK;
    _Alignas(64) int32_t first[AMX_TOKENS][AMX_ROWS], second[AMX_TOKENS][AMX_ROWS];
    __m512 sums[AMX_TOKENS];
#pragma GCC unroll 16
    for (size_t t = 0; t < AMX_TOKENS; t++) sums[t] = _mm512_load_ps(out[t]);
    for (size_t b = 0; b < x->n_blocks; b++) {
        if (two_scales) multiply_half(weights, x, 2 * b, first);
        if (two_scales) multiply_half(weights, x, 2 * b + 1, second);
        else multiply_block(weights, x, b, first);
        const size_t s = two_scales ? 2 * b : b;
        const __m512 scales = _mm512_load_ps(weights->scales[s]);
#pragma GCC unroll 16
        for (size_t t = 0; t < AMX_TOKENS; t++) {
            const float token_scale = x->scales[t * n_scales + b];
            const __m512i dots = _mm512_load_si512(first[t]);
            const __m512 scaled = ex_scale_dots(dots, scales);
            sums[t] = two_scales ? ex_add_halves(sums[t], scaled, _mm512_load_si512(second[t]),
                                                 _mm512_load_ps(weights->scales[s + 1]), token_scale)
                                 : ex_add_block(sums[t], scaled, token_scale);
            if (minimums) sums[t] = ex_subtract_minimum(sums[t], _mm512_load_ps(weights->minimums[s]), x->sums[t][s]);
            if (minimums && two_scales)
                sums[t] = ex_subtract_minimum(sums[t], _mm512_load_ps(weights->minimums[s + 1]), x->sums[t][s + 1]);
        }
    }
#pragma GCC unroll 16
    for (size_t t = 0; t < AMX_TOKENS; t++) _mm512_store_ps(out[t], sums[t]);
}

static void multiply_one_scale(const ex_chunk *weights, const chunk_tokens *x, tile_sums out) {
    multiply_tile(EX_CHUNK_ONE_SCALE, weights, x, out);
}

static void multiply_two_scales(const ex_chunk *weights, const chunk_tokens *x, tile_sums out) {
    multiply_tile(EX_CHUNK_TWO_SCALES, weights, x, out);
}

static void multiply_minimum(const ex_chunk *weights, const chunk_tokens *x, tile_sums out) {
    multiply_tile(EX_CHUNK_MINIMUM, weights, x, out);
}

static void multiply_two_minimums(const ex_chunk *weights, const chunk_tokens *x, tile_sums out) {
    multiply_tile(EX_CHUNK_TWO_MINIMUMS, weights, x, out);
}

typedef void multiply_function(const ex_chunk *weights, const chunk_tokens *x, tile_sums out);

static multiply_function *const multiply[] = {
    [EX_CHUNK_ONE_SCALE] = multiply_one_scale,
    [EX_CHUNK_WIDE_SCALE] = multiply_one_scale,
    [EX_CHUNK_TWO_SCALES] = multiply_two_scales,
    [EX_CHUNK_MINIMUM] = multiply_minimum,
    [EX_CHUNK_TWO_MINIMUMS] = multiply_two_minimums,
};

/* n_groups groups of rows with n_tokens tokens from `token` on, a multiple of AMX_TOKENS and at most TOKENS_MAX. */
static void multiply_groups(const ex_chunk_type *type, const uint8_t *weights, size_t row_bytes, size_t n_groups,
                            const ex_activations *x, size_t token, size_t n_tokens, float *out, size_t out_stride) {
    _Alignas(64) tile_sums sums[GROUPS][TOKENS_MAX / AMX_TOKENS];
    _Alignas(64) float token_sums[TOKENS_MAX][EX_CHUNK_SUMS];
    ex_chunk chunks[GROUPS];
    const size_t n_tiles = n_tokens / AMX_TOKENS;
    for (size_t g = 0; g < n_groups; g++) memset(sums[g], 0, n_tiles * sizeof sums[g][0]);
    for (size_t column = 0, offset = 0; column < x->n_in; column += EX_CHUNK, offset += type->chunk_bytes) {
        const size_t left = (x->n_in - column) / EX_QUANT_BLOCK;
        const size_t n_blocks = left < EX_CHUNK_BLOCKS ? left : EX_CHUNK_BLOCKS;
        if (has_minimums(type->kind))
            prepare_sums(type->kind, x, token, n_tokens, column, n_blocks, token_sums);
        for (size_t g = 0; g < n_groups; g++) {
            const ex_chunk_rows from = ex_group_rows(type, weights, row_bytes, g * AMX_ROWS, offset);
            type->unpack(from, n_blocks, &chunks[g]);
        }
        MEMORY_IS_WRITTEN();
        for (size_t i = 0; i < n_tiles; i++) {
            const size_t at = (token + i * AMX_TOKENS) * x->n_in + column;
            const chunk_tokens tokens = {x->quants + at, x->scales + at / EX_QUANT_BLOCK,
                                         (const float(*)[EX_CHUNK_SUMS])token_sums + i * AMX_TOKENS, x->n_in, n_blocks};
            for (size_t g = 0; g < n_groups; g++) multiply[type->kind](&chunks[g], &tokens, sums[g][i]);
        }
    }
    for (size_t g = 0; g < n_groups; g++)
        for (size_t t = 0; t < n_tokens; t++)
            _mm512_storeu_ps(out + t * out_stride + g * AMX_ROWS,
                             _mm512_load_ps(sums[g][t / AMX_TOKENS][t % AMX_TOKENS]));
}

/* Activations of n_tokens tokens from `token` on. A multiple of sixteen tokens keeps every array aligned. */
static ex_activations some_tokens(const ex_activations *x, size_t token, size_t n_tokens) {
    const size_t at = token * x->n_in;
    return (ex_activations){n_tokens,       x->n_in,
                            x->values + at, x->quants + at,
                            x->scales + at / EX_QUANT_BLOCK, x->sums + at / EX_SUM_BLOCK,
                            NULL};
}

static void matmul(const ex_chunk_type *type, ex_matmul *rest, const uint8_t *weights, size_t row_bytes, size_t n_rows,
                   const ex_activations *x, float *out, size_t out_stride) {
    const size_t n_tiled = x->n_tokens - x->n_tokens % AMX_TOKENS, n_groups = n_rows / AMX_ROWS;
    if (n_tiled > 0 && n_groups > 0) {
        ex_amx_configure();
        for (size_t t = 0; t < n_tiled; t += TOKENS_MAX) {
            const size_t n_tokens = n_tiled - t < TOKENS_MAX ? n_tiled - t : TOKENS_MAX;
            for (size_t g = 0; g < n_groups; g += GROUPS)
                multiply_groups(type, weights + g * AMX_ROWS * row_bytes, row_bytes,
                                n_groups - g < GROUPS ? n_groups - g : GROUPS, x, t, n_tokens,
                                out + t * out_stride + g * AMX_ROWS, out_stride);
        }
        _tile_release();
    }
    const ex_activations tiled = some_tokens(x, 0, n_tiled), ragged = some_tokens(x, n_tiled, x->n_tokens - n_tiled);
    const size_t done = n_groups * AMX_ROWS;
    if (n_tiled > 0 && done < n_rows)
        rest(weights + done * row_bytes, row_bytes, n_rows - done, &tiled, out + done, out_stride);
    if (ragged.n_tokens > 0) rest(weights, row_bytes, n_rows, &ragged, out + n_tiled * out_stride, out_stride);
}

#define MATMUL(type, name)                                                                                             \
    void ex_amx_matmul_##name(const void *weights, size_t row_bytes, size_t n_rows, const ex_activations *x,           \
                              float *out, size_t out_stride) {                                                         \
        matmul(&ex_chunk_##name, ex_avx512_matmul_##name, weights, row_bytes, n_rows, x, out, out_stride);             \
    }
MATMUL(Q8_0, q8_0)
MATMUL(Q4_0, q4_0)
MATMUL(Q4_K, q4_k)
MATMUL(Q6_K, q6_k)
EX_UNPACKED_TYPES(MATMUL)

#define MATMUL_PACKED(name)                                                                                            \
    void ex_amx_matmul_packed_##name(const void *weights, size_t row_bytes, size_t n_rows, const ex_activations *x,    \
                                     float *out, size_t out_stride) {                                                  \
        matmul(&ex_chunk_##name##_packed, ex_avx512_matmul_packed_##name, weights, row_bytes, n_rows, x, out,          \
               out_stride);                                                                                            \
    }
MATMUL_PACKED(q8_0)
MATMUL_PACKED(q4_0)
MATMUL_PACKED(q4_k)
MATMUL_PACKED(q5_k)
MATMUL_PACKED(q6_k)
