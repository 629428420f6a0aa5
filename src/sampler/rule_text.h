/* rule_text.h - one line of the text of rules as tokens, and complaints with their place. */
#ifndef EX_SAMPLER_RULE_TEXT_H
#define EX_SAMPLER_RULE_TEXT_H

#include "entropix_sampler.h"

typedef struct ex_rule_text {
    const char *name;             /* of the file, for messages */
    size_t line;                  /* in the file, from 1 */
    const char *begin, *at, *end; /* of this line; columns count from `begin`, reading goes on at `at` */
    const char *rule;             /* that is being read; "" before the first */
    ex_error *error;
} ex_rule_text;

typedef enum ex_rule_token_kind {
    EX_TOKEN_KIND_END,
    EX_TOKEN_KIND_NUMBER,
    EX_TOKEN_KIND_NAME,
    EX_TOKEN_KIND_SYMBOL
} ex_rule_token_kind;

typedef struct ex_rule_token {
    ex_rule_token_kind kind;
    const char *start;
    size_t length;
    double number;
} ex_rule_token;

/* Fails with "NAME:LINE:COLUMN: rule RULE: " before the message; `place` points into the line. */
ex_code ex_rule_fail(const ex_rule_text *text, const char *place, const char *format, ...) EX_PRINTF(3, 4);

/* A comment, which is not read, begins here: # or ; at the start or after a blank. */
bool ex_rule_starts_comment(const ex_rule_text *text, const char *at);

ex_code ex_rule_next_token(ex_rule_text *text, ex_rule_token *token);
bool ex_rule_token_is(const ex_rule_token *token, const char *word);

#endif
