/* bad_text.h - inputs that are texts: templates, policies, traces, requests, schemas, folders to convert. */
#ifndef EX_TESTS_HOSTILE_BAD_TEXT_H
#define EX_TESTS_HOSTILE_BAD_TEXT_H

#include <stddef.h>

enum { BAD_ARGUMENTS = 10 };

/* The text is `before`, `times` times `piece`, and `after`; a byte 1 in them stands for a zero byte. */
typedef struct bad_text {
    const char *name;
    const char *word; /* of the reason; NULL: the text is good, and this is what a user may write */
    const char *before, *piece, *after;
    size_t times;
} bad_text;

/* `arguments` of the program: "@text" is the text's path, "@folder" its folder, "@model" a good model, "@out" a file
 * that is not there yet. */
typedef struct bad_text_table {
    const char *name;
    const char *file;  /* the name that the text gets */
    const char *input; /* standard input; NULL: none; "@text": the text */
    const char *arguments[BAD_ARGUMENTS];
    const bad_text *rows;
    size_t n_rows;
} bad_text_table;

extern const bad_text_table bad_text_tables[];
extern const size_t n_bad_text_tables;

#endif
