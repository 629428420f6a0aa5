/* stage_penalties.c - the stages that change the logits of some tokens: what is excluded, biases, and penalties for
 * what the context has. */
#include <math.h>

#include "sampler/stage.h"

static double without_probability(const ex_stage_run *run, int32_t token, uint32_t mark, double value) {
    (void)run, (void)token, (void)mark, (void)value;
    return -INFINITY;
}

void ex_stage_exclude(ex_stage_run *run) {
    size_t n_marked = 0;
    for (size_t i = 0; i < run->step->n_excluded; i++) {
        int32_t token = run->step->excluded[i];
        if (token >= 0 && (size_t)token < run->input->n_vocab) ex_stage_mark(run, &n_marked, token, 1);
    }
    ex_stage_adjust(run, n_marked, without_probability);
}

static double biased(const ex_stage_run *run, int32_t token, uint32_t mark, double value) {
    (void)token;
    return value + (double)run->chain->biases[mark - 1].bias;
}

void ex_stage_logit_bias(ex_stage_run *run) {
    size_t n_marked = 0;
    for (size_t i = 0; i < run->chain->n_biases; i++)
        ex_stage_mark(run, &n_marked, run->chain->biases[i].token, (uint32_t)i + 1);
    ex_stage_adjust(run, n_marked, biased);
}

static double penalised(const ex_stage_run *run, int32_t token, uint32_t mark, double value) {
    const ex_policy *policy = run->policy;
    (void)token;
    value = value > 0 ? value / policy->repeat_penalty : value * policy->repeat_penalty;
    return value - mark * policy->frequency_penalty - policy->presence_penalty;
}

void ex_stage_penalties(ex_stage_run *run) {
    const int32_t last_n = run->policy->repeat_last_n;
    const size_t window = last_n < 0 ? EX_CONTEXT_MAX : (size_t)last_n;
    size_t n_marked = 0;
    for (size_t back = 0; back < window && run->step->history; back++) {
        int32_t token = ex_history_token(run->step->history, back);
        if (token < 0) break;
        if ((size_t)token < run->input->n_vocab)
            ex_stage_mark(run, &n_marked, token, run->chain->marks[token] + 1);
    }
    ex_stage_adjust(run, n_marked, penalised);
}
