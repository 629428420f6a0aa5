/* gguf_tensor.c - descriptions of tensors, and that their data lies in the file, in order, without gaps. */
#include "base/checked.h"
#include "base/error.h"
#include "base/tensor_type.h"
#include "file/gguf.h"
#include "file/reader.h"

#include <inttypes.h>

static ex_code read_dimensions(ex_reader *r, ex_tensor *tensor) {
    uint64_t start = r->at;
    ex_code code = ex_reader_u32(r, &tensor->n_dims, "a tensor's dimensions");
    if (code != EX_OK) return code;
    if (tensor->n_dims < 1 || tensor->n_dims > EX_GGUF_MAX_DIMS)
        return ex_reader_fault(r, EX_ERROR_FORMAT, start, "tensor '%.*s' has %u dimensions, it must have 1 to %d",
                               EX_SHOWN(tensor->name), tensor->n_dims, EX_GGUF_MAX_DIMS);
    for (uint32_t i = 0; i < EX_GGUF_MAX_DIMS; i++) {
        tensor->ne[i] = 1;
        start = r->at;
        if (i < tensor->n_dims) code = ex_reader_u64(r, &tensor->ne[i], "a tensor's dimensions");
        if (code != EX_OK) return code;
        if (tensor->ne[i] == 0 || tensor->ne[i] > INT64_MAX)
            return ex_reader_fault(r, EX_ERROR_FORMAT, start, "tensor '%.*s': dimension %u is %" PRIu64,
                                   EX_SHOWN(tensor->name), i, tensor->ne[i]);
    }
    return EX_OK;
}

static ex_code measure_tensor(const ex_reader *r, uint64_t position, ex_tensor *tensor) {
    static const ex_type_shape unknown = {"unknown", 1, 0}; /* its bytes are found with its place */
    const ex_type_shape *shape = ex_type_find(tensor->type);
    if (!shape) shape = &unknown;
    if (tensor->ne[0] % shape->block_elements != 0)
        return ex_reader_fault(r, EX_ERROR_FORMAT, position,
                               "tensor '%.*s': rows of %" PRIu64 " weights are no whole number of %s blocks of %u",
                               EX_SHOWN(tensor->name), tensor->ne[0], shape->name, shape->block_elements);
    uint64_t elements = tensor->ne[0];
    bool fits = ex_multiply(tensor->ne[0] / shape->block_elements, shape->block_bytes, &tensor->n_bytes);
    for (uint32_t i = 1; i < EX_GGUF_MAX_DIMS; i++)
        fits = fits && ex_multiply(elements, tensor->ne[i], &elements) &&
               ex_multiply(tensor->n_bytes, tensor->ne[i], &tensor->n_bytes);
    if (fits && elements <= INT64_MAX && tensor->n_bytes <= INT64_MAX) return EX_OK;
    return ex_reader_fault(r, EX_ERROR_FORMAT, position,
                           "tensor '%.*s': %" PRIu64 " x %" PRIu64 " x %" PRIu64 " x %" PRIu64
                           " weights of type %s are more than 64 bits can count",
                           EX_SHOWN(tensor->name), tensor->ne[0], tensor->ne[1], tensor->ne[2], tensor->ne[3],
                           shape->name);
}

static ex_code read_tensor(ex_reader *r, ex_tensor *tensor) {
    ex_code code = ex_reader_name(r, EX_GGUF_MAX_NAME, &tensor->name, "the name of a tensor");
    if (code == EX_OK) code = read_dimensions(r, tensor);
    uint64_t position_of_type = r->at;
    if (code == EX_OK) code = ex_reader_u32(r, &tensor->type, "the type of a tensor");
    if (code == EX_OK) code = measure_tensor(r, position_of_type, tensor);
    if (code == EX_OK) code = ex_reader_u64(r, &tensor->offset, "the offset of a tensor");
    return code;
}

ex_code ex_reader_tensors(ex_reader *r) {
    ex_file *file = r->file;
    ex_code code = ex_reader_check_count(r, 8, r->n_tensors, EX_LEAST_TENSOR_BYTES, "tensors");
    r->part->first_tensor = file->n_tensors;
    for (uint64_t i = 0; i < r->n_tensors && code == EX_OK; i++) {
        ex_tensor *tensors = ex_reader_grow(file->tensors, file->n_tensors, &file->tensor_capacity, sizeof *tensors);
        if (!tensors) return ex_fail_memory(r->error, "the tensors of the file");
        file->tensors = tensors;
        tensors[file->n_tensors].part = (uint32_t)(r->part - file->parts);
        code = read_tensor(r, &tensors[file->n_tensors]);
        if (code == EX_OK) file->n_tensors++;
    }
    r->part->described = r->at;
    return code;
}

static ex_code check_offset(const ex_reader *r, const ex_tensor *tensor, uint64_t expected) {
    const char *what = NULL;
    if (tensor->offset % r->part->alignment != 0)
        what = "is not a multiple of the file's alignment";
    else if (tensor->offset < expected)
        what = "overlaps the tensor before it";
    else if (tensor->offset > expected)
        what = "leaves a gap after the tensor before it";
    if (!what) return EX_OK;
    return ex_reader_fault(r, EX_ERROR_FORMAT, ex_reader_position(r, tensor->name),
                           "tensor '%.*s': offset %" PRIu64 " %s (alignment %" PRIu64 ", expected offset %" PRIu64 ")",
                           EX_SHOWN(tensor->name), tensor->offset, what, r->part->alignment, expected);
}

/* The bytes of a tensor whose type says nothing: up to the next one of the part, or to the end. */
static uint64_t bytes_up_to_next(const ex_tensor *tensor, const ex_tensor *next, uint64_t data_bytes) {
    uint64_t end = next ? next->offset : data_bytes;
    return end > tensor->offset ? end - tensor->offset : 1;
}

/* From offsets in the data section to places in the file. The last tensor need not be padded: some writers leave the
 * padding out. */
ex_code ex_reader_place_tensors(ex_reader *r) {
    if (!r->file->n_tensors) return EX_OK; /* then there is no list to point into */
    const ex_map *map = &r->part->map;
    uint64_t start = 0, expected = 0;
    bool fits = ex_round_up(r->part->described, r->part->alignment, &start);
    ex_tensor *tensor = r->file->tensors + r->part->first_tensor, *end_of_all = r->file->tensors + r->file->n_tensors;
    for (; tensor < end_of_all && &r->file->parts[tensor->part] == r->part; tensor++) {
        ex_code code = fits ? check_offset(r, tensor, expected) : EX_OK;
        if (code != EX_OK) return code;
        uint64_t end = 0;
        bool is_last = tensor + 1 == end_of_all || tensor[1].part != tensor->part;
        if (fits && !ex_type_find(tensor->type) && start < map->size)
            tensor->n_bytes = bytes_up_to_next(tensor, is_last ? NULL : tensor + 1, map->size - start);
        fits = fits && ex_add(start, tensor->offset, &tensor->offset) && ex_add(tensor->offset, tensor->n_bytes, &end);
        if (!fits || end > map->size)
            return ex_reader_fault(r, EX_ERROR_FORMAT, ex_reader_position(r, tensor->name),
                                   "tensor '%.*s' ends at byte %" PRIu64 ", past the end of the file (%" PRIu64 ")",
                                   EX_SHOWN(tensor->name), fits ? end : UINT64_MAX, map->size);
        tensor->data = map->data + tensor->offset;
        fits = ex_round_up(end - start, r->part->alignment, &expected);
    }
    return EX_OK;
}

static ex_code refuse_type(const ex_file *file, const ex_tensor *tensor, ex_error *error) {
    static const struct {
        uint32_t first, last;
        const char *what;
    } reasons[] = {
        {4, 5, "was removed from the format (Q4_2, Q4_3); convert the model again from its source"},
        {9, 9, "(Q8_1) is for activations and cannot be stored"},
        {15, 15, "(Q8_K) is for activations and cannot be stored"},
        {31, 33, "was removed from the format (Q4_0 repacked for one processor); quantise the model again as Q4_0"},
        {36, 38, "was removed from the format (IQ4_NL repacked for one processor); quantise the model again"},
        {97, 1023, "is private to the ik_llama.cpp fork; quantise the model again with a type of GGUF itself"},
    };
    const char *what = "is unknown to this program";
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (tensor->type >= reasons[i].first && tensor->type <= reasons[i].last) what = reasons[i].what;
    return ex_fail(error, EX_ERROR_UNSUPPORTED, tensor->offset, "%s: byte %" PRIu64 ": tensor '%.*s': type %u %s",
                   file->parts[tensor->part].path, tensor->offset, EX_SHOWN(tensor->name), tensor->type, what);
}

ex_code ex_file_check_types(const ex_file *file, ex_error *error) {
    for (size_t i = 0; i < file->n_tensors; i++)
        if (!ex_type_find(file->tensors[i].type)) return refuse_type(file, &file->tensors[i], error);
    return EX_OK;
}
