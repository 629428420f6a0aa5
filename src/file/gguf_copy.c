/* gguf_copy.c - the same file with one key more, or another value of it. */
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "file/gguf.h"

enum { PIECE = 1 << 24 /* bytes between two calls of progress */ };

typedef struct copy {
    const ex_file *input;
    ex_writer *writer;
    ex_progress progress;
    void *context;
    uint64_t done, total;
    ex_error *error;
} copy;

static ex_code copy_keys(copy *c, const char *key, const char *text, size_t length) {
    ex_code code = EX_OK;
    for (size_t i = 0; i < ex_file_key_count(c->input) && code == EX_OK; i++) {
        const ex_key *old = ex_file_key(c->input, i);
        if (!ex_string_is(old->name, key)) code = ex_writer_copy_key(c->writer, old, c->error);
    }
    return code == EX_OK ? ex_writer_string(c->writer, key, text, length, c->error) : code;
}

static ex_code copy_tensor(copy *c, const ex_tensor *tensor) {
    char what[80] = "";
    memcpy(what, tensor->name.data, tensor->name.length < sizeof what ? tensor->name.length : sizeof what - 1);
    ex_code code = EX_OK;
    for (uint64_t at = 0; at < tensor->n_bytes && code == EX_OK; at += PIECE) {
        const uint64_t n = tensor->n_bytes - at < PIECE ? tensor->n_bytes - at : PIECE;
        code = ex_writer_data(c->writer, (const char *)tensor->data + at, n, c->error);
        c->done += n;
        if (code == EX_OK && c->progress && !c->progress(c->context, c->done, c->total, what))
            code = ex_fail(c->error, EX_ERROR_ARGUMENT, 0, "stopped on request; nothing was written");
    }
    return code;
}

static ex_code copy_all(copy *c, const char *key, const char *text, size_t length) {
    const size_t n_tensors = ex_file_tensor_count(c->input);
    ex_code code = copy_keys(c, key, text, length);
    for (size_t i = 0; i < n_tensors && code == EX_OK; i++) {
        const ex_tensor *tensor = ex_file_tensor(c->input, i);
        c->total += tensor->n_bytes;
        code = ex_writer_declare(c->writer, tensor->name, tensor->type, tensor->n_dims, tensor->ne, c->error);
    }
    for (size_t i = 0; i < n_tensors && code == EX_OK; i++) code = copy_tensor(c, ex_file_tensor(c->input, i));
    return code;
}

ex_code ex_file_copy(const char *input, const char *output, const char *key, const char *text, size_t length,
                     ex_progress progress, void *context, ex_error *error) {
    if (!input || !output || !key || !text)
        return ex_fail(error, EX_ERROR_ARGUMENT, 0, "a copy needs input, output, key and text");
    copy c = {.progress = progress, .context = context, .error = error};
    ex_file *file = NULL;
    ex_code code = ex_file_open(&file, input, error);
    c.input = file;
    if (code == EX_OK) code = ex_file_check_types(file, error);
    if (code == EX_OK) code = ex_writer_open(&c.writer, output, error);
    if (code == EX_OK) {
        code = copy_all(&c, key, text, length);
        if (code == EX_OK) code = ex_writer_finish(c.writer, error);
        else ex_writer_abandon(c.writer);
    }
    ex_file_close(file);
    return code;
}
