/* task_pieces.h - cutting the text of one file of questions into records. */
#ifndef EVAL_TASK_PIECES_H
#define EVAL_TASK_PIECES_H

#include "task_source.h"

typedef struct eval_piece_source {
    const char *const *columns;
    eval_entry_take take;
    void *context;
    const char *file;     /* as in eval_entry */
    size_t lines_before;  /* in the folder's files before this one */
    size_t n_lines;       /* of this file, when it has been read */
} eval_piece_source;

ex_code eval_pieces_read(eval_piece_source *source, const char *path, const char *text, size_t length,
                         ex_error *error);

/* One form each. */
ex_code eval_pieces_csv(eval_piece_source *source, const char *path, const char *text, size_t length,
                        ex_error *error);
ex_code eval_pieces_prose(eval_piece_source *source, const char *text, size_t length, ex_error *error);

/* Passes on a record of the file's line `line`, taking `fields` over; `fields` NULL: `reason`. */
ex_code eval_piece_take(eval_piece_source *source, size_t line, json_t *fields, const char *reason, ex_error *error);

#endif
