/* calibrate_output.c - the tables of calibration, and the same as JSON. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "calibrate.h"
#include "json_output.h"
#include "metric_fields.h"

enum { STRIP_CELLS = 32, BAR_CELLS = 24, SHOWN = 5 };
static const size_t shown[SHOWN] = {2, 3, 4, 5, 6}; /* quantiles in the table: 5 to 95 % */
enum { STRIP_FIRST = 1, STRIP_LAST = 7, MEDIAN = 4 };
static const double CLARIFY_CHOICES = 2; /* bits: below, a token has fewer than four choices */

static const char *const weight_keys[] = {"score_logits_entropy",  "score_attn_entropy", "score_logits_varentropy",
                                          "score_attn_varentropy", "score_agreement",    "score_interaction"};
enum { N_WEIGHTS = sizeof weight_keys / sizeof *weight_keys };
static const char *const threshold_keys[] = {"low_entropy",     "low_varentropy", "clarify_entropy", "explore_entropy",
                                             "high_entropy",    "high_varentropy", "uncertain_entropy"};
enum { N_THRESHOLDS = sizeof threshold_keys / sizeof *threshold_keys };

static double value_of(const ex_calibration *found, size_t quantile, size_t metric) {
    return ex_metric_value(&found->quantiles[quantile], metric);
}

/* From the 1st to the 99th percentile: a line, thick between the quartiles, with the median in it. */
static void print_strip(cli_painter *painter, const ex_calibration *found, size_t metric) {
    const double low = value_of(found, STRIP_FIRST, metric), high = value_of(found, STRIP_LAST, metric);
    int cells[STRIP_LAST + 1];
    for (size_t q = STRIP_FIRST; q <= STRIP_LAST; q++) {
        const double share = high > low ? (value_of(found, q, metric) - low) / (high - low) : 0;
        cells[q] = (int)(share * (STRIP_CELLS - 1) + 0.5);
    }
    for (int i = 0; i < STRIP_CELLS; i++) {
        const bool inner = i >= cells[3] && i <= cells[5];
        const char *cell = i == cells[MEDIAN] ? "\xE2\x94\x83" : inner ? "\xE2\x96\xAC" : "\xE2\x94\x80";
        paint_format(painter, i == cells[MEDIAN] ? style_bold : inner ? NULL : style_dim, "%s", cell);
    }
}

static void print_metrics(cli_painter *painter, const ex_calibration *found) {
    paint_format(painter, style_dim, "%-27s", "metric");
    for (size_t i = 0; i < SHOWN; i++)
        paint_format(painter, style_dim, "%8.0f %%", 100 * ex_calibration_quantile(shown[i]));
    paint_format(painter, style_dim, "  1 %% to 99 %%\n");
    for (size_t metric = 0; metric < METRIC_COUNT; metric++) {
        paint_format(painter, NULL, "%-27s", ex_metric_name(metric));
        for (size_t i = 0; i < SHOWN; i++) paint_format(painter, NULL, "%10.4g", value_of(found, shown[i], metric));
        paint_format(painter, NULL, "  ");
        print_strip(painter, found, metric);
        paint_format(painter, NULL, "\n");
    }
}

static void print_shares(cli_painter *painter, const ex_calibration *found) {
    paint_format(painter, style_dim, "\n%-18s%9s%10s%10s\n", "strategy", "wanted", "expected", "measured");
    for (size_t i = 0; i < EX_SHARE_COUNT; i++) {
        const ex_share_result *share = &found->shares[i];
        const char *style = strategy_style(share->strategy, EX_ACTION_SAMPLE);
        paint_format(painter, style, "%s", share->strategy);
        paint_format(painter, NULL, "%*s%7.2f %%%8.2f %%%8.2f %% \xC2\xB1 %-5.2f",
                     18 - (int)strlen(share->strategy), "", 100 * share->wanted, 100 * share->expected,
                     100 * share->measured, 100 * share->error);
        const int cells = (int)(share->measured * BAR_CELLS + 0.5);
        paint_format(painter, NULL, cells ? "  " : "");
        for (int k = 0; k < cells; k++) paint_format(painter, style, "\xE2\x96\x88");
        paint_format(painter, NULL, "\n");
    }
}

/* What a person should know before trusting the numbers. */
static void print_notes(cli_painter *painter, const ex_calibration *found) {
    for (size_t i = 0; i < EX_SHARE_COUNT; i++) {
        const ex_share_result *share = &found->shares[i];
        if (fabs(share->expected - share->wanted) > 0.2 * share->wanted)
            paint_format(painter, NULL, "%s cannot have its share: the nearest that thresholds reach is %.2f %%\n",
                         share->strategy, 100 * share->expected);
        else if (share->error > 0.1 * share->wanted && share->wanted > 0)
            paint_format(painter, style_dim,
                         "%s: the check is rough (\xC2\xB1 %.0f %% of the share); more text helps\n", share->strategy,
                         100 * share->error / share->wanted);
    }
    if (found->shares[1].wanted > 0 && found->policy.clarify_entropy < CLARIFY_CHOICES)
        paint_format(painter, NULL,
                     "clarify begins at %.2f bits: this model hardly ever has high entropy with low varentropy\n",
                     found->policy.clarify_entropy);
}

static void print_thresholds(cli_painter *painter, const ex_calibration *found) {
    char value[64];
    paint_format(painter, style_dim, "\nthresholds\n");
    for (size_t i = 0; i < N_THRESHOLDS; i++)
        if (ex_policy_get(&found->policy, threshold_keys[i], value, sizeof value, NULL) == EX_OK)
            paint_format(painter, NULL, "%-18s%s\n", threshold_keys[i], value);
}

static void print_weights(cli_painter *painter, const ex_calibration *found) {
    const ex_weights_result *const results[] = {&found->without, &found->before, &found->fitted};
    static const char *const names[] = {"weights 0", "as given", "fitted"};
    if (found->n_choices == 0 || found->n_choices_held_out == 0) {
        paint_format(painter, NULL, "\nno rule draws several candidates: there are no score weights to fit\n");
        return;
    }
    paint_format(painter, style_dim, "\nscore of the four likeliest, %zu choices, %zu held out\n", found->n_choices,
                 found->n_choices_held_out);
    paint_format(painter, style_dim, "%-18s%9s%10s%10s\n", "log score, bits", "expected", "measured", "accuracy");
    for (size_t i = 0; i < 3; i++)
        paint_format(painter, NULL, "%-18s%9.4f%10.4f%8.1f %%\n", names[i], results[i]->expected, results[i]->measured,
                     100 * results[i]->accuracy);
    for (size_t i = 0; i < N_WEIGHTS; i++)
        paint_format(painter, found->weights_help ? NULL : style_dim, "%-25s%10.4g\n", weight_keys[i],
                     found->weights[i]);
    paint_format(painter, NULL, "gain on held-out text: %.4f \xC2\xB1 %.4f bits a choice; %s\n", found->gain,
                 found->gain_error,
                 found->weights_help ? "the policy has these weights" : "no clear help, so the policy has weights 0");
}

void calibrate_print(cli_painter *painter, const calibrate_result *result) {
    const ex_calibration *found = result->found;
    print_metrics(painter, found);
    print_shares(painter, found);
    print_notes(painter, found);
    print_thresholds(painter, found);
    print_weights(painter, found);
    paint_format(painter, style_dim, "\n%zu positions, %zu held out, %.1f s\n", found->n_positions, found->n_held_out,
                 result->seconds);
    if (result->output) paint_format(painter, NULL, "policy   %s\n", result->output);
    if (result->embedded) paint_format(painter, NULL, "model    %s carries it\n", result->embedded);
    paint_end(painter);
}

static void emit_score(emitter *json, const char *key, const ex_weights_result *score) {
    emit_object_begin(json, key);
    emit_real(json, "expected", score->expected);
    emit_real(json, "measured", score->measured);
    emit_real(json, "accuracy", score->accuracy);
    emit_object_end(json);
}

static void emit_quantiles(emitter *json, const ex_calibration *found) {
    emit_object_begin(json, "quantiles");
    for (size_t metric = 0; metric < METRIC_COUNT; metric++) {
        emit_object_begin(json, ex_metric_name(metric));
        for (size_t q = 0; q < EX_QUANTILE_COUNT; q++) {
            char name[16];
            snprintf(name, sizeof name, "%g", ex_calibration_quantile(q));
            emit_real(json, name, value_of(found, q, metric));
        }
        emit_object_end(json);
    }
    emit_object_end(json);
}

static void emit_shares(emitter *json, const ex_calibration *found) {
    emit_object_begin(json, "shares");
    for (size_t i = 0; i < EX_SHARE_COUNT; i++) {
        emit_object_begin(json, found->shares[i].strategy);
        emit_real(json, "wanted", found->shares[i].wanted);
        emit_real(json, "expected", found->shares[i].expected);
        emit_real(json, "measured", found->shares[i].measured);
        emit_real(json, "standard_error", found->shares[i].error);
        emit_object_end(json);
    }
    emit_object_end(json);
}

static void emit_weights(emitter *json, const ex_calibration *found) {
    emit_object_begin(json, "weights");
    for (size_t i = 0; i < N_WEIGHTS; i++) emit_real(json, weight_keys[i], found->weights[i]);
    emit_truth(json, "help", found->weights_help);
    emit_real(json, "gain", found->gain);
    emit_real(json, "gain_standard_error", found->gain_error);
    emit_count(json, "choices", found->n_choices);
    emit_count(json, "choices_held_out", found->n_choices_held_out);
    emit_score(json, "without", &found->without);
    emit_score(json, "before", &found->before);
    emit_score(json, "fitted", &found->fitted);
    emit_object_end(json);
}

static void emit_thresholds(emitter *json, const ex_policy *policy) {
    char value[64];
    emit_object_begin(json, "thresholds");
    for (size_t i = 0; i < N_THRESHOLDS; i++)
        if (ex_policy_get(policy, threshold_keys[i], value, sizeof value, NULL) == EX_OK)
            emit_real(json, threshold_keys[i], strtod(value, NULL));
    emit_object_end(json);
}

void calibrate_json(const calibrate_result *result) {
    const ex_calibration *found = result->found;
    emitter json = {.out = stdout};
    emit_object_begin(&json, NULL);
    emit_bytes(&json, "model", result->model.name);
    emit_text(&json, "text", result->text);
    if (result->held_out) emit_text(&json, "held_out", result->held_out);
    else emit_null(&json, "held_out");
    emit_text(&json, "policy", result->policy);
    emit_count(&json, "positions", found->n_positions);
    emit_count(&json, "positions_held_out", found->n_held_out);
    emit_count(&json, "window", result->n_window);
    emit_count(&json, "warm_up", result->n_warm_up);
    emit_quantiles(&json, found);
    emit_shares(&json, found);
    emit_thresholds(&json, &found->policy);
    emit_weights(&json, found);
    emit_real(&json, "seconds", result->seconds);
    emit_object_end(&json);
    emit_line_end(&json);
}
