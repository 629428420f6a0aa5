#include "kernel/avx512_unpack.h"

#include <string.h>

#include "kernel/formats.h"

enum { PREFETCH_BYTES = 544 }; /* ahead in each of the sixteen rows; measured: 500 to 1000 are alike */

/* Where columns go: into the chunk for many tokens, or straight into products with the activations of one. */
typedef struct sink {
    ex_chunk *chunk;
    const int8_t *activations; /* NULL: into the chunk */
    __m512i *dots;
} sink;

static inline void prefetch(ex_chunk_rows from, size_t offset) {
    uintptr_t ahead = (uintptr_t)from.first + offset + PREFETCH_BYTES;
    for (size_t r = 0; r < EX_LANES; r++) _mm_prefetch((const void *)(ahead + r * from.stride), _MM_HINT_T0);
}

/* The four columns of sixteen weights, those of sum block `at`. */
EX_INLINE void put(sink to, size_t at, const __m512i columns[4]) {
    if (to.activations) {
        __m512i dot = _mm512_setzero_si512();
        for (size_t i = 0; i < 4; i++) {
            int32_t four;
            memcpy(&four, to.activations + 16 * at + 4 * i, sizeof four);
            dot = _mm512_dpbusd_epi32(dot, columns[i], _mm512_set1_epi32(four));
        }
        _mm512_store_si512(&to.dots[at], dot);
    } else {
        for (size_t i = 0; i < 4; i++) _mm512_store_si512(to.chunk->quants[4 * at + i], columns[i]);
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

static inline void split_nibbles(const __m512i bytes[4], __m512i low[4], __m512i high[4]) {
    const __m512i nibble = _mm512_set1_epi8(15);
    for (size_t i = 0; i < 4; i++) {
        low[i] = _mm512_and_si512(bytes[i], nibble);
        high[i] = _mm512_and_si512(_mm512_srli_epi16(bytes[i], 4), nibble);
    }
}

EX_INLINE void read_q8_0(ex_chunk_rows from, size_t n_blocks, sink to) {
    const __m512i sign = _mm512_set1_epi8(-128);
    for (size_t b = 0; b < n_blocks; b++) {
        size_t at = b * sizeof(ex_block_q8_0);
        if (b % 2 == 0) prefetch(from, at);
        __m512i columns[8];
        load_columns_32(from, at + offsetof(ex_block_q8_0, quants), columns);
        for (size_t i = 0; i < 8; i++) columns[i] = _mm512_xor_si512(columns[i], sign);
        put(to, 2 * b, columns);
        put(to, 2 * b + 1, columns + 4);
        _mm512_store_ps(to.chunk->scales[b], load_scale(from, at));
    }
}

EX_INLINE void read_q4_0(ex_chunk_rows from, size_t n_blocks, sink to) {
    for (size_t b = 0; b < n_blocks; b++) {
        size_t at = b * sizeof(ex_block_q4_0);
        if (b % 3 == 0) prefetch(from, at);
        __m512i columns[4], low[4], high[4];
        load_columns_16(from, at + offsetof(ex_block_q4_0, quants), columns);
        split_nibbles(columns, low, high);
        put(to, 2 * b, low);
        put(to, 2 * b + 1, high);
        _mm512_store_ps(to.chunk->scales[b], load_scale(from, at));
    }
}

/* Byte i of each lane, as a number. */
static inline __m512 byte_to_float(__m512i v, unsigned i) {
    return _mm512_cvtepi32_ps(_mm512_and_si512(_mm512_srli_epi32(v, 8 * i), _mm512_set1_epi32(255)));
}

/* The sixteen bytes before the quants: scale and minimum, then the twelve that ex_q4_k_scales explains. */
static inline void read_q4_k_scales(ex_chunk_rows from, ex_chunk *out) {
    const __m512i six = _mm512_set1_epi8(63), four = _mm512_set1_epi8(15), two = _mm512_set1_epi8(48);
    __m512i head[4];
    load_columns_16(from, 0, head);
    __m512 scale = _mm512_cvtph_ps(_mm512_cvtepi32_epi16(head[0]));
    __m512 minimum = _mm512_cvtph_ps(_mm512_cvtepi32_epi16(_mm512_srli_epi32(head[0], 16)));
    __m512i scales[2], minimums[2];
    scales[0] = _mm512_and_si512(head[1], six);
    scales[1] = _mm512_or_si512(_mm512_and_si512(head[3], four),
                                _mm512_and_si512(_mm512_srli_epi16(head[1], 2), two));
    minimums[0] = _mm512_and_si512(head[2], six);
    minimums[1] = _mm512_or_si512(_mm512_and_si512(_mm512_srli_epi16(head[3], 4), four),
                                  _mm512_and_si512(_mm512_srli_epi16(head[2], 2), two));
    for (unsigned s = 0; s < EX_CHUNK_BLOCKS; s++) {
        _mm512_store_ps(out->scales[s], _mm512_mul_ps(scale, byte_to_float(scales[s / 4], s % 4)));
        _mm512_store_ps(out->minimums[s], _mm512_mul_ps(minimum, byte_to_float(minimums[s / 4], s % 4)));
    }
}

EX_INLINE void read_q4_k(ex_chunk_rows from, size_t n_blocks, sink to) {
    (void)n_blocks;
    read_q4_k_scales(from, to.chunk);
    for (size_t pair = 0; pair < 4; pair++) {
        if (pair < 3) prefetch(from, 64 * pair);
        __m512i columns[8], low[8], high[8];
        load_columns_32(from, offsetof(ex_block_q4_k, quants) + 32 * pair, columns);
        split_nibbles(columns, low, high);
        split_nibbles(columns + 4, low + 4, high + 4);
        put(to, 4 * pair, low);
        put(to, 4 * pair + 1, low + 4);
        put(to, 4 * pair + 2, high);
        put(to, 4 * pair + 3, high + 4);
    }
}

/* Low nibbles of `low` below the two bits that lie at 4 and 5 in each byte of `high`. */
static inline __m512i six_bits(__m512i low, __m512i high) {
    __m512i merged = _mm512_ternarylogic_epi32(_mm512_set1_epi8(15), low, high, 0xCA); /* first ? second : third */
    return _mm512_and_si512(merged, _mm512_set1_epi8(63));
}

static inline void read_q6_k_scales(ex_chunk_rows from, ex_chunk *out) {
    __m512i scales[4];
    load_columns_16(from, offsetof(ex_block_q6_k, scales), scales);
    uint16_t halves[EX_LANES];
    for (size_t r = 0; r < EX_LANES; r++)
        memcpy(&halves[r], from.first + r * from.stride + offsetof(ex_block_q6_k, scale), sizeof halves[r]);
    __m512 scale = ex_load_halves(halves);
    for (unsigned s = 0; s < EX_CHUNK_SUMS; s++) {
        __m512i sub_scale = _mm512_srai_epi32(_mm512_slli_epi32(scales[s / 4], 24 - 8 * (s % 4)), 24);
        _mm512_store_ps(out->scales[s], _mm512_mul_ps(scale, _mm512_cvtepi32_ps(sub_scale)));
    }
}

EX_INLINE void read_q6_k(ex_chunk_rows from, size_t n_blocks, sink to) {
    (void)n_blocks;
    read_q6_k_scales(from, to.chunk);
    for (size_t part = 0; part < 4; part++) { /* sixteen bytes of `high`, which complete four times sixteen weights */
        size_t half = part / 2, at = 8 * half + part % 2;
        prefetch(from, 64 * part);
        __m512i high[4], first[4], second[4], quants[4];
        load_columns_16(from, offsetof(ex_block_q6_k, high) + 16 * part, high);
        load_columns_16(from, 64 * half + 16 * (part % 2), first);
        load_columns_16(from, 64 * half + 16 * (part % 2) + 32, second);
        for (size_t i = 0; i < 4; i++) quants[i] = six_bits(first[i], _mm512_slli_epi16(high[i], 4));
        put(to, at, quants);
        for (size_t i = 0; i < 4; i++) quants[i] = six_bits(second[i], _mm512_slli_epi16(high[i], 2));
        put(to, at + 2, quants);
        for (size_t i = 0; i < 4; i++) quants[i] = six_bits(_mm512_srli_epi16(first[i], 4), high[i]);
        put(to, at + 4, quants);
        for (size_t i = 0; i < 4; i++)
            quants[i] = six_bits(_mm512_srli_epi16(second[i], 4), _mm512_srli_epi16(high[i], 2));
        put(to, at + 6, quants);
    }
}

#define CHUNK_TYPE(name, kind, zero, block_bytes, chunk_bytes)                                                    \
    static void unpack_##name(ex_chunk_rows from, size_t n_blocks, ex_chunk *out) {                                    \
        read_##name(from, n_blocks, (sink){out, NULL, NULL});                                                          \
    }                                                                                                                  \
    static void dot_##name(ex_chunk_rows from, size_t n_blocks, const int8_t *activations, ex_chunk *out,             \
                           __m512i *dots) {                                                                           \
        read_##name(from, n_blocks, (sink){out, activations, dots});                                                   \
    }                                                                                                                  \
    const ex_chunk_type ex_chunk_##name = {kind, zero, block_bytes, chunk_bytes, unpack_##name, dot_##name};

CHUNK_TYPE(q8_0, EX_CHUNK_ONE_SCALE, 128, sizeof(ex_block_q8_0), 8 * sizeof(ex_block_q8_0))
CHUNK_TYPE(q4_0, EX_CHUNK_ONE_SCALE, 8, sizeof(ex_block_q4_0), 8 * sizeof(ex_block_q4_0))
CHUNK_TYPE(q4_k, EX_CHUNK_MINIMUM, 0, 0, sizeof(ex_block_q4_k))
CHUNK_TYPE(q6_k, EX_CHUNK_TWO_SCALES, 32, 0, sizeof(ex_block_q6_k))
