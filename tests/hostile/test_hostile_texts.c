/* test_hostile_texts.c - every bad text of bad_texts.c through the program, with little memory and time: status 2 and
 * one line of reason, no more. Arguments: the program, a folder. */
#include "bad_file.h"
#include "bad_text.h"
#include "limited.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_LENGTH = 4096 };

typedef struct text_trial {
    const char *program;
    char folder[PATH_LENGTH - 128], text[PATH_LENGTH], model[PATH_LENGTH], out[PATH_LENGTH];
    const bad_text_table *table;
    unsigned n_texts, n_refused, n_runs, n_failed;
} text_trial;

static void write_bytes(const char *path, const void *bytes, size_t length) {
    FILE *file = fopen(path, "wbe");
    if (!file || fwrite(bytes, 1, length, file) != length || fclose(file) != 0) abort();
}

static void put_text(bad_bytes *bytes, const char *text) {
    for (size_t i = 0; text && text[i]; i++) bad_put(bytes, text[i] == 1 ? "" : &text[i], 1);
}

static size_t write_text(const char *path, const bad_text *row) {
    bad_bytes bytes = {0};
    put_text(&bytes, row->before);
    for (size_t i = 0; i < row->times; i++) put_text(&bytes, row->piece);
    put_text(&bytes, row->after);
    write_bytes(path, bytes.data, bytes.length);
    free(bytes.data);
    return bytes.length;
}

static const char *path_of(const text_trial *t, const char *argument) {
    if (strcmp(argument, "@text") == 0) return t->text;
    if (strcmp(argument, "@folder") == 0) return t->folder;
    if (strcmp(argument, "@model") == 0) return t->model;
    return strcmp(argument, "@out") == 0 ? t->out : argument;
}

static void give_input(const text_trial *t) {
    const char *input = t->table->input;
    if (!input) return;
    char path[PATH_LENGTH];
    snprintf(path, sizeof path, "%s/input", t->folder);
    if (strcmp(input, "@text") == 0) snprintf(path, sizeof path, "%s", t->text);
    else write_bytes(path, input, strlen(input));
    dup2(open(path, O_RDONLY), STDIN_FILENO);
}

static void start(const void *context) {
    const text_trial *t = context;
    const char *arguments[BAD_ARGUMENTS + 2] = {t->program};
    for (size_t i = 0; i < BAD_ARGUMENTS && t->table->arguments[i]; i++)
        arguments[i + 1] = path_of(t, t->table->arguments[i]);
    give_input(t);
    execv(t->program, (char **)arguments);
}

static void try_text(text_trial *t, const bad_text *row) {
    outcome o = run_limited(start, NULL, t, write_text(t->text, row), true);
    t->n_runs++;
    if (row->word) t->n_texts++;
    if (row->word && o.status == REFUSED && o.n_lines == 1 && strstr(o.text, row->word) && access(t->out, F_OK) != 0) {
        t->n_refused++;
    } else if (row->word || o.status != 0) {
        t->n_failed++;
        printf("%s: %s: status %d, %zu lines: %s\n", t->table->name, row->name, o.status, o.n_lines, o.text);
    }
    unlink(t->out);
}

static void make_model(text_trial *t) {
    bad_bytes bytes = bad_make(&(bad_row){.name = "good"});
    write_bytes(t->model, bytes.data, bytes.length);
    free(bytes.data);
}

static void remove_folder(const text_trial *t) {
    char path[PATH_LENGTH];
    for (size_t i = 0; i < n_bad_text_tables; i++) {
        snprintf(path, sizeof path, "%s/%s", t->folder, bad_text_tables[i].file);
        unlink(path);
    }
    snprintf(path, sizeof path, "%s/input", t->folder);
    unlink(path);
    unlink(t->model);
    rmdir(t->folder);
}

int main(int n_arguments, char **arguments) {
    if (n_arguments != 3) return 2;
    text_trial t = {.program = arguments[1]};
    snprintf(t.folder, sizeof t.folder, "%s/texts-%ld", arguments[2], (long)getpid());
    if (mkdir(t.folder, 0777) != 0) return 1;
    snprintf(t.model, sizeof t.model, "%s/model.gguf", t.folder);
    snprintf(t.out, sizeof t.out, "%s/out.svg", t.folder);
    make_model(&t);
    for (size_t i = 0; i < n_bad_text_tables; i++) {
        t.table = &bad_text_tables[i];
        snprintf(t.text, sizeof t.text, "%s/%s", t.folder, t.table->file);
        for (size_t j = 0; j < t.table->n_rows; j++) try_text(&t, &t.table->rows[j]);
        unlink(t.text);
    }
    remove_folder(&t);
    printf("%u bad inputs, %u refused; %u runs, %u of them wrong\n", t.n_texts, t.n_refused, t.n_runs, t.n_failed);
    return t.n_failed ? 1 : 0;
}
