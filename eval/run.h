/* run.h - carries out a plan: answers are drawn in batches, and results stream to a folder in the order of the plan. */
#ifndef EVAL_RUN_H
#define EVAL_RUN_H

#include "plan.h"

typedef struct eval_score { /* of a policy, over what has been written */
    size_t n, n_right; /* by the first vote; lines of tasks that have right answers */
} eval_score;

typedef struct eval_progress {
    const char *what;         /* "answers", "trials" */
    const eval_run *run;
    const eval_score *scores; /* [n_policies] */
    size_t n_done, n_total, n_before; /* lines; those that were there when this began */
    double seconds;           /* since then */
} eval_progress;

typedef struct eval_watcher { /* functions may be NULL */
    void (*show)(void *context, const eval_progress *progress); /* after each step of the batch */
    bool (*is_stopped)(void *context);
    void *context;
} eval_watcher;

enum { EVAL_PARALLEL = 32 }; /* answers together, unless the caller says otherwise */

/* *stopped: the watcher wanted it; what was written stays, and the same call goes on from there. */
ex_code eval_run_plan(eval_plan *plan, const char *folder, size_t n_parallel, const char *what,
                      const eval_watcher *watcher, bool *stopped, ex_error *error);

#endif
