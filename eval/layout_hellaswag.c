/* layout_hellaswag.c - HellaSwag: the beginning of a scene and four endings, cleaned as its makers' evaluation does. */
#include <stdlib.h>
#include <string.h>

#include "failure.h"
#include "layout.h"
#include "task_text.h"

/* Copies `text`, with every `old` replaced, from left to right. `out` has room for the result. */
static void replace(const char *text, const char *old, const char *new, char *out) {
    size_t n_old = strlen(old), n_new = strlen(new);
    while (*text) {
        if (strncmp(text, old, n_old) == 0) {
            memcpy(out, new, n_new);
            out += n_new;
            text += n_old;
        } else {
            *out++ = *text++;
        }
    }
    *out = 0;
}

/* Takes out what stands in square brackets, up to the first that closes and not over a line's end, in place. */
static void drop_brackets(char *text) {
    char *out = text;
    while (*text) {
        size_t length = *text == '[' ? strcspn(text, "]\n") : 0;
        if (length && text[length] == ']') text += length + 1;
        else *out++ = *text++;
    }
    *out = 0;
}

/* In this order: blanks at the ends, " [title]" is the end of a sentence, brackets, each two blanks one. */
static ex_code clean(const char *text, json_t **out, ex_error *error) {
    json_t *trimmed = eval_json_trimmed(text, strlen(text));
    size_t size = strlen(text) + 1;
    char *a = malloc(size), *b = malloc(size);
    if (trimmed && a && b) {
        replace(json_string_value(trimmed), " [title]", ". ", a);
        drop_brackets(a);
        replace(a, "  ", " ", b);
    }
    *out = trimmed && a && b ? json_string(b) : NULL;
    json_decref(trimmed);
    free(a);
    free(b);
    return *out ? EX_OK : eval_fail_memory(error, "a question");
}

/* "ACTIVITY: " before the beginning, whose second part is capitalised: Python's way, with the rest in lower case. */
static ex_code join_context(const json_t *record, char **out, ex_error *error) {
    const char *activity, *first, *second = json_string_value(json_object_get(record, "ctx_b"));
    char *capitalised = NULL;
    ex_code code = eval_field_text(record, "activity_label", &activity, error);
    if (code == EX_OK && second) code = eval_field_text(record, "ctx_a", &first, error);
    else if (code == EX_OK) code = eval_field_text(record, "ctx", &first, error);
    if (code == EX_OK) code = eval_text_capitalise(second ? second : "", &capitalised, error);
    if (code != EX_OK) return code;
    *out = eval_text_format("%s: %s %s", activity, first, capitalised);
    free(capitalised);
    return *out ? EX_OK : eval_fail_memory(error, "a question");
}

static ex_code clean_endings(const json_t *endings, json_t *choices, ex_error *error) {
    for (size_t i = 0; i < json_array_size(endings); i++) {
        json_t *choice;
        ex_code code = clean(json_string_value(json_array_get(endings, i)), &choice, error);
        if (code != EX_OK) return code;
        if (json_array_append_new(choices, choice)) return eval_fail_memory(error, "choices");
    }
    return EX_OK;
}

static ex_code set_endings(const json_t *record, json_t *item, ex_error *error) {
    json_t *endings;
    size_t label;
    ex_code code = eval_field_texts(record, "endings", &endings, error);
    if (code == EX_OK) code = eval_field_index(record, "label", json_array_size(endings), &label, error);
    if (code != EX_OK) return code;
    json_t *choices = json_array();
    bool *is_right = calloc(json_array_size(endings), sizeof *is_right);
    code = choices && is_right ? clean_endings(endings, choices, error) : eval_fail_memory(error, "choices");
    if (code == EX_OK) {
        is_right[label] = true;
        code = eval_item_right(item, is_right, json_array_size(endings), error);
    }
    if (code == EX_OK) code = eval_item_set(item, "choices", json_incref(choices), error);
    json_decref(choices);
    free(is_right);
    return code;
}

ex_code eval_layout_hellaswag(const json_t *record, json_t *item, ex_error *error) {
    char *context = NULL;
    json_t *question = NULL;
    ex_code code = join_context(record, &context, error);
    if (code == EX_OK) code = clean(context, &question, error);
    if (code == EX_OK) code = eval_item_set(item, "question", question, error);
    free(context);
    return code == EX_OK ? set_endings(record, item, error) : code;
}
