/* filter.h - from logits to the candidates that may be drawn: temperature, min_p, top_k, top_p, in this order. */
#ifndef EX_SAMPLER_FILTER_H
#define EX_SAMPLER_FILTER_H

#include "sampler/metrics.h"

typedef struct ex_filter_memory {
    ex_survivor *survivors;   /* [n_vocab] */
    ex_survivor *likeliest;   /* [EX_FOUND_MAX] in order, filled by ex_find_likeliest */
    ex_candidate *candidates; /* [n_vocab] */
    float *block_maxima;      /* of the logits, one for each EX_LOGITS_BLOCK: filled by ex_summarise_logits */
    int *selected;            /* [EX_LOGITS_BLOCK] */
} ex_filter_memory;

typedef struct ex_filter_input {
    const ex_vector_math *math;
    const float *logits;
    size_t n_vocab;
    ex_logits_summary summary; /* of these logits */
    double confidence;         /* added to every score */
    size_t n_likeliest;        /* in memory->likeliest, of these logits; 0: not looked for */
} ex_filter_input;

/* Fills memory->likeliest with the `limit` likeliest tokens (at most EX_FOUND_MAX), and returns how many there are:
 * fewer where fewer are above -infinity. */
size_t ex_find_likeliest(const ex_filter_memory *memory, const ex_filter_input *input, size_t limit);

/* Fills memory->candidates, likeliest first, and returns how many there are. The decision is in range. */
size_t ex_filter(const ex_filter_memory *memory, const ex_filter_input *input, const ex_decision *decision);

#endif
