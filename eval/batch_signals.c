/* batch_signals.c - metrics of an answer's tokens, pooled as the tokens come. */
#include "batch_signals.h"

#include <math.h>
#include <string.h>

/* In the order of eval_metrics. */
static void metrics_of(const ex_event *event, double values[EVAL_METRIC_COUNT]) {
    static const double BITS_PER_NAT = 1.4426950408889634;
    const ex_metrics *metrics = &event->choice->metrics;
    const double all[EVAL_METRIC_COUNT] = {
        metrics->logits_entropy,  metrics->logits_varentropy, metrics->attn_entropy,
        metrics->attn_varentropy, metrics->head_consensus,    metrics->agreement,
        metrics->interaction_strength, metrics->probability_margin, -BITS_PER_NAT * event->log_probability,
    };
    memcpy(values, all, sizeof all);
}

void eval_pooling_add(eval_pooling *pooling, const ex_event *event) {
    if (event->kind != EX_EVENT_TOKEN || !event->choice) return;
    double *values = pooling->window[pooling->n_tokens % EVAL_WINDOW];
    metrics_of(event, values);
    for (size_t i = 0; i < EVAL_METRIC_COUNT; i++) {
        const bool is_worse = eval_metrics[i].sign * (values[i] - pooling->maximum[i]) > 0;
        if (pooling->n_tokens == 0) pooling->first[i] = values[i];
        if (pooling->n_tokens == 0 || is_worse) pooling->maximum[i] = values[i];
        pooling->sum[i] += values[i];
    }
    pooling->n_tokens++;
}

static double window_mean(const eval_pooling *pooling, size_t metric) {
    const size_t count = pooling->n_tokens < EVAL_WINDOW ? pooling->n_tokens : EVAL_WINDOW;
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += pooling->window[i][metric];
    return sum / (double)count;
}

eval_signals eval_pooling_result(const eval_pooling *pooling) {
    eval_signals signals;
    const bool is_empty = pooling->n_tokens == 0;
    for (size_t i = 0; i < EVAL_METRIC_COUNT; i++) {
        signals.values[EVAL_POOL_FIRST][i] = is_empty ? NAN : pooling->first[i];
        signals.values[EVAL_POOL_MEAN][i] = is_empty ? NAN : pooling->sum[i] / (double)pooling->n_tokens;
        signals.values[EVAL_POOL_MAXIMUM][i] = is_empty ? NAN : pooling->maximum[i];
        signals.values[EVAL_POOL_LAST][i] = is_empty ? NAN : window_mean(pooling, i);
    }
    return signals;
}
