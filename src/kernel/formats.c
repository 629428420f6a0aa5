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

static const ex_format formats[EX_TYPE_COUNT] = {
    [EX_TYPE_F32] = {ex_decode_f32, ex_encode_f32, false},
    [EX_TYPE_F16] = {ex_decode_f16, ex_encode_f16, false},
    [EX_TYPE_BF16] = {ex_decode_bf16, ex_encode_bf16, false},
    [EX_TYPE_Q8_0] = {ex_decode_q8_0, ex_encode_q8_0, true},
    [EX_TYPE_Q4_0] = {ex_decode_q4_0, ex_encode_q4_0, true},
    [EX_TYPE_Q4_K] = {ex_decode_q4_k, ex_encode_q4_k, true},
    [EX_TYPE_Q6_K] = {ex_decode_q6_k, ex_encode_q6_k, true},
};

const ex_format *ex_format_find(uint32_t type) {
    return type < EX_TYPE_COUNT && formats[type].decode ? &formats[type] : NULL;
}
