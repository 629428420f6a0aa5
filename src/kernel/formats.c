/* formats.c - what the bytes of each tensor type mean: the table of formats and the decoders. */
#include "kernel/formats.h"

#include "base/half.h"
#include "base/tensor_type.h"
#include "kernel/kernel.h"

#include <string.h>

void ex_decode_f32(const void *row, size_t n, float *out) { memcpy(out, row, n * sizeof *out); }

void ex_decode_f16(const void *row, size_t n, float *out) {
    const uint16_t *halves = row;
    for (size_t i = 0; i < n; i++) out[i] = ex_half_to_float(halves[i]);
}

void ex_decode_bf16(const void *row, size_t n, float *out) {
    const uint16_t *values = row;
    for (size_t i = 0; i < n; i++) out[i] = ex_bfloat_to_float(values[i]);
}

void ex_decode_q8_0(const void *row, size_t n, float *out) {
    const ex_block_q8_0 *block = row;
    for (size_t b = 0; b < n / 32; b++, block++, out += 32) {
        float scale = ex_half_to_float(block->scale);
        for (int i = 0; i < 32; i++) out[i] = scale * (float)block->quants[i];
    }
}

void ex_decode_q4_0(const void *row, size_t n, float *out) {
    const ex_block_q4_0 *block = row;
    for (size_t b = 0; b < n / 32; b++, block++, out += 32) {
        float scale = ex_half_to_float(block->scale);
        for (int i = 0; i < 16; i++) {
            out[i] = scale * (float)((block->quants[i] & 15) - 8);
            out[i + 16] = scale * (float)((block->quants[i] >> 4) - 8);
        }
    }
}

void ex_decode_q4_k(const void *row, size_t n, float *out) {
    const ex_block_q4_k *block = row;
    for (size_t b = 0; b < n / EX_SUPER_BLOCK; b++, block++) {
        uint8_t scales[8], minimums[8];
        ex_q4_k_scales(block->scales, scales, minimums);
        float scale = ex_half_to_float(block->scale);
        float minimum = ex_half_to_float(block->minimum);
        for (int s = 0; s < 8; s++, out += 32) {
            const uint8_t *quants = block->quants + s / 2 * 32;
            float sub_scale = scale * (float)scales[s];
            float sub_minimum = minimum * (float)minimums[s];
            int shift = s % 2 * 4;
            for (int i = 0; i < 32; i++) out[i] = sub_scale * (float)(quants[i] >> shift & 15) - sub_minimum;
        }
    }
}

void ex_decode_q6_k(const void *row, size_t n, float *out) {
    const ex_block_q6_k *block = row;
    for (size_t b = 0; b < n / EX_SUPER_BLOCK; b++, block++) {
        float scale = ex_half_to_float(block->scale);
        for (int group = 0; group < 8; group++, out += 32) {
            int half = group / 4, quarter = group % 4;
            const uint8_t *low = block->low + half * 64 + quarter % 2 * 32;
            const uint8_t *high = block->high + half * 32;
            const int8_t *scales = block->scales + group * 2;
            for (int i = 0; i < 32; i++) {
                int quant = (low[i] >> quarter / 2 * 4 & 15) | (high[i] >> quarter * 2 & 3) << 4;
                out[i] = scale * (float)scales[i / 16] * (float)(quant - 32);
            }
        }
    }
}

/* ---- types that are unpacked --------------------------------------------------------------------------------- */

#define PACKING(type, name, weights, minimums)                                                                         \
    [EX_TYPE_##type] = {ex_unpack_##name, weights, sizeof(ex_block_##name), minimums}

static const ex_packing packings[EX_TYPE_COUNT] = {
    PACKING(Q4_1, q4_1, 32, true),          PACKING(Q5_0, q5_0, 32, false),
    PACKING(Q5_1, q5_1, 32, true),          PACKING(IQ4_NL, iq4_nl, 32, false),
    PACKING(MXFP4, mxfp4, 32, false),       PACKING(Q2_K, q2_k, 256, true),
    PACKING(Q3_K, q3_k, 256, false),        PACKING(Q5_K, q5_k, 256, true),
    PACKING(IQ4_XS, iq4_xs, 256, false),    PACKING(IQ2_XXS, iq2_xxs, 256, false),
    PACKING(IQ2_XS, iq2_xs, 256, false),    PACKING(IQ2_S, iq2_s, 256, false),
    PACKING(IQ3_XXS, iq3_xxs, 256, false),  PACKING(IQ3_S, iq3_s, 256, false),
    PACKING(IQ1_S, iq1_s, 256, false),      PACKING(IQ1_M, iq1_m, 256, false),
    PACKING(TQ1_0, tq1_0, 256, false),      PACKING(TQ2_0, tq2_0, 256, false),
};

const ex_packing *ex_packing_find(uint32_t type) {
    return type < EX_TYPE_COUNT && packings[type].unpack ? &packings[type] : NULL;
}

static void decode_unpacked(const ex_packing *packing, const void *row, size_t n, float *out) {
    const char *block = row;
    const size_t per_block = packing->weights;
    ex_unpacked unpacked;
    memset(unpacked.minimums, 0, sizeof unpacked.minimums);
    for (size_t b = 0; b < n / per_block; b++, block += packing->bytes, out += per_block) {
        packing->unpack(block, 1, &unpacked);
        for (size_t i = 0; i < per_block; i++)
            out[i] = unpacked.scales[i / 16] * (float)unpacked.quants[i] - unpacked.minimums[i / 16];
    }
}

#define DECODER(type, name)                                                                                            \
    static void decode_##name(const void *row, size_t n, float *out) {                                                 \
        decode_unpacked(&packings[EX_TYPE_##type], row, n, out);                                                       \
    }
EX_UNPACKED_TYPES(DECODER)

/* ---- the table ----------------------------------------------------------------------------------------------- */

static const ex_format formats[EX_TYPE_COUNT] = {
    [EX_TYPE_F32] = {ex_decode_f32, ex_encode_f32, false},
    [EX_TYPE_F16] = {ex_decode_f16, ex_encode_f16, false},
    [EX_TYPE_BF16] = {ex_decode_bf16, ex_encode_bf16, false},
    [EX_TYPE_Q8_0] = {ex_decode_q8_0, ex_encode_q8_0, true},
    [EX_TYPE_Q4_0] = {ex_decode_q4_0, ex_encode_q4_0, true},
    [EX_TYPE_Q4_K] = {ex_decode_q4_k, ex_encode_q4_k, true},
    [EX_TYPE_Q6_K] = {ex_decode_q6_k, ex_encode_q6_k, true},
    [EX_TYPE_Q4_1] = {decode_q4_1, NULL, true},
    [EX_TYPE_Q5_0] = {decode_q5_0, NULL, true},
    [EX_TYPE_Q5_1] = {decode_q5_1, NULL, true},
    [EX_TYPE_IQ4_NL] = {decode_iq4_nl, NULL, true},
    [EX_TYPE_MXFP4] = {decode_mxfp4, NULL, true},
    [EX_TYPE_Q2_K] = {decode_q2_k, NULL, true},
    [EX_TYPE_Q3_K] = {decode_q3_k, NULL, true},
    [EX_TYPE_Q5_K] = {decode_q5_k, ex_encode_q5_k, true},
    [EX_TYPE_IQ4_XS] = {decode_iq4_xs, NULL, true},
    [EX_TYPE_IQ2_XXS] = {decode_iq2_xxs, NULL, true},
    [EX_TYPE_IQ2_XS] = {decode_iq2_xs, NULL, true},
    [EX_TYPE_IQ2_S] = {decode_iq2_s, NULL, true},
    [EX_TYPE_IQ3_XXS] = {decode_iq3_xxs, NULL, true},
    [EX_TYPE_IQ3_S] = {decode_iq3_s, NULL, true},
    [EX_TYPE_IQ1_S] = {decode_iq1_s, NULL, true},
    [EX_TYPE_IQ1_M] = {decode_iq1_m, NULL, true},
    [EX_TYPE_TQ1_0] = {decode_tq1_0, NULL, true},
    [EX_TYPE_TQ2_0] = {decode_tq2_0, NULL, true},
};

const ex_format *ex_format_find(uint32_t type) {
    return type < EX_TYPE_COUNT && formats[type].decode ? &formats[type] : NULL;
}
