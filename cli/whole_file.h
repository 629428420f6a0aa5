/* whole_file.h - files that appear whole or not at all. */
#ifndef CLI_WHOLE_FILE_H
#define CLI_WHOLE_FILE_H

#include <stddef.h>

/* Writes a file beside `path`, which takes its name when it has reached the disk. STATUS_OK, or it shows why not. */
int whole_file_write(const char *path, const char *bytes, size_t n_bytes);

#endif
