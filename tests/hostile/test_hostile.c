/* test_hostile.c - every bad file of the tables against the program and the library, with little memory and time. What
 * must be refused ends with status 2 and one line; nothing may end in another way. Arguments: the program, a folder. */
#include "bad_file.h"

#include "limited.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "entropix.h"

enum { N_COMMANDS = 3 };

typedef struct trial {
    const char *program, *path, *n_tokens;
    int command; /* the library where it is none of the program's */
    size_t file_bytes;
    unsigned n_files, n_refused, n_runs, n_failed;
} trial;

static const struct { const char *name; unsigned bit; } commands[N_COMMANDS] = {
    {"info", BY_INFO}, {"run", BY_EVALUATION}, {"tokenize", BY_TOKENIZE},
};

static void start_program(const trial *t) {
    if (commands[t->command].bit == BY_EVALUATION)
        execl(t->program, t->program, "run", "-m", t->path, "-p", "he", "-n", t->n_tokens, "-t", "1", "--json",
              (char *)NULL);
    else
        execl(t->program, t->program, commands[t->command].name, "-m", t->path, (char *)NULL);
}

static void start_library(const trial *t) {
    ex_engine_options options = ex_engine_options_default();
    options.n_threads = 1;
    ex_engine *engine = NULL;
    ex_error error = {0};
    ex_code code = ex_engine_open(&engine, t->path, &options, &error);
    ex_engine_close(engine);
    if (code != EX_OK) fprintf(stderr, "%s\n", error.message);
    exit(code == EX_OK ? 0 : REFUSED);
}

static void shrink(const void *context) {
    const trial *t = context;
    const struct timespec half_a_second = {0, 500000000};
    nanosleep(&half_a_second, NULL);
    if (truncate(t->path, 4096) != 0) abort();
}

static void start(const void *context) {
    const trial *t = context;
    if (t->command < N_COMMANDS) start_program(t);
    else start_library(t);
}

static bool is_right(const bad_row *row, unsigned bit, const outcome *o) {
    bool must_refuse = row->refused & bit;
    if (o->status == REFUSED)
        return row->word && o->n_lines == 1 && (!must_refuse || strstr(o->text, row->word) != NULL);
    return o->status == 0 && !must_refuse;
}

static void write_row(trial *t, const bad_row *row) {
    bad_bytes bytes = bad_make(row);
    FILE *file = fopen(t->path, "wbe");
    if (!file || fwrite(bytes.data, 1, bytes.length, file) != bytes.length || fclose(file) != 0) abort();
    t->file_bytes = bytes.length;
    free(bytes.data);
}

static void try_row(trial *t, const char *table, const bad_row *row) {
    write_row(t, row);
    bool refused = true;
    for (t->command = 0; t->command <= N_COMMANDS; t->command++) {
        unsigned bit = t->command < N_COMMANDS ? commands[t->command].bit : BY_LIBRARY;
        outcome o = run_limited(start, NULL, t, t->file_bytes, false);
        t->n_runs++;
        if (row->refused & bit) refused = refused && o.status == REFUSED;
        if (is_right(row, bit, &o)) continue;
        t->n_failed++;
        printf("%s: %s: %s: status %d%s, %zu lines: %s\n", table, row->name,
               t->command < N_COMMANDS ? commands[t->command].name : "library", o.status,
               o.status == TOO_LONG ? " (too long)" : "", o.n_lines, o.text);
    }
    if (row->word) t->n_files++;
    if (row->word && refused) t->n_refused++;
}

static void never_ends(bad_file *file, const bad_row *row) {
    bad_edit_u32(file, row);
    bad_drop_key(file, "tokenizer.ggml.eos_token_id");
}

/* While it generates, the weights go away. */
static void try_shrinking(trial *t) {
    const bad_row row = {"a file that shrinks", "became shorter", BY_EVALUATION, never_ends,
                         .target = "llama.context_length", .number = 1 << 17};
    write_row(t, &row);
    t->n_tokens = "131000";
    t->command = 1;
    outcome o = run_limited(start, shrink, t, t->file_bytes, false);
    t->n_files++;
    t->n_runs++;
    if (is_right(&row, BY_EVALUATION, &o)) {
        t->n_refused++;
        return;
    }
    t->n_failed++;
    printf("%s: status %d: %s\n", row.name, o.status, o.text);
}

int main(int n_arguments, char **arguments) {
    const bad_table *const tables[] = {&bad_container, &bad_tensors, &bad_shapes, &bad_vocabularies};
    if (n_arguments != 3) return 2;
    char path[4096];
    snprintf(path, sizeof path, "%s/hostile-%ld.gguf", arguments[2], (long)getpid());
    trial t = {.program = arguments[1], .path = path, .n_tokens = "1"};
    try_row(&t, "good", &(bad_row){.name = "the good file"});
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        for (size_t j = 0; j < tables[i]->n_rows; j++) try_row(&t, tables[i]->name, &tables[i]->rows[j]);
    try_shrinking(&t);
    unlink(path);
    printf("%u bad inputs, %u refused; %u runs, %u of them wrong\n", t.n_files, t.n_refused, t.n_runs, t.n_failed);
    return t.n_failed ? 1 : 0;
}
