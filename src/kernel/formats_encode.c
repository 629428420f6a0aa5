/* formats_encode.c - writing the types whose blocks need no search. */
#include "kernel/formats.h"

#include "base/half.h"
#include "kernel/formats_round.h"

#include <math.h>
#include <string.h>

void ex_encode_f32(const float *values, size_t n, void *row) { memcpy(row, values, n * sizeof *values); }

void ex_encode_f16(const float *values, size_t n, void *row) {
    uint16_t *halves = row;
    for (size_t i = 0; i < n; i++) halves[i] = ex_half_from_float(values[i]);
}

void ex_encode_bf16(const float *values, size_t n, void *row) {
    uint16_t *out = row;
    for (size_t i = 0; i < n; i++) out[i] = ex_bfloat_from_float(values[i]);
}

void ex_encode_q8_0(const float *values, size_t n, void *row) {
    ex_block_q8_0 *block = row;
    for (size_t b = 0; b < n / 32; b++, block++, values += 32) {
        float inverse;
        block->scale = ex_round_scale(ex_extreme(values, 32) / 127, &inverse);
        for (int i = 0; i < 32; i++) block->quants[i] = (int8_t)(int)ex_round_level(values[i] * inverse, -127, 127);
    }
}

void ex_encode_q4_0(const float *values, size_t n, void *row) {
    ex_block_q4_0 *block = row;
    for (size_t b = 0; b < n / 32; b++, block++, values += 32) {
        float inverse;
        block->scale = ex_round_scale(ex_extreme(values, 32) / -8, &inverse);
        for (int i = 0; i < 16; i++) {
            int low = (int)ex_round_level(values[i] * inverse + 8, 0, 15);
            int high = (int)ex_round_level(values[i + 16] * inverse + 8, 0, 15);
            block->quants[i] = (uint8_t)(low | high << 4);
        }
    }
}
