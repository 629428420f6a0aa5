/* gguf.h - the parts of the file room that only the library needs: types of weights, writing GGUF. The rest of reading
 * is public (entropix.h). */
#ifndef EX_FILE_GGUF_H
#define EX_FILE_GGUF_H

#include "entropix.h"

/* EX_ERROR_UNSUPPORTED when a tensor has a type that is not known. A file with one opens all the same, so that it can
 * be described; who reads weights asks first. */
ex_code ex_file_check_types(const ex_file *file, ex_error *error);

/* A writer of GGUF version 3: keys first, then all tensors declared, then their data in the same order. It writes to a
 * temporary file beside `path`; finish syncs and renames it, abandon deletes it, so a half-written file never bears the
 * name. Data must come in whole tensors, in declared order; pieces of one tensor may come one after the other. Before
 * the file gets its name it is read back with the reader, which finds names that occur twice and the like.
 * Data is padded to 32 bytes and all in one file, so copy_key leaves general.alignment and split.* out. */
typedef struct ex_writer ex_writer;

ex_code ex_writer_open(ex_writer **out, const char *path, ex_error *error);
ex_code ex_writer_copy_key(ex_writer *writer, const ex_key *key, ex_error *error);
ex_code ex_writer_string(ex_writer *writer, const char *name, const char *data, size_t length, ex_error *error);
ex_code ex_writer_u32(ex_writer *writer, const char *name, uint32_t value, ex_error *error);
ex_code ex_writer_f32(ex_writer *writer, const char *name, float value, ex_error *error);
ex_code ex_writer_bool(ex_writer *writer, const char *name, bool value, ex_error *error);
ex_code ex_writer_i32_array(ex_writer *writer, const char *name, const int32_t *values, size_t n, ex_error *error);
ex_code ex_writer_f32_array(ex_writer *writer, const char *name, const float *values, size_t n, ex_error *error);
ex_code ex_writer_string_array(ex_writer *writer, const char *name, const ex_string *values, size_t n, ex_error *error);
ex_code ex_writer_declare(ex_writer *writer, ex_string name, uint32_t type, uint32_t n_dims, const uint64_t *ne,
                          ex_error *error);
ex_code ex_writer_data(ex_writer *writer, const void *data, uint64_t n_bytes, ex_error *error);
ex_code ex_writer_finish(ex_writer *writer, ex_error *error); /* frees the writer, also on error */
void ex_writer_abandon(ex_writer *writer);

#endif
