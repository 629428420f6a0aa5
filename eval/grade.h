/* grade.h - the compiled pattern of a task. */
#ifndef EVAL_GRADE_H
#define EVAL_GRADE_H

#include "task.h"

/* `pattern` is a POSIX extended expression, in which a line's end is matched by no "." and where "^" and "$" stand at
 * lines' ends. EX_ERROR_FORMAT with the reason when it is none. Used by any number of threads at a time. */
ex_code eval_grader_open(struct eval_grader **out, const char *pattern, ex_error *error);
void eval_grader_close(struct eval_grader *grader);

#endif
