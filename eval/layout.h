/* layout.h - layouts of question files: how one record of a file becomes a question, and how such questions are asked
 * when the task file does not say. A layout is a row of a table.
 *
 * * A layout reads a record into an *item*, a JSON object with one form for all layouts:
 *     question  text
 *     choices   list of texts, labels  list of texts, right  list of true and false; absent: no choices
 *     answer    text, or null: nothing is right
 *     accept    list of texts that count as right; absent: none
 *     example   text, the answer as an example in a prompt shows it; absent: the answer
 *     subject   text, what few-shot examples must have in common; absent: any
 *     id        text; absent: the line's number */
#ifndef EVAL_LAYOUT_H
#define EVAL_LAYOUT_H

#include <jansson.h>

#include "task.h"

enum { EVAL_STOPS_MAX = 16, EVAL_AUTO = -1 };

typedef enum eval_compare { EVAL_COMPARE_NUMBER, EVAL_COMPARE_TEXT, EVAL_COMPARE_FOLD } eval_compare;
typedef enum eval_score { EVAL_SCORE_CHOICES, EVAL_SCORE_LABELS } eval_score;

/* The keys of a task file. Whole numbers are EVAL_AUTO, and texts NULL, where nothing has been said. */
typedef struct eval_settings {
    const char *name, *questions, *layout, *system, *prompt, *pattern, *shots_from, *separator;
    int64_t kind, chat, unknown, take, compare, score, shots, predict, limit;
    const char *stop[EVAL_STOPS_MAX];
    size_t n_stop;
    bool pattern_given;
} eval_settings;

/* EX_ERROR_FORMAT: this record is no question, and the message says why (without its place). */
typedef ex_code (*eval_layout_read)(const json_t *record, json_t *item, ex_error *error);

typedef struct eval_layout {
    const char *name;
    eval_layout_read read;
    const char *const *columns; /* of CSV without a header, NULL at the end; NULL: the first record names them */
    eval_settings settings;     /* where the task file says nothing */
} eval_layout;

/* NULL: there is none of this name. */
const eval_layout *eval_layout_find(const char *name);
/* Their names, with ", " between them. */
void eval_layout_names(char *text, size_t size);

/* The layouts. */
ex_code eval_layout_own(const json_t *record, json_t *item, ex_error *error);
ex_code eval_layout_gsm8k(const json_t *record, json_t *item, ex_error *error);
ex_code eval_layout_arc(const json_t *record, json_t *item, ex_error *error);
ex_code eval_layout_hellaswag(const json_t *record, json_t *item, ex_error *error);
ex_code eval_layout_truthfulqa_mc1(const json_t *record, json_t *item, ex_error *error);
ex_code eval_layout_truthfulqa_mc2(const json_t *record, json_t *item, ex_error *error);
ex_code eval_layout_mmlu(const json_t *record, json_t *item, ex_error *error);

/* What they are made of (layout_fields.c). The value of a key that must be there and be a text, a list of texts. */
ex_code eval_field_text(const json_t *record, const char *key, const char **text, ex_error *error);
ex_code eval_field_texts(const json_t *record, const char *key, json_t **list, ex_error *error);
/* A whole number, or a text that is one, in 0..count - 1. */
ex_code eval_field_index(const json_t *record, const char *key, size_t count, size_t *index, ex_error *error);
/* "a text", "a list" … */
const char *eval_json_type(const json_t *value);
/* Sets a key of an item; takes `value` over, where NULL means that memory is out. */
ex_code eval_item_set(json_t *item, const char *key, json_t *value, ex_error *error);
/* `text` without blanks at its ends. */
json_t *eval_json_trimmed(const char *text, size_t length);
/* Adds "right": `count` values of which those with `is_right` hold; "labels" A, B, C … where the item has none. */
ex_code eval_item_right(json_t *item, const bool *is_right, size_t count, ex_error *error);

#endif
