/* template_parser.h - what the two halves of the parser share (template_parser.c): expressions are in template_parse.c,
 * statements in template_statement.c. */
#ifndef EX_TEXT_TEMPLATE_PARSER_H
#define EX_TEXT_TEMPLATE_PARSER_H

#include "text/template_tree.h"

typedef struct ex_jinja_parser {
    ex_template *template;
    const ex_jinja_token *token; /* the current one; the last is END */
    const ex_jinja_token *block; /* the name of the block tag that we are in; NULL outside of all */
    int depth;                   /* of expressions and blocks around this place */
    int loops;                   /* for blocks around this place, within the macro */
    uint8_t uses;                /* EX_JINJA_USES_* in the macro so far */
    const ex_jinja_node *unknown; /* the first filter or test of this scope that has no function; NULL: none */
    ex_code code;
    ex_error *error;
} ex_jinja_parser;

/* A growing list of nodes. */
typedef struct ex_jinja_nodes {
    ex_jinja_node **items;
    size_t count, capacity;
} ex_jinja_nodes;

/* All that return a pointer return NULL after a failure, which is in parser->code then. */
void *ex_jinja_parser_take(ex_jinja_parser *parser, size_t count, size_t size);
ex_jinja_node *ex_jinja_node_new(ex_jinja_parser *parser, ex_jinja_node_kind kind);
bool ex_jinja_nodes_append(ex_jinja_parser *parser, ex_jinja_nodes *nodes, ex_jinja_node *node);

/* Fails at the current token: "NAME:LINE:COLUMN: what, not FOUND". Returns false. */
bool ex_jinja_parser_fail(ex_jinja_parser *parser, const char *format, ...) EX_PRINTF(2, 3);
/* Counts one level of nesting; the caller lowers parser->depth again when it succeeds. */
bool ex_jinja_parser_enter(ex_jinja_parser *parser);

bool ex_jinja_is_name(const ex_jinja_token *token, const char *name);
bool ex_jinja_at_name(const ex_jinja_parser *parser, const char *name);
bool ex_jinja_at_operator(const ex_jinja_parser *parser, int operator);
/* Steps over the name or operator if it is the current token. */
bool ex_jinja_skip_name(ex_jinja_parser *parser, const char *name);
bool ex_jinja_skip_operator(ex_jinja_parser *parser, int operator);
bool ex_jinja_expect_operator(ex_jinja_parser *parser, int operator);
bool ex_jinja_expect_kind(ex_jinja_parser *parser, ex_jinja_token_kind kind, const char *what);
const ex_jinja_name *ex_jinja_expect_name(ex_jinja_parser *parser, const char *what);

/* A filter or test that nobody knows fails where the template is parsed, as in Jinja: but for those below a condition,
 * which may keep them from being run. Whoever parses a condition puts parser->unknown back to what it was. */
void ex_jinja_note_unknown(ex_jinja_parser *parser, const ex_jinja_node *node);
bool ex_jinja_fail_if_unknown(ex_jinja_parser *parser);

ex_jinja_node *ex_jinja_parse_expression(ex_jinja_parser *parser);
/* One expression, or several with commas as a tuple. Without `conditions`, `if` ends it. */
ex_jinja_node *ex_jinja_parse_tuple(ex_jinja_parser *parser, bool conditions);
/* What can be assigned to: a name, name.attribute (when `attributes`), or a tuple of such. */
ex_jinja_node *ex_jinja_parse_target(ex_jinja_parser *parser, bool attributes);
/* `| name(…) | name(…)` around `subject`; with `inline_first`, the first has no bar. */
ex_jinja_node *ex_jinja_parse_filters(ex_jinja_parser *parser, ex_jinja_node *subject, bool inline_first);
/* Statements up to a block tag of one of these names, which becomes the current token; the first one ends the block. */
ex_jinja_node *ex_jinja_parse_body(ex_jinja_parser *parser, const char *const *ends);

#endif
