/* source.h - the small files of a Hugging Face folder: JSON, and typed values from it with errors that name file and
 * byte. */
#ifndef EX_CONVERT_SOURCE_H
#define EX_CONVERT_SOURCE_H

#include "base/json.h"
#include "file/map.h"

/* The two arguments of "%.*s" for a text of somebody else in a message. */
#define EX_QUOTED(text) (int)((text).length < 80 ? (text).length : 80), (text).data

typedef struct ex_source { /* one JSON file; absent files have no map */
    char *path;
    ex_map bytes;
    ex_json_document document;
    const ex_json *map; /* NULL when the file is not there */
} ex_source;

/* FOLDER/NAME. Free it. */
char *ex_source_path(const char *folder, const char *name);
/* A file whose value is a map. `source` is zeroed by the caller and may be closed whatever the outcome. */
ex_code ex_source_open(ex_source *source, const char *folder, const char *name, bool required, ex_error *error);
void ex_source_close(ex_source *source);
/* The bytes of a value as they stand in the file. */
ex_string ex_source_bytes(const ex_source *source, const ex_json *value);

/* "PATH: byte POSITION: MESSAGE" */
ex_code ex_source_fail(const char *path, ex_code code, uint64_t position, ex_error *error, const char *format, ...)
    EX_PRINTF(5, 6);

/* Members of one map. A reader carries the first error, so that a list of reads needs one check. */
typedef struct ex_fields {
    const char *path;
    const ex_json *map; /* NULL: everything is absent */
    ex_error *error;
    ex_code code;
} ex_fields;

/* Where to look for an error about the map itself. */
uint64_t ex_fields_offset(const ex_fields *fields);
enum { EX_REQUIRED = -1 }; /* as a default of integers and numbers: the member must be there */
int64_t ex_field_integer(ex_fields *fields, const char *name, int64_t otherwise, int64_t low, int64_t high);
double ex_field_positive(ex_fields *fields, const char *name, double otherwise);
bool ex_field_boolean(ex_fields *fields, const char *name, bool otherwise);
ex_string ex_field_text(ex_fields *fields, const char *name); /* empty when absent */
void ex_field_fail(ex_fields *fields, ex_code code, const ex_json *at, const char *format, ...) EX_PRINTF(4, 5);

#endif
