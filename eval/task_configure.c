/* task_configure.c - what a task is, apart from its questions: settings that nobody gave, the task's fields, and the
 * digest over all. */
#include <stdlib.h>
#include <string.h>

#include "failure.h"
#include "grade.h"
#include "task_build.h"

/* "The answer is 1,234.5": what the plain layout looks for where no text is accepted. */
static const char number_pattern[] = "[Tt]he answer is:? *(-?[$]?[0-9]+(,[0-9]{3})*(\\.[0-9]+)?)";

enum { PREDICT_ANSWER = 256, PREDICT_PROSE = 200 };

/* Whether some question can only be graded by a number in the answer. */
static bool wants_number(const eval_items *items) {
    for (size_t i = 0; i < items->n_items; i++) {
        const json_t *item = items->items[i].value;
        if (json_is_string(json_object_get(item, "answer")) && !json_array_size(json_object_get(item, "accept")) &&
            !json_object_get(item, "choices"))
            return true;
    }
    return false;
}

void eval_settings_resolve(eval_settings *settings, const eval_items *items) {
    bool has_choices = items->n_items && json_object_get(items->items[0].value, "choices");
    if (settings->kind == EVAL_AUTO) settings->kind = has_choices ? EVAL_CHOOSE : EVAL_GENERATE;
    if (settings->chat == EVAL_AUTO) settings->chat = settings->kind != EVAL_CONTINUE;
    if (!settings->separator) settings->separator = settings->chat ? "" : " ";
    if (settings->compare == EVAL_AUTO) {
        bool is_number = settings->kind == EVAL_GENERATE && !settings->pattern_given && wants_number(items);
        settings->compare = is_number ? EVAL_COMPARE_NUMBER : EVAL_COMPARE_TEXT;
        if (is_number) settings->pattern = number_pattern;
    }
    if (settings->predict == EVAL_AUTO)
        settings->predict = settings->kind == EVAL_CONTINUE ? PREDICT_PROSE : PREDICT_ANSWER;
    if (settings->kind == EVAL_CHOOSE) settings->predict = 0;
    if (settings->kind != EVAL_GENERATE) settings->pattern = NULL;
}

static ex_code copy(const char *text, char **out, ex_error *error) {
    if (!text) return EX_OK;
    *out = strdup(text);
    return *out ? EX_OK : eval_fail_memory(error, "a task");
}

static ex_code copy_stops(eval_task *task, const eval_settings *settings, ex_error *error) {
    if (!settings->n_stop) return EX_OK;
    task->stop = calloc(settings->n_stop, sizeof *task->stop);
    if (!task->stop) return eval_fail_memory(error, "a task");
    for (; task->n_stop < settings->n_stop; task->n_stop++) {
        ex_code code = copy(settings->stop[task->n_stop], &task->stop[task->n_stop], error);
        if (code != EX_OK) return code;
    }
    return EX_OK;
}

ex_code eval_task_configure(eval_task *task, const eval_settings *settings, const char *path, ex_error *error) {
    task->kind = (eval_kind)settings->kind;
    task->is_chat = settings->chat;
    task->is_unknown = settings->unknown;
    task->takes_last = settings->take;
    task->is_number = settings->compare == EVAL_COMPARE_NUMBER;
    task->folds_case = settings->compare == EVAL_COMPARE_FOLD;
    task->n_predict = (size_t)settings->predict;
    task->n_separator = strlen(settings->separator);
    ex_code code = copy(settings->system, &task->system, error);
    if (code == EX_OK) code = copy(settings->pattern, &task->pattern, error);
    if (code == EX_OK) code = copy_stops(task, settings, error);
    if (code != EX_OK || !task->pattern) return code;
    ex_error reason;
    code = eval_grader_open(&task->grader, task->pattern, &reason);
    return code == EX_OK ? EX_OK : eval_fail(error, code, 0, "%s: %s", path, reason.message);
}

/* FNV-1a, 64 bits. */
static void digest_bytes(uint64_t *digest, const void *bytes, size_t length) {
    for (size_t i = 0; i < length; i++) *digest = (*digest ^ ((const unsigned char *)bytes)[i]) * 0x100000001b3u;
}

static void digest_number(uint64_t *digest, uint64_t number) {
    unsigned char bytes[8];
    for (size_t i = 0; i < 8; i++) bytes[i] = (unsigned char)(number >> 8 * i);
    digest_bytes(digest, bytes, sizeof bytes);
}

static void digest_text(uint64_t *digest, const char *text) {
    digest_number(digest, text ? strlen(text) : UINT64_MAX);
    if (text) digest_bytes(digest, text, strlen(text));
}

static void digest_texts(uint64_t *digest, char *const *texts, size_t count) {
    digest_number(digest, count);
    for (size_t i = 0; i < count; i++) digest_text(digest, texts[i]);
}

uint64_t eval_task_digest(const eval_task *task) {
    uint64_t digest = 0xcbf29ce484222325u;
    digest_number(&digest, (uint64_t)task->kind);
    digest_number(&digest, (uint64_t)(task->is_chat | task->is_unknown << 1 | task->takes_last << 2 |
                                      task->is_number << 3 | task->folds_case << 4));
    digest_number(&digest, task->n_predict);
    digest_number(&digest, task->n_separator);
    digest_text(&digest, task->system);
    digest_text(&digest, task->pattern);
    digest_texts(&digest, task->stop, task->n_stop);
    digest_number(&digest, task->n_questions);
    for (size_t i = 0; i < task->n_questions; i++) {
        const eval_question *question = &task->questions[i];
        digest_number(&digest, question->line);
        digest_text(&digest, question->id);
        digest_text(&digest, question->prompt);
        digest_text(&digest, question->answer);
        digest_texts(&digest, question->accept, question->n_accept);
        digest_texts(&digest, question->choices, question->n_choices);
        for (size_t c = 0; c < question->n_choices; c++) digest_number(&digest, question->is_right[c]);
    }
    return digest;
}
