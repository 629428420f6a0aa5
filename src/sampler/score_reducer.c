/* score_reducer.c - raw attention scores of another engine, reduced to the statistics that ex_measure_attention reads.
 * Our own engine computes the same numbers inside its attention kernel. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/error.h"
#include "base/memory.h"
#include "entropix_sampler.h"

#define BITS_PER_NAT 1.4426950408889634

typedef struct buffer {
    void *memory;
    size_t bytes;
} buffer;

struct ex_score_reducer {
    ex_attention result;
    int32_t slots; /* positions that each layer is filled up to */
    buffer n_positions, head_entropy, head_maximum, head_strength, layer_deviation, layer_entropy;
    buffer probabilities; /* [n_head][n_positions] of one layer */
    buffer mean;          /* [n_positions] over the heads of one layer */
    buffer live;          /* [n_positions] bytes: some head may look there */
    buffer unused;        /* [n_head] probability of one unused place */
};

ex_code ex_score_reducer_open(ex_score_reducer **out, ex_error *error) {
    *out = ex_allocate(1, sizeof **out);
    return *out ? EX_OK : ex_fail_memory(error, "a score reducer");
}

void ex_score_reducer_close(ex_score_reducer *reducer) {
    if (!reducer) return;
    buffer *buffers[] = {
        &reducer->n_positions,     &reducer->head_entropy,  &reducer->head_maximum, &reducer->head_strength,
        &reducer->layer_deviation, &reducer->layer_entropy, &reducer->probabilities, &reducer->mean,
        &reducer->live,            &reducer->unused};
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++) free(buffers[i]->memory);
    free(reducer);
}

ex_code ex_score_reducer_set_padding(ex_score_reducer *reducer, int32_t slots, ex_error *error) {
    if (slots < 0) return ex_fail(error, EX_ERROR_ARGUMENT, 0, "%d places of attention are fewer than none", slots);
    reducer->slots = slots;
    return EX_OK;
}

/* Room for count × size bytes; what was there is lost when it grows. */
static bool reserve(buffer *room, uint64_t count, uint64_t size) {
    uint64_t bytes;
    if (!ex_multiply(count, size, &bytes)) return false;
    if (bytes <= room->bytes) return true;
    free(room->memory);
    room->memory = ex_allocate((size_t)count, (size_t)size);
    room->bytes = room->memory ? (size_t)bytes : 0;
    return room->memory != NULL;
}

static bool reserve_all(ex_score_reducer *reducer, uint64_t n_layer, uint64_t n_head, uint64_t n_positions) {
    uint64_t heads, cells;
    return ex_multiply(n_layer, n_head, &heads) && ex_multiply(n_head, n_positions, &cells) &&
           reserve(&reducer->n_positions, n_layer, sizeof(int32_t)) &&
           reserve(&reducer->head_entropy, heads, sizeof(double)) &&
           reserve(&reducer->head_maximum, heads, sizeof(double)) &&
           reserve(&reducer->head_strength, heads, sizeof(double)) &&
           reserve(&reducer->layer_deviation, n_layer, sizeof(double)) &&
           reserve(&reducer->layer_entropy, n_layer, sizeof(double)) &&
           reserve(&reducer->probabilities, cells, sizeof(double)) &&
           reserve(&reducer->mean, n_positions, sizeof(double)) && reserve(&reducer->live, n_positions, 1) &&
           reserve(&reducer->unused, n_head, sizeof(double));
}

typedef struct head_statistics {
    double entropy, maximum, strength;
    double unused; /* probability of one unused place */
} head_statistics;

/* Softmax of one head and `n_unused` places of score 0 into `probabilities`. `bad` receives the index of a score that
 * is no number. */
static bool reduce_head(const float *scores, size_t n, double n_unused, double *probabilities, head_statistics *out,
                        size_t *bad) {
    float maximum = -INFINITY;
    for (size_t j = 0; j < n; j++) {
        *bad = j;
        if (isnan(scores[j]) || scores[j] == INFINITY) return false;
        if (scores[j] > maximum) maximum = scores[j];
    }
    *bad = n;
    if (maximum == -INFINITY) return false;
    if (n_unused > 0 && maximum < 0) maximum = 0;
    const double unused = exp(-(double)maximum);
    double sum = n_unused > 0 ? n_unused * unused : 0, sum_x = n_unused > 0 ? -sum * (double)maximum : 0;
    double sum_absolute = 0;
    size_t n_live = 0;
    for (size_t j = 0; j < n; j++) {
        probabilities[j] = 0;
        if (scores[j] == -INFINITY) continue;
        double x = (double)scores[j] - (double)maximum;
        probabilities[j] = exp(x);
        sum += probabilities[j];
        sum_x += probabilities[j] * x;
        sum_absolute += fabs((double)scores[j]);
        n_live++;
    }
    for (size_t j = 0; j < n; j++) probabilities[j] /= sum;
    out->entropy = fmax(0, log(sum) - sum_x / sum) * BITS_PER_NAT;
    out->maximum = 1 / sum;
    out->strength = sum_absolute / ((double)n_live + n_unused);
    out->unused = unused / sum;
    return true;
}

/* Mean over heads and positions of |P - mean over heads of P|. Leaves the mean over heads in reducer->mean, and that of
 * an unused place in `mean_unused`. */
static double deviation_of_layer(const ex_score_reducer *reducer, size_t n_head, size_t n, size_t n_live,
                                 double n_unused, double *mean_unused) {
    const double *probabilities = reducer->probabilities.memory, *unused = reducer->unused.memory;
    double *mean = reducer->mean.memory, sum = 0;
    memset(mean, 0, n * sizeof *mean);
    *mean_unused = 0;
    for (size_t head = 0; head < n_head; head++) {
        for (size_t j = 0; j < n; j++) mean[j] += probabilities[head * n + j] / (double)n_head;
        *mean_unused += unused[head] / (double)n_head;
    }
    for (size_t head = 0; head < n_head; head++) {
        for (size_t j = 0; j < n; j++) sum += fabs(probabilities[head * n + j] - mean[j]);
        if (n_unused > 0) sum += n_unused * fabs(unused[head] - *mean_unused);
    }
    return sum / ((double)n_head * ((double)n_live + n_unused));
}

/* Of the mean over heads, bits. */
static double entropy_of_mean(const ex_score_reducer *reducer, size_t n, double n_unused, double mean_unused) {
    const double *mean = reducer->mean.memory;
    double nats = 0;
    for (size_t j = 0; j < n; j++)
        if (mean[j] > 0) nats -= mean[j] * log(mean[j]);
    if (n_unused > 0 && mean_unused > 0) nats -= n_unused * mean_unused * log(mean_unused);
    return nats * BITS_PER_NAT;
}

/* A position is live when any head may look there. */
static size_t mark_live(const ex_score_reducer *reducer, const float *scores, size_t n_head, size_t n) {
    unsigned char *live = reducer->live.memory;
    size_t n_live = 0;
    memset(live, 0, n);
    for (size_t head = 0; head < n_head; head++)
        for (size_t j = 0; j < n; j++)
            if (scores[head * n + j] != -INFINITY) live[j] = 1;
    for (size_t j = 0; j < n; j++) n_live += live[j];
    return n_live;
}

static ex_code fail_score(const float *scores, size_t layer, size_t head, size_t n_head, size_t n, size_t bad,
                          ex_error *error) {
    const size_t row = (layer * n_head + head) * n;
    if (bad == n)
        return ex_fail(error, EX_ERROR_NUMBER, row, "scores of layer %zu, head %zu: every position is masked", layer,
                       head);
    return ex_fail(error, EX_ERROR_NUMBER, row + bad,
                   "scores[%zu][%zu][%zu] is %s: scores must be finite, or -infinity where masked", layer, head, bad,
                   isnan(scores[row + bad]) ? "NaN" : "+infinity");
}

static ex_code reduce_layer(ex_score_reducer *reducer, const float *scores, size_t layer, size_t n_head, size_t n,
                            ex_error *error) {
    double *probabilities = reducer->probabilities.memory, mean_unused;
    const size_t n_live = mark_live(reducer, scores + layer * n_head * n, n_head, n);
    const size_t n_all = n_live < (size_t)reducer->slots ? (size_t)reducer->slots : n_live;
    const double n_unused = (double)(n_all - n_live);
    for (size_t head = 0; head < n_head; head++) {
        size_t row = layer * n_head + head, bad;
        head_statistics statistics;
        if (!reduce_head(scores + row * n, n, n_unused, probabilities + head * n, &statistics, &bad))
            return fail_score(scores, layer, head, n_head, n, bad, error);
        ((double *)reducer->head_entropy.memory)[row] = statistics.entropy;
        ((double *)reducer->head_maximum.memory)[row] = statistics.maximum;
        ((double *)reducer->head_strength.memory)[row] = statistics.strength;
        ((double *)reducer->unused.memory)[head] = statistics.unused;
    }
    ((int32_t *)reducer->n_positions.memory)[layer] = (int32_t)n_all;
    ((double *)reducer->layer_deviation.memory)[layer] =
        deviation_of_layer(reducer, n_head, n, n_live, n_unused, &mean_unused);
    ((double *)reducer->layer_entropy.memory)[layer] = entropy_of_mean(reducer, n, n_unused, mean_unused);
    return EX_OK;
}

ex_code ex_score_reduce(ex_score_reducer *reducer, const float *scores, int32_t n_layer, int32_t n_head,
                        size_t n_positions, const ex_attention **out, ex_error *error) {
    if (!scores || n_layer < 1 || n_head < 1 || n_positions < 1 || n_positions > INT32_MAX)
        return ex_fail(error, EX_ERROR_ARGUMENT, 0,
                       "scores need at least one layer, head and position, not %d, %d and %zu", n_layer, n_head,
                       n_positions);
    if (!reserve_all(reducer, (uint64_t)n_layer, (uint64_t)n_head, n_positions))
        return ex_fail_memory(error, "the statistics of attention scores");
    for (size_t layer = 0; layer < (size_t)n_layer; layer++) {
        ex_code code = reduce_layer(reducer, scores, layer, (size_t)n_head, n_positions, error);
        if (code != EX_OK) return code;
    }
    reducer->result = (ex_attention){.n_layer = n_layer,
                                     .n_head = n_head,
                                     .n_positions = reducer->n_positions.memory,
                                     .head_entropy = reducer->head_entropy.memory,
                                     .head_maximum = reducer->head_maximum.memory,
                                     .head_strength = reducer->head_strength.memory,
                                     .layer_deviation = reducer->layer_deviation.memory,
                                     .layer_entropy = reducer->layer_entropy.memory};
    *out = &reducer->result;
    return EX_OK;
}
