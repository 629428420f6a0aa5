/* task_settings.c - the keys of a task file: one table. */
#include "task_settings.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "failure.h"

typedef enum key_type { KEY_TEXT, KEY_FLAG, KEY_NAME, KEY_COUNT, KEY_TEXTS } key_type;

typedef struct task_key {
    const char *name;
    key_type type;
    size_t offset;
    const char *names[4]; /* KEY_NAME: the values in the order of their enumeration */
    int64_t least, most;  /* KEY_COUNT */
} task_key;

#define AT(field) offsetof(eval_settings, field)

static const task_key keys[] = {
    {.name = "name", .type = KEY_TEXT, .offset = AT(name)},
    {.name = "questions", .type = KEY_TEXT, .offset = AT(questions)},
    {.name = "layout", .type = KEY_TEXT, .offset = AT(layout)},
    {.name = "kind", .type = KEY_NAME, .offset = AT(kind), .names = {"generate", "choose", "continue"}},
    {.name = "chat", .type = KEY_FLAG, .offset = AT(chat)},
    {.name = "unknown", .type = KEY_FLAG, .offset = AT(unknown)},
    {.name = "system", .type = KEY_TEXT, .offset = AT(system)},
    {.name = "prompt", .type = KEY_TEXT, .offset = AT(prompt)},
    {.name = "separator", .type = KEY_TEXT, .offset = AT(separator)},
    {.name = "score", .type = KEY_NAME, .offset = AT(score), .names = {"choices", "labels"}},
    {.name = "shots", .type = KEY_COUNT, .offset = AT(shots), .most = 1000},
    {.name = "shots_from", .type = KEY_TEXT, .offset = AT(shots_from)},
    {.name = "pattern", .type = KEY_TEXT, .offset = AT(pattern)},
    {.name = "take", .type = KEY_NAME, .offset = AT(take), .names = {"first", "last"}},
    {.name = "compare", .type = KEY_NAME, .offset = AT(compare), .names = {"number", "text", "fold"}},
    {.name = "predict", .type = KEY_COUNT, .offset = AT(predict), .least = 1, .most = INT_MAX},
    {.name = "stop", .type = KEY_TEXTS, .offset = AT(stop)},
    {.name = "limit", .type = KEY_COUNT, .offset = AT(limit), .most = INT_MAX},
};
enum { KEY_LIST_COUNT = sizeof keys / sizeof *keys };

static void join_names(const char *const *names, size_t count, char *text, size_t size) {
    size_t length = 0;
    for (size_t i = 0; i < count && names[i] && length < size; i++)
        length += (size_t)snprintf(text + length, size - length, "%s%s", i ? ", " : "", names[i]);
}

static ex_code fail_value(const char *path, const task_key *key, const json_t *value, const char *wanted,
                          ex_error *error) {
    return eval_fail(error, EX_ERROR_FORMAT, 0, "%s: \"%s\" is %s, but must be %s", path, key->name,
                     eval_json_type(value), wanted);
}

static ex_code set_name(const char *path, const task_key *key, const json_t *value, int64_t *out, ex_error *error) {
    for (int64_t i = 0; i < 4 && key->names[i]; i++)
        if (json_is_string(value) && strcmp(json_string_value(value), key->names[i]) == 0) {
            *out = i;
            return EX_OK;
        }
    char names[100];
    join_names(key->names, 4, names, sizeof names);
    return eval_fail(error, EX_ERROR_FORMAT, 0, "%s: \"%s\" must be one of: %s", path, key->name, names);
}

static ex_code set_count(const char *path, const task_key *key, const json_t *value, int64_t *out, ex_error *error) {
    if (!json_is_integer(value)) return fail_value(path, key, value, "a whole number", error);
    *out = json_integer_value(value);
    if (*out >= key->least && *out <= key->most) return EX_OK;
    return eval_fail(error, EX_ERROR_FORMAT, 0, "%s: \"%s\" must be from %lld to %lld", path, key->name,
                     (long long)key->least, (long long)key->most);
}

static ex_code set_stops(const char *path, const json_t *value, eval_settings *settings, ex_error *error) {
    settings->n_stop = json_array_size(value);
    bool is_right = json_is_array(value) && settings->n_stop <= EVAL_STOPS_MAX;
    for (size_t i = 0; is_right && i < settings->n_stop; i++) {
        settings->stop[i] = json_string_value(json_array_get(value, i));
        is_right = settings->stop[i] && *settings->stop[i];
    }
    if (is_right) return EX_OK;
    return eval_fail(error, EX_ERROR_FORMAT, 0, "%s: \"stop\" must be a list of up to %d texts, none of them empty",
                     path, (int)EVAL_STOPS_MAX);
}

/* null takes back what the layout says: no system text, no pattern. */
static ex_code set_text(const char *path, const task_key *key, const json_t *value, const char **out, ex_error *error) {
    *out = json_string_value(value);
    bool may_be_none = key->offset == AT(system) || key->offset == AT(pattern);
    if (*out || (may_be_none && json_is_null(value))) return EX_OK;
    return fail_value(path, key, value, may_be_none ? "a text or null" : "a text", error);
}

static ex_code set_value(const char *path, const task_key *key, const json_t *value, eval_settings *settings,
                         ex_error *error) {
    void *field = (char *)settings + key->offset;
    switch (key->type) {
    case KEY_TEXT: return set_text(path, key, value, field, error);
    case KEY_NAME: return set_name(path, key, value, field, error);
    case KEY_COUNT: return set_count(path, key, value, field, error);
    case KEY_TEXTS: return set_stops(path, value, settings, error);
    default:
        if (!json_is_boolean(value)) return fail_value(path, key, value, "true or false", error);
        *(int64_t *)field = json_is_true(value);
        return EX_OK;
    }
}

static ex_code fail_unknown(const char *path, const char *name, ex_error *error) {
    const char *names[KEY_LIST_COUNT];
    for (size_t i = 0; i < KEY_LIST_COUNT; i++) names[i] = keys[i].name;
    char list[300];
    join_names(names, KEY_LIST_COUNT, list, sizeof list);
    return eval_fail(error, EX_ERROR_FORMAT, 0, "%s: \"%.40s\" is no key of a task file; there are: %s", path, name,
                     list);
}

static ex_code set_all(const char *path, json_t *root, eval_settings *settings, ex_error *error) {
    const char *name;
    json_t *value;
    json_object_foreach(root, name, value) {
        size_t i = 0;
        while (i < KEY_LIST_COUNT && strcmp(keys[i].name, name) != 0) i++;
        ex_code code = i < KEY_LIST_COUNT ? set_value(path, &keys[i], value, settings, error)
                                          : fail_unknown(path, name, error);
        if (code != EX_OK) return code;
    }
    settings->pattern_given = json_object_get(root, "pattern");
    if (!settings->questions) return eval_fail(error, EX_ERROR_FORMAT, 0, "%s: lacks \"questions\", a file", path);
    if (settings->prompt) return EX_OK;
    return eval_fail(error, EX_ERROR_FORMAT, 0, "%s: lacks \"prompt\"", path);
}

static ex_code take_layout(const char *path, const json_t *root, eval_settings *settings, ex_error *error) {
    const char *name = "entropix", *questions = json_string_value(json_object_get(root, "questions"));
    if (questions && strlen(questions) > 4 && strcmp(questions + strlen(questions) - 4, ".txt") == 0) name = "prose";
    const json_t *value = json_object_get(root, "layout");
    if (value) name = json_string_value(value);
    const eval_layout *layout = name ? eval_layout_find(name) : NULL;
    char names[200];
    eval_layout_names(names, sizeof names);
    if (!layout)
        return eval_fail(error, EX_ERROR_FORMAT, 0, "%s: \"layout\" must be one of: %s", path, names);
    *settings = layout->settings;
    settings->layout = layout->name;
    return EX_OK;
}

ex_code eval_settings_read(const char *path, json_t **root, eval_settings *settings, ex_error *error) {
    json_error_t problem;
    *root = json_load_file(path, JSON_REJECT_DUPLICATES, &problem);
    if (!*root && json_error_code(&problem) == json_error_cannot_open_file)
        return eval_fail_system(error, path, "open");
    if (!*root)
        return eval_fail(error, EX_ERROR_FORMAT, (uint64_t)(problem.line < 0 ? 0 : problem.line), "%s:%d: %s", path,
                         problem.line, problem.text);
    if (!json_is_object(*root)) return eval_fail(error, EX_ERROR_FORMAT, 0, "%s: must hold a JSON object", path);
    ex_code code = take_layout(path, *root, settings, error);
    return code == EX_OK ? set_all(path, *root, settings, error) : code;
}
