/* record_read.c - run.json, results.jsonl and times.jsonl back into memory. The files may come from another machine or
 * have been edited: every index and length is checked against run.json. */
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "failure.h"
#include "record.h"
#include "record_names.h"

typedef struct reader { /* what went wrong first */
    const char *path;
    size_t line; /* 0: of run.json */
    ex_code code;
    ex_error *error;
} reader;

static void fail(reader *from, const char *what) {
    if (from->code != EX_OK) return;
    from->code = from->line ? eval_fail(from->error, EX_ERROR_FORMAT, from->line, "%s:%zu: %s", from->path,
                                        from->line, what)
                            : eval_fail(from->error, EX_ERROR_FORMAT, 0, "%s: %s", from->path, what);
}

static void fail_key(reader *from, const char *key) {
    char what[96];
    snprintf(what, sizeof what, "\"%s\" is missing or no value of its kind", key);
    fail(from, what);
}

static void *allocate(reader *from, size_t count, size_t size) {
    void *memory = calloc(count ? count : 1, size);
    if (!memory && from->code == EX_OK) from->code = eval_fail_memory(from->error, "a record");
    return memory;
}

/* ---- values ---------------------------------------------------------------------------------------------------- */

static uint64_t integer_of(reader *from, const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    if (!json_is_integer(value) || json_integer_value(value) < 0) fail_key(from, key);
    return (uint64_t)json_integer_value(value);
}

static double number_of(const json_t *value) { return json_is_number(value) ? json_number_value(value) : NAN; }

/* NULL for null. */
static char *text_of(reader *from, const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    if (json_is_null(value)) return NULL;
    if (!json_is_string(value)) fail_key(from, key);
    char *text = strdup(json_is_string(value) ? json_string_value(value) : "");
    if (!text && from->code == EX_OK) from->code = eval_fail_memory(from->error, "a record");
    return text;
}

static size_t name_of(reader *from, const json_t *object, const char *key, const char *const *names, size_t count) {
    const size_t found = eval_name_find(names, count, json_string_value(json_object_get(object, key)));
    if (found == count) fail_key(from, key);
    return found < count ? found : 0;
}

static const json_t *list_of(reader *from, const json_t *object, const char *key, size_t *count) {
    const json_t *list = json_object_get(object, key);
    if (!json_is_array(list)) fail_key(from, key);
    *count = json_array_size(list);
    return list;
}

/* ---- the run --------------------------------------------------------------------------------------------------- */

static void read_choices(reader *from, const json_t *question, eval_run_task *task, size_t index) {
    const json_t *choices = json_object_get(question, "choices");
    task->n_choices[index] = json_array_size(choices);
    if (task->n_choices[index] == 0) return;
    bool *right = task->choices_right[index] = allocate(from, task->n_choices[index], sizeof(bool));
    for (size_t i = 0; right && i < task->n_choices[index]; i++)
        right[i] = json_is_true(json_array_get(choices, i));
}

static void read_questions(reader *from, const json_t *object, eval_run_task *task) {
    size_t count;
    const json_t *questions = list_of(from, object, "questions", &count);
    task->lines = allocate(from, count, sizeof *task->lines);
    task->ids = allocate(from, count, sizeof *task->ids);
    task->prompts = allocate(from, count, sizeof *task->prompts);
    task->right = allocate(from, count, sizeof *task->right);
    task->n_choices = allocate(from, count, sizeof *task->n_choices);
    task->choices_right = allocate(from, count, sizeof *task->choices_right);
    for (size_t i = 0; i < count && from->code == EX_OK; i++) {
        const json_t *question = json_array_get(questions, i);
        task->n_questions++;
        task->lines[i] = integer_of(from, question, "line");
        task->ids[i] = text_of(from, question, "id");
        task->prompts[i] = text_of(from, question, "prompt");
        task->right[i] = text_of(from, question, "right");
        read_choices(from, question, task, i);
    }
}

static void read_bad(reader *from, const json_t *object, eval_run_task *task) {
    size_t count;
    const json_t *bad = list_of(from, object, "bad", &count);
    task->bad = allocate(from, count, sizeof *task->bad);
    for (size_t i = 0; i < count && from->code == EX_OK; i++) {
        const json_t *line = json_array_get(bad, i);
        const char *reason = json_string_value(json_object_get(line, "reason"));
        const char *place = json_string_value(json_object_get(line, "place"));
        eval_bad_line *to = &task->bad[task->n_bad++];
        to->line = integer_of(from, line, "line");
        if (!place) fail_key(from, "place");
        snprintf(to->place, sizeof to->place, "%s", place ? place : "");
        snprintf(to->reason, sizeof to->reason, "%s", reason ? reason : "");
    }
}

static void read_task(reader *from, const json_t *object, eval_run_task *task) {
    task->name = text_of(from, object, "name");
    task->kind = (eval_kind)name_of(from, object, "kind", eval_kind_names, EVAL_KIND_COUNT);
    task->is_unknown = json_is_true(json_object_get(object, "unknown"));
    const char *digest = json_string_value(json_object_get(object, "digest"));
    task->digest = digest ? strtoull(digest, NULL, 16) : 0;
    read_questions(from, object, task);
    read_bad(from, object, task);
}

static void read_policies(reader *from, const json_t *object, eval_run *run) {
    size_t count;
    const json_t *list = list_of(from, object, "policies", &count);
    run->policies = allocate(from, count, sizeof *run->policies);
    for (size_t i = 0; i < count && from->code == EX_OK; i++) {
        const json_t *policy = json_array_get(list, i);
        eval_run_policy *to = &run->policies[run->n_policies++];
        to->name = text_of(from, policy, "name");
        to->text = text_of(from, policy, "text");
        to->price = number_of(json_object_get(policy, "price"));
    }
}

static void read_votes(reader *from, const json_t *object, eval_run *run) {
    size_t count;
    const json_t *votes = list_of(from, object, "votes", &count);
    if (count < 1 || count > EVAL_VOTE_COUNT) fail_key(from, "votes");
    for (size_t i = 0; i < count && from->code == EX_OK; i++) {
        const char *name = json_string_value(json_array_get(votes, i));
        const size_t vote = eval_name_find(eval_vote_names, EVAL_VOTE_COUNT, name);
        if (vote == EVAL_VOTE_COUNT) fail_key(from, "votes");
        run->votes[run->n_votes++] = (eval_vote)(vote % EVAL_VOTE_COUNT);
    }
}

static void read_terms(reader *from, const json_t *object, eval_run *run) {
    if (integer_of(from, object, "format") != EVAL_FORMAT) fail(from, "a format that this program does not know");
    run->model = text_of(from, object, "model");
    run->version = text_of(from, object, "version");
    run->kernels = text_of(from, object, "kernels");
    run->model_bytes = integer_of(from, object, "model_bytes");
    run->n_seeds = integer_of(from, object, "seeds");
    run->first_seed = integer_of(from, object, "first_seed");
    run->budget = (eval_budget)name_of(from, object, "budget", eval_budget_names, EVAL_BUDGET_COUNT);
    run->budget_times = number_of(json_object_get(object, "times"));
    run->shard = integer_of(from, object, "shard");
    run->n_shards = integer_of(from, object, "shards");
    run->half = (eval_half)name_of(from, object, "half", eval_half_names, EVAL_HALF_COUNT);
    run->n_trials = integer_of(from, object, "trials");
    const json_t *tuning = json_object_get(object, "tuning");
    run->tuning = json_is_array(tuning) || json_is_object(tuning) ? json_dumps(tuning, JSON_PRESERVE_ORDER) : NULL;
    if (run->n_seeds < 1 || run->n_shards < 1 || run->shard >= run->n_shards) fail(from, "seeds or shards are wrong");
}

static void read_run(reader *from, const json_t *object, eval_run *run) {
    size_t count;
    read_terms(from, object, run);
    read_votes(from, object, run);
    read_policies(from, object, run);
    const json_t *tasks = list_of(from, object, "tasks", &count);
    run->tasks = allocate(from, count, sizeof *run->tasks);
    for (size_t i = 0; i < count && from->code == EX_OK; i++)
        read_task(from, json_array_get(tasks, i), &run->tasks[run->n_tasks++]);
}

ex_code eval_run_read(eval_run **out, const char *folder, ex_error *error) {
    char path[4096];
    json_error_t reason;
    snprintf(path, sizeof path, "%s/run.json", folder);
    *out = NULL;
    FILE *file = fopen(path, "rbe");
    if (!file) return eval_fail_system(error, path, "read");
    json_t *object = json_loadf(file, JSON_ALLOW_NUL, &reason);
    fclose(file);
    if (!object) return eval_fail(error, EX_ERROR_FORMAT, (uint64_t)reason.line, "%s:%d: %s", path, reason.line,
                                  reason.text);
    reader from = {path, 0, EX_OK, error};
    eval_run *run = allocate(&from, 1, sizeof *run);
    if (run) read_run(&from, object, run);
    json_decref(object);
    if (from.code == EX_OK) *out = run;
    else eval_records_free(run, NULL, 0);
    return from.code;
}
