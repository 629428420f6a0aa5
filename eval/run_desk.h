/* run_desk.h - the questions that are open: their prompts, their units, and what is ready to be written. Questions open
 * and close in the order of the plan; between, units may end in any order. */
#ifndef EVAL_RUN_DESK_H
#define EVAL_RUN_DESK_H

#include "batch.h"
#include "plan.h"

typedef struct eval_desk eval_desk;

/* Begins with the unit number `n_done` of the plan. At most `n_open` questions are open at once. */
ex_code eval_desk_open(eval_desk **out, const eval_plan *plan, eval_batch *batch, size_t n_open, size_t n_done,
                       ex_error *error);
void eval_desk_close(eval_desk *desk);
/* The next answer to draw; `found` is false when none can begin now. Opens questions as needed, which evaluates their
 * prompts. */
ex_code eval_desk_order(eval_desk *desk, eval_order *order, bool *found, ex_error *error);
/* What the batch delivers (an eval_deliver; the context is the desk). */
ex_code eval_desk_deliver(void *desk, eval_delivery *delivery, ex_error *error);
/* The next result in order, if it is there; it lives until the next call. */
bool eval_desk_take(eval_desk *desk, const eval_result **result);

#endif
