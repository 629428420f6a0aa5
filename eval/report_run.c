/* report_run.c - the parts about the run itself: what was asked, open text, tuning, lines that were no questions. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "chart.h"
#include "record_names.h"
#include "report_parts.h"

bool eval_has_run(const eval_summary *summary) { return summary->run != NULL; }

bool eval_has_texts(const eval_summary *summary) { return summary->n_texts > 0; }

bool eval_has_tuning(const eval_summary *summary) { return summary->run->tuning != NULL; }

bool eval_has_bad_lines(const eval_summary *summary) { return summary->n_bad > 0; }

/* ---- what was run ---------------------------------------------------------------------------------------------- */

static void write_tasks(eval_page *page, const eval_run *run) {
    static const eval_column columns[] = {{"task", false}, {"kind", false}, {"questions", true}, {"bad lines", true}};
    eval_table table = {.columns = columns, .n_columns = sizeof columns / sizeof *columns};
    for (size_t i = 0; i < run->n_tasks; i++) {
        const eval_run_task *task = &run->tasks[i];
        eval_table_cell(&table, "%s", task->name);
        eval_table_cell(&table, "%s%s", eval_kind_names[task->kind], task->is_unknown ? ", nobody can know" : "");
        eval_table_cell(&table, "%zu", task->n_questions);
        if (task->n_bad) eval_table_cell(&table, "%zu", task->n_bad);
        else eval_table_cell(&table, "-");
    }
    eval_page_table(page, &table);
}

static void add_fact(eval_table *table, const char *name, const char *format, ...) EX_PRINTF(3, 4);

static void add_fact(eval_table *table, const char *name, const char *format, ...) {
    char text[sizeof((eval_sentence *)0)->text];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    eval_table_cell(table, "%s", name);
    eval_table_cell(table, "%s", text);
}

static void add_budget(eval_table *table, const eval_run *run) {
    if (run->budget == EVAL_BUDGET_NONE) return;
    add_fact(table, "budget of a question", "%g times the %s of one greedy answer", run->budget_times,
             run->budget == EVAL_BUDGET_TIME ? "time" : "tokens");
}

static void add_votes(eval_table *table, const eval_run *run) {
    eval_sentence votes = {{0}, 0};
    for (size_t i = 0; i < run->n_votes; i++)
        eval_say(&votes, "%s%s", i ? ", " : "", eval_vote_names[run->votes[i]]);
    if (run->n_votes) add_fact(table, "votes", "%s", votes.text);
}

static void add_policies(eval_table *table, const eval_run *run) {
    eval_sentence names = {{0}, 0};
    for (size_t i = 0; i < run->n_policies; i++) eval_say(&names, "%s%s", i ? "; " : "", run->policies[i].name);
    add_fact(table, run->n_policies > 1 ? "policies" : "policy", "%s", names.text);
}

void eval_write_run(eval_page *page, const eval_summary *summary) {
    static const eval_column columns[] = {{"what", false}, {"value", false}};
    static const char *const halves[] = {"all", "those of even number", "those of odd number"};
    const eval_run *run = summary->run;
    eval_table table = {.columns = columns, .n_columns = 2};
    add_fact(&table, "model", "%s, %.1f MB", run->model ? run->model : "unknown", (double)run->model_bytes / 1e6);
    add_fact(&table, "program", "entropix %s, kernels %s", run->version ? run->version : "unknown",
             run->kernels ? run->kernels : "unknown");
    add_policies(&table, run);
    add_fact(&table, "seeds", "%zu, from %llu", run->n_seeds, (unsigned long long)run->first_seed);
    add_votes(&table, run);
    add_budget(&table, run);
    if (run->half != EVAL_HALF_ALL) add_fact(&table, "questions", "%s", halves[run->half]);
    if (run->n_trials) add_fact(&table, "tuning", "%zu trials a policy, on the other half", run->n_trials);
    if (run->n_shards > 1) add_fact(&table, "part", "%zu of %zu", run->shard + 1, run->n_shards);
    add_fact(&table, "lines of results", "%zu of %zu", summary->n_results, summary->n_expected);
    if (summary->n_bad) add_fact(&table, "lines that are no questions", "%zu, listed at the end", summary->n_bad);
    if (page->is_html) fputs("<div class=\"pair\">\n", page->out);
    eval_page_table(page, &table);
    write_tasks(page, run);
    if (page->is_html) fputs("</div>\n", page->out);
}

void eval_write_bad_lines(eval_page *page, const eval_summary *summary) {
    eval_page_paragraph(page, summary->n_bad == 1 ? "%zu line was passed over." : "%zu lines were passed over.",
                        summary->n_bad);
    eval_page_list_begin(page);
    for (size_t i = 0; i < summary->run->n_tasks; i++) {
        const eval_run_task *task = &summary->run->tasks[i];
        for (size_t k = 0; k < task->n_bad; k++)
            eval_page_item(page, "%s: %s", task->bad[k].place, task->bad[k].reason);
    }
    eval_page_list_end(page);
}

/* ---- open text ------------------------------------------------------------------------------------------------- */

static void write_text_table(eval_page *page, const eval_summary *summary, const eval_text_scope *scope) {
    eval_column columns[EVAL_TEXT_COUNT + 1] = {{"policy", false}};
    const size_t baseline = summary->arms[summary->baseline].policy;
    for (size_t i = 0; i < EVAL_TEXT_COUNT; i++) columns[i + 1] = (eval_column){eval_text_names[i].label, true};
    eval_table table = {.columns = columns, .n_columns = EVAL_TEXT_COUNT + 1};
    for (size_t policy = 0; policy < summary->run->n_policies; policy++) {
        const eval_text_score *score = &scope->policies[policy];
        eval_table_cell(&table, "%s%s", summary->run->policies[policy].name, policy == baseline ? " (baseline)" : "");
        for (size_t i = 0; i < EVAL_TEXT_COUNT; i++) {
            const eval_interval difference = score->differences[i];
            eval_table_interval(&table, difference.low > 0 || difference.high < 0, score->measures[i], 1,
                                eval_text_names[i].digits, false);
        }
    }
    eval_page_table(page, &table);
}

static void write_text_charts(eval_page *page, const eval_summary *summary, const eval_text_scope *scope) {
    if (!page->is_html || summary->run->n_policies < 2) return;
    eval_panels_begin(page);
    for (int i = 0; i < EVAL_TEXT_COUNT; i++) {
        eval_sentence caption = {{0}, 0};
        eval_say_text(&caption, summary, scope, (eval_text_measure)i);
        eval_chart_texts(page, summary, scope, (eval_text_measure)i, caption.text);
    }
    eval_panels_end(page);
}

void eval_write_texts(eval_page *page, const eval_summary *summary) {
    for (size_t i = 0; i < summary->n_texts; i++) {
        const eval_text_scope *scope = &summary->texts[i];
        char anchor[32];
        snprintf(anchor, sizeof anchor, "texts-%zu", i);
        eval_page_heading(page, 3, anchor, summary->run->tasks[scope->task].name);
        eval_page_paragraph(page, "%zu beginnings, each continued with %zu seeds.", scope->n_questions,
                            summary->run->n_seeds);
        write_text_charts(page, summary, scope);
        write_text_table(page, summary, scope);
    }
    eval_page_note(page, "rep-4: share of four tokens in a row that were there before; longest loop: the longest "
                   "stretch that repeats itself at least once; distinct-2: share of different pairs of tokens in a "
                   "text; self-similarity: what the seeds' texts have in common, Dice's coefficient over one to four "
                   "tokens. 95 %% intervals over beginnings. Bold: the paired difference to the baseline leaves out "
                   "0; these intervals are not corrected for their number.");
}

/* ---- tuning ---------------------------------------------------------------------------------------------------- */

static double accuracy_of(const json_t *trial) {
    const json_t *value = json_object_get(trial, "accuracy");
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static const char *text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text && *text ? text : "-";
}

static void add_trials(eval_table *table, const json_t *policy) {
    const json_t *trials = json_object_get(policy, "trials");
    const json_int_t chosen = json_integer_value(json_object_get(policy, "chosen"));
    const json_t *best = json_array_get(trials, (size_t)chosen);
    double low = NAN;
    for (size_t i = 0; i < json_array_size(trials); i++) low = fmin(low, accuracy_of(json_array_get(trials, i)));
    eval_table_cell(table, "%s", text_of(policy, "policy"));
    eval_table_cell(table, "%zu", json_array_size(trials));
    eval_table_cell(table, "%s", text_of(best, "settings"));
    eval_table_number(table, accuracy_of(best), 100, 1);
    eval_table_number(table, accuracy_of(json_array_get(trials, 0)), 100, 1);
    eval_table_number(table, low, 100, 1);
}

void eval_write_tuning(eval_page *page, const eval_summary *summary) {
    static const eval_column columns[] = {{"policy", false},           {"trials", true},      {"chosen", false},
                                          {"right, %", true},          {"first trial, %", true},
                                          {"worst trial, %", true}};
    eval_table table = {.columns = columns, .n_columns = sizeof columns / sizeof *columns};
    json_t *tuning = json_loads(summary->run->tuning, 0, NULL);
    eval_page_paragraph(page, "Every policy with something to tune had %zu trials on the questions of even number; the "
                        "answers of this report are to the others.", summary->run->n_trials);
    for (size_t i = 0; i < json_array_size(tuning); i++) add_trials(&table, json_array_get(tuning, i));
    eval_page_table(page, &table);
    json_decref(tuning);
}
