/* metric_fields.c - where each metric lies in its struct. */
#include "metric_fields.h"

static const size_t offsets[METRIC_COUNT] = {
    offsetof(ex_metrics, logits_entropy),
    offsetof(ex_metrics, logits_varentropy),
    offsetof(ex_metrics, attn_entropy),
    offsetof(ex_metrics, attn_varentropy),
    offsetof(ex_metrics, agreement),
    offsetof(ex_metrics, head_consensus),
    offsetof(ex_metrics, interaction_strength),
    offsetof(ex_metrics, sequence_varentropy),
    offsetof(ex_metrics, sequence_varentropy_window),
};

const char *const metric_names[METRIC_COUNT] = {
    "logits_entropy", "logits_varentropy",    "attn_entropy",        "attn_varentropy",           "agreement",
    "head_consensus", "interaction_strength", "sequence_varentropy", "sequence_varentropy_window"};

double metric_value(const ex_metrics *metrics, int index) {
    return *(const double *)((const char *)metrics + offsets[index]);
}

void metric_add(ex_metrics *sums, const ex_metrics *metrics) {
    for (int i = 0; i < METRIC_COUNT; i++) *(double *)((char *)sums + offsets[i]) += metric_value(metrics, i);
}
