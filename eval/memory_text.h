/* memory_text.h - a stream that writes into memory, and tells when there was too little of it. */
#ifndef EVAL_MEMORY_TEXT_H
#define EVAL_MEMORY_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* *text is the caller's to free and moves while it grows; it ends with a zero byte that *length does not count. Both
 * are valid after fflush and after closing. NULL without memory. */
FILE *eval_memory_open(char **text, size_t *length);
/* False when something that was written is missing: then *text is NULL. */
bool eval_memory_close(FILE *out, char **text);

#endif
