/* task_source.h - files of questions as records: lines of JSON, a list in one JSON file, CSV, passages of prose, and
 * folders of such files. What is no record is passed on with the reason. */
#ifndef EVAL_TASK_SOURCE_H
#define EVAL_TASK_SOURCE_H

#include <jansson.h>

#include "entropix.h"

enum { EVAL_ENTRY_BYTES_MAX = 1 << 20 };

typedef struct eval_entry {
    const char *file;     /* base name when it is one of a folder; otherwise NULL */
    size_t line;          /* in the folder, as if its files were one after another */
    size_t file_line;     /* in the file */
    json_t *fields;       /* an object; NULL: it is no record */
    const char *reason;   /* why not */
} eval_entry;

/* Keeps a reference to `fields` if it wants it. Anything but EX_OK ends the reading. */
typedef ex_code (*eval_entry_take)(void *context, const eval_entry *record, ex_error *error);

/* The form goes by the name: .csv (RFC 4180; `columns` as in eval_layout), .txt (paragraphs, of which the first words
 * are the record's "question"), otherwise JSON. From a CSV file each record has the key "subject", which is the
 * file's name without "_test", "_dev" and the like, unless there is such a column. */
ex_code eval_source_read(const char *path, const char *const *columns, eval_entry_take take, void *context,
                         ex_error *error);

#endif
