/* summary_accuracy.c - how often each arm is right and what that costs, in each task and in all together. */
#include <math.h>
#include <stdlib.h>

#include "summary_parts.h"

/* [rows][seeds] each. */
typedef struct columns {
    double *scores, *tokens, *seconds, *abstained;
} columns;

static bool take_columns(eval_summary *summary, size_t n, columns *to) {
    double **const all[] = {&to->scores, &to->tokens, &to->seconds, &to->abstained};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        *all[i] = eval_summary_take(summary, n, sizeof **all[i]);
        if (!*all[i]) return false;
        for (size_t k = 0; k < n; k++) (*all[i])[k] = NAN;
    }
    return true;
}

static double forwarded(const eval_result *result, size_t n_answers) {
    double sum = 0;
    for (size_t i = 0; i < n_answers; i++) sum += (double)result->answers[i].n_forwarded;
    return sum;
}

/* The first answer alone has its share of the time by tokens: that of all was measured together. */
static void fill_cell(const columns *to, size_t at, const eval_result *result, eval_vote vote) {
    double share = 0;
    const bool is_first = vote == EVAL_VOTE_FIRST;
    const size_t taken = is_first ? 0 : eval_vote_take(vote, result->answers, result->n_answers, &share);
    const eval_answer *answer = &result->answers[taken < result->n_answers ? taken : 0];
    const double all = forwarded(result, result->n_answers);
    to->tokens[at] = is_first ? forwarded(result, 1) : all;
    to->seconds[at] = result->seconds * (all > 0 ? to->tokens[at] / all : 1);
    to->abstained[at] = answer->end == EX_END_TRAP;
    to->scores[at] = answer->is_right && answer->end != EX_END_TRAP;
}

static void fill_columns(const eval_grid *grid, const eval_rows *rows, const eval_arm *arm, const columns *to) {
    const size_t n_seeds = grid->run->n_seeds;
    for (size_t row = 0; row < rows->n; row++)
        for (size_t seed = 0; seed < n_seeds; seed++) {
            const eval_result *result = eval_grid_at(grid, rows->tasks[row], rows->questions[row], arm->policy, seed);
            if (result) fill_cell(to, row * n_seeds + seed, result, arm->vote);
        }
}

static void count_abstentions(eval_arm_score *score, const columns *own, const columns *baseline, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (isnan(own->scores[i])) continue;
        const bool abstained = own->abstained[i] > 0;
        score->n_results++;
        score->n_abstained += abstained;
        score->n_wrong += !abstained && own->scores[i] == 0;
        score->n_wrong_avoided += abstained && baseline->scores[i] == 0 && baseline->abstained[i] == 0;
        score->n_right_lost += abstained && baseline->scores[i] > 0;
    }
}

static size_t count_questions(const double *scores, size_t n_rows, size_t n_seeds) {
    size_t count = 0;
    for (size_t row = 0; row < n_rows; row++) {
        bool found = false;
        for (size_t seed = 0; seed < n_seeds; seed++) found |= !isnan(scores[row * n_seeds + seed]);
        count += found;
    }
    return count;
}

static bool score_arm(const eval_grid *grid, size_t n_rows, const columns *own, const columns *baseline,
                      eval_arm_score *score) {
    const size_t n_seeds = grid->run->n_seeds;
    const eval_bootstrap *how = &grid->bootstrap;
    score->n_questions = count_questions(own->scores, n_rows, n_seeds);
    count_abstentions(score, own, baseline, n_rows * n_seeds);
    score->p = score->p_mcnemar = NAN;
    score->difference.difference = (eval_interval){NAN, NAN, NAN};
    if (!eval_accuracy(own->scores, n_rows, n_seeds, how, &score->accuracy) ||
        !eval_mean(own->tokens, n_rows, n_seeds, how, &score->tokens) ||
        !eval_mean(own->seconds, n_rows, n_seeds, how, &score->seconds) ||
        !eval_ratio(own->scores, own->tokens, n_rows, n_seeds, how, &score->per_thousand)) return false;
    double *const ratio[] = {&score->per_thousand.value, &score->per_thousand.low, &score->per_thousand.high};
    for (size_t i = 0; i < 3; i++) *ratio[i] *= 1000;
    if (own == baseline) return true;
    score->discordance = eval_mcnemar(own->scores, baseline->scores, n_rows, n_seeds);
    score->p_mcnemar = score->discordance.p;
    if (!eval_paired_difference(own->scores, baseline->scores, n_rows, n_seeds, how, &score->difference)) return false;
    score->p = score->difference.p;
    return true;
}

static bool adjust(eval_summary *summary, eval_scope *scope) {
    double *p = eval_summary_take(summary, 2 * summary->n_arms, sizeof *p);
    if (!p) return false;
    for (size_t i = 0; i < summary->n_arms; i++) {
        p[i] = scope->arms[i].p;
        p[summary->n_arms + i] = scope->arms[i].p_mcnemar;
    }
    if (!eval_holm(p, summary->n_arms, p) || !eval_holm(p + summary->n_arms, summary->n_arms, p + summary->n_arms))
        return false;
    for (size_t i = 0; i < summary->n_arms; i++) {
        scope->arms[i].p = p[i];
        scope->arms[i].p_mcnemar = p[summary->n_arms + i];
    }
    return true;
}

static void mark_best(eval_scope *scope, size_t n_arms) {
    double best = -1, cheapest = -1;
    for (size_t i = 0; i < n_arms; i++) {
        best = fmax(best, scope->arms[i].accuracy.value);
        cheapest = fmax(cheapest, scope->arms[i].per_thousand.value);
    }
    for (size_t i = 0; i < n_arms; i++) {
        scope->arms[i].is_best = scope->arms[i].accuracy.value >= best;
        scope->arms[i].is_cheapest = scope->arms[i].per_thousand.value >= cheapest;
    }
}

static bool score_scope(eval_summary *summary, const eval_grid *grid, const size_t *tasks, size_t n_tasks,
                        eval_scope *scope) {
    columns *all = eval_summary_take(summary, summary->n_arms, sizeof *all);
    scope->n_tasks = n_tasks;
    scope->arms = eval_summary_take(summary, summary->n_arms, sizeof *scope->arms);
    if (!all || !scope->arms || !scope->name || !eval_rows_of(summary, grid, tasks, n_tasks, &scope->rows))
        return false;
    for (size_t i = 0; i < summary->n_arms; i++) {
        if (!take_columns(summary, scope->rows.n * grid->run->n_seeds, &all[i])) return false;
        fill_columns(grid, &scope->rows, &summary->arms[i], &all[i]);
    }
    for (size_t i = 0; i < summary->n_arms; i++)
        if (!score_arm(grid, scope->rows.n, &all[i], &all[summary->baseline], &scope->arms[i])) return false;
    mark_best(scope, summary->n_arms);
    return adjust(summary, scope);
}

bool eval_summary_accuracy(eval_summary *summary, const eval_grid *grid) {
    const eval_run *run = grid->run;
    size_t *graded = eval_summary_take(summary, run->n_tasks, sizeof *graded), n = 0;
    summary->scopes = eval_summary_take(summary, run->n_tasks + 1, sizeof *summary->scopes);
    if (!graded || !summary->scopes) return false;
    for (size_t task = 0; task < run->n_tasks; task++)
        if (eval_is_graded(&run->tasks[task])) graded[n++] = task;
    for (size_t i = 0; i < n; i++) {
        eval_scope *scope = &summary->scopes[summary->n_scopes++];
        scope->name = run->tasks[graded[i]].name;
        if (!score_scope(summary, grid, &graded[i], 1, scope)) return false;
    }
    if (n < 2) return true;
    eval_scope *whole = &summary->scopes[summary->n_scopes++];
    whole->name = eval_summary_text(summary, "all %zu tasks", n);
    return score_scope(summary, grid, graded, n, whole);
}
