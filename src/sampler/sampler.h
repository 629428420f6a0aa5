/* sampler.h - what the sampler room shows to generate: a sampler with lent passes over the logits. */
#ifndef EX_SAMPLER_SAMPLER_H
#define EX_SAMPLER_SAMPLER_H

#include "base/vector_math.h"
#include "entropix.h"
#include "sampler/history.h"
#include "sampler/metrics.h"

enum { EX_CLARIFICATION_MAX = 64 }; /* tokens */

/* ex_sampler_open, which chooses the best passes that the processor has, ends here. `math` must outlive the sampler. */
ex_code ex_sampler_open_with(ex_sampler **out, const ex_policy *policy, int32_t n_vocab, const ex_vector_math *math,
                             ex_error *error);

/* The metrics of a step alone, as if it were the first of an answer, and its likeliest token. */
ex_code ex_sampler_measure(ex_sampler *sampler, const float *logits, const ex_attention *attention,
                           ex_metrics *metrics, int32_t *likeliest, ex_error *error);

/* What the stages have carried here that steer by what was drawn, and setting it: mirostat_surprise, adaptive_sum,
 * adaptive_weight. */
enum { EX_STEERING_COUNT = 3 };
ex_carried ex_sampler_carried(const ex_sampler *sampler);
void ex_sampler_steer(ex_sampler *sampler, const double state[EX_STEERING_COUNT]);

/* Whether its filters have this stage, by its name in `samplers`. */
bool ex_sampler_has_stage(const ex_sampler *sampler, const char *name);

/* What a trace has of the last step. With `on`, more of the likeliest tokens than the metrics need: EX_TRACED_MIN, and
 * as many as top_k lets through, and EX_TRACED_MORE where stages make some less likely that then give way to others;
 * EX_TRACED_MAX at most. In order, valid until the next step. */
enum { EX_TRACED_MIN = 32, EX_TRACED_MORE = 64, EX_TRACED_MAX = 256 };
void ex_sampler_keep_likeliest(ex_sampler *sampler, bool on);
/* How many of the likeliest tokens a step's choice names, at most EX_LIKELIEST_MAX. */
void ex_sampler_name_likeliest(ex_sampler *sampler, size_t count);
const ex_survivor *ex_sampler_likeliest(const ex_sampler *sampler, size_t *count);
const int32_t *ex_sampler_excluded(const ex_sampler *sampler, size_t *count);

/* From now on no other token has a probability in steps: one bit a token, [n_vocab / 64, rounded up] words, borrowed
 * and read in every step. NULL: all may come. Metrics stay those of all tokens. */
void ex_sampler_set_allowed(ex_sampler *sampler, const uint64_t *allowed);
/* That, and with ex_sampler_keep_likeliest the likeliest of them in the last step, as many as a trace has of all. */
const uint64_t *ex_sampler_allowed(const ex_sampler *sampler, const ex_survivor **likeliest, size_t *count);

typedef struct ex_step_given { /* a step as a trace has it */
    const float *logits;       /* [n_vocab] as far as they are known, at least the likeliest */
    ex_logits_summary summary; /* of all as they were */
    const ex_layer_metrics *layers;
    const int32_t *n_positions; /* [n_layer] */
    int32_t n_layer;           /* 0: `attention` has all that is known */
    const ex_metrics *attention;
} ex_step_given;

/* ex_sampler_step from what was measured then. */
ex_code ex_sampler_step_given(ex_sampler *sampler, const ex_step_given *given, ex_random_key key, ex_choice *out,
                              ex_error *error);

#endif
