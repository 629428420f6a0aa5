/* task_settings.h - the keys of a task file. */
#ifndef EVAL_TASK_SETTINGS_H
#define EVAL_TASK_SETTINGS_H

#include "layout.h"

/* The settings of the task file at `path`, over those of its layout. Texts live as long as `*root`, which the caller
 * releases. EX_ERROR_FORMAT with file and key. */
ex_code eval_settings_read(const char *path, json_t **root, eval_settings *settings, ex_error *error);

#endif
