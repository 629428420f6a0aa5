#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Files and requests are quoted in messages; what they hold must neither break the line nor steer a terminal. */
static void replace_controls(char *text) {
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7F) *text = '?';
}

ex_code ex_fail(ex_error *error, ex_code code, uint64_t position, const char *format, ...) {
    if (!error) return code;
    error->code = code;
    error->position = position;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->message, sizeof error->message, format, arguments);
    va_end(arguments);
    replace_controls(error->message);
    return code;
}

ex_code ex_fail_memory(ex_error *error, const char *what) {
    return ex_fail(error, EX_ERROR_MEMORY, 0, "out of memory for %s", what);
}

ex_code ex_fail_system(ex_error *error, const char *path, const char *what) {
    char buffer[128];
    const char *reason = strerror_r(errno, buffer, sizeof buffer); /* GNU's: the text may not be in the buffer */
    return ex_fail(error, EX_ERROR_IO, 0, "%s: cannot %s: %s", path, what, reason);
}
