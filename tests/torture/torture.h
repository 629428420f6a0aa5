/* torture.h - short runs of the program under faults, and what they must leave behind. Everything lies in one
 * folder that the driver makes: inputs, and out/ for what a run writes. */
#ifndef EX_TESTS_TORTURE_TORTURE_H
#define EX_TESTS_TORTURE_TORTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "faults.h"

enum { PATH_LENGTH = 4096, TEXT_LENGTH = 2048, NAME_LENGTH = 128, ENTRIES = 64, LINE_LENGTH = 512 };

#define HASH_OF_NOTHING 0xcbf29ce484222325U

enum { /* how a run ends */
    STATUS_GOOD = 0, STATUS_FAILED = 1, STATUS_REFUSED = 2, STATUS_SIGNAL = 128
};

enum { /* of a row */
    ROW_VARIES = 1,    /* what it prints is not the same each time */
    ROW_CONTINUES = 2, /* what it wrote before a fault stays, and the same command goes on from there */
    ROW_ANSWERS = 4,   /* what is wrong with a line is said in the answer to it, on standard output */
    ROW_LINES = 8,     /* its one output may end after any line where it fails */
    ROW_SLOW = 16      /* it takes seconds: few n are tried, and in the quick tier one */
};

typedef struct torture_row {
    const char *name;
    const char *arguments; /* with blanks between them, ~ for a blank inside */
    const char *input;     /* file for standard input, or NULL */
    const char *outputs;   /* names in out/ with blanks between them, there before it runs; or NULL */
    unsigned flags;
    const char *timed; /* outputs that are not the same each time */
} torture_row;

typedef struct fault_plan {
    unsigned kinds, action;
    int number;
    unsigned long at;
    uint64_t file_bytes; /* no file may become larger; 0: any size */
    const char *printed; /* where standard output goes; NULL: a file */
    const char *cut;     /* which file FAULT_CUT shortens */
    unsigned seconds;    /* until it is killed; 0: ten */
} fault_plan;

typedef struct file_entry {
    char name[NAME_LENGTH];
    uint64_t hash;
} file_entry;

typedef struct file_list {
    size_t n;
    file_entry entries[ENTRIES];
} file_list;

typedef struct outcome {
    int status; /* of the process, or 128 and its signal */
    size_t n_lines;
    char text[TEXT_LENGTH]; /* what it wrote on standard error */
    uint64_t printed;       /* hash of what it wrote on standard output */
    bool names_error;       /* there */
    unsigned long fired;
    file_list files;        /* in out/ */
} outcome;

typedef struct torture {
    const char *program, *library;
    char folder[PATH_LENGTH];
    fault_page *page;
    bool is_full; /* every call, not a spread of them */
    unsigned long n_faults, n_survived, n_refused, n_wrong, n_runs;
} torture;

extern const torture_row torture_rows[];
extern const size_t n_torture_rows;
extern const char *const fault_names[FAULT_KINDS];

void torture_make_inputs(torture *t);

void torture_path(const torture *t, char path[PATH_LENGTH], const char *name);
void torture_write(const torture *t, const char *name, const void *data, size_t length);

void torture_remove(const torture *t); /* the folder */
void torture_copy(const torture *t, const char *from, const char *to);

/* Empties out/ and puts the row's old outputs there. */
void torture_reset(const torture *t, const torture_row *row);
pid_t torture_start(const torture *t, const torture_row *row, const fault_plan *plan);
void torture_wait(const torture *t, const torture_row *row, pid_t child, outcome *o);
void torture_run(torture *t, const torture_row *row, const fault_plan *plan, outcome *o);
void torture_list(const torture *t, const torture_row *row, file_list *list);

/* Every file is one of `old` or one of `new`, and none of `old` is missing; else says which one is wrong. */
bool torture_is_whole(const file_list *now, const file_list *old, const file_list *new, char why[LINE_LENGTH]);
/* The row's one output is whole lines of what torture_keep has kept of it. */
bool torture_is_beginning(const torture *t, const torture_row *row);
void torture_keep(const torture *t, const torture_row *row);
void torture_forget_parts(file_list *list); /* unfinished files of killed programs */
/* The file of that name is the same in both, or in neither. */
bool torture_same_files(const file_list *a, const file_list *b, char why[LINE_LENGTH]);
void torture_wrong(torture *t, const char *where, const char *why, const outcome *o);

void torture_calls(torture *t);
/* Runs without a fault; its outputs and calls. False when that fails. */
bool torture_count(torture *t, const torture_row *row, outcome *good, unsigned long calls[FAULT_KINDS]);
void torture_judge(torture *t, const torture_row *row, const char *where, const file_list *old, const outcome *good,
                   outcome *o);
void torture_cuts(torture *t);      /* files that become shorter while they are in use */
void torture_kills(torture *t);     /* SIGKILL at any call that changes files, and at any time */
void torture_full_disks(torture *t);
void torture_server(torture *t);    /* faults when it starts, and in requests */
/* Sets the page; a program that is running goes by it from here on. */
void torture_plan(const torture *t, const fault_plan *plan);
void torture_print(const char *name, const torture *t, const torture *before);
/* One fault, for a look at it by hand. */
void torture_one(torture *t, const char *row, const char *kind, unsigned long at);

#endif
