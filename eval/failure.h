/* failure.h - filling an ex_error from the harness, in the library's own style. */
#ifndef EVAL_FAILURE_H
#define EVAL_FAILURE_H

#include "entropix.h"

/* Fills `error` (may be NULL) and returns `code`. */
ex_code eval_fail(ex_error *error, ex_code code, uint64_t position, const char *format, ...) EX_PRINTF(4, 5);
ex_code eval_fail_memory(ex_error *error, const char *what);
/* After a failed system call, with errno: "PATH: cannot WHAT: reason". */
ex_code eval_fail_system(ex_error *error, const char *path, const char *what);

#endif
