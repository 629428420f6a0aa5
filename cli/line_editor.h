/* line_editor.h - lines from a person (edited, with history) or from a pipe (as they are). */
#ifndef CLI_LINE_EDITOR_H
#define CLI_LINE_EDITOR_H

#include <stdbool.h>

typedef struct line_editor line_editor;

typedef enum line_state { LINE_READ, LINE_END, LINE_INTERRUPTED, LINE_FAILED /* it has said why */ } line_state;

/* Edits when standard input and output are a terminal. NULL when memory is out. */
line_editor *line_editor_open(const char *prompt);
void line_editor_close(line_editor *editor); /* keeps the history if there is a place for it */
bool line_editor_is_interactive(const line_editor *editor);
/* The line without its end, valid until the next call. */
line_state line_editor_read(line_editor *editor, const char **line);

#endif
