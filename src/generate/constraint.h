/* constraint.h - which tokens a grammar permits. A constraint belongs to one generator; lines of text that it follows
 * side by side (the answer, its branches) have a state and a mask each.
 *
 * A mask is found by walking the tokens by their bytes. Inside strings nearly all of them fit, so what a place inside a
 * string permits by itself is kept: a mask, and where tokens go on behind the end of the string, which depends on what
 * is around it and is walked again. Everything is taken when it opens. */
#ifndef EX_GENERATE_CONSTRAINT_H
#define EX_GENERATE_CONSTRAINT_H

#include "text/grammar.h"
#include "text/token_trie.h"

typedef struct ex_constraint ex_constraint;

ex_code ex_constraint_open(ex_constraint **out, const ex_grammar *grammar, const ex_tokenizer *tokenizer,
                           ex_error *error);
void ex_constraint_close(ex_constraint *constraint);

typedef struct ex_constrained { /* one line of text */
    ex_grammar_state *state;
    uint64_t *allowed; /* one bit a token: the newest mask */
} ex_constrained;

/* A NULL constraint is none: these do nothing then. */
ex_code ex_constrained_open(ex_constrained *line, const ex_constraint *constraint, ex_error *error);
void ex_constrained_close(ex_constrained *line);
void ex_constraint_begin(const ex_constraint *constraint, ex_constrained *line);
void ex_constraint_copy(const ex_constraint *constraint, ex_constrained *to, const ex_constrained *from);
/* The line goes on with a token that its state permits. */
void ex_constraint_accept(ex_constraint *constraint, ex_constrained *line, int32_t token);
/* Fills the line's mask. EX_ERROR_UNSUPPORTED when no token of the vocabulary fits. */
ex_code ex_constraint_mask(ex_constraint *constraint, ex_constrained *line, ex_error *error);
/* The likeliest token of the line's mask. */
int32_t ex_constraint_likeliest(const ex_constraint *constraint, const ex_constrained *line, const float *logits);

#endif
