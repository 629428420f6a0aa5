/* metric_fields.h - the metrics by name, for everything that shows all of them. */
#ifndef CLI_METRIC_FIELDS_H
#define CLI_METRIC_FIELDS_H

#include "entropix.h"

enum { METRIC_COUNT = 9, METRIC_COUNT_OF_STEP = 7 }; /* the last two are of the sequence */

extern const char *const metric_names[METRIC_COUNT];
double metric_value(const ex_metrics *metrics, int index);
void metric_add(ex_metrics *sums, const ex_metrics *metrics);

#endif
