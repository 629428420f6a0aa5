/* record_names.h - how values of an enumeration are written in run.json and results.jsonl. */
#ifndef EVAL_RECORD_NAMES_H
#define EVAL_RECORD_NAMES_H

#include "record.h"

enum { EVAL_FORMAT = 1, EVAL_KIND_COUNT = EVAL_CONTINUE + 1, EVAL_BUDGET_COUNT = EVAL_BUDGET_TIME + 1,
       EVAL_HALF_COUNT = EVAL_HALF_ODD + 1, EVAL_END_COUNT = EX_END_RULE + 1 };

extern const char *const eval_kind_names[EVAL_KIND_COUNT];
extern const char *const eval_budget_names[EVAL_BUDGET_COUNT];
extern const char *const eval_half_names[EVAL_HALF_COUNT];
extern const char *const eval_end_names[EVAL_END_COUNT];

/* Index of `name`, or `count`. `name` may be NULL. */
size_t eval_name_find(const char *const *names, size_t count, const char *name);

#endif
