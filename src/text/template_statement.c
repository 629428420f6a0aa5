/* template_statement.c - block tags: one row a tag, each with the function that parses what follows its name. */
#include <string.h>

#include "base/error.h"
#include "text/template_parser.h"

typedef ex_jinja_node *(*statement_parser)(ex_jinja_parser *parser);

static bool end_tag(ex_jinja_parser *parser) {
    return ex_jinja_expect_kind(parser, EX_JINJA_TOKEN_BLOCK_END, "the end of the tag");
}

/* A body that is a scope of its own. */
static ex_jinja_node *parse_scope(ex_jinja_parser *parser, const char *const *ends) {
    const ex_jinja_node *unknown = parser->unknown;
    parser->unknown = NULL;
    ex_jinja_node *body = ex_jinja_parse_body(parser, ends);
    if (!body || !ex_jinja_fail_if_unknown(parser)) return NULL;
    parser->unknown = unknown;
    return body;
}

/* The scope of a block whose end tag has one name, and that end tag. */
static ex_jinja_node *parse_block(ex_jinja_parser *parser, const char *end) {
    const char *const ends[] = {end, NULL};
    if (!end_tag(parser)) return NULL;
    ex_jinja_node *body = parse_scope(parser, ends);
    if (!body) return NULL;
    parser->token++;
    return end_tag(parser) ? body : NULL;
}

static ex_jinja_node *parse_if(ex_jinja_parser *parser) {
    static const char *const ends[] = {"endif", "elif", "else", NULL};
    ex_jinja_node *node = ex_jinja_node_new(parser, EX_JINJA_NODE_IF);
    ex_jinja_nodes items = {0};
    const ex_jinja_node *unknown = parser->unknown;
    if (!node) return NULL;
    do {
        parser->token++;
        if (!ex_jinja_nodes_append(parser, &items, ex_jinja_parse_tuple(parser, false)) || !end_tag(parser) ||
            !ex_jinja_nodes_append(parser, &items, ex_jinja_parse_body(parser, ends)))
            return NULL;
    } while (ex_jinja_at_name(parser, "elif"));
    node->items = items.items;
    node->n_items = items.count;
    if (ex_jinja_skip_name(parser, "else") &&
        (!end_tag(parser) || !(node->c = ex_jinja_parse_body(parser, (const char *const[]){"endif", NULL}))))
        return NULL;
    parser->unknown = unknown;
    parser->token++;
    return end_tag(parser) ? node : NULL;
}

/* Body and else branch of a loop. */
static bool parse_for_bodies(ex_jinja_parser *parser, ex_jinja_node *node, ex_jinja_nodes *items) {
    static const char *const ends[] = {"endfor", "else", NULL};
    parser->loops++;
    node->c = end_tag(parser) ? parse_scope(parser, ends) : NULL;
    parser->loops--;
    if (!node->c) return false;
    ex_jinja_node *otherwise = NULL;
    if (ex_jinja_skip_name(parser, "else")) {
        if (!(otherwise = parse_block(parser, "endfor"))) return false;
    } else {
        parser->token++;
        if (!end_tag(parser)) return false;
    }
    return ex_jinja_nodes_append(parser, items, otherwise);
}

static ex_jinja_node *parse_for(ex_jinja_parser *parser) {
    ex_jinja_node *node = ex_jinja_node_new(parser, EX_JINJA_NODE_FOR), *filter = NULL;
    ex_jinja_nodes items = {0};
    parser->token++;
    if (!node || !(node->a = ex_jinja_parse_target(parser, false))) return NULL;
    if (!ex_jinja_skip_name(parser, "in")) return ex_jinja_parser_fail(parser, "expected in"), NULL;
    if (!(node->b = ex_jinja_parse_tuple(parser, false))) return NULL;
    if (ex_jinja_skip_name(parser, "if") && !(filter = ex_jinja_parse_expression(parser))) return NULL;
    if (ex_jinja_at_name(parser, "recursive"))
        return ex_jinja_parser_fail(parser, "recursive loops are not supported"), NULL;
    if (!ex_jinja_nodes_append(parser, &items, filter) || !parse_for_bodies(parser, node, &items)) return NULL;
    node->items = items.items;
    node->n_items = items.count;
    return node;
}

static ex_jinja_node *captured(ex_jinja_parser *parser) { return ex_jinja_node_new(parser, EX_JINJA_NODE_CAPTURED); }

static ex_jinja_node *parse_set(ex_jinja_parser *parser) {
    ex_jinja_node *node = ex_jinja_node_new(parser, EX_JINJA_NODE_SET);
    parser->token++;
    if (!node || !(node->a = ex_jinja_parse_target(parser, true))) return NULL;
    if (ex_jinja_skip_operator(parser, '='))
        return (node->b = ex_jinja_parse_tuple(parser, true)) && end_tag(parser) ? node : NULL;
    node->kind = EX_JINJA_NODE_SET_BLOCK;
    if (!(node->b = ex_jinja_parse_filters(parser, captured(parser), false))) return NULL;
    return (node->c = parse_block(parser, "endset")) ? node : NULL;
}

/* `(a, b=1)` into the node's keywords. */
static bool parse_parameters(ex_jinja_parser *parser, ex_jinja_node *node) {
    size_t capacity = 0;
    bool needs_default = false;
    if (!ex_jinja_expect_operator(parser, '(')) return false;
    while (!ex_jinja_skip_operator(parser, ')')) {
        if (node->n_keywords && !ex_jinja_expect_operator(parser, ',')) return false;
        ex_jinja_keyword keyword = {.name = ex_jinja_expect_name(parser, "a parameter's name")};
        if (!keyword.name) return false;
        if (ex_jinja_skip_operator(parser, '=')) {
            if (!(keyword.value = ex_jinja_parse_expression(parser))) return false;
            needs_default = true;
        } else if (needs_default) {
            return ex_jinja_parser_fail(parser, "a parameter without a default follows one that has one");
        }
        if (node->n_keywords == capacity) {
            capacity = capacity ? capacity * 2 : 4;
            ex_jinja_keyword *keywords = ex_jinja_parser_take(parser, capacity, sizeof *keywords);
            if (!keywords) return false;
            if (node->n_keywords) memcpy(keywords, node->keywords, node->n_keywords * sizeof *keywords);
            node->keywords = keywords;
        }
        node->keywords[node->n_keywords++] = keyword;
    }
    return true;
}

/* The body of a macro or call block: a loop around it is none inside, and the names that it uses are noted. */
static ex_jinja_node *parse_callable(ex_jinja_parser *parser, ex_jinja_node *node, const char *end) {
    int loops = parser->loops;
    uint8_t uses = parser->uses;
    parser->loops = 0;
    parser->uses = 0;
    node->c = parse_block(parser, end);
    node->flags = parser->uses;
    parser->uses |= uses;
    parser->loops = loops;
    return node->c ? node : NULL;
}

static ex_jinja_node *parse_macro(ex_jinja_parser *parser) {
    ex_jinja_node *node = ex_jinja_node_new(parser, EX_JINJA_NODE_MACRO);
    parser->token++;
    if (!node || !(node->name = ex_jinja_expect_name(parser, "the macro's name")) || !parse_parameters(parser, node))
        return NULL;
    return parse_callable(parser, node, "endmacro");
}

static ex_jinja_node *parse_call(ex_jinja_parser *parser) {
    ex_jinja_node *node = ex_jinja_node_new(parser, EX_JINJA_NODE_CALL_BLOCK);
    parser->token++;
    if (!node) return NULL;
    node->name = parser->template->caller;
    if (ex_jinja_at_operator(parser, '(') && !parse_parameters(parser, node)) return NULL;
    if (!(node->a = ex_jinja_parse_expression(parser))) return NULL;
    if (node->a->kind != EX_JINJA_NODE_CALL) return ex_jinja_parser_fail(parser, "expected a call"), NULL;
    return parse_callable(parser, node, "endcall");
}

static ex_jinja_node *parse_filter(ex_jinja_parser *parser) {
    ex_jinja_node *node = ex_jinja_node_new(parser, EX_JINJA_NODE_FILTER_BLOCK);
    parser->token++;
    if (!node || !(node->b = ex_jinja_parse_filters(parser, captured(parser), true))) return NULL;
    return (node->c = parse_block(parser, "endfilter")) ? node : NULL;
}

static ex_jinja_node *parse_with(ex_jinja_parser *parser) {
    ex_jinja_node *node = ex_jinja_node_new(parser, EX_JINJA_NODE_WITH);
    ex_jinja_nodes items = {0};
    parser->token++;
    if (!node) return NULL;
    while (parser->token->kind != EX_JINJA_TOKEN_BLOCK_END) {
        if (items.count && !ex_jinja_expect_operator(parser, ',')) return NULL;
        if (!ex_jinja_nodes_append(parser, &items, ex_jinja_parse_target(parser, false)) ||
            !ex_jinja_expect_operator(parser, '=') ||
            !ex_jinja_nodes_append(parser, &items, ex_jinja_parse_expression(parser)))
            return NULL;
    }
    node->items = items.items;
    node->n_items = items.count;
    return (node->c = parse_block(parser, "endwith")) ? node : NULL;
}

/* Marks what the assistant said, for training masks; here it is a scope and nothing more. */
static ex_jinja_node *parse_generation(ex_jinja_parser *parser) {
    ex_jinja_node *node = ex_jinja_node_new(parser, EX_JINJA_NODE_WITH);
    parser->token++;
    return node && (node->c = parse_block(parser, "endgeneration")) ? node : NULL;
}

static ex_jinja_node *parse_jump(ex_jinja_parser *parser, ex_jinja_node_kind kind) {
    ex_jinja_node *node = ex_jinja_node_new(parser, kind);
    if (parser->loops == 0) return ex_jinja_parser_fail(parser, "this stands outside of a loop"), NULL;
    parser->token++;
    return node && end_tag(parser) ? node : NULL;
}

static ex_jinja_node *parse_break(ex_jinja_parser *parser) { return parse_jump(parser, EX_JINJA_NODE_BREAK); }
static ex_jinja_node *parse_continue(ex_jinja_parser *parser) { return parse_jump(parser, EX_JINJA_NODE_CONTINUE); }

static const struct {
    const char *name;
    statement_parser parse;
} statements[] = {
    {"if", parse_if},         {"for", parse_for},       {"set", parse_set},
    {"macro", parse_macro},   {"call", parse_call},     {"filter", parse_filter},
    {"with", parse_with},     {"break", parse_break},   {"continue", parse_continue},
    {"generation", parse_generation},
};

/* The current token is the name in a block tag. */
static ex_jinja_node *parse_statement(ex_jinja_parser *parser) {
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
        if (!ex_jinja_at_name(parser, statements[i].name)) continue;
        if (!ex_jinja_parser_enter(parser)) return NULL;
        const ex_jinja_token *outer = parser->block;
        parser->block = parser->token;
        ex_jinja_node *node = statements[i].parse(parser);
        parser->block = outer;
        parser->depth--;
        return node;
    }
    ex_jinja_parser_fail(parser, "expected the name of a tag that chat templates may use");
    return NULL;
}

static ex_jinja_node *parse_data(ex_jinja_parser *parser) {
    ex_jinja_node *node = ex_jinja_node_new(parser, EX_JINJA_NODE_DATA);
    ex_jinja_text *text = ex_jinja_parser_take(parser, 1, sizeof *text);
    if (!node || !text) return NULL;
    *text = (ex_jinja_text){.bytes = parser->token->bytes, .length = parser->token->length, .trusted = true};
    node->value = (ex_value){.kind = EX_JINJA_TEXT, .as.text = text};
    parser->token++;
    return node;
}

static ex_jinja_node *parse_output(ex_jinja_parser *parser) {
    parser->token++;
    ex_jinja_node *node = ex_jinja_node_new(parser, EX_JINJA_NODE_OUTPUT);
    if (!node || !(node->a = ex_jinja_parse_tuple(parser, true))) return NULL;
    return ex_jinja_expect_kind(parser, EX_JINJA_TOKEN_OUTPUT_END, "}}") ? node : NULL;
}

static bool at_end_tag(const ex_jinja_parser *parser, const char *const *ends) {
    for (; *ends; ends++)
        if (ex_jinja_at_name(parser, *ends)) return true;
    return false;
}

static ex_jinja_node *fail_no_end(ex_jinja_parser *parser, const char *end) {
    parser->code = ex_fail(parser->error, EX_ERROR_FORMAT, parser->block->line,
                           "%s:%u:%u: this block has no end: {%% %s %%} is missing", parser->template->label,
                           parser->block->line, parser->block->column, end);
    return NULL;
}

ex_jinja_node *ex_jinja_parse_body(ex_jinja_parser *parser, const char *const *ends) {
    ex_jinja_node *body = ex_jinja_node_new(parser, EX_JINJA_NODE_BODY);
    ex_jinja_nodes items = {0};
    if (!body) return NULL;
    while (parser->token->kind != EX_JINJA_TOKEN_END) {
        ex_jinja_node *statement;
        if (parser->token->kind == EX_JINJA_TOKEN_DATA) {
            statement = parse_data(parser);
        } else if (parser->token->kind == EX_JINJA_TOKEN_OUTPUT_BEGIN) {
            statement = parse_output(parser);
        } else {
            parser->token++; /* outside of tags, the lexer yields nothing but data and beginnings of tags */
            if (at_end_tag(parser, ends)) break;
            statement = parse_statement(parser);
        }
        if (!statement || !ex_jinja_nodes_append(parser, &items, statement)) return NULL;
    }
    if (parser->token->kind == EX_JINJA_TOKEN_END && *ends) return fail_no_end(parser, *ends);
    body->items = items.items;
    body->n_items = items.count;
    return body;
}

ex_code ex_jinja_parse(ex_template *template, const ex_jinja_tokens *tokens, ex_error *error) {
    static const char *const no_end[] = {NULL};
    ex_jinja_parser parser = {.template = template, .token = tokens->items, .error = error};
    template->body = parse_scope(&parser, no_end);
    return parser.code;
}
