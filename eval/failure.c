/* failure.c - filling an ex_error from the harness. */
#include "failure.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

ex_code eval_fail(ex_error *error, ex_code code, uint64_t position, const char *format, ...) {
    if (!error) return code;
    error->code = code;
    error->position = position;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->message, sizeof error->message, format, arguments);
    va_end(arguments);
    return code;
}

ex_code eval_fail_memory(ex_error *error, const char *what) {
    return eval_fail(error, EX_ERROR_MEMORY, 0, "no memory for %s", what);
}

ex_code eval_fail_system(ex_error *error, const char *path, const char *what) {
    char buffer[128];
    const char *reason = strerror_r(errno, buffer, sizeof buffer); /* GNU's: the text may not be in the buffer */
    return eval_fail(error, EX_ERROR_IO, 0, "%s: cannot %s: %s", path, what, reason);
}
