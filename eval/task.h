/* task.h - a task: questions, the form in which they are asked, and what counts as a right answer. All of it is data: a
 * task file (JSON, docs/EVIDENCE.md) names a file of questions, its layout, a prompt (a Jinja template) and the pattern
 * of an answer. A line that is no question is remembered with its reason; the others are not lost. */
#ifndef EVAL_TASK_H
#define EVAL_TASK_H

#include "entropix.h"

typedef enum eval_kind {
    EVAL_GENERATE, /* the model writes an answer, which is graded */
    EVAL_CHOOSE,   /* the choice that the model finds likeliest is its answer */
    EVAL_CONTINUE  /* the model goes on with a text; nothing is right or wrong */
} eval_kind;

typedef struct eval_question {
    size_t line;            /* in the file of questions, from 1; in a folder, as if its files were one after another */
    char *place;            /* FILE:LINE, the file as it was given; in a folder the file of that folder */
    char *id;               /* as the file names it; otherwise the line's number, in a folder FILE:LINE */
    char *prompt;           /* the user's message, or the text to continue: the template has been rendered */
    char *answer;           /* the right one as the file writes it; NULL: there is none, whatever comes is wrong */
    char **accept;          /* [n_accept] texts that count as right; none: the pattern's finding must equal `answer` */
    size_t n_accept;
    char **choices;         /* [n_choices] continuations of the prompt: the task's separator, then the choice itself */
    bool *is_right;         /* [n_choices] */
    size_t n_choices;
} eval_question;

typedef struct eval_bad_line {
    size_t line;
    char place[200]; /* FILE:LINE as of a question; of a long path the end */
    char reason[200];
} eval_bad_line;

typedef struct eval_task {
    char *name;             /* of the task file, or of the file of questions without its extension */
    char *path;             /* of the file of questions */
    eval_kind kind;
    bool is_chat;           /* the prompt is a user's message; otherwise a text to continue */
    bool is_unknown;        /* nobody can know the answers */
    char *system;           /* NULL: none */
    char *pattern;          /* POSIX extended; its first group, or all of it, is the answer. NULL: the whole text */
    bool takes_last;        /* the last match counts, not the first */
    bool is_number;         /* compare as numbers: 1,000 equals 1000.0 */
    bool folds_case;        /* compare as texts in lower case */
    size_t n_predict;
    char **stop;            /* [n_stop] */
    size_t n_stop;
    size_t n_separator;     /* bytes of the separator that each choice begins with: no part of its length */
    eval_question *questions;
    size_t n_questions;
    eval_bad_line *bad;
    size_t n_bad;
    uint64_t digest;        /* of everything that an answer depends on: a run goes on only with the same task. Rejecting
                               a line leaves it as it is */
    struct eval_grader *grader; /* the pattern, compiled; NULL where grading needs none */
} eval_task;

/* A task file (.json), a file of questions (.jsonl, in the layout of eval/tasks), or the name of a task that comes with
 * the program, which lies in `folder`. EX_ERROR_IO or EX_ERROR_FORMAT with file and line. `limit` 0: all questions. */
ex_code eval_task_open(eval_task **out, const char *name, const char *folder, size_t limit, ex_error *error);
void eval_task_close(eval_task *task);
/* A line that turns out later to be no question (its prompt does not fit the context). */
ex_code eval_task_reject(eval_task *task, size_t line, const char *reason, ex_error *error);

/* What the text says, normalised (blanks at the ends, thousands' commas, case where the task says so), in new memory:
 * the finding of the pattern, or an empty text when it has none. Two answers are the same when these are. */
ex_code eval_answer_of(const eval_task *task, const char *text, char **out, ex_error *error);
/* Whether that is right: one of `accept`, as whole text or as what the pattern found, or equal to `answer` where there
 * is none. For EVAL_CHOOSE `text` is the choice. */
bool eval_is_right(const eval_task *task, const eval_question *question, const char *text, const char *answer);

#endif
