/* formats.h - the blocks of quantised tensors as they lie in a file: little-endian, packed, a scale for every block.
 * Half precision numbers are kept as their bits. The structures need an alignment of two bytes at most. */
#ifndef EX_KERNEL_FORMATS_H
#define EX_KERNEL_FORMATS_H

#include <stddef.h>
#include <stdint.h>

enum {
    EX_SUPER_BLOCK = 256,   /* weights in a block of the _K types */
    EX_Q4_K_SCALE_BYTES = 12
};

typedef struct ex_block_q8_0 { /* scale * quants[i] */
    uint16_t scale;
    int8_t quants[32];
} ex_block_q8_0;

/* scale * (nibble - 8); low nibbles are weights 0 to 15, high ones 16 to 31 */
typedef struct ex_block_q4_0 {
    uint16_t scale;
    uint8_t quants[16];
} ex_block_q4_0;

/* Eight sub-blocks of 32: scale * scales[s] * nibble - minimum * minimums[s]. Of each 64 weights, the low nibbles of
 * 32 bytes are the first half and the high nibbles the second. */
typedef struct ex_block_q4_k {
    uint16_t scale, minimum;
    uint8_t scales[EX_Q4_K_SCALE_BYTES]; /* eight scales and eight minimums of 6 bits: ex_q4_k_scales */
    uint8_t quants[128];
} ex_block_q4_k;

/* Sixteen sub-blocks of 16: scale * scales[s] * (6 bits - 32). Of each 128 weights, byte l of `low` has the low four
 * bits of weight l and (high nibble) l + 64, byte l of `high` the top two bits of l, l + 32, l + 64 and l + 96. */
typedef struct ex_block_q6_k {
    uint8_t low[128];
    uint8_t high[64];
    int8_t scales[16];
    uint16_t scale;
} ex_block_q6_k;

_Static_assert(sizeof(ex_block_q8_0) == 34, "Q8_0 has 34 bytes");
_Static_assert(sizeof(ex_block_q4_0) == 18, "Q4_0 has 18 bytes");
_Static_assert(sizeof(ex_block_q4_k) == 144, "Q4_K has 144 bytes");
_Static_assert(sizeof(ex_block_q6_k) == 210, "Q6_K has 210 bytes");

/* The 6-bit scales and minimums of a Q4_K block, one byte each. The first four of each lie in the low six bits of bytes
 * 0 to 3 and 4 to 7; the others have their low four bits in bytes 8 to 11 and their top two above the first four. */
static inline void ex_q4_k_scales(const uint8_t packed[EX_Q4_K_SCALE_BYTES], uint8_t scales[8], uint8_t minimums[8]) {
    for (int i = 0; i < 4; i++) {
        scales[i] = packed[i] & 63;
        minimums[i] = packed[i + 4] & 63;
        scales[i + 4] = (uint8_t)((packed[i + 8] & 15) | (packed[i] >> 6) << 4);
        minimums[i + 4] = (uint8_t)(packed[i + 8] >> 4 | (packed[i + 4] >> 6) << 4);
    }
}

void ex_decode_f32(const void *row, size_t n, float *out);
void ex_decode_f16(const void *row, size_t n, float *out);
void ex_decode_bf16(const void *row, size_t n, float *out);
void ex_decode_q8_0(const void *row, size_t n, float *out);
void ex_decode_q4_0(const void *row, size_t n, float *out);
void ex_decode_q4_k(const void *row, size_t n, float *out);
void ex_decode_q6_k(const void *row, size_t n, float *out);

/* Rows of finite values. The same values always give the same bytes. */
void ex_encode_f32(const float *values, size_t n, void *row);
void ex_encode_f16(const float *values, size_t n, void *row);
void ex_encode_bf16(const float *values, size_t n, void *row);
void ex_encode_q8_0(const float *values, size_t n, void *row);
void ex_encode_q4_0(const float *values, size_t n, void *row);
void ex_encode_q4_k(const float *values, size_t n, void *row);
void ex_encode_q6_k(const float *values, size_t n, void *row);

#endif
