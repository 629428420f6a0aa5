/* grammar_build.h - putting a grammar together, from its end to its beginning: each function makes a node that goes on
 * with nodes that are there already. The first failure is kept, and everything after it gives EX_NODE_DEAD. */
#ifndef EX_TEXT_GRAMMAR_BUILD_H
#define EX_TEXT_GRAMMAR_BUILD_H

#include "text/grammar.h"

enum {
    EX_GRAMMAR_NODES_MAX = 1 << 18,
    EX_GRAMMAR_WORDS_MAX = 1 << 22,
    EX_GRAMMAR_SILENT_MAX = 1000 /* nodes in a row without a byte */
};

typedef struct ex_literal { /* a text, and the node behind it */
    const char *text;
    size_t length;
    uint32_t target;
} ex_literal;

typedef struct ex_builder {
    ex_grammar *grammar;
    size_t nodes_capacity, edges_capacity, words_capacity, objects_capacity;
    const uint32_t *rules; /* [n_rules] where each begins, known at the end */
    size_t n_rules;
    bool lexical; /* of the nodes that are made */
    ex_error *error;
    ex_code code;
} ex_builder;

ex_code ex_builder_open(ex_builder *builder, ex_error *error);
void ex_builder_close(ex_builder *builder);

/* The edges are disjoint and in order, their targets not dead. */
uint32_t ex_build_bytes(ex_builder *builder, const ex_grammar_edge *edges, size_t count);
uint32_t ex_build_range(ex_builder *builder, uint8_t low, uint8_t high, uint32_t next);
uint32_t ex_build_text(ex_builder *builder, const char *text, uint32_t next);
/* Dead targets are left out; of none it is EX_NODE_DEAD. */
uint32_t ex_build_fork(ex_builder *builder, const uint32_t *targets, size_t count);
uint32_t ex_build_either(ex_builder *builder, uint32_t one, uint32_t other);
uint32_t ex_build_call(ex_builder *builder, uint32_t body, uint32_t next);
/* A rule that need not be built yet. */
uint32_t ex_build_call_rule(ex_builder *builder, size_t rule, uint32_t next);
/* `body` is never empty. */
uint32_t ex_build_repeat(ex_builder *builder, uint32_t body, uint32_t min, uint32_t max, uint32_t next);
/* A node of bytes or a fork that has to exist before what it leads to; set it once. */
uint32_t ex_build_later(ex_builder *builder);
void ex_build_set_bytes(ex_builder *builder, uint32_t node, const ex_grammar_edge *edges, size_t count);
void ex_build_set_fork(ex_builder *builder, uint32_t node, const uint32_t *targets, size_t count);
void ex_build_mark_plain(ex_builder *builder, uint32_t node, ex_plain_bytes plain);
/* Any of the texts, those that begin alike together. Of equal ones the first counts. */
uint32_t ex_build_literals(ex_builder *builder, const ex_literal *literals, size_t count);

/* An object whose properties are these names (with their closing quotes left out), in order; `required` has [count + 1]
 * words as in ex_grammar_object. `other`: a node of bytes that reads any name and its quote, or EX_NODE_DEAD. Returns
 * the root of the tree. */
uint32_t ex_build_keys(ex_builder *builder, const ex_literal *names, const uint32_t *required, size_t count,
                       uint32_t other);
/* EX_NODE_DEAD where no property may come at the position (or EX_ADDITIONAL, and there is no `other`). */
uint32_t ex_build_enter(ex_builder *builder, uint32_t root, uint32_t position);

uint32_t ex_build_fail(ex_builder *builder, ex_code code);

typedef enum ex_grammar_fault { EX_FAULT_NONE, EX_FAULT_EMPTY, EX_FAULT_CIRCLE, EX_FAULT_WIDE, EX_FAULT_LONG }
    ex_grammar_fault;

/* Finds out what leads nowhere, and checks that nothing goes round without reading a byte (EX_FAULT_CIRCLE), that at
 * most EX_GRAMMAR_THREADS ways begin at one place (EX_FAULT_WIDE) and that silent ways are short (EX_FAULT_LONG).
 * EX_FAULT_EMPTY: there is no text at all. `where` is the node, of a circle one that is on it. */
ex_code ex_grammar_check(ex_builder *builder, uint32_t root, ex_grammar_fault *fault, uint32_t *where);

#endif
