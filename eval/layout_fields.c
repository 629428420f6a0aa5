/* layout_fields.c - taking keys out of a record, with the reason when one is not as it should be, and filling items. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "failure.h"
#include "layout.h"

const char *eval_json_type(const json_t *value) {
    switch (json_typeof(value)) {
    case JSON_OBJECT: return "an object";
    case JSON_ARRAY: return "a list";
    case JSON_STRING: return "a text";
    case JSON_INTEGER: return "a whole number";
    case JSON_REAL: return "a number";
    case JSON_NULL: return "null";
    default: return "true or false";
    }
}

static ex_code fail_type(const char *key, const json_t *value, const char *wanted, ex_error *error) {
    if (!value) return eval_fail(error, EX_ERROR_FORMAT, 0, "lacks \"%s\"", key);
    return eval_fail(error, EX_ERROR_FORMAT, 0, "\"%s\" is %s, but must be %s", key, eval_json_type(value), wanted);
}

ex_code eval_field_text(const json_t *record, const char *key, const char **text, ex_error *error) {
    const json_t *value = json_object_get(record, key);
    *text = json_string_value(value);
    return *text ? EX_OK : fail_type(key, value, "a text", error);
}

ex_code eval_field_texts(const json_t *record, const char *key, json_t **list, ex_error *error) {
    *list = json_object_get(record, key);
    if (!json_is_array(*list)) return fail_type(key, *list, "a list of texts", error);
    for (size_t i = 0; i < json_array_size(*list); i++) {
        const json_t *value = json_array_get(*list, i);
        if (!json_is_string(value))
            return eval_fail(error, EX_ERROR_FORMAT, 0, "\"%s\" has %s at place %zu, but must be a list of texts", key,
                             eval_json_type(value), i);
    }
    return EX_OK;
}

ex_code eval_field_index(const json_t *record, const char *key, size_t count, size_t *index, ex_error *error) {
    const json_t *value = json_object_get(record, key);
    long long number = -1;
    if (json_is_integer(value)) {
        number = json_integer_value(value);
    } else if (json_is_string(value)) {
        char *end;
        const char *text = json_string_value(value);
        number = strtoll(text, &end, 10);
        if (!*text || *end) number = -1;
    } else {
        return fail_type(key, value, "a whole number", error);
    }
    if (number < 0 || (unsigned long long)number >= count)
        return eval_fail(error, EX_ERROR_FORMAT, 0, "\"%s\" is none of the %zu choices, which are counted from 0", key,
                         count);
    *index = (size_t)number;
    return EX_OK;
}

ex_code eval_item_set(json_t *item, const char *key, json_t *value, ex_error *error) {
    return value && json_object_set_new(item, key, value) == 0 ? EX_OK : eval_fail_memory(error, "a question");
}

json_t *eval_json_trimmed(const char *text, size_t length) {
    static const char blanks[] = " \t\r\n\f\v";
    while (length && strchr(blanks, text[length - 1])) length--;
    while (length && strchr(blanks, *text)) text++, length--;
    return json_stringn(text, length);
}

static ex_code set_letters(json_t *item, size_t count, ex_error *error) {
    json_t *labels = json_array();
    for (size_t i = 0; i < count; i++) {
        char label[24];
        if (i < 26) snprintf(label, sizeof label, "%c", (char)('A' + i));
        else snprintf(label, sizeof label, "%zu", i + 1);
        json_array_append_new(labels, json_string(label));
    }
    if (json_array_size(labels) == count) return eval_item_set(item, "labels", labels, error);
    json_decref(labels);
    return eval_fail_memory(error, "choices");
}

ex_code eval_item_right(json_t *item, const bool *is_right, size_t count, ex_error *error) {
    json_t *right = json_array();
    for (size_t i = 0; i < count; i++) json_array_append_new(right, json_boolean(is_right[i]));
    bool is_whole = json_array_size(right) == count;
    ex_code code = eval_item_set(item, "right", right, error);
    if (code == EX_OK && !is_whole) code = eval_fail_memory(error, "choices");
    if (code == EX_OK && !json_object_get(item, "labels")) code = set_letters(item, count, error);
    return code;
}
