/* text_stream.h - the bytes of tokens as whole UTF-8 characters: what is incomplete waits for the next token, what can
 * never become a character is shown as U+FFFD. */
#ifndef EX_GENERATE_TEXT_STREAM_H
#define EX_GENERATE_TEXT_STREAM_H

#include "entropix.h"

typedef struct ex_text_stream {
    char *text; /* what the last call completed */
    size_t capacity;
    char pending[4];
    size_t n_pending;
} ex_text_stream;

/* Takes memory for tokens of up to `longest` bytes. */
ex_code ex_text_stream_open(ex_text_stream *stream, size_t longest, ex_error *error);
void ex_text_stream_close(ex_text_stream *stream);
/* Valid until the next call. With the `last` bytes, what is not complete then never will be. */
ex_string ex_text_stream_add(ex_text_stream *stream, ex_string bytes, bool last);

#endif
