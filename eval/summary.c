/* summary.c - results by what they answer, the arms, and the memory of a summary. */
#include "summary.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "failure.h"
#include "summary_parts.h"

const double eval_coverages[EVAL_COVERAGE_COUNT] = {0.95, 0.9, 0.8, 0.7, 0.6, 0.5};
const double eval_alpha = 0.05;

typedef struct eval_block {
    struct eval_block *next;
    max_align_t data[];
} eval_block;

void *eval_summary_take(eval_summary *summary, size_t count, size_t size) {
    if (size && count > (SIZE_MAX - sizeof(eval_block)) / size) return NULL;
    eval_block *block = calloc(1, sizeof *block + count * size);
    if (!block) return NULL;
    block->next = summary->blocks;
    summary->blocks = block;
    return block->data;
}

void eval_summary_drop(eval_summary *summary, eval_block *mark) {
    while (summary->blocks != mark) {
        eval_block *block = summary->blocks;
        summary->blocks = block->next;
        free(block);
    }
}

char *eval_summary_text(eval_summary *summary, const char *format, ...) {
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    char *text = length < 0 ? NULL : eval_summary_take(summary, (size_t)length + 1, 1);
    if (text) vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    va_end(arguments);
    return text;
}

/* ---- the grid -------------------------------------------------------------------------------------------------- */

const eval_result *eval_grid_at(const eval_grid *grid, size_t task, size_t question, size_t policy, size_t seed) {
    const eval_run *run = grid->run;
    return grid->cells[grid->offsets[task] + (question * run->n_policies + policy) * run->n_seeds + seed];
}

static bool fill_grid(eval_grid *grid, eval_summary *summary, const eval_result *results, size_t n_results) {
    const eval_run *run = grid->run;
    size_t n_cells = 0;
    grid->offsets = eval_summary_take(summary, run->n_tasks, sizeof *grid->offsets);
    if (!grid->offsets) return false;
    for (size_t i = 0; i < run->n_tasks; i++) {
        grid->offsets[i] = n_cells;
        n_cells += run->tasks[i].n_questions * run->n_policies * run->n_seeds;
    }
    grid->cells = eval_summary_take(summary, n_cells, sizeof *grid->cells);
    if (!grid->cells) return false;
    for (size_t i = 0; i < n_results; i++) {
        const eval_result *result = &results[i];
        if (result->task >= run->n_tasks || result->question >= run->tasks[result->task].n_questions ||
            result->policy >= run->n_policies || result->seed >= run->n_seeds || result->n_answers == 0) continue;
        const eval_result **cell = &grid->cells[grid->offsets[result->task] +
            (result->question * run->n_policies + result->policy) * run->n_seeds + result->seed];
        summary->n_results += !*cell;
        *cell = result;
    }
    return true;
}

static bool is_asked(const eval_grid *grid, size_t task, size_t question) {
    for (size_t policy = 0; policy < grid->run->n_policies; policy++)
        for (size_t seed = 0; seed < grid->run->n_seeds; seed++)
            if (eval_grid_at(grid, task, question, policy, seed)) return true;
    return false;
}

bool eval_rows_of(eval_summary *summary, const eval_grid *grid, const size_t *tasks, size_t n_tasks, eval_rows *rows) {
    size_t n = 0;
    for (size_t i = 0; i < n_tasks; i++) n += grid->run->tasks[tasks[i]].n_questions;
    rows->n = 0;
    rows->tasks = eval_summary_take(summary, n, sizeof *rows->tasks);
    rows->questions = eval_summary_take(summary, n, sizeof *rows->questions);
    if (!rows->tasks || !rows->questions) return false;
    for (size_t i = 0; i < n_tasks; i++)
        for (size_t question = 0; question < grid->run->tasks[tasks[i]].n_questions; question++) {
            if (!is_asked(grid, tasks[i], question)) continue;
            rows->tasks[rows->n] = tasks[i];
            rows->questions[rows->n++] = question;
        }
    return true;
}

bool eval_is_graded(const eval_run_task *task) { return task->kind == EVAL_GENERATE && !task->is_unknown; }

/* ---- what is compared ------------------------------------------------------------------------------------------ */

static bool has_several(const eval_grid *grid, size_t policy) {
    const eval_run *run = grid->run;
    for (size_t task = 0; task < run->n_tasks; task++)
        for (size_t question = 0; eval_is_graded(&run->tasks[task]) &&
             question < run->tasks[task].n_questions; question++)
            for (size_t seed = 0; seed < run->n_seeds; seed++) {
                const eval_result *result = eval_grid_at(grid, task, question, policy, seed);
                if (result && result->n_answers > 1) return true;
            }
    return false;
}

static bool add_arm(eval_summary *summary, size_t policy, eval_vote vote, bool is_voted) {
    eval_arm *arm = &summary->arms[summary->n_arms++];
    const char *name = summary->run->policies[policy].name;
    *arm = (eval_arm){.policy = policy, .vote = vote};
    arm->label = is_voted ? eval_summary_text(summary, "%s (%s)", name, eval_vote_names[vote])
        : eval_summary_text(summary, "%s", name);
    return arm->label != NULL;
}

/* With one answer for each question all votes are the same. */
static bool make_arms(eval_summary *summary, const eval_grid *grid) {
    const eval_run *run = grid->run;
    summary->arms = eval_summary_take(summary, run->n_policies * EVAL_VOTE_COUNT, sizeof *summary->arms);
    if (!summary->arms) return false;
    for (size_t policy = 0; policy < run->n_policies; policy++) {
        const bool several = has_several(grid, policy) && run->n_votes > 0;
        if (!several && !add_arm(summary, policy, EVAL_VOTE_FIRST, false)) return false;
        for (size_t i = 0; several && i < run->n_votes; i++)
            if (!add_arm(summary, policy, run->votes[i], run->n_votes > 1)) return false;
    }
    for (size_t i = summary->n_arms; i-- > 0;)
        if (strcmp(run->policies[summary->arms[i].policy].name, "greedy") == 0) summary->baseline = i;
    return true;
}

static void count_expected(eval_summary *summary) {
    const eval_run *run = summary->run;
    for (size_t i = 0; i < run->n_tasks; i++) {
        const eval_run_task *task = &run->tasks[i];
        size_t asked = task->n_questions;
        if (run->half == EVAL_HALF_EVEN) asked = (asked + 1) / 2;
        if (run->half == EVAL_HALF_ODD) asked /= 2;
        summary->n_expected += asked * (task->kind == EVAL_CHOOSE ? 1 : run->n_policies * run->n_seeds);
        summary->n_bad += task->n_bad;
    }
}

ex_code eval_summary_open(eval_summary **out, const eval_run *run, const eval_result *results, size_t n_results,
                          size_t n_resamples, ex_error *error) {
    *out = NULL;
    eval_summary *summary = calloc(1, sizeof *summary);
    if (!summary) return eval_fail_memory(error, "the summary");
    summary->run = run;
    eval_grid grid = {.run = run, .bootstrap = {.n_resamples = n_resamples}};
    if (!fill_grid(&grid, summary, results, n_results) || !make_arms(summary, &grid) ||
        !eval_summary_accuracy(summary, &grid) || !eval_summary_choices(summary, &grid) ||
        !eval_summary_doubts(summary, &grid) || !eval_summary_texts(summary, &grid)) {
        eval_summary_close(summary);
        return eval_fail_memory(error, "the summary");
    }
    count_expected(summary);
    *out = summary;
    return EX_OK;
}

void eval_summary_close(eval_summary *summary) {
    if (summary) eval_summary_drop(summary, NULL);
    free(summary);
}
