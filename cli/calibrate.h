/* calibrate.h - what was found by calibration, for people, for programs and as a policy file. */
#ifndef CLI_CALIBRATE_H
#define CLI_CALIBRATE_H

#include "entropix.h"
#include "terminal.h"

typedef struct calibrate_result {
    const ex_calibration *found;
    ex_engine_info model;
    const char *model_path, *text, *held_out; /* file names; held_out NULL: the second half of the text */
    const char *policy;                       /* that it began with */
    size_t n_window, n_warm_up;
    double seconds;
    const char *output, *embedded; /* files that were written, or NULL */
} calibrate_result;

void calibrate_print(cli_painter *painter, const calibrate_result *result);
void calibrate_json(const calibrate_result *result);
/* The policy as a file, with comments on where it comes from; to free. NULL when there is no memory. */
char *calibrate_policy_text(const calibrate_result *result);

#endif
