/* metrics.h - one row of logits summarised: what the metrics, the filters and the scores all start from. */
#ifndef EX_SAMPLER_METRICS_H
#define EX_SAMPLER_METRICS_H

#include "base/vector_math.h"
#include "entropix_sampler.h"

typedef struct ex_logits_summary {
    float maximum;
    double log_sum;    /* natural logarithm of the sum of e^(logit - maximum): log p = logit - maximum - log_sum */
    double entropy;    /* bits */
    double varentropy; /* bits^2 */
} ex_logits_summary;

typedef struct ex_survivor {
    float logit;
    int32_t token;
} ex_survivor;

enum { EX_FOUND_MAX = 1024 };

/* How many of the likeliest tokens the metrics need, for tail_mass with this top_k. */
size_t ex_likeliest_needed(int32_t top_k);
/* The metrics of logits from their summary and their likeliest tokens, in order. */
void ex_fill_metrics(const ex_logits_summary *summary, const ex_survivor *likeliest, size_t n_likeliest, int32_t top_k,
                     ex_metrics *metrics);

/* The metrics of attention from those of the layers in scope. */
void ex_combine_layers(const ex_layer_metrics *layers, const int32_t *n_positions, int32_t n_layer, ex_scope scope,
                       ex_metrics *metrics);

/* Errors as ex_measure_logits. `block_maxima` as in ex_vector_math. */
ex_code ex_summarise_logits(const ex_vector_math *math, const float *logits, size_t n_vocab, float *block_maxima,
                            ex_logits_summary *out, ex_error *error);

#endif
