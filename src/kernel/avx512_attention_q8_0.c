/* avx512_attention_q8_0.c - attention of one head over pages of the KV cache whose keys and values are bytes. */
#include "kernel/avx512.h"

enum {
    PAGE_VECTORS = EX_KV_PAGE / EX_LANES,
    ROW_BYTES = EX_KV_PAGE * 4 /* four dimensions of all keys */
};

static inline __m512 load_scales(__mmask16 lanes, const uint16_t *scales, size_t block, size_t position) {
    return ex_load_halves_masked(lanes, scales + block * EX_KV_PAGE + position);
}

/* ---- scores ------------------------------------------------------------------------------------------------- */

typedef struct query_rows { /* of ex_activations, from some query on */
    const int8_t *quants;
    const float *scales;
    const int16_t *sums;
    size_t head_dim;
} query_rows;

static query_rows rows_from(const ex_activations *queries, size_t first) {
    const size_t n = queries->n_in;
    return (query_rows){queries->quants + first * n, queries->scales + first * (n / EX_QUANT_BLOCK),
                        queries->sums + first * (n / EX_SUM_BLOCK), n};
}

/* Keys + 128 times the query, which the instruction wants: begins with what takes the 128 away again. */
static inline __m512i begin_products(const int16_t *sums) { return _mm512_set1_epi32(-128 * (sums[0] + sums[1])); }

static inline __m512i four_quants(const int8_t *quants) {
    int32_t four;
    __builtin_memcpy(&four, quants, sizeof four);
    return _mm512_set1_epi32(four);
}

/* A lane is a position: n_vectors times sixteen of them from `first` on. */
EX_INLINE void score_positions(query_rows queries, size_t n_query, const void *keys, const ex_streams *ahead,
                               size_t first, size_t n_vectors, float scale, float *scores, size_t stride) {
    const size_t head_dim = queries.head_dim, n_blocks = head_dim / EX_QUANT_BLOCK;
    const uint16_t *key_scales = ex_kv_scales(keys, head_dim);
    __m512 sums[4][PAGE_VECTORS];
    for (size_t q = 0; q < n_query; q++)
        for (size_t v = 0; v < n_vectors; v++) sums[q][v] = _mm512_setzero_ps();
    for (size_t block = 0; block < n_blocks; block++) {
        __m512i products[4][PAGE_VECTORS];
        ex_ask_ahead(ahead, EX_KV_PAGE * (head_dim + block * sizeof(uint16_t)), EX_KV_PAGE * sizeof(uint16_t));
        for (size_t q = 0; q < n_query; q++)
            for (size_t v = 0; v < n_vectors; v++)
                products[q][v] = begin_products(queries.sums + (q * n_blocks + block) * 2);
#pragma GCC unroll 8 /* otherwise gcc moves the sums about, more often than it multiplies */
        for (size_t four = 0; four < EX_QUANT_BLOCK / 4; four++) {
            const size_t d = block * EX_QUANT_BLOCK + 4 * four;
            const int8_t *row = (const int8_t *)keys + d / 4 * ROW_BYTES;
            __m512i bytes[PAGE_VECTORS];
            ex_ask_ahead(ahead, d / 4 * ROW_BYTES, ROW_BYTES);
            for (size_t v = 0; v < n_vectors; v++)
                bytes[v] = _mm512_xor_si512(_mm512_set1_epi8((char)0x80),
                                            _mm512_loadu_si512(row + (first + v * EX_LANES) * 4));
            for (size_t q = 0; q < n_query; q++) {
                __m512i quants = four_quants(queries.quants + q * head_dim + d);
                for (size_t v = 0; v < n_vectors; v++)
                    products[q][v] = _mm512_dpbusd_epi32(products[q][v], bytes[v], quants);
            }
        }
        for (size_t v = 0; v < n_vectors; v++) {
            __m512 scales = load_scales(0xFFFF, key_scales, block, first + v * EX_LANES);
            for (size_t q = 0; q < n_query; q++) {
                __m512 both = _mm512_mul_ps(scales, _mm512_set1_ps(queries.scales[q * n_blocks + block]));
                sums[q][v] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(products[q][v]), both, sums[q][v]);
            }
        }
    }
    for (size_t q = 0; q < n_query; q++)
        for (size_t v = 0; v < n_vectors; v++)
            _mm512_storeu_ps(scores + q * stride + first + v * EX_LANES,
                             _mm512_mul_ps(sums[q][v], _mm512_set1_ps(scale)));
}

/* Four queries leave registers for half of a page's positions. */
void ex_avx512_attention_scores_q8_0(const ex_activations *queries, const void *keys, const ex_streams *ahead,
                                     size_t n_positions, float scale, float *scores, size_t scores_stride) {
    (void)n_positions;
    size_t q = 0;
    for (; q + 4 <= queries->n_tokens; q += 4)
        for (size_t first = 0; first < EX_KV_PAGE; first += EX_KV_PAGE / 2)
            score_positions(rows_from(queries, q), 4, keys, q == 0 && first == 0 ? ahead : NULL, first,
                            PAGE_VECTORS / 2, scale, scores + q * scores_stride, scores_stride);
    for (; q < queries->n_tokens; q++)
        score_positions(rows_from(queries, q), 1, keys, q == 0 ? ahead : NULL, 0, PAGE_VECTORS, scale,
                        scores + q * scores_stride, scores_stride);
}

/* ---- values ------------------------------------------------------------------------------------------------- */

/* Probabilities times the values' scales, for two blocks of dimensions. */
typedef struct value_weights {
    float of[4][2][EX_KV_PAGE];
} value_weights;

EX_INLINE void weigh(value_weights *weights, const float *probabilities, size_t stride, size_t n_query,
                     const uint16_t *scales, size_t n_positions, size_t block, size_t n_blocks) {
    for (size_t j = 0; j < n_positions; j += EX_LANES) {
        const __mmask16 lanes = ex_first_lanes(n_positions - j);
        for (size_t b = 0; b < n_blocks; b++) {
            __m512 some = load_scales(lanes, scales, block + b, j);
            for (size_t q = 0; q < n_query; q++) {
                __m512 p = _mm512_maskz_loadu_ps(lanes, probabilities + q * stride + j);
                _mm512_storeu_ps(weights->of[q][b] + j, _mm512_mul_ps(p, some));
            }
        }
    }
}

/* n_blocks times 32 dimensions from `d` on. */
EX_INLINE void add_values(const float *probabilities, size_t stride, size_t n_query, const void *values,
                          const ex_streams *ahead, size_t n_positions, size_t head_dim, size_t d, size_t n_blocks,
                          float *out) {
    const size_t n_vectors = 2 * n_blocks;
    const int8_t *quants = (const int8_t *)values + d;
    value_weights weights;
    weigh(&weights, probabilities, stride, n_query, ex_kv_scales(values, head_dim), n_positions, d / EX_QUANT_BLOCK,
          n_blocks);
    __m512 sums[4][4];
    for (size_t q = 0; q < n_query; q++)
        for (size_t v = 0; v < n_vectors; v++) sums[q][v] = _mm512_loadu_ps(out + q * head_dim + d + v * EX_LANES);
    for (size_t j = 0; j < n_positions; j++) {
        __m512 elements[4];
        ex_ask_ahead(ahead, j * head_dim, head_dim);
        for (size_t v = 0; v < n_vectors; v++) {
            __m128i bytes = _mm_loadu_si128((const __m128i *)(quants + j * head_dim + v * EX_LANES));
            elements[v] = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes));
        }
        for (size_t q = 0; q < n_query; q++)
            for (size_t v = 0; v < n_vectors; v++)
                sums[q][v] = _mm512_fmadd_ps(_mm512_set1_ps(weights.of[q][v / 2][j]), elements[v], sums[q][v]);
    }
    for (size_t q = 0; q < n_query; q++)
        for (size_t v = 0; v < n_vectors; v++) _mm512_storeu_ps(out + q * head_dim + d + v * EX_LANES, sums[q][v]);
}

EX_INLINE void add_value_rows(const float *probabilities, size_t stride, size_t n_query, const void *values,
                              const ex_streams *ahead, size_t n_positions, size_t head_dim, float *out) {
    size_t d = 0;
    for (; d + 2 * EX_QUANT_BLOCK <= head_dim; d += 2 * EX_QUANT_BLOCK)
        add_values(probabilities, stride, n_query, values, d == 0 ? ahead : NULL, n_positions, head_dim, d, 2, out);
    if (d < head_dim)
        add_values(probabilities, stride, n_query, values, d == 0 ? ahead : NULL, n_positions, head_dim, d, 1, out);
}

void ex_avx512_attention_values_q8_0(const float *probabilities, size_t stride, size_t n_query, const void *values,
                                     const ex_streams *ahead, size_t n_positions, size_t head_dim, float *out) {
    ex_ask_ahead(ahead, head_dim * EX_KV_PAGE, ex_kv_bytes(EX_KV_Q8_0, head_dim) - head_dim * EX_KV_PAGE);
    size_t q = 0;
    for (; q + 4 <= n_query; q += 4)
        add_value_rows(probabilities + q * stride, stride, 4, values, q == 0 ? ahead : NULL, n_positions, head_dim,
                       out + q * head_dim);
    for (; q < n_query; q++)
        add_value_rows(probabilities + q * stride, stride, 1, values, q == 0 ? ahead : NULL, n_positions, head_dim,
                       out + q * head_dim);
}
