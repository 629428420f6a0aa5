/* chart_accuracy.c - accuracy against cost, differences to the baseline, and measures of open text. */
#include <math.h>
#include <string.h>

#include "chart.h"

enum { WIDTH = 360, LABELS_WIDTH = 136, LABEL_CHARACTERS = 19, STRONG_CHARACTERS = 16, ROW_CHARACTERS = 32,
       SHOWN_MAX = 64 };

static const double SPAN_LEAST = 0.1; /* of accuracy: less would make differences look large */

typedef struct bounds {
    double low, high;
} bounds;

static void include(bounds *of, double value) {
    if (!isfinite(value)) return;
    of->low = fmin(of->low, value);
    of->high = fmax(of->high, value);
}

static void include_interval(bounds *of, eval_interval interval) {
    include(of, interval.value);
    include(of, interval.low);
    include(of, interval.high);
}

/* ---- accuracy against cost ------------------------------------------------------------------------------------- */

static bool is_shown(const eval_arm_score *score) {
    return isfinite(score->accuracy.value) && isfinite(score->tokens.value);
}

static void set_cost_axes(eval_chart *chart, const eval_summary *summary, const eval_scope *scope) {
    bounds cost = {INFINITY, -INFINITY}, accuracy = {INFINITY, -INFINITY};
    for (size_t i = 0; i < summary->n_arms; i++) {
        if (!is_shown(&scope->arms[i])) continue;
        include_interval(&cost, scope->arms[i].tokens);
        include_interval(&accuracy, scope->arms[i].accuracy);
    }
    chart->x = eval_axis_over(cost.low, cost.high, 34, WIDTH - LABELS_WIDTH, cost.low > 0 && cost.high > 4 * cost.low);
    if (accuracy.high - accuracy.low < SPAN_LEAST) {
        accuracy.low -= SPAN_LEAST / 2;
        accuracy.high += SPAN_LEAST / 2;
    }
    chart->y = eval_axis_over(accuracy.low, accuracy.high, chart->height - 40, 24, false);
    chart->y.low = fmax(chart->y.low, 0);
    chart->y.high = fmin(chart->y.high, 1);
}

static void draw_baseline(eval_chart *chart, const eval_arm_score *baseline) {
    if (!is_shown(baseline)) return;
    const double high = eval_axis_at(&chart->y, fmin(baseline->accuracy.high, chart->y.high));
    const double low = eval_axis_at(&chart->y, fmax(baseline->accuracy.low, chart->y.low));
    eval_chart_rect(chart, chart->x.from, high, chart->x.to - chart->x.from, low - high, "band");
}

static void draw_cost_mark(eval_chart *chart, const eval_summary *summary, size_t arm, const eval_arm_score *score) {
    const int style = eval_policy_style(summary, summary->arms[arm].policy);
    const double x = eval_axis_at(&chart->x, score->tokens.value), y = eval_axis_at(&chart->y, score->accuracy.value);
    char class[8], title[300], accuracy[EVAL_INTERVAL_SIZE];
    snprintf(class, sizeof class, "i%d", style);
    snprintf(title, sizeof title, "%.150s: %s %%, %.0f tokens", summary->arms[arm].label,
             eval_format_interval(accuracy, score->accuracy, 100, 1, false), score->tokens.value);
    eval_chart_line(chart, x, eval_axis_at(&chart->y, score->accuracy.low), x,
                    eval_axis_at(&chart->y, score->accuracy.high), class);
    eval_chart_line(chart, eval_axis_at(&chart->x, score->tokens.low), y,
                    eval_axis_at(&chart->x, score->tokens.high), y, class);
    eval_chart_mark(chart, style, x, y, 4, summary->arms[arm].vote != EVAL_VOTE_FIRST, title);
}

/* A long name of a policy is cut, so that the vote can be read. */
static void label_row(eval_chart *chart, double x, double y, const char *class, const char *label, size_t n_name,
                      size_t characters) {
    const size_t n_vote = strlen(label) - n_name;
    if (n_vote > 0 && n_vote < characters && strlen(label) > characters)
        eval_chart_label(chart, x, y, class, label, characters - n_vote, label + n_name);
    else eval_chart_label(chart, x, y, class, label, characters, "");
}

static size_t name_length(const eval_summary *summary, size_t arm) {
    return strlen(summary->run->policies[summary->arms[arm].policy].name);
}

static void label_costs(eval_chart *chart, const eval_summary *summary, const eval_scope *scope) {
    double places[SHOWN_MAX];
    size_t arms[SHOWN_MAX], n = 0;
    for (size_t i = 0; i < summary->n_arms && n < SHOWN_MAX; i++)
        if (is_shown(&scope->arms[i])) {
            arms[n] = i;
            places[n++] = eval_axis_at(&chart->y, scope->arms[i].accuracy.value);
        }
    eval_spread(places, n, 13, chart->y.to, chart->y.from);
    for (size_t i = 0; i < n; i++) {
        const eval_arm_score *score = &scope->arms[arms[i]];
        eval_chart_line(chart, eval_axis_at(&chart->x, score->tokens.value),
                        eval_axis_at(&chart->y, score->accuracy.value), chart->x.to + 6, places[i], "leader");
        char class[24];
        snprintf(class, sizeof class, "s%d%s", eval_policy_style(summary, summary->arms[arms[i]].policy),
                 score->is_best ? " strong" : "");
        label_row(chart, chart->x.to + 9, places[i] + 3.5, class, summary->arms[arms[i]].label,
                  name_length(summary, arms[i]), score->is_best ? STRONG_CHARACTERS : LABEL_CHARACTERS);
    }
}

void eval_chart_cost(eval_page *page, const eval_summary *summary, const eval_scope *scope, const char *caption) {
    eval_chart chart;
    const double rows = 13.5 * (double)summary->n_arms + 70;
    eval_chart_begin(&chart, page, WIDTH, fmax(240, fmin(rows, 700)), caption,
                     "Accuracy in per cent against forwarded tokens a question, with 95 % intervals; the band is the "
                     "baseline's interval.");
    set_cost_axes(&chart, summary, scope);
    draw_baseline(&chart, &scope->arms[summary->baseline]);
    eval_chart_axes(&chart, chart.x.is_log ? "forwarded tokens a question (log)" : "forwarded tokens a question", 1,
                    "right answers, %", 100);
    label_costs(&chart, summary, scope);
    for (size_t i = 0; i < summary->n_arms; i++)
        if (is_shown(&scope->arms[i])) draw_cost_mark(&chart, summary, i, &scope->arms[i]);
    eval_chart_end(&chart);
}

/* ---- differences ----------------------------------------------------------------------------------------------- */

typedef struct forest_row {
    const char *label;
    size_t n_name; /* bytes of the policy's name in it */
    eval_interval difference;
    double p; /* NaN: none is told */
    int style;
    bool is_sure;
} forest_row;

static void draw_forest_row(eval_chart *chart, const forest_row *row, double y, double scale, int digits) {
    const eval_interval *of = &row->difference;
    char class[8], value[80], title[300], interval[EVAL_INTERVAL_SIZE];
    snprintf(class, sizeof class, "i%d", row->style);
    snprintf(value, sizeof value, "%+.*f", digits, eval_round(scale * of->value, digits));
    snprintf(title, sizeof title, "%.180s: %s", row->label, eval_format_interval(interval, *of, scale, digits, true));
    label_row(chart, 8, y - 9, row->is_sure ? "halo strong" : "halo", row->label, row->n_name, ROW_CHARACTERS);
    if (isfinite(row->p)) eval_chart_text(chart, WIDTH - 8, y - 9, "soft halo", EVAL_ANCHOR_END, "%s, p %s%.*f", value,
                                          row->p < 0.001 ? "< " : "", 3, fmax(row->p, 0.001));
    else eval_chart_text(chart, WIDTH - 8, y - 9, "soft halo", EVAL_ANCHOR_END, "%s", value);
    /* Only here, so that it crosses no words. */
    const double zero = eval_axis_at(&chart->x, 0);
    eval_chart_line(chart, zero, y - 6, zero, y + 6, "zero");
    eval_chart_line(chart, eval_axis_at(&chart->x, of->low), y, eval_axis_at(&chart->x, of->high), y, class);
    eval_chart_mark(chart, row->style, eval_axis_at(&chart->x, of->value), y, 4, !row->is_sure, title);
}

static void draw_forest(eval_page *page, const forest_row *rows, size_t n, const char *name, double scale, int digits,
                        const char *caption) {
    eval_chart chart;
    bounds range = {0, 0};
    for (size_t i = 0; i < n; i++) include_interval(&range, rows[i].difference);
    if (range.low == range.high) range = (bounds){-1 / scale, 1 / scale};
    eval_chart_begin(&chart, page, WIDTH, 34 * (double)n + 54, caption,
                     "Difference to the baseline with 95 % intervals; filled marks are beyond chance.");
    chart.x = eval_axis_over(range.low, range.high, 12, WIDTH - 12, false);
    chart.y = (eval_axis){0, 1, chart.height - 40, 4, false};
    eval_chart_axes(&chart, name, scale, NULL, 1);
    for (size_t i = 0; i < n; i++) draw_forest_row(&chart, &rows[i], 34 * (double)i + 26, scale, digits);
    eval_chart_end(&chart);
}

void eval_chart_forest(eval_page *page, const eval_summary *summary, const eval_scope *scope, const char *caption) {
    forest_row rows[SHOWN_MAX];
    size_t n = 0;
    for (size_t i = 0; i < summary->n_arms && n < SHOWN_MAX; i++) {
        const eval_arm_score *score = &scope->arms[i];
        if (i == summary->baseline || !isfinite(score->difference.difference.value)) continue;
        rows[n++] = (forest_row){summary->arms[i].label, name_length(summary, i), score->difference.difference,
                                 score->p,
                                 eval_policy_style(summary, summary->arms[i].policy), score->p <= eval_alpha};
    }
    if (n) draw_forest(page, rows, n, "difference in right answers, points", 100, 1, caption);
}

void eval_chart_texts(eval_page *page, const eval_summary *summary, const eval_text_scope *scope,
                      eval_text_measure measure, const char *caption) {
    forest_row rows[SHOWN_MAX];
    size_t n = 0;
    for (size_t i = 0; i < summary->run->n_policies && n < SHOWN_MAX; i++) {
        const eval_interval of = scope->policies[i].differences[measure];
        if (!isfinite(of.value)) continue;
        rows[n++] = (forest_row){summary->run->policies[i].name, strlen(summary->run->policies[i].name), of, NAN,
                                 eval_policy_style(summary, i), of.low > 0 || of.high < 0};
    }
    if (n) draw_forest(page, rows, n, eval_text_names[measure].label, 1, eval_text_names[measure].digits, caption);
}
