/* limited.h - a child with little memory and time, and how it ended. */
#ifndef EX_TESTS_HOSTILE_LIMITED_H
#define EX_TESTS_HOSTILE_LIMITED_H

#include <signal.h>
#include <stddef.h>

enum { OUTPUT_MAX = 4096, REFUSED = 2, TOO_LONG = 128 + SIGALRM };

typedef struct outcome {
    int status; /* of the process, or 128 and its signal */
    size_t n_lines;
    char text[OUTPUT_MAX]; /* what it wrote, the beginning */
} outcome;

/* Runs `body` in a child that may take 256 MB beyond `file_bytes`, and 5 seconds. What it writes on standard error, and
 * with `both` also on standard output, is the text. `meanwhile`, unless NULL, runs beside it. */
outcome run_limited(void (*body)(const void *context), void (*meanwhile)(const void *context), const void *context,
                    size_t file_bytes, int both);

#endif
