/* gguf_read.c - GGUF versions 2 and 3, read in place: header, keys, lookup by name. */
#include "base/error.h"
#include "base/memory.h"
#include "file/foreign.h"
#include "file/reader.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    LOWEST_ALIGNMENT = 8,
    HIGHEST_ALIGNMENT = 1 << 20,
    LEAST_KEY_BYTES = 8 + 1 + 4 + 1 /* name of one byte, type, u8 */
};

/* ---- header ---- */

static ex_code refuse_version(const ex_reader *r, uint32_t version) {
    uint32_t swapped = __builtin_bswap32(version);
    if (swapped >= 1 && swapped <= 3)
        return ex_reader_fault(r, EX_ERROR_UNSUPPORTED, 4,
                               "this is a big-endian GGUF file; convert it to little-endian");
    if (version == 0) return ex_reader_fault(r, EX_ERROR_FORMAT, 4, "GGUF version 0 does not exist");
    if (version == 1)
        return ex_reader_fault(r, EX_ERROR_UNSUPPORTED, 4,
                               "GGUF version 1 is obsolete (versions 2 and 3 are read); convert the "
                               "model again from its source");
    return ex_reader_fault(r, EX_ERROR_UNSUPPORTED, 4, "GGUF version %u is newer than this program knows (2 and 3)",
                           version);
}

static ex_code read_magic(ex_reader *r) {
    const ex_map *map = &r->part->map;
    if (map->size >= 4 && memcmp(map->data, EX_GGUF_MAGIC, 4) == 0) {
        r->at = 4;
        return EX_OK;
    }
    const char *what = ex_foreign_name(map->data, map->size);
    if (what) return ex_reader_fault(r, EX_ERROR_FORMAT, 0, "this is not a GGUF file but %s", what);
    return ex_reader_fault(r, EX_ERROR_FORMAT, 0, "this is not a GGUF file: it does not begin with the letters GGUF");
}

static ex_code read_header(ex_reader *r) {
    ex_code code = read_magic(r);
    if (code == EX_OK) code = ex_reader_u32(r, &r->file->version, "the header");
    if (code != EX_OK) return code;
    if (r->file->version != 2 && r->file->version != 3) return refuse_version(r, r->file->version);
    code = ex_reader_u64(r, &r->n_tensors, "the header");
    if (code == EX_OK) code = ex_reader_u64(r, &r->n_keys, "the header");
    if (code == EX_OK) code = ex_reader_check_count(r, 8, r->n_tensors, EX_LEAST_TENSOR_BYTES, "tensors");
    if (code == EX_OK) code = ex_reader_check_count(r, 16, r->n_keys, LEAST_KEY_BYTES, "keys");
    return code;
}

/* ---- keys ---- */

static ex_code read_value_type(ex_reader *r, ex_string name, ex_value_type *out) {
    uint64_t start = r->at;
    uint32_t type = 0;
    ex_code code = ex_reader_u32(r, &type, "the type of a key");
    if (code != EX_OK) return code;
    if (type >= EX_VALUE_TYPES)
        return ex_reader_fault(r, EX_ERROR_FORMAT, start, "key '%.*s' has value type %u, which does not exist",
                               EX_SHOWN(name), type);
    *out = (ex_value_type)type;
    return EX_OK;
}

static ex_code read_array_head(ex_reader *r, ex_key *key) {
    uint64_t start = r->at;
    ex_code code = read_value_type(r, key->name, &key->element);
    if (code != EX_OK) return code;
    if (key->element == EX_VALUE_ARRAY)
        return ex_reader_fault(r, EX_ERROR_UNSUPPORTED, start, "key '%.*s' is an array of arrays, which no model needs",
                               EX_SHOWN(key->name));
    start = r->at;
    code = ex_reader_u64(r, &key->count, "the length of an array");
    if (code != EX_OK) return code;
    if (key->count <= ex_reader_left(r) / ex_value_bytes(key->element)) return EX_OK;
    return ex_reader_fault(r, EX_ERROR_FORMAT, start,
                           "key '%.*s' announces %" PRIu64 " values of type %s, more than the %" PRIu64
                           " bytes left can hold",
                           EX_SHOWN(key->name), key->count, ex_value_type_name(key->element), ex_reader_left(r));
}

static ex_code read_strings(ex_reader *r, const ex_key *key) {
    for (uint64_t i = 0; i < key->count; i++) {
        uint64_t start = r->at, length = 0;
        ex_code code = ex_reader_u64(r, &length, "a string");
        if (code != EX_OK) return code;
        if (length > ex_reader_left(r))
            return ex_reader_fault(r, EX_ERROR_FORMAT, start,
                                   "string %" PRIu64 " of key '%.*s' is %" PRIu64
                                   " bytes long, but the file ends after %" PRIu64,
                                   i, EX_SHOWN(key->name), length, ex_reader_left(r));
        r->at += length;
    }
    return EX_OK;
}

static ex_code check_booleans(const ex_reader *r, const ex_key *key) {
    const unsigned char *values = key->data;
    for (uint64_t i = 0; i < key->count; i++)
        if (values[i] > 1)
            return ex_reader_fault(r, EX_ERROR_FORMAT, key->offset + i, "key '%.*s' is a bool with the value %u",
                                   EX_SHOWN(key->name), values[i]);
    return EX_OK;
}

static ex_code read_values(ex_reader *r, ex_key *key) {
    key->offset = r->at;
    key->data = r->part->map.data + r->at;
    ex_code code;
    if (key->element == EX_VALUE_STRING)
        code = read_strings(r, key);
    else
        code = ex_reader_take(r, key->count * ex_value_bytes(key->element), "a value") ? EX_OK : EX_ERROR_FORMAT;
    if (code != EX_OK) return code;
    key->n_bytes = r->at - key->offset;
    return key->element == EX_VALUE_BOOL ? check_booleans(r, key) : EX_OK;
}

static ex_code read_key(ex_reader *r, ex_key *key) {
    ex_code code = ex_reader_name(r, EX_GGUF_MAX_KEY, &key->name, "the name of a key");
    if (code == EX_OK) code = read_value_type(r, key->name, &key->type);
    if (code != EX_OK) return code;
    key->element = key->type;
    key->count = 1;
    if (key->type == EX_VALUE_ARRAY) code = read_array_head(r, key);
    return code == EX_OK ? read_values(r, key) : code;
}

static ex_code read_keys(ex_reader *r) {
    ex_key_list *list = r->keys;
    for (size_t capacity = 0; list->count < r->n_keys; list->count++) {
        ex_key *keys = ex_reader_grow(list->items, list->count, &capacity, sizeof *keys);
        if (!keys) return ex_fail_memory(r->error, "the keys of the file");
        list->items = keys;
        ex_code code = read_key(r, &keys[list->count]);
        if (code != EX_OK) return code;
    }
    return EX_OK;
}

/* ---- lookup by name ---- */

static int compare_names(const ex_string *a, const ex_string *b) {
    size_t common = a->length < b->length ? a->length : b->length;
    int order = memcmp(a->data, b->data, common);
    return order ? order : (a->length > b->length) - (a->length < b->length);
}

static int compare_entries(const void *a, const void *b) {
    return compare_names(*(const ex_string *const *)a, *(const ex_string *const *)b);
}

/* Keys and tensors both begin with their name, so one index serves both: pointers to names, sorted. A hash would be
 * faster by nothing that counts, and a file can be made so that all its names collide. `twice` is the second of two
 * entries with one name, or NULL. */
static ex_code build_index(const ex_reader *r, const void *items, size_t count, size_t size, const ex_string ***out,
                           const ex_string **twice) {
    *twice = NULL;
    const ex_string **index = ex_allocate(count, sizeof *index);
    if (!index) return ex_fail_memory(r->error, "the index of names");
    *out = index;
    for (size_t i = 0; i < count; i++) index[i] = (const ex_string *)(const void *)((const char *)items + i * size);
    qsort(index, count, sizeof *index, compare_entries);
    for (size_t i = 1; i < count && !*twice; i++)
        if (compare_names(index[i - 1], index[i]) == 0) *twice = index[i] > index[i - 1] ? index[i] : index[i - 1];
    return EX_OK;
}

static ex_code fail_twice(const ex_reader *r, const char *what, ex_string name) {
    return ex_reader_fault(r, EX_ERROR_FORMAT, ex_reader_position(r, name), "%s '%.*s' occurs twice", what,
                           EX_SHOWN(name));
}

static ex_code index_keys(ex_reader *r) {
    const ex_string *twice;
    ex_key_list *keys = r->keys;
    ex_code code = build_index(r, keys->items, keys->count, sizeof *keys->items, &keys->by_name, &twice);
    return code == EX_OK && twice ? fail_twice(r, "key", *twice) : code;
}

static ex_code index_tensors(ex_reader *r) {
    const ex_string *twice;
    ex_file *file = r->file;
    ex_code code =
        build_index(r, file->tensors, file->n_tensors, sizeof *file->tensors, &file->tensors_by_name, &twice);
    if (code != EX_OK || !twice) return code;
    r->part = &file->parts[((const ex_tensor *)(const void *)twice)->part];
    return fail_twice(r, "tensor", *twice);
}

static const ex_string *find_name(const ex_string *const *index, size_t count, const char *name) {
    ex_string wanted = {name, strlen(name)};
    for (size_t low = 0, high = count; low < high;) {
        size_t middle = low + (high - low) / 2;
        int order = compare_names(&wanted, index[middle]);
        if (order == 0) return index[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

const ex_key *ex_reader_find_key(const ex_key_list *keys, const char *name) {
    return (const ex_key *)(const void *)find_name(keys->by_name, keys->count, name);
}

static ex_code read_alignment(ex_reader *r) {
    r->part->alignment = EX_GGUF_ALIGNMENT;
    const ex_key *key = ex_reader_find_key(r->keys, "general.alignment");
    if (!key) return EX_OK;
    if (key->type != EX_VALUE_U32)
        return ex_reader_fault(r, EX_ERROR_FORMAT, key->offset, "general.alignment has type %s, it must be u32",
                               ex_value_type_name(key->type));
    int64_t value = 0;
    ex_key_integer(key, 0, &value);
    if (value < LOWEST_ALIGNMENT || value > HIGHEST_ALIGNMENT || (value & (value - 1)) != 0)
        return ex_reader_fault(r, EX_ERROR_FORMAT, key->offset,
                               "general.alignment is %" PRId64 ", it must be a power of two from %d to %d", value,
                               LOWEST_ALIGNMENT, HIGHEST_ALIGNMENT);
    r->part->alignment = (uint64_t)value;
    return EX_OK;
}

/* ---- parts ---- */

ex_code ex_reader_part(ex_reader *r) {
    r->at = 0;
    ex_code code = ex_map_open(&r->part->map, r->part->path, r->error);
    if (code == EX_OK) code = read_header(r);
    if (code == EX_OK) code = read_keys(r);
    if (code == EX_OK) code = index_keys(r);
    if (code == EX_OK) code = read_alignment(r);
    return code == EX_OK ? ex_reader_tensors(r) : code;
}

void ex_reader_free_keys(ex_key_list *keys) {
    free(keys->by_name);
    free(keys->items);
    *keys = (ex_key_list){0};
}

static ex_code read_file(ex_reader *r) {
    ex_file *file = r->file;
    ex_code code = ex_reader_part(r);
    if (code == EX_OK) code = ex_reader_split(r);
    if (code == EX_OK) code = index_tensors(r);
    for (size_t i = 0; i < file->n_parts && code == EX_OK; i++) {
        r->part = &file->parts[i];
        code = ex_reader_place_tensors(r);
    }
    return code;
}

/* ---- the public face ---- */

static ex_code begin(ex_file *file, const char *path, ex_error *error) {
    file->parts = ex_allocate(1, sizeof *file->parts);
    if (!file->parts) return ex_fail_memory(error, "the file");
    file->n_parts = 1;
    file->parts->path = strdup(path);
    return file->parts->path ? EX_OK : ex_fail_memory(error, "the file's path");
}

ex_code ex_file_open(ex_file **out, const char *path, ex_error *error) {
    *out = NULL;
    if (!path) return ex_fail(error, EX_ERROR_ARGUMENT, 0, "no file was named");
    ex_file *file = ex_allocate(1, sizeof *file);
    if (!file) return ex_fail_memory(error, "the file");
    ex_code code = begin(file, path, error);
    if (code == EX_OK)
        code = read_file(&(ex_reader){.file = file, .part = file->parts, .keys = &file->keys, .error = error});
    if (code != EX_OK) {
        ex_file_close(file);
        return code;
    }
    *out = file;
    return EX_OK;
}

void ex_file_close(ex_file *file) {
    if (!file) return;
    for (size_t i = 0; i < file->n_parts; i++) {
        ex_map_close(&file->parts[i].map);
        free(file->parts[i].path);
    }
    ex_reader_free_keys(&file->keys);
    free(file->tensors_by_name);
    free(file->tensors);
    free(file->parts);
    free(file);
}

const char *ex_file_path(const ex_file *file) { return file->parts->path; }

size_t ex_file_part_count(const ex_file *file) { return file->n_parts; }

const char *ex_file_part_path(const ex_file *file, size_t part) {
    return part < file->n_parts ? file->parts[part].path : NULL;
}

uint64_t ex_file_size(const ex_file *file) {
    uint64_t size = 0;
    for (size_t i = 0; i < file->n_parts; i++) size += file->parts[i].map.size;
    return size;
}

uint32_t ex_file_version(const ex_file *file) { return file->version; }

size_t ex_file_key_count(const ex_file *file) { return file->keys.count; }

const ex_key *ex_file_key(const ex_file *file, size_t index) {
    return index < file->keys.count ? &file->keys.items[index] : NULL;
}

const ex_key *ex_file_find_key(const ex_file *file, const char *name) {
    return ex_reader_find_key(&file->keys, name);
}

size_t ex_file_tensor_count(const ex_file *file) { return file->n_tensors; }

const ex_tensor *ex_file_tensor(const ex_file *file, size_t index) {
    return index < file->n_tensors ? &file->tensors[index] : NULL;
}

const ex_tensor *ex_file_find_tensor(const ex_file *file, const char *name) {
    return (const ex_tensor *)(const void *)find_name(file->tensors_by_name, file->n_tensors, name);
}
