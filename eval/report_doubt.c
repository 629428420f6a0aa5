/* report_doubt.c - the part about doubt as a warning. */
#include <math.h>
#include <string.h>

#include "chart.h"
#include "report_parts.h"

bool eval_has_doubts(const eval_summary *summary) { return summary->n_doubts > 0 && summary->n_arms > 0; }

enum { AT_90 = 1 /* of eval_coverages */, SIGNAL_COLUMNS = 8 };

/* ---- what was chosen ------------------------------------------------------------------------------------------- */

static void add_signal(eval_table *table, const eval_doubt *doubt, const char *name) {
    const eval_abstention *at = &doubt->abstentions[AT_90];
    eval_table_cell(table, "%s", name);
    eval_table_cell(table, "%zu", doubt->n);
    eval_table_number(table, doubt->n ? (double)doubt->n_positive / (double)doubt->n : NAN, 100, 1);
    if (!doubt->has_choice) {
        for (int i = 0; i < 5; i++) eval_table_cell(table, "-");
        return;
    }
    eval_table_cell(table, "%s, %s", eval_metrics[doubt->metric].label, eval_pool_names[doubt->pool]);
    eval_table_interval(table, false, doubt->held_out.area, 1, 3, false);
    eval_table_number(table, doubt->reliability.error, 1, 3);
    if (doubt->kind == EVAL_DOUBT_UNKNOWN || isnan(at->threshold)) {
        eval_table_cell(table, "-");
        eval_table_cell(table, "-");
        return;
    }
    eval_table_cell(table, "%zu of %zu", at->n_wrong_avoided, at->n_wrong);
    eval_table_cell(table, "%zu of %zu", at->n_right_lost, at->n - at->n_wrong);
}

/* The first column names what a row is about. */
static void begin_signals(eval_table *table, eval_column columns[SIGNAL_COLUMNS], const char *first) {
    static const eval_column rest[SIGNAL_COLUMNS - 1] = {
        {"answers", true},        {"wrong (unknown), %", true}, {"chosen signal", false},
        {"area, held out", true}, {"calibration error", true},  {"wrong avoided at 90 %", true},
        {"right lost", true},
    };
    columns[0] = (eval_column){first, false};
    memcpy(columns + 1, rest, sizeof rest);
    *table = (eval_table){.columns = columns, .n_columns = SIGNAL_COLUMNS};
}

static void write_signals(eval_page *page, const eval_summary *summary) {
    eval_column columns[SIGNAL_COLUMNS];
    eval_table table;
    begin_signals(&table, columns, "tasks");
    for (size_t i = 0; i < summary->n_doubts; i++) {
        const eval_doubt *doubt = eval_doubt_shown(summary, i);
        add_signal(&table, doubt, doubt->name);
    }
    eval_page_table(page, &table);
}

/* The widest scope that asks for wrong answers. */
static size_t widest(const eval_summary *summary) {
    size_t found = 0;
    for (size_t i = 0; i < summary->n_doubts; i++)
        if (eval_doubt_shown(summary, i)->kind != EVAL_DOUBT_UNKNOWN) found = i;
    return found;
}

static void write_policies(eval_page *page, const eval_summary *summary) {
    const size_t scope = widest(summary);
    if (summary->run->n_policies < 2) return;
    eval_column columns[SIGNAL_COLUMNS];
    eval_table table;
    begin_signals(&table, columns, "policy");
    for (size_t policy = 0; policy < summary->run->n_policies; policy++)
        add_signal(&table, &summary->doubts[policy][scope], summary->run->policies[policy].name);
    char title[120];
    snprintf(title, sizeof title, "Each policy by itself, %.60s", summary->doubts[0][scope].name);
    eval_page_heading(page, 3, "doubt-policies", title);
    eval_page_table(page, &table);
}

/* ---- abstaining ------------------------------------------------------------------------------------------------ */

static void add_abstention(eval_table *table, const eval_abstention *of, double asked) {
    eval_table_cell(table, "%.0f", 100 * asked);
    eval_table_number(table, of->coverage, 100, 1);
    eval_table_number(table, of->risk, 100, 1);
    eval_table_cell(table, "%zu", of->n_wrong_avoided);
    eval_table_number(table, of->n_wrong ? (double)of->n_wrong_avoided / (double)of->n_wrong : NAN, 100, 1);
    eval_table_cell(table, "%zu", of->n_right_lost);
    eval_table_number(table, of->n > of->n_wrong ? (double)of->n_right_lost / (double)(of->n - of->n_wrong) : NAN,
                      100, 1);
}

static void say_at_90(eval_sentence *sentence, const eval_doubt *doubt) {
    eval_say(sentence, "%s: ", doubt->name);
    eval_say_abstaining(sentence, doubt, eval_coverages[AT_90]);
}

static void write_abstaining(eval_page *page, const eval_doubt *doubt, size_t number) {
    static const eval_column columns[] = {
        {"to answer, %", true},    {"answered, %", true}, {"wrong of these, %", true}, {"wrong avoided", true},
        {"of all wrong, %", true}, {"right lost", true},  {"of all right, %", true},
    };
    if (!doubt->has_choice || doubt->kind == EVAL_DOUBT_UNKNOWN) return;
    eval_table table = {.columns = columns, .n_columns = sizeof columns / sizeof *columns};
    eval_sentence sentence = {{0}, 0};
    char anchor[40], title[120];
    snprintf(anchor, sizeof anchor, "abstaining-%zu", number);
    snprintf(title, sizeof title, "Abstaining: %.80s", doubt->name);
    say_at_90(&sentence, doubt);
    eval_page_heading(page, 4, anchor, title);
    eval_page_paragraph(page, "%s.", sentence.text);
    add_abstention(&table, &doubt->whole, 1);
    for (size_t i = 0; i < EVAL_COVERAGE_COUNT; i++)
        if (!isnan(doubt->abstentions[i].threshold)) add_abstention(&table, &doubt->abstentions[i], eval_coverages[i]);
    eval_page_table(page, &table);
}

/* ---- all signals ----------------------------------------------------------------------------------------------- */

static void write_areas(eval_page *page, const eval_doubt *doubt, size_t number) {
    static const eval_column columns[] = {
        {"metric", false},
        {"area: first", true}, {"area: mean", true}, {"area: maximum", true}, {"area: last", true},
        {"calibration error: first", true}, {"error: mean", true}, {"error: maximum", true}, {"error: last", true},
    };
    eval_table table = {.columns = columns, .n_columns = sizeof columns / sizeof *columns};
    char anchor[40], title[160];
    if (doubt->n_positive == 0 || doubt->n_positive == doubt->n) return;
    snprintf(anchor, sizeof anchor, "areas-%zu", number);
    snprintf(title, sizeof title, "All signals: %.80s, %zu answers, %zu %s", doubt->name, doubt->n, doubt->n_positive,
             doubt->kind == EVAL_DOUBT_UNKNOWN ? "to unknown questions" : "wrong");
    eval_page_heading(page, 4, anchor, title);
    for (size_t metric = 0; metric < EVAL_METRIC_COUNT; metric++) {
        eval_table_cell(&table, "%s", eval_metrics[metric].label);
        for (size_t pool = 0; pool < EVAL_POOL_COUNT; pool++)
            eval_table_interval(&table, doubt->has_choice && metric == doubt->metric && pool == doubt->pool,
                                doubt->areas[pool][metric].area, 1, 2, false);
        for (size_t pool = 0; pool < EVAL_POOL_COUNT; pool++)
            eval_table_number(&table, doubt->calibration[pool][metric], 1, 3);
    }
    eval_page_table(page, &table);
}

/* ---- charts ---------------------------------------------------------------------------------------------------- */

typedef struct doubt_chart {
    const char *anchor, *title;
    void (*draw)(eval_page *page, const eval_doubt *doubt, const char *caption);
    void (*say)(eval_sentence *sentence, const eval_doubt *doubt);
    bool of_unknown; /* also where the question is known or unknown */
} doubt_chart;

static void say_best(eval_sentence *sentence, const eval_doubt *doubt) {
    eval_say(sentence, "%s: the best of %d is %s (%s), area %.2f where it was chosen", doubt->name,
             EVAL_METRIC_COUNT * EVAL_POOL_COUNT, eval_metrics[doubt->metric].label, eval_pool_names[doubt->pool],
             doubt->area_choosing);
    if (!isnan(doubt->held_out.area.value)) eval_say(sentence, ", %.2f on the rest", doubt->held_out.area.value);
}

static void write_chart(eval_page *page, const eval_summary *summary, const doubt_chart *chart) {
    eval_page_heading(page, 3, chart->anchor, chart->title);
    eval_panels_begin(page);
    for (size_t i = 0; i < summary->n_doubts; i++) {
        const eval_doubt *doubt = eval_doubt_shown(summary, summary->n_doubts - 1 - i);
        if (!doubt->has_choice || (doubt->kind == EVAL_DOUBT_UNKNOWN && !chart->of_unknown)) continue;
        eval_sentence caption = {{0}, 0};
        chart->say(&caption, doubt);
        chart->draw(page, doubt, caption.text);
    }
    eval_panels_end(page);
}

static void write_distributions(eval_page *page, const eval_doubt *doubt, const char *anchor) {
    char title[160];
    if (!doubt->has_choice) return;
    snprintf(title, sizeof title, "Distributions: %.80s, %s of an answer", doubt->name, eval_pool_names[doubt->pool]);
    eval_page_heading(page, 3, anchor, title);
    eval_panels_begin(page);
    for (size_t metric = 0; metric < EVAL_METRIC_COUNT; metric++) {
        const eval_interval area = doubt->areas[doubt->pool][metric].area;
        eval_sentence caption = {{0}, 0};
        if (doubt->histograms[metric].n[0] + doubt->histograms[metric].n[1] == 0) continue;
        eval_say(&caption, "%s: ", eval_metrics[metric].label);
        if (isnan(area.value)) eval_say(&caption, "nothing to tell apart");
        else eval_say(&caption, "%s, area %.2f", area.low > 0.5 ? "tells them apart" : area.high < 0.5 ?
                      "points the wrong way" : "does not tell them apart", area.value);
        eval_chart_distribution(page, doubt, metric, caption.text);
    }
    eval_panels_end(page);
}

static void write_charts(eval_page *page, const eval_summary *summary) {
    static const doubt_chart charts[] = {
        {"signals", "Which signal: area under the ROC curve", eval_chart_heat, say_best, true},
        {"roc", "The chosen signal, on questions that it was not chosen on", eval_chart_roc, eval_say_signal, true},
        {"risk", "Risk and coverage: abstaining where doubt is highest", eval_chart_risk, say_at_90, false},
        {"reliability", "Reliability of the probability that doubt gives", eval_chart_reliability,
         eval_say_calibration, true},
    };
    for (size_t i = 0; i < sizeof charts / sizeof *charts; i++) write_chart(page, summary, &charts[i]);
    write_distributions(page, eval_doubt_shown(summary, widest(summary)), "distributions");
    const eval_doubt *last = eval_doubt_shown(summary, summary->n_doubts - 1);
    if (last->kind == EVAL_DOUBT_UNKNOWN) write_distributions(page, last, "distributions-unknown");
}

void eval_write_doubts(eval_page *page, const eval_summary *summary) {
    const size_t policy = summary->arms[summary->baseline].policy;
    eval_page_paragraph(page, "Metrics of the first answers of %s. For each row the best of %d signals (%d metrics, "
                        "pooled over the answer's tokens in %d ways) was chosen on every other question; areas, "
                        "calibration and abstaining are measured on the rest.", summary->run->policies[policy].name,
                        EVAL_METRIC_COUNT * EVAL_POOL_COUNT, EVAL_METRIC_COUNT, EVAL_POOL_COUNT);
    if (summary->known)
        eval_page_paragraph(page, "\"all with unknown\" adds the questions that nobody can answer: each answer to "
                            "them is wrong. \"known or unknown\" tells those questions from the ones of %s.",
                            summary->known);
    write_signals(page, summary);
    if (page->is_html) write_charts(page, summary);
    write_policies(page, summary);
    eval_page_fold_begin(page, "Abstaining, at every coverage");
    for (size_t i = 0; i < summary->n_doubts; i++) write_abstaining(page, eval_doubt_shown(summary, i), i);
    eval_page_fold_end(page);
    eval_page_fold_begin(page, "All signals, over all answers");
    for (size_t i = 0; i < summary->n_doubts; i++) write_areas(page, eval_doubt_shown(summary, i), i);
    eval_page_fold_end(page);
    eval_page_note(page, "Area: the chance that a wrong answer (an unknown question) shows more doubt than a right "
                   "one (a known one); 0.5 says nothing. Intervals after DeLong, with a question's seeds as one. "
                   "Calibration error: probabilities learned from doubt on one half by logistic regression and used "
                   "on the other, both ways, in %d bins of equally many answers. Thresholds of abstaining come from "
                   "the half on which the signal was chosen. Margin and consensus count the other way round: less of "
                   "them is more doubt.",
                   EVAL_RELIABILITY_BINS);
}
