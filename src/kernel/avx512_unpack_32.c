/* avx512_unpack_32.c - columns of the types with blocks of 32: Q4_1, Q5_0, Q5_1, IQ4_NL, MXFP4. */
#include "kernel/avx512_columns.h"

enum { IQ4_ZERO = 128, MXFP4_ZERO = 12 }; /* added to the types' values, which makes them bytes without sign */

/* Nibbles of sixteen bytes of each row: low ones, then high ones. */
EX_INLINE void load_nibbles(ex_source from, size_t offset, __m512i columns[8]) {
    const __m512i nibble = _mm512_set1_epi8(15);
    __m512i bytes[4];
    ex_load_columns_16(from, offset, bytes);
    for (size_t i = 0; i < 4; i++) {
        columns[i] = _mm512_and_si512(bytes[i], nibble);
        columns[i + 4] = _mm512_and_si512(_mm512_srli_epi16(bytes[i], 4), nibble);
    }
}

/* Bit i of each lane of `high` becomes the fifth bit of weight i. */
EX_INLINE void add_fifth_bits(__m512i high, __m512i columns[8]) {
    const __m512i fifth = _mm512_set1_epi8(16);
    const __m512i even = _mm512_set1_epi32(0x08040201), odd = _mm512_slli_epi32(even, 4);
    const __m512i first_byte = _mm512_set4_epi32(0x0C0C0C0C, 0x08080808, 0x04040404, 0); /* of each lane */
    for (unsigned i = 0; i < 4; i++) {
        __m512i eight = _mm512_shuffle_epi8(high, _mm512_add_epi8(first_byte, _mm512_set1_epi8((char)i)));
        __m512i *pair = columns + 2 * i;
        pair[0] = _mm512_mask_add_epi8(pair[0], _mm512_test_epi8_mask(eight, even), pair[0], fifth);
        pair[1] = _mm512_mask_add_epi8(pair[1], _mm512_test_epi8_mask(eight, odd), pair[1], fifth);
    }
}

EX_INLINE void look_up(const int8_t values[16], int zero, __m512i columns[8]) {
    __m512i table = _mm512_broadcast_i32x4(_mm_loadu_si128((const void *)values));
    table = _mm512_add_epi8(table, _mm512_set1_epi8((char)zero));
    for (size_t i = 0; i < 8; i++) columns[i] = _mm512_shuffle_epi8(table, columns[i]);
}

/* The half precision number in half a lane. */
EX_INLINE __m512 low_half(__m512i lanes) { return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(lanes)); }
EX_INLINE __m512 high_half(__m512i lanes) { return low_half(_mm512_srli_epi32(lanes, 16)); }
EX_INLINE __m512 negate(__m512 values) { return _mm512_xor_ps(values, _mm512_set1_ps(-0.0f)); }

EX_INLINE void read_q4_1(ex_source from, size_t n_blocks, ex_sink to) {
    for (size_t b = 0; b < n_blocks; b++) {
        const size_t at = b * sizeof(ex_block_q4_1);
        if (b % 3 == 0) ex_prefetch_rows(from, at);
        __m512i head[4], columns[8];
        ex_load_columns_16(from, at, head);
        load_nibbles(from, at + offsetof(ex_block_q4_1, quants), columns);
        ex_put_block_with_minimum(to, b, columns, low_half(head[0]), negate(high_half(head[0])));
    }
}

EX_INLINE void read_q5_0(ex_source from, size_t n_blocks, ex_sink to) {
    for (size_t b = 0; b < n_blocks; b++) {
        const size_t at = b * sizeof(ex_block_q5_0);
        if (b % 3 == 0) ex_prefetch_rows(from, at);
        __m512i head[4], columns[8];
        ex_load_columns_16(from, at, head);
        __m512i high = _mm512_or_si512(_mm512_srli_epi32(head[0], 16), _mm512_slli_epi32(head[1], 16));
        load_nibbles(from, at + offsetof(ex_block_q5_0, quants), columns);
        add_fifth_bits(high, columns);
        ex_put_block(to, b, columns, low_half(head[0]));
    }
}

EX_INLINE void read_q5_1(ex_source from, size_t n_blocks, ex_sink to) {
    for (size_t b = 0; b < n_blocks; b++) {
        const size_t at = b * sizeof(ex_block_q5_1);
        if (b % 2 == 0) ex_prefetch_rows(from, at);
        __m512i head[4], columns[8];
        ex_load_columns_16(from, at, head);
        load_nibbles(from, at + offsetof(ex_block_q5_1, quants), columns);
        add_fifth_bits(head[1], columns);
        ex_put_block_with_minimum(to, b, columns, low_half(head[0]), negate(high_half(head[0])));
    }
}

EX_INLINE void read_iq4_nl(ex_source from, size_t n_blocks, ex_sink to) {
    for (size_t b = 0; b < n_blocks; b++) {
        const size_t at = b * sizeof(ex_block_iq4_nl);
        if (b % 3 == 0) ex_prefetch_rows(from, at);
        __m512i columns[8];
        load_nibbles(from, at + offsetof(ex_block_iq4_nl, quants), columns);
        look_up(ex_iq4_values, IQ4_ZERO, columns);
        ex_put_block(to, b, columns, ex_load_scale(from, at));
    }
}

/* ex_mxfp4_scale of the first byte of each lane. */
EX_INLINE __m512 mxfp4_scales(__m512i lanes) {
    __m512i exponent = _mm512_and_si512(lanes, _mm512_set1_epi32(255)), two = _mm512_set1_epi32(2);
    __m512i normal = _mm512_slli_epi32(_mm512_sub_epi32(exponent, _mm512_set1_epi32(1)), 23);
    __m512i subnormal = _mm512_sllv_epi32(_mm512_set1_epi32(0x00200000), exponent);
    return _mm512_castsi512_ps(_mm512_mask_mov_epi32(normal, _mm512_cmplt_epi32_mask(exponent, two), subnormal));
}

EX_INLINE void read_mxfp4(ex_source from, size_t n_blocks, ex_sink to) {
    for (size_t b = 0; b < n_blocks; b++) {
        const size_t at = b * sizeof(ex_block_mxfp4);
        if (b % 3 == 0) ex_prefetch_rows(from, at);
        __m512i head[4], columns[8];
        ex_load_columns_16(from, at, head);
        load_nibbles(from, at + offsetof(ex_block_mxfp4, quants), columns);
        look_up(ex_mxfp4_values, MXFP4_ZERO, columns);
        ex_put_block(to, b, columns, mxfp4_scales(head[0]));
    }
}

#define BLOCKS_OF_32(name, kind, zero)                                                                                 \
    EX_CHUNK_TYPE(name, kind, zero, sizeof(ex_block_##name), 8 * sizeof(ex_block_##name))
BLOCKS_OF_32(q4_1, EX_CHUNK_MINIMUM, 0)
BLOCKS_OF_32(q5_0, EX_CHUNK_ONE_SCALE, 16)
BLOCKS_OF_32(q5_1, EX_CHUNK_MINIMUM, 0)
BLOCKS_OF_32(iq4_nl, EX_CHUNK_ONE_SCALE, IQ4_ZERO)
BLOCKS_OF_32(mxfp4, EX_CHUNK_WIDE_SCALE, MXFP4_ZERO)
