/* metrics.c - how unsure the model is (one row of logits) and how its heads looked at the text (each layer, and the
 * layers in scope together). Pure functions; every formula is in docs/SAMPLER.md. */
#include "sampler/metrics.h"

#include <math.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/memory.h"
#include "sampler/filter.h"

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

size_t ex_likeliest_needed(int32_t top_k) {
    return top_k < 2 ? 2 : top_k < EX_FOUND_MAX ? (size_t)top_k : EX_FOUND_MAX;
}

void ex_fill_metrics(const ex_logits_summary *summary, const ex_survivor *likeliest, size_t n_likeliest, int32_t top_k,
                     ex_metrics *metrics) {
    double first = exp(-summary->log_sum), mass = 0;
    double second = n_likeliest > 1 ? first * exp((double)likeliest[1].logit - (double)summary->maximum) : 0;
    for (size_t i = 0; i < n_likeliest && i < (size_t)top_k; i++)
        mass += exp((double)likeliest[i].logit - (double)summary->maximum);
    metrics->logits_entropy = summary->entropy;
    metrics->logits_varentropy = summary->varentropy;
    metrics->top_probability = first;
    metrics->probability_margin = first - second;
    metrics->tail_mass = top_k > 0 ? fmax(0, 1 - first * mass) : 0;
    metrics->effective_choices = exp2(summary->entropy);
    metrics->fork = second / first * (first + second);
}

static ex_code measure(const float *logits, size_t n_vocab, int32_t top_k, const ex_filter_memory *memory,
                       ex_metrics *metrics, ex_error *error) {
    ex_filter_input input = {.math = &ex_vector_math_portable, .logits = logits, .n_vocab = n_vocab};
    ex_code code =
        ex_summarise_logits(input.math, logits, n_vocab, memory->block_maxima, &input.summary, error);
    if (code != EX_OK) return code;
    size_t needed = ex_likeliest_needed(top_k);
    size_t count = ex_find_likeliest(memory, &input, needed < n_vocab ? needed : n_vocab);
    ex_fill_metrics(&input.summary, memory->likeliest, count, top_k, metrics);
    return EX_OK;
}

ex_code ex_measure_logits(const float *logits, size_t n_vocab, int32_t top_k, ex_metrics *metrics, ex_error *error) {
    if (top_k < 0) return ex_fail(error, EX_ERROR_ARGUMENT, 0, "top_k is %d, it must not be negative", top_k);
    ex_filter_memory memory = {.survivors = ex_allocate(EX_FOUND_MAX, sizeof *memory.survivors),
                               .likeliest = ex_allocate(EX_FOUND_MAX, sizeof *memory.likeliest),
                               .block_maxima = ex_allocate(n_vocab / EX_LOGITS_BLOCK + 1, sizeof *memory.block_maxima),
                               .selected = ex_allocate(EX_LOGITS_BLOCK, sizeof *memory.selected)};
    bool complete = memory.survivors && memory.likeliest && memory.block_maxima && memory.selected;
    ex_code code = complete ? measure(logits, n_vocab, top_k, &memory, metrics, error)
                            : ex_fail_memory(error, "measuring logits");
    free(memory.survivors);
    free(memory.likeliest);
    free(memory.block_maxima);
    free(memory.selected);
    return code;
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

static ex_layer_metrics measure_layer(const ex_attention *attention, int32_t layer) {
    const size_t head = (size_t)layer * (size_t)attention->n_head;
    const double deviation = attention->layer_deviation[layer], positions = attention->n_positions[layer];
    ex_layer_metrics m;
    double ignored;
    m.attn_entropy = mean_and_variance(attention->head_entropy + head, attention->n_head, &m.attn_varentropy);
    m.attn_entropy_normalized = positions > 1 ? m.attn_entropy / log2(positions) : 0;
    m.agreement = deviation;
    m.head_consensus = 1 - positions * deviation / 2; /* total variation, mean over heads */
    m.head_disagreement = attention->layer_entropy ? fmax(0, attention->layer_entropy[layer] - m.attn_entropy) : 0;
    m.interaction_strength = mean_and_variance(attention->head_strength + head, attention->n_head, &ignored);
    return m;
}

typedef struct layer_sums { /* of the layers in scope */
    ex_layer_metrics sum;
    double n_layer, n_position;
} layer_sums;

/* Agreement and interaction strength are means over all (layer, head, position), so a layer that sees more positions
 * weighs more; the others are means over layers. */
static void add_layer(layer_sums *sums, const ex_layer_metrics *m, double positions) {
    sums->sum.attn_entropy += m->attn_entropy;
    sums->sum.attn_entropy_normalized += m->attn_entropy_normalized;
    sums->sum.attn_varentropy += m->attn_varentropy;
    sums->sum.head_consensus += m->head_consensus;
    sums->sum.head_disagreement += m->head_disagreement;
    sums->sum.agreement += positions * m->agreement;
    sums->sum.interaction_strength += positions * m->interaction_strength;
    sums->n_layer += 1;
    sums->n_position += positions;
}

static void take_means(const layer_sums *sums, ex_metrics *metrics) {
    metrics->attn_entropy = sums->sum.attn_entropy / sums->n_layer;
    metrics->attn_entropy_normalized = sums->sum.attn_entropy_normalized / sums->n_layer;
    metrics->attn_varentropy = sums->sum.attn_varentropy / sums->n_layer;
    metrics->head_consensus = sums->sum.head_consensus / sums->n_layer;
    metrics->head_disagreement = sums->sum.head_disagreement / sums->n_layer;
    if (sums->n_position > 0) {
        metrics->agreement = sums->sum.agreement / sums->n_position;
        metrics->interaction_strength = sums->sum.interaction_strength / sums->n_position;
    }
}

static void clear_attention(ex_metrics *metrics) {
    metrics->attn_entropy = metrics->attn_entropy_normalized = metrics->attn_varentropy = metrics->agreement =
        metrics->head_disagreement = metrics->interaction_strength = 0;
    metrics->head_consensus = 1;
}

static int32_t first_in(ex_scope scope, int32_t n_layer) { return scope == EX_SCOPE_LAST ? n_layer - 1 : 0; }

void ex_combine_layers(const ex_layer_metrics *layers, const int32_t *n_positions, int32_t n_layer, ex_scope scope,
                       ex_metrics *metrics) {
    layer_sums sums = {0};
    clear_attention(metrics);
    if (n_layer < 1) return;
    for (int32_t layer = first_in(scope, n_layer); layer < n_layer; layer++)
        add_layer(&sums, &layers[layer], n_positions[layer]);
    take_means(&sums, metrics);
}

void ex_measure_attention(const ex_attention *attention, ex_scope scope, ex_metrics *metrics,
                          ex_layer_metrics *layers) {
    clear_attention(metrics);
    if (!attention || attention->n_layer < 1 || attention->n_head < 1) return;
    const int32_t first = first_in(scope, attention->n_layer);
    layer_sums sums = {0};
    for (int32_t layer = 0; layer < attention->n_layer; layer++) {
        ex_layer_metrics m = measure_layer(attention, layer);
        if (layers) layers[layer] = m;
        if (layer >= first) add_layer(&sums, &m, attention->n_positions[layer]);
    }
    take_means(&sums, metrics);
}

typedef struct metric_row {
    const char *name;
    size_t offset;
} metric_row;

#define METRIC(name) {#name, offsetof(ex_metrics, name)}
#define LAYER_METRIC(name) {#name, offsetof(ex_layer_metrics, name)}

static const metric_row metric_rows[] = {
    METRIC(logits_entropy),          METRIC(logits_varentropy), METRIC(top_probability),
    METRIC(probability_margin),      METRIC(tail_mass),         METRIC(effective_choices),
    METRIC(fork),                    METRIC(attn_entropy),      METRIC(attn_entropy_normalized),
    METRIC(attn_varentropy),         METRIC(agreement),         METRIC(head_consensus),
    METRIC(head_disagreement),       METRIC(interaction_strength), METRIC(sequence_varentropy),
    METRIC(sequence_varentropy_window),
};

static const metric_row layer_metric_rows[] = {
    LAYER_METRIC(attn_entropy),      LAYER_METRIC(attn_entropy_normalized), LAYER_METRIC(attn_varentropy),
    LAYER_METRIC(agreement),         LAYER_METRIC(head_consensus),          LAYER_METRIC(head_disagreement),
    LAYER_METRIC(interaction_strength),
};

enum {
    METRIC_COUNT = sizeof metric_rows / sizeof *metric_rows,
    LAYER_METRIC_COUNT = sizeof layer_metric_rows / sizeof *layer_metric_rows
};

_Static_assert(METRIC_COUNT * sizeof(double) == sizeof(ex_metrics), "every metric has a name");
_Static_assert(LAYER_METRIC_COUNT * sizeof(double) == sizeof(ex_layer_metrics), "every layer metric has a name");

static double value_at(const void *metrics, size_t offset) {
    return *(const double *)((const char *)metrics + offset);
}

const char *ex_metric_name(size_t index) { return index < METRIC_COUNT ? metric_rows[index].name : NULL; }

double ex_metric_value(const ex_metrics *metrics, size_t index) {
    return index < METRIC_COUNT ? value_at(metrics, metric_rows[index].offset) : 0;
}

const char *ex_layer_metric_name(size_t index) {
    return index < LAYER_METRIC_COUNT ? layer_metric_rows[index].name : NULL;
}

double ex_layer_metric_value(const ex_layer_metrics *metrics, size_t index) {
    return index < LAYER_METRIC_COUNT ? value_at(metrics, layer_metric_rows[index].offset) : 0;
}
