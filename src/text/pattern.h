/* pattern.h - cuts text into words by regular expressions that no scanner is known for (pretokenise.h has those that
 * are), through PCRE2 without its just-in-time compiler.
 *
 * Expressions come from a file and are not trusted: what one match may cost is bounded, and all matches of a text
 * together get a budget that is proportional to its length. An expression that needs more is an error, not a wait. */
#ifndef EX_TEXT_PATTERN_H
#define EX_TEXT_PATTERN_H

#include "text/pretokenise.h"

enum { EX_MAX_EXPRESSIONS = 16 };

typedef struct ex_pattern ex_pattern; /* immutable once all expressions are in */

ex_code ex_pattern_open(ex_pattern **out, ex_error *error);
void ex_pattern_close(ex_pattern *pattern);

/* Appends an expression that splits every piece which those before it leave; `position` is where it stands in its file,
 * for errors. The syntax is what tokenizer.json has (Oniguruma's), as far as PCRE2 reads it in the same way: a class
 * within a class or an intersection of classes is refused. */
ex_code ex_pattern_add(ex_pattern *pattern, ex_string expression, uint64_t position, ex_error *error);
/* The same for a text that stands for itself. */
ex_code ex_pattern_add_literal(ex_pattern *pattern, ex_string literal, uint64_t position, ex_error *error);

/* `text` is valid UTF-8 and begins at `offset` of the caller's text, for errors. `work` (may be NULL) becomes the steps
 * that it took: items of expressions that were tried, and bytes that lay between them. */
ex_code ex_pattern_split(const ex_pattern *pattern, const char *text, size_t length, uint64_t offset, ex_word_sink sink,
                         void *context, uint64_t *work, ex_error *error);

#endif
