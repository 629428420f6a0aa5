/* summary_parts.h - what the files that make a summary share. */
#ifndef EVAL_SUMMARY_PARTS_H
#define EVAL_SUMMARY_PARTS_H

#include "summary.h"

/* Results by what they answer. */
typedef struct eval_grid {
    const eval_run *run;
    const eval_result **cells;
    size_t *offsets; /* [n_tasks] of the first cell of a task */
    eval_bootstrap bootstrap;
} eval_grid;

/* NULL: not answered (yet). */
const eval_result *eval_grid_at(const eval_grid *grid, size_t task, size_t question, size_t policy, size_t seed);

/* Zeroed memory that lives as long as the summary; NULL when there is none. */
void *eval_summary_take(eval_summary *summary, size_t count, size_t size);
/* Frees what was taken since `mark`, a former value of summary->blocks. */
void eval_summary_drop(eval_summary *summary, struct eval_block *mark);
/* A text in such memory; NULL when memory is out. */
char *eval_summary_text(eval_summary *summary, const char *format, ...) EX_PRINTF(2, 3);

/* The rows of some tasks, in their order. False: no memory. */
bool eval_rows_of(eval_summary *summary, const eval_grid *grid, const size_t *tasks, size_t n_tasks, eval_rows *rows);

bool eval_is_graded(const eval_run_task *task); /* answers are written, and some are right */

/* Each fills its part; false: no memory. */
bool eval_summary_accuracy(eval_summary *summary, const eval_grid *grid);
bool eval_summary_choices(eval_summary *summary, const eval_grid *grid);
bool eval_summary_doubts(eval_summary *summary, const eval_grid *grid);
bool eval_summary_texts(eval_summary *summary, const eval_grid *grid);

#endif
