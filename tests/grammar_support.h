/* grammar_support.h - what the tests of grammars share: texts byte by byte, and an independent opinion on whether a
 * JSON value fits a schema, over jansson. */
#ifndef EX_TESTS_GRAMMAR_SUPPORT_H
#define EX_TESTS_GRAMMAR_SUPPORT_H

#include <jansson.h>

#include "support.h"
#include "text/grammar.h"

enum { GRAMMAR_TEXT_MAX = 20000 };

ex_grammar *open_grammar(const char *schema);
/* How far it goes: `n_read` bytes are permitted; whether it may end there. */
bool grammar_reads(const ex_grammar *grammar, const char *text, size_t length, size_t *n_read);
/* A text of random permitted bytes, which seeks its end once it is long. Returns its length; fails where no byte is
 * permitted and the text may not end. */
size_t grammar_walk(const ex_grammar *grammar, uint64_t *state, char text[GRAMMAR_TEXT_MAX]);

/* `root` is what $ref is relative to. Patterns are POSIX extended expressions. */
bool value_fits(const json_t *value, const json_t *schema, const json_t *root);
/* The text is one JSON value, alone, and fits; otherwise the test fails and shows both. */
void check_answer(const char *schema, const char *text, size_t length);

#endif
