/* avx512_unpack_256.c - columns of Q2_K, Q3_K and IQ4_XS, and of the types that are unpacked row by row. */
#include "kernel/avx512_columns.h"

enum { IQ4_ZERO = 128 };

EX_INLINE __m512 low_half(__m512i lanes) { return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(lanes)); }
EX_INLINE __m512 high_half(__m512i lanes) { return low_half(_mm512_srli_epi32(lanes, 16)); }

/* ---- Q2_K and Q3_K ------------------------------------------------------------------------------------------- */

EX_INLINE void read_q2_k(ex_source from, size_t n_blocks, ex_sink to) {
    (void)n_blocks;
    const __m512i nibble = _mm512_set1_epi8(15), two_bits = _mm512_set1_epi8(3);
    __m512i scales[4], tail[4];
    ex_load_columns_16(from, offsetof(ex_block_q2_k, scales), scales);
    ex_load_columns_16(from, sizeof(ex_block_q2_k) - 16, tail);
    const __m512 scale = low_half(tail[3]), minimum = high_half(tail[3]);
    for (unsigned half = 0; half < 2; half++) {
        ex_prefetch_rows(from, 42 * half);
        __m512i bytes[8], columns[8];
        ex_load_columns_32(from, offsetof(ex_block_q2_k, quants) + 32 * half, bytes);
        for (unsigned quarter = 0; quarter < 4; quarter++) {
            const unsigned block = 4 * half + quarter;
            const __m512i both = scales[block / 2];
            const __m512i low = _mm512_and_si512(both, nibble);
            const __m512i high = _mm512_and_si512(_mm512_srli_epi16(both, 4), nibble);
            __m512 block_scales[2], minimums[2];
            for (unsigned i = 0; i < 2; i++) {
                block_scales[i] = _mm512_mul_ps(scale, ex_byte_to_float(low, block % 2 * 2 + i));
                minimums[i] = _mm512_mul_ps(minimum, ex_byte_to_float(high, block % 2 * 2 + i));
            }
            for (size_t i = 0; i < 8; i++)
                columns[i] = _mm512_and_si512(_mm512_srli_epi32(bytes[i], 2 * quarter), two_bits);
            ex_put_block_with_two_minimums(to, block, columns, block_scales, minimums);
        }
    }
}

typedef struct q3_k_scales {
    __m512 scale;
    __m512i scales[4]; /* a byte for each sixteen weights, 32 too large */
} q3_k_scales;

EX_INLINE q3_k_scales read_q3_k_scales(ex_source from) {
    const __m512i nibble = _mm512_set1_epi8(15), high = _mm512_set1_epi8(0x30);
    __m512i t[4], words[3]; /* the last sixteen bytes of the block: two of quants, twelve of scales, the scale */
    ex_load_columns_16(from, sizeof(ex_block_q3_k) - 16, t);
    for (size_t i = 0; i < 3; i++)
        words[i] = _mm512_or_si512(_mm512_srli_epi32(t[i], 16), _mm512_slli_epi32(t[i + 1], 16));
    q3_k_scales s = {.scale = high_half(t[3])};
    for (unsigned i = 0; i < 4; i++) {
        __m512i low = i < 2 ? words[i] : _mm512_srli_epi16(words[i - 2], 4);
        __m512i top = i < 2 ? _mm512_slli_epi32(words[2], 4 - 2 * i) : _mm512_srli_epi32(words[2], 2 * i - 4);
        s.scales[i] = _mm512_or_si512(_mm512_and_si512(low, nibble), _mm512_and_si512(top, high));
    }
    return s;
}

EX_INLINE __m512 q3_k_scale(const q3_k_scales *s, unsigned i) {
    return _mm512_mul_ps(s->scale, _mm512_sub_ps(ex_byte_to_float(s->scales[i / 4], i % 4), _mm512_set1_ps(32)));
}

EX_INLINE void read_q3_k(ex_source from, size_t n_blocks, ex_sink to) {
    (void)n_blocks;
    const __m512i two_bits = _mm512_set1_epi8(3), third_bit = _mm512_set1_epi8(4);
    const q3_k_scales scales = read_q3_k_scales(from);
    __m512i high[8];
    ex_load_columns_32(from, offsetof(ex_block_q3_k, high), high);
    for (unsigned half = 0; half < 2; half++) {
        ex_prefetch_rows(from, 55 * half);
        __m512i bytes[8], columns[8];
        ex_load_columns_32(from, offsetof(ex_block_q3_k, quants) + 32 * half, bytes);
        for (unsigned quarter = 0; quarter < 4; quarter++) {
            const unsigned block = 4 * half + quarter;
            for (size_t i = 0; i < 8; i++) {
                __m512i low = _mm512_and_si512(_mm512_srli_epi32(bytes[i], 2 * quarter), two_bits);
                __m512i bit = block < 2 ? _mm512_slli_epi32(high[i], 2 - block) : _mm512_srli_epi32(high[i], block - 2);
                columns[i] = _mm512_or_si512(low, _mm512_and_si512(bit, third_bit));
            }
            ex_put_block_with_two_scales(to, block, columns, q3_k_scale(&scales, 2 * block),
                                         q3_k_scale(&scales, 2 * block + 1));
        }
    }
}

/* ---- IQ4_XS -------------------------------------------------------------------------------------------------- */

/* From the first eight bytes of the block: scale * (6 bits - 32). */
EX_INLINE __m512 iq4_xs_scale(const __m512i head[2], unsigned block) {
    __m512i low = _mm512_and_si512(_mm512_srli_epi32(head[1], 4 * block), _mm512_set1_epi32(15));
    __m512i high = _mm512_and_si512(_mm512_srli_epi32(head[0], 12 + 2 * block), _mm512_set1_epi32(0x30));
    __m512i number = _mm512_sub_epi32(_mm512_or_si512(low, high), _mm512_set1_epi32(32));
    return _mm512_mul_ps(low_half(head[0]), _mm512_cvtepi32_ps(number));
}

EX_INLINE void read_iq4_xs(ex_source from, size_t n_blocks, ex_sink to) {
    (void)n_blocks;
    const __m512i nibble = _mm512_set1_epi8(15);
    const __m512i table = _mm512_add_epi8(_mm512_broadcast_i32x4(_mm_loadu_si128((const void *)ex_iq4_values)),
                                          _mm512_set1_epi8((char)IQ4_ZERO));
    __m512i head[4];
    ex_load_columns_16(from, 0, head);
    for (unsigned pair = 0; pair < 4; pair++) {
        if (pair % 2 == 0) ex_prefetch_rows(from, 34 * pair);
        __m512i bytes[8], columns[8];
        ex_load_columns_32(from, offsetof(ex_block_iq4_xs, quants) + 32 * pair, bytes);
        for (unsigned block = 2 * pair; block < 2 * pair + 2; block++) {
            const __m512i *own = bytes + 4 * (block % 2);
            for (size_t i = 0; i < 4; i++) {
                columns[i] = _mm512_shuffle_epi8(table, _mm512_and_si512(own[i], nibble));
                columns[i + 4] = _mm512_shuffle_epi8(table, _mm512_and_si512(_mm512_srli_epi16(own[i], 4), nibble));
            }
            ex_put_block(to, block, columns, iq4_xs_scale(head, block));
        }
    }
}

/* ---- row by row ---------------------------------------------------------------------------------------------- */

enum { ROWS_ZERO = 128 };

/* Where the work is in finding the weights, one by one; as columns they then go the way of the others. */
EX_INLINE void read_rows(ex_unpack *unpack, bool two_scales, ex_source from, ex_sink to) {
    const __m512i sign = _mm512_set1_epi8((char)ROWS_ZERO);
    ex_unpacked rows[EX_LANES];
    for (size_t r = 0; r < EX_LANES; r++) unpack(from.first + r * from.stride, 1, &rows[r]);
    const ex_source quants = {(const uint8_t *)rows, sizeof rows[0], false, NULL};
    __m512i scales[EX_CHUNK_SUMS];
    for (size_t i = 0; i < EX_CHUNK_SUMS; i += 4)
        ex_load_columns_16(quants, offsetof(ex_unpacked, scales) + i * sizeof(float), scales + i);
    for (size_t b = 0; b < EX_CHUNK_BLOCKS; b++) {
        __m512i columns[8];
        ex_load_columns_32(quants, 32 * b, columns);
        for (size_t i = 0; i < 8; i++) columns[i] = _mm512_xor_si512(columns[i], sign);
        __m512 first = _mm512_castsi512_ps(scales[2 * b]), second = _mm512_castsi512_ps(scales[2 * b + 1]);
        if (two_scales) ex_put_block_with_two_scales(to, b, columns, first, second);
        else ex_put_block(to, b, columns, first);
    }
}

EX_CHUNK_TYPE(q2_k, EX_CHUNK_TWO_MINIMUMS, 0, 0, sizeof(ex_block_q2_k))
EX_CHUNK_TYPE(q3_k, EX_CHUNK_TWO_SCALES, 4, 0, sizeof(ex_block_q3_k))
EX_CHUNK_TYPE(iq4_xs, EX_CHUNK_ONE_SCALE, IQ4_ZERO, 0, sizeof(ex_block_iq4_xs))

#define ROW_BY_ROW(name, kind)                                                                                         \
    EX_INLINE void read_##name(ex_source from, size_t n_blocks, ex_sink to) {                                      \
        (void)n_blocks;                                                                                                \
        read_rows(ex_unpack_##name, kind == EX_CHUNK_TWO_SCALES, from, to);                                            \
    }                                                                                                                  \
    EX_CHUNK_TYPE(name, kind, ROWS_ZERO, 0, sizeof(ex_block_##name))
ROW_BY_ROW(iq2_xxs, EX_CHUNK_ONE_SCALE)
ROW_BY_ROW(iq2_xs, EX_CHUNK_TWO_SCALES)
ROW_BY_ROW(iq2_s, EX_CHUNK_TWO_SCALES)
ROW_BY_ROW(iq3_xxs, EX_CHUNK_ONE_SCALE)
ROW_BY_ROW(iq3_s, EX_CHUNK_ONE_SCALE)
ROW_BY_ROW(iq1_s, EX_CHUNK_ONE_SCALE)
ROW_BY_ROW(iq1_m, EX_CHUNK_TWO_SCALES)
ROW_BY_ROW(tq1_0, EX_CHUNK_ONE_SCALE)
ROW_BY_ROW(tq2_0, EX_CHUNK_ONE_SCALE)
