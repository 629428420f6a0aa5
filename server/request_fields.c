/* request_fields.c - types and ranges, and what to say when they are wrong. */
#include "request_fields.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool request_refuse(request_problem *problem, unsigned status, const char *parameter, const char *format, ...) {
    problem->status = status;
    problem->parameter = parameter;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(problem->message, sizeof problem->message, format, arguments);
    va_end(arguments);
    return false;
}

/* What is before the last dot says where the object is. */
static json_t *value_of(json_t *object, const char *key) {
    const char *dot = strrchr(key, '.');
    json_t *value = json_object_get(object, dot ? dot + 1 : key);
    return json_is_null(value) ? NULL : value;
}

bool field_bool(json_t *object, const char *key, bool *out, request_problem *problem) {
    json_t *value = value_of(object, key);
    if (!value) return true;
    if (!json_is_boolean(value)) return request_refuse(problem, 400, key, "'%s' must be true or false", key);
    *out = json_is_true(value);
    return true;
}

bool field_integer(json_t *object, const char *key, int64_t minimum, int64_t maximum, int64_t *out,
                   request_problem *problem) {
    json_t *value = value_of(object, key);
    if (!value) return true;
    const double number = json_number_value(value);
    /* Reals from 2^63 on are no int64_t, whatever the maximum is as a double. */
    const bool is_whole = json_is_integer(value) || (number == floor(number) && fabs(number) < 0x1p63);
    const int64_t whole = json_is_integer(value) ? json_integer_value(value) : is_whole ? (int64_t)number : 0;
    if (!json_is_number(value) || !is_whole || whole < minimum || whole > maximum)
        return request_refuse(problem, 400, key, "'%s' must be a whole number from %lld to %lld", key,
                              (long long)minimum, (long long)maximum);
    *out = whole;
    return true;
}

bool field_number(json_t *object, const char *key, double minimum, double maximum, double *out,
                  request_problem *problem) {
    json_t *value = value_of(object, key);
    if (!value) return true;
    const double number = json_number_value(value);
    if (!json_is_number(value) || !(number >= minimum && number <= maximum))
        return request_refuse(problem, 400, key, "'%s' must be a number from %g to %g", key, minimum, maximum);
    *out = number;
    return true;
}

bool field_text(json_t *object, const char *key, const char **out, request_problem *problem) {
    json_t *value = value_of(object, key);
    if (!value) return true;
    if (!json_is_string(value) || strlen(json_string_value(value)) != json_string_length(value))
        return request_refuse(problem, 400, key, "'%s' must be a text without zero bytes", key);
    *out = json_string_value(value);
    return true;
}

bool field_object(json_t *object, const char *key, json_t **out, request_problem *problem) {
    json_t *value = value_of(object, key);
    *out = value;
    if (!value || json_is_object(value)) return true;
    return request_refuse(problem, 400, key, "'%s' must be an object", key);
}
