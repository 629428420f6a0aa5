/* trace_line.h - one line of JSON in memory. */
#ifndef EX_GENERATE_TRACE_LINE_H
#define EX_GENERATE_TRACE_LINE_H

#include "base/decimal.h"
#include "entropix.h"

typedef struct ex_line {
    char *text; /* grows */
    size_t length, capacity;
    bool comma;  /* before the next value */
    bool failed; /* there was no memory: the text lacks something */
} ex_line;

void ex_line_clear(ex_line *line);
void ex_line_free(ex_line *line);
void ex_line_add(ex_line *line, const char *bytes, size_t length);

/* Values; `key` is NULL in arrays. */
void ex_line_open(ex_line *line, const char *key, char bracket);
void ex_line_close(ex_line *line, char bracket);
void ex_line_text(ex_line *line, const char *key, ex_string text); /* bytes that are no UTF-8 become U+FFFD */
void ex_line_word(ex_line *line, const char *key, const char *text);
void ex_line_integer(ex_line *line, const char *key, int64_t value);
void ex_line_unsigned(ex_line *line, const char *key, uint64_t value);
void ex_line_truth(ex_line *line, const char *key, bool value);
void ex_line_null(ex_line *line, const char *key);
/* Shortest forms; what is not finite becomes null. */
void ex_line_number(ex_line *line, const ex_decimal_powers *powers, const char *key, double value);
void ex_line_float(ex_line *line, const ex_decimal_powers *powers, const char *key, float value);
void ex_line_fixed(ex_line *line, double value); /* four decimals */
void ex_line_integers(ex_line *line, const char *key, const int32_t *values, size_t count);

#endif
