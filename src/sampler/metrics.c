/* metrics.c - how unsure the model is (entropy and varentropy of one row of logits) and how its heads looked at the
 * text (four numbers over the layers in scope). Pure functions; every formula is in docs/SAMPLER.md. */
#include "sampler/metrics.h"

#include <math.h>

#include "base/error.h"

#define BITS_PER_NAT 1.4426950408889634

static ex_code fail_not_finite(const float *logits, size_t n_vocab, ex_error *error) {
    for (size_t i = 0; i < n_vocab; i++) {
        if (isnan(logits[i]) || logits[i] == INFINITY)
            return ex_fail(error, EX_ERROR_NUMBER, i,
                           "logits[%zu] is %s: logits must be finite, or -infinity for tokens "
                           "that cannot come",
                           i, isnan(logits[i]) ? "NaN" : "+infinity");
    }
    return ex_fail(error, EX_ERROR_NUMBER, 0, "all %zu logits are -infinity: no token can come", n_vocab);
}

ex_code ex_summarise_logits(const ex_vector_math *math, const float *logits, size_t n_vocab, float *block_maxima,
                            ex_logits_summary *out, ex_error *error) {
    if (!logits || n_vocab == 0) return ex_fail(error, EX_ERROR_ARGUMENT, 0, "there are no logits to measure");
    ex_exponential_sums sums = math->exponential_sums(logits, n_vocab, block_maxima);
    if (!isfinite(sums.maximum)) return fail_not_finite(logits, n_vocab, error);
    double mean = sums.sum_x / sums.sum;
    double variance = sums.sum_x_squared / sums.sum - mean * mean;
    out->maximum = sums.maximum;
    out->log_sum = log(sums.sum);
    out->entropy = fmax(0, out->log_sum - mean) * BITS_PER_NAT;
    out->varentropy = fmax(0, variance) * BITS_PER_NAT * BITS_PER_NAT;
    return EX_OK;
}

ex_code ex_measure_logits(const float *logits, size_t n_vocab, double *entropy, double *varentropy, ex_error *error) {
    ex_logits_summary summary = {0};
    ex_code code = ex_summarise_logits(&ex_vector_math_portable, logits, n_vocab, NULL, &summary, error);
    if (code != EX_OK) return code;
    if (entropy) *entropy = summary.entropy;
    if (varentropy) *varentropy = summary.varentropy;
    return EX_OK;
}

/* Mean of n values; the population variance goes to `variance`. */
static double mean_and_variance(const double *values, int32_t n, double *variance) {
    double mean = 0, squares = 0;
    for (int32_t i = 0; i < n; i++) mean += values[i];
    mean /= n;
    for (int32_t i = 0; i < n; i++) squares += (values[i] - mean) * (values[i] - mean);
    *variance = squares / n;
    return mean;
}

/* Agreement and interaction strength are means over all (layer, head, position), so a layer that sees more positions
 * weighs more; the others are means over layers. */
void ex_measure_attention(const ex_attention *attention, ex_scope scope, ex_metrics *metrics) {
    metrics->attn_entropy = metrics->attn_varentropy = metrics->agreement = metrics->interaction_strength = 0;
    metrics->head_consensus = 1;
    if (!attention || attention->n_layer < 1 || attention->n_head < 1) return;
    int32_t first = scope == EX_SCOPE_LAST ? attention->n_layer - 1 : 0;
    double n_layer = attention->n_layer - first, n_position = 0;
    double entropy = 0, varentropy = 0, deviation = 0, distance = 0, strength = 0;
    for (int32_t layer = first; layer < attention->n_layer; layer++) {
        size_t head = (size_t)layer * (size_t)attention->n_head;
        double positions = attention->n_positions[layer], variance, ignored;
        entropy += mean_and_variance(attention->head_entropy + head, attention->n_head, &variance);
        varentropy += variance;
        strength += positions * mean_and_variance(attention->head_strength + head, attention->n_head, &ignored);
        deviation += positions * attention->layer_deviation[layer];
        distance += positions * attention->layer_deviation[layer] / 2; /* total variation, mean over heads */
        n_position += positions;
    }
    metrics->attn_entropy = entropy / n_layer;
    metrics->attn_varentropy = varentropy / n_layer;
    metrics->head_consensus = 1 - distance / n_layer;
    if (n_position > 0) {
        metrics->agreement = deviation / n_position;
        metrics->interaction_strength = strength / n_position;
    }
}
