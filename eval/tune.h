/* tune.h - every policy gets the same number of trials on the even questions: none wins by having been tuned. */
#ifndef EVAL_TUNE_H
#define EVAL_TUNE_H

#include "run.h"

/* Runs the trials in FOLDER/tuning, where they go on as any run, and gives each policy of the plan the values of its
 * best one (equal ones: the earlier); plan->run->tuning tells all. A policy without randomness has nothing to tune. */
ex_code eval_tune(eval_plan *plan, const char *folder, size_t n_parallel, const eval_watcher *watcher, bool *stopped,
                  ex_error *error);

#endif
