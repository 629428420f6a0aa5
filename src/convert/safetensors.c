#include "convert/safetensors.h"

#include "base/checked.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/tensor_type.h"
#include "base/text.h"
#include "convert/source.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    LENGTH_BYTES = 8,
    HEADER_MAX = 100000000, /* the format's own limit */
    FILES_MAX = 10000
};

static const char index_name[] = "model.safetensors.index.json", single_name[] = "model.safetensors";

static const ex_dtype dtypes[] = {
    {"F16", 2, EX_TYPE_F16}, {"BF16", 2, EX_TYPE_BF16}, {"F32", 4, EX_TYPE_F32}, {"F64", 8, -1},
    {"I64", 8, -1},          {"I32", 4, -1},            {"I16", 2, -1},          {"I8", 1, -1},
    {"U64", 8, -1},          {"U32", 4, -1},            {"U16", 2, -1},          {"U8", 1, -1},
    {"BOOL", 1, -1},         {"F8_E4M3", 1, -1},        {"F8_E5M2", 1, -1},      {"F8_E8M0", 1, -1},
    {"C64", 8, -1},
};

static const ex_dtype *find_dtype(ex_string name) {
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
        if (ex_string_is(name, dtypes[i].name)) return &dtypes[i];
    return NULL;
}

/* ---- one entry of a header ---- */

typedef struct header { /* of a file that is being read */
    const ex_safetensors_file *file;
    uint64_t data_bytes; /* behind it */
    ex_error *error;
} header;

static ex_code fail_entry(const header *h, ex_string name, uint64_t offset, const char *what) {
    return ex_source_fail(h->file->path, EX_ERROR_FORMAT, offset, h->error, "tensor '%.*s' %s", EX_QUOTED(name), what);
}

static ex_code read_dtype(const header *h, const ex_json *entry, ex_weight *out) {
    const ex_json *dtype = ex_json_member(entry, "dtype");
    if (!dtype || dtype->kind != EX_JSON_TEXT)
        return fail_entry(h, out->name, entry->offset, "has no text 'dtype'");
    out->dtype = find_dtype(dtype->as.text);
    if (out->dtype) return EX_OK;
    return ex_source_fail(h->file->path, EX_ERROR_UNSUPPORTED, dtype->offset, h->error,
                          "tensor '%.*s' has the type '%.*s', which is unknown to this program", EX_QUOTED(out->name),
                          EX_QUOTED(dtype->as.text));
}

static ex_code read_shape(const header *h, const ex_json *entry, ex_weight *out) {
    const ex_json *shape = ex_json_member(entry, "shape"), *item = NULL;
    if (!shape || shape->kind != EX_JSON_LIST) return fail_entry(h, out->name, entry->offset, "has no list 'shape'");
    if (shape->count > EX_SAFETENSORS_DIMS)
        return fail_entry(h, out->name, shape->offset, "has more than four dimensions");
    while ((item = ex_json_next(shape, item))) {
        if (item->kind != EX_JSON_INTEGER || item->as.integer < 0)
            return fail_entry(h, out->name, item->offset, "has a dimension that is no size");
        out->shape[out->n_dims++] = (uint64_t)item->as.integer;
    }
    return EX_OK;
}

static ex_code read_place(const header *h, const ex_json *entry, ex_weight *out) {
    const ex_json *offsets = ex_json_member(entry, "data_offsets");
    if (!offsets || offsets->kind != EX_JSON_LIST || offsets->count != 2)
        return fail_entry(h, out->name, entry->offset, "has no list 'data_offsets' of two");
    const ex_json *begin = ex_json_next(offsets, NULL), *end = ex_json_next(offsets, begin);
    if (begin->kind != EX_JSON_INTEGER || end->kind != EX_JSON_INTEGER || begin->as.integer < 0 ||
        end->as.integer < begin->as.integer)
        return fail_entry(h, out->name, offsets->offset, "has data_offsets that are no range of bytes");
    out->begin = (uint64_t)begin->as.integer;
    out->end = (uint64_t)end->as.integer;
    if (out->end > h->data_bytes)
        return ex_source_fail(h->file->path, EX_ERROR_FORMAT, offsets->offset, h->error,
                              "tensor '%.*s' ends at byte %" PRIu64 " of the data, but there are %" PRIu64,
                              EX_QUOTED(out->name), out->end, h->data_bytes);
    uint64_t n_bytes = out->dtype->n_bytes;
    bool fits = true;
    for (size_t i = 0; i < out->n_dims; i++) fits = fits && ex_multiply(n_bytes, out->shape[i], &n_bytes);
    if (!fits || n_bytes != out->end - out->begin)
        return ex_source_fail(h->file->path, EX_ERROR_FORMAT, offsets->offset, h->error,
                              "tensor '%.*s' has %" PRIu64 " bytes, which is not what its shape needs in %s",
                              EX_QUOTED(out->name), out->end - out->begin, out->dtype->name);
    out->data = h->file->map.data + (h->file->map.size - h->data_bytes) + out->begin;
    return EX_OK;
}

static ex_code add_weight(ex_safetensors *all, const header *h, const ex_json *entry) {
    if (all->n_weights == all->capacity) {
        size_t capacity = all->capacity ? all->capacity * 2 : 256;
        ex_weight *larger = ex_allocate(capacity, sizeof *larger);
        if (!larger) return ex_fail_memory(h->error, "the list of tensors");
        if (all->n_weights) memcpy(larger, all->weights, all->n_weights * sizeof *larger);
        free(all->weights);
        all->weights = larger;
        all->capacity = capacity;
    }
    ex_weight *weight = &all->weights[all->n_weights];
    *weight = (ex_weight){.name = entry->name, .offset = entry->offset, .path = h->file->path};
    if (entry->kind != EX_JSON_MAP) return fail_entry(h, entry->name, entry->offset, "is not described by a map");
    ex_code code = read_dtype(h, entry, weight);
    if (code == EX_OK) code = read_shape(h, entry, weight);
    if (code == EX_OK) code = read_place(h, entry, weight);
    if (code == EX_OK) all->n_weights++;
    return code;
}

/* ---- one file ---- */

static int compare_places(const void *a, const void *b) {
    const ex_weight *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

/* The format wants the data of all tensors one after the other and nothing else. */
static ex_code check_places(const header *h, ex_safetensors *all, size_t first) {
    ex_weight *weights = all->weights;
    if (all->n_weights > first) qsort(weights + first, all->n_weights - first, sizeof *weights, compare_places);
    uint64_t expected = 0;
    for (size_t i = first; i < all->n_weights; i++) {
        if (weights[i].begin != expected)
            return fail_entry(h, weights[i].name, weights[i].offset,
                              weights[i].begin < expected ? "overlaps the tensor before it"
                                                          : "leaves a gap after the tensor before it");
        expected = weights[i].end;
    }
    if (expected == h->data_bytes) return EX_OK;
    uint64_t position = h->file->map.size - h->data_bytes + expected;
    return ex_source_fail(h->file->path, EX_ERROR_FORMAT, position, h->error,
                          "%" PRIu64 " bytes follow the last tensor", h->data_bytes - expected);
}

static ex_code read_header(ex_safetensors_file *file, header *h) {
    uint64_t length;
    if (file->map.size < LENGTH_BYTES)
        return ex_source_fail(file->path, EX_ERROR_FORMAT, 0, h->error, "the file ends inside the header's length");
    memcpy(&length, file->map.data, sizeof length);
    if (length > file->map.size - LENGTH_BYTES || length > HEADER_MAX)
        return ex_source_fail(file->path, EX_ERROR_FORMAT, 0, h->error,
                              "the header is said to have %" PRIu64 " bytes, but the file has %" PRIu64
                              " in all: this is no safetensors file, or it is cut",
                              length, file->map.size);
    h->data_bytes = file->map.size - LENGTH_BYTES - length;
    ex_code code = ex_json_read(&file->header, (const char *)file->map.data + LENGTH_BYTES, (size_t)length, file->path,
                                LENGTH_BYTES, h->error);
    if (code != EX_OK || file->header.nodes->kind == EX_JSON_MAP) return code;
    return ex_source_fail(file->path, EX_ERROR_FORMAT, LENGTH_BYTES, h->error, "the header is no map of tensors");
}

/* Takes `path`. */
static ex_code read_file(ex_safetensors *all, char *path, ex_error *error) {
    if (!path) return ex_fail_memory(error, "a file name");
    ex_safetensors_file *file = &all->files[all->n_files++];
    file->path = path;
    header h = {.file = file, .error = error};
    size_t first = all->n_weights;
    ex_code code = ex_map_open(&file->map, path, error);
    if (code == EX_OK) code = read_header(file, &h);
    if (code != EX_OK) return code;
    for (const ex_json *entry = NULL; code == EX_OK && (entry = ex_json_next(file->header.nodes, entry));)
        if (!ex_string_is(entry->name, "__metadata__")) code = add_weight(all, &h, entry);
    return code == EX_OK ? check_places(&h, all, first) : code;
}

static ex_code take_files(ex_safetensors *all, size_t n, ex_error *error) {
    all->files = ex_allocate(n, sizeof *all->files);
    return all->files ? EX_OK : ex_fail_memory(error, "the list of files");
}

/* ---- all of them ---- */

static int compare_names(const void *a, const void *b) {
    ex_string x = ((const ex_weight *)a)->name, y = ((const ex_weight *)b)->name;
    int order = memcmp(x.data, y.data, x.length < y.length ? x.length : y.length);
    return order ? order : (x.length > y.length) - (x.length < y.length);
}

static ex_code sort_names(ex_safetensors *all, ex_error *error) {
    if (all->n_weights) qsort(all->weights, all->n_weights, sizeof *all->weights, compare_names);
    for (size_t i = 1; i < all->n_weights; i++) {
        const ex_weight *weight = &all->weights[i];
        if (compare_names(weight - 1, weight) == 0)
            return ex_source_fail(weight->path, EX_ERROR_FORMAT, weight->offset, error,
                                  "tensor '%.*s' is also in %s", EX_QUOTED(weight->name), weight[-1].path);
    }
    return EX_OK;
}

static const ex_weight *find(const ex_safetensors *all, ex_string name) {
    ex_weight wanted = {.name = name};
    return all->n_weights ? bsearch(&wanted, all->weights, all->n_weights, sizeof wanted, compare_names) : NULL;
}

ex_weight *ex_safetensors_find(const ex_safetensors *tensors, const char *name) {
    return (ex_weight *)(uintptr_t)find(tensors, (ex_string){name, strlen(name)});
}

/* A name in the index is a file of the same folder and nothing else. */
static bool is_plain_name(const ex_json *value) {
    if (value->kind != EX_JSON_TEXT || value->as.text.length == 0 || value->as.text.length > 255) return false;
    ex_string name = value->as.text;
    return !memchr(name.data, '/', name.length) && !memchr(name.data, '\0', name.length) && name.data[0] != '.';
}

static bool is_open(const ex_safetensors *all, const char *path) {
    for (size_t i = all->n_files; i-- > 0;)
        if (strcmp(all->files[i].path, path) == 0) return true;
    return false;
}

static ex_code open_named(ex_safetensors *all, const ex_source *index, const char *folder, const ex_json *value,
                          ex_error *error) {
    char name[256];
    if (!is_plain_name(value))
        return ex_source_fail(index->path, EX_ERROR_FORMAT, value->offset, error,
                              "the place of tensor '%.*s' is no name of a file in this folder", EX_QUOTED(value->name));
    memcpy(name, value->as.text.data, value->as.text.length);
    name[value->as.text.length] = '\0';
    char *path = ex_source_path(folder, name);
    if (path && is_open(all, path)) {
        free(path);
        return EX_OK;
    }
    if (all->n_files < FILES_MAX) return read_file(all, path, error);
    free(path);
    return ex_source_fail(index->path, EX_ERROR_FORMAT, value->offset, error, "the index names too many files");
}

static ex_code check_index(const ex_safetensors *all, const ex_source *index, const ex_json *places, ex_error *error) {
    for (const ex_json *place = NULL; (place = ex_json_next(places, place));)
        if (!find(all, place->name))
            return ex_source_fail(index->path, EX_ERROR_FORMAT, place->offset, error,
                                  "tensor '%.*s' is in the index, but not in %.*s", EX_QUOTED(place->name),
                                  EX_QUOTED(place->as.text));
    return EX_OK;
}

static ex_code open_indexed(ex_safetensors *all, const char *folder, const ex_source *index, ex_error *error) {
    const ex_json *places = ex_json_member(index->map, "weight_map");
    if (!places || places->kind != EX_JSON_MAP)
        return ex_source_fail(index->path, EX_ERROR_FORMAT, index->map->offset, error, "there is no map 'weight_map'");
    ex_code code = take_files(all, places->count < FILES_MAX ? places->count : FILES_MAX, error);
    for (const ex_json *place = NULL; code == EX_OK && (place = ex_json_next(places, place));)
        code = open_named(all, index, folder, place, error);
    if (code == EX_OK) code = sort_names(all, error);
    return code == EX_OK ? check_index(all, index, places, error) : code;
}

static ex_code open_single(ex_safetensors *all, const char *folder, ex_error *error) {
    char *path = ex_source_path(folder, single_name);
    if (!path) return ex_fail_memory(error, "a file name");
    if (access(path, F_OK) != 0) {
        free(path);
        return ex_fail(error, EX_ERROR_IO, 0,
                       "%s holds neither %s nor %s; weights of other formats cannot be converted", folder, single_name,
                       index_name);
    }
    ex_code code = take_files(all, 1, error);
    if (code == EX_OK) code = read_file(all, path, error);
    else free(path);
    return code == EX_OK ? sort_names(all, error) : code;
}

ex_code ex_safetensors_open(ex_safetensors *out, const char *folder, ex_error *error) {
    ex_source index = {0};
    ex_code code = ex_source_open(&index, folder, index_name, false, error);
    if (code == EX_OK) code = index.map ? open_indexed(out, folder, &index, error) : open_single(out, folder, error);
    ex_source_close(&index);
    return code;
}

void ex_safetensors_close(ex_safetensors *tensors) {
    for (size_t i = 0; i < tensors->n_files; i++) {
        ex_map_close(&tensors->files[i].map);
        ex_json_free(&tensors->files[i].header);
        free(tensors->files[i].path);
    }
    free(tensors->files);
    free(tensors->weights);
    *tensors = (ex_safetensors){0};
}
