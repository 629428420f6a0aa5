/* avx512_unpack.h - quantised weights on their way into VNNI registers.
 *
 * Sixteen rows make a group, and a lane is a row. A chunk of 256 weights of each row is transposed into columns: a
 * register with four consecutive weights of each row, as bytes without sign, which one vpdpbusd multiplies with four
 * activations of one token. */
#ifndef EX_KERNEL_AVX512_UNPACK_H
#define EX_KERNEL_AVX512_UNPACK_H

#include <stddef.h>
#include <stdint.h>

#include "kernel/avx512.h"
#include "kernel/formats.h"

enum {
    EX_CHUNK = 256, /* weights of one row */
    EX_CHUNK_COLUMNS = EX_CHUNK / 4,
    EX_CHUNK_BLOCKS = EX_CHUNK / EX_QUANT_BLOCK,
    EX_CHUNK_SUMS = EX_CHUNK / EX_SUM_BLOCK,
    EX_STREAMS = 4,          /* groups of packed rows that one token reads side by side */
    EX_FEW_TOKENS = 6,       /* that meet a chunk in registers together */
    EX_CHUNK_BYTES_MAX = 272 /* of one row, in the largest type: Q8_0 */
};

/* Sums of products that begin with the bits of 3 * 2^22 are 3 * 2^22 more than the integer when read as a float. */
#define EX_BIAS 0x1.8p+23f
enum { EX_BIAS_BITS = 0x4B400000, EX_TOKEN_ZERO = 128 };

/* A chunk of sixteen rows: weight = scale * quant - minimum. It is multiplied with activations that are EX_TOKEN_ZERO
 * more than they should be, to have no sign. One of each for 32 weights, or for 16 if the type has two scales. */
typedef struct ex_chunk {
    _Alignas(64) int8_t quants[EX_CHUNK_COLUMNS][EX_LANES][4];
    /* Of sums: -EX_TOKEN_ZERO * sum of quants; with EX_BIAS_BITS except for the second half of a block. */
    int32_t starts[EX_CHUNK_SUMS][EX_LANES];
    float scales[EX_CHUNK_SUMS][EX_LANES];
    float offsets[EX_CHUNK_SUMS][EX_LANES]; /* -EX_BIAS * scale */
    float minimums[EX_CHUNK_SUMS][EX_LANES];
} ex_chunk;

typedef struct ex_chunk_rows { /* where the bytes of a chunk lie: row r of the group at first + r * stride, or packed */
    const uint8_t *first;
    size_t stride;
} ex_chunk_rows;

typedef union ex_token_terms { /* what one token adds to a chunk besides its quants */
    /* Of sums of products, for each 32 or 16 weights: -zero * sum of quants; with EX_BIAS_BITS but for the second half
     * of a block, and for scales that are wide. */
    _Alignas(64) int32_t starts[EX_CHUNK_SUMS];
    float sums[EX_CHUNK_SUMS]; /* of activations, likewise, where the type has minimums */
} ex_token_terms;

typedef struct ex_chunk_tokens { /* what a few tokens bring to a chunk: in one place, for one pointer */
    _Alignas(64) int8_t quants[EX_FEW_TOKENS][EX_CHUNK];
    ex_token_terms terms[EX_FEW_TOKENS];
    _Alignas(64) float scales[EX_FEW_TOKENS][EX_CHUNK_BLOCKS];
    const uint8_t *ahead[EX_STREAMS]; /* of packed rows: the memory to ask for, a line of each in turn */
} ex_chunk_tokens;

typedef float ex_lane_sums[EX_LANES];

/* Adds the products with some tokens to the sums of sixteen rows, [tokens], without a chunk in between. */
typedef void ex_add_chunk(ex_chunk_rows from, size_t n_blocks, const ex_chunk_tokens *tokens, ex_lane_sums *sums);

typedef enum ex_chunk_kind { /* a scale for 32 weights or two, without minimums or with as many */
    EX_CHUNK_ONE_SCALE,
    EX_CHUNK_WIDE_SCALE, /* one, and EX_BIAS times it may be too large for a float */
    EX_CHUNK_TWO_SCALES,
    EX_CHUNK_MINIMUM,
    EX_CHUNK_TWO_MINIMUMS
} ex_chunk_kind;

typedef struct ex_chunk_type {
    ex_chunk_kind kind;
    int16_t zero;
    size_t block_bytes; /* of 32 weights; 0 when only whole chunks exist */
    size_t chunk_bytes;
    /* For many tokens. */
    void (*unpack)(ex_chunk_rows from, size_t n_blocks, ex_chunk *out);
    ex_add_chunk *add[EX_FEW_TOKENS + 1]; /* for so many tokens: for one, or for all numbers from one on if packed */
    bool packed; /* rows are those of ex_pack_rows */
    /* Packed rows on their way to ex_multiply_kept: quants without sign, scales and minimums. */
    void (*keep)(const uint8_t *from, size_t n_blocks, const uint8_t *const ahead[EX_STREAMS], ex_chunk *out);
} ex_chunk_type;

extern const ex_chunk_type ex_chunk_q8_0, ex_chunk_q4_0, ex_chunk_q4_k, ex_chunk_q6_k;
extern const ex_chunk_type ex_chunk_q8_0_packed, ex_chunk_q4_0_packed, ex_chunk_q4_k_packed, ex_chunk_q5_k_packed,
    ex_chunk_q6_k_packed;

/* A group of rows that lie together, from `first` (a multiple of sixteen) on, at byte `offset` of each. */
static inline ex_chunk_rows ex_group_rows(const ex_chunk_type *type, const uint8_t *weights, size_t row_bytes,
                                          size_t first, size_t offset) {
    const uint8_t *group = weights + first * row_bytes;
    return (ex_chunk_rows){group + (type->packed ? EX_LANES * offset : offset), type->packed ? 0 : row_bytes};
}

#define EX_DECLARE_CHUNK_TYPE(type, name) extern const ex_chunk_type ex_chunk_##name;
EX_UNPACKED_TYPES(EX_DECLARE_CHUNK_TYPE)

/* How the integer products of a block become floats. Whatever computes them goes on with these, and so rounds alike. */

EX_INLINE __m512 ex_scale_dots(__m512i dots, __m512 scales) { return _mm512_mul_ps(_mm512_cvtepi32_ps(dots), scales); }

/* The same bits from sums that began with EX_BIAS_BITS, in one operation: a scale has at most 22 bits (eleven of a
 * half, eight of an integer), so the offset is exact, and so is the sum in here before it is rounded. */
EX_INLINE __m512 ex_scale_biased(__m512i sums, __m512 scales, __m512 offsets) {
    return _mm512_fmadd_ps(_mm512_castsi512_ps(sums), scales, offsets);
}

EX_INLINE __m512 ex_add_block(__m512 sum, __m512 scaled, float token_scale) {
    return _mm512_fmadd_ps(scaled, _mm512_set1_ps(token_scale), sum);
}

/* A block whose halves have scales of their own; first: scaled products of the first sixteen weights. */
EX_INLINE __m512 ex_add_halves(__m512 sum, __m512 first, __m512i second, __m512 second_scales, float token_scale) {
    return ex_add_block(sum, _mm512_fmadd_ps(_mm512_cvtepi32_ps(second), second_scales, first), token_scale);
}

EX_INLINE __m512 ex_subtract_minimum(__m512 sum, __m512 minimums, float token_sum) {
    return _mm512_fnmadd_ps(minimums, _mm512_set1_ps(token_sum), sum);
}

#endif
