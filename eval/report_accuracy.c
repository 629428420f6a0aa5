/* report_accuracy.c - the parts about right answers: findings, policies against each other, choices. */
#include <math.h>

#include "chart.h"
#include "report_parts.h"

bool eval_has_accuracy(const eval_summary *summary) { return summary->n_scopes > 0 && summary->n_arms > 0; }

bool eval_has_choices(const eval_summary *summary) { return summary->n_choices > 0; }

/* ---- tables ---------------------------------------------------------------------------------------------------- */

static const eval_column columns[] = {
    {"policy", false},          {"right, %", true},       {"tokens a question", true},  {"seconds a question", true},
    {"right per 1,000 tokens", true}, {"difference, points", true}, {"p", true}, {"McNemar's p", true},
    {"abstained, %", true},     {"answers", true},
};

static void add_p(eval_table *table, double p) {
    if (isnan(p)) eval_table_cell(table, "-");
    else if (p < 0.001) eval_table_cell(table, "< 0.001");
    else eval_table_bold_cell(table, false, "%.3f", p);
}

/* Enough digits for what costs little. */
static int digits_of(double value) { return value < 1 ? 3 : value < 10 ? 2 : value < 100 ? 1 : 0; }

static void add_arm(eval_table *table, const eval_summary *summary, const eval_scope *scope, size_t arm) {
    const eval_arm_score *score = &scope->arms[arm];
    eval_table_bold_cell(table, score->is_best, "%s%s", summary->arms[arm].label,
                         arm == summary->baseline ? " (baseline)" : "");
    eval_table_interval(table, score->is_best, score->accuracy, 100, 1, false);
    eval_table_number(table, score->tokens.value, 1, digits_of(score->tokens.value));
    eval_table_number(table, score->seconds.value, 1, digits_of(score->seconds.value));
    eval_table_interval(table, score->is_cheapest, score->per_thousand, 1, 2, false);
    eval_table_interval(table, false, score->difference.difference, 100, 1, true);
    add_p(table, score->p);
    add_p(table, score->p_mcnemar);
    if (score->n_abstained) eval_table_cell(table, "%.1f", 100 * (double)score->n_abstained / (double)score->n_results);
    else eval_table_cell(table, "-");
    eval_table_cell(table, "%zu", score->n_results);
}

static void write_table(eval_page *page, const eval_summary *summary, const eval_scope *scope) {
    eval_table table = {.columns = columns, .n_columns = sizeof columns / sizeof *columns};
    for (size_t i = 0; i < summary->n_arms; i++) add_arm(&table, summary, scope, i);
    eval_page_table(page, &table);
}

static void write_abstentions(eval_page *page, const eval_summary *summary, const eval_scope *scope) {
    size_t n = 0;
    for (size_t i = 0; i < summary->n_arms; i++) {
        const eval_arm_score *score = &scope->arms[i];
        if (score->n_abstained == 0) continue;
        if (n++ == 0) eval_page_list_begin(page);
        const size_t n_given = score->n_results - score->n_abstained;
        eval_page_item(page, "%s abstains on %zu of %zu: where it does, %s was wrong %zu times and right %zu times; "
                       "of the answers that it gives %.1f %% are wrong.", summary->arms[i].label, score->n_abstained,
                       score->n_results, eval_baseline_name(summary), score->n_wrong_avoided, score->n_right_lost,
                       n_given ? 100 * (double)score->n_wrong / (double)n_given : 0);
    }
    if (n) eval_page_list_end(page);
}

/* ---- charts ---------------------------------------------------------------------------------------------------- */

typedef void (*say_function)(eval_sentence *sentence, const eval_summary *summary, const eval_scope *scope);
typedef void (*chart_function)(eval_page *page, const eval_summary *summary, const eval_scope *scope,
                               const char *caption);

/* A panel for each scope, under its own sentence. */
static void write_panels(eval_page *page, const eval_summary *summary, say_function say, chart_function draw) {
    eval_panels_begin(page);
    for (size_t i = 0; i < summary->n_scopes; i++) {
        eval_sentence caption = {{0}, 0};
        say(&caption, summary, eval_scope_shown(summary, i));
        draw(page, summary, eval_scope_shown(summary, i), caption.text);
    }
    eval_panels_end(page);
}

static void write_charts(eval_page *page, const eval_summary *summary) {
    if (!page->is_html) return;
    eval_page_heading(page, 3, "cost", "Accuracy against cost");
    write_panels(page, summary, eval_say_leader, eval_chart_cost);
    if (summary->n_arms < 2) return;
    eval_page_heading(page, 3, "differences", "Differences to the baseline");
    write_panels(page, summary, eval_say_count, eval_chart_forest);
    eval_page_heading(page, 3, "numbers", "The numbers");
}

void eval_write_accuracy(eval_page *page, const eval_summary *summary) {
    eval_page_paragraph(page, "Every policy answered the same questions with the same seeds. Differences are to %s, "
                        "paired by question and seed.", eval_baseline_name(summary));
    write_charts(page, summary);
    for (size_t i = 0; i < summary->n_scopes; i++) {
        const eval_scope *scope = eval_scope_shown(summary, i);
        char anchor[32];
        eval_sentence verdict = {{0}, 0};
        snprintf(anchor, sizeof anchor, "accuracy-%zu", i);
        eval_say_differences(&verdict, summary, scope);
        eval_page_heading(page, 3, anchor, scope->name);
        eval_page_paragraph(page, "%s", verdict.text);
        write_table(page, summary, scope);
        write_abstentions(page, summary, scope);
    }
    eval_page_note(page, "In brackets: 95 %% intervals, bootstrap over questions with all their seeds. p: paired "
                   "randomisation test over questions. McNemar's p: exact, a question counts as right when more than "
                   "half of its seeds are. Both after Holm's correction over the comparisons of a table; beyond "
                   "chance means p of at most %.2f. Bold: the most right answers, and the most for 1,000 tokens. "
                   "Tokens: all that were evaluated for the answer, those of votes, branches and of looking ahead "
                   "too, without the prompt.", eval_alpha);
}

/* ---- choices --------------------------------------------------------------------------------------------------- */

void eval_write_choices(eval_page *page, const eval_summary *summary) {
    static const eval_column choice_columns[] = {{"task", false},    {"questions", true}, {"by chance, %", true},
                                                 {"acc, %", true},   {"acc_norm, %", true}, {"mc1, %", true},
                                                 {"mc2, %", true}};
    eval_table table = {.columns = choice_columns, .n_columns = sizeof choice_columns / sizeof *choice_columns};
    for (size_t i = 0; i < summary->n_choices; i++) {
        const eval_choice_score *score = &summary->choices[i];
        eval_table_cell(&table, "%s", summary->run->tasks[score->task].name);
        eval_table_cell(&table, "%zu", score->n_questions);
        eval_table_number(&table, score->chance, 100, 1);
        eval_table_interval(&table, false, score->accuracy, 100, 1, false);
        eval_table_interval(&table, false, score->normalised, 100, 1, false);
        eval_table_interval(&table, false, score->mc1, 100, 1, false);
        eval_table_interval(&table, false, score->mc2, 100, 1, false);
    }
    eval_page_table(page, &table);
    eval_page_note(page, "The likeliest choice is the answer, so policies and seeds make no difference. acc: by "
                   "log-likelihood; acc_norm: by log-likelihood for each byte; mc1: acc, where each question has one "
                   "right choice; mc2: the share of the choices' probability that the right ones have.");
}

/* ---- findings -------------------------------------------------------------------------------------------------- */

static void write_doubt_findings(eval_page *page, const eval_summary *summary) {
    for (size_t i = 0; i < summary->n_doubts; i++) {
        const eval_doubt *doubt = eval_doubt_shown(summary, i);
        const bool is_whole = i + 1 == summary->n_doubts || doubt->kind != EVAL_DOUBT_WRONG ||
                              eval_doubt_shown(summary, i + 1)->kind != EVAL_DOUBT_WRONG;
        if (!is_whole || !doubt->has_choice) continue;
        eval_sentence sentence = {{0}, 0};
        eval_say_signal(&sentence, doubt);
        if (doubt->kind != EVAL_DOUBT_UNKNOWN) {
            eval_say(&sentence, "; ");
            eval_say_abstaining(&sentence, doubt, 0.9);
        }
        eval_page_item(page, "%s.", sentence.text);
    }
}

void eval_write_findings(eval_page *page, const eval_summary *summary) {
    if (summary->n_arms == 0) return;
    eval_page_list_begin(page);
    if (summary->n_results < summary->n_expected)
        eval_page_item(page, "The run is not complete: %zu of %zu lines of results are there.", summary->n_results,
                       summary->n_expected);
    if (summary->n_scopes) {
        eval_sentence verdict = {{0}, 0};
        eval_say_differences(&verdict, summary, eval_scope_shown(summary, 0));
        eval_page_item(page, "%s", verdict.text);
    }
    write_doubt_findings(page, summary);
    for (size_t i = 0; i < summary->n_texts; i++) {
        eval_sentence sentence = {{0}, 0};
        eval_say_text(&sentence, summary, &summary->texts[i], EVAL_TEXT_REPETITION);
        eval_page_item(page, "%s, %s.", summary->run->tasks[summary->texts[i].task].name, sentence.text);
    }
    eval_page_list_end(page);
}
