/* json_lines.c - checks that every line of standard input is one JSON object and prints the value at a path in each
 * that has it. `json_lines a.b.2` looks up key a, key b, item 2. The tests of the program use it: jq may be missing. */
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const json_t *step(const json_t *value, const char *name, size_t length) {
    if (json_is_object(value)) {
        void *entry = json_object_iter((json_t *)(uintptr_t)value);
        for (; entry; entry = json_object_iter_next((json_t *)(uintptr_t)value, entry)) {
            const char *key = json_object_iter_key(entry);
            if (strlen(key) == length && memcmp(key, name, length) == 0) return json_object_iter_value(entry);
        }
    }
    return json_is_array(value) ? json_array_get(value, strtoul(name, NULL, 10)) : NULL;
}

static const json_t *look_up(const json_t *value, const char *path) {
    while (value && *path) {
        size_t length = strcspn(path, ".");
        value = step(value, path, length);
        path += length + (path[length] == '.');
    }
    return value;
}

int main(int n_arguments, char **arguments) {
    char *line = NULL;
    size_t capacity = 0, number = 0;
    ssize_t n;
    int status = 0;
    while ((n = getline(&line, &capacity, stdin)) >= 0) {
        json_error_t error;
        json_t *object = json_loadb(line, (size_t)n, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &error);
        number++;
        if (!json_is_object(object)) {
            printf("line %zu is no JSON object: %s\n", number, error.text);
            status = 1;
        }
        const json_t *value = n_arguments > 1 ? look_up(object, arguments[1]) : NULL;
        if (value) {
            json_dumpf(value, stdout, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(17));
            fputc('\n', stdout);
        }
        json_decref(object);
    }
    free(line);
    return status;
}
