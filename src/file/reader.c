#include "file/reader.h"

#include "base/error.h"
#include "base/memory.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    FIRST_CAPACITY = 64,
    SHOWN_PATH = 160 /* bytes of a path: a message has room for 400 in all */
};

ex_code ex_reader_fault(const ex_reader *r, ex_code code, uint64_t position, const char *format, ...) {
    char text[sizeof r->error->message];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    const char *path = r->part->path;
    size_t length = strlen(path);
    bool whole = length <= SHOWN_PATH;
    return ex_fail(r->error, code, position, "%s%s: byte %" PRIu64 ": %s", whole ? "" : "...",
                   whole ? path : path + length - SHOWN_PATH, position, text);
}

uint64_t ex_reader_left(const ex_reader *r) { return r->part->map.size - r->at; }

const unsigned char *ex_reader_take(ex_reader *r, uint64_t n, const char *what) {
    if (n > ex_reader_left(r)) {
        ex_reader_fault(r, EX_ERROR_FORMAT, r->at,
                        "the file ends inside %s (%" PRIu64 " bytes needed, %" PRIu64 " left)", what, n,
                        ex_reader_left(r));
        return NULL;
    }
    const unsigned char *bytes = r->part->map.data + r->at;
    r->at += n;
    return bytes;
}

ex_code ex_reader_u32(ex_reader *r, uint32_t *out, const char *what) {
    const unsigned char *bytes = ex_reader_take(r, sizeof *out, what);
    if (!bytes) return EX_ERROR_FORMAT;
    memcpy(out, bytes, sizeof *out);
    return EX_OK;
}

ex_code ex_reader_u64(ex_reader *r, uint64_t *out, const char *what) {
    const unsigned char *bytes = ex_reader_take(r, sizeof *out, what);
    if (!bytes) return EX_ERROR_FORMAT;
    memcpy(out, bytes, sizeof *out);
    return EX_OK;
}

ex_code ex_reader_name(ex_reader *r, size_t limit, ex_string *out, const char *what) {
    uint64_t start = r->at, length = 0;
    ex_code code = ex_reader_u64(r, &length, what);
    if (code != EX_OK) return code;
    if (length > limit)
        return ex_reader_fault(r, EX_ERROR_FORMAT, start, "%s is %" PRIu64 " bytes long, at most %zu are allowed", what,
                               length, limit);
    const unsigned char *bytes = ex_reader_take(r, length, what);
    if (!bytes) return EX_ERROR_FORMAT;
    *out = (ex_string){(const char *)bytes, (size_t)length};
    const char *wrong = ex_name_fault(*out, limit);
    return wrong ? ex_reader_fault(r, EX_ERROR_FORMAT, start, "%s %s", what, wrong) : EX_OK;
}

uint64_t ex_reader_position(const ex_reader *r, ex_string name) {
    return (uint64_t)((const unsigned char *)name.data - r->part->map.data);
}

void *ex_reader_grow(void *items, size_t count, size_t *capacity, size_t size) {
    if (count < *capacity) return items;
    size_t wanted = *capacity ? *capacity * 2 : FIRST_CAPACITY;
    void *larger = ex_allocate(wanted, size);
    if (!larger) return NULL;
    if (count) memcpy(larger, items, count * size);
    free(items);
    *capacity = wanted;
    return larger;
}

ex_code ex_reader_check_count(const ex_reader *r, uint64_t position, uint64_t count, uint64_t least_bytes,
                              const char *what) {
    if (count <= ex_reader_left(r) / least_bytes) return EX_OK;
    return ex_reader_fault(r, EX_ERROR_FORMAT, position,
                           "the header announces %" PRIu64 " %s, more than the file's %" PRIu64 " bytes can hold",
                           count, what, r->part->map.size);
}
