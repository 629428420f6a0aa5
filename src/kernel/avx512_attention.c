/* avx512_attention.c - attention of one head over pages of the KV cache, with its statistics. */
#include "kernel/avx512.h"

#include <float.h>
#include <math.h>

enum {
    PAGE_VECTORS = EX_KV_PAGE / EX_LANES,
    FLUSH = 16 /* vectors that are added in single precision before a sum goes on in double precision */
};

EX_INLINE __m512 load_elements(ex_kv_type type, __mmask16 lanes, const void *elements, size_t i) {
    if (type == EX_KV_F32) return _mm512_maskz_loadu_ps(lanes, (const float *)elements + i);
    return ex_load_halves_masked(lanes, (const uint16_t *)elements + i);
}

/* ---- scores ------------------------------------------------------------------------------------------------- */

/* A lane is a position. All positions of the page are computed, used or not: no sum depends on their number. */
EX_INLINE void score_page(ex_kv_type type, const float *queries, size_t n_query, size_t head_dim, const void *keys,
                          const ex_streams *ahead, float scale, float *scores, size_t stride) {
    const size_t row_bytes = EX_KV_PAGE * (type == EX_KV_F32 ? sizeof(float) : sizeof(uint16_t));
    __m512 sums[4][PAGE_VECTORS];
    for (size_t q = 0; q < n_query; q++)
        for (size_t v = 0; v < PAGE_VECTORS; v++) sums[q][v] = _mm512_setzero_ps();
    for (size_t d = 0; d < head_dim; d++) {
        __m512 elements[PAGE_VECTORS];
        ex_ask_ahead(ahead, d * row_bytes, row_bytes);
        for (size_t v = 0; v < PAGE_VECTORS; v++)
            elements[v] = load_elements(type, 0xFFFF, keys, d * EX_KV_PAGE + v * EX_LANES);
        for (size_t q = 0; q < n_query; q++) {
            __m512 element = _mm512_set1_ps(queries[q * head_dim + d]);
            for (size_t v = 0; v < PAGE_VECTORS; v++) sums[q][v] = _mm512_fmadd_ps(element, elements[v], sums[q][v]);
        }
    }
    for (size_t q = 0; q < n_query; q++)
        for (size_t v = 0; v < PAGE_VECTORS; v++)
            _mm512_storeu_ps(scores + q * stride + v * EX_LANES, _mm512_mul_ps(sums[q][v], _mm512_set1_ps(scale)));
}

EX_INLINE void attention_scores(ex_kv_type type, const ex_activations *queries, const void *keys,
                                const ex_streams *ahead, float scale, float *scores, size_t stride) {
    const size_t n_query = queries->n_tokens, head_dim = queries->n_in;
    const float *values = queries->values;
    size_t q = 0;
    for (; q + 4 <= n_query; q += 4)
        score_page(type, values + q * head_dim, 4, head_dim, keys, q == 0 ? ahead : NULL, scale, scores + q * stride,
                   stride);
    for (; q + 2 <= n_query; q += 2)
        score_page(type, values + q * head_dim, 2, head_dim, keys, q == 0 ? ahead : NULL, scale, scores + q * stride,
                   stride);
    if (q < n_query)
        score_page(type, values + q * head_dim, 1, head_dim, keys, q == 0 ? ahead : NULL, scale, scores + q * stride,
                   stride);
}

void ex_avx512_attention_scores_f16(const ex_activations *queries, const void *keys, const ex_streams *ahead,
                                    size_t n_positions, float scale, float *scores, size_t scores_stride) {
    (void)n_positions;
    attention_scores(EX_KV_F16, queries, keys, ahead, scale, scores, scores_stride);
}

void ex_avx512_attention_scores_f32(const ex_activations *queries, const void *keys, const ex_streams *ahead,
                                    size_t n_positions, float scale, float *scores, size_t scores_stride) {
    (void)n_positions;
    attention_scores(EX_KV_F32, queries, keys, ahead, scale, scores, scores_stride);
}

/* ---- softmax ------------------------------------------------------------------------------------------------ */

typedef struct score_sums {
    float maximum;
    double absolute; /* of scores that are not masked */
    size_t n_live;
} score_sums;

static inline __m512 load_scores(__mmask16 lanes, const float *row) {
    return _mm512_mask_loadu_ps(_mm512_set1_ps(-INFINITY), lanes, row);
}

/* Scores [start, end) of a row, masked ones left out. */
static void sum_live(const float *row, size_t start, size_t end, score_sums *sums, __m512d *absolute) {
    const __m512 masked = _mm512_set1_ps(-INFINITY);
    __m512 some = _mm512_setzero_ps();
    for (size_t i = start; i < end; i += EX_LANES) {
        __m512 scores = load_scores(ex_first_lanes(end - i), row + i);
        __mmask16 live = _mm512_cmp_ps_mask(scores, masked, _CMP_NEQ_UQ);
        some = _mm512_mask_add_ps(some, live, some, ex_absolute(scores));
        sums->n_live += (size_t)__builtin_popcount(live);
    }
    *absolute = ex_add_as_doubles(*absolute, some);
}

/* Masked scores are rare: where there is one, the sum is infinite, and those scores are added again without it. */
EX_INLINE score_sums sum_scores(const float *row, size_t n, bool statistics) {
    __m512 maximum = _mm512_set1_ps(-INFINITY);
    __m512d absolute = _mm512_setzero_pd();
    score_sums sums = {0};
    size_t start = 0;
    for (; start + FLUSH * EX_LANES <= n; start += FLUSH * EX_LANES) {
        __m512 some = _mm512_setzero_ps();
        for (size_t i = start; i < start + FLUSH * EX_LANES; i += EX_LANES) {
            __m512 scores = _mm512_loadu_ps(row + i);
            maximum = _mm512_max_ps(scores, maximum);
            if (statistics) some = _mm512_add_ps(some, ex_absolute(scores));
        }
        if (!statistics) continue;
        if (_mm512_cmp_ps_mask(some, _mm512_set1_ps(INFINITY), _CMP_EQ_OQ) == 0) {
            absolute = ex_add_as_doubles(absolute, some);
            sums.n_live += FLUSH * EX_LANES;
        } else {
            sum_live(row, start, start + FLUSH * EX_LANES, &sums, &absolute);
        }
    }
    for (size_t i = start; i < n; i += EX_LANES)
        maximum = _mm512_max_ps(load_scores(ex_first_lanes(n - i), row + i), maximum);
    if (statistics && start < n) sum_live(row, start, n, &sums, &absolute);
    sums.maximum = _mm512_reduce_max_ps(maximum);
    sums.absolute = ex_sum_double_lanes(absolute);
    return sums;
}

typedef struct exponential_sums {
    double sum, sum_x;
} exponential_sums;

/* e^x for x <= 0, which is ex_exp in fewer operations: 0 from EX_EXP_LOWEST down, to which x has been raised. */
static inline __m512 exp_of_negative(__m512 x) {
    const __m512 magic = _mm512_set1_ps(0x1.8p23f); /* added to a small number, leaves it whole in the last bits */
    const __mmask16 live = _mm512_cmp_ps_mask(x, _mm512_set1_ps(EX_EXP_LOWEST), _CMP_NLE_UQ);
    __m512 shifted = _mm512_fmadd_ps(x, _mm512_set1_ps(0x1.715476p+0f), magic), n = _mm512_sub_ps(shifted, magic);
    __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0x1.62e4p-1f), x);
    r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0x1.7f7d1cp-20f), r);
    __m512 q = _mm512_set1_ps(1.3814577e-3f);
    q = _mm512_fmadd_ps(q, r, _mm512_set1_ps(8.3687275e-3f));
    q = _mm512_fmadd_ps(q, r, _mm512_set1_ps(4.1668389e-2f));
    q = _mm512_fmadd_ps(q, r, _mm512_set1_ps(1.66665205e-1f));
    q = _mm512_fmadd_ps(q, r, _mm512_set1_ps(4.99999934e-1f));
    q = _mm512_fmadd_ps(q, r, _mm512_set1_ps(1));
    q = _mm512_fmadd_ps(q, r, _mm512_set1_ps(1));
    __m512i exponent = _mm512_slli_epi32(_mm512_castps_si512(shifted), 23);
    return _mm512_castsi512_ps(_mm512_maskz_add_epi32(live, _mm512_castps_si512(q), exponent));
}

typedef struct running_sums {
    __m512 some, some_x;
} running_sums;

EX_INLINE void exponentiate_vector(float *row, __mmask16 lanes, __m512 maximum, bool statistics, running_sums *sums) {
    __m512 x = _mm512_max_ps(_mm512_set1_ps(EX_EXP_LOWEST), _mm512_sub_ps(load_scores(lanes, row), maximum));
    __m512 e = exp_of_negative(x);
    _mm512_mask_storeu_ps(row, lanes, e);
    sums->some = _mm512_add_ps(sums->some, e);
    if (statistics) sums->some_x = _mm512_fmadd_ps(e, x, sums->some_x);
}

/* Scores to e^x with x = score - maximum. */
EX_INLINE exponential_sums exponentiate(float *row, size_t n, float maximum, bool statistics) {
    const __m512 shift = _mm512_set1_ps(maximum);
    __m512d sum = _mm512_setzero_pd(), sum_x = sum;
    for (size_t start = 0; start < n; start += FLUSH * EX_LANES) {
        const size_t left = n - start;
        running_sums sums = {_mm512_setzero_ps(), _mm512_setzero_ps()};
        if (left >= FLUSH * EX_LANES)
            for (size_t i = 0; i < FLUSH * EX_LANES; i += EX_LANES)
                exponentiate_vector(row + start + i, 0xFFFF, shift, statistics, &sums);
        else
            for (size_t i = 0; i < left; i += EX_LANES)
                exponentiate_vector(row + start + i, ex_first_lanes(left - i), shift, statistics, &sums);
        sum = ex_add_as_doubles(sum, sums.some);
        if (statistics) sum_x = ex_add_as_doubles(sum_x, sums.some_x);
    }
    return (exponential_sums){ex_sum_double_lanes(sum), ex_sum_double_lanes(sum_x)};
}

static void scale_row(float *row, size_t n, float factor) {
    const __m512 factors = _mm512_set1_ps(factor);
    size_t i = 0;
    for (; i + EX_LANES <= n; i += EX_LANES)
        _mm512_storeu_ps(row + i, _mm512_mul_ps(_mm512_loadu_ps(row + i), factors));
    const __mmask16 lanes = ex_first_lanes(n - i);
    _mm512_mask_storeu_ps(row + i, lanes, _mm512_mul_ps(_mm512_maskz_loadu_ps(lanes, row + i), factors));
}

/* With x = score - maximum and Z = sum of e^x, the entropy in nats is ln Z - (sum of e^x * x) / Z. */
EX_INLINE void softmax(float *row, size_t n, ex_row_statistics *statistics) {
    const score_sums scores = sum_scores(row, n, statistics != NULL);
    if (statistics) *statistics = (ex_row_statistics){0, 0, 0};
    if (scores.maximum == -INFINITY) { /* all masked, or not a number */
        for (size_t i = 0; i < n; i++) row[i] = row[i] == -INFINITY ? 0 : NAN;
        return;
    }
    const exponential_sums sums = exponentiate(row, n, scores.maximum, statistics != NULL);
    const double inverse = 1 / sums.sum;
    scale_row(row, n, (float)inverse);
    if (!statistics) return;
    statistics->maximum = (float)inverse; /* the largest term is e^0 */
    statistics->entropy = log2(sums.sum) - sums.sum_x * inverse * M_LOG2E;
    statistics->mean_absolute_score = scores.absolute / (double)scores.n_live;
}

void ex_avx512_softmax(float *row, size_t n, ex_row_statistics *statistics) {
    if (statistics) softmax(row, n, statistics);
    else softmax(row, n, NULL);
}

/* ---- values ------------------------------------------------------------------------------------------------- */

/* Dimensions [d, d + 16 * n_vectors) of the output, those that exist: held in registers while positions pass by. */
EX_INLINE void add_values(ex_kv_type type, const float *probabilities, size_t stride, size_t n_query,
                          const void *values, const ex_streams *ahead, size_t n_positions, size_t head_dim, size_t d,
                          size_t n_vectors, float *out) {
    const size_t element = type == EX_KV_F32 ? sizeof(float) : sizeof(uint16_t);
    const size_t from = d * EX_KV_PAGE * element, row_bytes = n_vectors * EX_LANES * element; /* what it reads */
    __m512 sums[4][4];
    const __mmask16 lanes = n_vectors > 1 ? 0xFFFF : ex_first_lanes(head_dim - d);
    for (size_t q = 0; q < n_query; q++)
        for (size_t v = 0; v < n_vectors; v++)
            sums[q][v] = _mm512_maskz_loadu_ps(lanes, out + q * head_dim + d + v * EX_LANES);
    for (size_t j = 0; j < n_positions; j++) {
        __m512 elements[4];
        ex_ask_ahead(ahead, from + j * row_bytes, row_bytes);
        for (size_t v = 0; v < n_vectors; v++)
            elements[v] = load_elements(type, lanes, values, j * head_dim + d + v * EX_LANES);
        for (size_t q = 0; q < n_query; q++) {
            __m512 probability = _mm512_set1_ps(probabilities[q * stride + j]);
            for (size_t v = 0; v < n_vectors; v++)
                sums[q][v] = _mm512_fmadd_ps(probability, elements[v], sums[q][v]);
        }
    }
    for (size_t q = 0; q < n_query; q++)
        for (size_t v = 0; v < n_vectors; v++)
            _mm512_mask_storeu_ps(out + q * head_dim + d + v * EX_LANES, lanes, sums[q][v]);
}

EX_INLINE void add_value_rows(ex_kv_type type, const float *probabilities, size_t stride, size_t n_query,
                              const void *values, const ex_streams *ahead, size_t n_positions, size_t head_dim,
                              float *out) {
    size_t d = 0;
    for (; d + 4 * EX_LANES <= head_dim; d += 4 * EX_LANES)
        add_values(type, probabilities, stride, n_query, values, ahead, n_positions, head_dim, d, 4, out);
    for (; d < head_dim; d += EX_LANES)
        add_values(type, probabilities, stride, n_query, values, ahead, n_positions, head_dim, d, 1, out);
}

EX_INLINE void attention_values(ex_kv_type type, const float *probabilities, size_t stride, size_t n_query,
                                const void *values, const ex_streams *ahead, size_t n_positions, size_t head_dim,
                                float *out) {
    size_t q = 0;
    for (; q + 4 <= n_query; q += 4)
        add_value_rows(type, probabilities + q * stride, stride, 4, values, q == 0 ? ahead : NULL, n_positions,
                       head_dim, out + q * head_dim);
    for (; q < n_query; q++)
        add_value_rows(type, probabilities + q * stride, stride, 1, values, q == 0 ? ahead : NULL, n_positions,
                       head_dim, out + q * head_dim);
}

void ex_avx512_attention_values_f16(const float *probabilities, size_t stride, size_t n_query, const void *values,
                                    const ex_streams *ahead, size_t n_positions, size_t head_dim, float *out) {
    attention_values(EX_KV_F16, probabilities, stride, n_query, values, ahead, n_positions, head_dim, out);
}

void ex_avx512_attention_values_f32(const float *probabilities, size_t stride, size_t n_query, const void *values,
                                    const ex_streams *ahead, size_t n_positions, size_t head_dim, float *out) {
    attention_values(EX_KV_F32, probabilities, stride, n_query, values, ahead, n_positions, head_dim, out);
}

/* ---- heads -------------------------------------------------------------------------------------------------- */

typedef struct lane_sums {
    __m512d deviation, entropy;
} lane_sums;

/* log2 of normal numbers: the exponent, and ln f = 2 artanh s with s = (f - 1) / (f + 1) of a fraction f about 1, by
 * its series; the first term left out is below 1e-9. */
EX_INLINE __m512 binary_logarithm(__m512 x) {
    const __m512 one = _mm512_set1_ps(1);
    const __m512i bits = _mm512_castps_si512(x);
    const __m512i exponent = _mm512_srai_epi32(_mm512_sub_epi32(bits, _mm512_set1_epi32(EX_BITS_OF_SQRT_HALF)), 23);
    const __m512 f = _mm512_castsi512_ps(_mm512_sub_epi32(bits, _mm512_slli_epi32(exponent, 23)));
    const __m512 s = _mm512_div_ps(_mm512_sub_ps(f, one), _mm512_add_ps(f, one)), s2 = _mm512_mul_ps(s, s);
    __m512 series = _mm512_fmadd_ps(_mm512_set1_ps(1.0f / 9), s2, _mm512_set1_ps(1.0f / 7));
    series = _mm512_fmadd_ps(series, s2, _mm512_set1_ps(1.0f / 5));
    series = _mm512_fmadd_ps(series, s2, _mm512_set1_ps(1.0f / 3));
    series = _mm512_fmadd_ps(series, s2, one);
    series = _mm512_mul_ps(series, _mm512_mul_ps(s, _mm512_set1_ps((float)(2 * M_LOG2E))));
    return _mm512_add_ps(_mm512_cvtepi32_ps(exponent), series);
}

EX_INLINE __m512 negative_entropy(__m512 mean) {
    mean = _mm512_max_ps(mean, _mm512_set1_ps(FLT_MIN));
    return _mm512_mul_ps(mean, binary_logarithm(mean));
}

/* Of n_vectors times sixteen positions, of which `lanes` exist. Probabilities have mostly left the second-level cache:
 * those `ahead` positions further are asked for while these are read again. */
EX_INLINE lane_sums sum_heads(const float *probabilities, size_t stride, size_t n_head, size_t n_vectors,
                              __mmask16 lanes, size_t ahead) {
    __m512 means[4], sums[4];
    lane_sums out = {_mm512_setzero_pd(), _mm512_setzero_pd()};
    for (size_t v = 0; v < n_vectors; v++) means[v] = sums[v] = _mm512_setzero_ps();
    for (size_t h = 0; h < n_head; h++)
        for (size_t v = 0; v < n_vectors; v++)
            means[v] = _mm512_add_ps(means[v],
                                     _mm512_maskz_loadu_ps(lanes, probabilities + h * stride + v * EX_LANES));
    for (size_t v = 0; v < n_vectors; v++) means[v] = _mm512_mul_ps(means[v], _mm512_set1_ps(1.0f / (float)n_head));
    for (size_t h = 0; h < n_head; h++)
        for (size_t v = 0; v < n_vectors; v++) {
            const float *at = probabilities + h * stride + v * EX_LANES;
            _mm_prefetch(at + ahead, _MM_HINT_T0);
            __m512 row = _mm512_maskz_loadu_ps(lanes, at);
            sums[v] = _mm512_add_ps(sums[v], ex_absolute(_mm512_sub_ps(row, means[v])));
        }
    for (size_t v = 0; v < n_vectors; v++) {
        out.deviation = ex_add_as_doubles(out.deviation, sums[v]);
        out.entropy = ex_add_as_doubles(out.entropy, negative_entropy(means[v]));
    }
    return out;
}

ex_head_sums ex_avx512_head_deviation(const float *probabilities, size_t stride, size_t n_head, size_t first,
                                      size_t last) {
    __m512d deviation = _mm512_setzero_pd(), entropy = deviation;
    for (size_t j = first; j < last;) {
        const bool whole = j + 4 * EX_LANES <= last;
        const size_t ahead = j + 8 * EX_LANES <= last ? 4 * EX_LANES : 0;
        const float *at = probabilities + j;
        const lane_sums sums = whole ? sum_heads(at, stride, n_head, 4, 0xFFFF, ahead)
                                     : sum_heads(at, stride, n_head, 1, ex_first_lanes(last - j), ahead);
        deviation = _mm512_add_pd(deviation, sums.deviation);
        entropy = _mm512_add_pd(entropy, sums.entropy);
        j += whole ? 4 * EX_LANES : EX_LANES;
    }
    return (ex_head_sums){ex_sum_double_lanes(deviation), -ex_sum_double_lanes(entropy)};
}
