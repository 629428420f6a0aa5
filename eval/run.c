/* run.c - carries out a plan. Whoever has finished waits in memory until all lines before its own are written, so that
 * a run that was broken off has a beginning of the same file. */
#include "run.h"

#include <stdlib.h>
#include <time.h>

#include "failure.h"
#include "run_desk.h"
#include "run_folder.h"

typedef struct state {
    eval_plan *plan;
    eval_folder folder;
    eval_batch *batch;
    eval_desk *desk;
    const eval_watcher *watcher;
    eval_progress progress;
    eval_score *scores;
    double start;
} state;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* ---- the score so far ------------------------------------------------------------------------------------------ */

static void count(state *run, const eval_result *result) {
    const eval_run_task *task = &run->plan->run->tasks[result->task];
    if (task->kind == EVAL_CONTINUE || task->is_unknown) return;
    const size_t taken = eval_vote_take(run->plan->run->votes[0], result->answers, result->n_answers, NULL);
    run->scores[result->policy].n++;
    run->scores[result->policy].n_right += result->answers[taken].is_right;
}

static ex_code count_earlier(state *run, ex_error *error) {
    eval_run *earlier;
    eval_result *results;
    size_t n_results;
    if (run->folder.n_lines == 0) return EX_OK;
    ex_code code = eval_records_read(&earlier, &results, &n_results, run->folder.path, error);
    if (code != EX_OK) return code;
    for (size_t i = 0; i < n_results; i++) count(run, &results[i]);
    eval_records_free(earlier, results, n_results);
    return EX_OK;
}

static void show(state *run) {
    run->progress.seconds = now() - run->start;
    run->progress.n_done = run->folder.n_lines;
    if (run->watcher && run->watcher->show) run->watcher->show(run->watcher->context, &run->progress);
}

static bool is_stopped(const state *run) {
    return run->watcher && run->watcher->is_stopped && run->watcher->is_stopped(run->watcher->context);
}

/* ---- steps ----------------------------------------------------------------------------------------------------- */

static ex_code fill(state *run, ex_error *error) {
    while (!eval_batch_is_full(run->batch)) {
        eval_order order;
        bool found;
        ex_code code = eval_desk_order(run->desk, &order, &found, error);
        if (code != EX_OK || !found) return code;
        code = eval_batch_start(run->batch, &order, error);
        if (code != EX_OK) return code;
    }
    return EX_OK;
}

static ex_code write_ready(state *run, ex_error *error) {
    const eval_result *result;
    while (eval_desk_take(run->desk, &result)) {
        char *line;
        size_t length;
        ex_code code = eval_result_format(result, &line, &length, error);
        if (code != EX_OK) return code;
        code = eval_folder_append(&run->folder, line, length, result->seconds, error);
        free(line);
        if (code != EX_OK) return code;
        count(run, result);
    }
    return EX_OK;
}

static ex_code work(state *run, bool *stopped, ex_error *error) {
    ex_code code = EX_OK;
    while (code == EX_OK && run->folder.n_lines < run->progress.n_total) {
        *stopped = is_stopped(run);
        if (*stopped) return EX_OK;
        code = fill(run, error);
        if (code == EX_OK) code = eval_batch_step(run->batch, eval_desk_deliver, run->desk, error);
        if (code == EX_OK) code = write_ready(run, error);
        if (code == EX_OK) show(run);
    }
    return code;
}

/* ---- all of it ------------------------------------------------------------------------------------------------- */

static ex_code check_lines(const state *run, ex_error *error) {
    if (run->folder.n_lines <= run->progress.n_total) return EX_OK;
    return eval_fail(error, EX_ERROR_FORMAT, 0, "%s/results.jsonl has %zu lines, but the run has %zu",
                     run->folder.path, run->folder.n_lines, run->progress.n_total);
}

static ex_code prepare(state *run, size_t n_parallel, ex_error *error) {
    eval_plan *plan = run->plan;
    run->scores = calloc(plan->n_policies, sizeof *run->scores);
    run->progress.scores = run->scores;
    run->progress.run = plan->run;
    run->progress.n_total = eval_run_total(plan->run);
    ex_code code = run->scores ? eval_folder_describe(&run->folder, plan->run, error)
                               : eval_fail_memory(error, "scores");
    if (code == EX_OK) code = eval_folder_continue(&run->folder, error);
    if (code == EX_OK) code = check_lines(run, error);
    if (code == EX_OK) code = count_earlier(run, error);
    run->progress.n_before = run->folder.n_lines;
    if (code != EX_OK || run->folder.n_lines == run->progress.n_total) return code;
    code = eval_batch_open(&run->batch, plan->engine, n_parallel, plan->n_context, error);
    if (code != EX_OK) return code;
    return eval_desk_open(&run->desk, plan, run->batch, 2 * n_parallel, run->folder.n_lines, error);
}

ex_code eval_run_plan(eval_plan *plan, const char *folder, size_t n_parallel, const char *what,
                      const eval_watcher *watcher, bool *stopped, ex_error *error) {
    state run = {.plan = plan, .watcher = watcher, .progress.what = what};
    *stopped = false;
    if (n_parallel == 0) n_parallel = EVAL_PARALLEL;
    ex_code code = eval_folder_open(&run.folder, folder, error);
    if (code == EX_OK) code = prepare(&run, n_parallel, error);
    run.start = now();
    if (code == EX_OK) code = work(&run, stopped, error);
    eval_desk_close(run.desk);
    eval_batch_close(run.batch);
    eval_folder_close(&run.folder);
    free(run.scores);
    return code;
}
