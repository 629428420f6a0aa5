/* plot_axis.c - entropies go from thousandths of a bit to ten: an even axis would crowd the sure tokens in a corner,
 * and a logarithmic one has no place for 0. log(1 + value/knee) has both. */
#include "plot_axis.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

plot_axis plot_axis_fit(double *values, size_t n_values, double from, double to) {
    plot_axis axis = {.from = from, .to = to, .highest = 1};
    if (n_values == 0) return axis;
    qsort(values, n_values, sizeof *values, compare);
    double highest = values[n_values - 1], typical = values[n_values / 4];
    if (highest > 0) axis.highest = highest * 1.06;
    if (typical * 8 < highest) axis.knee = fmin(fmax(typical, highest / 100), highest / 20);
    return axis;
}

double plot_axis_at(const plot_axis *axis, double value) {
    double share = value / axis->highest;
    if (axis->knee > 0) share = log1p(fmax(value, 0) / axis->knee) / log1p(axis->highest / axis->knee);
    return axis->from + (axis->to - axis->from) * share;
}

static void place(const plot_axis *axis, double value, double distance, double ticks[TICKS_MAX], size_t *count) {
    if (value > axis->highest || *count == TICKS_MAX) return;
    for (size_t i = 0; i < *count; i++)
        if (fabs(plot_axis_at(axis, ticks[i]) - plot_axis_at(axis, value)) < distance) return;
    ticks[(*count)++] = value;
}

static size_t even_ticks(const plot_axis *axis, double distance, double ticks[TICKS_MAX]) {
    static const double factors[] = {1, 2, 5, 10};
    double rough = axis->highest * distance / fabs(axis->to - axis->from), power = pow(10, floor(log10(rough)));
    double step = 10 * power;
    size_t count = 0;
    for (size_t i = sizeof factors / sizeof *factors; i-- > 0;)
        if (factors[i] * power >= rough) step = factors[i] * power;
    for (int i = 0; i < TICKS_MAX; i++) place(axis, i * step, 0.5 * distance, ticks, &count);
    return count;
}

size_t plot_axis_ticks(const plot_axis *axis, double distance, double ticks[TICKS_MAX]) {
    if (!(axis->knee > 0)) return even_ticks(axis, distance, ticks);
    static const double factors[] = {1, 5, 2};
    size_t count = 0;
    int lowest = (int)floor(log10(axis->knee)) - 1, highest = (int)floor(log10(axis->highest));
    place(axis, 0, distance, ticks, &count);
    for (size_t i = 0; i < sizeof factors / sizeof *factors; i++)
        for (int power = highest; power >= lowest; power--)
            place(axis, factors[i] * pow(10, power), distance, ticks, &count);
    return count;
}
