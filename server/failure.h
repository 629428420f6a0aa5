/* failure.h - filling an ex_error from the server, in the library's own style. */
#ifndef SERVER_FAILURE_H
#define SERVER_FAILURE_H

#include "entropix.h"

/* Fills `error` (may be NULL) and returns `code`. */
ex_code server_fail(ex_error *error, ex_code code, uint64_t position, const char *format, ...) EX_PRINTF(4, 5);
ex_code server_fail_memory(ex_error *error, const char *what);
/* After a failed system call, with errno: "SUBJECT: cannot WHAT: reason". */
ex_code server_fail_system(ex_error *error, const char *subject, const char *what);

#endif
