/* calibrate.c - thresholds and weights for a model, found on one text and checked on another. */
#include "generate/calibrate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "sampler/rule.h"

enum { WINDOW_DEFAULT = 512, WARM_UP_DEFAULT = 64, POSITIONS_DEFAULT = 20000, ADAPTIVE = EX_SHARE_COUNT - 1 };

static const double quantiles[EX_QUANTILE_COUNT] = {0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1};
static const char *const strategies[EX_SHARE_COUNT] = {"greedy", "clarify", "explore", "high_uncertainty", "adaptive"};

double ex_calibration_quantile(size_t index) { return index < EX_QUANTILE_COUNT ? quantiles[index] : 1; }

ex_calibration_options ex_calibration_options_default(void) {
    return (ex_calibration_options){.shares = {-1, 0.02, 0.05, 0.04},
                                    .n_window = WINDOW_DEFAULT,
                                    .n_warm_up = WARM_UP_DEFAULT,
                                    .n_positions = POSITIONS_DEFAULT};
}

typedef struct calibration {
    ex_measured_text texts[EX_PARTS];
    ex_policy before;
    ex_calibration *out;
    ex_rules *rules;
    ex_error *error;
} calibration;

/* ---- shares ------------------------------------------------------------------------------------------------------ */

static void decide(const calibration *c, const ex_metrics *metrics, ex_decision *decision) {
    const ex_rule_input input = {.policy = &c->out->policy, .metrics = metrics, .may_insert = true};
    uint64_t held = 0;
    ex_rules_decide(c->rules, &input, &held, decision);
}

static size_t strategy_of(const calibration *c, const ex_metrics *metrics) {
    ex_decision decision;
    decide(c, metrics, &decision);
    size_t i = 0;
    while (i < ADAPTIVE && strcmp(decision.strategy, strategies[i]) != 0) i++;
    return i;
}

/* Tokens of one window are alike, so the windows, not the tokens, are what the standard error counts. */
static ex_code count_part(calibration *c, size_t part) {
    const ex_measured_text *text = &c->texts[part];
    const double n = (double)text->n_positions, n_windows = (double)text->n_windows, of_window = n / n_windows;
    double(*counts)[EX_SHARE_COUNT] = ex_allocate(text->n_windows, sizeof *counts);
    if (!counts) return ex_fail_memory(c->error, "calibration");
    for (size_t i = 0; i < text->n_positions; i++)
        counts[text->positions[i].window][strategy_of(c, &text->positions[i].metrics)]++;
    for (size_t s = 0; s < EX_SHARE_COUNT; s++) {
        double sum = 0, squares = 0;
        for (size_t w = 0; w < text->n_windows; w++) sum += counts[w][s];
        for (size_t w = 0; w < text->n_windows; w++) squares += pow((counts[w][s] - sum / n_windows) / of_window, 2);
        ex_share_result *result = &c->out->shares[s];
        *(part == 0 ? &result->expected : &result->measured) = sum / n;
        result->error = n_windows > 1 ? sqrt(squares / (n_windows * (n_windows - 1))) : 0;
    }
    free(counts);
    return EX_OK;
}

/* Every share that is asked for needs a rule that takes it. */
static ex_code check_rules(const calibration *c) {
    for (size_t s = 0; s < ADAPTIVE; s++) {
        size_t i = 0, n = ex_rules_count(c->rules);
        while (i < n && strcmp(ex_rules_name(c->rules, i), strategies[s]) != 0) i++;
        if (i == n && c->out->shares[s].wanted != 0)
            return ex_fail(c->error, EX_ERROR_ARGUMENT, 0,
                           "the policy has no rule \"%s\" to take its share; calibrate from a policy with the rules of "
                           "the matrix, or ask for a share of 0",
                           strategies[s]);
    }
    return EX_OK;
}

/* ---- metrics ----------------------------------------------------------------------------------------------------- */

static ex_code find_quantiles(calibration *c) {
    const ex_measured_text *text = &c->texts[0];
    double *values = ex_allocate(text->n_positions, sizeof *values);
    if (!values) return ex_fail_memory(c->error, "calibration");
    for (size_t metric = 0; ex_metric_name(metric); metric++) {
        for (size_t i = 0; i < text->n_positions; i++)
            values[i] = ex_metric_value(&text->positions[i].metrics, metric);
        ex_sort_numbers(values, text->n_positions);
        for (size_t q = 0; q < EX_QUANTILE_COUNT; q++)
            ((double *)&c->out->quantiles[q])[metric] = ex_quantile(values, text->n_positions, quantiles[q]);
    }
    free(values);
    return EX_OK;
}

static ex_code find_thresholds(calibration *c, const ex_shares *shares) {
    const ex_measured_text *text = &c->texts[0];
    const bool by_sequence = c->before.varentropy == EX_VARENTROPY_SEQUENCE;
    double *values = ex_allocate(text->n_positions, 2 * sizeof *values);
    if (!values) return ex_fail_memory(c->error, "calibration");
    for (size_t i = 0; i < text->n_positions; i++) {
        const ex_metrics *metrics = &text->positions[i].metrics;
        values[i] = metrics->logits_entropy;
        values[text->n_positions + i] = by_sequence ? metrics->sequence_varentropy : metrics->logits_varentropy;
    }
    ex_code code = ex_solve_thresholds(values, values + text->n_positions, text->n_positions, shares, &c->out->policy,
                                       c->error);
    free(values);
    return code;
}

/* ---- weights ----------------------------------------------------------------------------------------------------- */

/* Candidates are looked at where a rule draws more than one: the others are dropped. */
static void keep_choices(calibration *c, ex_measured_text *text) {
    size_t n = 0;
    for (size_t i = 0; i < text->n_tried; i++) {
        ex_decision decision;
        decide(c, &text->positions[text->tried[i].measured].metrics, &decision);
        if (decision.candidates > 1) text->tried[n++] = text->tried[i];
    }
    text->n_tried = n;
}

static double mean_score(const ex_measured_text *text, const double *weights, double *accuracy) {
    double sum = 0, n_won = 0;
    for (size_t i = 0; i < text->n_tried; i++) {
        bool won;
        sum += ex_log_score(&text->tried[i], weights, &won);
        n_won += won;
    }
    const double n = text->n_tried ? (double)text->n_tried : 1;
    *accuracy = n_won / n;
    return sum / n;
}

static ex_weights_result judge(const calibration *c, const double *weights) {
    ex_weights_result result;
    result.expected = mean_score(&c->texts[0], weights, &result.accuracy);
    result.measured = mean_score(&c->texts[1], weights, &result.accuracy);
    return result;
}

static void compare_with_none(const calibration *c, const double *none) {
    const ex_measured_text *text = &c->texts[1];
    ex_running_variance gain = {0};
    for (size_t i = 0; i < text->n_tried; i++) {
        bool won;
        gain = ex_variance_add(gain, ex_log_score(&text->tried[i], c->out->weights, &won) -
                                         ex_log_score(&text->tried[i], none, &won));
    }
    c->out->gain = gain.mean;
    c->out->gain_error = gain.count > 1 ? sqrt(gain.squares / (gain.count * (gain.count - 1))) : 0;
    c->out->weights_help = c->out->gain > 2 * c->out->gain_error && gain.count > 1;
}

static void find_weights(calibration *c) {
    ex_calibration *out = c->out;
    const double none[EX_SCORE_WEIGHTS] = {0};
    double before[EX_SCORE_WEIGHTS];
    for (size_t i = 0; i < EX_PARTS; i++) keep_choices(c, &c->texts[i]);
    out->n_choices = c->texts[0].n_tried;
    out->n_choices_held_out = c->texts[1].n_tried;
    ex_get_score_weights(&c->before, before);
    ex_fit_weights(c->texts[0].tried, out->n_choices, out->weights);
    out->without = judge(c, none);
    out->before = judge(c, before);
    out->fitted = judge(c, out->weights);
    compare_with_none(c, none);
    ex_set_score_weights(&out->policy, out->weights_help ? out->weights : none);
}

/* ---- all of it --------------------------------------------------------------------------------------------------- */

static ex_code check_options(const ex_calibration_options *options, size_t n_context, ex_error *error) {
    if (options->n_warm_up < 1 || options->n_window <= options->n_warm_up)
        return ex_fail(error, EX_ERROR_ARGUMENT, 0, "a window of %zu positions has no room after a warm-up of %zu",
                       options->n_window, options->n_warm_up);
    if (options->n_window < n_context) return EX_OK;
    return ex_fail(error, EX_ERROR_ARGUMENT, 0,
                   "windows of %zu positions and one more do not fit into the %zu that the model was trained for",
                   options->n_window, n_context);
}

static ex_code prepare(calibration *c, const ex_calibration_options *options) {
    const double wanted[ADAPTIVE] = {options->shares.greedy, options->shares.clarify, options->shares.explore,
                                     options->shares.high_uncertainty};
    for (size_t s = 0; s < EX_SHARE_COUNT; s++)
        c->out->shares[s] = (ex_share_result){.strategy = strategies[s], .wanted = s < ADAPTIVE ? wanted[s] : 0};
    ex_code code = options->policy ? EX_OK : ex_policy_preset(&c->before, NULL, c->error);
    if (options->policy) c->before = *options->policy;
    c->out->policy = c->before;
    if (code == EX_OK) code = ex_rules_open(&c->rules, &c->before, c->error);
    return code == EX_OK ? check_rules(c) : code;
}

/* A token that is likelier than all others together can be taken without drawing. The other shares stand. */
static double share_of_clear(const ex_measured_text *text, double others) {
    size_t n = 0;
    for (size_t i = 0; i < text->n_positions; i++) n += text->positions[i].metrics.top_probability > 0.5;
    return fmax(0, fmin((double)n / (double)text->n_positions, 1 - others));
}

static ex_code calibrate(calibration *c, const ex_calibration_options *options) {
    ex_share_result *results = c->out->shares;
    ex_shares shares = options->shares;
    const double others = shares.clarify + shares.explore + shares.high_uncertainty;
    c->out->n_positions = c->texts[0].n_positions;
    c->out->n_held_out = c->texts[1].n_positions;
    if (shares.greedy < 0) shares.greedy = results[0].wanted = share_of_clear(&c->texts[0], others);
    results[ADAPTIVE].wanted = 1 - shares.greedy - others;
    ex_code code = find_quantiles(c);
    if (code == EX_OK) code = find_thresholds(c, &shares);
    for (size_t part = 0; part < EX_PARTS && code == EX_OK; part++) code = count_part(c, part);
    if (code != EX_OK) return code;
    find_weights(c);
    return ex_policy_check(&c->out->policy, c->error);
}

ex_code ex_calibrate(ex_engine *engine, const int32_t *tokens, size_t n_tokens, const int32_t *held_out,
                     size_t n_held_out, const ex_calibration_options *options, ex_calibration *out, ex_error *error) {
    const ex_part parts[EX_PARTS] = {{tokens, n_tokens}, {held_out, n_held_out}};
    const ex_calibration_options chosen = options ? *options : ex_calibration_options_default();
    memset(out, 0, sizeof *out);
    calibration *c = ex_allocate(1, sizeof *c);
    if (!c) return ex_fail_memory(error, "calibration");
    c->out = out;
    c->error = error;
    ex_code code = check_options(&chosen, (size_t)ex_engine_get_info(engine).n_context, error);
    if (code == EX_OK) code = prepare(c, &chosen);
    if (code == EX_OK) code = ex_measure_text(engine, parts, &chosen, &c->before, c->texts, error);
    if (code == EX_OK) code = calibrate(c, &chosen);
    for (size_t i = 0; i < EX_PARTS; i++) ex_measured_free(&c->texts[i]);
    ex_rules_close(c->rules);
    free(c);
    return code;
}
