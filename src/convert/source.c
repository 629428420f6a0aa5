#include "convert/source.h"

#include "base/error.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char *ex_source_path(const char *folder, const char *name) {
    char *path;
    size_t n = strlen(folder);
    bool has_slash = n > 0 && folder[n - 1] == '/';
    return asprintf(&path, "%s%s%s", folder, has_slash ? "" : "/", name) < 0 ? NULL : path;
}

ex_code ex_source_open(ex_source *source, const char *folder, const char *name, bool required, ex_error *error) {
    source->path = ex_source_path(folder, name);
    if (!source->path) return ex_fail_memory(error, "a file name");
    if (!required && access(source->path, F_OK) != 0) return EX_OK;
    const ex_map *bytes = &source->bytes;
    ex_code code = ex_map_open(&source->bytes, source->path, error);
    if (code != EX_OK) return code;
    code = ex_json_read(&source->document, (const char *)bytes->data, (size_t)bytes->size, source->path, 0, error);
    if (code != EX_OK) return code;
    const ex_json *root = source->document.nodes;
    if (root->kind != EX_JSON_MAP)
        return ex_source_fail(source->path, EX_ERROR_FORMAT, root->offset, error, "the file holds %s, not a map",
                              ex_json_kind_name(root->kind));
    source->map = root;
    return EX_OK;
}

void ex_source_close(ex_source *source) {
    ex_json_free(&source->document);
    ex_map_close(&source->bytes);
    free(source->path);
    *source = (ex_source){0};
}

static ex_code fail_at(const char *path, ex_code code, uint64_t position, ex_error *error, const char *format,
                       va_list arguments) {
    char text[sizeof error->message];
    vsnprintf(text, sizeof text, format, arguments);
    return ex_fail(error, code, position, "%s: byte %" PRIu64 ": %s", path, position, text);
}

ex_string ex_source_bytes(const ex_source *source, const ex_json *value) {
    return (ex_string){(const char *)source->bytes.data + value->offset, value->n_bytes};
}

ex_code ex_source_fail(const char *path, ex_code code, uint64_t position, ex_error *error, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    code = fail_at(path, code, position, error, format, arguments);
    va_end(arguments);
    return code;
}

/* ---- fields ---- */

uint64_t ex_fields_offset(const ex_fields *fields) { return fields->map ? fields->map->offset : 0; }

void ex_field_fail(ex_fields *fields, ex_code code, const ex_json *at, const char *format, ...) {
    if (fields->code != EX_OK) return;
    va_list arguments;
    va_start(arguments, format);
    uint64_t position = at ? at->offset : ex_fields_offset(fields);
    fields->code = fail_at(fields->path, code, position, fields->error, format, arguments);
    va_end(arguments);
}

/* A member of one of two kinds; NULL when it is absent, or after an error. */
static const ex_json *find(ex_fields *fields, const char *name, ex_json_kind kind, ex_json_kind or_kind) {
    const ex_json *member = ex_json_member(fields->map, name);
    if (!member || member->kind == kind || member->kind == or_kind) return member;
    ex_field_fail(fields, EX_ERROR_FORMAT, member, "'%s' is %s, not %s", name, ex_json_kind_name(member->kind),
                  ex_json_kind_name(kind));
    return NULL;
}

int64_t ex_field_integer(ex_fields *fields, const char *name, int64_t otherwise, int64_t low, int64_t high) {
    const ex_json *member = find(fields, name, EX_JSON_INTEGER, EX_JSON_INTEGER);
    if (!member && otherwise == EX_REQUIRED) ex_field_fail(fields, EX_ERROR_FORMAT, NULL, "'%s' is missing", name);
    if (!member) return otherwise;
    int64_t value = member->as.integer;
    if (value >= low && value <= high) return value;
    ex_field_fail(fields, EX_ERROR_FORMAT, member, "'%s' is %" PRId64 ", outside %" PRId64 " to %" PRId64, name, value,
                  low, high);
    return low;
}

double ex_field_positive(ex_fields *fields, const char *name, double otherwise) {
    const ex_json *member = find(fields, name, EX_JSON_NUMBER, EX_JSON_INTEGER);
    if (!member && otherwise < 0) ex_field_fail(fields, EX_ERROR_FORMAT, NULL, "'%s' is missing", name);
    if (!member) return otherwise;
    double value = member->kind == EX_JSON_INTEGER ? (double)member->as.integer : member->as.number;
    if (value > 0 && isfinite((float)value)) return value;
    ex_field_fail(fields, EX_ERROR_FORMAT, member, "'%s' is %g, which is not a finite number above 0", name, value);
    return 1;
}

bool ex_field_boolean(ex_fields *fields, const char *name, bool otherwise) {
    const ex_json *member = find(fields, name, EX_JSON_BOOLEAN, EX_JSON_BOOLEAN);
    return member ? member->as.boolean : otherwise;
}

ex_string ex_field_text(ex_fields *fields, const char *name) {
    const ex_json *member = find(fields, name, EX_JSON_TEXT, EX_JSON_TEXT);
    return member ? member->as.text : (ex_string){"", 0};
}
