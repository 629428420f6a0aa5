/* neon_matmul_unpacked.c - matrix products with the types that everything but their unpacking treats alike: 256 weights
 * of a row are unpacked to bytes and scales, which then serve some tokens. */
#include "kernel/formats.h"
#include "kernel/neon.h"

enum { TOKENS = 32 }; /* that share one unpacking */

typedef struct token_place { /* the activations of one token that a chunk of weights meets */
    const int8_t *quants;
    const float *scales;
    const int16_t *sums;
} token_place;

/* scale * (sixteen weights times the activations at `quants`) */
ALWAYS_INLINE float32x4_t multiply_sixteen(const int8_t *weights, const int8_t *quants, float scale) {
    int32x4_t products = vdotq_s32(vdupq_n_s32(0), vld1q_s8(weights), vld1q_s8(quants));
    return vmulq_n_f32(vcvtq_f32_s32(products), scale);
}

/* sum + the products of n_blocks blocks of 32 weights with one token */
ALWAYS_INLINE float32x4_t add_blocks(const ex_unpacked *weights, bool minimums, const token_place *x, size_t n_blocks,
                                     float32x4_t sum) {
    for (size_t b = 0; b < n_blocks; b++) {
        const int8_t *quants = weights->quants + b * EX_QUANT_BLOCK, *x_quants = x->quants + b * EX_QUANT_BLOCK;
        float32x4_t block = multiply_sixteen(quants, x_quants, weights->scales[2 * b]);
        block = vaddq_f32(block, multiply_sixteen(quants + 16, x_quants + 16, weights->scales[2 * b + 1]));
        if (minimums) {
            float offset = weights->minimums[2 * b] * (float)x->sums[2 * b] +
                           weights->minimums[2 * b + 1] * (float)x->sums[2 * b + 1];
            block = vsubq_f32(block, vsetq_lane_f32(offset, vdupq_n_f32(0), 0));
        }
        sum = vfmaq_n_f32(sum, block, x->scales[b]);
    }
    return sum;
}

/* One row times n_tokens <= TOKENS tokens. */
static void multiply_row(const ex_packing *packing, const char *row, const ex_activations *x, size_t token,
                         size_t n_tokens, float *out, size_t out_stride) {
    ex_unpacked weights;
    float32x4_t sums[TOKENS];
    for (size_t t = 0; t < TOKENS; t++) sums[t] = vdupq_n_f32(0);
    for (size_t i = 0; i < x->n_in; i += EX_SUPER_BLOCK) {
        size_t n = x->n_in - i < EX_SUPER_BLOCK ? x->n_in - i : EX_SUPER_BLOCK;
        packing->unpack(row + i / packing->weights * packing->bytes, n / packing->weights, &weights);
        for (size_t t = 0; t < n_tokens; t++) {
            size_t at = (token + t) * x->n_in + i;
            token_place place = {x->quants + at, x->scales + at / EX_QUANT_BLOCK, x->sums + at / EX_SUM_BLOCK};
            sums[t] = packing->minimums ? add_blocks(&weights, true, &place, n / EX_QUANT_BLOCK, sums[t])
                                        : add_blocks(&weights, false, &place, n / EX_QUANT_BLOCK, sums[t]);
        }
    }
    for (size_t t = 0; t < n_tokens; t++) out[t * out_stride] = neon_sum(sums[t]);
}

static void matmul(ex_type type, const void *weights, size_t row_bytes, size_t n_rows, const ex_activations *x,
                   float *out, size_t out_stride) {
    const ex_packing *packing = ex_packing_find(type);
    for (size_t r = 0; r < n_rows; r++) {
        const char *row = (const char *)weights + r * row_bytes;
        for (size_t t = 0; t < x->n_tokens; t += TOKENS) {
            size_t n_tokens = x->n_tokens - t < TOKENS ? x->n_tokens - t : TOKENS;
            multiply_row(packing, row, x, t, n_tokens, out + t * out_stride + r, out_stride);
        }
    }
}

#define MATMUL(type, name)                                                                                             \
    void ex_neon_matmul_##name(const void *weights, size_t row_bytes, size_t n_rows, const ex_activations *x,          \
                               float *out, size_t out_stride) {                                                        \
        matmul(EX_TYPE_##type, weights, row_bytes, n_rows, x, out, out_stride);                                        \
    }
EX_UNPACKED_TYPES(MATMUL)
