#include "kernel/avx512_unpack.h"

#include <string.h>

#include "kernel/formats.h"

enum { PREFETCH_BYTES = 544 }; /* ahead in each of the sixteen rows; measured: 500 to 1000 are alike */

/* Where blocks go: into a chunk for many tokens, or into sums of products with one. */
typedef struct sink {
    ex_chunk *chunk; /* NULL: to the sums */
    const ex_chunk_token *token;
    __m512 *sum;
} sink;

static inline void prefetch(ex_chunk_rows from, size_t offset) {
    uintptr_t ahead = (uintptr_t)from.first + offset + PREFETCH_BYTES;
    for (size_t r = 0; r < EX_LANES; r++) _mm_prefetch((const void *)(ahead + r * from.stride), _MM_HINT_T0);
}

EX_INLINE void store_columns(ex_chunk *chunk, size_t block, const __m512i columns[8]) {
    for (size_t i = 0; i < 8; i++) _mm512_store_si512(chunk->quants[8 * block + i], columns[i]);
}

/* dots + products of four columns, which are sixteen weights from weight `at` of the chunk on */
EX_INLINE __m512i dot_columns(const ex_chunk_token *token, size_t at, const __m512i columns[4], __m512i dots) {
    for (size_t i = 0; i < 4; i++) {
        int32_t four;
        memcpy(&four, token->quants + at + 4 * i, sizeof four);
        dots = _mm512_dpbusd_epi32(dots, columns[i], _mm512_set1_epi32(four));
    }
    return dots;
}

/* Two chains, which the processor runs side by side. */
EX_INLINE __m512i dot_block(const ex_chunk_token *token, size_t block, const __m512i columns[8], __m512i zero) {
    __m512i first = dot_columns(token, 32 * block, columns, zero);
    __m512i second = dot_columns(token, 32 * block + 16, columns + 4, _mm512_setzero_si512());
    return _mm512_add_epi32(first, second);
}

EX_INLINE void put_block(sink to, size_t block, const __m512i columns[8], __m512 scales) {
    if (to.chunk) {
        store_columns(to.chunk, block, columns);
        _mm512_store_ps(to.chunk->scales[block], scales);
    } else {
        __m512i dots = dot_block(to.token, block, columns, _mm512_set1_epi32(to.token->zeros[block]));
        *to.sum = ex_add_block(*to.sum, dots, scales, to.token->scales[block]);
    }
}

EX_INLINE void put_block_with_minimum(sink to, size_t block, const __m512i columns[8], __m512 scales, __m512 minimums) {
    if (to.chunk) {
        store_columns(to.chunk, block, columns);
        _mm512_store_ps(to.chunk->scales[block], scales);
        _mm512_store_ps(to.chunk->minimums[block], minimums);
    } else {
        __m512i dots = dot_block(to.token, block, columns, _mm512_setzero_si512());
        *to.sum = ex_add_block(*to.sum, dots, scales, to.token->scales[block]);
        *to.sum = ex_subtract_minimum(*to.sum, minimums, to.token->sums[block]);
    }
}

EX_INLINE void put_block_with_two_scales(sink to, size_t block, const __m512i columns[8], __m512 first, __m512 second) {
    if (to.chunk) {
        store_columns(to.chunk, block, columns);
        _mm512_store_ps(to.chunk->scales[2 * block], first);
        _mm512_store_ps(to.chunk->scales[2 * block + 1], second);
    } else {
        const int32_t *zeros = to.token->zeros + 2 * block;
        __m512i dots = dot_columns(to.token, 32 * block, columns, _mm512_set1_epi32(zeros[0]));
        __m512i more = dot_columns(to.token, 32 * block + 16, columns + 4, _mm512_set1_epi32(zeros[1]));
        *to.sum = ex_add_halves(*to.sum, ex_scale_dots(dots, first), more, second, to.token->scales[block]);
    }
}

/* In each 128-bit lane, a 4 x 4 transposition of 32-bit numbers. */
static inline void transpose_lanes(const __m512i in[4], __m512i out[4]) {
    __m512i low01 = _mm512_unpacklo_epi32(in[0], in[1]), high01 = _mm512_unpackhi_epi32(in[0], in[1]);
    __m512i low23 = _mm512_unpacklo_epi32(in[2], in[3]), high23 = _mm512_unpackhi_epi32(in[2], in[3]);
    out[0] = _mm512_unpacklo_epi64(low01, low23);
    out[1] = _mm512_unpackhi_epi64(low01, low23);
    out[2] = _mm512_unpacklo_epi64(high01, high23);
    out[3] = _mm512_unpackhi_epi64(high01, high23);
}

/* Sixteen bytes of rows i, i + 4, i + 8 and i + 12 in in[i]. */
static inline void load_quarters(ex_chunk_rows from, size_t offset, __m512i out[4]) {
    for (size_t i = 0; i < 4; i++) {
        const uint8_t *bytes = from.first + offset + i * from.stride;
        __m512i v = _mm512_castsi128_si512(_mm_loadu_si128((const void *)bytes));
        v = _mm512_inserti32x4(v, _mm_loadu_si128((const void *)(bytes + 4 * from.stride)), 1);
        v = _mm512_inserti32x4(v, _mm_loadu_si128((const void *)(bytes + 8 * from.stride)), 2);
        out[i] = _mm512_inserti32x4(v, _mm_loadu_si128((const void *)(bytes + 12 * from.stride)), 3);
    }
}

/* Columns of sixteen bytes of each row. */
static inline void load_columns_16(ex_chunk_rows from, size_t offset, __m512i columns[4]) {
    __m512i quarters[4];
    load_quarters(from, offset, quarters);
    transpose_lanes(quarters, columns);
}

/* Columns of 32 bytes of each row: two rows to a register, so half the loads. */
static inline void load_columns_32(ex_chunk_rows from, size_t offset, __m512i columns[8]) {
    __m512i upper[4], lower[4]; /* rows 0 to 7 and 8 to 15 */
    for (size_t half = 0; half < 2; half++) {
        __m512i pairs[4];
        for (size_t i = 0; i < 4; i++) {
            const uint8_t *bytes = from.first + offset + (8 * half + i) * from.stride;
            __m512i v = _mm512_castsi256_si512(_mm256_loadu_si256((const void *)bytes));
            pairs[i] = _mm512_inserti64x4(v, _mm256_loadu_si256((const void *)(bytes + 4 * from.stride)), 1);
        }
        transpose_lanes(pairs, half ? lower : upper);
    }
    for (size_t i = 0; i < 4; i++) {
        columns[i] = _mm512_shuffle_i32x4(upper[i], lower[i], 0x88);
        columns[i + 4] = _mm512_shuffle_i32x4(upper[i], lower[i], 0xDD);
    }
}

/* The half precision number at `offset` of each row, of which sixteen bytes can be read. */
static inline __m512 load_scale(ex_chunk_rows from, size_t offset) {
    __m512i q[4];
    load_quarters(from, offset, q);
    __m512i first = _mm512_unpacklo_epi64(_mm512_unpacklo_epi32(q[0], q[1]), _mm512_unpacklo_epi32(q[2], q[3]));
    return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(first));
}

EX_INLINE void read_q8_0(ex_chunk_rows from, size_t n_blocks, sink to) {
    const __m512i sign = _mm512_set1_epi8(-128);
    for (size_t b = 0; b < n_blocks; b++) {
        size_t at = b * sizeof(ex_block_q8_0);
        if (b % 2 == 0) prefetch(from, at);
        __m512i columns[8];
        load_columns_32(from, at + offsetof(ex_block_q8_0, quants), columns);
        for (size_t i = 0; i < 8; i++) columns[i] = _mm512_xor_si512(columns[i], sign);
        put_block(to, b, columns, load_scale(from, at));
    }
}

EX_INLINE void read_q4_0(ex_chunk_rows from, size_t n_blocks, sink to) {
    const __m512i nibble = _mm512_set1_epi8(15);
    for (size_t b = 0; b < n_blocks; b++) {
        size_t at = b * sizeof(ex_block_q4_0);
        if (b % 3 == 0) prefetch(from, at);
        __m512i bytes[4], columns[8];
        load_columns_16(from, at + offsetof(ex_block_q4_0, quants), bytes);
        for (size_t i = 0; i < 4; i++) {
            columns[i] = _mm512_and_si512(bytes[i], nibble);
            columns[i + 4] = _mm512_and_si512(_mm512_srli_epi16(bytes[i], 4), nibble);
        }
        put_block(to, b, columns, load_scale(from, at));
    }
}

/* Byte i of each lane, as a number. */
EX_INLINE __m512 byte_to_float(__m512i v, unsigned i) {
    if (i > 0) v = _mm512_srli_epi32(v, 8 * i);
    return _mm512_cvtepi32_ps(i < 3 ? _mm512_and_si512(v, _mm512_set1_epi32(255)) : v);
}

typedef struct q4_k_scales {
    __m512 scale, high_scale, minimum; /* high_scale: for nibbles in their place, which are sixteen times the quant */
    __m512i scales[2], minimums[2];    /* a byte for each sub-block */
} q4_k_scales;

/* From the sixteen bytes before the quants: scale and minimum, then the twelve that ex_q4_k_scales explains. */
EX_INLINE q4_k_scales read_q4_k_scales(ex_chunk_rows from) {
    const __m512i six = _mm512_set1_epi8(63), four = _mm512_set1_epi8(15), two = _mm512_set1_epi8(48);
    __m512i head[4];
    q4_k_scales s;
    load_columns_16(from, 0, head);
    s.scale = _mm512_cvtph_ps(_mm512_cvtepi32_epi16(head[0]));
    s.high_scale = _mm512_mul_ps(s.scale, _mm512_set1_ps(1.0f / 16));
    s.minimum = _mm512_cvtph_ps(_mm512_cvtepi32_epi16(_mm512_srli_epi32(head[0], 16)));
    s.scales[0] = _mm512_and_si512(head[1], six);
    s.scales[1] = _mm512_or_si512(_mm512_and_si512(head[3], four),
                                  _mm512_and_si512(_mm512_srli_epi16(head[1], 2), two));
    s.minimums[0] = _mm512_and_si512(head[2], six);
    s.minimums[1] = _mm512_or_si512(_mm512_and_si512(_mm512_srli_epi16(head[3], 4), four),
                                    _mm512_and_si512(_mm512_srli_epi16(head[2], 2), two));
    return s;
}

EX_INLINE void put_q4_k_block(sink to, unsigned block, const __m512i columns[8], const q4_k_scales *s) {
    __m512 scales = byte_to_float(s->scales[block / 4], block % 4);
    __m512 minimums = byte_to_float(s->minimums[block / 4], block % 4);
    put_block_with_minimum(to, block, columns, _mm512_mul_ps(scales, block % 2 ? s->high_scale : s->scale),
                           _mm512_mul_ps(minimums, s->minimum));
}

EX_INLINE void read_q4_k(ex_chunk_rows from, size_t n_blocks, sink to) {
    (void)n_blocks;
    const __m512i low_nibble = _mm512_set1_epi8(15), high_nibble = _mm512_set1_epi8(-16);
    const q4_k_scales scales = read_q4_k_scales(from);
    for (unsigned pair = 0; pair < 4; pair++) {
        if (pair < 3) prefetch(from, 64 * pair);
        __m512i bytes[8], columns[8];
        load_columns_32(from, offsetof(ex_block_q4_k, quants) + 32 * pair, bytes);
        for (size_t i = 0; i < 8; i++) columns[i] = _mm512_and_si512(bytes[i], low_nibble);
        put_q4_k_block(to, 2 * pair, columns, &scales);
        for (size_t i = 0; i < 8; i++) columns[i] = _mm512_and_si512(bytes[i], high_nibble);
        put_q4_k_block(to, 2 * pair + 1, columns, &scales);
    }
}

typedef struct q6_k_scales {
    __m512 scale;
    __m512i scales[4]; /* a signed byte for each sixteen weights */
} q6_k_scales;

EX_INLINE q6_k_scales read_q6_k_scales(ex_chunk_rows from) {
    __m512i tail[4]; /* the last sixteen bytes of the block, which end with its scale */
    q6_k_scales s;
    load_columns_16(from, offsetof(ex_block_q6_k, scales), s.scales);
    load_columns_16(from, sizeof(ex_block_q6_k) - 16, tail);
    s.scale = _mm512_cvtph_ps(_mm512_cvtepi32_epi16(_mm512_srli_epi32(tail[3], 16)));
    return s;
}

EX_INLINE __m512 q6_k_scale(const q6_k_scales *s, unsigned i) {
    __m512i v = s->scales[i / 4];
    if (i % 4 < 3) v = _mm512_slli_epi32(v, 24 - 8 * (i % 4));
    return _mm512_mul_ps(s->scale, _mm512_cvtepi32_ps(_mm512_srai_epi32(v, 24)));
}

/* Two bits of each byte, moved to bits 4 and 5. */
EX_INLINE __m512i q6_k_high_bits(__m512i high, unsigned quarter) {
    if (quarter == 0) return _mm512_slli_epi16(high, 4);
    if (quarter == 1) return _mm512_slli_epi16(high, 2);
    return quarter == 2 ? high : _mm512_srli_epi16(high, 2);
}

/* The quarter of 128 weights that has these nibbles: the low ones for quarters 0 and 1, the high ones for 2 and 3. */
EX_INLINE void put_q6_k_block(sink to, unsigned block, const __m512i nibbles[8], const __m512i high[8],
                              const q6_k_scales *s) {
    const unsigned quarter = block % 4;
    const __m512i four_bits = _mm512_set1_epi8(15), six_bits = _mm512_set1_epi8(63);
    __m512i columns[8];
    for (size_t i = 0; i < 8; i++) {
        __m512i low = quarter < 2 ? nibbles[i] : _mm512_srli_epi16(nibbles[i], 4);
        __m512i bits = q6_k_high_bits(high[i], quarter);
        columns[i] = _mm512_and_si512(_mm512_ternarylogic_epi32(four_bits, low, bits, 0xCA), six_bits); /* a ? b : c */
    }
    put_block_with_two_scales(to, block, columns, q6_k_scale(s, 2 * block), q6_k_scale(s, 2 * block + 1));
}

EX_INLINE void read_q6_k(ex_chunk_rows from, size_t n_blocks, sink to) {
    (void)n_blocks;
    const q6_k_scales scales = read_q6_k_scales(from);
    for (unsigned half = 0; half < 2; half++) {
        __m512i high[8], first[8], second[8];
        prefetch(from, 128 * half);
        prefetch(from, 128 * half + 64);
        load_columns_32(from, offsetof(ex_block_q6_k, high) + 32 * half, high);
        load_columns_32(from, 64 * half, first);
        load_columns_32(from, 64 * half + 32, second);
        put_q6_k_block(to, 4 * half, first, high, &scales);
        put_q6_k_block(to, 4 * half + 1, second, high, &scales);
        put_q6_k_block(to, 4 * half + 2, first, high, &scales);
        put_q6_k_block(to, 4 * half + 3, second, high, &scales);
    }
}

#define CHUNK_TYPE(name, kind, zero, block_bytes, chunk_bytes)                                                        \
    static void unpack_##name(ex_chunk_rows from, size_t n_blocks, ex_chunk *out) {                                    \
        read_##name(from, n_blocks, (sink){out, NULL, NULL});                                                          \
    }                                                                                                                  \
    static void add_##name(ex_chunk_rows from, size_t n_blocks, const ex_chunk_token *token, float sums[EX_LANES]) {   \
        __m512 sum = _mm512_load_ps(sums);                                                                             \
        read_##name(from, n_blocks, (sink){NULL, token, &sum});                                                        \
        _mm512_store_ps(sums, sum);                                                                                    \
    }                                                                                                                  \
    const ex_chunk_type ex_chunk_##name = {kind, zero, block_bytes, chunk_bytes, unpack_##name, add_##name};

CHUNK_TYPE(q8_0, EX_CHUNK_ONE_SCALE, 128, sizeof(ex_block_q8_0), 8 * sizeof(ex_block_q8_0))
CHUNK_TYPE(q4_0, EX_CHUNK_ONE_SCALE, 8, sizeof(ex_block_q4_0), 8 * sizeof(ex_block_q4_0))
CHUNK_TYPE(q4_k, EX_CHUNK_MINIMUM, 0, 0, sizeof(ex_block_q4_k))
CHUNK_TYPE(q6_k, EX_CHUNK_TWO_SCALES, 32, 0, sizeof(ex_block_q6_k))
