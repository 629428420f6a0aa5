/* eval_output.c - what `entropix eval` shows while it works and when it has ended. */
#include "eval_output.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- progress -------------------------------------------------------------------------------------------------- */

static const char *format_left(char text[32], double seconds) {
    if (!(seconds < 360000)) snprintf(text, 32, "time left unknown");
    else if (seconds < 100) snprintf(text, 32, "%.0f s left", seconds);
    else if (seconds < 6000) snprintf(text, 32, "%.0f min left", seconds / 60);
    else snprintf(text, 32, "%.1f h left", seconds / 3600);
    return text;
}

static void put_scores(FILE *out, const eval_progress *progress) {
    for (size_t i = 0; i < progress->run->n_policies; i++) {
        const eval_score *score = &progress->scores[i];
        if (score->n == 0) continue;
        fprintf(out, "  %.12s %.1f", progress->run->policies[i].name, 100 * (double)score->n_right / (double)score->n);
    }
}

void eval_show_progress(void *context, const eval_progress *progress) {
    eval_bar *bar = context;
    char text[256] = "", left[32];
    const double now = seconds_now();
    if (!bar->progress.shown || now < bar->next) return;
    bar->next = now + 0.2;
    const size_t n_new = progress->n_done - progress->n_before;
    const double rate = n_new > 0 ? progress->seconds / (double)n_new : INFINITY;
    FILE *out = fmemopen(text, sizeof text - 1, "w");
    if (!out) return;
    fprintf(out, "%s, %s", format_left(left, rate * (double)(progress->n_total - progress->n_done)), progress->what);
    put_scores(out, progress);
    fclose(out);
    progress_show(&bar->progress, now, progress->n_done, progress->n_total, text);
}

/* ---- the table ------------------------------------------------------------------------------------------------- */

typedef struct cell { /* of a task and a policy, under a vote */
    double *right; /* [n_questions] sums over seeds */
    size_t *seeds; /* [n_questions] */
    size_t n_answers, n_forwarded, n_lines;
    double seconds;
} cell;

static bool cell_open(cell *one, size_t n_questions) {
    *one = (cell){.right = calloc(n_questions + 1, sizeof *one->right),
                  .seeds = calloc(n_questions + 1, sizeof *one->seeds)};
    return one->right && one->seeds;
}

static void cell_close(cell *one) {
    free(one->right);
    free(one->seeds);
}

static void cell_add(cell *one, const eval_result *result, eval_vote vote) {
    const size_t taken = eval_vote_take(vote, result->answers, result->n_answers, NULL);
    one->right[result->question] += result->answers[taken].is_right;
    one->seeds[result->question]++;
    one->n_answers += result->n_answers;
    for (size_t i = 0; i < result->n_answers; i++) one->n_forwarded += result->answers[i].n_forwarded;
    one->n_lines++;
    one->seconds += isfinite(result->seconds) ? result->seconds : 0;
}

/* Mean over questions, and 1.96 standard errors: questions are what was drawn, and a question's seeds are alike. */
static void cell_accuracy(const cell *one, size_t n_questions, double *mean, double *error) {
    double sum = 0, squares = 0, n = 0;
    for (size_t i = 0; i < n_questions; i++) {
        if (one->seeds[i] == 0) continue;
        const double share = one->right[i] / (double)one->seeds[i];
        sum += share;
        squares += share * share;
        n++;
    }
    *mean = sum / n;
    *error = n > 1 ? 1.96 * sqrt(fmax(0, squares / n - *mean * *mean) / (n - 1)) : 0;
}

static void print_cell(const eval_run *run, const eval_run_task *task, size_t policy, eval_vote vote, const cell *one) {
    double mean, error;
    char accuracy[40] = "";
    const double n = (double)one->n_lines;
    const bool is_choice = task->kind == EVAL_CHOOSE;
    cell_accuracy(one, task->n_questions, &mean, &error);
    if (task->kind != EVAL_CONTINUE && !task->is_unknown)
        snprintf(accuracy, sizeof accuracy, "%5.1f ± %.1f", 100 * mean, 100 * error);
    printf("%-16.16s  %-28.28s  %-10s  %14s%s  %7.1f  %9.1f  %9.4f\n", task->name,
           is_choice ? "(by likelihood)" : run->policies[policy].name, eval_vote_names[vote],
           accuracy, *accuracy ? "" : " ", (double)one->n_answers / n, (double)one->n_forwarded / n, one->seconds / n);
}

static int print_policy(const eval_run *run, const eval_result *results, size_t n_results, size_t task, size_t policy,
                        eval_vote vote) {
    cell one;
    const bool is_open = cell_open(&one, run->tasks[task].n_questions);
    for (size_t i = 0; i < n_results && is_open; i++)
        if (results[i].task == task && results[i].policy == policy) cell_add(&one, &results[i], vote);
    if (is_open && one.n_lines > 0) print_cell(run, &run->tasks[task], policy, vote, &one);
    cell_close(&one);
    return is_open ? STATUS_OK : report_memory();
}

static void print_bad(const eval_run_task *task) {
    enum { SHOWN = 5 };
    if (task->n_bad == 0) return;
    printf("\n%s: %zu line%s that %s no question%s\n", task->name, task->n_bad, task->n_bad == 1 ? "" : "s",
           task->n_bad == 1 ? "is" : "are", task->n_bad == 1 ? "" : "s");
    for (size_t i = 0; i < task->n_bad && i < SHOWN; i++)
        printf("  %s: %s\n", task->bad[i].place, task->bad[i].reason);
    if (task->n_bad > SHOWN) printf("  … and %zu more, in run.json\n", task->n_bad - SHOWN);
}

int eval_print_table(const char *folder) {
    eval_run *run;
    eval_result *results;
    size_t n_results;
    ex_error error;
    if (eval_records_read(&run, &results, &n_results, folder, &error) != EX_OK) return report(&error);
    int status = STATUS_OK;
    printf("%-16s  %-28s  %-10s  %13s  %7s  %9s  %9s\n", "task", "policy", "vote", "accuracy, %", "answers", "tokens",
           "seconds");
    for (size_t task = 0; task < run->n_tasks; task++)
        for (size_t policy = 0; policy < run->n_policies; policy++)
            for (size_t vote = 0; vote < run->n_votes && status == STATUS_OK; vote++)
                status = print_policy(run, results, n_results, task, policy, run->votes[vote]);
    for (size_t task = 0; task < run->n_tasks; task++) print_bad(&run->tasks[task]);
    eval_records_free(run, results, n_results);
    return status;
}
