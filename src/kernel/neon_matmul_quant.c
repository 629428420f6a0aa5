/* neon_matmul_quant.c - matrix products with quantised weights.
 *
 * sdot adds the products of sixteen bytes in fours, exactly. Of each block of 32 weights four integer sums remain;
 * they are scaled and added to the four lanes of the element's accumulator. Weights get their sign before they are
 * multiplied, so offsets need nothing more; the minimums of Q4_K are subtracted with the activations' sums. */
#include "kernel/formats.h"
#include "kernel/neon.h"
#include "kernel/matmul_tiles.h"

#include <string.h>

enum { ROWS = 4, TOKENS = 4 };

typedef struct tile_inputs { /* activations of a tile's first token, and the distance of the next */
    const int8_t *quants;
    const float *scales;
    const int16_t *sums;
    size_t n_in, n_scales, n_sums;
} tile_inputs;

ALWAYS_INLINE tile_inputs inputs_of(const ex_activations *x, size_t token) {
    size_t n_scales = x->n_in / EX_QUANT_BLOCK, n_sums = x->n_in / EX_SUM_BLOCK;
    return (tile_inputs){x->quants + token * x->n_in, x->scales + token * n_scales, x->sums + token * n_sums,
                         x->n_in, n_scales, n_sums};
}

ALWAYS_INLINE void clear(float32x4_t sums[ROWS][TOKENS], size_t n_rows, size_t n_tokens) {
    UNROLL for (size_t r = 0; r < n_rows; r++)
        UNROLL for (size_t t = 0; t < n_tokens; t++) sums[r][t] = vdupq_n_f32(0);
}

ALWAYS_INLINE void store(float32x4_t sums[ROWS][TOKENS], size_t n_rows, size_t n_tokens, float *out,
                         size_t out_stride) {
    UNROLL for (size_t r = 0; r < n_rows; r++)
        UNROLL for (size_t t = 0; t < n_tokens; t++) out[t * out_stride + r] = neon_sum(sums[r][t]);
}

typedef struct weights32 {
    int8x16_t first, second;
} weights32;

/* sums + factor * (32 weights times the activations at `quants`) */
ALWAYS_INLINE float32x4_t add_products(float32x4_t sums, weights32 weights, const int8_t *quants, float factor) {
    int32x4_t products = vdotq_s32(vdupq_n_s32(0), weights.first, vld1q_s8(quants));
    products = vdotq_s32(products, weights.second, vld1q_s8(quants + 16));
    return vfmaq_n_f32(sums, vcvtq_f32_s32(products), factor);
}

/* ---- Q8_0 and Q4_0: blocks of 32 weights that begin with their scale ----------------------------------------- */

ALWAYS_INLINE weights32 load_q8_0(const char *block) {
    const int8_t *quants = (const int8_t *)block + offsetof(ex_block_q8_0, quants);
    return (weights32){vld1q_s8(quants), vld1q_s8(quants + 16)};
}

ALWAYS_INLINE weights32 load_q4_0(const char *block) {
    uint8x16_t packed = vld1q_u8((const uint8_t *)block + offsetof(ex_block_q4_0, quants));
    const int8x16_t eight = vdupq_n_s8(8);
    return (weights32){vsubq_s8(vreinterpretq_s8_u8(vandq_u8(packed, vdupq_n_u8(15))), eight),
                       vsubq_s8(vreinterpretq_s8_u8(vshrq_n_u8(packed, 4)), eight)};
}

typedef weights32 (*load_block)(const char *block);

ALWAYS_INLINE void block_tile(load_block load, size_t block_bytes, const char *rows, size_t row_bytes,
                              const ex_activations *x, size_t token, float *out, size_t out_stride, size_t n_rows,
                              size_t n_tokens) {
    const tile_inputs in = inputs_of(x, token);
    float32x4_t sums[ROWS][TOKENS];
    clear(sums, n_rows, n_tokens);
    for (size_t b = 0; b < in.n_scales; b++) {
        UNROLL for (size_t r = 0; r < n_rows; r++) {
            const char *block = rows + r * row_bytes + b * block_bytes;
            uint16_t half;
            memcpy(&half, block, sizeof half);
            const float scale = neon_half(half);
            const weights32 weights = load(block);
            UNROLL for (size_t t = 0; t < n_tokens; t++)
                sums[r][t] = add_products(sums[r][t], weights, in.quants + t * in.n_in + b * EX_QUANT_BLOCK,
                                          scale * in.scales[t * in.n_scales + b]);
        }
    }
    store(sums, n_rows, n_tokens, out, out_stride);
}

/* ---- Q4_K --------------------------------------------------------------------------------------------------- */

typedef struct q4_k_scales { /* of the eight sub-blocks, in order */
    neon_eight scales, minimums;
} q4_k_scales;

/* factor * eight bytes */
ALWAYS_INLINE neon_eight scale_bytes(const uint8_t bytes[8], float factor) {
    uint16x8_t wide = vmovl_u8(vld1_u8(bytes));
    return (neon_eight){vmulq_n_f32(vcvtq_f32_u32(vmovl_u16(vget_low_u16(wide))), factor),
                        vmulq_n_f32(vcvtq_f32_u32(vmovl_high_u16(wide)), factor)};
}

ALWAYS_INLINE q4_k_scales load_q4_k_scales(const ex_block_q4_k *block) {
    uint8_t scales[8], minimums[8];
    ex_q4_k_scales(block->scales, scales, minimums);
    return (q4_k_scales){scale_bytes(scales, neon_half(block->scale)),
                         scale_bytes(minimums, neon_half(block->minimum))};
}

/* The eight factors of a block's sub-blocks; the products of minimums and sums are subtracted from `sums`. */
ALWAYS_INLINE float32x4_t start_q4_k(const q4_k_scales *scales, tile_inputs in, size_t t, size_t b, float factors[8],
                                     float32x4_t sums) {
    const neon_eight x_scales = neon_load_eight(in.scales + t * in.n_scales + b * 8);
    const int16_t *x_sums = in.sums + t * in.n_sums + b * 16;
    vst1q_f32(factors, vmulq_f32(scales->scales.low, x_scales.low));
    vst1q_f32(factors + 4, vmulq_f32(scales->scales.high, x_scales.high));
    float32x4_t low_sums = vcvtq_f32_s32(vpaddlq_s16(vld1q_s16(x_sums)));
    float32x4_t high_sums = vcvtq_f32_s32(vpaddlq_s16(vld1q_s16(x_sums + 8)));
    sums = vfmsq_f32(sums, low_sums, vmulq_f32(scales->minimums.low, x_scales.low));
    return vfmsq_f32(sums, high_sums, vmulq_f32(scales->minimums.high, x_scales.high));
}

ALWAYS_INLINE void q4_k_tile(const char *rows, size_t row_bytes, const ex_activations *x, size_t token, float *out,
                             size_t out_stride, size_t n_rows, size_t n_tokens) {
    const tile_inputs in = inputs_of(x, token);
    const uint8x16_t low_nibbles = vdupq_n_u8(15);
    float32x4_t sums[ROWS][TOKENS];
    clear(sums, n_rows, n_tokens);
    for (size_t b = 0; b < in.n_in / EX_SUPER_BLOCK; b++) {
        const ex_block_q4_k *blocks[ROWS];
        float factors[ROWS][TOKENS][8];
        UNROLL for (size_t r = 0; r < n_rows; r++) {
            blocks[r] = (const ex_block_q4_k *)(const void *)(rows + r * row_bytes) + b;
            if (n_tokens == 1) neon_prefetch_ahead(blocks[r], sizeof *blocks[r]);
            q4_k_scales scales = load_q4_k_scales(blocks[r]);
            UNROLL for (size_t t = 0; t < n_tokens; t++)
                sums[r][t] = start_q4_k(&scales, in, t, b, factors[r][t], sums[r][t]);
        }
        for (size_t pair = 0; pair < 4; pair++) {
            UNROLL for (size_t r = 0; r < n_rows; r++) {
                uint8x16_t first = vld1q_u8(blocks[r]->quants + pair * 32);
                uint8x16_t second = vld1q_u8(blocks[r]->quants + pair * 32 + 16);
                weights32 low = {vreinterpretq_s8_u8(vandq_u8(first, low_nibbles)),
                                 vreinterpretq_s8_u8(vandq_u8(second, low_nibbles))};
                weights32 high = {vreinterpretq_s8_u8(vshrq_n_u8(first, 4)),
                                  vreinterpretq_s8_u8(vshrq_n_u8(second, 4))};
                UNROLL for (size_t t = 0; t < n_tokens; t++) {
                    const int8_t *quants = in.quants + t * in.n_in + b * EX_SUPER_BLOCK + pair * 64;
                    sums[r][t] = add_products(sums[r][t], low, quants, factors[r][t][pair * 2]);
                    sums[r][t] = add_products(sums[r][t], high, quants + 32, factors[r][t][pair * 2 + 1]);
                }
            }
        }
    }
    store(sums, n_rows, n_tokens, out, out_stride);
}

/* ---- Q6_K --------------------------------------------------------------------------------------------------- */

/* Low four bits and top two of sixteen weights, in the positions that they have in six bits; offset 32. */
ALWAYS_INLINE int8x16_t join_q6_k(uint8x16_t low, uint8x16_t high) {
    uint8x16_t six = vorrq_u8(low, vandq_u8(high, vdupq_n_u8(0x30)));
    return vsubq_s8(vreinterpretq_s8_u8(six), vdupq_n_s8(32));
}

ALWAYS_INLINE int8x16_t unpack_sixteen(const uint8_t *low, const uint8_t *high, size_t quarter) {
    uint8x16_t four = vld1q_u8(low), two = vld1q_u8(high);
    four = quarter >= 2 ? vshrq_n_u8(four, 4) : vandq_u8(four, vdupq_n_u8(15));
    if (quarter == 0) two = vshlq_n_u8(two, 4);
    if (quarter == 1) two = vshlq_n_u8(two, 2);
    if (quarter == 3) two = vshrq_n_u8(two, 2);
    return join_q6_k(four, two);
}

/* The 32 weights of one quarter of 128. */
ALWAYS_INLINE weights32 unpack_q6_k(const ex_block_q6_k *block, size_t half, size_t quarter) {
    const uint8_t *low = block->low + half * 64 + quarter % 2 * 32, *high = block->high + half * 32;
    return (weights32){unpack_sixteen(low, high, quarter), unpack_sixteen(low + 16, high + 16, quarter)};
}

/* sums + factor * (32 weights, scaled 16 by 16, times the activations at `quants`) */
ALWAYS_INLINE float32x4_t add_scaled(float32x4_t sums, weights32 weights, const int8_t scales[2], const int8_t *quants,
                                     float factor) {
    int32x4_t first = vdotq_s32(vdupq_n_s32(0), weights.first, vld1q_s8(quants));
    int32x4_t second = vdotq_s32(vdupq_n_s32(0), weights.second, vld1q_s8(quants + 16));
    int32x4_t products = vmlaq_n_s32(vmulq_n_s32(first, scales[0]), second, scales[1]);
    return vfmaq_n_f32(sums, vcvtq_f32_s32(products), factor);
}

ALWAYS_INLINE void q6_k_tile(const char *rows, size_t row_bytes, const ex_activations *x, size_t token, float *out,
                             size_t out_stride, size_t n_rows, size_t n_tokens) {
    const tile_inputs in = inputs_of(x, token);
    float32x4_t sums[ROWS][TOKENS];
    clear(sums, n_rows, n_tokens);
    for (size_t b = 0; b < in.n_in / EX_SUPER_BLOCK; b++) {
        const ex_block_q6_k *blocks[ROWS];
        float scales[ROWS];
        UNROLL for (size_t r = 0; r < n_rows; r++) {
            blocks[r] = (const ex_block_q6_k *)(const void *)(rows + r * row_bytes) + b;
            if (n_tokens == 1) neon_prefetch_ahead(blocks[r], sizeof *blocks[r]);
            scales[r] = neon_half(blocks[r]->scale);
        }
        for (size_t half = 0; half < 2; half++) {
            UNROLL for (size_t quarter = 0; quarter < 4; quarter++) {
                size_t group = half * 4 + quarter;
                UNROLL for (size_t r = 0; r < n_rows; r++) {
                    const weights32 weights = unpack_q6_k(blocks[r], half, quarter);
                    UNROLL for (size_t t = 0; t < n_tokens; t++)
                        sums[r][t] = add_scaled(sums[r][t], weights, blocks[r]->scales + group * 2,
                                                in.quants + t * in.n_in + b * EX_SUPER_BLOCK + group * 32,
                                                scales[r] * in.scales[t * in.n_scales + b * 8 + group]);
                }
            }
        }
    }
    store(sums, n_rows, n_tokens, out, out_stride);
}

#define Q8_0_TILE(...) block_tile(load_q8_0, sizeof(ex_block_q8_0), __VA_ARGS__)
#define Q4_0_TILE(...) block_tile(load_q4_0, sizeof(ex_block_q4_0), __VA_ARGS__)

EX_DEFINE_MATMUL(ex_neon_matmul_q8_0, q8_0, Q8_0_TILE, ROWS, TOKENS)
EX_DEFINE_MATMUL(ex_neon_matmul_q4_0, q4_0, Q4_0_TILE, ROWS, TOKENS)
EX_DEFINE_MATMUL(ex_neon_matmul_q4_k, q4_k, q4_k_tile, ROWS, TOKENS)
EX_DEFINE_MATMUL(ex_neon_matmul_q6_k, q6_k, q6_k_tile, ROWS, TOKENS)
