/* portable_attention.c - attention of one head over pages of the KV cache, with its statistics. */
#include "kernel/portable.h"

#include "base/half.h"

#include <math.h>

/* One element of a page, whichever way it is stored. */
static inline float load(const void *elements, ex_kv_type type, size_t i) {
    return type == EX_KV_F32 ? ((const float *)elements)[i] : ex_half_to_float(((const uint16_t *)elements)[i]);
}

static inline void attention_scores(ex_kv_type type, const ex_activations *queries, const void *keys,
                                    size_t n_positions, float scale, float *scores, size_t stride) {
    for (size_t q = 0; q < queries->n_tokens; q++) {
        float sums[EX_KV_PAGE] = {0};
        for (size_t d = 0; d < queries->n_in; d++)
            for (size_t j = 0; j < n_positions; j++)
                sums[j] += queries->values[q * queries->n_in + d] * load(keys, type, d * EX_KV_PAGE + j);
        for (size_t j = 0; j < n_positions; j++) scores[q * stride + j] = scale * sums[j];
    }
}

void ex_portable_attention_scores_f16(const ex_activations *queries, const void *keys, const ex_streams *ahead,
                                      size_t n_positions, float scale, float *scores, size_t scores_stride) {
    (void)ahead;
    attention_scores(EX_KV_F16, queries, keys, n_positions, scale, scores, scores_stride);
}

void ex_portable_attention_scores_f32(const ex_activations *queries, const void *keys, const ex_streams *ahead,
                                      size_t n_positions, float scale, float *scores, size_t scores_stride) {
    (void)ahead;
    attention_scores(EX_KV_F32, queries, keys, n_positions, scale, scores, scores_stride);
}

/* One query and one position, block by block: a sum of whole numbers, and then the two scales. */
static float score_q8_0(const int8_t *query, const float *query_scales, const int8_t *keys, const uint16_t *scales,
                        size_t head_dim, size_t position) {
    float sum = 0;
    for (size_t block = 0; block < head_dim / EX_QUANT_BLOCK; block++) {
        int32_t products = 0;
        for (size_t d = block * EX_QUANT_BLOCK; d < (block + 1) * EX_QUANT_BLOCK; d++)
            products += query[d] * keys[ex_kv_key_index(d, position)];
        sum += (float)products * (ex_half_to_float(scales[block * EX_KV_PAGE + position]) * query_scales[block]);
    }
    return sum;
}

void ex_portable_attention_scores_q8_0(const ex_activations *queries, const void *keys, const ex_streams *ahead,
                                       size_t n_positions, float scale, float *scores, size_t scores_stride) {
    (void)ahead;
    const size_t head_dim = queries->n_in;
    for (size_t q = 0; q < queries->n_tokens; q++)
        for (size_t j = 0; j < n_positions; j++)
            scores[q * scores_stride + j] =
                scale * score_q8_0(queries->quants + q * head_dim, queries->scales + q * (head_dim / EX_QUANT_BLOCK),
                                   keys, ex_kv_scales(keys, head_dim), head_dim, j);
}

/* With x = score - maximum and Z = sum of e^x, the entropy in nats is ln Z - (sum of e^x · x) / Z. */
void ex_portable_softmax(float *row, size_t n, ex_row_statistics *statistics) {
    float maximum = -INFINITY;
    for (size_t i = 0; i < n; i++) maximum = row[i] > maximum ? row[i] : maximum;

    double sum = 0, sum_x = 0, sum_absolute = 0;
    size_t n_live = 0;
    for (size_t i = 0; i < n; i++) {
        if (row[i] == -INFINITY) {
            row[i] = 0;
            continue;
        }
        double x = (double)row[i] - (double)maximum;
        sum_absolute += fabs((double)row[i]);
        row[i] = (float)exp(x);
        sum += (double)row[i];
        sum_x += (double)row[i] * x;
        n_live++;
    }
    double inverse = n_live > 0 ? 1 / sum : 0;
    for (size_t i = 0; i < n; i++) row[i] = (float)((double)row[i] * inverse);

    if (!statistics) return;
    *statistics = (ex_row_statistics){0, 0, 0};
    if (n_live == 0) return;
    statistics->maximum = (float)inverse; /* the largest term is e^0 */
    statistics->entropy = log2(sum) - sum_x * inverse * M_LOG2E;
    statistics->mean_absolute_score = sum_absolute / (double)n_live;
}

static inline void attention_values(ex_kv_type type, const float *probabilities, size_t stride, size_t n_query,
                                    const void *values, size_t n_positions, size_t head_dim, float *out) {
    for (size_t q = 0; q < n_query; q++)
        for (size_t j = 0; j < n_positions; j++)
            for (size_t d = 0; d < head_dim; d++)
                out[q * head_dim + d] += probabilities[q * stride + j] * load(values, type, j * head_dim + d);
}

void ex_portable_attention_values_f16(const float *probabilities, size_t stride, size_t n_query, const void *values,
                                      const ex_streams *ahead, size_t n_positions, size_t head_dim, float *out) {
    (void)ahead;
    attention_values(EX_KV_F16, probabilities, stride, n_query, values, n_positions, head_dim, out);
}

void ex_portable_attention_values_f32(const float *probabilities, size_t stride, size_t n_query, const void *values,
                                      const ex_streams *ahead, size_t n_positions, size_t head_dim, float *out) {
    (void)ahead;
    attention_values(EX_KV_F32, probabilities, stride, n_query, values, n_positions, head_dim, out);
}

void ex_portable_attention_values_q8_0(const float *probabilities, size_t stride, size_t n_query, const void *values,
                                       const ex_streams *ahead, size_t n_positions, size_t head_dim, float *out) {
    (void)ahead;
    const int8_t *quants = values;
    const uint16_t *scales = ex_kv_scales(values, head_dim);
    for (size_t q = 0; q < n_query; q++)
        for (size_t j = 0; j < n_positions; j++)
            for (size_t d = 0; d < head_dim; d++) {
                float scale = ex_half_to_float(scales[d / EX_QUANT_BLOCK * EX_KV_PAGE + j]);
                out[q * head_dim + d] += probabilities[q * stride + j] * scale * (float)quants[j * head_dim + d];
            }
}

ex_head_sums ex_portable_head_deviation(const float *probabilities, size_t stride, size_t n_head, size_t first,
                                        size_t last) {
    ex_head_sums sums = {0, 0};
    for (size_t j = first; j < last; j++) {
        double mean = 0;
        for (size_t h = 0; h < n_head; h++) mean += (double)probabilities[h * stride + j];
        mean /= (double)n_head;
        for (size_t h = 0; h < n_head; h++) sums.deviation += fabs((double)probabilities[h * stride + j] - mean);
        if (mean > 0) sums.entropy -= mean * log2(mean);
    }
    return sums;
}
