/* avx512_columns.h - from packed rows to columns in registers, and from there into a chunk or sums: what the files that
 * unpack (avx512_unpack*.c) share. */
#ifndef EX_KERNEL_AVX512_COLUMNS_H
#define EX_KERNEL_AVX512_COLUMNS_H

#include <string.h>

#include "kernel/avx512_unpack.h"

enum {
    EX_PREFETCH_BYTES = 544, /* ahead in each of the sixteen rows; measured: 500 to 1000 are alike */
    ONE_CHAIN_FROM = 4       /* tokens, whose chains are enough to run side by side */
};

/* Sixteen rows that lie apart, or packed (ex_pack_rows): then what the first row has at byte `at` is at 16 * at, and
 * the same of the others behind it. */
typedef struct ex_source {
    const uint8_t *first;
    size_t stride; /* of rows that lie apart */
    bool packed;   /* a constant wherever this is inlined */
    const uint8_t *const *ahead; /* of a token's; NULL: memory is not what takes time */
} ex_source;

/* Where blocks go: into a chunk for many tokens, or into sums of products with a few. */
typedef struct ex_sink {
    ex_chunk *chunk;
    bool raw; /* the chunk is for ex_multiply_kept; a constant too */
    const ex_chunk_tokens *tokens;
    size_t n_tokens; /* 0: to the chunk; a constant wherever this is inlined */
    __m512 *sums;    /* [n_tokens] */
    ex_chunk_kind kind;
    int16_t zero; /* the type's */
} ex_sink;

/* Packed rows are asked for as they are read. */
EX_INLINE void ex_prefetch_rows(ex_source from, size_t offset) {
    if (from.packed) return;
    uintptr_t ahead = (uintptr_t)from.first + offset + EX_PREFETCH_BYTES;
    for (size_t r = 0; r < EX_LANES; r++) _mm_prefetch((const void *)(ahead + r * from.stride), _MM_HINT_T0);
}

/* n columns, which share a scale: scale number i of the chunk. `bias`: that their sums begin with. */
EX_INLINE void ex_store_columns(ex_sink to, size_t i, const __m512i *columns, size_t n, int32_t bias, __m512 scales) {
    const __m512i zeros = _mm512_set1_epi8((char)to.zero), token_zero = _mm512_set1_epi8((char)EX_TOKEN_ZERO);
    __m512i start = _mm512_setzero_si512();
    _mm512_store_ps(to.chunk->scales[i], scales);
    if (to.raw) {
        for (size_t k = 0; k < n; k++) _mm512_store_si512(to.chunk->quants[n * i + k], columns[k]);
        return;
    }
    for (size_t k = 0; k < n; k++) {
        const __m512i quants = _mm512_sub_epi8(columns[k], zeros);
        _mm512_store_si512(to.chunk->quants[n * i + k], quants);
        start = _mm512_dpbusd_epi32(start, token_zero, quants);
    }
    _mm512_store_si512(to.chunk->starts[i], _mm512_sub_epi32(_mm512_set1_epi32(bias), start));
    _mm512_store_ps(to.chunk->offsets[i], _mm512_mul_ps(scales, _mm512_set1_ps(-EX_BIAS)));
}

/* dots + products of four columns, which are sixteen weights from weight `at` of the chunk on */
EX_INLINE __m512i ex_dot_columns(const int8_t *quants, size_t at, const __m512i columns[4], __m512i dots) {
#pragma GCC unroll 4
    for (size_t i = 0; i < 4; i++) {
        int32_t four;
        memcpy(&four, quants + at + 4 * i, sizeof four);
        dots = _mm512_dpbusd_epi32(dots, columns[i], _mm512_set1_epi32(four));
    }
    return dots;
}

/* Few tokens have two chains each, which the processor runs side by side. */
EX_INLINE __m512i ex_dot_block(ex_sink to, size_t t, size_t block, const __m512i columns[8], __m512i start) {
    const int8_t *quants = to.tokens->quants[t];
    __m512i first = ex_dot_columns(quants, 32 * block, columns, start);
    if (to.n_tokens >= ONE_CHAIN_FROM) return ex_dot_columns(quants, 32 * block + 16, columns + 4, first);
    __m512i second = ex_dot_columns(quants, 32 * block + 16, columns + 4, _mm512_setzero_si512());
    return _mm512_add_epi32(first, second);
}

/* What sums of products begin with, for block or half block i: see ex_token_terms; types with minimums have no zero. */
EX_INLINE __m512i ex_start(ex_sink to, size_t t, size_t i, int32_t bias) {
    return _mm512_set1_epi32(to.zero ? to.tokens->terms[t].starts[i] : bias);
}

EX_INLINE void ex_put_block(ex_sink to, size_t block, const __m512i columns[8], __m512 scales) {
    if (to.n_tokens == 0) ex_store_columns(to, block, columns, 8, EX_BIAS_BITS, scales);
    const bool wide = to.kind == EX_CHUNK_WIDE_SCALE;
    const __m512 offsets = _mm512_mul_ps(scales, _mm512_set1_ps(-EX_BIAS));
#pragma GCC unroll 8
    for (size_t t = 0; t < to.n_tokens; t++) {
        __m512i dots = ex_dot_block(to, t, block, columns, ex_start(to, t, block, EX_BIAS_BITS));
        __m512 scaled = wide ? ex_scale_dots(dots, scales) : ex_scale_biased(dots, scales, offsets);
        to.sums[t] = ex_add_block(to.sums[t], scaled, to.tokens->scales[t][block]);
    }
}

EX_INLINE void ex_put_block_with_minimum(ex_sink to, size_t block, const __m512i columns[8], __m512 scales,
                                         __m512 minimums) {
    ex_put_block(to, block, columns, scales);
    if (to.n_tokens == 0) _mm512_store_ps(to.chunk->minimums[block], minimums);
#pragma GCC unroll 8
    for (size_t t = 0; t < to.n_tokens; t++)
        to.sums[t] = ex_subtract_minimum(to.sums[t], minimums, to.tokens->terms[t].sums[block]);
}

/* The two halves of the block have scales of their own. */
EX_INLINE void ex_put_block_with_two_scales(ex_sink to, size_t block, const __m512i columns[8], __m512 first_scales,
                                            __m512 second_scales) {
    if (to.n_tokens == 0) {
        ex_store_columns(to, 2 * block, columns, 4, EX_BIAS_BITS, first_scales);
        ex_store_columns(to, 2 * block + 1, columns + 4, 4, 0, second_scales);
    }
    const __m512 offsets = _mm512_mul_ps(first_scales, _mm512_set1_ps(-EX_BIAS));
#pragma GCC unroll 8
    for (size_t t = 0; t < to.n_tokens; t++) {
        const int8_t *quants = to.tokens->quants[t];
        __m512i first = ex_dot_columns(quants, 32 * block, columns, ex_start(to, t, 2 * block, EX_BIAS_BITS));
        __m512i second = ex_dot_columns(quants, 32 * block + 16, columns + 4, ex_start(to, t, 2 * block + 1, 0));
        to.sums[t] = ex_add_halves(to.sums[t], ex_scale_biased(first, first_scales, offsets), second, second_scales,
                                   to.tokens->scales[t][block]);
    }
}

EX_INLINE void ex_put_block_with_two_minimums(ex_sink to, size_t block, const __m512i columns[8],
                                              const __m512 scales[2], const __m512 minimums[2]) {
    ex_put_block_with_two_scales(to, block, columns, scales[0], scales[1]);
    for (size_t i = 0; i < 2; i++) {
        if (to.n_tokens == 0) _mm512_store_ps(to.chunk->minimums[2 * block + i], minimums[i]);
#pragma GCC unroll 8
        for (size_t t = 0; t < to.n_tokens; t++)
            to.sums[t] = ex_subtract_minimum(to.sums[t], minimums[i], to.tokens->terms[t].sums[2 * block + i]);
    }
}

/* In each 128-bit lane, a 4 x 4 transposition of 32-bit numbers. */
static inline void ex_transpose_lanes(const __m512i in[4], __m512i out[4]) {
    __m512i low01 = _mm512_unpacklo_epi32(in[0], in[1]), high01 = _mm512_unpackhi_epi32(in[0], in[1]);
    __m512i low23 = _mm512_unpacklo_epi32(in[2], in[3]), high23 = _mm512_unpackhi_epi32(in[2], in[3]);
    out[0] = _mm512_unpacklo_epi64(low01, low23);
    out[1] = _mm512_unpackhi_epi64(low01, low23);
    out[2] = _mm512_unpacklo_epi64(high01, high23);
    out[3] = _mm512_unpackhi_epi64(high01, high23);
}

/* For each line that is read at `bytes`, one in another stream: so all streams are always on their way. */
EX_INLINE void ex_prefetch_packed(ex_source from, size_t bytes) {
    const size_t line = bytes / 64;
    if (from.ahead) _mm_prefetch((const void *)(from.ahead[line % EX_STREAMS] + line / EX_STREAMS * 64), _MM_HINT_T0);
}

/* n columns of packed rows, four bytes of each row in each. */
EX_INLINE void ex_load_packed(ex_source from, size_t offset, size_t n, __m512i *columns) {
    for (size_t i = 0; i < n; i++) {
        ex_prefetch_packed(from, EX_LANES * offset + 64 * i);
        columns[i] = _mm512_loadu_si512(from.first + EX_LANES * offset + 64 * i);
    }
}

/* A half precision number of each row. */
EX_INLINE __m512 ex_load_packed_scale(ex_source from, size_t offset) {
    ex_prefetch_packed(from, EX_LANES * offset);
    return _mm512_cvtph_ps(_mm256_loadu_si256((const void *)(from.first + EX_LANES * offset)));
}

/* Sixteen bytes of rows i, i + 4, i + 8 and i + 12 in in[i]. */
EX_INLINE void ex_load_quarters(ex_source from, size_t offset, __m512i out[4]) {
    for (size_t i = 0; i < 4; i++) {
        const uint8_t *bytes = from.first + offset + i * from.stride;
        __m512i v = _mm512_castsi128_si512(_mm_loadu_si128((const void *)bytes));
        v = _mm512_inserti32x4(v, _mm_loadu_si128((const void *)(bytes + 4 * from.stride)), 1);
        v = _mm512_inserti32x4(v, _mm_loadu_si128((const void *)(bytes + 8 * from.stride)), 2);
        out[i] = _mm512_inserti32x4(v, _mm_loadu_si128((const void *)(bytes + 12 * from.stride)), 3);
    }
}

/* Columns of sixteen bytes of each row. */
EX_INLINE void ex_load_columns_16(ex_source from, size_t offset, __m512i columns[4]) {
    if (from.packed) {
        ex_load_packed(from, offset, 4, columns);
        return;
    }
    __m512i quarters[4];
    ex_load_quarters(from, offset, quarters);
    ex_transpose_lanes(quarters, columns);
}

/* Columns of 32 bytes of each row: two rows to a register, so half the loads. */
EX_INLINE void ex_load_columns_32(ex_source from, size_t offset, __m512i columns[8]) {
    if (from.packed) {
        ex_load_packed(from, offset, 8, columns);
        return;
    }
    __m512i upper[4], lower[4]; /* rows 0 to 7 and 8 to 15 */
    for (size_t half = 0; half < 2; half++) {
        __m512i pairs[4];
        for (size_t i = 0; i < 4; i++) {
            const uint8_t *bytes = from.first + offset + (8 * half + i) * from.stride;
            __m512i v = _mm512_castsi256_si512(_mm256_loadu_si256((const void *)bytes));
            pairs[i] = _mm512_inserti64x4(v, _mm256_loadu_si256((const void *)(bytes + 4 * from.stride)), 1);
        }
        ex_transpose_lanes(pairs, half ? lower : upper);
    }
    for (size_t i = 0; i < 4; i++) {
        columns[i] = _mm512_shuffle_i32x4(upper[i], lower[i], 0x88);
        columns[i + 4] = _mm512_shuffle_i32x4(upper[i], lower[i], 0xDD);
    }
}

/* The half precision number at `offset` of each row, of which sixteen bytes can be read. */
EX_INLINE __m512 ex_load_scale(ex_source from, size_t offset) {
    if (from.packed) return ex_load_packed_scale(from, offset);
    __m512i q[4];
    ex_load_quarters(from, offset, q);
    __m512i first = _mm512_unpacklo_epi64(_mm512_unpacklo_epi32(q[0], q[1]), _mm512_unpacklo_epi32(q[2], q[3]));
    return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(first));
}

/* The same where sixteen bytes can be read that end with the number. */
EX_INLINE __m512 ex_load_last_scale(ex_source from, size_t offset) {
    if (from.packed) return ex_load_packed_scale(from, offset);
    __m512i tail[4];
    ex_load_columns_16(from, offset + 2 - 16, tail);
    return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(_mm512_srli_epi32(tail[3], 16)));
}

/* Byte i of each lane, as a number. */
EX_INLINE __m512 ex_byte_to_float(__m512i v, unsigned i) {
    if (i > 0) v = _mm512_srli_epi32(v, 8 * i);
    return _mm512_cvtepi32_ps(i < 3 ? _mm512_and_si512(v, _mm512_set1_epi32(255)) : v);
}

/* From read_NAME(source, number of blocks, sink): what unpacks, what adds n_tokens tokens, and the type. */
#define EX_CHUNK_UNPACK(name, read, packed, kind, zero)                                                                \
    static void unpack_##name(ex_chunk_rows from, size_t n_blocks, ex_chunk *out) {                                    \
        const ex_source source = {from.first, from.stride, packed, NULL};                                              \
        read(source, n_blocks, (ex_sink){out, false, NULL, 0, NULL, kind, zero});                                      \
    }

#define EX_CHUNK_KEEP(name, read, kind, zero)                                                                          \
    static void keep_##name(const uint8_t *from, size_t n_blocks, const uint8_t *const *ahead, ex_chunk *out) {        \
        read((ex_source){from, 0, true, ahead}, n_blocks, (ex_sink){out, true, NULL, 0, NULL, kind, zero});            \
    }

#define EX_CHUNK_ADD(name, read, packed, kind, zero, n)                                                                \
    static void add_##name##_##n(ex_chunk_rows from, size_t n_blocks, const ex_chunk_tokens *tokens,                   \
                                 ex_lane_sums *sums) {                                                                 \
        __m512 own[n];                                                                                                 \
        for (size_t t = 0; t < n; t++) own[t] = _mm512_load_ps(sums[t]);                                               \
        const ex_source source = {from.first, from.stride, packed, tokens->ahead};                                     \
        read(source, n_blocks, (ex_sink){NULL, false, tokens, n, own, kind, zero});                                    \
        for (size_t t = 0; t < n; t++) _mm512_store_ps(sums[t], own[t]);                                               \
    }

#define EX_CHUNK_TYPE(name, kind, zero, block_bytes, chunk_bytes)                                                      \
    EX_CHUNK_UNPACK(name, read_##name, false, kind, zero)                                                              \
    EX_CHUNK_ADD(name, read_##name, false, kind, zero, 1)                                                              \
    const ex_chunk_type ex_chunk_##name = {                                                                            \
        kind, zero, block_bytes, chunk_bytes, unpack_##name, {[1] = add_##name##_1}, false, NULL};

/* Two of them, the other for packed rows. */
#define EX_CHUNK_TYPES(name, kind, zero, block_bytes, chunk_bytes)                                                     \
    EX_CHUNK_TYPE(name, kind, zero, block_bytes, chunk_bytes)                                                          \
    EX_CHUNK_UNPACK(name##_packed, read_##name, true, kind, zero)                                                      \
    EX_CHUNK_KEEP(name##_packed, read_##name, kind, zero)                                                              \
    EX_CHUNK_ADD(name##_packed, read_##name, true, kind, zero, 1)                                                      \
    EX_CHUNK_ADD(name##_packed, read_##name, true, kind, zero, 2)                                                      \
    EX_CHUNK_ADD(name##_packed, read_##name, true, kind, zero, 3)                                                      \
    EX_CHUNK_ADD(name##_packed, read_##name, true, kind, zero, 4)                                                      \
    EX_CHUNK_ADD(name##_packed, read_##name, true, kind, zero, 5)                                                      \
    EX_CHUNK_ADD(name##_packed, read_##name, true, kind, zero, 6)                                                      \
    const ex_chunk_type ex_chunk_##name##_packed = {                                                                   \
        kind, zero, block_bytes, chunk_bytes, unpack_##name##_packed,                                                  \
        {NULL, add_##name##_packed_1, add_##name##_packed_2, add_##name##_packed_3, add_##name##_packed_4,             \
         add_##name##_packed_5, add_##name##_packed_6}, true, keep_##name##_packed};

#endif
