/* task_text.h - small operations on texts, all into new memory. */
#ifndef EVAL_TASK_TEXT_H
#define EVAL_TASK_TEXT_H

#include "entropix.h"

/* NULL: no memory. */
char *eval_text_format(const char *format, ...) EX_PRINTF(1, 2);
/* Without blanks at the ends; others, also several in a row, become one space. NULL: no memory. */
char *eval_text_squeeze(const char *text, size_t length);
/* In lower case; with the first character in upper case and the rest in lower case. All scripts. `text` to
 * capitalise is UTF-8. */
ex_code eval_text_lower(const char *text, char **out, ex_error *error);
ex_code eval_text_capitalise(const char *text, char **out, ex_error *error);
/* `name` as found from the folder that `file` is in; an absolute name is itself. NULL: no memory. */
char *eval_path_beside(const char *file, const char *name);
/* Behind the last slash. */
const char *eval_path_base(const char *path);
bool eval_path_ends(const char *path, const char *ending);

#endif
