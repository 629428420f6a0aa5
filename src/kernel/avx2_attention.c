/* avx2_attention.c - attention of one head over pages of the KV cache, with its statistics. */
#include "kernel/avx2.h"
#include "kernel/portable.h"

#include <float.h>
#include <math.h>

/* ---- scores and weighted values: tiles of queries times vectors of eight ------------------------------------ */

enum {
    QUERIES = 4, QUERY_VECTORS = 2, /* several queries share what is loaded of the cache */
    SINGLE_VECTORS = 4,             /* one query: more vectors, so that additions overlap */
    SUM_VECTORS = 4, SUM_POSITIONS = SUM_VECTORS * 8 /* that heads are added for side by side */
};

/* Eight elements of a page from `i` on, whichever way it is stored. */
ALWAYS_INLINE __m256 load_page(ex_kv_type type, const void *elements, size_t i) {
    return type == EX_KV_F32 ? _mm256_loadu_ps((const float *)elements + i)
                             : avx2_load_halves((const uint16_t *)elements + i);
}

/* Scores of positions from `first` on. The tile asks for as much ahead as it reads of this one. */
ALWAYS_INLINE void scores_tile(ex_kv_type type, const float *queries, size_t head_dim, const void *keys,
                               const ex_streams *ahead, size_t first, __m256 scale, float *scores, size_t scores_stride,
                               size_t n_query, size_t n_vectors) {
    const size_t page_bytes = ex_kv_bytes(type, head_dim);
    const avx2_ahead part = avx2_part_ahead(ahead, page_bytes * first / EX_KV_PAGE, page_bytes * n_vectors / 8);
    __m256 sums[QUERIES][SINGLE_VECTORS];
    UNROLL for (size_t q = 0; q < n_query; q++)
        UNROLL for (size_t v = 0; v < n_vectors; v++) sums[q][v] = _mm256_setzero_ps();
    for (size_t d = 0; d < head_dim; d++) {
        __m256 row[SINGLE_VECTORS];
        avx2_ask_ahead(part, d);
        UNROLL for (size_t v = 0; v < n_vectors; v++) row[v] = load_page(type, keys, d * EX_KV_PAGE + first + v * 8);
        UNROLL for (size_t q = 0; q < n_query; q++) {
            __m256 query = _mm256_broadcast_ss(queries + q * head_dim + d);
            UNROLL for (size_t v = 0; v < n_vectors; v++) sums[q][v] = _mm256_fmadd_ps(query, row[v], sums[q][v]);
        }
    }
    UNROLL for (size_t q = 0; q < n_query; q++)
        UNROLL for (size_t v = 0; v < n_vectors; v++)
            _mm256_storeu_ps(scores + q * scores_stride + first + v * 8, _mm256_mul_ps(scale, sums[q][v]));
}

ALWAYS_INLINE void attention_scores(ex_kv_type type, const ex_activations *queries, const void *keys,
                                    const ex_streams *ahead, size_t n_positions, float scale, float *scores,
                                    size_t stride) {
    const size_t n_query = queries->n_tokens, head_dim = queries->n_in;
    const __m256 scales = _mm256_set1_ps(scale);
    size_t q = 0;
    for (; q + QUERIES <= n_query; q += QUERIES)
        for (size_t j = 0; j < n_positions; j += QUERY_VECTORS * 8)
            scores_tile(type, queries->values + q * head_dim, head_dim, keys, q == 0 ? ahead : NULL, j, scales,
                        scores + q * stride, stride, QUERIES, QUERY_VECTORS);
    for (; q < n_query; q++)
        for (size_t j = 0; j < n_positions; j += SINGLE_VECTORS * 8)
            scores_tile(type, queries->values + q * head_dim, head_dim, keys, q == 0 ? ahead : NULL, j, scales,
                        scores + q * stride, stride, 1, SINGLE_VECTORS);
}

void ex_avx2_attention_scores_f16(const ex_activations *queries, const void *keys, const ex_streams *ahead,
                                  size_t n_positions, float scale, float *scores, size_t scores_stride) {
    attention_scores(EX_KV_F16, queries, keys, ahead, n_positions, scale, scores, scores_stride);
}

void ex_avx2_attention_scores_f32(const ex_activations *queries, const void *keys, const ex_streams *ahead,
                                  size_t n_positions, float scale, float *scores, size_t scores_stride) {
    attention_scores(EX_KV_F32, queries, keys, ahead, n_positions, scale, scores, scores_stride);
}

/* Dimensions from `first` on. */
ALWAYS_INLINE void values_tile(ex_kv_type type, const float *probabilities, size_t stride, const void *values,
                               const ex_streams *ahead, size_t n_positions, size_t head_dim, size_t first, float *out,
                               size_t n_query, size_t n_vectors) {
    const size_t dimension_bytes = ex_kv_bytes(type, head_dim) / head_dim;
    const avx2_ahead part = avx2_part_ahead(ahead, dimension_bytes * first, dimension_bytes * n_vectors * 8);
    __m256 sums[QUERIES][SINGLE_VECTORS];
    UNROLL for (size_t q = 0; q < n_query; q++)
        UNROLL for (size_t v = 0; v < n_vectors; v++) sums[q][v] = _mm256_loadu_ps(out + q * head_dim + first + v * 8);
    for (size_t j = 0; j < n_positions; j++) {
        __m256 row[SINGLE_VECTORS];
        avx2_ask_ahead(part, j);
        UNROLL for (size_t v = 0; v < n_vectors; v++) row[v] = load_page(type, values, j * head_dim + first + v * 8);
        UNROLL for (size_t q = 0; q < n_query; q++) {
            __m256 probability = _mm256_broadcast_ss(probabilities + q * stride + j);
            UNROLL for (size_t v = 0; v < n_vectors; v++) sums[q][v] = _mm256_fmadd_ps(probability, row[v], sums[q][v]);
        }
    }
    UNROLL for (size_t q = 0; q < n_query; q++)
        UNROLL for (size_t v = 0; v < n_vectors; v++) _mm256_storeu_ps(out + q * head_dim + first + v * 8, sums[q][v]);
}

/* head_dim is a multiple of 8. */
ALWAYS_INLINE void attention_values(ex_kv_type type, const float *p, size_t stride, size_t n_query, const void *values,
                                    const ex_streams *ahead, size_t n_positions, size_t head_dim, float *out) {
    for (; n_query >= QUERIES; n_query -= QUERIES, p += QUERIES * stride, out += QUERIES * head_dim, ahead = NULL) {
        size_t d = 0;
        for (; d + QUERY_VECTORS * 8 <= head_dim; d += QUERY_VECTORS * 8)
            values_tile(type, p, stride, values, ahead, n_positions, head_dim, d, out, QUERIES, QUERY_VECTORS);
        if (d < head_dim) values_tile(type, p, stride, values, ahead, n_positions, head_dim, d, out, QUERIES, 1);
    }
    for (; n_query > 0; n_query--, p += stride, out += head_dim, ahead = NULL) {
        size_t d = 0;
        for (; d + SINGLE_VECTORS * 8 <= head_dim; d += SINGLE_VECTORS * 8)
            values_tile(type, p, stride, values, ahead, n_positions, head_dim, d, out, 1, SINGLE_VECTORS);
        for (; d < head_dim; d += 8) values_tile(type, p, stride, values, ahead, n_positions, head_dim, d, out, 1, 1);
    }
}

void ex_avx2_attention_values_f16(const float *probabilities, size_t stride, size_t n_query, const void *values,
                                  const ex_streams *ahead, size_t n_positions, size_t head_dim, float *out) {
    if (head_dim % 8 == 0)
        attention_values(EX_KV_F16, probabilities, stride, n_query, values, ahead, n_positions, head_dim, out);
    else ex_portable_attention_values_f16(probabilities, stride, n_query, values, ahead, n_positions, head_dim, out);
}

void ex_avx2_attention_values_f32(const float *probabilities, size_t stride, size_t n_query, const void *values,
                                  const ex_streams *ahead, size_t n_positions, size_t head_dim, float *out) {
    if (head_dim % 8 == 0)
        attention_values(EX_KV_F32, probabilities, stride, n_query, values, ahead, n_positions, head_dim, out);
    else ex_portable_attention_values_f32(probabilities, stride, n_query, values, ahead, n_positions, head_dim, out);
}

/* ---- softmax ------------------------------------------------------------------------------------------------ */

typedef struct softmax_sums {
    double sum, sum_x, sum_absolute;
    size_t n_live;
} softmax_sums;

static float row_maximum(const float *row, size_t n) {
    __m256 maximum = _mm256_set1_ps(-INFINITY);
    for (size_t i = 0; i < n; i += 8) maximum = _mm256_max_ps(maximum, avx2_load_or(row + i, n - i, maximum));
    return avx2_maximum_of(maximum);
}

/* Scores to e^(score - maximum). Masked ones become 0 and count nowhere. */
ALWAYS_INLINE softmax_sums exponentials(float *row, size_t n, float maximum, bool statistics) {
    const __m256 masked = _mm256_set1_ps(-INFINITY), maxima = _mm256_set1_ps(maximum);
    __m256d sum = _mm256_setzero_pd(), sum_x = sum, sum_absolute = sum;
    __m256i n_masked = _mm256_setzero_si256();
    for (size_t i = 0; i < n; i += 8) {
        __m256 scores = avx2_load_or(row + i, n - i, masked);
        __m256 x = _mm256_sub_ps(scores, maxima);
        __m256 e = avx2_exp_negative(x);
        avx2_store_first(row + i, n - i, e);
        sum = _mm256_add_pd(sum, _mm256_add_pd(avx2_low_pd(e), avx2_high_pd(e)));
        if (!statistics) continue;
        __m256 dead = _mm256_cmp_ps(scores, masked, _CMP_EQ_OQ);
        __m256 absolute = avx2_absolute(_mm256_andnot_ps(dead, scores));
        x = _mm256_andnot_ps(dead, x);
        sum_x = _mm256_fmadd_pd(avx2_low_pd(e), avx2_low_pd(x), sum_x);
        sum_x = _mm256_fmadd_pd(avx2_high_pd(e), avx2_high_pd(x), sum_x);
        sum_absolute = _mm256_add_pd(sum_absolute, _mm256_add_pd(avx2_low_pd(absolute), avx2_high_pd(absolute)));
        n_masked = _mm256_sub_epi32(n_masked, _mm256_castps_si256(dead));
    }
    int counts[8];
    _mm256_storeu_si256((__m256i *)counts, n_masked);
    size_t n_lanes = (n + 7) / 8 * 8;
    for (int lane = 0; lane < 8; lane++) n_lanes -= (size_t)counts[lane];
    return (softmax_sums){avx2_sum_pd(sum), avx2_sum_pd(sum_x), avx2_sum_pd(sum_absolute), n_lanes};
}

void ex_avx2_softmax(float *row, size_t n, ex_row_statistics *statistics) {
    float maximum = row_maximum(row, n);
    if (maximum == -INFINITY) maximum = 0; /* all are masked: e^-infinity is the 0 that is wanted */
    softmax_sums sums = statistics ? exponentials(row, n, maximum, true) : exponentials(row, n, maximum, false);
    double inverse = sums.sum != 0 ? 1 / sums.sum : 0;
    const __m256 factor = _mm256_set1_ps((float)inverse);
    for (size_t i = 0; i < n; i += 8)
        avx2_store_first(row + i, n - i, _mm256_mul_ps(avx2_load_or(row + i, n - i, factor), factor));

    if (!statistics) return;
    *statistics = (ex_row_statistics){0, 0, 0};
    if (sums.n_live == 0) return;
    statistics->maximum = (float)inverse; /* the largest term is e^0 */
    statistics->entropy = log2(sums.sum) - sums.sum_x * inverse * M_LOG2E;
    statistics->mean_absolute_score = sums.sum_absolute / (double)sums.n_live;
}

/* ---- deviation of the heads --------------------------------------------------------------------------------- */

/* log2 of normal numbers: the exponent, and ln f = 2 artanh s with s = (f - 1) / (f + 1) of a fraction f about 1, by
 * its series; the first term left out is below 1e-9. */
static inline __m256 binary_logarithm(__m256 x) {
    const __m256 one = _mm256_set1_ps(1);
    const __m256i bits = _mm256_castps_si256(x);
    const __m256i exponent = _mm256_srai_epi32(_mm256_sub_epi32(bits, _mm256_set1_epi32(EX_BITS_OF_SQRT_HALF)), 23);
    const __m256 f = _mm256_castsi256_ps(_mm256_sub_epi32(bits, _mm256_slli_epi32(exponent, 23)));
    const __m256 s = _mm256_div_ps(_mm256_sub_ps(f, one), _mm256_add_ps(f, one)), s2 = _mm256_mul_ps(s, s);
    __m256 series = _mm256_fmadd_ps(_mm256_set1_ps(1.0f / 9), s2, _mm256_set1_ps(1.0f / 7));
    series = _mm256_fmadd_ps(series, s2, _mm256_set1_ps(1.0f / 5));
    series = _mm256_fmadd_ps(series, s2, _mm256_set1_ps(1.0f / 3));
    series = _mm256_fmadd_ps(series, s2, one);
    series = _mm256_mul_ps(series, _mm256_mul_ps(s, _mm256_set1_ps((float)(2 * M_LOG2E))));
    return _mm256_add_ps(_mm256_cvtepi32_ps(exponent), series);
}

typedef struct lane_sums {
    __m256d deviation, entropy;
} lane_sums;

/* Adds n_vectors times eight positions, of which n exist: one sum for each vector, since a chain of additions waits.
 * Probabilities have mostly left the second-level cache: those `ahead` positions further are asked for. */
ALWAYS_INLINE void sum_heads(const float *probabilities, size_t stride, size_t n_head, size_t n_vectors, size_t n,
                             size_t ahead, lane_sums *sums) {
    const __m256 zero = _mm256_setzero_ps(), share = _mm256_set1_ps(1 / (float)n_head);
    __m256 means[SUM_VECTORS], deviations[SUM_VECTORS];
    for (size_t v = 0; v < n_vectors; v++) means[v] = deviations[v] = zero;
    for (size_t h = 0; h < n_head; h++)
        for (size_t v = 0; v < n_vectors; v++)
            means[v] = _mm256_add_ps(means[v], avx2_load_or(probabilities + h * stride + v * 8, n - v * 8, zero));
    for (size_t v = 0; v < n_vectors; v++) means[v] = _mm256_mul_ps(means[v], share);
    for (size_t h = 0; h < n_head; h++)
        for (size_t v = 0; v < n_vectors; v++) {
            const float *at = probabilities + h * stride + v * 8;
            if (v % 2 == 0) _mm_prefetch(at + ahead, _MM_HINT_T0);
            __m256 p = avx2_load_or(at, n - v * 8, zero);
            deviations[v] = _mm256_add_ps(deviations[v], avx2_absolute(_mm256_sub_ps(p, means[v])));
        }
    for (size_t v = 0; v < n_vectors; v++) {
        const __m256 mean = _mm256_max_ps(means[v], _mm256_set1_ps(FLT_MIN));
        const __m256 bits = _mm256_mul_ps(mean, binary_logarithm(mean)), deviation = deviations[v];
        sums->deviation = _mm256_add_pd(sums->deviation,
                                        _mm256_add_pd(avx2_low_pd(deviation), avx2_high_pd(deviation)));
        sums->entropy = _mm256_sub_pd(sums->entropy, _mm256_add_pd(avx2_low_pd(bits), avx2_high_pd(bits)));
    }
}

ex_head_sums ex_avx2_head_deviation(const float *probabilities, size_t stride, size_t n_head, size_t first,
                                    size_t last) {
    lane_sums sums = {_mm256_setzero_pd(), _mm256_setzero_pd()};
    for (size_t j = first; j < last;) {
        const bool whole = j + SUM_POSITIONS <= last;
        const size_t ahead = j + 2 * SUM_POSITIONS <= last ? SUM_POSITIONS : 0;
        if (whole) sum_heads(probabilities + j, stride, n_head, SUM_VECTORS, SUM_POSITIONS, ahead, &sums);
        else sum_heads(probabilities + j, stride, n_head, 1, last - j, 0, &sums);
        j += whole ? SUM_POSITIONS : 8;
    }
    return (ex_head_sums){avx2_sum_pd(sums.deviation), avx2_sum_pd(sums.entropy)};
}
