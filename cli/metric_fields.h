/* metric_fields.h - sums of metrics, and which of them belong together, for everything that shows all of them. */
#ifndef CLI_METRIC_FIELDS_H
#define CLI_METRIC_FIELDS_H

#include "entropix.h"

enum {
    METRIC_COUNT = sizeof(ex_metrics) / sizeof(double),
    METRIC_FIRST_OF_ATTENTION = 7,            /* before it: metrics of the logits */
    METRIC_COUNT_OF_STEP = METRIC_COUNT - 2,  /* the last two are of the sequence */
};

void metric_add(ex_metrics *sums, const ex_metrics *metrics);
/* A metric begins a new line in blocks that people read. */
bool metric_begins_group(size_t index);

#endif
