/* price.h - what a token of each policy costs in time, for budgets of time. */
#ifndef EVAL_PRICE_H
#define EVAL_PRICE_H

#include "plan.h"

/* Sets the prices of the plan's policies: those in FOLDER/run.json where it is there, so that a run that goes on has
 * the same; otherwise measured on the first questions, all policies in one batch. Only for a budget of time. */
ex_code eval_price(eval_plan *plan, const char *folder, size_t n_parallel, ex_error *error);

#endif
