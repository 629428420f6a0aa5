/* formats_unpack.c - blocks to bytes and scales (ex_unpack), for the types whose bits are numbers or places in a short
 * list. Those with grids are in formats_unpack_grid.c. */
#include "kernel/formats.h"

#include <string.h>

const int8_t ex_iq4_values[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
const int8_t ex_mxfp4_values[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

static void fill(float *values, size_t n, float value) {
    for (size_t i = 0; i < n; i++) values[i] = value;
}

/* ---- blocks of 32 -------------------------------------------------------------------------------------------- */

static void unpack_nibbles(const uint8_t packed[16], int8_t quants[32]) {
    for (int i = 0; i < 16; i++) {
        quants[i] = (int8_t)(packed[i] & 15);
        quants[i + 16] = (int8_t)(packed[i] >> 4);
    }
}

static void add_fifth_bits(const uint8_t high[4], int8_t quants[32]) {
    for (int i = 0; i < 32; i++) quants[i] = (int8_t)(quants[i] | (high[i / 8] >> i % 8 & 1) << 4);
}

static void unpack_values(const uint8_t packed[16], const int8_t values[16], int8_t quants[32]) {
    for (int i = 0; i < 16; i++) {
        quants[i] = values[packed[i] & 15];
        quants[i + 16] = values[packed[i] >> 4];
    }
}

void ex_unpack_q4_1(const void *blocks, size_t n_blocks, ex_unpacked *out) {
    const ex_block_q4_1 *block = blocks;
    for (size_t b = 0; b < n_blocks; b++, block++) {
        unpack_nibbles(block->quants, out->quants + 32 * b);
        fill(out->scales + 2 * b, 2, ex_half_to_float(block->scale));
        fill(out->minimums + 2 * b, 2, -ex_half_to_float(block->offset));
    }
}

void ex_unpack_q5_0(const void *blocks, size_t n_blocks, ex_unpacked *out) {
    const ex_block_q5_0 *block = blocks;
    for (size_t b = 0; b < n_blocks; b++, block++) {
        int8_t *quants = out->quants + 32 * b;
        unpack_nibbles(block->quants, quants);
        add_fifth_bits(block->high, quants);
        for (int i = 0; i < 32; i++) quants[i] = (int8_t)(quants[i] - 16);
        fill(out->scales + 2 * b, 2, ex_half_to_float(block->scale));
    }
}

void ex_unpack_q5_1(const void *blocks, size_t n_blocks, ex_unpacked *out) {
    const ex_block_q5_1 *block = blocks;
    for (size_t b = 0; b < n_blocks; b++, block++) {
        unpack_nibbles(block->quants, out->quants + 32 * b);
        add_fifth_bits(block->high, out->quants + 32 * b);
        fill(out->scales + 2 * b, 2, ex_half_to_float(block->scale));
        fill(out->minimums + 2 * b, 2, -ex_half_to_float(block->offset));
    }
}

void ex_unpack_iq4_nl(const void *blocks, size_t n_blocks, ex_unpacked *out) {
    const ex_block_iq4_nl *block = blocks;
    for (size_t b = 0; b < n_blocks; b++, block++) {
        unpack_values(block->quants, ex_iq4_values, out->quants + 32 * b);
        fill(out->scales + 2 * b, 2, ex_half_to_float(block->scale));
    }
}

void ex_unpack_mxfp4(const void *blocks, size_t n_blocks, ex_unpacked *out) {
    const ex_block_mxfp4 *block = blocks;
    for (size_t b = 0; b < n_blocks; b++, block++) {
        unpack_values(block->quants, ex_mxfp4_values, out->quants + 32 * b);
        fill(out->scales + 2 * b, 2, ex_mxfp4_scale(block->exponent));
    }
}

/* ---- blocks of 256 ------------------------------------------------------------------------------------------- */

/* Of each 128 weights, byte l has weights l, l + 32, l + 64 and l + 96. */
static void unpack_pairs_of_bits(const uint8_t packed[64], int8_t quants[EX_SUPER_BLOCK]) {
    for (int i = 0; i < EX_SUPER_BLOCK; i++)
        quants[i] = (int8_t)(packed[i / 128 * 32 + i % 32] >> i % 128 / 32 * 2 & 3);
}

void ex_unpack_q2_k(const void *blocks, size_t n_blocks, ex_unpacked *out) {
    const ex_block_q2_k *block = blocks;
    (void)n_blocks; /* is 1 */
    unpack_pairs_of_bits(block->quants, out->quants);
    float scale = ex_half_to_float(block->scale), minimum = ex_half_to_float(block->minimum);
    for (int s = 0; s < 16; s++) {
        out->scales[s] = scale * (float)(block->scales[s] & 15);
        out->minimums[s] = minimum * (float)(block->scales[s] >> 4);
    }
}

void ex_unpack_q3_k(const void *blocks, size_t n_blocks, ex_unpacked *out) {
    const ex_block_q3_k *block = blocks;
    (void)n_blocks;
    unpack_pairs_of_bits(block->quants, out->quants);
    for (int i = 0; i < EX_SUPER_BLOCK; i++)
        out->quants[i] = (int8_t)((out->quants[i] | (block->high[i % 32] >> i / 32 & 1) << 2) - 4);
    float scale = ex_half_to_float(block->scale);
    for (int s = 0; s < 16; s++) {
        int low = block->scales[s % 8] >> s / 8 * 4 & 15, high = block->scales[8 + s % 4] >> s / 4 * 2 & 3;
        out->scales[s] = scale * (float)((low | high << 4) - 32);
    }
}

void ex_unpack_q5_k(const void *blocks, size_t n_blocks, ex_unpacked *out) {
    const ex_block_q5_k *block = blocks;
    (void)n_blocks;
    uint8_t scales[8], minimums[8];
    ex_q4_k_scales(block->scales, scales, minimums);
    float scale = ex_half_to_float(block->scale), minimum = ex_half_to_float(block->minimum);
    for (int s = 0; s < 8; s++) {
        const uint8_t *packed = block->quants + s / 2 * 32;
        for (int i = 0; i < 32; i++)
            out->quants[32 * s + i] = (int8_t)((packed[i] >> s % 2 * 4 & 15) | (block->high[i] >> s & 1) << 4);
        fill(out->scales + 2 * s, 2, scale * (float)scales[s]);
        fill(out->minimums + 2 * s, 2, minimum * (float)minimums[s]);
    }
}

void ex_unpack_iq4_xs(const void *blocks, size_t n_blocks, ex_unpacked *out) {
    const ex_block_iq4_xs *block = blocks;
    (void)n_blocks;
    float scale = ex_half_to_float(block->scale);
    for (int s = 0; s < 8; s++) {
        int low = block->scales_low[s / 2] >> s % 2 * 4 & 15, high = block->scales_high >> 2 * s & 3;
        unpack_values(block->quants + 16 * s, ex_iq4_values, out->quants + 32 * s);
        fill(out->scales + 2 * s, 2, scale * (float)((low | high << 4) - 32));
    }
}

/* Digit n of each of `count` bytes, less 1, for n from 0 to `n_digits`. */
static void unpack_digits(const uint8_t *packed, int count, int n_digits, int8_t *quants) {
    uint8_t fractions[32];
    memcpy(fractions, packed, (size_t)count);
    for (int n = 0; n < n_digits; n++, quants += count)
        for (int i = 0; i < count; i++) {
            int tripled = 3 * fractions[i];
            quants[i] = (int8_t)((tripled >> 8) - 1);
            fractions[i] = (uint8_t)tripled;
        }
}

void ex_unpack_tq1_0(const void *blocks, size_t n_blocks, ex_unpacked *out) {
    const ex_block_tq1_0 *block = blocks;
    (void)n_blocks;
    unpack_digits(block->quants, 32, 5, out->quants);
    unpack_digits(block->quants + 32, 16, 5, out->quants + 160);
    unpack_digits(block->high, 4, 4, out->quants + 240);
    fill(out->scales, 16, ex_half_to_float(block->scale));
}

void ex_unpack_tq2_0(const void *blocks, size_t n_blocks, ex_unpacked *out) {
    const ex_block_tq2_0 *block = blocks;
    (void)n_blocks;
    unpack_pairs_of_bits(block->quants, out->quants);
    for (int i = 0; i < EX_SUPER_BLOCK; i++) out->quants[i] = (int8_t)(out->quants[i] - 1);
    fill(out->scales, 16, ex_half_to_float(block->scale));
}
