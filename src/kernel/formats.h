/* formats.h - the blocks of quantised tensors as they lie in a file: little-endian, packed, a scale for every block.
 * Half precision numbers are kept as their bits. The structures need an alignment of two bytes at most. */
#ifndef EX_KERNEL_FORMATS_H
#define EX_KERNEL_FORMATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/half.h"

enum {
    EX_SUPER_BLOCK = 256,   /* weights in a block of the _K types, and of IQ1, IQ2, IQ3, IQ4_XS and TQ */
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

/* Like Q4_0, with a fifth bit of weight i in bit i of `high`: scale * (5 bits - 16) */
typedef struct ex_block_q5_0 {
    uint16_t scale;
    uint8_t high[4];
    uint8_t quants[16];
} ex_block_q5_0;

/* scale * nibble + offset, in the order of Q4_0 */
typedef struct ex_block_q4_1 {
    uint16_t scale, offset;
    uint8_t quants[16];
} ex_block_q4_1;

/* scale * 5 bits + offset, in the order of Q5_0 */
typedef struct ex_block_q5_1 {
    uint16_t scale, offset;
    uint8_t high[4];
    uint8_t quants[16];
} ex_block_q5_1;

/* scale * ex_iq4_values[nibble], in the order of Q4_0 */
typedef struct ex_block_iq4_nl {
    uint16_t scale;
    uint8_t quants[16];
} ex_block_iq4_nl;

/* 2^(exponent - 128) * ex_mxfp4_values[nibble], in the order of Q4_0 */
typedef struct ex_block_mxfp4 {
    uint8_t exponent;
    uint8_t quants[16];
} ex_block_mxfp4;

/* Sixteen sub-blocks of 16: scale * (low nibble of scales[s]) * 2 bits - minimum * (high nibble). Of each 128 weights,
 * byte l has weights l, l + 32, l + 64 and l + 96 from its lowest bits on. */
typedef struct ex_block_q2_k {
    uint8_t scales[16];
    uint8_t quants[64];
    uint16_t scale, minimum;
} ex_block_q2_k;

/* Sixteen sub-blocks of 16: scale * (scales[s] - 32) * (3 bits - 4). The low two bits lie as in Q2_K; the third of
 * weight l is bit l / 32 of high[l % 32]. Low nibbles of bytes 0 to 7 of `scales`, then high ones, are the low bits of
 * the scales; bytes 8 to 11 have their top two bits, those of scale s in byte 8 + s % 4 from bit s / 4 * 2 on. */
typedef struct ex_block_q3_k {
    uint8_t high[32];
    uint8_t quants[64];
    uint8_t scales[12];
    uint16_t scale;
} ex_block_q3_k;

/* Like Q4_K, with a fifth bit of weight l of sub-block s in bit s of high[l] */
typedef struct ex_block_q5_k {
    uint16_t scale, minimum;
    uint8_t scales[EX_Q4_K_SCALE_BYTES];
    uint8_t high[32];
    uint8_t quants[128];
} ex_block_q5_k;

/* Eight sub-blocks of 32, each in the order of Q4_0: scale * (6 bits - 32) * ex_iq4_values[nibble]. The low four bits
 * of sub-block s's scale are nibble s of `scales_low`, the top two lie from bit 2 s of `scales_high` on. */
typedef struct ex_block_iq4_xs {
    uint16_t scale, scales_high;
    uint8_t scales_low[4];
    uint8_t quants[128];
} ex_block_iq4_xs;

/* The IQ2 and IQ3 types: signs times magnitudes that a grid (formats_grids.h) gives for eight or four weights at once.
 * Sub-blocks have scales of four bits s, worth scale * (s + 1/2) / 4 in IQ2, scale * (s + 1/2) / 2 in IQ3_XXS and
 * scale * (2 s + 1) in IQ3_S. Seven bits stand for eight signs, the last of which makes their number even. */

/* For each 32 weights eight bytes: four places in the grid, then from the lowest bit on four times seven bits of signs
 * and a scale. */
typedef struct ex_block_iq2_xxs {
    uint16_t scale;
    uint8_t quants[64];
} ex_block_iq2_xxs;

/* For each eight weights nine bits of place in the grid and seven of signs; for each sixteen a nibble of `scales`. */
typedef struct ex_block_iq2_xs {
    uint16_t scale;
    uint16_t quants[32];
    uint8_t scales[8];
} ex_block_iq2_xs;

/* For each eight weights ten bits of place, the top two of them in `high`, and eight of signs. */
typedef struct ex_block_iq2_s {
    uint16_t scale;
    uint8_t quants[32];
    uint8_t signs[32];
    uint8_t high[8];
    uint8_t scales[8];
} ex_block_iq2_s;

/* For each 32 weights eight places in the grid; `signs` has for them what IQ2_XXS has. */
typedef struct ex_block_iq3_xxs {
    uint16_t scale;
    uint8_t quants[64];
    uint8_t signs[32];
} ex_block_iq3_xxs;

/* For each four weights nine bits of place, the top one in `high`; for each eight a byte of signs; for each 32 a
 * nibble of `scales`. */
typedef struct ex_block_iq3_s {
    uint16_t scale;
    uint8_t quants[64];
    uint8_t high[8];
    uint8_t signs[32];
    uint8_t scales[4];
} ex_block_iq3_s;

/* Eight sub-blocks of 32: scale * (2 s + 1) * (grid value + delta), eight grid values (-1, 0 or 1) at a time. Element b
 * of `high` has, from the lowest bit on, the top three of the eleven bits of four places, three bits s, and the sign of
 * delta, which is 1/8. */
typedef struct ex_block_iq1_s {
    uint16_t scale;
    uint8_t quants[32];
    uint16_t high[8];
} ex_block_iq1_s;

/* As IQ1_S, but each sixteen weights have their scale and each eight their delta. Nibble g of `high` has the top three
 * bits of place g and the sign of its delta. The elements of `scales` have four scales of three bits each, and in their
 * top nibbles, the lowest first, the half precision scale of the block. */
typedef struct ex_block_iq1_m {
    uint8_t quants[32];
    uint8_t high[16];
    uint16_t scales[4];
} ex_block_iq1_m;

/* scale * (digit - 1). A byte has five base-3 digits (the last four bytes, four) as a fraction of 256: times 3, the
 * first digit stands above the byte. Bytes 0 to 31 have weights 0 to 159, digit n of byte l being weight 32 n + l,
 * bytes 32 to 47 likewise the next 80, and `high` the last 16. */
typedef struct ex_block_tq1_0 {
    uint8_t quants[48];
    uint8_t high[4];
    uint16_t scale;
} ex_block_tq1_0;

/* scale * (2 bits - 1), in the order of Q2_K */
typedef struct ex_block_tq2_0 {
    uint8_t quants[64];
    uint16_t scale;
} ex_block_tq2_0;

_Static_assert(sizeof(ex_block_q8_0) == 34, "Q8_0 has 34 bytes");
_Static_assert(sizeof(ex_block_q4_0) == 18, "Q4_0 has 18 bytes");
_Static_assert(sizeof(ex_block_q4_k) == 144, "Q4_K has 144 bytes");
_Static_assert(sizeof(ex_block_q6_k) == 210, "Q6_K has 210 bytes");
_Static_assert(sizeof(ex_block_q4_1) == 20, "Q4_1 has 20 bytes");
_Static_assert(sizeof(ex_block_q5_0) == 22, "Q5_0 has 22 bytes");
_Static_assert(sizeof(ex_block_q5_1) == 24, "Q5_1 has 24 bytes");
_Static_assert(sizeof(ex_block_iq4_nl) == 18, "IQ4_NL has 18 bytes");
_Static_assert(sizeof(ex_block_mxfp4) == 17, "MXFP4 has 17 bytes");
_Static_assert(sizeof(ex_block_q2_k) == 84, "Q2_K has 84 bytes");
_Static_assert(sizeof(ex_block_q3_k) == 110, "Q3_K has 110 bytes");
_Static_assert(sizeof(ex_block_q5_k) == 176, "Q5_K has 176 bytes");
_Static_assert(sizeof(ex_block_iq4_xs) == 136, "IQ4_XS has 136 bytes");
_Static_assert(sizeof(ex_block_iq2_xxs) == 66, "IQ2_XXS has 66 bytes");
_Static_assert(sizeof(ex_block_iq2_xs) == 74, "IQ2_XS has 74 bytes");
_Static_assert(sizeof(ex_block_iq2_s) == 82, "IQ2_S has 82 bytes");
_Static_assert(sizeof(ex_block_iq3_xxs) == 98, "IQ3_XXS has 98 bytes");
_Static_assert(sizeof(ex_block_iq3_s) == 110, "IQ3_S has 110 bytes");
_Static_assert(sizeof(ex_block_iq1_s) == 50, "IQ1_S has 50 bytes");
_Static_assert(sizeof(ex_block_iq1_m) == 56, "IQ1_M has 56 bytes");
_Static_assert(sizeof(ex_block_tq1_0) == 54, "TQ1_0 has 54 bytes");
_Static_assert(sizeof(ex_block_tq2_0) == 66, "TQ2_0 has 66 bytes");

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

/* What the nibbles of IQ4_NL and IQ4_XS, and of MXFP4, stand for. */
extern const int8_t ex_iq4_values[16], ex_mxfp4_values[16];

/* Of an MXFP4 block: 2^(exponent - 128). */
static inline float ex_mxfp4_scale(uint8_t exponent) {
    uint32_t bits = exponent >= 2 ? (uint32_t)(exponent - 1) << 23 : (uint32_t)0x00200000 << exponent;
    return ex_float_from_bits(bits);
}

/* Up to 256 weights of a row as bytes: weight i = scales[i / 16] * quants[i] - minimums[i / 16]. */
typedef struct ex_unpacked {
    _Alignas(64) int8_t quants[EX_SUPER_BLOCK];
    float scales[EX_SUPER_BLOCK / 16], minimums[EX_SUPER_BLOCK / 16];
} ex_unpacked;

/* Unpacks `n_blocks` blocks of a type, of 256 weights in all at most. Only types with minimums write them. */
typedef void ex_unpack(const void *blocks, size_t n_blocks, ex_unpacked *out);

/* The types that everything but their unpacking treats alike: what X does with the name of each, in both spellings.
 * Decoders, and the matrix products of tables that have nothing better, are made from this list. */
#define EX_UNPACKED_TYPES(X)                                                                                           \
    X(Q4_1, q4_1) X(Q5_0, q5_0) X(Q5_1, q5_1) X(IQ4_NL, iq4_nl) X(MXFP4, mxfp4)                                        \
    X(Q2_K, q2_k) X(Q3_K, q3_k) X(Q5_K, q5_k) X(IQ4_XS, iq4_xs)                                                        \
    X(IQ2_XXS, iq2_xxs) X(IQ2_XS, iq2_xs) X(IQ2_S, iq2_s) X(IQ3_XXS, iq3_xxs) X(IQ3_S, iq3_s)                          \
    X(IQ1_S, iq1_s) X(IQ1_M, iq1_m) X(TQ1_0, tq1_0) X(TQ2_0, tq2_0)

ex_unpack ex_unpack_q4_1, ex_unpack_q5_0, ex_unpack_q5_1, ex_unpack_iq4_nl, ex_unpack_mxfp4, ex_unpack_q2_k,
    ex_unpack_q3_k, ex_unpack_q5_k, ex_unpack_iq4_xs, ex_unpack_iq2_xxs, ex_unpack_iq2_xs, ex_unpack_iq2_s,
    ex_unpack_iq3_xxs, ex_unpack_iq3_s, ex_unpack_iq1_s, ex_unpack_iq1_m, ex_unpack_tq1_0, ex_unpack_tq2_0;

/* How a type is unpacked; `weights` and `bytes` of one block. */
typedef struct ex_packing {
    ex_unpack *unpack;
    uint16_t weights, bytes;
    bool minimums; /* false: there are none, and they are not written */
} ex_packing;

/* NULL when the type is not in EX_UNPACKED_TYPES. */
const ex_packing *ex_packing_find(uint32_t type);

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
void ex_encode_q5_k(const float *values, size_t n, void *row);
void ex_encode_q6_k(const float *values, size_t n, void *row);

#endif
