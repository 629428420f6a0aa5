/* avx2_unpack.c - ex_unpack with AVX2. Bytes are shifted in pairs, and a mask clears what that moved across. */
#include "kernel/avx2_unpack.h"

#include <string.h>

ALWAYS_INLINE __m256i load_32(const void *bytes) { return _mm256_loadu_si256((const __m256i *)bytes); }
ALWAYS_INLINE __m128i load_16(const void *bytes) { return _mm_loadu_si128((const __m128i *)bytes); }

ALWAYS_INLINE void store_32(int8_t *quants, __m256i values) {
    _mm256_store_si256((__m256i *)(void *)quants, values);
}

ALWAYS_INLINE float half_to_float(uint16_t half) { return _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(half))); }

/* ---- blocks of 32 -------------------------------------------------------------------------------------------- */

/* Nibbles from 0 to 15: low ones of 16 bytes, then high ones. */
ALWAYS_INLINE __m256i load_nibbles(const uint8_t packed[16]) {
    __m128i bytes = load_16(packed);
    return _mm256_and_si256(_mm256_set_m128i(_mm_srli_epi16(bytes, 4), bytes), _mm256_set1_epi8(15));
}

/* All bits of byte i set where bit i of `packed` is. */
ALWAYS_INLINE __m256i spread_bits(const uint8_t packed[4]) {
    int32_t bits;
    memcpy(&bits, packed, sizeof bits);
    const __m256i byte = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
    const __m256i bit = _mm256_set1_epi64x((long long)0x8040201008040201);
    __m256i spread = _mm256_shuffle_epi8(_mm256_set1_epi32(bits), byte);
    return _mm256_cmpeq_epi8(_mm256_and_si256(spread, bit), bit);
}

ALWAYS_INLINE __m256i look_up(const int8_t values[16], __m256i nibbles) {
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(load_16(values)), nibbles);
}

ALWAYS_INLINE void put_both(float *values, float value) { values[0] = values[1] = value; }

void avx2_unpack_q4_1(const void *blocks, size_t n_blocks, ex_unpacked *out) {
    const ex_block_q4_1 *block = blocks;
    for (size_t b = 0; b < n_blocks; b++, block++) {
        store_32(out->quants + 32 * b, load_nibbles(block->quants));
        put_both(out->scales + 2 * b, half_to_float(block->scale));
        put_both(out->minimums + 2 * b, -half_to_float(block->offset));
    }
}

void avx2_unpack_q5_0(const void *blocks, size_t n_blocks, ex_unpacked *out) {
    const ex_block_q5_0 *block = blocks;
    for (size_t b = 0; b < n_blocks; b++, block++) {
        __m256i missing = _mm256_andnot_si256(spread_bits(block->high), _mm256_set1_epi8(-16));
        store_32(out->quants + 32 * b, _mm256_or_si256(load_nibbles(block->quants), missing));
        put_both(out->scales + 2 * b, half_to_float(block->scale));
    }
}

void avx2_unpack_q5_1(const void *blocks, size_t n_blocks, ex_unpacked *out) {
    const ex_block_q5_1 *block = blocks;
    for (size_t b = 0; b < n_blocks; b++, block++) {
        __m256i fifth = _mm256_and_si256(spread_bits(block->high), _mm256_set1_epi8(16));
        store_32(out->quants + 32 * b, _mm256_or_si256(load_nibbles(block->quants), fifth));
        put_both(out->scales + 2 * b, half_to_float(block->scale));
        put_both(out->minimums + 2 * b, -half_to_float(block->offset));
    }
}

void avx2_unpack_iq4_nl(const void *blocks, size_t n_blocks, ex_unpacked *out) {
    const ex_block_iq4_nl *block = blocks;
    for (size_t b = 0; b < n_blocks; b++, block++) {
        store_32(out->quants + 32 * b, look_up(ex_iq4_values, load_nibbles(block->quants)));
        put_both(out->scales + 2 * b, half_to_float(block->scale));
    }
}

void avx2_unpack_mxfp4(const void *blocks, size_t n_blocks, ex_unpacked *out) {
    const ex_block_mxfp4 *block = blocks;
    for (size_t b = 0; b < n_blocks; b++, block++) {
        store_32(out->quants + 32 * b, look_up(ex_mxfp4_values, load_nibbles(block->quants)));
        put_both(out->scales + 2 * b, ex_mxfp4_scale(block->exponent));
    }
}

/* ---- blocks of 256 ------------------------------------------------------------------------------------------- */

/* Sixteen bytes as numbers, times `scale`. */
ALWAYS_INLINE void put_scaled(float values[16], __m128i bytes, float scale) {
    __m256 factor = _mm256_set1_ps(scale);
    __m256 first = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes));
    __m256 second = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128(bytes, 8)));
    _mm256_storeu_ps(values, _mm256_mul_ps(factor, first));
    _mm256_storeu_ps(values + 8, _mm256_mul_ps(factor, second));
}

/* Eight bytes, each for two sub-blocks of sixteen. */
ALWAYS_INLINE __m128i twice_each(__m128i bytes) { return _mm_unpacklo_epi8(bytes, bytes); }

/* Each byte shifted to the right, and the bits that come from its neighbour cleared with the others. */
ALWAYS_INLINE __m256i bits_from(__m256i bytes, int shift, char mask) {
    return _mm256_and_si256(_mm256_srli_epi16(bytes, shift), _mm256_set1_epi8(mask));
}

void avx2_unpack_q2_k(const void *blocks, size_t n_blocks, ex_unpacked *out) {
    const ex_block_q2_k *block = blocks;
    (void)n_blocks; /* is 1 */
    UNROLL for (int s = 0; s < 8; s++)
        store_32(out->quants + 32 * s, bits_from(load_32(block->quants + s / 4 * 32), s % 4 * 2, 3));
    __m128i both = load_16(block->scales), nibble = _mm_set1_epi8(15);
    put_scaled(out->scales, _mm_and_si128(both, nibble), half_to_float(block->scale));
    put_scaled(out->minimums, _mm_and_si128(_mm_srli_epi16(both, 4), nibble), half_to_float(block->minimum));
}

/* The sixteen scales of six bits, less 32. */
ALWAYS_INLINE __m128i q3_k_scales(const uint8_t packed[12]) {
    uint32_t words[3];
    memcpy(words, packed, sizeof words);
    const uint32_t low_four = 0x0F0F0F0F, low_two = 0x03030303;
    uint32_t scales[4];
    UNROLL for (int i = 0; i < 4; i++)
        scales[i] = (words[i % 2] >> i / 2 * 4 & low_four) | (words[2] >> 2 * i & low_two) << 4;
    return _mm_sub_epi8(load_16(scales), _mm_set1_epi8(32));
}

void avx2_unpack_q3_k(const void *blocks, size_t n_blocks, ex_unpacked *out) {
    const ex_block_q3_k *block = blocks;
    (void)n_blocks;
    const __m256i high = load_32(block->high);
    UNROLL for (int s = 0; s < 8; s++) {
        __m256i low = bits_from(load_32(block->quants + s / 4 * 32), s % 4 * 2, 3);
        __m256i bit = _mm256_set1_epi8((char)(1 << s));
        __m256i is_set = _mm256_cmpeq_epi8(_mm256_and_si256(high, bit), bit);
        store_32(out->quants + 32 * s, _mm256_or_si256(low, _mm256_andnot_si256(is_set, _mm256_set1_epi8(-4))));
    }
    put_scaled(out->scales, q3_k_scales(block->scales), half_to_float(block->scale));
}

void avx2_unpack_q5_k(const void *blocks, size_t n_blocks, ex_unpacked *out) {
    const ex_block_q5_k *block = blocks;
    (void)n_blocks;
    const __m256i high = load_32(block->high);
    UNROLL for (int s = 0; s < 8; s++) {
        __m256i low = bits_from(load_32(block->quants + s / 2 * 32), s % 2 * 4, 15);
        __m256i bit = _mm256_set1_epi8((char)(1 << s));
        __m256i is_set = _mm256_cmpeq_epi8(_mm256_and_si256(high, bit), bit);
        store_32(out->quants + 32 * s, _mm256_or_si256(low, _mm256_and_si256(is_set, _mm256_set1_epi8(16))));
    }
    uint8_t scales[2][8];
    ex_q4_k_scales(block->scales, scales[0], scales[1]);
    __m128i both = load_16(scales);
    put_scaled(out->scales, twice_each(both), half_to_float(block->scale));
    put_scaled(out->minimums, twice_each(_mm_srli_si128(both, 8)), half_to_float(block->minimum));
}

void avx2_unpack_iq4_xs(const void *blocks, size_t n_blocks, ex_unpacked *out) {
    const ex_block_iq4_xs *block = blocks;
    (void)n_blocks;
    int8_t scales[16] = {0};
    UNROLL for (int s = 0; s < 8; s++) {
        int low = block->scales_low[s / 2] >> s % 2 * 4 & 15, high = block->scales_high >> 2 * s & 3;
        scales[s] = (int8_t)((low | high << 4) - 32);
        store_32(out->quants + 32 * s, look_up(ex_iq4_values, load_nibbles(block->quants + 16 * s)));
    }
    put_scaled(out->scales, twice_each(load_16(scales)), half_to_float(block->scale));
}
