/* plot_axis.h - from values to pixels, and round values to put beside an axis. */
#ifndef CLI_PLOT_AXIS_H
#define CLI_PLOT_AXIS_H

#include <stddef.h>

typedef struct plot_axis {
    double from, to; /* pixels of 0 and of `highest` */
    double highest;
    double knee; /* near 0 the axis is even, far above this value it is logarithmic; 0: even throughout */
} plot_axis;

enum { TICKS_MAX = 24 };

/* Spread over `values`, which are sorted by the way: logarithmic where most lie far below the highest. */
plot_axis plot_axis_fit(double *values, size_t n_values, double from, double to);
double plot_axis_at(const plot_axis *axis, double value);
/* Round values at least `distance` pixels apart; returns how many. */
size_t plot_axis_ticks(const plot_axis *axis, double distance, double ticks[TICKS_MAX]);

#endif
