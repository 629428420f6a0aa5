/* formats_unpack_grid.c - blocks to bytes and scales (ex_unpack), for the types whose weights are points of a grid.
 * Places are masked to the number of bits that the grid has, so no byte of a file can lead out of it. */
#include "kernel/formats.h"

#include "kernel/formats_grids.h"

#include <string.h>

static const uint64_t EVERY_BYTE = 0x0101010101010101;

/* All bits of byte i set where bit i of `signs` is. */
static uint64_t spread_signs(uint32_t signs) {
    uint64_t bits = signs * EVERY_BYTE & 0x8040201008040201;
    return ((bits + 0x7F * EVERY_BYTE) >> 7 & EVERY_BYTE) * 0xFF;
}

/* Eight magnitudes, none of them 0, with signs. */
static void put_signed(uint64_t magnitudes, uint32_t signs, int8_t quants[8]) {
    uint64_t negative = spread_signs(signs);
    uint64_t bytes = (magnitudes ^ negative) + (negative & EVERY_BYTE);
    memcpy(quants, &bytes, sizeof bytes);
}

/* Eight signs from seven bits: the last one makes the number of those set even. */
static uint32_t complete_signs(uint32_t seven) {
    uint32_t parity = seven ^ seven >> 4;
    parity ^= parity >> 2;
    return seven | ((parity ^ parity >> 1) & 1) << 7;
}

static uint32_t read_32(const uint8_t bytes[4]) {
    return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static uint64_t two_of(const uint32_t *grid, size_t first, size_t second) {
    return grid[first] | (uint64_t)grid[second] << 32;
}

/* ---- IQ2 and IQ3 --------------------------------------------------------------------------------------------- */

void ex_unpack_iq2_xxs(const void *blocks, size_t n_blocks, ex_unpacked *out) {
    const ex_block_iq2_xxs *block = blocks;
    (void)n_blocks; /* is 1 */
    float scale = ex_half_to_float(block->scale) * 0.125f;
    for (size_t s = 0; s < 8; s++) {
        const uint8_t *places = block->quants + 8 * s;
        uint32_t signs = read_32(places + 4);
        for (size_t i = 0; i < 4; i++)
            put_signed(ex_grid_iq2_xxs[places[i]], complete_signs(signs >> 7 * i & 127), out->quants + 32 * s + 8 * i);
        out->scales[2 * s] = out->scales[2 * s + 1] = scale * (float)(2 * (signs >> 28) + 1);
    }
}

void ex_unpack_iq2_xs(const void *blocks, size_t n_blocks, ex_unpacked *out) {
    const ex_block_iq2_xs *block = blocks;
    (void)n_blocks;
    float scale = ex_half_to_float(block->scale) * 0.125f;
    for (size_t i = 0; i < 32; i++) {
        uint32_t quant = block->quants[i];
        put_signed(ex_grid_iq2_xs[quant & 511], complete_signs(quant >> 9), out->quants + 8 * i);
    }
    for (size_t s = 0; s < 16; s++) out->scales[s] = scale * (float)(2 * (block->scales[s / 2] >> s % 2 * 4 & 15) + 1);
}

void ex_unpack_iq2_s(const void *blocks, size_t n_blocks, ex_unpacked *out) {
    const ex_block_iq2_s *block = blocks;
    (void)n_blocks;
    float scale = ex_half_to_float(block->scale) * 0.125f;
    for (size_t i = 0; i < 32; i++) {
        size_t place = block->quants[i] | (size_t)(block->high[i / 4] >> i % 4 * 2 & 3) << 8;
        put_signed(ex_grid_iq2_s[place], block->signs[i], out->quants + 8 * i);
    }
    for (size_t s = 0; s < 16; s++) out->scales[s] = scale * (float)(2 * (block->scales[s / 2] >> s % 2 * 4 & 15) + 1);
}

void ex_unpack_iq3_xxs(const void *blocks, size_t n_blocks, ex_unpacked *out) {
    const ex_block_iq3_xxs *block = blocks;
    (void)n_blocks;
    float scale = ex_half_to_float(block->scale) * 0.25f;
    for (size_t s = 0; s < 8; s++) {
        const uint8_t *places = block->quants + 8 * s;
        uint32_t signs = read_32(block->signs + 4 * s);
        for (size_t i = 0; i < 4; i++) {
            uint64_t eight = two_of(ex_grid_iq3_xxs, places[2 * i], places[2 * i + 1]);
            put_signed(eight, complete_signs(signs >> 7 * i & 127), out->quants + 32 * s + 8 * i);
        }
        out->scales[2 * s] = out->scales[2 * s + 1] = scale * (float)(2 * (signs >> 28) + 1);
    }
}

void ex_unpack_iq3_s(const void *blocks, size_t n_blocks, ex_unpacked *out) {
    const ex_block_iq3_s *block = blocks;
    (void)n_blocks;
    float scale = ex_half_to_float(block->scale);
    for (size_t i = 0; i < 32; i++) {
        size_t high = (size_t)block->high[i / 4] >> i % 4 * 2;
        size_t first = block->quants[2 * i] | (high & 1) << 8, second = block->quants[2 * i + 1] | (high >> 1 & 1) << 8;
        put_signed(two_of(ex_grid_iq3_s, first, second), block->signs[i], out->quants + 8 * i);
    }
    for (size_t s = 0; s < 16; s++)
        out->scales[s] = scale * (float)(2 * (block->scales[s / 4] >> s / 2 % 2 * 4 & 15) + 1);
}

/* ---- IQ1 ----------------------------------------------------------------------------------------------------- */

/* Eight weights in eighths: grid value + delta. */
static void put_iq1(size_t place, bool negative_delta, int8_t quants[8]) {
    uint64_t bytes = ex_grid_iq1[place];
    int zero = EX_GRID_IQ1_ZERO + (negative_delta ? 1 : -1);
    for (int i = 0; i < 8; i++) quants[i] = (int8_t)((int)(bytes >> 8 * i & 255) - zero);
}

void ex_unpack_iq1_s(const void *blocks, size_t n_blocks, ex_unpacked *out) {
    const ex_block_iq1_s *block = blocks;
    (void)n_blocks;
    float scale = ex_half_to_float(block->scale) * (1.0f / EX_GRID_IQ1_ONE);
    for (size_t s = 0; s < 8; s++) {
        uint32_t high = block->high[s];
        for (size_t i = 0; i < 4; i++) {
            size_t place = block->quants[4 * s + i] | (high >> 3 * i & 7) << 8;
            put_iq1(place, high >> 15, out->quants + 32 * s + 8 * i);
        }
        out->scales[2 * s] = out->scales[2 * s + 1] = scale * (float)(2 * (high >> 12 & 7) + 1);
    }
}

static float iq1_m_scale(const uint16_t scales[4]) {
    int half = scales[0] >> 12 | scales[1] >> 12 << 4 | scales[2] >> 12 << 8 | scales[3] >> 12 << 12;
    return ex_half_to_float((uint16_t)half);
}

void ex_unpack_iq1_m(const void *blocks, size_t n_blocks, ex_unpacked *out) {
    const ex_block_iq1_m *block = blocks;
    (void)n_blocks;
    float scale = iq1_m_scale(block->scales) * (1.0f / EX_GRID_IQ1_ONE);
    for (size_t i = 0; i < 32; i++) {
        uint32_t high = (uint32_t)block->high[i / 2] >> i % 2 * 4;
        put_iq1(block->quants[i] | (high & 7) << 8, high >> 3 & 1, out->quants + 8 * i);
    }
    for (size_t s = 0; s < 16; s++)
        out->scales[s] = scale * (float)(2 * (block->scales[s / 4] >> s % 4 * 3 & 7) + 1);
}
