/* record_write.c - run.json and the lines of results.jsonl as text. Key order and number of digits are fixed, so that
 * equal records are equal bytes. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "failure.h"
#include "record.h"
#include "record_names.h"

const char *const eval_kind_names[EVAL_KIND_COUNT] = {"generate", "choose", "continue"};
const char *const eval_budget_names[EVAL_BUDGET_COUNT] = {"none", "tokens", "time"};
const char *const eval_half_names[EVAL_HALF_COUNT] = {"all", "even", "odd"};
const char *const eval_end_names[EVAL_END_COUNT] = {"none", "token", "length", "context", "stop", "trap", "rule"};

size_t eval_name_find(const char *const *names, size_t count, const char *name) {
    size_t i = 0;
    while (i < count && (!name || strcmp(names[i], name) != 0)) i++;
    return i;
}

/* ---- values ---------------------------------------------------------------------------------------------------- */

/* A text that is not UTF-8 loses the bytes above 127. */
static json_t *text_of(const char *text) {
    if (!text) return json_null();
    json_t *value = json_string(text);
    if (value) return value;
    char *copy = strdup(text);
    for (char *at = copy; at && *at; at++)
        if ((unsigned char)*at > 127) *at = '?';
    value = copy ? json_string(copy) : NULL;
    free(copy);
    return value;
}

static json_t *number_of(double value) { return isfinite(value) ? json_real(value) : json_null(); }

static json_t *count_of(size_t value) { return json_integer((json_int_t)value); }

static json_t *digest_of(uint64_t digest) { return json_sprintf("%016llx", (unsigned long long)digest); }

static json_t *numbers_of(const double *values, size_t count) {
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) json_array_append_new(list, number_of(values[i]));
    return list;
}

/* jansson tells a missing value by NULL, which setting passes on as a failure: one look at the end is enough. */
typedef struct builder {
    json_t *object;
    bool failed;
} builder;

static void put(builder *to, const char *key, json_t *value) {
    to->failed |= json_object_set_new_nocheck(to->object, key, value) != 0;
}

static json_t *built(builder *from) {
    if (!from->failed) return from->object;
    json_decref(from->object);
    return NULL;
}

static void append(json_t *list, json_t *value, bool *failed) { *failed |= json_array_append_new(list, value) != 0; }

static ex_code dump(json_t *value, size_t flags, char **text, size_t *length, ex_error *error) {
    char *dumped = value ? json_dumps(value, flags | JSON_PRESERVE_ORDER) : NULL;
    json_decref(value);
    *length = dumped ? strlen(dumped) + 1 : 0;
    *text = dumped ? realloc(dumped, *length + 1) : NULL;
    if (!*text) {
        free(dumped);
        return eval_fail_memory(error, "a record");
    }
    memcpy(*text + *length - 1, "\n", 2);
    return EX_OK;
}

/* ---- results --------------------------------------------------------------------------------------------------- */

static json_t *signals_of(const eval_signals *signals) {
    builder object = {json_object(), false};
    for (size_t i = 0; i < EVAL_POOL_COUNT; i++)
        put(&object, eval_pool_names[i], numbers_of(signals->values[i], EVAL_METRIC_COUNT));
    return built(&object);
}

static json_t *tokens_of(const eval_answer *answer) {
    json_t *list = json_array();
    bool failed = false;
    for (size_t i = 0; i < answer->n_tokens; i++) append(list, json_integer(answer->tokens[i]), &failed);
    if (!failed) return list;
    json_decref(list);
    return NULL;
}

static json_t *answer_of(const eval_answer *answer) {
    builder object = {json_object(), false};
    put(&object, "text", text_of(answer->text));
    put(&object, "answer", text_of(answer->answer));
    put(&object, "right", json_boolean(answer->is_right));
    if (answer->tokens) put(&object, "tokens", tokens_of(answer));
    put(&object, "n_tokens", count_of(answer->n_tokens));
    put(&object, "n_forwarded", count_of(answer->n_forwarded));
    put(&object, "end", json_string(eval_end_names[answer->end]));
    put(&object, "signals", signals_of(&answer->signals));
    return built(&object);
}

ex_code eval_result_format(const eval_result *result, char **line, size_t *length, ex_error *error) {
    builder object = {json_object(), false};
    put(&object, "task", count_of(result->task));
    put(&object, "question", count_of(result->question));
    put(&object, "policy", count_of(result->policy));
    put(&object, "seed", count_of(result->seed));
    json_t *answers = json_array();
    for (size_t i = 0; i < result->n_answers; i++) append(answers, answer_of(&result->answers[i]), &object.failed);
    put(&object, "answers", answers);
    if (result->choice_scores) {
        put(&object, "choice_scores", numbers_of(result->choice_scores, result->n_choices));
        put(&object, "choice_lengths", numbers_of(result->choice_lengths, result->n_choices));
    }
    return dump(built(&object), JSON_COMPACT | JSON_REAL_PRECISION(6), line, length, error);
}

/* ---- the run --------------------------------------------------------------------------------------------------- */

static json_t *choices_of(const bool *right, size_t count) {
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) json_array_append_new(list, json_boolean(right[i]));
    return list;
}

static json_t *question_of(const eval_run_task *task, size_t index) {
    builder object = {json_object(), false};
    put(&object, "line", count_of(task->lines[index]));
    put(&object, "id", text_of(task->ids[index]));
    put(&object, "prompt", text_of(task->prompts[index]));
    put(&object, "right", text_of(task->right[index]));
    if (task->n_choices[index] > 0)
        put(&object, "choices", choices_of(task->choices_right[index], task->n_choices[index]));
    return built(&object);
}

static json_t *bad_of(const eval_bad_line *bad) {
    builder object = {json_object(), false};
    put(&object, "place", text_of(bad->place));
    put(&object, "line", count_of(bad->line));
    put(&object, "reason", text_of(bad->reason));
    return built(&object);
}

static json_t *task_of(const eval_run_task *task) {
    builder object = {json_object(), false};
    json_t *questions = json_array(), *bad = json_array();
    put(&object, "name", text_of(task->name));
    put(&object, "kind", json_string(eval_kind_names[task->kind]));
    put(&object, "unknown", json_boolean(task->is_unknown));
    put(&object, "digest", digest_of(task->digest));
    for (size_t i = 0; i < task->n_bad; i++) append(bad, bad_of(&task->bad[i]), &object.failed);
    for (size_t i = 0; i < task->n_questions; i++) append(questions, question_of(task, i), &object.failed);
    put(&object, "bad", bad);
    put(&object, "questions", questions);
    return built(&object);
}

static json_t *policy_of(const eval_run_policy *policy) {
    builder object = {json_object(), false};
    put(&object, "name", text_of(policy->name));
    put(&object, "price", number_of(policy->price));
    put(&object, "text", text_of(policy->text));
    return built(&object);
}

static json_t *votes_of(const eval_run *run) {
    json_t *list = json_array();
    for (size_t i = 0; i < run->n_votes; i++) json_array_append_new(list, json_string(eval_vote_names[run->votes[i]]));
    return list;
}

static void put_terms(builder *object, const eval_run *run) {
    put(object, "seeds", count_of(run->n_seeds));
    put(object, "first_seed", json_integer((json_int_t)run->first_seed));
    put(object, "budget", json_string(eval_budget_names[run->budget]));
    put(object, "times", number_of(run->budget_times));
    put(object, "votes", votes_of(run));
    put(object, "shard", count_of(run->shard));
    put(object, "shards", count_of(run->n_shards));
    put(object, "half", json_string(eval_half_names[run->half]));
    put(object, "trials", count_of(run->n_trials));
    put(object, "tuning", run->tuning ? json_loads(run->tuning, 0, NULL) : json_null());
}

ex_code eval_run_format(const eval_run *run, char **text, size_t *length, ex_error *error) {
    builder object = {json_object(), false};
    json_t *tasks = json_array(), *policies = json_array();
    put(&object, "format", json_integer(EVAL_FORMAT));
    put(&object, "model", text_of(run->model));
    put(&object, "model_bytes", json_integer((json_int_t)run->model_bytes));
    put(&object, "version", text_of(run->version));
    put(&object, "kernels", text_of(run->kernels));
    put_terms(&object, run);
    for (size_t i = 0; i < run->n_policies; i++) append(policies, policy_of(&run->policies[i]), &object.failed);
    for (size_t i = 0; i < run->n_tasks; i++) append(tasks, task_of(&run->tasks[i]), &object.failed);
    put(&object, "policies", policies);
    put(&object, "tasks", tasks);
    return dump(built(&object), JSON_INDENT(1) | JSON_REAL_PRECISION(6), text, length, error);
}
