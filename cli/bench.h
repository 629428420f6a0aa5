/* bench.h - what `entropix bench` measures, and how it is shown. */
#ifndef CLI_BENCH_H
#define CLI_BENCH_H

#include "entropix.h"
#include "options.h"

enum { BENCH_SIZES = 2, BENCH_LARGE_VOCABULARY = 128256 }; /* the model's own vocabulary, and this one */
enum { BENCH_CANDIDATES = 12 };                            /* sessions that are evaluated together */

typedef struct bench_result {
    ex_engine_info info;
    int n_prompt, n_generate, n_repeat;
    int n_depth;              /* positions before the measured ones */
    uint64_t bytes_per_token; /* weights, and keys and values of these positions */
    double load_seconds;
    double integer_peak;  /* multiplications and additions of bytes per second, all threads */
    double prefill_share; /* of it that the layers' matrices take in prefill */
    double operations_per_token;
    double prefill_rate; /* tokens per second, as are the next two */
    double decode_rate;  /* with attention statistics: what the sampler works with */
    double decode_rate_without;
    double decode_rate_mean; /* tokens over the sum of their times, where decode_rate is by the median time */
    double bandwidth;        /* bytes per second */
    double bandwidth_share;  /* of it that decode reads */
    double sampling_peaked[BENCH_SIZES], sampling_flat[BENCH_SIZES]; /* seconds, on made logits; see bench_sampling.c */
    double sampling_seconds; /* one step, median */
    double batch_seconds, batch_ratio; /* of BENCH_CANDIDATES tokens in as many sessions; to the slower of one token and
                                          a prompt of as many */
    uint64_t peak_bytes;
    uint64_t logits_hash;
} bench_result;

/* Of n values, which it sorts. */
double bench_median(double *values, size_t n);
/* Steps of the sampler on the model's logits and on made ones: the exit status. */
int bench_sampling(const ex_step *step, bench_result *result);
/* BENCH_CANDIDATES forks of `session`, a token each, in one pass: the exit status. */
int bench_batch(ex_session *session, const int32_t *tokens, bench_result *result);
/* bench --kernels and bench --options: the exit status. */
int bench_kernels(const cli_options *options);
int bench_options(const cli_options *options);

void bench_print(const bench_result *result);
void bench_json(const bench_result *result);

#endif
