/* special.h - tokens that are found in text as they stand, before any merging, and those that end an answer. */
#ifndef EX_TEXT_SPECIAL_H
#define EX_TEXT_SPECIAL_H

#include "text/prefix.h"

enum { EX_MAX_SPECIAL_LENGTH = 256 }; /* bytes; longer ones are never looked for in text */

typedef struct ex_special {
    ex_prefix tokens;
} ex_special;

/* Marks in the vocabulary what ends generation and makes those tokens control tokens: by text, because files are
 * unreliable about it, and by the ids that the file names. Call it before ex_special_open. */
ex_code ex_special_mark_ends(ex_vocabulary *vocabulary, const ex_file *file, ex_error *error);

/* Marks special tokens that take the white space beside them, as the tokenizers of some models have it. Files do not
 * record that, so models are known by name. */
ex_code ex_special_mark_strips(ex_vocabulary *vocabulary, const ex_file *file, ex_error *error);

ex_code ex_special_open(ex_special *special, const ex_vocabulary *vocabulary, ex_error *error);
void ex_special_close(ex_special *special);

/* The longest special token that the text begins with, or EX_TOKEN_NONE. Control and unknown tokens must lie within
 * its first `n_trusted` bytes; user-defined ones are for everybody. */
int32_t ex_special_match(const ex_special *special, const ex_vocabulary *vocabulary, const char *text, size_t length,
                         size_t n_trusted);

#endif
