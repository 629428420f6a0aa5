/* task_build.h - from items and settings to a task: few-shot examples, prompts, choices, right answers, the digest. */
#ifndef EVAL_TASK_BUILD_H
#define EVAL_TASK_BUILD_H

#include "task_items.h"

/* What is EVAL_AUTO or NULL in the settings becomes what these questions suggest. */
void eval_settings_resolve(eval_settings *settings, const eval_items *items);
/* The fields of the task that do not depend on questions. `path` is for messages. */
ex_code eval_task_configure(eval_task *task, const eval_settings *settings, const char *path, ex_error *error);
/* The questions; examples for prompts come from `shots`, never the question itself. An item that cannot be asked
 * becomes a bad line. */
ex_code eval_task_build(eval_task *task, const eval_settings *settings, const eval_items *items,
                        const eval_items *shots, const char *path, ex_error *error);
uint64_t eval_task_digest(const eval_task *task);
void eval_question_free(eval_question *question);

#endif
