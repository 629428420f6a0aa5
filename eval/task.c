/* task.c - finding a task by its name, opening and closing it. */
#include "task.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "failure.h"
#include "grade.h"
#include "task_build.h"
#include "task_settings.h"
#include "task_text.h"

void eval_task_close(eval_task *task) {
    if (!task) return;
    for (size_t i = 0; i < task->n_questions; i++) eval_question_free(&task->questions[i]);
    for (size_t i = 0; i < task->n_stop; i++) free(task->stop[i]);
    eval_grader_close(task->grader);
    free(task->questions);
    free(task->stop);
    free(task->bad);
    free(task->name);
    free(task->path);
    free(task->system);
    free(task->pattern);
    free(task);
}

ex_code eval_task_reject(eval_task *task, size_t line, const char *reason, ex_error *error) {
    size_t i = 0;
    while (i < task->n_questions && task->questions[i].line != line) i++;
    if (i == task->n_questions)
        return eval_fail(error, EX_ERROR_ARGUMENT, line, "%s: line %zu is no question", task->path, line);
    ex_code code = eval_task_add_bad(task, line, task->questions[i].place, reason, error);
    if (code != EX_OK) return code;
    eval_question_free(&task->questions[i]);
    memmove(&task->questions[i], &task->questions[i + 1], (task->n_questions - i - 1) * sizeof *task->questions);
    task->n_questions--;
    return EX_OK;
}

static int is_task_file(const struct dirent *entry) { return eval_path_ends(entry->d_name, ".json"); }
static int by_bytes(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

static ex_code fail_name(const char *name, const char *folder, ex_error *error) {
    struct dirent **entries = NULL;
    int count = folder ? scandir(folder, &entries, is_task_file, by_bytes) : 0;
    char names[200] = "none was found";
    size_t length = 0;
    for (int i = 0; i < count; i++) {
        const char *entry = entries[i]->d_name;
        if (length < sizeof names)
            length += (size_t)snprintf(names + length, sizeof names - length, "%s%.*s", i ? ", " : "",
                                       (int)(strlen(entry) - strlen(".json")), entry);
        free(entries[i]);
    }
    free(entries);
    return eval_fail(error, EX_ERROR_IO, 0,
                     "'%.60s' is neither a task file (.json), questions (.jsonl, .txt), nor a task that comes with the "
                     "program: %s", name, names);
}

/* The path of a task file or of a file of questions. */
static ex_code find_path(const char *name, const char *folder, char **path, ex_error *error) {
    struct stat status;
    bool is_file = eval_path_ends(name, ".json") || eval_path_ends(name, ".jsonl") || eval_path_ends(name, ".txt");
    *path = is_file ? strdup(name) : eval_text_format("%s/%s.json", folder ? folder : "", name);
    if (!*path) return eval_fail_memory(error, "a path");
    if (is_file || (folder && !strchr(name, '/') && stat(*path, &status) == 0)) return EX_OK;
    free(*path);
    *path = NULL;
    return fail_name(name, folder, error);
}

/* The base name without its ending. */
static char *name_of(const char *path) {
    const char *base = eval_path_base(path), *dot = strrchr(base, '.');
    return eval_text_format("%.*s", (int)(dot && dot > base ? (size_t)(dot - base) : strlen(base)), base);
}

/* Where examples come from: the task file says it, or the layout does for files that lie where its makers put them.
 * NULL: from the questions themselves. */
static ex_code find_shots(const char *task_path, const eval_task *task, const eval_settings *settings, char **path,
                          ex_error *error) {
    struct stat status;
    *path = NULL;
    if (!settings->shots || !settings->shots_from) return EX_OK;
    if (settings->shots_from != eval_layout_find(settings->layout)->settings.shots_from) {
        *path = eval_path_beside(task_path, settings->shots_from);
        return *path ? EX_OK : eval_fail_memory(error, "a path");
    }
    bool is_folder = stat(task->path, &status) == 0 && S_ISDIR(status.st_mode);
    *path = is_folder ? eval_text_format("%s/%s", task->path, settings->shots_from)
                      : eval_path_beside(task->path, settings->shots_from);
    if (!*path) return eval_fail_memory(error, "a path");
    if (stat(*path, &status)) {
        free(*path);
        *path = NULL;
    }
    return EX_OK;
}

static ex_code fail_empty(const eval_task *task, ex_error *error) {
    if (!task->n_bad) return eval_fail(error, EX_ERROR_FORMAT, 0, "%s: holds no question", task->path);
    return eval_fail(error, EX_ERROR_FORMAT, task->bad[0].line, "%s: %s (and no other line is a question)",
                     task->bad[0].place, task->bad[0].reason);
}

static ex_code load(eval_task *task, eval_settings *settings, const char *path, ex_error *error) {
    const eval_layout *layout = eval_layout_find(settings->layout);
    eval_items items = {0}, shots = {0};
    char *shots_path = NULL;
    ex_code code = eval_items_read(&items, task->path, layout, "", task, error);
    eval_settings_resolve(settings, &items);
    if (code == EX_OK) code = eval_task_configure(task, settings, path, error);
    if (code == EX_OK) code = find_shots(path, task, settings, &shots_path, error);
    if (code == EX_OK && shots_path) code = eval_items_read(&shots, shots_path, layout, "shots_from: ", task, error);
    if (code == EX_OK) code = eval_task_build(task, settings, &items, shots_path ? &shots : &items, path, error);
    if (code == EX_OK && !task->n_questions) code = fail_empty(task, error);
    if (code == EX_OK) task->digest = eval_task_digest(task);
    free(shots_path);
    eval_items_free(&shots);
    eval_items_free(&items);
    return code;
}

static ex_code read_settings(const char *path, json_t **root, eval_settings *settings, ex_error *error) {
    if (eval_path_ends(path, ".json")) return eval_settings_read(path, root, settings, error);
    const eval_layout *layout = eval_layout_find(eval_path_ends(path, ".txt") ? "prose" : "entropix");
    *settings = layout->settings;
    settings->layout = layout->name;
    settings->questions = eval_path_base(path);
    return EX_OK;
}

static ex_code open_path(eval_task **out, const char *path, size_t limit, ex_error *error) {
    json_t *root = NULL;
    eval_settings settings;
    ex_code code = read_settings(path, &root, &settings, error);
    eval_task *task = code == EX_OK ? calloc(1, sizeof *task) : NULL;
    if (code == EX_OK && !task) code = eval_fail_memory(error, "a task");
    if (code == EX_OK) {
        if (limit && (!settings.limit || (int64_t)limit < settings.limit)) settings.limit = (int64_t)limit;
        task->name = settings.name ? strdup(settings.name) : name_of(path);
        task->path = eval_path_beside(path, settings.questions);
        code = task->name && task->path ? load(task, &settings, path, error) : eval_fail_memory(error, "a task");
    }
    json_decref(root);
    if (code == EX_OK) *out = task;
    else eval_task_close(task);
    return code;
}

ex_code eval_task_open(eval_task **out, const char *name, const char *folder, size_t limit, ex_error *error) {
    char *path;
    ex_code code = find_path(name, folder, &path, error);
    if (code == EX_OK) code = open_path(out, path, limit, error);
    free(path);
    return code;
}
