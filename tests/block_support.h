/* block_support.h - rows of quantised blocks made of random bytes with sensible scales, for types that nothing here
 * encodes. */
#ifndef EX_TESTS_BLOCK_SUPPORT_H
#define EX_TESTS_BLOCK_SUPPORT_H

#include "support.h"

#include <string.h>

#include "base/half.h"
#include "base/tensor_type.h"

typedef struct scale_place {
    ex_type type;
    int scale, minimum; /* bytes of the block where halves lie; -1: there is none */
} scale_place;

static const scale_place scale_places[] = {
    {EX_TYPE_Q4_0, 0, -1},    {EX_TYPE_Q4_1, 0, 2},    {EX_TYPE_Q5_0, 0, -1},    {EX_TYPE_Q5_1, 0, 2},
    {EX_TYPE_Q8_0, 0, -1},    {EX_TYPE_Q2_K, 80, 82},  {EX_TYPE_Q3_K, 108, -1},  {EX_TYPE_Q4_K, 0, 2},
    {EX_TYPE_Q5_K, 0, 2},     {EX_TYPE_Q6_K, 208, -1}, {EX_TYPE_IQ4_NL, 0, -1},  {EX_TYPE_IQ4_XS, 0, -1},
    {EX_TYPE_IQ2_XXS, 0, -1}, {EX_TYPE_IQ2_XS, 0, -1}, {EX_TYPE_IQ2_S, 0, -1},   {EX_TYPE_IQ3_XXS, 0, -1},
    {EX_TYPE_IQ3_S, 0, -1},   {EX_TYPE_IQ1_S, 0, -1},  {EX_TYPE_TQ1_0, 52, -1},  {EX_TYPE_TQ2_0, 64, -1},
};

/* Replaces the half precision numbers of a block, or what stands for them (to the next power of two in MXFP4). */
static inline void set_scales(ex_type type, uint8_t *block, float scale, float minimum) {
    const uint16_t halves[2] = {ex_half_from_float(scale), ex_half_from_float(minimum)};
    if (type == EX_TYPE_MXFP4) block[0] = (uint8_t)((ex_float_bits(scale) >> 23 & 255) + 1);
    if (type == EX_TYPE_IQ1_M) /* four bits at a time in the upper halves of every second byte */
        for (int i = 0; i < 4; i++) {
            uint8_t *byte = block + 49 + 2 * i;
            *byte = (uint8_t)((*byte & 15) | (halves[0] >> 4 * i & 15) << 4);
        }
    for (size_t i = 0; i < sizeof scale_places / sizeof *scale_places; i++) {
        if (scale_places[i].type != type) continue;
        memcpy(block + scale_places[i].scale, &halves[0], 2);
        if (scale_places[i].minimum >= 0) memcpy(block + scale_places[i].minimum, &halves[1], 2);
    }
}

static inline void random_bytes(uint8_t *bytes, size_t n, uint64_t *seed) {
    for (size_t i = 0; i < n; i++) bytes[i] = (uint8_t)random_between(seed, 0, 256);
}

/* `n` weights of a quantised type. */
static inline void random_blocks(ex_type type, size_t n, uint8_t *out, uint64_t *seed) {
    const ex_type_shape *shape = ex_type_find(type);
    for (size_t b = 0; b < n / shape->block_elements; b++, out += shape->block_bytes) {
        random_bytes(out, shape->block_bytes, seed);
        double sign = random_between(seed, -1, 1) < 0 ? -1 : 1, scale = random_between(seed, 0.005, 0.02);
        set_scales(type, out, (float)(sign * scale), (float)random_between(seed, -0.1, 0.1));
    }
}

#endif
