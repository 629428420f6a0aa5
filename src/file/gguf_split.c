/* gguf_split.c - models that are split into several files: each tells its number and how many there are, their names
 * say the same, and the first has the keys. */
#include "base/error.h"
#include "base/memory.h"
#include "file/reader.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_PARTS = 99999 }; /* five digits in a name */

typedef struct place { /* what a part says about itself */
    int64_t number, count; /* from 0; 0 or 1 for a file that is whole */
} place;

static ex_code read_number(const ex_reader *r, const char *name, int64_t low, int64_t high, int64_t *out) {
    const ex_key *key = ex_reader_find_key(r->keys, name);
    if (!key) return EX_OK;
    if (key->type == EX_VALUE_ARRAY || !ex_key_integer(key, 0, out))
        return ex_reader_fault(r, EX_ERROR_FORMAT, key->offset, "%s is no integer", name);
    if (*out >= low && *out <= high) return EX_OK;
    return ex_reader_fault(r, EX_ERROR_FORMAT, key->offset, "%s is %" PRId64 ", outside %" PRId64 " to %" PRId64, name,
                           *out, low, high);
}

static ex_code read_place(const ex_reader *r, place *out) {
    *out = (place){0, 1};
    ex_code code = read_number(r, "split.count", 0, MOST_PARTS, &out->count);
    if (code != EX_OK || out->count < 2) return code;
    return read_number(r, "split.no", 0, out->count - 1, &out->number);
}

static uint64_t offset_of(const ex_reader *r, const char *name) {
    const ex_key *key = ex_reader_find_key(r->keys, name);
    return key ? key->offset : 0;
}

static char *ending(int64_t number, int64_t count) {
    char *text;
    int n = asprintf(&text, "-%05" PRId64 "-of-%05" PRId64 ".gguf", number + 1, count);
    return n < 0 ? NULL : text;
}

/* The path of a part from the path of another. */
static char *sibling(const char *path, size_t prefix, int64_t number, int64_t count) {
    char *tail = ending(number, count), *text = NULL;
    if (tail && asprintf(&text, "%.*s%s", (int)prefix, path, tail) < 0) text = NULL;
    free(tail);
    return text;
}

/* Bytes of the path before its ending, which must be that of the place. */
static ex_code check_name(const ex_reader *r, const place *own, size_t *prefix) {
    const char *path = r->part->path;
    char *expected = ending(own->number, own->count);
    if (!expected) return ex_fail_memory(r->error, "a file name");
    size_t n = strlen(path), n_expected = strlen(expected);
    bool matches = n >= n_expected && n <= INT32_MAX && strcmp(path + n - n_expected, expected) == 0;
    ex_code code = EX_OK;
    if (!matches)
        code = ex_reader_fault(r, EX_ERROR_FORMAT, offset_of(r, "split.no"),
                               "this is file %" PRId64 " of %" PRId64 " of a split model, so its name must end with %s",
                               own->number + 1, own->count, expected);
    free(expected);
    *prefix = matches ? n - n_expected : 0;
    return code;
}

static ex_code check_there(const ex_reader *r, int64_t count) {
    if (access(r->part->path, F_OK) == 0 || errno != ENOENT) return EX_OK;
    return ex_fail(r->error, EX_ERROR_IO, 0,
                   "%s is missing: the model is split into %" PRId64 " files, which must lie in one folder",
                   r->part->path, count);
}

static ex_code check_place(const ex_reader *r, int64_t number, int64_t count) {
    place own;
    ex_code code = read_place(r, &own);
    if (code != EX_OK) return code;
    if (own.count != count)
        return ex_reader_fault(r, EX_ERROR_FORMAT, offset_of(r, "split.count"),
                               "split.count is %" PRId64 ", but the model's other files say %" PRId64, own.count,
                               count);
    if (own.number != number)
        return ex_reader_fault(r, EX_ERROR_FORMAT, offset_of(r, "split.no"),
                               "split.no is %" PRId64 " in the file that is named as number %" PRId64
                               ", where it must be %" PRId64,
                               own.number, number + 1, number);
    return EX_OK;
}

/* What has been read of a part that is not the first is forgotten, and the first is read in its place. */
static ex_code begin_with_first(ex_reader *r, size_t prefix, int64_t count) {
    char *path = sibling(r->part->path, prefix, 0, count);
    if (!path) return ex_fail_memory(r->error, "a file name");
    ex_reader_free_keys(r->keys);
    ex_map_close(&r->part->map);
    free(r->part->path);
    r->part->path = path;
    r->file->n_tensors = 0;
    ex_code code = check_there(r, count);
    if (code == EX_OK) code = ex_reader_part(r);
    return code == EX_OK ? check_place(r, 0, count) : code;
}

static ex_code make_room(ex_reader *r, int64_t count) {
    ex_part *parts = ex_allocate((size_t)count, sizeof *parts);
    if (!parts) return ex_fail_memory(r->error, "the parts of the file");
    parts[0] = r->file->parts[0];
    free(r->file->parts);
    r->file->parts = parts;
    return EX_OK;
}

static ex_code read_other(ex_reader *r, size_t prefix, int64_t number, int64_t count) {
    ex_file *file = r->file;
    ex_key_list keys = {0};
    ex_reader other = {.file = file, .part = &file->parts[number], .keys = &keys, .error = r->error};
    other.part->path = sibling(file->parts->path, prefix, number, count);
    if (!other.part->path) return ex_fail_memory(r->error, "a file name");
    file->n_parts++;
    ex_code code = check_there(&other, count);
    if (code == EX_OK) code = ex_reader_part(&other);
    if (code == EX_OK) code = check_place(&other, number, count);
    ex_reader_free_keys(&keys);
    return code;
}

static ex_code check_total(ex_reader *r, int64_t count) {
    int64_t total = (int64_t)r->file->n_tensors;
    r->part = r->file->parts;
    ex_code code = read_number(r, "split.tensors.count", 0, INT64_MAX, &total);
    if (code != EX_OK || total == (int64_t)r->file->n_tensors) return code;
    return ex_reader_fault(r, EX_ERROR_FORMAT, offset_of(r, "split.tensors.count"),
                           "split.tensors.count is %" PRId64 ", but the %" PRId64 " files hold %zu tensors", total,
                           count, r->file->n_tensors);
}

ex_code ex_reader_split(ex_reader *r) {
    place own;
    size_t prefix = 0;
    ex_code code = read_place(r, &own);
    if (code != EX_OK || own.count < 2) return code;
    code = check_name(r, &own, &prefix);
    if (code == EX_OK && own.number > 0) code = begin_with_first(r, prefix, own.count);
    if (code == EX_OK) code = make_room(r, own.count);
    for (int64_t i = 1; i < own.count && code == EX_OK; i++) code = read_other(r, prefix, i, own.count);
    return code == EX_OK ? check_total(r, own.count) : code;
}
