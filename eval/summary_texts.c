/* summary_texts.c - continued prose: what the first answers of each policy are like. Measures are of one text each,
 * so that their number does not matter; only self-similarity compares the seeds of a question. */
#include <math.h>

#include "open_text.h"
#include "summary_parts.h"

const eval_text_name eval_text_names[EVAL_TEXT_COUNT] = {
    {"repetition", "rep-4", 3},           {"loop", "longest loop, tokens", 1},      {"distinct", "distinct-2", 3},
    {"entropy", "unigram entropy, bits", 2}, {"similarity", "self-similarity", 3}, {"length", "length, tokens", 0},
};

enum { PERIOD_MAX = 128, REPETITION_ORDER = 4, DISTINCT_ORDER = 2 };

/* [EVAL_TEXT_COUNT][rows][seeds]; self-similarity has the first seed's place alone. */
typedef struct measures {
    double *values[EVAL_TEXT_COUNT];
} measures;

static bool measure_text(eval_text text, double values[EVAL_TEXT_COUNT]) {
    values[EVAL_TEXT_LENGTH] = (double)text.n;
    values[EVAL_TEXT_LOOP] = (double)eval_longest_loop(text, PERIOD_MAX).length;
    return eval_repetition(text, REPETITION_ORDER, &values[EVAL_TEXT_REPETITION]) &&
           eval_distinct(&text, 1, DISTINCT_ORDER, &values[EVAL_TEXT_DISTINCT]) &&
           eval_unigram_entropy(&text, 1, &values[EVAL_TEXT_ENTROPY]);
}

static bool measure_row(eval_summary *summary, const eval_grid *grid, size_t task, size_t question, size_t policy,
                        const measures *to, size_t first) {
    const size_t n_seeds = grid->run->n_seeds;
    eval_text *texts = eval_summary_take(summary, n_seeds, sizeof *texts);
    if (!texts) return false;
    size_t n = 0;
    for (size_t seed = 0; seed < n_seeds; seed++) {
        double values[EVAL_TEXT_COUNT];
        const eval_result *result = eval_grid_at(grid, task, question, policy, seed);
        for (size_t i = 0; i < EVAL_TEXT_COUNT; i++) values[i] = NAN;
        if (result && result->answers[0].tokens) {
            texts[n] = (eval_text){result->answers[0].tokens, result->answers[0].n_tokens};
            if (!measure_text(texts[n++], values)) return false;
        }
        for (size_t i = 0; i < EVAL_TEXT_COUNT; i++) to->values[i][first + seed] = values[i];
    }
    return eval_self_similarity(texts, n, &to->values[EVAL_TEXT_SIMILARITY][first]);
}

static bool measure_policy(eval_summary *summary, const eval_grid *grid, size_t task, const eval_rows *rows,
                           size_t policy, measures *to) {
    const size_t n_seeds = grid->run->n_seeds;
    for (size_t i = 0; i < EVAL_TEXT_COUNT; i++) {
        to->values[i] = eval_summary_take(summary, rows->n * n_seeds, sizeof *to->values[i]);
        if (!to->values[i]) return false;
    }
    for (size_t row = 0; row < rows->n; row++)
        if (!measure_row(summary, grid, task, rows->questions[row], policy, to, row * n_seeds)) return false;
    return true;
}

static bool score_policy(eval_summary *summary, const eval_grid *grid, size_t n_rows, const measures *own,
                         const measures *baseline, eval_text_score *score) {
    const size_t n_seeds = grid->run->n_seeds, n = n_rows * n_seeds;
    double *difference = eval_summary_take(summary, n, sizeof *difference);
    if (!difference) return false;
    for (size_t i = 0; i < EVAL_TEXT_COUNT; i++) {
        if (!eval_mean(own->values[i], n_rows, n_seeds, &grid->bootstrap, &score->measures[i])) return false;
        score->differences[i] = (eval_interval){NAN, NAN, NAN};
        if (own == baseline) continue;
        for (size_t k = 0; k < n; k++) difference[k] = own->values[i][k] - baseline->values[i][k];
        if (!eval_mean(difference, n_rows, n_seeds, &grid->bootstrap, &score->differences[i])) return false;
    }
    return true;
}

static bool score_task(eval_summary *summary, const eval_grid *grid, size_t task, eval_text_scope *scope) {
    const size_t n_policies = grid->run->n_policies, baseline = summary->arms[summary->baseline].policy;
    measures *all = eval_summary_take(summary, n_policies, sizeof *all);
    eval_rows rows;
    scope->task = task;
    scope->policies = eval_summary_take(summary, n_policies, sizeof *scope->policies);
    if (!all || !scope->policies || !eval_rows_of(summary, grid, &task, 1, &rows)) return false;
    scope->n_questions = rows.n;
    for (size_t policy = 0; policy < n_policies; policy++)
        if (!measure_policy(summary, grid, task, &rows, policy, &all[policy])) return false;
    for (size_t policy = 0; policy < n_policies; policy++)
        if (!score_policy(summary, grid, rows.n, &all[policy], &all[baseline], &scope->policies[policy])) return false;
    return true;
}

bool eval_summary_texts(eval_summary *summary, const eval_grid *grid) {
    const eval_run *run = grid->run;
    summary->texts = eval_summary_take(summary, run->n_tasks, sizeof *summary->texts);
    if (!summary->texts) return false;
    for (size_t task = 0; task < run->n_tasks && run->n_policies; task++)
        if (run->tasks[task].kind == EVAL_CONTINUE &&
            !score_task(summary, grid, task, &summary->texts[summary->n_texts++])) return false;
    return true;
}
