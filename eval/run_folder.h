/* run_folder.h - the folder of a run: one process at a time, whole lines only, and going on where it stood. */
#ifndef EVAL_RUN_FOLDER_H
#define EVAL_RUN_FOLDER_H

#include "record.h"

typedef struct eval_folder {
    const char *path; /* borrowed */
    int lock, results, times; /* descriptors; -1: not open */
    size_t n_lines;   /* whole lines in results.jsonl */
} eval_folder;

/* Makes the folder and those above it where they are missing, and locks it. */
ex_code eval_folder_open(eval_folder *folder, const char *path, ex_error *error);
void eval_folder_close(eval_folder *folder);
/* Writes run.json, or checks that the one that is there is the same; what differs is named. */
ex_code eval_folder_describe(eval_folder *folder, const eval_run *run, ex_error *error);
/* Opens the lines, cuts off one that is not whole, and counts the others. */
ex_code eval_folder_continue(eval_folder *folder, ex_error *error);
/* A line of results, in one write, after what it took. */
ex_code eval_folder_append(eval_folder *folder, const char *line, size_t length, double seconds, ex_error *error);
/* Puts `text` into the file `name`: a temporary one beside it, then renamed. */
ex_code eval_file_write(const char *folder, const char *name, const char *text, size_t length, ex_error *error);

#endif
