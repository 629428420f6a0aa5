/* line_answers.h - commands that answer every line of standard input with one line of JSON, at once. */
#ifndef CLI_LINE_ANSWERS_H
#define CLI_LINE_ANSWERS_H

#include "entropix.h"

/* Writes the answer to one line, or returns why there is none; `error` is there for its message. */
typedef const char *(*answer_function)(void *context, const char *line, size_t length, ex_error *error);

/* A line without an answer gives {"error": …, "line": N}. Returns the exit status. */
int answer_lines(answer_function answer, void *context);

#endif
