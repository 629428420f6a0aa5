/* summary_doubts.c - what doubt is worth as a warning, for each policy's first answers.
 *
 * * The best of 36 signals on some answers looks better there than it is. So signal and thresholds are chosen on every
 *   other row (the first, third …) and measured on the rest; tables of all signals say that they are of all answers.
 * * Questions that nobody can answer are compared with those of knowledge: tasks whose right answers are not all
 *   numbers, since doubt about a calculation is another matter. Without such a task with all graded ones. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "summary_parts.h"

enum { CROSS_SEED = 1 };

/* First answers of one policy in the tasks of one scope. `positive` is what doubt should warn of. */
typedef struct answers {
    size_t n, n_rows;
    const eval_signals **signals; /* [n] */
    bool *positive;
    uint32_t *group; /* row */
    double *doubt;   /* of the signal looked at now */
    double *probability;
    bool *negative;
    eval_roc_point *roc;       /* room for n + 1 */
    eval_abstention *coverage; /* room for n */
} answers;

static bool take_answers(eval_summary *summary, size_t n, answers *to) {
    *to = (answers){.signals = eval_summary_take(summary, n, sizeof *to->signals),
                    .positive = eval_summary_take(summary, n, sizeof *to->positive),
                    .group = eval_summary_take(summary, n, sizeof *to->group),
                    .doubt = eval_summary_take(summary, n, sizeof *to->doubt),
                    .probability = eval_summary_take(summary, n, sizeof *to->probability),
                    .negative = eval_summary_take(summary, n, sizeof *to->negative),
                    .roc = eval_summary_take(summary, n + 1, sizeof *to->roc),
                    .coverage = eval_summary_take(summary, n, sizeof *to->coverage)};
    return to->signals && to->positive && to->group && to->doubt && to->probability && to->negative && to->roc &&
           to->coverage;
}

static bool is_positive(const eval_run_task *task, const eval_answer *answer, eval_doubt_kind kind) {
    return kind == EVAL_DOUBT_UNKNOWN ? task->is_unknown : task->is_unknown || !answer->is_right;
}

static void fill_answers(const eval_grid *grid, const eval_rows *rows, size_t policy, eval_doubt_kind kind,
                         answers *to) {
    for (size_t row = 0; row < rows->n; row++) {
        const eval_run_task *task = &grid->run->tasks[rows->tasks[row]];
        for (size_t seed = 0; seed < grid->run->n_seeds; seed++) {
            const eval_result *result = eval_grid_at(grid, rows->tasks[row], rows->questions[row], policy, seed);
            if (!result) continue;
            const eval_answer *answer = &result->answers[0];
            to->signals[to->n] = &answer->signals;
            to->positive[to->n] = is_positive(task, answer, kind);
            to->negative[to->n] = !to->positive[to->n];
            to->group[to->n++] = (uint32_t)row;
        }
    }
    to->n_rows = rows->n;
}

/* Those of the rows with this parity. Room is there already. */
static void take_half(const answers *from, uint32_t parity, answers *to) {
    to->n = 0;
    to->n_rows = (from->n_rows + 1 - parity) / 2;
    for (size_t i = 0; i < from->n; i++) {
        if (from->group[i] % 2 != parity) continue;
        to->signals[to->n] = from->signals[i];
        to->positive[to->n] = from->positive[i];
        to->negative[to->n] = from->negative[i];
        to->group[to->n++] = from->group[i];
    }
}

static void look_at(answers *of, size_t pool, size_t metric) {
    for (size_t i = 0; i < of->n; i++) of->doubt[i] = eval_metrics[metric].sign * of->signals[i]->values[pool][metric];
}

static bool measure_all(answers *all, eval_doubt *doubt) {
    eval_bin bins[EVAL_RELIABILITY_BINS];
    for (size_t pool = 0; pool < EVAL_POOL_COUNT; pool++)
        for (size_t metric = 0; metric < EVAL_METRIC_COUNT; metric++) {
            eval_calibration calibration = {.error = NAN};
            look_at(all, pool, metric);
            if (!eval_roc_area(all->doubt, all->positive, all->group, all->n, &doubt->areas[pool][metric]) ||
                !eval_right_probability(all->doubt, all->negative, all->group, all->n, EVAL_LOGISTIC, CROSS_SEED,
                                        all->probability) ||
                !eval_calibration_error(all->probability, all->negative, all->n, EVAL_EQUAL_MASS,
                                        EVAL_RELIABILITY_BINS, bins, &calibration)) return false;
            doubt->calibration[pool][metric] = calibration.n ? calibration.error : NAN;
        }
    return true;
}

static bool choose(answers *half, eval_doubt *doubt) {
    doubt->area_choosing = NAN;
    for (size_t pool = 0; pool < EVAL_POOL_COUNT; pool++)
        for (size_t metric = 0; metric < EVAL_METRIC_COUNT; metric++) {
            eval_roc roc;
            look_at(half, pool, metric);
            if (!eval_roc_area(half->doubt, half->positive, half->group, half->n, &roc)) return false;
            if (isnan(roc.area.value) || roc.area.value <= doubt->area_choosing) continue;
            doubt->area_choosing = roc.area.value;
            doubt->has_choice = true;
            doubt->pool = pool;
            doubt->metric = metric;
        }
    return true;
}

/* ---- curves ---------------------------------------------------------------------------------------------------- */

/* Of many points some, evenly, with both ends. */
static size_t point_at(size_t i, size_t n_kept, size_t n) { return n_kept < 2 ? 0 : i * (n - 1) / (n_kept - 1); }

static bool trace_roc(answers *of, eval_curve *curve) {
    size_t n = 0;
    if (!eval_roc_points(of->doubt, of->positive, of->n, of->roc, &n)) return false;
    curve->n = n < EVAL_CURVE_MAX ? n : EVAL_CURVE_MAX;
    for (size_t i = 0; i < curve->n; i++) {
        const eval_roc_point *point = &of->roc[point_at(i, curve->n, n)];
        curve->x[i] = point->false_positive_rate;
        curve->y[i] = point->true_positive_rate;
    }
    return true;
}

static bool trace_coverage(answers *of, eval_risk_curve *risk, eval_curve *curve) {
    if (!eval_risk_coverage(of->doubt, of->positive, of->n, of->coverage, risk)) return false;
    curve->n = risk->n_points < EVAL_CURVE_MAX ? risk->n_points : EVAL_CURVE_MAX;
    for (size_t i = 0; i < curve->n; i++) {
        const eval_abstention *point = &of->coverage[point_at(i, curve->n, risk->n_points)];
        curve->x[i] = point->coverage;
        curve->y[i] = point->risk;
    }
    return true;
}

/* A doubt that puts every wrong answer last: no risk, until wrong answers are all that is left. */
static void trace_best(double share_wrong, eval_curve *curve) {
    curve->n = EVAL_CURVE_MAX;
    for (size_t i = 0; i < curve->n; i++) {
        curve->x[i] = (double)(i + 1) / EVAL_CURVE_MAX;
        curve->y[i] = fmax(0, curve->x[i] - (1 - share_wrong)) / curve->x[i];
    }
}

/* ---- what was chosen, on the other half ------------------------------------------------------------------------ */

static bool hold_out(answers *choosing, answers *rest, eval_doubt *doubt) {
    look_at(choosing, doubt->pool, doubt->metric);
    look_at(rest, doubt->pool, doubt->metric);
    doubt->n_held_out = rest->n;
    doubt->n_held_out_questions = rest->n_rows;
    doubt->whole = eval_abstain(rest->doubt, rest->positive, rest->n, INFINITY);
    for (size_t i = 0; i < EVAL_COVERAGE_COUNT; i++) {
        double threshold = NAN;
        if (!eval_coverage_threshold(choosing->doubt, choosing->n, eval_coverages[i], &threshold)) return false;
        doubt->abstentions[i] = eval_abstain(rest->doubt, rest->positive, rest->n, threshold);
    }
    if (!eval_roc_area(rest->doubt, rest->positive, rest->group, rest->n, &doubt->held_out) ||
        !eval_right_probability(rest->doubt, rest->negative, rest->group, rest->n, EVAL_LOGISTIC, CROSS_SEED,
                                rest->probability) ||
        !eval_calibration_error(rest->probability, rest->negative, rest->n, EVAL_EQUAL_MASS, EVAL_RELIABILITY_BINS,
                                doubt->bins, &doubt->reliability)) return false;
    if (!trace_roc(rest, &doubt->roc) || !trace_coverage(rest, &doubt->risk, &doubt->coverage)) return false;
    if (doubt->coverage.n) trace_best(doubt->whole.risk, &doubt->coverage_best);
    return true;
}

/* ---- distributions --------------------------------------------------------------------------------------------- */

static int ascending(const void *left, const void *right) {
    const double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

/* From the 1st to the 99th percentile, so that single answers do not make the bins wide. */
static void set_range(answers *of, eval_histogram *histogram) {
    size_t n = 0;
    for (size_t i = 0; i < of->n; i++)
        if (isfinite(of->doubt[i])) of->probability[n++] = of->doubt[i];
    if (n == 0) return;
    qsort(of->probability, n, sizeof *of->probability, ascending);
    histogram->low = of->probability[(n - 1) / 100];
    histogram->high = of->probability[n - 1 - (n - 1) / 100];
}

/* Of the metric itself, without its sign. */
static void count_values(answers *of, size_t pool, size_t metric, eval_histogram *histogram) {
    for (size_t i = 0; i < of->n; i++) of->doubt[i] = of->signals[i]->values[pool][metric];
    set_range(of, histogram);
    const double width = (histogram->high - histogram->low) / EVAL_HISTOGRAM_BINS;
    for (size_t i = 0; i < of->n; i++) {
        if (!isfinite(of->doubt[i])) continue;
        const double at = width > 0 ? (of->doubt[i] - histogram->low) / width : 0;
        const size_t bin = at >= EVAL_HISTOGRAM_BINS ? EVAL_HISTOGRAM_BINS - 1 : at > 0 ? (size_t)at : 0;
        histogram->counts[of->positive[i]][bin]++;
        histogram->n[of->positive[i]]++;
    }
}

static bool describe_metrics(answers *all, eval_doubt *doubt) {
    for (size_t metric = 0; metric < EVAL_METRIC_COUNT; metric++) {
        look_at(all, doubt->pool, metric);
        if (!trace_roc(all, &doubt->metric_rocs[metric])) return false;
        count_values(all, doubt->pool, metric, &doubt->histograms[metric]);
    }
    return true;
}

/* ---- scopes ---------------------------------------------------------------------------------------------------- */

static bool measure_answers(answers *all, answers *choosing, answers *rest, eval_doubt *doubt) {
    take_half(all, 0, choosing);
    take_half(all, 1, rest);
    doubt->n = all->n;
    doubt->n_questions = all->n_rows;
    for (size_t i = 0; i < all->n; i++) doubt->n_positive += all->positive[i];
    doubt->held_out.area = (eval_interval){NAN, NAN, NAN};
    if (!measure_all(all, doubt) || !choose(choosing, doubt)) return false;
    return !doubt->has_choice || (hold_out(choosing, rest, doubt) && describe_metrics(all, doubt));
}

static bool measure(eval_summary *summary, const eval_grid *grid, const eval_rows *rows, size_t policy,
                    eval_doubt *doubt) {
    struct eval_block *mark = summary->blocks;
    const size_t room = rows->n * grid->run->n_seeds;
    answers sets[3];
    bool good = true;
    for (size_t i = 0; good && i < 3; i++) good = take_answers(summary, room, &sets[i]);
    if (good) fill_answers(grid, rows, policy, doubt->kind, &sets[0]);
    good = good && measure_answers(&sets[0], &sets[1], &sets[2], doubt);
    eval_summary_drop(summary, mark);
    return good;
}

static bool is_number(const char *text) {
    char *end;
    if (!text) return false;
    strtod(text, &end);
    return end != text && *end == '\0';
}

static bool is_known_task(const eval_run_task *task) {
    if (!eval_is_graded(task)) return false;
    for (size_t i = 0; i < task->n_questions; i++)
        if (task->right && !is_number(task->right[i])) return true;
    return false;
}

typedef enum membership { NO_TASK, THIS_TASK, GRADED_TASKS, WRITTEN_TASKS, KNOWN_AND_UNKNOWN } membership;

static bool is_member(const eval_run *run, size_t task, membership which, size_t only, bool any_known) {
    const eval_run_task *of = &run->tasks[task];
    switch (which) {
    case THIS_TASK: return task == only;
    case GRADED_TASKS: return eval_is_graded(of);
    case WRITTEN_TASKS: return of->kind == EVAL_GENERATE;
    case KNOWN_AND_UNKNOWN:
        return of->kind == EVAL_GENERATE && (of->is_unknown || is_known_task(of) || (!any_known && eval_is_graded(of)));
    default: return false;
    }
}

typedef struct doubt_scope {
    const char *name;
    eval_doubt_kind kind;
    membership which;
    size_t only;
} doubt_scope;

static bool measure_scope(eval_summary *summary, const eval_grid *grid, const doubt_scope *scope, bool any_known) {
    const eval_run *run = grid->run;
    size_t *tasks = eval_summary_take(summary, run->n_tasks, sizeof *tasks), n = 0;
    eval_rows rows;
    if (!tasks || !scope->name) return false;
    for (size_t task = 0; task < run->n_tasks; task++)
        if (is_member(run, task, scope->which, scope->only, any_known)) tasks[n++] = task;
    if (!eval_rows_of(summary, grid, tasks, n, &rows)) return false;
    for (size_t policy = 0; policy < run->n_policies; policy++) {
        eval_doubt *doubt = &summary->doubts[policy][summary->n_doubts];
        doubt->name = scope->name;
        doubt->kind = scope->kind;
        if (!measure(summary, grid, &rows, policy, doubt)) return false;
    }
    summary->n_doubts++;
    return true;
}

static bool name_known(eval_summary *summary, bool any_known) {
    const eval_run *run = summary->run;
    const char *names = "";
    for (size_t task = 0; task < run->n_tasks && names; task++)
        if (any_known ? is_known_task(&run->tasks[task]) : eval_is_graded(&run->tasks[task]))
            names = eval_summary_text(summary, "%s%s%s", names, *names ? ", " : "", run->tasks[task].name);
    summary->known = names && *names ? eval_summary_text(summary, "%s", names) : NULL;
    return names != NULL;
}

bool eval_summary_doubts(eval_summary *summary, const eval_grid *grid) {
    const eval_run *run = grid->run;
    size_t n_graded = 0, n_unknown = 0;
    bool any_known = false;
    summary->doubts = eval_summary_take(summary, run->n_policies, sizeof *summary->doubts);
    if (!summary->doubts) return false;
    for (size_t policy = 0; policy < run->n_policies; policy++) {
        summary->doubts[policy] = eval_summary_take(summary, run->n_tasks + 3, sizeof **summary->doubts);
        if (!summary->doubts[policy]) return false;
    }
    for (size_t task = 0; task < run->n_tasks; task++) {
        const eval_run_task *of = &run->tasks[task];
        any_known |= is_known_task(of);
        n_unknown += of->kind == EVAL_GENERATE && of->is_unknown;
        if (!eval_is_graded(of)) continue;
        n_graded++;
        if (!measure_scope(summary, grid, &(doubt_scope){of->name, EVAL_DOUBT_WRONG, THIS_TASK, task}, false))
            return false;
    }
    if (n_graded > 1) {
        const char *name = eval_summary_text(summary, "all %zu tasks", n_graded);
        if (!measure_scope(summary, grid, &(doubt_scope){name, EVAL_DOUBT_WRONG, GRADED_TASKS, 0}, false)) return false;
    }
    if (n_unknown == 0 || n_graded == 0) return true;
    const doubt_scope with = {"all with unknown", EVAL_DOUBT_ALL, WRITTEN_TASKS, 0};
    const doubt_scope against = {"known or unknown", EVAL_DOUBT_UNKNOWN, KNOWN_AND_UNKNOWN, 0};
    return name_known(summary, any_known) && measure_scope(summary, grid, &with, any_known) &&
           measure_scope(summary, grid, &against, any_known);
}
