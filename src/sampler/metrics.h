/* metrics.h - one row of logits summarised: what the metrics, the filters and the scores all start from. */
#ifndef EX_SAMPLER_METRICS_H
#define EX_SAMPLER_METRICS_H

#include "base/vector_math.h"
#include "entropix.h"

typedef struct ex_logits_summary {
    float maximum;
    double log_sum;    /* natural logarithm of the sum of e^(logit - maximum): log p = logit - maximum - log_sum */
    double entropy;    /* bits */
    double varentropy; /* bits^2 */
} ex_logits_summary;

/* Errors as ex_measure_logits. `block_maxima` as in ex_vector_math. */
ex_code ex_summarise_logits(const ex_vector_math *math, const float *logits, size_t n_vocab, float *block_maxima,
                            ex_logits_summary *out, ex_error *error);

#endif
