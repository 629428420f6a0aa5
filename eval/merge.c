/* merge.c - the parts of a run become the folder that the whole run would have left: the same bytes, but for times. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "failure.h"
#include "plan.h"
#include "run_folder.h"
#include "shard.h"

typedef struct part {
    const char *folder;
    eval_run *run;
    FILE *results, *times;
    char *line;
    size_t capacity, n_lines;
} part;

typedef struct merger {
    part *parts; /* [n_parts] in the order of their shards */
    size_t n_parts;
    eval_folder out;
} merger;

static ex_code open_file(FILE **file, const char *folder, const char *name, ex_error *error) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    *file = fopen(path, "rbe");
    return *file ? EX_OK : eval_fail_system(error, path, "read");
}

static ex_code place_part(merger *all, const char *folder, ex_error *error) {
    eval_run *run;
    ex_code code = eval_run_read(&run, folder, error);
    if (code != EX_OK) return code;
    if (run->n_shards != all->n_parts)
        code = eval_fail(error, EX_ERROR_ARGUMENT, 0, "%s is part %zu of %zu, but %zu were given", folder, run->shard,
                         run->n_shards, all->n_parts);
    else if (all->parts[run->shard].folder)
        code = eval_fail(error, EX_ERROR_ARGUMENT, 0, "%s and %s are both part %zu", all->parts[run->shard].folder,
                         folder, run->shard);
    if (code != EX_OK) {
        eval_records_free(run, NULL, 0);
        return code;
    }
    part *to = &all->parts[run->shard];
    *to = (part){.folder = folder, .run = run};
    code = open_file(&to->results, folder, "results.jsonl", error);
    return code == EX_OK ? open_file(&to->times, folder, "times.jsonl", error) : code;
}

/* As the whole run has it: run.json of a part differs in its shard alone. */
static ex_code describe(eval_run *run, char **text, size_t *length, ex_error *error) {
    const size_t shard = run->shard, n_shards = run->n_shards;
    run->shard = 0;
    run->n_shards = 1;
    ex_code code = eval_run_format(run, text, length, error);
    run->shard = shard;
    run->n_shards = n_shards;
    return code;
}

static ex_code compare_parts(const merger *all, ex_error *error) {
    char *first = NULL, *other;
    size_t length;
    ex_code code = describe(all->parts[0].run, &first, &length, error);
    for (size_t i = 1; i < all->n_parts && code == EX_OK; i++) {
        code = describe(all->parts[i].run, &other, &length, error);
        if (code != EX_OK) break;
        if (strcmp(first, other) != 0)
            code = eval_fail(error, EX_ERROR_ARGUMENT, 0,
                             "%s/run.json and %s/run.json are of different runs (other arguments, another model or "
                             "another kind of processor: --cpu fixes the kernels)",
                             all->parts[0].folder, all->parts[i].folder);
        free(other);
    }
    free(first);
    return code;
}

/* ---- lines ----------------------------------------------------------------------------------------------------- */

/* Below 0 when they cannot be read. */
static double next_seconds(part *from) {
    double seconds = 0;
    if (getline(&from->line, &from->capacity, from->times) <= 0) return feof(from->times) ? 0 : -1;
    json_t *object = json_loads(from->line, 0, NULL);
    seconds = json_number_value(json_object_get(object, "seconds"));
    json_decref(object);
    return seconds;
}

static bool is_of(const char *line, size_t task, size_t question) {
    char wanted[96];
    snprintf(wanted, sizeof wanted, "{\"task\":%zu,\"question\":%zu,", task, question);
    return strncmp(line, wanted, strlen(wanted)) == 0;
}

static ex_code copy_line(merger *all, part *from, size_t task, size_t question, ex_error *error) {
    const double seconds = next_seconds(from);
    if (seconds < 0) return eval_fail_system(error, from->folder, "read times.jsonl of");
    const ssize_t length = getline(&from->line, &from->capacity, from->results);
    if (length < 0 && !feof(from->results)) return eval_fail_system(error, from->folder, "read results.jsonl of");
    if (length <= 0 || from->line[length - 1] != '\n')
        return eval_fail(error, EX_ERROR_FORMAT, from->n_lines, "%s is not finished: it has %zu lines", from->folder,
                         from->n_lines);
    from->n_lines++;
    if (!is_of(from->line, task, question))
        return eval_fail(error, EX_ERROR_FORMAT, from->n_lines, "%s/results.jsonl:%zu: not task %zu, question %zu",
                         from->folder, from->n_lines, task, question);
    return eval_folder_append(&all->out, from->line, (size_t)length, seconds, error);
}

/* The parts take turns at the questions of each task, as the plan deals them out. */
static ex_code copy_lines(merger *all, const eval_run *run, ex_error *error) {
    ex_code code = EX_OK;
    for (size_t task = 0, question = 0; code == EX_OK && eval_run_find(run, &task, &question); question++) {
        const size_t place = run->half == EVAL_HALF_ALL ? question : question / 2;
        for (size_t i = 0; i < eval_run_units(run, task) && code == EX_OK; i++)
            code = copy_line(all, &all->parts[place % all->n_parts], task, question, error);
    }
    return code;
}

static ex_code write_whole(merger *all, const char *folder, ex_error *error) {
    eval_run *run = all->parts[0].run;
    ex_code code = eval_folder_open(&all->out, folder, error);
    run->shard = 0;
    run->n_shards = 1;
    if (code == EX_OK) code = eval_folder_describe(&all->out, run, error);
    if (code == EX_OK) code = eval_file_write(folder, "results.jsonl", "", 0, error);
    if (code == EX_OK) code = eval_file_write(folder, "times.jsonl", "", 0, error);
    if (code == EX_OK) code = eval_folder_continue(&all->out, error);
    if (code == EX_OK) code = copy_lines(all, run, error);
    eval_folder_close(&all->out);
    return code;
}

ex_code eval_merge(const char *const *parts, size_t n_parts, const char *folder, ex_error *error) {
    merger all = {.parts = calloc(n_parts, sizeof *all.parts), .n_parts = n_parts, .out = {.lock = -1, .results = -1,
                                                                                           .times = -1}};
    ex_code code = all.parts ? EX_OK : eval_fail_memory(error, "parts");
    for (size_t i = 0; i < n_parts && code == EX_OK; i++) code = place_part(&all, parts[i], error);
    if (code == EX_OK) code = compare_parts(&all, error);
    if (code == EX_OK) code = write_whole(&all, folder, error);
    for (size_t i = 0; all.parts && i < n_parts; i++) {
        eval_records_free(all.parts[i].run, NULL, 0);
        if (all.parts[i].results) fclose(all.parts[i].results);
        if (all.parts[i].times) fclose(all.parts[i].times);
        free(all.parts[i].line);
    }
    free(all.parts);
    return code;
}
