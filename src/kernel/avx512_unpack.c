/* avx512_unpack.c - columns of Q8_0, Q4_0, Q4_K, Q5_K and Q6_K. */
#include "kernel/avx512_columns.h"

EX_INLINE void read_q8_0(ex_source from, size_t n_blocks, ex_sink to) {
    const __m512i sign = _mm512_set1_epi8(-128);
    for (size_t b = 0; b < n_blocks; b++) {
        size_t at = b * sizeof(ex_block_q8_0);
        if (b % 2 == 0) ex_prefetch_rows(from, at);
        __m512i columns[8];
        ex_load_columns_32(from, at + offsetof(ex_block_q8_0, quants), columns);
        for (size_t i = 0; i < 8; i++) columns[i] = _mm512_xor_si512(columns[i], sign);
        ex_put_block(to, b, columns, ex_load_scale(from, at));
    }
}

EX_INLINE void read_q4_0(ex_source from, size_t n_blocks, ex_sink to) {
    const __m512i nibble = _mm512_set1_epi8(15);
    for (size_t b = 0; b < n_blocks; b++) {
        size_t at = b * sizeof(ex_block_q4_0);
        if (b % 3 == 0) ex_prefetch_rows(from, at);
        __m512i bytes[4], columns[8];
        ex_load_columns_16(from, at + offsetof(ex_block_q4_0, quants), bytes);
        for (size_t i = 0; i < 4; i++) {
            columns[i] = _mm512_and_si512(bytes[i], nibble);
            columns[i + 4] = _mm512_and_si512(_mm512_srli_epi16(bytes[i], 4), nibble);
        }
        ex_put_block(to, b, columns, ex_load_scale(from, at));
    }
}

typedef struct q4_k_scales {
    __m512 scale, high_scale, minimum; /* high_scale: for nibbles in their place, which are sixteen times the quant */
    __m512i scales[2], minimums[2];    /* a byte for each sub-block */
} q4_k_scales;

/* From the sixteen bytes before the quants: scale and minimum, then the twelve that ex_q4_k_scales explains. */
EX_INLINE q4_k_scales read_q4_k_scales(ex_source from) {
    const __m512i six = _mm512_set1_epi8(63), four = _mm512_set1_epi8(15), two = _mm512_set1_epi8(48);
    __m512i head[4];
    q4_k_scales s;
    ex_load_columns_16(from, 0, head);
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

EX_INLINE void put_q4_k_block(ex_sink to, unsigned block, const __m512i columns[8], const q4_k_scales *s) {
    __m512 scales = ex_byte_to_float(s->scales[block / 4], block % 4);
    __m512 minimums = ex_byte_to_float(s->minimums[block / 4], block % 4);
    ex_put_block_with_minimum(to, block, columns, _mm512_mul_ps(scales, block % 2 ? s->high_scale : s->scale),
                           _mm512_mul_ps(minimums, s->minimum));
}

EX_INLINE void read_q4_k(ex_source from, size_t n_blocks, ex_sink to) {
    (void)n_blocks;
    const __m512i low_nibble = _mm512_set1_epi8(15), high_nibble = _mm512_set1_epi8(-16);
    q4_k_scales scales = read_q4_k_scales(from);
    /* Bytes in chunks have a sign, so nibbles cannot stay in place. */
    if (to.n_tokens == 0 && !to.raw) scales.high_scale = scales.scale;
    for (unsigned pair = 0; pair < 4; pair++) {
        if (pair < 3) ex_prefetch_rows(from, 64 * pair);
        __m512i bytes[8], columns[8];
        ex_load_columns_32(from, offsetof(ex_block_q4_k, quants) + 32 * pair, bytes);
        for (size_t i = 0; i < 8; i++) columns[i] = _mm512_and_si512(bytes[i], low_nibble);
        put_q4_k_block(to, 2 * pair, columns, &scales);
        for (size_t i = 0; i < 8; i++)
            columns[i] = to.n_tokens > 0 || to.raw ? _mm512_and_si512(bytes[i], high_nibble)
                                : _mm512_and_si512(_mm512_srli_epi16(bytes[i], 4), low_nibble);
        put_q4_k_block(to, 2 * pair + 1, columns, &scales);
    }
}

/* The fifth bits of sub-block `block`, in their place. */
EX_INLINE __m512i q5_k_high_bit(__m512i high, unsigned block) {
    const __m512i fifth = _mm512_set1_epi8(16);
    return _mm512_and_si512(block < 4 ? _mm512_slli_epi32(high, 4 - block) : _mm512_srli_epi32(high, block - 4), fifth);
}

EX_INLINE void read_q5_k(ex_source from, size_t n_blocks, ex_sink to) {
    (void)n_blocks;
    const __m512i nibble = _mm512_set1_epi8(15);
    q4_k_scales scales = read_q4_k_scales(from);
    scales.high_scale = scales.scale;
    __m512i high[8];
    ex_load_columns_32(from, offsetof(ex_block_q5_k, high), high);
    for (unsigned pair = 0; pair < 4; pair++) {
        if (pair < 3) ex_prefetch_rows(from, 64 * pair);
        __m512i bytes[8], columns[8];
        ex_load_columns_32(from, offsetof(ex_block_q5_k, quants) + 32 * pair, bytes);
        for (unsigned block = 2 * pair; block < 2 * pair + 2; block++) {
            for (size_t i = 0; i < 8; i++) {
                __m512i low = block % 2 ? _mm512_srli_epi16(bytes[i], 4) : bytes[i];
                columns[i] = _mm512_or_si512(_mm512_and_si512(low, nibble), q5_k_high_bit(high[i], block));
            }
            put_q4_k_block(to, block, columns, &scales);
        }
    }
}

typedef struct q6_k_scales {
    __m512 scale;
    __m512i scales[4]; /* a signed byte for each sixteen weights */
} q6_k_scales;

EX_INLINE q6_k_scales read_q6_k_scales(ex_source from) {
    q6_k_scales s;
    ex_load_columns_16(from, offsetof(ex_block_q6_k, scales), s.scales);
    s.scale = ex_load_last_scale(from, offsetof(ex_block_q6_k, scale));
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
EX_INLINE void put_q6_k_block(ex_sink to, unsigned block, const __m512i nibbles[8], const __m512i high[8],
                              const q6_k_scales *s) {
    const unsigned quarter = block % 4;
    const __m512i four_bits = _mm512_set1_epi8(15), six_bits = _mm512_set1_epi8(63);
    __m512i columns[8];
    for (size_t i = 0; i < 8; i++) {
        __m512i low = quarter < 2 ? nibbles[i] : _mm512_srli_epi16(nibbles[i], 4);
        __m512i bits = q6_k_high_bits(high[i], quarter);
        columns[i] = _mm512_and_si512(_mm512_ternarylogic_epi32(bits, low, four_bits, 0xD8), six_bits); /* c ? b : a */
    }
    ex_put_block_with_two_scales(to, block, columns, q6_k_scale(s, 2 * block), q6_k_scale(s, 2 * block + 1));
}

EX_INLINE void read_q6_k_half(ex_source from, unsigned half, const q6_k_scales *scales, ex_sink to) {
    __m512i high[8], first[8], second[8];
    ex_prefetch_rows(from, 128 * half);
    ex_prefetch_rows(from, 128 * half + 64);
    ex_load_columns_32(from, offsetof(ex_block_q6_k, high) + 32 * half, high);
    ex_load_columns_32(from, 64 * half, first);
    ex_load_columns_32(from, 64 * half + 32, second);
    put_q6_k_block(to, 4 * half, first, high, scales);
    put_q6_k_block(to, 4 * half + 1, second, high, scales);
    put_q6_k_block(to, 4 * half + 2, first, high, scales);
    put_q6_k_block(to, 4 * half + 3, second, high, scales);
}

/* No loop: with places that are known, asking for what comes next takes one instruction instead of four. */
EX_INLINE void read_q6_k(ex_source from, size_t n_blocks, ex_sink to) {
    (void)n_blocks;
    const q6_k_scales scales = read_q6_k_scales(from);
    read_q6_k_half(from, 0, &scales, to);
    read_q6_k_half(from, 1, &scales, to);
}

EX_CHUNK_TYPES(q8_0, EX_CHUNK_ONE_SCALE, 128, sizeof(ex_block_q8_0), 8 * sizeof(ex_block_q8_0))
EX_CHUNK_TYPES(q4_0, EX_CHUNK_ONE_SCALE, 8, sizeof(ex_block_q4_0), 8 * sizeof(ex_block_q4_0))
EX_CHUNK_TYPES(q4_k, EX_CHUNK_MINIMUM, 0, 0, sizeof(ex_block_q4_k))
EX_CHUNK_TYPES(q5_k, EX_CHUNK_MINIMUM, 0, 0, sizeof(ex_block_q5_k))
EX_CHUNK_TYPES(q6_k, EX_CHUNK_TWO_SCALES, 32, 0, sizeof(ex_block_q6_k))
