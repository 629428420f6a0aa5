/* avx2_matmul_quant.c - matrix products with quantised weights.
 *
 * Products of bytes are added in pairs, then fours, exactly; each of the eight sums of four is scaled and added to its
 * lane. Byte products need one unsigned operand: weights other than Q8_0's are unsigned before their offset, which is
 * subtracted with the help of the activations' sums; those of Q8_0 lend their sign to the activations instead. */
#include "kernel/avx2.h"
#include "kernel/matmul_tiles.h"
#include "kernel/formats.h"

#include <stddef.h>
#include <string.h>

enum { ROWS = 2, TOKENS = 4 };

typedef struct tile_inputs { /* activations of a tile's first token, and how far the next one's are */
    const int8_t *quants;
    const float *scales;
    const int16_t *sums;
    size_t n_in, n_scales, n_sums;
} tile_inputs;

ALWAYS_INLINE tile_inputs inputs_of(const ex_activations *x, size_t token) {
    size_t n_scales = x->n_in / EX_QUANT_BLOCK, n_sums = x->n_in / EX_SUM_BLOCK;
    return (tile_inputs){x->quants + token * x->n_in, x->scales + token * n_scales, x->sums + token * n_sums,
                         x->n_in, n_scales, n_sums};
}

ALWAYS_INLINE __m256i load_bytes(const void *bytes) { return _mm256_loadu_si256((const __m256i *)bytes); }

ALWAYS_INLINE void clear(__m256 sums[ROWS][TOKENS], size_t n_rows, size_t n_tokens) {
    UNROLL for (size_t r = 0; r < n_rows; r++)
        UNROLL for (size_t t = 0; t < n_tokens; t++) sums[r][t] = _mm256_setzero_ps();
}

ALWAYS_INLINE void store(__m256 sums[ROWS][TOKENS], size_t n_rows, size_t n_tokens, float *out, size_t out_stride) {
    UNROLL for (size_t r = 0; r < n_rows; r++)
        UNROLL for (size_t t = 0; t < n_tokens; t++) out[t * out_stride + r] = avx2_sum(sums[r][t]);
}

/* sums + factor * (32 unsigned weights times the activations at `quants`) */
ALWAYS_INLINE __m256 add_unsigned(__m256i weights, const int8_t *quants, const float *factor, __m256 sums) {
    __m256i pairs = _mm256_maddubs_epi16(weights, load_bytes(quants));
    __m256i products = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
    return _mm256_fmadd_ps(_mm256_cvtepi32_ps(products), _mm256_broadcast_ss(factor), sums);
}

/* ---- Q8_0 and Q4_0: blocks of 32 weights that begin with their scale, taken eight at a time ------------------ */

enum { GROUP = 8 };

/* The scales of the first `n` of eight blocks, 0 for the others. */
ALWAYS_INLINE __m256 load_scales(const char *blocks, size_t block_bytes, size_t n) {
    uint16_t halves[GROUP];
    UNROLL for (size_t i = 0; i < GROUP; i++) {
        halves[i] = 0;
        if (i < n) memcpy(&halves[i], blocks + i * block_bytes, sizeof halves[i]);
    }
    return _mm256_cvtph_ps(_mm_setr_epi16((short)halves[0], (short)halves[1], (short)halves[2], (short)halves[3],
                                          (short)halves[4], (short)halves[5], (short)halves[6], (short)halves[7]));
}

/* Nibbles from 0 to 15: low ones of 16 bytes, then high ones. */
ALWAYS_INLINE __m256i load_q4_0(const char *block) {
    __m128i packed = _mm_loadu_si128((const __m128i *)(const void *)(block + offsetof(ex_block_q4_0, quants)));
    __m256i both = _mm256_set_m128i(_mm_srli_epi16(packed, 4), packed);
    return _mm256_and_si256(both, _mm256_set1_epi8(15));
}

/* The weights of Q4_0 are 8 less than their nibbles. The sums of the first `n` of eight blocks, times 8. */
ALWAYS_INLINE __m256 load_offsets(const int16_t *sums, size_t n) {
    const int *pairs = (const int *)(const void *)sums;
    __m256i values = n == GROUP ? load_bytes(sums) : _mm256_maskload_epi32(pairs, avx2_first_lanes(n));
    return _mm256_cvtepi32_ps(_mm256_madd_epi16(values, _mm256_set1_epi16(8)));
}

ALWAYS_INLINE void add_q8_0(const char *block, const int8_t *quants, size_t token_step, const float *factors,
                            size_t factor_step, __m256 *sums, size_t n_tokens) {
    __m256i weights = load_bytes(block + offsetof(ex_block_q8_0, quants));
    __m256i magnitudes = _mm256_abs_epi8(weights);
    UNROLL for (size_t t = 0; t < n_tokens; t++) {
        __m256i signed_quants = _mm256_sign_epi8(load_bytes(quants + t * token_step), weights);
        __m256i products = _mm256_madd_epi16(_mm256_maddubs_epi16(magnitudes, signed_quants), _mm256_set1_epi16(1));
        __m256 factor = _mm256_broadcast_ss(factors + t * factor_step);
        sums[t] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(products), factor, sums[t]);
    }
}

ALWAYS_INLINE void add_group(ex_type type, size_t block_bytes, const char *rows, size_t row_bytes, tile_inputs in,
                             size_t b, size_t n, __m256 sums[ROWS][TOKENS], size_t n_rows, size_t n_tokens) {
    _Alignas(32) float factors[ROWS][TOKENS][GROUP]; /* scale of each block times scale of its activations */
    rows += b * block_bytes;
    UNROLL for (size_t r = 0; r < n_rows; r++) {
        if (n_tokens == 1) avx2_prefetch_ahead(rows + r * row_bytes, GROUP * block_bytes); /* it waits for memory */
        __m256 scales = load_scales(rows + r * row_bytes, block_bytes, n);
        UNROLL for (size_t t = 0; t < n_tokens; t++) {
            __m256 x_scales = avx2_load_or(in.scales + t * in.n_scales + b, n, _mm256_setzero_ps());
            __m256 factor = _mm256_mul_ps(scales, x_scales);
            _mm256_store_ps(factors[r][t], factor);
            if (type == EX_TYPE_Q4_0)
                sums[r][t] = _mm256_fnmadd_ps(load_offsets(in.sums + t * in.n_sums + b * 2, n), factor, sums[r][t]);
        }
    }
    for (size_t i = 0; i < n; i++) {
        const int8_t *quants = in.quants + (b + i) * 32;
        UNROLL for (size_t r = 0; r < n_rows; r++) {
            const char *block = rows + r * row_bytes + i * block_bytes;
            if (type == EX_TYPE_Q8_0) {
                add_q8_0(block, quants, in.n_in, &factors[r][0][i], GROUP, sums[r], n_tokens);
                continue;
            }
            __m256i weights = load_q4_0(block);
            UNROLL for (size_t t = 0; t < n_tokens; t++)
                sums[r][t] = add_unsigned(weights, quants + t * in.n_in, &factors[r][t][i], sums[r][t]);
        }
    }
}

ALWAYS_INLINE void group_tile(ex_type type, size_t block_bytes, const char *rows, size_t row_bytes,
                              const ex_activations *x, size_t token, float *out, size_t out_stride, size_t n_rows,
                              size_t n_tokens) {
    const tile_inputs in = inputs_of(x, token);
    __m256 sums[ROWS][TOKENS];
    clear(sums, n_rows, n_tokens);
    size_t b = 0;
    for (; b + GROUP <= in.n_scales; b += GROUP)
        add_group(type, block_bytes, rows, row_bytes, in, b, GROUP, sums, n_rows, n_tokens);
    if (b < in.n_scales)
        add_group(type, block_bytes, rows, row_bytes, in, b, in.n_scales - b, sums, n_rows, n_tokens);
    store(sums, n_rows, n_tokens, out, out_stride);
}

/* ---- Q4_K --------------------------------------------------------------------------------------------------- */

typedef struct q4_k_scales { /* of the eight sub-blocks, in order */
    __m256 scales, minimums;
} q4_k_scales;

/* Four 6-bit numbers at a time, as ex_q4_k_scales does one by one. */
ALWAYS_INLINE q4_k_scales load_q4_k_scales(const ex_block_q4_k *block) {
    uint32_t words[3];
    memcpy(words, block->scales, sizeof words);
    const uint32_t low_six = 0x3F3F3F3Fu, low_four = 0x0F0F0F0Fu, low_two = 0x03030303u;
    uint64_t scales = words[0] & low_six, minimums = words[1] & low_six;
    scales |= (uint64_t)((words[2] & low_four) | (words[0] >> 6 & low_two) << 4) << 32;
    minimums |= (uint64_t)((words[2] >> 4 & low_four) | (words[1] >> 6 & low_two) << 4) << 32;
    __m256 scale_numbers = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_cvtsi64_si128((long long)scales)));
    __m256 minimum_numbers = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_cvtsi64_si128((long long)minimums)));
    return (q4_k_scales){_mm256_mul_ps(avx2_broadcast_half(block->scale), scale_numbers),
                         _mm256_mul_ps(avx2_broadcast_half(block->minimum), minimum_numbers)};
}

ALWAYS_INLINE void q4_k_tile(const char *rows, size_t row_bytes, const ex_activations *x, size_t token, float *out,
                             size_t out_stride, size_t n_rows, size_t n_tokens) {
    const tile_inputs in = inputs_of(x, token);
    const __m256i low_nibbles = _mm256_set1_epi8(15);
    __m256 sums[ROWS][TOKENS];
    clear(sums, n_rows, n_tokens);
    for (size_t b = 0; b < in.n_in / EX_SUPER_BLOCK; b++) {
        const ex_block_q4_k *blocks[ROWS];
        _Alignas(32) float factors[ROWS][TOKENS][8]; /* scale of each sub-block times scale of its activations */
        UNROLL for (size_t r = 0; r < n_rows; r++) {
            blocks[r] = (const ex_block_q4_k *)(const void *)(rows + r * row_bytes) + b;
            if (n_tokens == 1) avx2_prefetch_ahead(blocks[r], sizeof *blocks[r]);
            q4_k_scales scales = load_q4_k_scales(blocks[r]);
            UNROLL for (size_t t = 0; t < n_tokens; t++) {
                __m256 x_scales = _mm256_loadu_ps(in.scales + t * in.n_scales + b * 8);
                _mm256_store_ps(factors[r][t], _mm256_mul_ps(scales.scales, x_scales));
                __m256i x_sums = _mm256_madd_epi16(load_bytes(in.sums + t * in.n_sums + b * 16), _mm256_set1_epi16(1));
                sums[r][t] = _mm256_fnmadd_ps(_mm256_cvtepi32_ps(x_sums), _mm256_mul_ps(scales.minimums, x_scales),
                                              sums[r][t]);
            }
        }
        UNROLL for (size_t pair = 0; pair < 4; pair++) {
            UNROLL for (size_t r = 0; r < n_rows; r++) {
                __m256i packed = load_bytes(blocks[r]->quants + pair * 32);
                __m256i low = _mm256_and_si256(packed, low_nibbles);
                __m256i high = _mm256_and_si256(_mm256_srli_epi16(packed, 4), low_nibbles);
                UNROLL for (size_t t = 0; t < n_tokens; t++) {
                    const int8_t *quants = in.quants + t * in.n_in + b * EX_SUPER_BLOCK + pair * 64;
                    sums[r][t] = add_unsigned(low, quants, &factors[r][t][pair * 2], sums[r][t]);
                    sums[r][t] = add_unsigned(high, quants + 32, &factors[r][t][pair * 2 + 1], sums[r][t]);
                }
            }
        }
    }
    store(sums, n_rows, n_tokens, out, out_stride);
}

/* ---- Q6_K --------------------------------------------------------------------------------------------------- */

/* The bytes that spread scales 2g and 2g + 1 of four groups, both halves holding the same eight of 16 bits: scale 2g
 * to all of the low half, scale 2g + 1 to all of the high half. */
ALWAYS_INLINE __m256i spread_scales(__m256i scales, int group) {
    __m256i first = _mm256_set1_epi16((short)(0x0100 + group * 0x0404));
    __m256i half = _mm256_setr_epi64x(0, 0, 0x0202020202020202, 0x0202020202020202);
    return _mm256_shuffle_epi8(scales, _mm256_add_epi8(first, half));
}

/* The 32 weights of one quarter of 128, each from 0 to 63. */
ALWAYS_INLINE __m256i unpack_q6_k(const ex_block_q6_k *block, size_t half, size_t quarter) {
    __m256i low = load_bytes(block->low + half * 64 + quarter % 2 * 32);
    __m256i high = load_bytes(block->high + half * 32);
    if (quarter >= 2) low = _mm256_srli_epi16(low, 4);
    if (quarter == 0) high = _mm256_slli_epi16(high, 4);
    if (quarter == 1) high = _mm256_slli_epi16(high, 2);
    if (quarter == 3) high = _mm256_srli_epi16(high, 2);
    return _mm256_or_si256(_mm256_and_si256(low, _mm256_set1_epi8(15)),
                           _mm256_and_si256(high, _mm256_set1_epi8(0x30)));
}

/* sums + factor * (32 weights, scaled 16 by 16, times the activations at `quants`) */
ALWAYS_INLINE __m256 add_scaled(__m256i weights, __m256i scales, const int8_t *quants, const float *factor,
                                __m256 sums) {
    __m256i products = _mm256_madd_epi16(_mm256_maddubs_epi16(weights, load_bytes(quants)), scales);
    return _mm256_fmadd_ps(_mm256_cvtepi32_ps(products), _mm256_broadcast_ss(factor), sums);
}

ALWAYS_INLINE void q6_k_tile(const char *rows, size_t row_bytes, const ex_activations *x, size_t token, float *out,
                             size_t out_stride, size_t n_rows, size_t n_tokens) {
    const tile_inputs in = inputs_of(x, token);
    __m256 sums[ROWS][TOKENS];
    clear(sums, n_rows, n_tokens);
    for (size_t b = 0; b < in.n_in / EX_SUPER_BLOCK; b++) {
        const ex_block_q6_k *blocks[ROWS];
        __m256i scales[ROWS];
        _Alignas(32) float factors[ROWS][TOKENS][8]; /* scale of the block times scales of the activations */
        UNROLL for (size_t r = 0; r < n_rows; r++) {
            blocks[r] = (const ex_block_q6_k *)(const void *)(rows + r * row_bytes) + b;
            if (n_tokens == 1) avx2_prefetch_ahead(blocks[r], sizeof *blocks[r]);
            scales[r] = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)blocks[r]->scales));
            __m256 scale = avx2_broadcast_half(blocks[r]->scale);
            UNROLL for (size_t t = 0; t < n_tokens; t++) {
                __m256 factor = _mm256_mul_ps(scale, _mm256_loadu_ps(in.scales + t * in.n_scales + b * 8));
                _mm256_store_ps(factors[r][t], factor);
                __m256i offsets = _mm256_madd_epi16(scales[r], load_bytes(in.sums + t * in.n_sums + b * 16));
                offsets = _mm256_slli_epi32(offsets, 5); /* 32 of each 16 scaled weights */
                sums[r][t] = _mm256_fnmadd_ps(_mm256_cvtepi32_ps(offsets), factor, sums[r][t]);
            }
        }
        UNROLL for (size_t half = 0; half < 2; half++) {
            __m256i half_scales[ROWS];
            UNROLL for (size_t r = 0; r < n_rows; r++)
                half_scales[r] = half ? _mm256_permute4x64_epi64(scales[r], 0xEE)
                                      : _mm256_permute4x64_epi64(scales[r], 0x44);
            UNROLL for (size_t quarter = 0; quarter < 4; quarter++) {
                size_t group = half * 4 + quarter;
                UNROLL for (size_t r = 0; r < n_rows; r++) {
                    __m256i weights = unpack_q6_k(blocks[r], half, quarter);
                    __m256i spread = spread_scales(half_scales[r], (int)quarter);
                    UNROLL for (size_t t = 0; t < n_tokens; t++) {
                        const int8_t *quants = in.quants + t * in.n_in + b * EX_SUPER_BLOCK + group * 32;
                        sums[r][t] = add_scaled(weights, spread, quants, &factors[r][t][group], sums[r][t]);
                    }
                }
            }
        }
    }
    store(sums, n_rows, n_tokens, out, out_stride);
}

#define Q8_0_TILE(...) group_tile(EX_TYPE_Q8_0, sizeof(ex_block_q8_0), __VA_ARGS__)
#define Q4_0_TILE(...) group_tile(EX_TYPE_Q4_0, sizeof(ex_block_q4_0), __VA_ARGS__)

EX_DEFINE_MATMUL(ex_avx2_matmul_q8_0, q8_0, Q8_0_TILE, ROWS, TOKENS)
EX_DEFINE_MATMUL(ex_avx2_matmul_q4_0, q4_0, Q4_0_TILE, ROWS, TOKENS)
EX_DEFINE_MATMUL(ex_avx2_matmul_q4_k, q4_k, q4_k_tile, ROWS, TOKENS)
EX_DEFINE_MATMUL(ex_avx2_matmul_q6_k, q6_k, q6_k_tile, ROWS, TOKENS)
