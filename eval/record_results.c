/* record_results.c - the lines of results.jsonl and times.jsonl back into memory. */
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "failure.h"
#include "record.h"
#include "record_names.h"

typedef struct line_reader {
    const eval_run *run;
    char path[4096];
    size_t line;
    eval_result *results;
    size_t count, capacity;
    ex_error *error;
} line_reader;

static ex_code fail(line_reader *from, const char *what) {
    return eval_fail(from->error, EX_ERROR_FORMAT, from->line, "%s:%zu: %s", from->path, from->line, what);
}

static size_t size_of(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    return json_is_integer(value) && json_integer_value(value) >= 0 ? (size_t)json_integer_value(value) : SIZE_MAX;
}

static double number_of(const json_t *value) { return json_is_number(value) ? json_number_value(value) : NAN; }

static double *numbers_of(const json_t *list) {
    const size_t count = json_array_size(list);
    double *values = calloc(count ? count : 1, sizeof *values);
    for (size_t i = 0; values && i < count; i++) values[i] = number_of(json_array_get(list, i));
    return values;
}

static void read_signals(const json_t *object, eval_signals *signals) {
    for (size_t pool = 0; pool < EVAL_POOL_COUNT; pool++) {
        const json_t *values = json_object_get(object, eval_pool_names[pool]);
        for (size_t i = 0; i < EVAL_METRIC_COUNT; i++) signals->values[pool][i] = number_of(json_array_get(values, i));
    }
}

static bool read_tokens(const json_t *list, eval_answer *answer) {
    if (!list) return true;
    const size_t count = json_array_size(list);
    answer->tokens = calloc(count ? count : 1, sizeof *answer->tokens);
    for (size_t i = 0; answer->tokens && i < count; i++)
        answer->tokens[i] = (int32_t)json_integer_value(json_array_get(list, i));
    return answer->tokens && count == answer->n_tokens;
}

static bool read_answer(const json_t *object, eval_answer *answer) {
    const char *text = json_string_value(json_object_get(object, "text"));
    const char *found = json_string_value(json_object_get(object, "answer"));
    const char *reason = json_string_value(json_object_get(object, "end"));
    const size_t end = eval_name_find(eval_end_names, EVAL_END_COUNT, reason);
    answer->is_right = json_is_true(json_object_get(object, "right"));
    answer->n_tokens = size_of(object, "n_tokens");
    answer->n_forwarded = size_of(object, "n_forwarded");
    if (!text || !found || end == EVAL_END_COUNT || answer->n_tokens == SIZE_MAX || answer->n_forwarded == SIZE_MAX)
        return false;
    answer->end = (ex_end)end;
    answer->text = strdup(text);
    answer->answer = strdup(found);
    read_signals(json_object_get(object, "signals"), &answer->signals);
    return answer->text && answer->answer && read_tokens(json_object_get(object, "tokens"), answer);
}

static bool is_of_run(const eval_run *run, const eval_result *result) {
    return result->task < run->n_tasks && result->question < run->tasks[result->task].n_questions &&
           result->policy < run->n_policies && result->seed < run->n_seeds;
}

static bool read_choices(const json_t *object, const eval_run *run, eval_result *result) {
    const json_t *scores = json_object_get(object, "choice_scores");
    const json_t *lengths = json_object_get(object, "choice_lengths");
    if (!scores) return true;
    result->n_choices = json_array_size(scores);
    result->choice_scores = numbers_of(scores);
    result->choice_lengths = numbers_of(lengths);
    return result->choice_scores && result->choice_lengths && json_array_size(lengths) == result->n_choices &&
           result->n_choices == run->tasks[result->task].n_choices[result->question];
}

static ex_code read_result(line_reader *from, const json_t *object, eval_result *result) {
    const json_t *answers = json_object_get(object, "answers");
    *result = (eval_result){.task = size_of(object, "task"),
                            .question = size_of(object, "question"),
                            .policy = size_of(object, "policy"),
                            .seed = size_of(object, "seed"),
                            .seconds = NAN};
    if (!is_of_run(from->run, result)) return fail(from, "a result of no question, policy or seed of run.json");
    result->n_answers = json_array_size(answers);
    if (result->n_answers == 0) return fail(from, "a result without answers");
    result->answers = calloc(result->n_answers, sizeof *result->answers);
    if (!result->answers) return eval_fail_memory(from->error, "results");
    for (size_t i = 0; i < result->n_answers; i++)
        if (!read_answer(json_array_get(answers, i), &result->answers[i])) return fail(from, "no whole answer");
    return read_choices(object, from->run, result) ? EX_OK : fail(from, "the choices are not those of run.json");
}

static ex_code add_line(line_reader *from, const char *text, size_t length) {
    json_error_t reason;
    if (from->count == from->capacity) {
        const size_t capacity = from->capacity ? 2 * from->capacity : 256;
        eval_result *grown = realloc(from->results, capacity * sizeof *grown);
        if (!grown) return eval_fail_memory(from->error, "results");
        from->results = grown;
        from->capacity = capacity;
    }
    json_t *object = json_loadb(text, length, JSON_ALLOW_NUL, &reason);
    if (!object) return fail(from, reason.text);
    ex_code code = read_result(from, object, &from->results[from->count++]);
    json_decref(object);
    return code;
}

static ex_code add_time(line_reader *from, const char *text, size_t length) {
    json_t *object = json_loadb(text, length, 0, NULL);
    const size_t line = size_of(object, "line");
    if (line < from->count) from->results[line].seconds = number_of(json_object_get(object, "seconds"));
    json_decref(object);
    return EX_OK;
}

static ex_code each_line(line_reader *from, const char *folder, const char *name, bool needed,
                         ex_code (*take)(line_reader *from, const char *text, size_t length)) {
    char *text = NULL;
    size_t capacity = 0;
    ssize_t length;
    ex_code code = EX_OK;
    snprintf(from->path, sizeof from->path, "%s/%s", folder, name);
    FILE *file = fopen(from->path, "rbe");
    if (!file) return needed || errno != ENOENT ? eval_fail_system(from->error, from->path, "read") : EX_OK;
    for (from->line = 1; code == EX_OK && (length = getline(&text, &capacity, file)) > 0; from->line++)
        if (text[length - 1] == '\n') code = take(from, text, (size_t)length - 1);
    if (code == EX_OK && !feof(file)) code = eval_fail_system(from->error, from->path, "read");
    free(text);
    fclose(file);
    return code;
}

ex_code eval_records_read(eval_run **run, eval_result **results, size_t *n_results, const char *folder,
                          ex_error *error) {
    *results = NULL;
    *n_results = 0;
    ex_code code = eval_run_read(run, folder, error);
    if (code != EX_OK) return code;
    line_reader from = {.run = *run, .error = error};
    code = each_line(&from, folder, "results.jsonl", true, add_line);
    if (code == EX_OK) code = each_line(&from, folder, "times.jsonl", false, add_time);
    *results = from.results;
    *n_results = from.count;
    if (code == EX_OK) return EX_OK;
    eval_records_free(*run, *results, *n_results);
    *run = NULL;
    *results = NULL;
    *n_results = 0;
    return code;
}
