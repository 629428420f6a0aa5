/* template_parser.c - what both halves of the parser use: looking at tokens, making nodes, failing. */
#include "text/template_parser.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "text/template_run.h"

static void describe_token(const ex_jinja_token *token, char *out, size_t size) {
    static const char *const names[] = {
        [EX_JINJA_TOKEN_DATA] = "text outside of tags",
        [EX_JINJA_TOKEN_OUTPUT_BEGIN] = "{{",
        [EX_JINJA_TOKEN_OUTPUT_END] = "}}",
        [EX_JINJA_TOKEN_BLOCK_BEGIN] = "{%",
        [EX_JINJA_TOKEN_BLOCK_END] = "%}",
        [EX_JINJA_TOKEN_TEXT] = "a text",
        [EX_JINJA_TOKEN_END] = "the end of the template",
    };
    int shown = token->length > 40 ? 40 : (int)token->length;
    if (token->kind == EX_JINJA_TOKEN_OPERATOR)
        snprintf(out, size, "%.*s", token->operator < 128 ? 1 : 2, token->bytes);
    else if (token->kind == EX_JINJA_TOKEN_NAME) snprintf(out, size, "%.*s", shown, token->bytes);
    else if (names[token->kind]) snprintf(out, size, "%s", names[token->kind]);
    else snprintf(out, size, "a number");
}

bool ex_jinja_parser_fail(ex_jinja_parser *parser, const char *format, ...) {
    char what[200], found[64];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    describe_token(parser->token, found, sizeof found);
    parser->code = ex_fail(parser->error, EX_ERROR_FORMAT, parser->token->line, "%s:%u:%u: %s; found %s",
                           parser->template->label, parser->token->line, parser->token->column, what, found);
    return false;
}

bool ex_jinja_parser_enter(ex_jinja_parser *parser) {
    if (parser->depth >= EX_JINJA_NESTING_MAX)
        return ex_jinja_parser_fail(parser, "nested more than %d deep", EX_JINJA_NESTING_MAX);
    parser->depth++;
    return true;
}

void *ex_jinja_parser_take(ex_jinja_parser *parser, size_t count, size_t size) {
    void *memory = ex_template_take(&parser->template->arena, count, size);
    if (!memory) parser->code = ex_jinja_tree_memory(parser->template, parser->error);
    return memory;
}

ex_jinja_node *ex_jinja_node_new(ex_jinja_parser *parser, ex_jinja_node_kind kind) {
    ex_jinja_node *node = ex_jinja_parser_take(parser, 1, sizeof *node);
    if (!node) return NULL;
    node->kind = (uint8_t)kind;
    node->line = parser->token->line;
    node->column = parser->token->column;
    return node;
}

bool ex_jinja_nodes_append(ex_jinja_parser *parser, ex_jinja_nodes *nodes, ex_jinja_node *node) {
    if (!node && parser->code != EX_OK) return false;
    if (nodes->count == nodes->capacity) {
        size_t capacity = nodes->capacity ? nodes->capacity * 2 : 4;
        ex_jinja_node **items = ex_jinja_parser_take(parser, capacity, sizeof(ex_jinja_node *));
        if (!items) return false;
        if (nodes->count) memcpy(items, nodes->items, nodes->count * sizeof(ex_jinja_node *));
        nodes->items = items;
        nodes->capacity = capacity;
    }
    nodes->items[nodes->count++] = node;
    return true;
}

bool ex_jinja_is_name(const ex_jinja_token *token, const char *name) {
    return token->kind == EX_JINJA_TOKEN_NAME && token->length == strlen(name) &&
           memcmp(token->bytes, name, token->length) == 0;
}

bool ex_jinja_at_name(const ex_jinja_parser *parser, const char *name) { return ex_jinja_is_name(parser->token, name); }

bool ex_jinja_at_operator(const ex_jinja_parser *parser, int operator) {
    return parser->token->kind == EX_JINJA_TOKEN_OPERATOR && parser->token->operator == operator;
}

bool ex_jinja_skip_name(ex_jinja_parser *parser, const char *name) {
    if (!ex_jinja_at_name(parser, name)) return false;
    parser->token++;
    return true;
}

bool ex_jinja_skip_operator(ex_jinja_parser *parser, int operator) {
    if (!ex_jinja_at_operator(parser, operator)) return false;
    parser->token++;
    return true;
}

bool ex_jinja_expect_operator(ex_jinja_parser *parser, int operator) {
    return ex_jinja_skip_operator(parser, operator) || ex_jinja_parser_fail(parser, "expected %c", operator);
}

bool ex_jinja_expect_kind(ex_jinja_parser *parser, ex_jinja_token_kind kind, const char *what) {
    if (parser->token->kind != kind) return ex_jinja_parser_fail(parser, "expected %s", what);
    parser->token++;
    return true;
}

const ex_jinja_name *ex_jinja_expect_name(ex_jinja_parser *parser, const char *what) {
    const ex_jinja_token *token = parser->token;
    if (!ex_jinja_expect_kind(parser, EX_JINJA_TOKEN_NAME, what)) return NULL;
    const ex_jinja_name *name = ex_jinja_intern(parser->template, token->bytes, token->length);
    if (!name) parser->code = ex_jinja_tree_memory(parser->template, parser->error);
    return name;
}

void ex_jinja_note_unknown(ex_jinja_parser *parser, const ex_jinja_node *node) {
    const ex_jinja_text *name = &node->name->text;
    bool left_out = node->kind == EX_JINJA_NODE_FILTER && ex_jinja_leaves_out(name->bytes, name->length);
    if (!node->function && !left_out && !parser->unknown) parser->unknown = node;
}

bool ex_jinja_fail_if_unknown(ex_jinja_parser *parser) {
    const ex_jinja_node *node = parser->unknown;
    if (!node) return true;
    const ex_jinja_text *name = &node->name->text;
    parser->code = ex_fail(parser->error, EX_ERROR_FORMAT, node->line, "%s:%u:%u: there is no %s named %.*s",
                           parser->template->label, node->line, node->column,
                           node->kind == EX_JINJA_NODE_TEST ? "test" : "filter",
                           name->length > 40 ? 40 : (int)name->length, name->bytes);
    return false;
}
