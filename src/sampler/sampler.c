/* sampler.c - the handle: it owns the memory of all stages and the history of one answer (entropies so far, what was
 * emitted, when the clarification was inserted). The stages themselves are pure functions in the other files. */
#include "sampler/sampler.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "sampler/candidate.h"
#include "sampler/filter.h"

enum { CLARIFICATION_MAX = 64 };

typedef struct running_variance { /* Welford's: one pass, no cancellation */
    double count, mean, squares;
} running_variance;

typedef struct token_history {
    running_variance entropies; /* logits_entropy of every position that was accepted */
    double *window;             /* [sequence_window], a ring */
    size_t n_window;            /* ever written */
    double pending;             /* entropy of the last step, until its token is accepted */
    bool has_pending;
    int32_t recent[CLARIFICATION_MAX]; /* accepted tokens, newest last */
    size_t n_recent;
    int32_t n_insertions;
    int64_t n_since_insertion; /* generated tokens */
    bool inserting;            /* the token accepted last was inserted */
} token_history;

struct ex_sampler {
    ex_policy policy;
    size_t n_vocab;
    const ex_vector_math *math;
    ex_filter_memory memory;
    int32_t clarification[CLARIFICATION_MAX];
    size_t n_clarification;
    token_history history;
};

static running_variance with_value(running_variance variance, double value) {
    double distance = value - variance.mean;
    variance.count += 1;
    variance.mean += distance / variance.count;
    variance.squares += distance * (value - variance.mean);
    return variance;
}

/* Population variance of the newest `sequence_window` values, `value` the newest of them. */
static double window_variance(const token_history *history, size_t n_window, double value) {
    size_t count = history->n_window < n_window - 1 ? history->n_window : n_window - 1;
    running_variance variance = with_value((running_variance){0}, value);
    for (size_t i = 1; i <= count; i++)
        variance = with_value(variance, history->window[(history->n_window - i) % n_window]);
    return variance.squares / variance.count;
}

static ex_code open_memory(ex_sampler *sampler, ex_error *error) {
    sampler->memory.survivors = ex_allocate(sampler->n_vocab, sizeof *sampler->memory.survivors);
    sampler->memory.candidates = ex_allocate(sampler->n_vocab, sizeof *sampler->memory.candidates);
    const size_t n_blocks = (sampler->n_vocab + EX_LOGITS_BLOCK - 1) / EX_LOGITS_BLOCK;
    sampler->memory.block_maxima = ex_allocate(n_blocks, sizeof *sampler->memory.block_maxima);
    sampler->memory.selected = ex_allocate(EX_LOGITS_BLOCK, sizeof *sampler->memory.selected);
    sampler->history.window = ex_allocate((size_t)sampler->policy.sequence_window, sizeof *sampler->history.window);
    if (!sampler->memory.survivors || !sampler->memory.candidates || !sampler->memory.block_maxima ||
        !sampler->memory.selected || !sampler->history.window)
        return ex_fail_memory(error, "a sampler");
    return EX_OK;
}

ex_code ex_sampler_open_with(ex_sampler **out, const ex_policy *policy, int32_t n_vocab, const ex_vector_math *math,
                             ex_error *error) {
    *out = NULL;
    ex_policy chosen;
    if (n_vocab < 1) return ex_fail(error, EX_ERROR_ARGUMENT, 0, "a sampler needs at least one token, not %d", n_vocab);
    if (policy)
        chosen = *policy;
    else
        ex_policy_preset(&chosen, NULL, NULL);
    ex_code code = ex_policy_check(&chosen, error);
    if (code != EX_OK) return code;
    ex_sampler *sampler = ex_allocate(1, sizeof *sampler);
    if (!sampler) return ex_fail_memory(error, "a sampler");
    sampler->policy = chosen;
    sampler->n_vocab = (size_t)n_vocab;
    sampler->math = math;
    code = open_memory(sampler, error);
    if (code == EX_OK && chosen.clarify_token != EX_TOKEN_NONE)
        code = ex_sampler_set_clarification(sampler, &chosen.clarify_token, 1, error);
    if (code != EX_OK) {
        ex_sampler_close(sampler);
        return code;
    }
    *out = sampler;
    return EX_OK;
}

void ex_sampler_close(ex_sampler *sampler) {
    if (!sampler) return;
    free(sampler->memory.survivors);
    free(sampler->memory.candidates);
    free(sampler->memory.block_maxima);
    free(sampler->memory.selected);
    free(sampler->history.window);
    free(sampler);
}

const ex_policy *ex_sampler_policy(const ex_sampler *sampler) { return &sampler->policy; }

ex_code ex_sampler_set_clarification(ex_sampler *sampler, const int32_t *tokens, size_t count, ex_error *error) {
    if (count > CLARIFICATION_MAX)
        return ex_fail(error, EX_ERROR_ARGUMENT, 0, "the clarification has %zu tokens, at most %d fit", count,
                       CLARIFICATION_MAX);
    for (size_t i = 0; i < count; i++) {
        if (tokens[i] < 0 || (size_t)tokens[i] >= sampler->n_vocab)
            return ex_fail(error, EX_ERROR_ARGUMENT, i, "the clarification's token %d is outside the vocabulary of %zu",
                           tokens[i], sampler->n_vocab);
    }
    if (count > 0) memcpy(sampler->clarification, tokens, count * sizeof *tokens);
    sampler->n_clarification = count;
    return EX_OK;
}

const int32_t *ex_sampler_clarification(const ex_sampler *sampler, size_t *count) {
    *count = sampler->n_clarification;
    return sampler->clarification;
}

void ex_sampler_reset(ex_sampler *sampler) {
    double *window = sampler->history.window;
    sampler->history = (token_history){.window = window};
}

/* The generated tokens end with the clarification, or it may not be inserted now. */
static bool is_clarified(const ex_sampler *sampler) {
    const token_history *history = &sampler->history;
    size_t n = sampler->n_clarification;
    if (n == 0 || history->n_insertions >= sampler->policy.clarify_limit) return true;
    if (history->n_insertions > 0 && history->n_since_insertion < sampler->policy.clarify_cooldown) return true;
    const int32_t *newest = history->recent + history->n_recent;
    return n <= history->n_recent && memcmp(newest - n, sampler->clarification, n * sizeof *newest) == 0;
}

static ex_code summarise(const ex_sampler *sampler, const float *logits, ex_logits_summary *out, ex_error *error) {
    return ex_summarise_logits(sampler->math, logits, sampler->n_vocab, sampler->memory.block_maxima, out, error);
}

static ex_code check_decision(const ex_decision *decision, ex_error *error) {
    bool in_range = decision->temperature >= 0 && isfinite(decision->temperature) && decision->top_p >= 0 &&
                    decision->top_p <= 1 && decision->min_p >= 0 && decision->min_p <= 1 && decision->top_k >= 0;
    if (in_range) return EX_OK;
    return ex_fail(error, EX_ERROR_ARGUMENT, 0,
                   "temperature %g, top_p %g, top_k %d, min_p %g: the temperature must be "
                   "finite and not negative, top_p and min_p in [0,1], top_k not negative",
                   decision->temperature, decision->top_p, decision->top_k, decision->min_p);
}

static ex_code distribute(ex_sampler *sampler, const float *logits, const ex_logits_summary *summary,
                          const ex_metrics *metrics, const ex_decision *decision, ex_distribution *out,
                          ex_error *error) {
    *out = (ex_distribution){sampler->memory.candidates, 0};
    ex_code code = check_decision(decision, error);
    if (code != EX_OK || decision->strategy == EX_STRATEGY_CLARIFY) return code;
    ex_filter_input input = {sampler->math, logits, sampler->n_vocab, *summary,
                             ex_confidence(&sampler->policy, metrics)};
    out->count = ex_filter(&sampler->memory, &input, decision);
    return EX_OK;
}

ex_code ex_sampler_distribution(ex_sampler *sampler, const float *logits, const ex_metrics *metrics,
                                const ex_decision *decision, ex_distribution *out, ex_error *error) {
    ex_logits_summary summary = {0};
    ex_code code = summarise(sampler, logits, &summary, error);
    return code == EX_OK ? distribute(sampler, logits, &summary, metrics, decision, out, error) : code;
}

void ex_sampler_draw(ex_sampler *sampler, const ex_distribution *distribution, const ex_decision *decision,
                     ex_random_key key, ex_draw *out) {
    int32_t n_draws = decision->strategy == EX_STRATEGY_ADAPTIVE ? sampler->policy.candidates : 1;
    ex_draw_best(distribution, n_draws, key, out);
}

static ex_code measure(const ex_sampler *sampler, const ex_logits_summary *summary, const ex_attention *attention,
                       ex_metrics *metrics, ex_error *error) {
    ex_measure_attention(attention, sampler->policy.scope, metrics);
    if (!isfinite(metrics->attn_entropy + metrics->attn_varentropy + metrics->agreement +
                  metrics->interaction_strength))
        return ex_fail(error, EX_ERROR_NUMBER, 0, "the attention statistics are not finite (entropy %g, strength %g)",
                       metrics->attn_entropy, metrics->interaction_strength);
    running_variance sequence = with_value(sampler->history.entropies, summary->entropy);
    metrics->logits_entropy = summary->entropy;
    metrics->logits_varentropy = summary->varentropy;
    metrics->sequence_varentropy = sequence.squares / sequence.count;
    metrics->sequence_varentropy_window =
        window_variance(&sampler->history, (size_t)sampler->policy.sequence_window, summary->entropy);
    return EX_OK;
}

ex_code ex_sampler_step(ex_sampler *sampler, const float *logits, const ex_attention *attention, ex_random_key key,
                        ex_choice *out, ex_error *error) {
    ex_logits_summary summary = {0};
    ex_code code = summarise(sampler, logits, &summary, error);
    if (code == EX_OK) code = measure(sampler, &summary, attention, &out->metrics, error);
    if (code != EX_OK) return code;
    ex_decide(&sampler->policy, &out->metrics, is_clarified(sampler), &out->decision);
    code = distribute(sampler, logits, &summary, &out->metrics, &out->decision, &out->distribution, error);
    if (code != EX_OK) return code;
    ex_sampler_draw(sampler, &out->distribution, &out->decision, key, &out->draw);
    sampler->history.pending = summary.entropy;
    sampler->history.has_pending = true;
    return EX_OK;
}

/* The entropy of a step counts once its outcome is accepted, so a step that is asked again changes nothing. */
static void commit_entropy(token_history *history, size_t n_window) {
    if (!history->has_pending) return;
    history->entropies = with_value(history->entropies, history->pending);
    history->window[history->n_window++ % n_window] = history->pending;
    history->has_pending = false;
}

static void remember_token(token_history *history, int32_t token) {
    if (history->n_recent == CLARIFICATION_MAX) {
        memmove(history->recent, history->recent + 1, (CLARIFICATION_MAX - 1) * sizeof *history->recent);
        history->n_recent--;
    }
    history->recent[history->n_recent++] = token;
}

void ex_sampler_accept(ex_sampler *sampler, int32_t token, bool inserted) {
    token_history *history = &sampler->history;
    commit_entropy(history, (size_t)sampler->policy.sequence_window);
    remember_token(history, token);
    if (inserted && !history->inserting) {
        history->n_insertions++;
        history->n_since_insertion = 0;
    }
    if (!inserted) history->n_since_insertion++;
    history->inserting = inserted;
}
