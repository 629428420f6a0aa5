/* avx2_attention_q8_0.c - attention of one head over pages of the KV cache whose keys and values are bytes. */
#include "kernel/avx2.h"

#include <string.h>

enum {
    QUERIES = 4,                    /* share what is loaded of the cache */
    SINGLE_VECTORS = 4,             /* one query: more vectors, so that additions overlap */
    ROW_BYTES = EX_KV_PAGE * 4      /* four dimensions of all keys */
};

ALWAYS_INLINE __m256i load_bytes(const void *bytes) { return _mm256_loadu_si256((const __m256i *)bytes); }

ALWAYS_INLINE __m256i four_quants(const int8_t *quants) {
    int32_t four;
    memcpy(&four, quants, sizeof four);
    return _mm256_set1_epi32(four);
}

/* ---- scores ------------------------------------------------------------------------------------------------- */

/* One block of dimensions of eight positions for each vector: whole numbers. */
ALWAYS_INLINE void multiply_block(const ex_activations *queries, size_t query, size_t block, const int8_t *keys,
                                  avx2_ahead part, __m256i products[QUERIES][SINGLE_VECTORS], size_t n_query,
                                  size_t n_vectors) {
    const int8_t *quants = queries->quants + query * queries->n_in;
    UNROLL for (size_t q = 0; q < n_query; q++)
        UNROLL for (size_t v = 0; v < n_vectors; v++) products[q][v] = _mm256_setzero_si256();
    for (size_t d = block * EX_QUANT_BLOCK; d < (block + 1) * EX_QUANT_BLOCK; d += 4) {
        avx2_ask_ahead(part, d / 4);
        UNROLL for (size_t v = 0; v < n_vectors; v++) {
            __m256i bytes = load_bytes(keys + d / 4 * ROW_BYTES + v * 32), absolute = _mm256_abs_epi8(bytes);
            UNROLL for (size_t q = 0; q < n_query; q++) {
                __m256i with_signs = _mm256_sign_epi8(four_quants(quants + q * queries->n_in + d), bytes);
                __m256i pairs = _mm256_maddubs_epi16(absolute, with_signs);
                products[q][v] = _mm256_add_epi32(products[q][v], _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
            }
        }
    }
}

/* Scores of positions from `first` on. */
ALWAYS_INLINE void scores_tile(const ex_activations *queries, size_t query, const void *keys, const ex_streams *ahead,
                               size_t first, __m256 scale, float *scores, size_t stride, size_t n_query,
                               size_t n_vectors) {
    const size_t head_dim = queries->n_in, n_blocks = head_dim / EX_QUANT_BLOCK;
    const uint16_t *key_scales = ex_kv_scales(keys, head_dim) + first;
    const float *query_scales = queries->scales + query * n_blocks;
    const size_t page_bytes = ex_kv_bytes(EX_KV_Q8_0, head_dim);
    const avx2_ahead part = avx2_part_ahead(ahead, page_bytes * first / EX_KV_PAGE, page_bytes * n_vectors / 8);
    __m256 sums[QUERIES][SINGLE_VECTORS];
    UNROLL for (size_t q = 0; q < n_query; q++)
        UNROLL for (size_t v = 0; v < n_vectors; v++) sums[q][v] = _mm256_setzero_ps();
    for (size_t block = 0; block < n_blocks; block++) {
        __m256i products[QUERIES][SINGLE_VECTORS];
        multiply_block(queries, query, block, (const int8_t *)keys + first * 4, part, products, n_query, n_vectors);
        UNROLL for (size_t v = 0; v < n_vectors; v++) {
            __m256 some = avx2_load_halves(key_scales + block * EX_KV_PAGE + v * 8);
            UNROLL for (size_t q = 0; q < n_query; q++) {
                __m256 both = _mm256_mul_ps(some, _mm256_broadcast_ss(query_scales + q * n_blocks + block));
                sums[q][v] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(products[q][v]), both, sums[q][v]);
            }
        }
    }
    UNROLL for (size_t q = 0; q < n_query; q++)
        UNROLL for (size_t v = 0; v < n_vectors; v++)
            _mm256_storeu_ps(scores + q * stride + first + v * 8, _mm256_mul_ps(scale, sums[q][v]));
}

void ex_avx2_attention_scores_q8_0(const ex_activations *queries, const void *keys, const ex_streams *ahead,
                                   size_t n_positions, float scale, float *scores, size_t scores_stride) {
    const __m256 scales = _mm256_set1_ps(scale);
    size_t q = 0;
    for (; q + QUERIES <= queries->n_tokens; q += QUERIES, ahead = NULL)
        for (size_t j = 0; j < n_positions; j += 8)
            scores_tile(queries, q, keys, ahead, j, scales, scores + q * scores_stride, scores_stride, QUERIES, 1);
    for (; q < queries->n_tokens; q++, ahead = NULL)
        for (size_t j = 0; j < n_positions; j += SINGLE_VECTORS * 8)
            scores_tile(queries, q, keys, ahead, j, scales, scores + q * scores_stride, scores_stride, 1,
                        SINGLE_VECTORS);
}

/* ---- values ------------------------------------------------------------------------------------------------- */

/* Probabilities times the scales of one block of dimensions. */
ALWAYS_INLINE void weigh(float weights[QUERIES][EX_KV_PAGE], const float *probabilities, size_t stride, size_t n_query,
                         const uint16_t *scales, size_t n_positions) {
    const __m256 zero = _mm256_setzero_ps();
    for (size_t j = 0; j < n_positions; j += 8) {
        __m256 some = avx2_load_halves(scales + j);
        UNROLL for (size_t q = 0; q < n_query; q++) {
            __m256 p = avx2_load_or(probabilities + q * stride + j, n_positions - j, zero);
            _mm256_storeu_ps(weights[q] + j, _mm256_mul_ps(p, some));
        }
    }
}

/* n_vectors times eight dimensions from `d` on, all of one block. */
ALWAYS_INLINE void values_tile(float weights[QUERIES][EX_KV_PAGE], const int8_t *quants, avx2_ahead part,
                               size_t n_positions, size_t head_dim, size_t d, float *out, size_t n_query,
                               size_t n_vectors) {
    __m256 sums[QUERIES][SINGLE_VECTORS];
    UNROLL for (size_t q = 0; q < n_query; q++)
        UNROLL for (size_t v = 0; v < n_vectors; v++) sums[q][v] = _mm256_loadu_ps(out + q * head_dim + d + v * 8);
    for (size_t j = 0; j < n_positions; j++) {
        __m256 row[SINGLE_VECTORS];
        avx2_ask_ahead(part, j);
        UNROLL for (size_t v = 0; v < n_vectors; v++) {
            __m128i bytes = _mm_loadl_epi64((const __m128i *)(quants + j * head_dim + d + v * 8));
            row[v] = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes));
        }
        UNROLL for (size_t q = 0; q < n_query; q++) {
            __m256 weight = _mm256_broadcast_ss(weights[q] + j);
            UNROLL for (size_t v = 0; v < n_vectors; v++) sums[q][v] = _mm256_fmadd_ps(weight, row[v], sums[q][v]);
        }
    }
    UNROLL for (size_t q = 0; q < n_query; q++)
        UNROLL for (size_t v = 0; v < n_vectors; v++) _mm256_storeu_ps(out + q * head_dim + d + v * 8, sums[q][v]);
}

ALWAYS_INLINE void add_value_rows(const float *probabilities, size_t stride, const void *values,
                                  const ex_streams *ahead, size_t n_positions, size_t head_dim, float *out,
                                  size_t n_query, size_t n_vectors) {
    const size_t part = ex_kv_bytes(EX_KV_Q8_0, head_dim) / head_dim * n_vectors * 8;
    float weights[QUERIES][EX_KV_PAGE];
    for (size_t d = 0; d < head_dim; d += n_vectors * 8) {
        const size_t block = d / EX_QUANT_BLOCK;
        if (d % EX_QUANT_BLOCK == 0)
            weigh(weights, probabilities, stride, n_query, ex_kv_scales(values, head_dim) + block * EX_KV_PAGE,
                  n_positions);
        values_tile(weights, values, avx2_part_ahead(ahead, d / (n_vectors * 8) * part, part), n_positions, head_dim, d,
                    out, n_query, n_vectors);
    }
}

void ex_avx2_attention_values_q8_0(const float *p, size_t stride, size_t n_query, const void *values,
                                   const ex_streams *ahead, size_t n_positions, size_t head_dim, float *out) {
    for (; n_query >= QUERIES; n_query -= QUERIES, p += QUERIES * stride, out += QUERIES * head_dim, ahead = NULL)
        add_value_rows(p, stride, values, ahead, n_positions, head_dim, out, QUERIES, 2);
    for (; n_query > 0; n_query--, p += stride, out += head_dim, ahead = NULL)
        add_value_rows(p, stride, values, ahead, n_positions, head_dim, out, 1, SINGLE_VECTORS);
}
