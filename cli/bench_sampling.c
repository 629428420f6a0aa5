/* bench_sampling.c - the time of one sampling step: on the logits of the model, and on two made kinds, in its own
 * vocabulary and in that of Llama 3. */
#include <math.h>
#include <stdlib.h>

#include "bench.h"
#include "model.h"
#include "terminal.h"

enum { STEPS = 201, N_PEAKS = 20 };

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double bench_median(double *values, size_t n) {
    qsort(values, n, sizeof *values, by_value);
    return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

/* The median of many steps, in seconds. */
static ex_code time_steps(const float *logits, int32_t n_vocab, const ex_attention *attention, double *out,
                          ex_error *error) {
    ex_policy policy;
    ex_choice choice;
    ex_sampler *sampler = NULL;
    double seconds[STEPS];
    ex_code code = ex_policy_preset(&policy, NULL, error);
    if (code == EX_OK) code = ex_sampler_open(&sampler, &policy, n_vocab, error);
    for (uint32_t i = 0; i < STEPS && code == EX_OK; i++) {
        ex_random_key key = {.seed = 1, .position = i};
        double start = seconds_now();
        code = ex_sampler_step(sampler, logits, attention, key, &choice, error);
        seconds[i] = seconds_now() - start;
    }
    ex_sampler_close(sampler);
    if (code == EX_OK) *out = bench_median(seconds, STEPS);
    return code;
}

/* A bell of the given spread, as sums of four numbers make it; `peaks` tokens rise out of it, each less than the one
 * before. */
static void make_logits(float *logits, size_t n, double spread, size_t peaks) {
    uint64_t state = 1;
    for (size_t i = 0; i < n; i++) {
        double sum = -2;
        for (int j = 0; j < 4; j++) {
            state = state * 6364136223846793005u + 1442695040888963407u; /* Knuth's MMIX */
            sum += (double)(state >> 40) * 0x1p-24;
        }
        logits[i] = (float)(sum * sqrt(3) * spread);
    }
    for (size_t i = 0; i < peaks; i++) logits[(i * 7919 + 13) % n] = (float)(18 - 4 * log1p((double)i));
}

int bench_sampling(const ex_step *step, bench_result *result) {
    const int32_t sizes[BENCH_SIZES] = {step->n_vocab, BENCH_LARGE_VOCABULARY};
    const size_t largest = (size_t)(sizes[0] > sizes[1] ? sizes[0] : sizes[1]);
    ex_error error;
    float *logits = malloc(largest * sizeof *logits);
    if (!logits) return report_memory();
    ex_code code = time_steps(step->logits, step->n_vocab, step->attention, &result->sampling_seconds, &error);
    for (int i = 0; i < BENCH_SIZES && code == EX_OK; i++) {
        make_logits(logits, (size_t)sizes[i], 2, N_PEAKS);
        code = time_steps(logits, sizes[i], step->attention, &result->sampling_peaked[i], &error);
        make_logits(logits, (size_t)sizes[i], 0.25, 0);
        if (code == EX_OK) code = time_steps(logits, sizes[i], step->attention, &result->sampling_flat[i], &error);
    }
    free(logits);
    return code == EX_OK ? STATUS_OK : report(&error);
}
