/* task_items.c - the questions of a file in the form of layout.h. */
#include "task_items.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "failure.h"
#include "task_source.h"
#include "task_text.h"

/* The end of a place tells more than its beginning. */
static void copy_place(char *to, size_t size, const char *place) {
    const char mark[] = "\xE2\x80\xA6";
    const size_t length = strlen(place);
    if (length >= size) {
        place += length - (size - sizeof mark);
        while (((unsigned char)*place & 0xC0) == 0x80) place++;
        snprintf(to, size, "%s%s", mark, place);
    } else {
        memcpy(to, place, length + 1);
    }
}

ex_code eval_task_add_bad(eval_task *task, size_t line, const char *place, const char *reason, ex_error *error) {
    size_t n = task->n_bad;
    if (!(n & (n - 1))) { /* full at powers of two */
        eval_bad_line *larger = realloc(task->bad, (n ? 2 * n : 1) * sizeof *larger);
        if (!larger) return eval_fail_memory(error, "lines that are no questions");
        task->bad = larger;
    }
    task->bad[n].line = line;
    copy_place(task->bad[n].place, sizeof task->bad[n].place, place);
    snprintf(task->bad[n].reason, sizeof task->bad[n].reason, "%.*s",
             (int)(sizeof task->bad[n].reason - 1), reason);
    task->n_bad++;
    return EX_OK;
}

static ex_code add_item(eval_items *items, eval_item item, ex_error *error) {
    size_t n = items->n_items;
    if (!(n & (n - 1))) {
        eval_item *larger = realloc(items->items, (n ? 2 * n : 1) * sizeof *larger);
        if (!larger) return eval_fail_memory(error, "questions");
        items->items = larger;
    }
    items->items[items->n_items++] = item;
    return EX_OK;
}

typedef struct item_gathering {
    eval_items *items;
    const char *path;
    const eval_layout *layout;
    const char *role;
    eval_task *task;
} item_gathering;

static char *place_of(const item_gathering *gathering, const eval_entry *record) {
    const size_t length = strlen(gathering->path);
    const char *slash = length > 0 && gathering->path[length - 1] == '/' ? "" : "/";
    if (!record->file) return eval_text_format("%s:%zu", gathering->path, record->line);
    return eval_text_format("%s%s%s:%zu", gathering->path, slash, record->file, record->file_line);
}

static ex_code add_bad(item_gathering *gathering, const eval_entry *record, const char *reason, ex_error *error) {
    char text[sizeof gathering->task->bad->reason + 32];
    char *place = place_of(gathering, record);
    if (!place) return eval_fail_memory(error, "lines that are no questions");
    snprintf(text, sizeof text, "%s%s", gathering->role, reason);
    ex_code code = eval_task_add_bad(gathering->task, record->line, place, text, error);
    free(place);
    return code;
}

/* "id", or HellaSwag's "ind"; otherwise the line. */
static char *id_of(const eval_entry *record) {
    static const char *const names[] = {"id", "ind"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const json_t *id = json_object_get(record->fields, names[i]);
        if (json_is_string(id)) return strdup(json_string_value(id));
        if (json_is_integer(id)) return json_dumps(id, JSON_ENCODE_ANY);
    }
    if (record->file) return eval_text_format("%s:%zu", record->file, record->file_line);
    return eval_text_format("%zu", record->line);
}

static ex_code take(void *context, const eval_entry *record, ex_error *error) {
    item_gathering *gathering = context;
    if (!record->fields) return add_bad(gathering, record, record->reason, error);
    ex_error reason;
    eval_item item = {.line = record->line, .value = json_object()};
    ex_code code = item.value ? gathering->layout->read(record->fields, item.value, &reason)
                              : eval_fail_memory(&reason, "a question");
    if (code == EX_OK) code = eval_item_set(item.value, "record", json_incref(record->fields), &reason);
    if (code == EX_OK) item.id = id_of(record);
    if (code == EX_OK) item.place = place_of(gathering, record);
    if (code == EX_OK && !(item.id && item.place)) code = eval_fail_memory(&reason, "a question");
    if (code == EX_OK) code = add_item(gathering->items, item, &reason);
    if (code == EX_OK) return EX_OK; // NOLINT(clang-analyzer-unix.Malloc): the items keep it
    json_decref(item.value);
    free(item.id);
    free(item.place);
    if (code == EX_ERROR_FORMAT) return add_bad(gathering, record, reason.message, error);
    return eval_fail(error, code, 0, "%s", reason.message);
}

ex_code eval_items_read(eval_items *items, const char *path, const eval_layout *layout, const char *role,
                        eval_task *task, ex_error *error) {
    item_gathering gathering = {items, path, layout, role, task};
    return eval_source_read(path, layout->columns, take, &gathering, error);
}

void eval_items_free(eval_items *items) {
    for (size_t i = 0; i < items->n_items; i++) {
        free(items->items[i].id);
        free(items->items[i].place);
        json_decref(items->items[i].value);
    }
    free(items->items);
    *items = (eval_items){0};
}
