/* sampler.c - the handle: it owns the memory of all stages and the history of one answer. The stages themselves are
 * functions of their arguments in the other files. */
#include "sampler/sampler.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "sampler/candidate.h"
#include "sampler/chain.h"
#include "sampler/history.h"
#include "sampler/rule.h"

struct ex_sampler {
    ex_policy policy;
    size_t n_vocab;
    const ex_vector_math *math;
    ex_rules *rules;
    ex_chain *chain;
    ex_filter_memory memory;
    ex_layer_metrics *layers; /* [EX_LAYERS_MAX] of the last step */
    ex_history history;
    uint64_t *fired;          /* [rules + 1] */
    int32_t clarification[EX_CLARIFICATION_MAX];
    size_t n_clarification;
    int32_t excluded[EX_EXCLUDED_MAX];
    size_t n_excluded;
    const uint64_t *allowed;      /* borrowed; NULL: all tokens */
    const ex_survivor *allowed_likeliest; /* of the last step, as far as a trace wants them */
    size_t n_allowed_likeliest;
    ex_distribution distribution; /* of the last step */
    bool keeps_likeliest;          /* more than the metrics need */
    size_t n_likeliest;            /* in memory.likeliest, of the last step */
    ex_candidate named[EX_LIKELIEST_MAX]; /* in the choice */
    size_t n_named;
};

static ex_code open_memory(ex_sampler *sampler, ex_error *error) {
    ex_filter_memory *memory = &sampler->memory;
    const size_t n_blocks = (sampler->n_vocab + EX_LOGITS_BLOCK - 1) / EX_LOGITS_BLOCK;
    const size_t n_survivors = sampler->n_vocab < EX_FOUND_MAX ? EX_FOUND_MAX : sampler->n_vocab;
    memory->survivors = ex_allocate(n_survivors, sizeof *memory->survivors);
    memory->likeliest = ex_allocate(EX_FOUND_MAX, sizeof *memory->likeliest);
    memory->candidates = ex_allocate(sampler->n_vocab, sizeof *memory->candidates);
    memory->block_maxima = ex_allocate(n_blocks, sizeof *memory->block_maxima);
    memory->selected = ex_allocate(EX_LOGITS_BLOCK, sizeof *memory->selected);
    sampler->layers = ex_allocate(EX_LAYERS_MAX, sizeof *sampler->layers);
    sampler->fired = ex_allocate(ex_rules_count(sampler->rules) + 1, sizeof *sampler->fired);
    bool complete = memory->survivors && memory->likeliest && memory->candidates && memory->block_maxima &&
                    memory->selected && sampler->layers && sampler->fired;
    return complete ? EX_OK : ex_fail_memory(error, "a sampler");
}

static ex_code open_parts(ex_sampler *sampler, ex_error *error) {
    const ex_policy *policy = &sampler->policy;
    ex_code code = ex_policy_check(policy, error);
    if (code == EX_OK) code = ex_rules_open(&sampler->rules, policy, error);
    if (code == EX_OK) code = ex_chain_open(&sampler->chain, policy, sampler->n_vocab, error);
    if (code == EX_OK) code = open_memory(sampler, error);
    if (code != EX_OK) return code;
    size_t window = (size_t)policy->sequence_window, rules_window = ex_rules_window(sampler->rules);
    if (window < rules_window) window = rules_window;
    if (window < EX_CLARIFICATION_MAX) window = EX_CLARIFICATION_MAX;
    code = ex_history_open(&sampler->history, window, ex_chain_context(sampler->chain), error);
    if (code == EX_OK && policy->clarify_token != EX_TOKEN_NONE)
        code = ex_sampler_set_clarification(sampler, &policy->clarify_token, 1, error);
    return code;
}

ex_code ex_sampler_open_with(ex_sampler **out, const ex_policy *policy, int32_t n_vocab, const ex_vector_math *math,
                             ex_error *error) {
    *out = NULL;
    if (n_vocab < 1) return ex_fail(error, EX_ERROR_ARGUMENT, 0, "a sampler needs at least one token, not %d", n_vocab);
    ex_sampler *sampler = ex_allocate(1, sizeof *sampler);
    if (!sampler) return ex_fail_memory(error, "a sampler");
    sampler->n_vocab = (size_t)n_vocab;
    sampler->math = math;
    ex_code code = EX_OK;
    if (policy)
        sampler->policy = *policy;
    else
        code = ex_policy_preset(&sampler->policy, NULL, error);
    if (code == EX_OK) code = open_parts(sampler, error);
    if (code != EX_OK) {
        ex_sampler_close(sampler);
        return code;
    }
    *out = sampler;
    return EX_OK;
}

void ex_sampler_close(ex_sampler *sampler) {
    if (!sampler) return;
    ex_rules_close(sampler->rules);
    ex_chain_close(sampler->chain);
    ex_history_close(&sampler->history);
    free(sampler->memory.survivors);
    free(sampler->memory.likeliest);
    free(sampler->memory.candidates);
    free(sampler->memory.block_maxima);
    free(sampler->memory.selected);
    free(sampler->layers);
    free(sampler->fired);
    free(sampler);
}

const ex_policy *ex_sampler_policy(const ex_sampler *sampler) { return &sampler->policy; }
const ex_rules *ex_sampler_rules(const ex_sampler *sampler) { return sampler->rules; }
const uint64_t *ex_sampler_fired(const ex_sampler *sampler) { return sampler->fired; }

ex_code ex_sampler_set_clarification(ex_sampler *sampler, const int32_t *tokens, size_t count, ex_error *error) {
    if (count > EX_CLARIFICATION_MAX)
        return ex_fail(error, EX_ERROR_ARGUMENT, 0, "the clarification has %zu tokens, at most %d fit", count,
                       EX_CLARIFICATION_MAX);
    for (size_t i = 0; i < count; i++) {
        if (tokens[i] < 0 || (size_t)tokens[i] >= sampler->n_vocab)
            return ex_fail(error, EX_ERROR_ARGUMENT, i, "the clarification's token %d is outside the vocabulary of %zu",
                           tokens[i], sampler->n_vocab);
    }
    if (count > 0) memcpy(sampler->clarification, tokens, count * sizeof *tokens);
    sampler->n_clarification = count;
    return EX_OK;
}

ex_code ex_sampler_set_vocabulary(ex_sampler *sampler, ex_text_of text_of, const void *context, ex_error *error) {
    return ex_chain_set_vocabulary(sampler->chain, text_of, context, error);
}

const int32_t *ex_sampler_clarification(const ex_sampler *sampler, size_t *count) {
    *count = sampler->n_clarification;
    return sampler->clarification;
}

/* ---- history ------------------------------------------------------------------------------------------------- */

void ex_sampler_reset(ex_sampler *sampler) {
    ex_history_reset(&sampler->history);
    memset(sampler->fired, 0, (ex_rules_count(sampler->rules) + 1) * sizeof *sampler->fired);
    sampler->n_excluded = 0;
}

void ex_sampler_prompt(ex_sampler *sampler, const int32_t *tokens, size_t n_tokens) {
    ex_history_prompt(&sampler->history, tokens, n_tokens);
}

/* A step whose token is not accepted yet. */
static void copy_step(ex_sampler *to, const ex_sampler *from) {
    const size_t count = from->distribution.count;
    if (!from->history.has_pending || !ex_chain_copy_step(to->chain, from->chain, count)) return;
    memcpy(to->memory.candidates, from->distribution.candidates, count * sizeof *to->memory.candidates);
    to->distribution = (ex_distribution){to->memory.candidates, count};
}

void ex_sampler_copy_history(ex_sampler *to, const ex_sampler *from) {
    ex_history_copy(&to->history, &from->history);
    copy_step(to, from);
    memcpy(to->fired, from->fired, (ex_rules_count(from->rules) + 1) * sizeof *to->fired);
    to->n_excluded = 0;
}

size_t ex_sampler_count(const ex_sampler *sampler) { return sampler->history.count; }

void ex_sampler_accept(ex_sampler *sampler, int32_t token, bool inserted) {
    ex_history *history = &sampler->history;
    if (history->has_pending) {
        sampler->fired[history->pending.rule]++;
        if (!inserted) ex_chain_accept(sampler->chain, &sampler->distribution, token, &history->pending.carried);
    }
    ex_history_accept(history, token, inserted);
    sampler->n_excluded = 0;
}

ex_code ex_sampler_rewind(ex_sampler *sampler, size_t count, ex_error *error) {
    ex_history *history = &sampler->history;
    const size_t held = history->count;
    if (count > held || count + EX_REWIND_MAX < history->peak)
        return ex_fail(error, EX_ERROR_ARGUMENT, count, "cannot go back from %zu tokens to %zu: at most %d are kept",
                       held, count, EX_REWIND_MAX);
    for (size_t back = 0; back < held - count; back++) {
        const ex_record *record = ex_history_newest(history, back);
        if (record->measured) sampler->fired[record->rule]--;
    }
    ex_history_truncate(history, count);
    sampler->n_excluded = 0;
    return EX_OK;
}

bool ex_sampler_exclude(ex_sampler *sampler, int32_t token) {
    if (sampler->n_excluded == EX_EXCLUDED_MAX || token < 0 || (size_t)token >= sampler->n_vocab) return false;
    sampler->excluded[sampler->n_excluded++] = token;
    return true;
}

static bool ends_with_clarification(const ex_sampler *sampler) {
    for (size_t i = 0; i < sampler->n_clarification; i++) {
        const ex_record *record = ex_history_newest(&sampler->history, i);
        if (!record || record->token != sampler->clarification[sampler->n_clarification - 1 - i]) return false;
    }
    return true;
}

static bool may_insert(const ex_sampler *sampler) {
    const ex_record *newest = ex_history_newest(&sampler->history, 0);
    const int32_t n_insertions = newest ? newest->n_insertions : 0;
    if (sampler->allowed || sampler->n_clarification == 0) return false;
    if (n_insertions >= sampler->policy.clarify_limit) return false;
    if (n_insertions > 0 && newest->n_since_insertion < sampler->policy.clarify_cooldown) return false;
    return !ends_with_clarification(sampler);
}

/* ---- one step ------------------------------------------------------------------------------------------------ */

static ex_code summarise(const ex_sampler *sampler, const float *logits, ex_filter_input *input, ex_error *error) {
    *input = (ex_filter_input){.math = sampler->math, .logits = logits, .n_vocab = sampler->n_vocab};
    ex_code code = ex_summarise_logits(sampler->math, logits, sampler->n_vocab, sampler->memory.block_maxima,
                                       &input->summary, error);
    if (code != EX_OK) return code;
    const size_t needed = ex_likeliest_needed(sampler->policy.top_k);
    input->n_likeliest =
        ex_find_likeliest(&sampler->memory, input, needed < sampler->n_vocab ? needed : sampler->n_vocab);
    return EX_OK;
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

static ex_code distribute(ex_sampler *sampler, const ex_filter_input *input, const ex_decision *decision,
                          const ex_chain_step *step, ex_distribution *out, ex_error *error) {
    *out = (ex_distribution){sampler->memory.candidates, 0};
    ex_code code = check_decision(decision, error);
    if (code != EX_OK || decision->action == EX_ACTION_INSERT) return code;
    bool is_plain = ex_chain_is_plain(sampler->chain) && step->n_excluded == 0 && !step->allowed;
    out->count = is_plain ? ex_filter(&sampler->memory, input, decision)
                          : ex_chain_filter(sampler->chain, &sampler->memory, input, decision, step);
    if (out->count > 0) return EX_OK;
    return ex_fail(error, EX_ERROR_NUMBER, 0, "the logits of all tokens that may come here are -infinity");
}

void ex_sampler_decide(ex_sampler *sampler, const ex_metrics *metrics, bool insertion_allowed, ex_decision *decision) {
    ex_rule_input input = {.policy = &sampler->policy, .metrics = metrics, .may_insert = insertion_allowed};
    uint64_t held = 0;
    ex_rules_decide(sampler->rules, &input, &held, decision);
}

ex_code ex_sampler_distribution(ex_sampler *sampler, const float *logits, const ex_metrics *metrics,
                                const ex_decision *decision, ex_distribution *out, ex_error *error) {
    ex_filter_input input;
    ex_chain_step step = {0};
    *out = (ex_distribution){sampler->memory.candidates, 0};
    ex_code code = summarise(sampler, logits, &input, error);
    if (code != EX_OK) return code;
    input.confidence = ex_confidence(&sampler->policy, metrics);
    return distribute(sampler, &input, decision, &step, out, error);
}

void ex_sampler_draw(ex_sampler *sampler, const ex_distribution *distribution, const ex_decision *decision,
                     ex_random_key key, ex_draw *out) {
    const ex_policy *policy = &sampler->policy;
    if (policy->fixed_key) key.position = 0;
    bool draws = policy->candidate_draws || policy->lookahead > 0 || decision->candidates <= 1 ||
                 policy->draw != EX_DRAWING_INVERSE;
    if (draws)
        ex_draw_best(distribution, decision->candidates, policy->draw, key, out);
    else
        ex_draw_exact(distribution, decision->candidates, key, out);
}

/* Population variance of the newest `sequence_window` entropies, `value` the newest of them. */
static double window_variance(const ex_sampler *sampler, double value) {
    ex_running_variance variance = ex_variance_add((ex_running_variance){0}, value);
    const double wanted = sampler->policy.sequence_window;
    const ex_record *record;
    for (size_t i = 0; variance.count < wanted && (record = ex_history_newest(&sampler->history, i)) != NULL; i++)
        if (record->measured) variance = ex_variance_add(variance, record->metrics.logits_entropy);
    return variance.squares / variance.count;
}

/* Whoever counts unused places fills all layers up to the same number: fewer means that nobody did. */
static ex_code check_padding(const ex_policy *policy, const ex_attention *attention, ex_error *error) {
    for (int32_t layer = 0; attention && layer < attention->n_layer; layer++)
        if (attention->n_positions[layer] < policy->attention_padding)
            return ex_fail(error, EX_ERROR_ARGUMENT, 0,
                           "the policy counts %d places of attention (attention_padding), the statistics of layer %d "
                           "have %d: reduce the raw scores with ex_score_reducer_set_padding, or set it to 0",
                           policy->attention_padding, layer, attention->n_positions[layer]);
    return EX_OK;
}

static ex_code measure_attention(ex_sampler *sampler, const ex_attention *attention, ex_metrics *metrics,
                                 ex_error *error) {
    if (attention && attention->n_layer > EX_LAYERS_MAX)
        return ex_fail(error, EX_ERROR_ARGUMENT, 0, "%d layers are more than %d", attention->n_layer, EX_LAYERS_MAX);
    ex_code code = check_padding(&sampler->policy, attention, error);
    if (code != EX_OK) return code;
    ex_measure_attention(attention, sampler->policy.scope, metrics, sampler->layers);
    if (isfinite(metrics->attn_entropy + metrics->attn_varentropy + metrics->agreement +
                 metrics->interaction_strength))
        return EX_OK;
    return ex_fail(error, EX_ERROR_NUMBER, 0, "the attention statistics are not finite (entropy %g, strength %g)",
                   metrics->attn_entropy, metrics->interaction_strength);
}

static void measure_logits(const ex_sampler *sampler, const ex_filter_input *input, ex_metrics *metrics) {
    const ex_record *newest = ex_history_newest(&sampler->history, 0);
    ex_running_variance before = newest ? newest->entropies : (ex_running_variance){0};
    ex_running_variance sequence = ex_variance_add(before, input->summary.entropy);
    ex_fill_metrics(&input->summary, sampler->memory.likeliest, input->n_likeliest, sampler->policy.top_k, metrics);
    metrics->sequence_varentropy = sequence.squares / sequence.count;
    metrics->sequence_varentropy_window = window_variance(sampler, input->summary.entropy);
}

static void decide(ex_sampler *sampler, ex_choice *out, ex_carried *carried) {
    out->may_insert = may_insert(sampler);
    ex_rule_input input = {.policy = &sampler->policy,
                           .metrics = &out->metrics,
                           .layers = out->layers,
                           .n_layer = out->n_layer,
                           .history = &sampler->history,
                           .may_insert = out->may_insert};
    *carried = ex_history_carried(&sampler->history);
    ex_rules_decide(sampler->rules, &input, &carried->held, &out->decision);
}

ex_code ex_sampler_measure(ex_sampler *sampler, const float *logits, const ex_attention *attention,
                           ex_metrics *metrics, int32_t *likeliest, ex_error *error) {
    ex_filter_input input;
    ex_code code = summarise(sampler, logits, &input, error);
    if (code == EX_OK) code = measure_attention(sampler, attention, metrics, error);
    if (code != EX_OK) return code;
    measure_logits(sampler, &input, metrics);
    *likeliest = sampler->memory.likeliest[0].token;
    return EX_OK;
}

static bool draws_token(ex_action action) {
    return action != EX_ACTION_INSERT && action != EX_ACTION_TRAP && action != EX_ACTION_STOP;
}

/* Enough for the filters of this step to be repeated. */
static size_t traced_of(const ex_sampler *sampler, int32_t top_k) {
    size_t wanted = top_k > EX_TRACED_MAX ? EX_TRACED_MAX : top_k < EX_TRACED_MIN ? EX_TRACED_MIN : (size_t)top_k;
    wanted += sampler->n_excluded + (ex_chain_is_plain(sampler->chain) ? 0 : EX_TRACED_MORE);
    return wanted > EX_TRACED_MAX ? EX_TRACED_MAX : wanted;
}

static void find_more_likeliest(ex_sampler *sampler, const ex_filter_input *input, int32_t top_k) {
    size_t wanted = sampler->keeps_likeliest ? traced_of(sampler, top_k) : sampler->n_named;
    if (wanted > sampler->n_vocab) wanted = sampler->n_vocab;
    if (sampler->n_likeliest < wanted) sampler->n_likeliest = ex_find_likeliest(&sampler->memory, input, wanted);
}

static void find_allowed_likeliest(ex_sampler *sampler, const ex_filter_input *input, int32_t top_k) {
    size_t wanted = traced_of(sampler, top_k);
    sampler->n_allowed_likeliest = 0;
    if (!sampler->allowed || !sampler->keeps_likeliest) return;
    if (wanted > sampler->n_vocab) wanted = sampler->n_vocab;
    sampler->n_allowed_likeliest = ex_chain_find_allowed(sampler->chain, &sampler->memory, input, sampler->allowed,
                                                         wanted, &sampler->allowed_likeliest);
}

static void name_likeliest(ex_sampler *sampler, const ex_filter_input *input, ex_choice *out) {
    out->likeliest = sampler->named;
    out->n_likeliest = sampler->n_likeliest < sampler->n_named ? sampler->n_likeliest : sampler->n_named;
    for (size_t i = 0; i < out->n_likeliest; i++) {
        const ex_survivor one = sampler->memory.likeliest[i];
        const ex_candidate *kept = ex_candidate_of(&out->distribution, one.token);
        const double log_probability = (double)one.logit - (out->maximum + out->log_sum);
        const ex_candidate dropped = {one.token, 0, log_probability, log_probability + input->confidence};
        sampler->named[i] = kept ? *kept : dropped;
    }
}

/* What comes after measuring attention. */
static ex_code act(ex_sampler *sampler, ex_filter_input *input, ex_random_key key, ex_choice *out, ex_error *error) {
    ex_chain_step step = {&sampler->history, {0}, key, sampler->excluded, sampler->n_excluded, sampler->allowed};
    out->layers = sampler->layers;
    measure_logits(sampler, input, &out->metrics);
    decide(sampler, out, &step.carried);
    input->confidence = ex_confidence(&sampler->policy, &out->metrics);
    ex_code code = distribute(sampler, input, &out->decision, &step, &out->distribution, error);
    if (code != EX_OK) return code;
    sampler->n_likeliest = input->n_likeliest;
    find_more_likeliest(sampler, input, out->decision.top_k);
    find_allowed_likeliest(sampler, input, out->decision.top_k);
    out->draw = (ex_draw){.token = EX_TOKEN_NONE};
    if (draws_token(out->decision.action))
        ex_sampler_draw(sampler, &out->distribution, &out->decision, key, &out->draw);
    out->maximum = (double)input->summary.maximum;
    out->log_sum = input->summary.log_sum;
    out->ahead = NULL;
    out->n_ahead = 0;
    name_likeliest(sampler, input, out);
    sampler->distribution = out->distribution;
    sampler->history.pending =
        (ex_record){.rule = out->decision.rule, .metrics = out->metrics, .carried = step.carried};
    sampler->history.has_pending = true;
    return EX_OK;
}

ex_code ex_sampler_step(ex_sampler *sampler, const float *logits, const ex_attention *attention, ex_random_key key,
                        ex_choice *out, ex_error *error) {
    ex_filter_input input;
    ex_code code = summarise(sampler, logits, &input, error);
    if (code == EX_OK) code = measure_attention(sampler, attention, &out->metrics, error);
    if (code != EX_OK) return code;
    out->n_layer = attention ? attention->n_layer : 0;
    return act(sampler, &input, key, out, error);
}

ex_code ex_sampler_step_given(ex_sampler *sampler, const ex_step_given *given, ex_random_key key, ex_choice *out,
                              ex_error *error) {
    ex_filter_input input;
    ex_code code = summarise(sampler, given->logits, &input, error);
    if (code != EX_OK) return code;
    input.summary = given->summary;
    out->metrics = *given->attention;
    out->n_layer = given->n_layer;
    if (given->n_layer > 0) {
        memcpy(sampler->layers, given->layers, (size_t)given->n_layer * sizeof *sampler->layers);
        ex_combine_layers(given->layers, given->n_positions, given->n_layer, sampler->policy.scope, &out->metrics);
    }
    return act(sampler, &input, key, out, error);
}

ex_carried ex_sampler_carried(const ex_sampler *sampler) { return ex_history_carried(&sampler->history); }

void ex_sampler_steer(ex_sampler *sampler, const double state[EX_STEERING_COUNT]) {
    ex_history *history = &sampler->history;
    if (history->count == 0) return;
    ex_carried *carried = &history->records[(history->count - 1) % history->capacity].carried;
    carried->mirostat_surprise = state[0];
    carried->adaptive_sum = state[1];
    carried->adaptive_weight = state[2];
}

bool ex_sampler_has_stage(const ex_sampler *sampler, const char *name) {
    for (size_t i = 0; i < ex_chain_count(sampler->chain); i++)
        if (strcmp(ex_chain_name(sampler->chain, i), name) == 0) return true;
    return false;
}

void ex_sampler_keep_likeliest(ex_sampler *sampler, bool on) { sampler->keeps_likeliest = on; }

void ex_sampler_name_likeliest(ex_sampler *sampler, size_t count) { sampler->n_named = count; }

const ex_survivor *ex_sampler_likeliest(const ex_sampler *sampler, size_t *count) {
    *count = sampler->n_likeliest;
    return sampler->memory.likeliest;
}

void ex_sampler_set_allowed(ex_sampler *sampler, const uint64_t *allowed) { sampler->allowed = allowed; }

const uint64_t *ex_sampler_allowed(const ex_sampler *sampler, const ex_survivor **likeliest, size_t *count) {
    *likeliest = sampler->allowed_likeliest;
    *count = sampler->n_allowed_likeliest;
    return sampler->allowed;
}

const int32_t *ex_sampler_excluded(const ex_sampler *sampler, size_t *count) {
    *count = sampler->n_excluded;
    return sampler->excluded;
}
