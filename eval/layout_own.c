/* layout_own.c - the layout of eval/tasks: question, answer, accept, choices. Passages of prose come as such records
 * too. */
#include <stdlib.h>
#include <string.h>

#include "failure.h"
#include "layout.h"

static ex_code fail_answer(const char *what, ex_error *error) {
    return eval_fail(error, EX_ERROR_FORMAT, 0,
                     "\"answer\" %s: it must be one of \"choices\", its place from 0, or a list of such", what);
}

/* Which choice this answer means. */
static ex_code find_choice(const json_t *choices, const json_t *answer, size_t *index, ex_error *error) {
    size_t count = json_array_size(choices);
    if (json_is_integer(answer)) {
        json_int_t number = json_integer_value(answer);
        if (number < 0 || (uint64_t)number >= count) return fail_answer("is the place of no choice", error);
        *index = (size_t)number;
        return EX_OK;
    }
    if (!json_is_string(answer)) return fail_answer("is neither a text nor a whole number", error);
    for (*index = 0; *index < count; ++*index)
        if (json_equal(json_array_get(choices, *index), answer)) return EX_OK;
    return fail_answer("is none of the choices", error);
}

static ex_code mark_right(const json_t *choices, const json_t *answer, bool *is_right, ex_error *error) {
    size_t index = 0, n_answers = json_is_array(answer) ? json_array_size(answer) : 1;
    for (size_t i = 0; i < n_answers; i++) {
        ex_code code = find_choice(choices, json_is_array(answer) ? json_array_get(answer, i) : answer, &index, error);
        if (code != EX_OK) return code;
        is_right[index] = true;
    }
    return EX_OK;
}

static ex_code read_choices(const json_t *record, json_t *item, ex_error *error) {
    json_t *choices;
    const json_t *answer = json_object_get(record, "answer");
    ex_code code = eval_field_texts(record, "choices", &choices, error);
    if (code != EX_OK) return code;
    size_t count = json_array_size(choices);
    bool *is_right = calloc(count + 1, sizeof *is_right);
    if (!is_right) return eval_fail_memory(error, "choices");
    if (answer && !json_is_null(answer)) code = mark_right(choices, answer, is_right, error);
    if (code == EX_OK) code = eval_item_set(item, "choices", json_incref(choices), error);
    if (code == EX_OK) code = eval_item_right(item, is_right, count, error);
    free(is_right);
    return code;
}

static bool is_given(const json_t *value) { return value && !json_is_null(value); }

static ex_code read_answer(const json_t *record, json_t *item, ex_error *error) {
    json_t *answer = json_object_get(record, "answer"), *accept = json_object_get(record, "accept");
    ex_code code = EX_OK;
    if (is_given(accept)) {
        code = eval_field_texts(record, "accept", &accept, error);
        if (code == EX_OK) code = eval_item_set(item, "accept", json_incref(accept), error);
        if (code == EX_OK && !is_given(answer)) answer = json_array_get(accept, 0);
    }
    if (code != EX_OK || !answer || is_given(json_object_get(record, "choices"))) return code;
    if (!json_is_integer(answer)) {
        if (answer && !json_is_string(answer) && !json_is_null(answer))
            return eval_fail(error, EX_ERROR_FORMAT, 0, "\"answer\" is %s, but must be a text, a whole number or null",
                             eval_json_type(answer));
        return eval_item_set(item, "answer", json_incref(answer), error);
    }
    char *digits = json_dumps(answer, JSON_ENCODE_ANY);
    code = eval_item_set(item, "answer", digits ? json_string(digits) : NULL, error);
    free(digits);
    return code;
}

ex_code eval_layout_own(const json_t *record, json_t *item, ex_error *error) {
    const char *question;
    ex_code code = eval_field_text(record, "question", &question, error);
    if (code == EX_OK) code = eval_item_set(item, "question", json_string(question), error);
    if (code == EX_OK && is_given(json_object_get(record, "choices"))) code = read_choices(record, item, error);
    if (code == EX_OK) code = read_answer(record, item, error);
    return code;
}
