/* task_build.c - from items and settings to questions. */
#include "task_build.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "failure.h"
#include "task_text.h"

typedef struct task_building {
    eval_task *task;
    const eval_settings *settings;
    const eval_items *shots;
    json_t **shown; /* [shots->n_items] each as the template sees it, made when first used */
    ex_template *prompt;
} task_building;

static bool is_right(const json_t *item, size_t choice) {
    return json_is_true(json_array_get(json_object_get(item, "right"), choice));
}

static const json_t *scored(const task_building *building, const json_t *item) {
    return json_object_get(item, building->settings->score == EVAL_SCORE_LABELS ? "labels" : "choices");
}

/* The answer as a person writes it: the first right choice (or its label), or the answer itself; NULL: none. */
static const char *answer_of(const task_building *building, const json_t *item) {
    const json_t *choices = scored(building, item);
    for (size_t i = 0; i < json_array_size(choices); i++)
        if (is_right(item, i)) return json_string_value(json_array_get(choices, i));
    return json_string_value(json_object_get(item, "answer"));
}

static json_t *variables_of(const json_t *item) {
    static const char *const names[] = {"question", "choices", "labels", "subject", "record"};
    json_t *variables = json_object();
    for (size_t i = 0; variables && i < sizeof names / sizeof *names; i++) {
        json_t *value = json_object_get(item, names[i]);
        if (!value || json_object_set(variables, names[i], value) == 0) continue;
        json_decref(variables);
        variables = NULL;
    }
    return variables;
}

static json_t *shown_shot(task_building *building, size_t index) {
    if (building->shown[index]) return building->shown[index];
    const json_t *item = building->shots->items[index].value, *example = json_object_get(item, "example");
    const char *answer = example ? json_string_value(example) : answer_of(building, item);
    json_t *shot = variables_of(item);
    if (shot && json_object_set_new(shot, "answer", json_string(answer ? answer : ""))) {
        json_decref(shot);
        shot = NULL;
    }
    building->shown[index] = shot;
    return shot;
}

/* An example of the same subject that is not the question itself, in any file. */
static bool fits(const json_t *shot, const json_t *item) {
    const json_t *subject = json_object_get(item, "subject");
    return !json_equal(json_object_get(shot, "question"), json_object_get(item, "question")) &&
           (!subject || json_equal(json_object_get(shot, "subject"), subject));
}

static ex_code gather_shots(task_building *building, const json_t *item, json_t *list, ex_error *error) {
    size_t wanted = (size_t)building->settings->shots;
    for (size_t i = 0; i < building->shots->n_items && json_array_size(list) < wanted; i++) {
        if (!fits(building->shots->items[i].value, item)) continue;
        if (json_array_append(list, shown_shot(building, i))) return eval_fail_memory(error, "examples");
    }
    if (json_array_size(list) == wanted) return EX_OK;
    return eval_fail(error, EX_ERROR_FORMAT, 0,
                     "has %zu examples to show, but \"shots\" is %zu (\"shots_from\" says where they come from)",
                     json_array_size(list), wanted);
}

static ex_code render_prompt(task_building *building, const json_t *item, char **prompt, ex_error *error) {
    json_t *variables = variables_of(item), *shots = json_array();
    ex_code code = variables && shots ? gather_shots(building, item, shots, error)
                                      : eval_fail_memory(error, "a prompt");
    if (code == EX_OK && json_object_set(variables, "shots", shots)) code = eval_fail_memory(error, "a prompt");
    char *json = code == EX_OK ? json_dumps(variables, JSON_COMPACT | JSON_REAL_PRECISION(17)) : NULL;
    if (code == EX_OK && !json) code = eval_fail_memory(error, "a prompt");
    size_t length = 0;
    if (code == EX_OK) code = ex_template_render(building->prompt, json, strlen(json), 0, prompt, &length, error);
    if (code != EX_OK && code != EX_ERROR_MEMORY && error) error->code = code = EX_ERROR_FORMAT;
    if (code == EX_OK && !length) code = eval_fail(error, EX_ERROR_FORMAT, 0, "its prompt is empty");
    free(json);
    json_decref(shots);
    json_decref(variables);
    return code;
}

static ex_code copy_texts(const json_t *list, char ***texts, size_t *count, ex_error *error) {
    size_t n = json_array_size(list);
    if (!n) return EX_OK;
    *texts = calloc(n, sizeof **texts);
    for (size_t i = 0; *texts && i < n; i++, ++*count)
        if (!((*texts)[i] = strdup(json_string_value(json_array_get(list, i))))) break;
    return *count == n ? EX_OK : eval_fail_memory(error, "a question");
}

static ex_code set_choices(const task_building *building, const json_t *item, eval_question *question,
                           ex_error *error) {
    const json_t *choices = scored(building, item);
    size_t count = json_array_size(choices), n_right = 0;
    if (count < 2) return eval_fail(error, EX_ERROR_FORMAT, 0, "has %zu choices, but the task is to choose", count);
    question->choices = calloc(count, sizeof *question->choices);
    question->is_right = calloc(count, sizeof *question->is_right);
    if (!question->choices || !question->is_right) return eval_fail_memory(error, "choices");
    for (size_t i = 0; i < count; i++) {
        const char *text = json_string_value(json_array_get(choices, i));
        if (!*text) return eval_fail(error, EX_ERROR_FORMAT, 0, "choice %zu is empty", i);
        question->choices[i] = eval_text_format("%s%s", building->settings->separator, text);
        if (!question->choices[i]) return eval_fail_memory(error, "choices");
        question->n_choices++;
        question->is_right[i] = is_right(item, i);
        n_right += question->is_right[i];
    }
    if (n_right || building->task->is_unknown) return EX_OK;
    return eval_fail(error, EX_ERROR_FORMAT, 0, "has no right choice");
}

/* Where choices are answered in words, their labels and their texts are both right. */
static ex_code accept_choices(const json_t *item, eval_question *question, ex_error *error) {
    static const char *const names[] = {"labels", "choices"};
    json_t *accept = json_array();
    bool is_whole = accept;
    for (size_t n = 0; n < 2; n++) {
        const json_t *list = json_object_get(item, names[n]);
        for (size_t i = 0; i < json_array_size(list); i++)
            if (is_right(item, i) && json_array_append(accept, json_array_get(list, i))) is_whole = false;
    }
    ex_code code = is_whole ? copy_texts(accept, &question->accept, &question->n_accept, error)
                            : eval_fail_memory(error, "choices");
    json_decref(accept);
    return code;
}

static ex_code set_answer(const task_building *building, const json_t *item, eval_question *question, ex_error *error) {
    bool generates = building->task->kind == EVAL_GENERATE;
    const json_t *accept = json_object_get(item, "accept"), *choices = json_object_get(item, "choices");
    const char *answer = answer_of(building, item);
    if (answer && !(question->answer = strdup(answer))) return eval_fail_memory(error, "a question");
    if (building->task->kind == EVAL_CHOOSE) return set_choices(building, item, question, error);
    if (generates && !choices && !accept && !json_object_get(item, "answer") && !building->task->is_unknown)
        return eval_fail(error, EX_ERROR_FORMAT, 0, "lacks \"answer\"");
    if (generates && choices && !json_array_size(accept)) return accept_choices(item, question, error);
    return copy_texts(accept, &question->accept, &question->n_accept, error);
}

static ex_code build_question(task_building *building, const eval_item *item, eval_question *question,
                              ex_error *error) {
    question->line = item->line;
    question->id = strdup(item->id);
    question->place = strdup(item->place);
    if (!question->id || !question->place) return eval_fail_memory(error, "a question");
    ex_code code = set_answer(building, item->value, question, error);
    return code == EX_OK ? render_prompt(building, item->value, &question->prompt, error) : code;
}

void eval_question_free(eval_question *question) {
    for (size_t i = 0; i < question->n_accept; i++) free(question->accept[i]);
    for (size_t i = 0; i < question->n_choices; i++) free(question->choices[i]);
    free(question->accept);
    free(question->choices);
    free(question->is_right);
    free(question->id);
    free(question->place);
    free(question->prompt);
    free(question->answer);
    *question = (eval_question){0};
}

static ex_code build_all(task_building *building, const eval_items *items, ex_error *error) {
    eval_task *task = building->task;
    size_t limit = building->settings->limit ? (size_t)building->settings->limit : SIZE_MAX;
    for (size_t i = 0; i < items->n_items && task->n_questions < limit; i++) {
        eval_question question = {0};
        ex_error reason;
        ex_code code = build_question(building, &items->items[i], &question, &reason);
        if (code == EX_OK) {
            task->questions[task->n_questions++] = question;
            continue;
        }
        eval_question_free(&question);
        if (code != EX_ERROR_FORMAT) return eval_fail(error, code, 0, "%s", reason.message);
        code = eval_task_add_bad(task, items->items[i].line, items->items[i].place, reason.message, error);
        if (code != EX_OK) return code;
    }
    return EX_OK;
}

static int by_line(const void *a, const void *b) {
    size_t first = ((const eval_bad_line *)a)->line, second = ((const eval_bad_line *)b)->line;
    return (first > second) - (first < second);
}

ex_code eval_task_build(eval_task *task, const eval_settings *settings, const eval_items *items,
                        const eval_items *shots, const char *path, ex_error *error) {
    task_building building = {task, settings, shots, calloc(shots->n_items + 1, sizeof(json_t *)), NULL};
    task->questions = calloc(items->n_items + 1, sizeof *task->questions);
    ex_code code = building.shown && task->questions ? EX_OK : eval_fail_memory(error, "questions");
    ex_error reason;
    if (code == EX_OK) {
        code = ex_template_open(&building.prompt, settings->prompt, strlen(settings->prompt), "prompt", &reason);
        if (code != EX_OK) eval_fail(error, code, reason.position, "%s: %s", path, reason.message);
    }
    if (code == EX_OK) code = build_all(&building, items, error);
    if (code == EX_OK && task->n_bad > 1) qsort(task->bad, task->n_bad, sizeof *task->bad, by_line);
    for (size_t i = 0; building.shown && i < shots->n_items; i++) json_decref(building.shown[i]);
    free(building.shown);
    ex_template_close(building.prompt);
    return code;
}
