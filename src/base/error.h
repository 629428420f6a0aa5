/* error.h - errors are values: a code, a position and one line that a person can act on. */
#ifndef EX_BASE_ERROR_H
#define EX_BASE_ERROR_H

#include "entropix.h"

/* Fills `error` (may be NULL) and returns `code`, so that a function can end with `return ex_fail(...)`. */
ex_code ex_fail(ex_error *error, ex_code code, uint64_t position, const char *format, ...) EX_PRINTF(4, 5);

/* Out of memory while taking `what`. */
ex_code ex_fail_memory(ex_error *error, const char *what);

/* The message of an operating system error: "PATH: cannot WHAT: REASON". */
ex_code ex_fail_system(ex_error *error, const char *path, const char *what);

#endif
