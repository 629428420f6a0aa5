/* report.h - report.md, report.html and summary.json of a run, from its records alone: no model is needed. The same
 * records give the same bytes. */
#ifndef EVAL_REPORT_H
#define EVAL_REPORT_H

#include "record.h"

/* Reads the records in `folder` and writes the three files there, each beside its name and renamed when complete. */
ex_code eval_report_write(const char *folder, ex_error *error);

/* The same of records that are at hand. `n_resamples` of the bootstraps; 0: the usual number. */
ex_code eval_report_write_records(const eval_run *run, const eval_result *results, size_t n_results, size_t n_resamples,
                                  const char *folder, ex_error *error);

#endif
