/* plot_heads.h - the numbers behind the picture of the heads, for the page that steps through the tokens. */
#ifndef CLI_PLOT_HEADS_H
#define CLI_PLOT_HEADS_H

#include "plot_trace.h"

/* means [n_layer][n_head] over the tokens that have statistics, and the largest value of any; false when none has. */
bool plot_heads_mean(const plot_trace *trace, double *means, double *maximum);

#endif
