#include "file/gguf.h"

#include "base/checked.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/tensor_type.h"
#include "base/text.h"
#include "file/gguf_format.h"
#include "file/output.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { VERSION = 3, COUNTS_AT = 8, FIRST_CAPACITY = 64 };

typedef enum phase { PHASE_KEYS, PHASE_TENSORS, PHASE_DATA } phase;

typedef struct declared {
    char name[EX_GGUF_MAX_NAME + 1];
    uint64_t n_bytes;
} declared;

struct ex_writer {
    ex_output *output;
    phase phase;
    uint64_t n_keys;
    declared *tensors;
    size_t n_tensors, capacity;
    uint64_t next_offset; /* of the next tensor in the data section */
    size_t current;       /* tensor that data is for */
    uint64_t filled;      /* bytes of it that have come */
};

static const unsigned char zeros[EX_GGUF_ALIGNMENT];

static ex_code put(ex_writer *writer, const void *data, uint64_t n_bytes, ex_error *error) {
    return ex_output_write(writer->output, data, n_bytes, error);
}

static ex_code put_u32(ex_writer *writer, uint32_t value, ex_error *error) {
    return put(writer, &value, sizeof value, error);
}

static ex_code put_u64(ex_writer *writer, uint64_t value, ex_error *error) {
    return put(writer, &value, sizeof value, error);
}

static ex_code put_string(ex_writer *writer, const char *data, size_t length, ex_error *error) {
    ex_code code = put_u64(writer, length, error);
    return code == EX_OK ? put(writer, data, length, error) : code;
}

/* Zeros up to the alignment. */
static ex_code pad(ex_writer *writer, ex_error *error) {
    uint64_t over = ex_output_size(writer->output) % EX_GGUF_ALIGNMENT;
    return over ? put(writer, zeros, EX_GGUF_ALIGNMENT - over, error) : EX_OK;
}

static ex_code fail_misuse(const ex_writer *writer, ex_error *error, const char *what) {
    return ex_fail(error, EX_ERROR_ARGUMENT, 0, "%s: %s", ex_output_path(writer->output), what);
}

static ex_code check_name(const ex_writer *writer, ex_string name, size_t limit, const char *what, ex_error *error) {
    const char *wrong = ex_name_fault(name, limit);
    if (!wrong) return EX_OK;
    return ex_fail(error, EX_ERROR_ARGUMENT, 0, "%s: the name of a %s %s", ex_output_path(writer->output), what, wrong);
}

ex_code ex_writer_open(ex_writer **out, const char *path, ex_error *error) {
    *out = NULL;
    ex_writer *writer = ex_allocate(1, sizeof *writer);
    if (!writer) return ex_fail_memory(error, "a GGUF writer");
    ex_code code = ex_output_open(&writer->output, path, error);
    if (code == EX_OK) code = put(writer, EX_GGUF_MAGIC, 4, error);
    if (code == EX_OK) code = put_u32(writer, VERSION, error);
    for (int i = 0; i < 2 && code == EX_OK; i++) code = put_u64(writer, 0, error); /* counts: known at the end */
    if (code != EX_OK) {
        ex_writer_abandon(writer);
        return code;
    }
    *out = writer;
    return EX_OK;
}

/* ---- keys ---- */

static ex_code begin_key(ex_writer *writer, ex_string name, ex_value_type type, ex_error *error) {
    if (writer->phase != PHASE_KEYS) return fail_misuse(writer, error, "keys must be written before tensors");
    ex_code code = check_name(writer, name, EX_GGUF_MAX_KEY, "key", error);
    if (code == EX_OK) code = put_string(writer, name.data, name.length, error);
    if (code == EX_OK) code = put_u32(writer, (uint32_t)type, error);
    writer->n_keys++;
    return code;
}

static ex_code begin_array(ex_writer *writer, ex_string name, ex_value_type element, uint64_t n, ex_error *error) {
    ex_code code = begin_key(writer, name, EX_VALUE_ARRAY, error);
    if (code == EX_OK) code = put_u32(writer, (uint32_t)element, error);
    return code == EX_OK ? put_u64(writer, n, error) : code;
}

static ex_string name_of(const char *name) { return (ex_string){name, strlen(name)}; }

static ex_code scalar(ex_writer *writer, const char *name, ex_value_type type, const void *value, ex_error *error) {
    ex_code code = begin_key(writer, name_of(name), type, error);
    return code == EX_OK ? put(writer, value, ex_value_bytes(type), error) : code;
}

static ex_code array(ex_writer *writer, const char *name, ex_value_type element, const void *values, size_t n,
                     ex_error *error) {
    ex_code code = begin_array(writer, name_of(name), element, n, error);
    return code == EX_OK ? put(writer, values, (uint64_t)n * ex_value_bytes(element), error) : code;
}

ex_code ex_writer_copy_key(ex_writer *writer, const ex_key *key, ex_error *error) {
    bool is_split = key->name.length > 6 && memcmp(key->name.data, "split.", 6) == 0;
    if (is_split || ex_string_is(key->name, "general.alignment")) return EX_OK;
    ex_code code = key->type == EX_VALUE_ARRAY ? begin_array(writer, key->name, key->element, key->count, error)
                                               : begin_key(writer, key->name, key->type, error);
    return code == EX_OK ? put(writer, key->data, key->n_bytes, error) : code;
}

ex_code ex_writer_string(ex_writer *writer, const char *name, const char *data, size_t length, ex_error *error) {
    ex_code code = begin_key(writer, name_of(name), EX_VALUE_STRING, error);
    return code == EX_OK ? put_string(writer, data, length, error) : code;
}

ex_code ex_writer_u32(ex_writer *writer, const char *name, uint32_t value, ex_error *error) {
    return scalar(writer, name, EX_VALUE_U32, &value, error);
}

ex_code ex_writer_f32(ex_writer *writer, const char *name, float value, ex_error *error) {
    return scalar(writer, name, EX_VALUE_F32, &value, error);
}

ex_code ex_writer_bool(ex_writer *writer, const char *name, bool value, ex_error *error) {
    uint8_t byte = value;
    return scalar(writer, name, EX_VALUE_BOOL, &byte, error);
}

ex_code ex_writer_i32_array(ex_writer *writer, const char *name, const int32_t *values, size_t n, ex_error *error) {
    return array(writer, name, EX_VALUE_I32, values, n, error);
}

ex_code ex_writer_f32_array(ex_writer *writer, const char *name, const float *values, size_t n, ex_error *error) {
    return array(writer, name, EX_VALUE_F32, values, n, error);
}

ex_code ex_writer_string_array(ex_writer *writer, const char *name, const ex_string *values, size_t n,
                               ex_error *error) {
    ex_code code = begin_array(writer, name_of(name), EX_VALUE_STRING, n, error);
    for (size_t i = 0; i < n && code == EX_OK; i++) code = put_string(writer, values[i].data, values[i].length, error);
    return code;
}

/* ---- tensors ---- */

static bool tensor_bytes(uint32_t type, uint32_t n_dims, const uint64_t *ne, uint64_t *n_bytes) {
    if (n_dims < 1 || n_dims > EX_GGUF_MAX_DIMS || ne[0] == 0) return false;
    if (!ex_type_row_bytes(type, ne[0], n_bytes)) return false;
    for (uint32_t i = 1; i < n_dims; i++)
        if (ne[i] == 0 || !ex_multiply(*n_bytes, ne[i], n_bytes)) return false;
    return true;
}

static ex_code remember(ex_writer *writer, ex_string name, uint64_t n_bytes, ex_error *error) {
    if (writer->n_tensors == writer->capacity) {
        size_t capacity = writer->capacity ? writer->capacity * 2 : FIRST_CAPACITY;
        declared *larger = ex_allocate(capacity, sizeof *larger);
        if (!larger) return ex_fail_memory(error, "the list of tensors");
        if (writer->n_tensors) memcpy(larger, writer->tensors, writer->n_tensors * sizeof *larger);
        free(writer->tensors);
        writer->tensors = larger;
        writer->capacity = capacity;
    }
    declared *tensor = &writer->tensors[writer->n_tensors++];
    memcpy(tensor->name, name.data, name.length);
    tensor->n_bytes = n_bytes;
    return EX_OK;
}

ex_code ex_writer_declare(ex_writer *writer, ex_string name, uint32_t type, uint32_t n_dims, const uint64_t *ne,
                          ex_error *error) {
    if (writer->phase == PHASE_DATA) return fail_misuse(writer, error, "tensors must be declared before any data");
    writer->phase = PHASE_TENSORS;
    ex_code code = check_name(writer, name, EX_GGUF_MAX_NAME, "tensor", error);
    if (code != EX_OK) return code;
    uint64_t n_bytes, padded, offset = writer->next_offset;
    if (!tensor_bytes(type, n_dims, ne, &n_bytes) || !ex_round_up(n_bytes, EX_GGUF_ALIGNMENT, &padded) ||
        !ex_add(offset, padded, &writer->next_offset))
        return ex_fail(error, EX_ERROR_ARGUMENT, 0, "%s: tensor '%.*s' of type %u has a shape that cannot be stored",
                       ex_output_path(writer->output), EX_SHOWN(name), type);
    code = remember(writer, name, n_bytes, error);
    if (code == EX_OK) code = put_string(writer, name.data, name.length, error);
    if (code == EX_OK) code = put_u32(writer, n_dims, error);
    if (code == EX_OK) code = put(writer, ne, n_dims * sizeof *ne, error);
    if (code == EX_OK) code = put_u32(writer, type, error);
    return code == EX_OK ? put_u64(writer, offset, error) : code;
}

ex_code ex_writer_data(ex_writer *writer, const void *data, uint64_t n_bytes, ex_error *error) {
    ex_code code = writer->phase == PHASE_DATA ? EX_OK : pad(writer, error);
    writer->phase = PHASE_DATA;
    if (code != EX_OK) return code;
    if (writer->current == writer->n_tensors) return fail_misuse(writer, error, "more data than tensors were declared");
    const declared *tensor = &writer->tensors[writer->current];
    if (n_bytes > tensor->n_bytes - writer->filled)
        return ex_fail(error, EX_ERROR_ARGUMENT, 0,
                       "%s: tensor '%s' was declared with %" PRIu64 " bytes, but gets %" PRIu64,
                       ex_output_path(writer->output), tensor->name, tensor->n_bytes, writer->filled + n_bytes);
    code = put(writer, data, n_bytes, error);
    if (code != EX_OK) return code;
    writer->filled += n_bytes;
    if (writer->filled < tensor->n_bytes) return EX_OK;
    writer->current++;
    writer->filled = 0;
    return pad(writer, error);
}

/* ---- the end ---- */

static ex_code check_complete(const ex_writer *writer, ex_error *error) {
    if (writer->current == writer->n_tensors) return EX_OK;
    const declared *tensor = &writer->tensors[writer->current];
    return ex_fail(error, EX_ERROR_ARGUMENT, 0, "%s: tensor '%s' was declared with %" PRIu64 " bytes, but got %" PRIu64,
                   ex_output_path(writer->output), tensor->name, tensor->n_bytes, writer->filled);
}

static ex_code read_back(const ex_writer *writer, ex_error *error) {
    ex_file *file;
    ex_code code = ex_file_open(&file, ex_output_temporary(writer->output), error);
    ex_file_close(file);
    return code;
}

ex_code ex_writer_finish(ex_writer *writer, ex_error *error) {
    ex_code code = check_complete(writer, error);
    if (code == EX_OK && writer->phase != PHASE_DATA) code = pad(writer, error);
    uint64_t counts[] = {writer->n_tensors, writer->n_keys};
    if (code == EX_OK) code = ex_output_patch(writer->output, COUNTS_AT, counts, sizeof counts, error);
    if (code == EX_OK) code = read_back(writer, error);
    if (code == EX_OK) {
        code = ex_output_finish(writer->output, error);
        writer->output = NULL;
    }
    ex_writer_abandon(writer);
    return code;
}

void ex_writer_abandon(ex_writer *writer) {
    if (!writer) return;
    ex_output_abandon(writer->output);
    free(writer->tensors);
    free(writer);
}
