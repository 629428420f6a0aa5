/* output.h - a file that appears whole or not at all: bytes go to a temporary file beside the target, which takes the
 * target's name when everything has reached the disk. */
#ifndef EX_FILE_OUTPUT_H
#define EX_FILE_OUTPUT_H

#include "entropix.h"

typedef struct ex_output ex_output;

ex_code ex_output_open(ex_output **out, const char *path, ex_error *error);
/* Buffered; large pieces go straight through. */
ex_code ex_output_write(ex_output *output, const void *data, uint64_t n_bytes, ex_error *error);
/* Replaces bytes that were written before. */
ex_code ex_output_patch(ex_output *output, uint64_t offset, const void *data, size_t n_bytes, ex_error *error);
uint64_t ex_output_size(const ex_output *output); /* bytes written so far */
const char *ex_output_path(const ex_output *output);
/* Empties the buffer, so that the temporary file can be read. */
ex_code ex_output_flush(ex_output *output, ex_error *error);
const char *ex_output_temporary(const ex_output *output);
/* Syncs and renames. Frees the output, also on error; then nothing is left behind. */
ex_code ex_output_finish(ex_output *output, ex_error *error);
void ex_output_abandon(ex_output *output);

#endif
