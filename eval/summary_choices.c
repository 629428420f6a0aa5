/* summary_choices.c - tasks whose answer is the likeliest of given choices. */
#include <math.h>

#include "summary_parts.h"

typedef struct choice_columns {
    double *accuracy, *normalised, *mc2;
    double chance;
    bool one_right; /* in every question */
} choice_columns;

static double likeliest_is_right(const eval_result *result, const bool *right, bool by_length) {
    size_t best = 0;
    double highest = -INFINITY;
    for (size_t i = 0; i < result->n_choices; i++) {
        double score = result->choice_scores[i];
        if (by_length) score /= fmax(1, result->choice_lengths[i]);
        if (!(score > highest)) continue;
        highest = score;
        best = i;
    }
    return right[best];
}

static double right_mass(const eval_result *result, const bool *right) {
    double highest = -INFINITY, sum = 0, right_sum = 0;
    for (size_t i = 0; i < result->n_choices; i++) highest = fmax(highest, result->choice_scores[i]);
    for (size_t i = 0; i < result->n_choices; i++) {
        const double mass = exp(result->choice_scores[i] - highest);
        if (isnan(mass)) continue;
        sum += mass;
        if (right[i]) right_sum += mass;
    }
    return right_sum / sum;
}

static void fill_row(choice_columns *to, size_t row, const eval_result *result, const bool *right) {
    size_t n_right = 0;
    for (size_t i = 0; i < result->n_choices; i++) n_right += right[i];
    to->accuracy[row] = likeliest_is_right(result, right, false);
    to->normalised[row] = result->choice_lengths ? likeliest_is_right(result, right, true) : NAN;
    to->mc2[row] = right_mass(result, right);
    to->chance += (double)n_right / (double)result->n_choices;
    to->one_right &= n_right == 1;
}

static const eval_result *any_result(const eval_grid *grid, size_t task, size_t question) {
    for (size_t policy = 0; policy < grid->run->n_policies; policy++)
        for (size_t seed = 0; seed < grid->run->n_seeds; seed++) {
            const eval_result *result = eval_grid_at(grid, task, question, policy, seed);
            if (result && result->choice_scores && result->n_choices > 0) return result;
        }
    return NULL;
}

static bool score_task(eval_summary *summary, const eval_grid *grid, size_t task, eval_choice_score *score) {
    const eval_run_task *run_task = &grid->run->tasks[task];
    const size_t n = run_task->n_questions;
    choice_columns columns = {.accuracy = eval_summary_take(summary, n, sizeof(double)),
                              .normalised = eval_summary_take(summary, n, sizeof(double)),
                              .mc2 = eval_summary_take(summary, n, sizeof(double)),
                              .one_right = true};
    if (!columns.accuracy || !columns.normalised || !columns.mc2) return false;
    size_t rows = 0;
    for (size_t question = 0; question < n; question++) {
        const eval_result *result = any_result(grid, task, question);
        const bool *right = run_task->choices_right ? run_task->choices_right[question] : NULL;
        if (result && right && result->n_choices == run_task->n_choices[question]) fill_row(&columns, rows++, result,
                                                                                            right);
    }
    score->task = task;
    score->n_questions = rows;
    score->chance = rows ? columns.chance / (double)rows : NAN;
    const eval_bootstrap *how = &grid->bootstrap;
    score->mc1 = (eval_interval){NAN, NAN, NAN};
    if (!eval_accuracy(columns.accuracy, rows, 1, how, &score->accuracy) ||
        !eval_accuracy(columns.normalised, rows, 1, how, &score->normalised) ||
        !eval_accuracy(columns.mc2, rows, 1, how, &score->mc2)) return false;
    if (columns.one_right) score->mc1 = score->accuracy;
    return true;
}

bool eval_summary_choices(eval_summary *summary, const eval_grid *grid) {
    const eval_run *run = grid->run;
    summary->choices = eval_summary_take(summary, run->n_tasks, sizeof *summary->choices);
    if (!summary->choices) return false;
    for (size_t task = 0; task < run->n_tasks; task++)
        if (run->tasks[task].kind == EVAL_CHOOSE &&
            !score_task(summary, grid, task, &summary->choices[summary->n_choices++])) return false;
    return true;
}
