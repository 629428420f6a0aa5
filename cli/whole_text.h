/* whole_text.h - texts that are whole or not there: in memory, and in files. */
#ifndef CLI_WHOLE_TEXT_H
#define CLI_WHOLE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Closes what open_memstream opened on *text. False without memory for all of it: then *text is NULL. */
bool whole_text_close(FILE *out, char **text);
/* Writes a file beside `path`, which takes its name when it has reached the disk. STATUS_OK, or it shows why not. */
int whole_file_write(const char *path, const char *bytes, size_t n_bytes);

#endif
