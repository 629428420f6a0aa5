/* line_editor.c - libedit where there is a terminal. Characters are read here, because libedit itself takes up reading
 * again after Ctrl-C, and here that has to end the line. */
#include "line_editor.h"

#include <errno.h>
#include <histedit.h>
#include <locale.h>
#include <stdio.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "interrupt.h"
#include "terminal.h"

enum { HISTORY_SIZE = 500, PATH_SIZE = 4096 };

struct line_editor {
    const char *prompt;
    EditLine *edit; /* NULL: plain lines */
    History *history;
    char *line;
    size_t capacity;
};

static char *show_prompt(EditLine *edit) {
    line_editor *editor;
    el_get(edit, EL_CLIENTDATA, &editor);
    return (char *)(uintptr_t)editor->prompt;
}

/* One character; 0 at the end of input, -1 after an error or Ctrl-C. */
static int read_character(EditLine *edit, wchar_t *out) {
    (void)edit;
    mbstate_t state = {0};
    for (int n = 0; n < 4;) {
        char byte;
        ssize_t got = read(STDIN_FILENO, &byte, 1);
        if (got < 0 && errno == EINTR && !interrupt_seen()) continue; /* the window changed its size */
        if (got <= 0) return (int)got;
        size_t length = mbrtowc(out, &byte, 1, &state);
        if (length == (size_t)-1) {
            memset(&state, 0, sizeof state);
            n = 0;
            continue;
        }
        if (length != (size_t)-2) return 1;
        n++;
    }
    return -1;
}

/* $XDG_STATE_HOME/entropix/history, made when it can be; false when it cannot. */
static bool history_path(char path[PATH_SIZE]) {
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    int n;
    if (state && *state == '/')
        n = snprintf(path, PATH_SIZE - 16, "%s/entropix", state);
    else if (home && *home == '/')
        n = snprintf(path, PATH_SIZE - 16, "%s/.local/state/entropix", home);
    else
        return false;
    if (n < 0 || n >= PATH_SIZE - 16) return false;
    if (mkdir(path, 0700) != 0 && errno != EEXIST) return false;
    memcpy(path + n, "/history", sizeof "/history");
    return true;
}

static void keep_history(line_editor *editor, bool load) {
    char path[PATH_SIZE];
    HistEvent event;
    if (!history_path(path)) return;
    mode_t before = umask(0077);
    history(editor->history, &event, load ? H_LOAD : H_SAVE, path);
    umask(before);
}

static bool open_editing(line_editor *editor) {
    HistEvent event;
    setlocale(LC_CTYPE, "");
    editor->history = history_init();
    editor->edit = el_init("entropix", stdin, stdout, stderr);
    if (!editor->history || !editor->edit) return false;
    history(editor->history, &event, H_SETSIZE, HISTORY_SIZE);
    history(editor->history, &event, H_SETUNIQUE, 1);
    el_set(editor->edit, EL_CLIENTDATA, editor);
    el_set(editor->edit, EL_PROMPT, show_prompt);
    el_set(editor->edit, EL_EDITOR, "emacs");
    el_set(editor->edit, EL_HIST, history, editor->history);
    el_set(editor->edit, EL_GETCFN, read_character);
    el_source(editor->edit, NULL);
    keep_history(editor, true);
    return true;
}

line_editor *line_editor_open(const char *prompt) {
    line_editor *editor = calloc(1, sizeof *editor);
    if (!editor) return NULL;
    editor->prompt = prompt;
    bool editing = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
    if (!editing || open_editing(editor)) return editor;
    line_editor_close(editor);
    return NULL;
}

void line_editor_close(line_editor *editor) {
    if (!editor) return;
    if (editor->edit && editor->history) keep_history(editor, false);
    if (editor->edit) el_end(editor->edit);
    if (editor->history) history_end(editor->history);
    free(editor->line);
    free(editor);
}

bool line_editor_is_interactive(const line_editor *editor) { return editor->edit != NULL; }

static line_state read_edited(line_editor *editor, const char **line) {
    HistEvent event;
    int n = 0;
    const char *text = el_gets(editor->edit, &n);
    if (interrupt_seen()) return LINE_INTERRUPTED;
    if (!text || n <= 0) return LINE_END;
    if (text[strspn(text, " \t\n")]) history(editor->history, &event, H_ENTER, text);
    free(editor->line);
    editor->line = strndup(text, strcspn(text, "\n"));
    *line = editor->line;
    if (!editor->line) report_memory();
    return editor->line ? LINE_READ : LINE_FAILED;
}

line_state line_editor_read(line_editor *editor, const char **line) {
    if (editor->edit) return read_edited(editor, line);
    ssize_t n = getline(&editor->line, &editor->capacity, stdin);
    if (interrupt_seen()) return LINE_INTERRUPTED;
    if (n < 0 && !feof(stdin)) message("cannot read standard input: %s", strerror(errno));
    if (n < 0) return feof(stdin) ? LINE_END : LINE_FAILED;
    editor->line[strcspn(editor->line, "\n")] = '\0';
    *line = editor->line;
    return LINE_READ;
}
