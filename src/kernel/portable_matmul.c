/* portable_matmul.c - matrix products, the readable reference.
 *
 * Order of operations. Float weights: sixteen partial sums, element i in sum i mod 16, folded in halves at the end.
 * Quantised weights: the products of a block are summed exactly, as integers; the blocks' sums are scaled and added in
 * order. Neither depends on how many rows or tokens a call has. */
#include "kernel/formats.h"
#include "kernel/portable.h"

#include "base/half.h"

#include <string.h>

/* ---- float weights ------------------------------------------------------------------------------------------ */

enum {
    LANES = 16,
    CHUNK = 256,   /* weights decoded together: a multiple of every type's block */
    TOKEN_TILE = 8 /* tokens that a decoded chunk serves before it is decoded again */
};

static void add_products(float lanes[LANES], const float *weights, const float *x, size_t n) {
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t lane = 0; lane < LANES; lane++) lanes[lane] += weights[i + lane] * x[i + lane];
    for (size_t lane = 0; i + lane < n; lane++) lanes[lane] += weights[i + lane] * x[i + lane];
}

static float fold(float lanes[LANES]) {
    for (size_t half = LANES / 2; half > 0; half /= 2)
        for (size_t lane = 0; lane < half; lane++) lanes[lane] += lanes[lane + half];
    return lanes[0];
}

/* One row of any type times `n_tokens` <= TOKEN_TILE tokens. */
static void float_row(ex_type type, const char *row, const ex_activations *x, size_t first_token, size_t n_tokens,
                      float *out, size_t out_stride) {
    const ex_type_shape *shape = ex_type_find(type);
    const ex_format *format = ex_format_find(type);
    float lanes[TOKEN_TILE][LANES] = {{0}};
    float chunk[CHUNK];
    for (size_t i = 0; i < x->n_in; i += CHUNK) {
        size_t n = x->n_in - i < CHUNK ? x->n_in - i : CHUNK;
        format->decode(row + i / shape->block_elements * shape->block_bytes, n, chunk);
        for (size_t t = 0; t < n_tokens; t++)
            add_products(lanes[t], chunk, x->values + (first_token + t) * x->n_in + i, n);
    }
    for (size_t t = 0; t < n_tokens; t++) out[t * out_stride] = fold(lanes[t]);
}

static void float_matmul(ex_type type, const void *weights, size_t row_bytes, size_t n_rows, const ex_activations *x,
                         float *out, size_t out_stride) {
    for (size_t r = 0; r < n_rows; r++) {
        const char *row = (const char *)weights + r * row_bytes;
        for (size_t t = 0; t < x->n_tokens; t += TOKEN_TILE) {
            size_t n_tokens = x->n_tokens - t < TOKEN_TILE ? x->n_tokens - t : TOKEN_TILE;
            float_row(type, row, x, t, n_tokens, out + t * out_stride + r, out_stride);
        }
    }
}

void ex_portable_matmul_f32(const void *weights, size_t row_bytes, size_t n_rows, const ex_activations *x, float *out,
                            size_t out_stride) {
    float_matmul(EX_TYPE_F32, weights, row_bytes, n_rows, x, out, out_stride);
}

void ex_portable_matmul_f16(const void *weights, size_t row_bytes, size_t n_rows, const ex_activations *x, float *out,
                            size_t out_stride) {
    float_matmul(EX_TYPE_F16, weights, row_bytes, n_rows, x, out, out_stride);
}

void ex_portable_matmul_bf16(const void *weights, size_t row_bytes, size_t n_rows, const ex_activations *x, float *out,
                             size_t out_stride) {
    float_matmul(EX_TYPE_BF16, weights, row_bytes, n_rows, x, out, out_stride);
}

/* ---- quantised weights -------------------------------------------------------------------------------------- */

typedef struct quantised { /* one token's activations */
    const int8_t *quants;
    const float *scales;
    const int16_t *sums;
} quantised;

/* From activation i on. */
static quantised token_at(const ex_activations *x, size_t token, size_t i) {
    size_t at = token * x->n_in + i;
    return (quantised){x->quants + at, x->scales + at / EX_QUANT_BLOCK, x->sums + at / EX_SUM_BLOCK};
}

typedef float (*row_dot)(const void *row, quantised x, size_t n);

static float dot_q8_0(const void *row, quantised x, size_t n) {
    const ex_block_q8_0 *block = row;
    float sum = 0;
    for (size_t b = 0; b < n / 32; b++, block++, x.quants += 32) {
        int products = 0;
        for (int i = 0; i < 32; i++) products += block->quants[i] * x.quants[i];
        sum += ex_half_to_float(block->scale) * x.scales[b] * (float)products;
    }
    return sum;
}

static float dot_q4_0(const void *row, quantised x, size_t n) {
    const ex_block_q4_0 *block = row;
    float sum = 0;
    for (size_t b = 0; b < n / 32; b++, block++, x.quants += 32) {
        int products = -8 * (x.sums[2 * b] + x.sums[2 * b + 1]);
        for (int i = 0; i < 16; i++) {
            products += (block->quants[i] & 15) * x.quants[i];
            products += (block->quants[i] >> 4) * x.quants[i + 16];
        }
        sum += ex_half_to_float(block->scale) * x.scales[b] * (float)products;
    }
    return sum;
}

static float dot_q4_k(const void *row, quantised x, size_t n) {
    const ex_block_q4_k *block = row;
    float sum = 0;
    for (size_t b = 0; b < n / EX_SUPER_BLOCK; b++, block++) {
        uint8_t scales[8], minimums[8];
        ex_q4_k_scales(block->scales, scales, minimums);
        float scale = ex_half_to_float(block->scale);
        float minimum = ex_half_to_float(block->minimum);
        for (int s = 0; s < 8; s++, x.quants += 32, x.scales++, x.sums += 2) {
            const uint8_t *quants = block->quants + s / 2 * 32;
            int shift = s % 2 * 4, products = 0;
            for (int i = 0; i < 32; i++) products += (quants[i] >> shift & 15) * x.quants[i];
            products *= scales[s];
            int offsets = minimums[s] * (x.sums[0] + x.sums[1]);
            sum += x.scales[0] * (scale * (float)products - minimum * (float)offsets);
        }
    }
    return sum;
}

/* Weights 32 * group to 32 * group + 31 of a block, each still with its offset of 32. */
static void unpack_q6_k(const ex_block_q6_k *block, int group, uint8_t quants[32]) {
    int half = group / 4, quarter = group % 4;
    const uint8_t *low = block->low + half * 64 + quarter % 2 * 32;
    const uint8_t *high = block->high + half * 32;
    for (int i = 0; i < 32; i++)
        quants[i] = (uint8_t)((low[i] >> quarter / 2 * 4 & 15) | (high[i] >> quarter * 2 & 3) << 4);
}

static float dot_q6_k(const void *row, quantised x, size_t n) {
    const ex_block_q6_k *block = row;
    float sum = 0;
    for (size_t b = 0; b < n / EX_SUPER_BLOCK; b++, block++) {
        float scale = ex_half_to_float(block->scale);
        for (int group = 0; group < 8; group++, x.quants += 32, x.scales++, x.sums += 2) {
            uint8_t quants[32];
            unpack_q6_k(block, group, quants);
            int first = -32 * x.sums[0], second = -32 * x.sums[1];
            for (int i = 0; i < 16; i++) {
                first += quants[i] * x.quants[i];
                second += quants[i + 16] * x.quants[i + 16];
            }
            int products = block->scales[group * 2] * first + block->scales[group * 2 + 1] * second;
            sum += scale * x.scales[0] * (float)products;
        }
    }
    return sum;
}

static void integer_matmul(row_dot dot, const void *weights, size_t row_bytes, size_t n_rows, const ex_activations *x,
                           float *out, size_t out_stride) {
    for (size_t r = 0; r < n_rows; r++) {
        const char *row = (const char *)weights + r * row_bytes;
        for (size_t t = 0; t < x->n_tokens; t++) {
            out[t * out_stride + r] = dot(row, token_at(x, t, 0), x->n_in);
        }
    }
}

void ex_portable_matmul_q8_0(const void *weights, size_t row_bytes, size_t n_rows, const ex_activations *x, float *out,
                             size_t out_stride) {
    integer_matmul(dot_q8_0, weights, row_bytes, n_rows, x, out, out_stride);
}

void ex_portable_matmul_q4_0(const void *weights, size_t row_bytes, size_t n_rows, const ex_activations *x, float *out,
                             size_t out_stride) {
    integer_matmul(dot_q4_0, weights, row_bytes, n_rows, x, out, out_stride);
}

void ex_portable_matmul_q4_k(const void *weights, size_t row_bytes, size_t n_rows, const ex_activations *x, float *out,
                             size_t out_stride) {
    integer_matmul(dot_q4_k, weights, row_bytes, n_rows, x, out, out_stride);
}

void ex_portable_matmul_q6_k(const void *weights, size_t row_bytes, size_t n_rows, const ex_activations *x, float *out,
                             size_t out_stride) {
    integer_matmul(dot_q6_k, weights, row_bytes, n_rows, x, out, out_stride);
}

/* ---- types that are unpacked --------------------------------------------------------------------------------- */

/* The sum goes on from `sum`, 32 weights at a time. */
static float dot_unpacked(const ex_unpacked *weights, bool minimums, quantised x, size_t n, float sum) {
    for (size_t b = 0; b < n / EX_QUANT_BLOCK; b++) {
        float block = 0;
        for (size_t s = 2 * b; s < 2 * b + 2; s++) {
            int products = 0;
            for (size_t i = s * EX_SUM_BLOCK; i < (s + 1) * EX_SUM_BLOCK; i++)
                products += weights->quants[i] * x.quants[i];
            block += weights->scales[s] * (float)products;
            if (minimums) block -= weights->minimums[s] * (float)x.sums[s];
        }
        sum += x.scales[b] * block;
    }
    return sum;
}

/* One row times `n_tokens` <= TOKEN_TILE tokens. */
static void unpacked_row(const ex_packing *packing, const char *row, const ex_activations *x, size_t first_token,
                         size_t n_tokens, float *out, size_t out_stride) {
    ex_unpacked weights;
    float sums[TOKEN_TILE] = {0};
    for (size_t i = 0; i < x->n_in; i += EX_SUPER_BLOCK) {
        size_t n = x->n_in - i < EX_SUPER_BLOCK ? x->n_in - i : EX_SUPER_BLOCK;
        packing->unpack(row + i / packing->weights * packing->bytes, n / packing->weights, &weights);
        for (size_t t = 0; t < n_tokens; t++)
            sums[t] = dot_unpacked(&weights, packing->minimums, token_at(x, first_token + t, i), n, sums[t]);
    }
    for (size_t t = 0; t < n_tokens; t++) out[t * out_stride] = sums[t];
}

static void unpacked_matmul(ex_type type, const void *weights, size_t row_bytes, size_t n_rows,
                            const ex_activations *x, float *out, size_t out_stride) {
    const ex_packing *packing = ex_packing_find(type);
    for (size_t r = 0; r < n_rows; r++) {
        const char *row = (const char *)weights + r * row_bytes;
        for (size_t t = 0; t < x->n_tokens; t += TOKEN_TILE) {
            size_t n_tokens = x->n_tokens - t < TOKEN_TILE ? x->n_tokens - t : TOKEN_TILE;
            unpacked_row(packing, row, x, t, n_tokens, out + t * out_stride + r, out_stride);
        }
    }
}

#define MATMUL(type, name)                                                                                             \
    void ex_portable_matmul_##name(const void *weights, size_t row_bytes, size_t n_rows, const ex_activations *x,      \
                                   float *out, size_t out_stride) {                                                    \
        unpacked_matmul(EX_TYPE_##type, weights, row_bytes, n_rows, x, out, out_stride);                               \
    }
EX_UNPACKED_TYPES(MATMUL)
