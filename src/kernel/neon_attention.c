/* neon_attention.c - attention of one head over pages of the KV cache, with its statistics. */
#include "kernel/neon.h"
#include "kernel/portable.h"

#include <float.h>
#include <math.h>

/* ---- scores and weighted values: tiles of queries times groups of eight -------------------------------------- */

enum {
    QUERIES = 4, QUERY_GROUPS = 2, /* several queries share what is loaded of the cache */
    SINGLE_GROUPS = 4              /* one query: more groups, so that additions overlap */
};

/* Eight elements of a page from `i` on, whichever way it is stored. */
ALWAYS_INLINE neon_eight load_page(ex_kv_type type, const void *elements, size_t i) {
    return type == EX_KV_F32 ? neon_load_eight((const float *)elements + i)
                             : neon_load_halves((const uint16_t *)elements + i);
}

ALWAYS_INLINE neon_eight add_scaled(neon_eight sum, neon_eight values, float factor) {
    return (neon_eight){vfmaq_n_f32(sum.low, values.low, factor), vfmaq_n_f32(sum.high, values.high, factor)};
}

ALWAYS_INLINE void store_eight(float *out, neon_eight values) {
    vst1q_f32(out, values.low);
    vst1q_f32(out + 4, values.high);
}

/* Scores of positions from `first` on. */
ALWAYS_INLINE void scores_tile(ex_kv_type type, const float *queries, size_t head_dim, const void *keys, size_t first,
                               float scale, float *scores, size_t scores_stride, size_t n_query, size_t n_groups) {
    neon_eight sums[QUERIES][SINGLE_GROUPS];
    UNROLL for (size_t q = 0; q < n_query; q++)
        UNROLL for (size_t v = 0; v < n_groups; v++) sums[q][v] = (neon_eight){vdupq_n_f32(0), vdupq_n_f32(0)};
    for (size_t d = 0; d < head_dim; d++) {
        neon_eight row[SINGLE_GROUPS];
        UNROLL for (size_t v = 0; v < n_groups; v++) row[v] = load_page(type, keys, d * EX_KV_PAGE + first + v * 8);
        UNROLL for (size_t q = 0; q < n_query; q++)
            UNROLL for (size_t v = 0; v < n_groups; v++)
                sums[q][v] = add_scaled(sums[q][v], row[v], queries[q * head_dim + d]);
    }
    UNROLL for (size_t q = 0; q < n_query; q++)
        UNROLL for (size_t v = 0; v < n_groups; v++)
            store_eight(scores + q * scores_stride + first + v * 8,
                        (neon_eight){vmulq_n_f32(sums[q][v].low, scale), vmulq_n_f32(sums[q][v].high, scale)});
}

ALWAYS_INLINE void attention_scores(ex_kv_type type, const float *queries, size_t n_query, size_t head_dim,
                                    const void *keys, size_t n_positions, float scale, float *scores, size_t stride) {
    size_t q = 0;
    for (; q + QUERIES <= n_query; q += QUERIES)
        for (size_t j = 0; j < n_positions; j += QUERY_GROUPS * 8)
            scores_tile(type, queries + q * head_dim, head_dim, keys, j, scale, scores + q * stride, stride, QUERIES,
                        QUERY_GROUPS);
    for (; q < n_query; q++)
        for (size_t j = 0; j < n_positions; j += SINGLE_GROUPS * 8)
            scores_tile(type, queries + q * head_dim, head_dim, keys, j, scale, scores + q * stride, stride, 1,
                        SINGLE_GROUPS);
}

void ex_neon_attention_scores_f16(const ex_activations *queries, const void *keys, const ex_streams *ahead,
                                  size_t n_positions, float scale, float *scores, size_t scores_stride) {
    (void)ahead;
    attention_scores(EX_KV_F16, queries->values, queries->n_tokens, queries->n_in, keys, n_positions, scale, scores,
                     scores_stride);
}

void ex_neon_attention_scores_f32(const ex_activations *queries, const void *keys, const ex_streams *ahead,
                                  size_t n_positions, float scale, float *scores, size_t scores_stride) {
    (void)ahead;
    attention_scores(EX_KV_F32, queries->values, queries->n_tokens, queries->n_in, keys, n_positions, scale, scores,
                     scores_stride);
}

/* Dimensions from `first` on. */
ALWAYS_INLINE void values_tile(ex_kv_type type, const float *probabilities, size_t stride, const void *values,
                               size_t n_positions, size_t head_dim, size_t first, float *out, size_t n_query,
                               size_t n_groups) {
    neon_eight sums[QUERIES][SINGLE_GROUPS];
    UNROLL for (size_t q = 0; q < n_query; q++)
        UNROLL for (size_t v = 0; v < n_groups; v++) sums[q][v] = neon_load_eight(out + q * head_dim + first + v * 8);
    for (size_t j = 0; j < n_positions; j++) {
        neon_eight row[SINGLE_GROUPS];
        UNROLL for (size_t v = 0; v < n_groups; v++) row[v] = load_page(type, values, j * head_dim + first + v * 8);
        UNROLL for (size_t q = 0; q < n_query; q++)
            UNROLL for (size_t v = 0; v < n_groups; v++)
                sums[q][v] = add_scaled(sums[q][v], row[v], probabilities[q * stride + j]);
    }
    UNROLL for (size_t q = 0; q < n_query; q++)
        UNROLL for (size_t v = 0; v < n_groups; v++) store_eight(out + q * head_dim + first + v * 8, sums[q][v]);
}

/* head_dim is a multiple of 8. */
ALWAYS_INLINE void attention_values(ex_kv_type type, const float *p, size_t stride, size_t n_query, const void *values,
                                    size_t n_positions, size_t head_dim, float *out) {
    for (; n_query >= QUERIES; n_query -= QUERIES, p += QUERIES * stride, out += QUERIES * head_dim) {
        size_t d = 0;
        for (; d + QUERY_GROUPS * 8 <= head_dim; d += QUERY_GROUPS * 8)
            values_tile(type, p, stride, values, n_positions, head_dim, d, out, QUERIES, QUERY_GROUPS);
        if (d < head_dim) values_tile(type, p, stride, values, n_positions, head_dim, d, out, QUERIES, 1);
    }
    for (; n_query > 0; n_query--, p += stride, out += head_dim) {
        size_t d = 0;
        for (; d + SINGLE_GROUPS * 8 <= head_dim; d += SINGLE_GROUPS * 8)
            values_tile(type, p, stride, values, n_positions, head_dim, d, out, 1, SINGLE_GROUPS);
        for (; d < head_dim; d += 8) values_tile(type, p, stride, values, n_positions, head_dim, d, out, 1, 1);
    }
}

void ex_neon_attention_values_f16(const float *probabilities, size_t stride, size_t n_query, const void *values,
                                  const ex_streams *ahead, size_t n_positions, size_t head_dim, float *out) {
    if (head_dim % 8 == 0)
        attention_values(EX_KV_F16, probabilities, stride, n_query, values, n_positions, head_dim, out);
    else ex_portable_attention_values_f16(probabilities, stride, n_query, values, ahead, n_positions, head_dim, out);
}

void ex_neon_attention_values_f32(const float *probabilities, size_t stride, size_t n_query, const void *values,
                                  const ex_streams *ahead, size_t n_positions, size_t head_dim, float *out) {
    if (head_dim % 8 == 0)
        attention_values(EX_KV_F32, probabilities, stride, n_query, values, n_positions, head_dim, out);
    else ex_portable_attention_values_f32(probabilities, stride, n_query, values, ahead, n_positions, head_dim, out);
}

/* ---- softmax ------------------------------------------------------------------------------------------------ */

typedef struct softmax_sums {
    double sum, sum_x, sum_absolute;
    size_t n_live;
} softmax_sums;

static float row_maximum(const float *row, size_t n) {
    float32x4_t maximum = vdupq_n_f32(-INFINITY);
    for (size_t i = 0; i < n; i += 4) maximum = vmaxq_f32(maximum, neon_load_or(row + i, n - i, -INFINITY));
    return vmaxvq_f32(maximum);
}

/* Scores to e^(score - maximum). Masked ones become 0 and count nowhere. */
ALWAYS_INLINE softmax_sums exponentials(float *row, size_t n, float maximum, bool statistics) {
    const float32x4_t masked = vdupq_n_f32(-INFINITY), maxima = vdupq_n_f32(maximum), zero = vdupq_n_f32(0);
    float64x2_t sum = vdupq_n_f64(0), sum_x = sum, sum_absolute = sum;
    uint32x4_t n_masked = vdupq_n_u32(0);
    for (size_t i = 0; i < n; i += 4) {
        float32x4_t scores = neon_load_or(row + i, n - i, -INFINITY);
        float32x4_t x = vsubq_f32(scores, maxima);
        float32x4_t e = neon_exp_negative(x);
        neon_store_first(row + i, n - i, e);
        sum = neon_add_as_doubles(sum, e);
        if (!statistics) continue;
        uint32x4_t dead = vceqq_f32(scores, masked);
        x = vbslq_f32(dead, zero, x);
        sum_x = vfmaq_f64(sum_x, neon_low_double(e), neon_low_double(x));
        sum_x = vfmaq_f64(sum_x, neon_high_double(e), neon_high_double(x));
        sum_absolute = neon_add_as_doubles(sum_absolute, vabsq_f32(vbslq_f32(dead, zero, scores)));
        n_masked = vsubq_u32(n_masked, dead);
    }
    size_t n_lanes = (n + 3) / 4 * 4;
    return (softmax_sums){vaddvq_f64(sum), vaddvq_f64(sum_x), vaddvq_f64(sum_absolute),
                          n_lanes - vaddvq_u32(n_masked)};
}

void ex_neon_softmax(float *row, size_t n, ex_row_statistics *statistics) {
    float maximum = row_maximum(row, n);
    if (maximum == -INFINITY) maximum = 0; /* all are masked: e^-infinity is the 0 that is wanted */
    softmax_sums sums = statistics ? exponentials(row, n, maximum, true) : exponentials(row, n, maximum, false);
    double inverse = sums.sum != 0 ? 1 / sums.sum : 0;
    for (size_t i = 0; i < n; i += 4)
        neon_store_first(row + i, n - i, vmulq_n_f32(neon_load_or(row + i, n - i, 0), (float)inverse));

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
static inline float32x4_t binary_logarithm(float32x4_t x) {
    const float32x4_t one = vdupq_n_f32(1);
    const int32x4_t bits = vreinterpretq_s32_f32(x);
    const int32x4_t exponent = vshrq_n_s32(vsubq_s32(bits, vdupq_n_s32(EX_BITS_OF_SQRT_HALF)), 23);
    const float32x4_t f = vreinterpretq_f32_s32(vsubq_s32(bits, vshlq_n_s32(exponent, 23)));
    const float32x4_t s = vdivq_f32(vsubq_f32(f, one), vaddq_f32(f, one)), s2 = vmulq_f32(s, s);
    float32x4_t series = vfmaq_f32(vdupq_n_f32(1.0f / 7), vdupq_n_f32(1.0f / 9), s2);
    series = vfmaq_f32(vdupq_n_f32(1.0f / 5), series, s2);
    series = vfmaq_f32(vdupq_n_f32(1.0f / 3), series, s2);
    series = vfmaq_f32(one, series, s2);
    series = vmulq_f32(series, vmulq_n_f32(s, (float)(2 * M_LOG2E)));
    return vaddq_f32(vcvtq_f32_s32(exponent), series);
}

ex_head_sums ex_neon_head_deviation(const float *probabilities, size_t stride, size_t n_head, size_t first,
                                    size_t last) {
    const float share = 1 / (float)n_head;
    float64x2_t total = vdupq_n_f64(0), entropy = total;
    for (size_t j = first; j < last; j += 4) {
        float32x4_t mean = vdupq_n_f32(0), deviation = mean;
        for (size_t h = 0; h < n_head; h++)
            mean = vaddq_f32(mean, neon_load_or(probabilities + h * stride + j, last - j, 0));
        mean = vmulq_n_f32(mean, share);
        for (size_t h = 0; h < n_head; h++) {
            float32x4_t p = neon_load_or(probabilities + h * stride + j, last - j, 0);
            deviation = vaddq_f32(deviation, vabdq_f32(p, mean));
        }
        total = neon_add_as_doubles(total, deviation);
        mean = vmaxq_f32(mean, vdupq_n_f32(FLT_MIN));
        entropy = neon_add_as_doubles(entropy, vmulq_f32(mean, binary_logarithm(mean)));
    }
    return (ex_head_sums){vaddvq_f64(total), -vaddvq_f64(entropy)};
}
