/* task_items.h - the questions of a file in the form of layout.h, before prompts are rendered. */
#ifndef EVAL_TASK_ITEMS_H
#define EVAL_TASK_ITEMS_H

#include "layout.h"

typedef struct eval_item {
    size_t line;
    char *id, *place; /* as in eval_question */
    json_t *value; /* as layout.h has it, and "record": the record as it stands in the file */
} eval_item;

typedef struct eval_items {
    eval_item *items; /* [n_items] */
    size_t n_items;
} eval_items;

/* Reads a file or a folder. Lines that are no questions go to the task's bad lines; `role` (may be empty) stands before
 * their reasons. */
ex_code eval_items_read(eval_items *items, const char *path, const eval_layout *layout, const char *role,
                        eval_task *task, ex_error *error);
void eval_items_free(eval_items *items);

/* Appends to the task's bad lines. */
ex_code eval_task_add_bad(eval_task *task, size_t line, const char *place, const char *reason, ex_error *error);

#endif
