/* grade.c - what an answer says, and whether that is right. */
#include "grade.h"

#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "failure.h"
#include "grade_number.h"
#include "task.h"
#include "task_text.h"

enum { GROUPS_MAX = 10 };

struct eval_grader {
    regex_t pattern;
};

ex_code eval_grader_open(struct eval_grader **out, const char *pattern, ex_error *error) {
    struct eval_grader *grader = malloc(sizeof *grader);
    if (!grader) return eval_fail_memory(error, "a pattern");
    int failure = regcomp(&grader->pattern, pattern, REG_EXTENDED | REG_NEWLINE);
    if (!failure) {
        *out = grader;
        return EX_OK;
    }
    char reason[100];
    regerror(failure, &grader->pattern, reason, sizeof reason);
    free(grader);
    return eval_fail(error, EX_ERROR_FORMAT, 0, "\"pattern\" is no POSIX extended expression: %s", reason);
}

void eval_grader_close(struct eval_grader *grader) {
    if (!grader) return;
    regfree(&grader->pattern);
    free(grader);
}

/* The first group that took part in a match, or all of it where there is none. */
static ex_string group_of(const char *text, const regmatch_t *groups, size_t n_groups) {
    size_t which = 0;
    for (size_t i = 1; i <= n_groups && i < GROUPS_MAX && !which; i++)
        if (groups[i].rm_so >= 0) which = i;
    return (ex_string){text + groups[which].rm_so, (size_t)(groups[which].rm_eo - groups[which].rm_so)};
}

static ex_string find(const eval_task *task, const char *text) {
    if (!task->grader) return (ex_string){text, strlen(text)};
    const regex_t *pattern = &task->grader->pattern;
    ex_string found = {text, 0};
    regmatch_t groups[GROUPS_MAX];
    const char *at = text;
    while (regexec(pattern, at, GROUPS_MAX, groups, at > text && at[-1] != '\n' ? REG_NOTBOL : 0) == 0) {
        found = group_of(at, groups, pattern->re_nsub);
        if (!task->takes_last || !at[groups[0].rm_eo]) break;
        at += groups[0].rm_eo > groups[0].rm_so ? groups[0].rm_eo : groups[0].rm_eo + 1;
    }
    return found;
}

static ex_code normalise(const eval_task *task, ex_string found, char **out, ex_error *error) {
    char *text = eval_text_squeeze(found.data, found.length);
    if (!text) return eval_fail_memory(error, "an answer");
    ex_code code = EX_OK;
    *out = text;
    if (task->is_number) {
        char *number = eval_number_canonical(text);
        if (number) *out = number;
    } else if (task->folds_case) {
        code = eval_text_lower(text, out, error);
    }
    if (code != EX_OK) *out = NULL;
    if (*out != text) free(text);
    return code;
}

ex_code eval_answer_of(const eval_task *task, const char *text, char **out, ex_error *error) {
    return normalise(task, find(task, text), out, error);
}

/* Whether `text`, normalised, is `answer`, which has been. */
static bool is_same(const eval_task *task, const char *text, const char *answer) {
    char *normal = NULL;
    bool same = normalise(task, (ex_string){text, strlen(text)}, &normal, NULL) == EX_OK && strcmp(normal, answer) == 0;
    free(normal);
    return same;
}

static bool is_accepted(const eval_task *task, const eval_question *question, const char *text, const char *answer) {
    char *whole = NULL;
    if (normalise(task, (ex_string){text, strlen(text)}, &whole, NULL) != EX_OK) return false;
    bool accepted = false;
    for (size_t i = 0; i < question->n_accept && !accepted; i++)
        accepted = is_same(task, question->accept[i], whole) || (*answer && is_same(task, question->accept[i], answer));
    free(whole);
    return accepted;
}

bool eval_is_right(const eval_task *task, const eval_question *question, const char *text, const char *answer) {
    if (task->kind == EVAL_CONTINUE) return false;
    if (task->kind == EVAL_CHOOSE) {
        for (size_t i = 0; i < question->n_choices; i++)
            if (question->is_right[i] && is_same(task, question->choices[i], answer)) return true;
        return false;
    }
    if (question->n_accept) return is_accepted(task, question, text, answer);
    return question->answer && *answer && is_same(task, question->answer, answer);
}
