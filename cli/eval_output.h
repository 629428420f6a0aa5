/* eval_output.h - what `entropix eval` shows while it works and when it has ended. */
#ifndef CLI_EVAL_OUTPUT_H
#define CLI_EVAL_OUTPUT_H

#include "eval/run.h"
#include "terminal.h"

typedef struct eval_bar {
    cli_progress progress;
    double next;
} eval_bar;

/* Time left and accuracy so far, on a terminal; `bar` is an eval_bar. */
void eval_show_progress(void *bar, const eval_progress *progress);
/* Accuracy, tokens and seconds of each task and policy, and the lines that were no questions. */
int eval_print_table(const char *folder);

#endif
