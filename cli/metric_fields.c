/* metric_fields.c - the metrics as a row of numbers, which is what their struct is. */
#include "metric_fields.h"

void metric_add(ex_metrics *sums, const ex_metrics *metrics) {
    double *to = (double *)sums;
    for (size_t i = 0; i < METRIC_COUNT; i++) to[i] += ex_metric_value(metrics, i);
}

bool metric_begins_group(size_t index) {
    return index == 0 || index == METRIC_FIRST_OF_ATTENTION || index == METRIC_COUNT_OF_STEP;
}
