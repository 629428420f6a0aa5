/* stop_text.h - finds texts that end generation in a text that comes piece by piece. What may be the beginning of one
 * is held back until it is decided, so that no part of a stop text is ever given out. */
#ifndef EX_GENERATE_STOP_TEXT_H
#define EX_GENERATE_STOP_TEXT_H

#include "entropix.h"

typedef struct ex_stop_pattern {
    char *text;
    size_t length;
    size_t *borders; /* [i]: length of the longest proper prefix that also ends the first i + 1 bytes */
    size_t matched;  /* bytes of it at the end of the text so far */
} ex_stop_pattern;

typedef struct ex_stop_text {
    ex_stop_pattern *patterns;
    size_t n_patterns;
    char *buffer; /* what was given out last, then what is held back */
    size_t n_given, n_held;
    bool found;
} ex_stop_text;

/* Copies `texts` (not empty, UTF-8). Takes memory for pieces of up to `longest_piece` bytes. */
ex_code ex_stop_text_open(ex_stop_text *stop, const char *const *texts, size_t n_texts, size_t longest_piece,
                          ex_error *error);
void ex_stop_text_close(ex_stop_text *stop);
/* Forgets the text so far. */
void ex_stop_text_reset(ex_stop_text *stop);
/* Appends a piece of whole characters and returns what is certain now, valid until the next call; after the `last`
 * piece that is all. The stop text that is complete first counts, and of several the longest: it and what follows are
 * dropped, `found` is set, and nothing comes any more. */
ex_string ex_stop_text_add(ex_stop_text *stop, ex_string piece, bool last);

#endif
