/* template_parse.c - expressions, by precedence climbing; nesting is bounded, chains of operators are loops. */
#include <string.h>

#include "text/template_parser.h"
#include "text/template_run.h"

typedef struct binary_row {
    uint8_t operator, level;
} binary_row;

enum { LEVEL_SUM = 1, LEVEL_CONCAT, LEVEL_PRODUCT, LEVEL_POWER };

static const binary_row binary_rows[] = {
    {'+', LEVEL_SUM},     {'-', LEVEL_SUM},     {'~', LEVEL_CONCAT},
    {'*', LEVEL_PRODUCT}, {'/', LEVEL_PRODUCT}, {EX_JINJA_OP_FLOOR_DIVIDE, LEVEL_PRODUCT},
    {'%', LEVEL_PRODUCT}, {EX_JINJA_OP_POWER, LEVEL_POWER},
};

static ex_jinja_node *parse_unary(ex_jinja_parser *parser, bool with_filters);
static ex_jinja_node *parse_or(ex_jinja_parser *parser);

/* ---- primaries ---- */

static void set_items(ex_jinja_node *node, const ex_jinja_nodes *nodes) {
    node->items = nodes->items;
    node->n_items = nodes->count;
}

static ex_jinja_node *literal(ex_jinja_parser *parser, ex_value value) {
    ex_jinja_node *node = ex_jinja_node_new(parser, EX_JINJA_NODE_LITERAL);
    if (node) node->value = value;
    return node;
}

static ex_jinja_node *parse_name(ex_jinja_parser *parser) {
    static const struct {
        const char *name;
        ex_value value;
    } constants[] = {
        {"true", {.kind = EX_JINJA_BOOLEAN, .as.boolean = true}},
        {"True", {.kind = EX_JINJA_BOOLEAN, .as.boolean = true}},
        {"false", {.kind = EX_JINJA_BOOLEAN}}, {"False", {.kind = EX_JINJA_BOOLEAN}},
        {"none", {.kind = EX_JINJA_NONE}},     {"None", {.kind = EX_JINJA_NONE}},
    };
    for (size_t i = 0; i < sizeof constants / sizeof *constants; i++) {
        if (!ex_jinja_at_name(parser, constants[i].name)) continue;
        ex_jinja_node *constant = literal(parser, constants[i].value);
        parser->token++;
        return constant;
    }
    ex_jinja_node *node = ex_jinja_node_new(parser, EX_JINJA_NODE_NAME);
    if (!node || !(node->name = ex_jinja_expect_name(parser, "a name"))) return NULL;
    if (node->name == parser->template->caller) parser->uses |= EX_JINJA_USES_CALLER;
    if (node->name == parser->template->varargs) parser->uses |= EX_JINJA_USES_VARARGS;
    if (node->name == parser->template->kwargs) parser->uses |= EX_JINJA_USES_KWARGS;
    return node;
}

/* Texts that follow each other are one text. */
static ex_jinja_node *parse_text(ex_jinja_parser *parser) {
    const ex_jinja_token *first = parser->token, *end = first;
    size_t length = 0;
    for (; end->kind == EX_JINJA_TOKEN_TEXT; end++) length += end->length;
    const char *bytes = first->bytes;
    if (end - first > 1) {
        char *joined = ex_jinja_parser_take(parser, length, 1);
        if (!joined) return NULL;
        bytes = joined;
        for (const ex_jinja_token *token = first; token < end; joined += token->length, token++)
            memcpy(joined, token->bytes, token->length);
    }
    ex_jinja_text *text = ex_jinja_parser_take(parser, 1, sizeof *text);
    if (!text) return NULL;
    *text = (ex_jinja_text){.bytes = bytes, .length = length, .trusted = true};
    ex_jinja_node *node = literal(parser, (ex_value){.kind = EX_JINJA_TEXT, .as.text = text});
    parser->token = end;
    return node;
}

/* Expressions up to the closing bracket, a comma behind the last one allowed. */
static bool parse_items(ex_jinja_parser *parser, int close, ex_jinja_nodes *items) {
    while (!ex_jinja_skip_operator(parser, close)) {
        if (items->count && !ex_jinja_expect_operator(parser, ',')) return false;
        if (ex_jinja_skip_operator(parser, close)) break;
        if (!ex_jinja_nodes_append(parser, items, ex_jinja_parse_expression(parser))) return false;
    }
    return true;
}

static ex_jinja_node *parse_list(ex_jinja_parser *parser) {
    ex_jinja_node *node = ex_jinja_node_new(parser, EX_JINJA_NODE_LIST);
    ex_jinja_nodes items = {0};
    parser->token++;
    if (!node || !parse_items(parser, ']', &items)) return NULL;
    set_items(node, &items);
    return node;
}

static ex_jinja_node *parse_map(ex_jinja_parser *parser) {
    ex_jinja_node *node = ex_jinja_node_new(parser, EX_JINJA_NODE_MAP);
    ex_jinja_nodes items = {0};
    parser->token++;
    if (!node) return NULL;
    while (!ex_jinja_skip_operator(parser, '}')) {
        if (items.count && !ex_jinja_expect_operator(parser, ',')) return NULL;
        if (ex_jinja_skip_operator(parser, '}')) break;
        if (!ex_jinja_nodes_append(parser, &items, ex_jinja_parse_expression(parser)) ||
            !ex_jinja_expect_operator(parser, ':') ||
            !ex_jinja_nodes_append(parser, &items, ex_jinja_parse_expression(parser)))
            return NULL;
    }
    set_items(node, &items);
    return node;
}

static ex_jinja_node *parse_parentheses(ex_jinja_parser *parser) {
    ex_jinja_node *empty = NULL;
    if (parser->token[1].kind == EX_JINJA_TOKEN_OPERATOR && parser->token[1].operator == ')')
        empty = ex_jinja_node_new(parser, EX_JINJA_NODE_TUPLE);
    parser->token++;
    ex_jinja_node *node = empty ? empty : ex_jinja_parse_tuple(parser, true);
    return node && ex_jinja_expect_operator(parser, ')') ? node : NULL;
}

static ex_jinja_node *parse_primary(ex_jinja_parser *parser) {
    const ex_jinja_token *token = parser->token;
    ex_jinja_node *node = NULL;
    switch (token->kind) {
    case EX_JINJA_TOKEN_NAME: return parse_name(parser);
    case EX_JINJA_TOKEN_TEXT: return parse_text(parser);
    case EX_JINJA_TOKEN_INTEGER: node = literal(parser, ex_jinja_integer(token->as.integer)); break;
    case EX_JINJA_TOKEN_NUMBER: node = literal(parser, ex_jinja_number(token->as.number)); break;
    default:
        if (ex_jinja_at_operator(parser, '(')) return parse_parentheses(parser);
        if (ex_jinja_at_operator(parser, '[')) return parse_list(parser);
        if (ex_jinja_at_operator(parser, '{')) return parse_map(parser);
        ex_jinja_parser_fail(parser, "expected a value");
        return NULL;
    }
    parser->token++;
    return node;
}

/* ---- what follows a primary ---- */

static bool append_keyword(ex_jinja_parser *parser, ex_jinja_node *call, size_t *capacity) {
    ex_jinja_keyword keyword = {.name = ex_jinja_expect_name(parser, "a name")};
    parser->token++; /* the = that told it from a value */
    if (!keyword.name || !(keyword.value = ex_jinja_parse_expression(parser))) return false;
    if (call->n_keywords == *capacity) {
        *capacity = *capacity ? *capacity * 2 : 4;
        ex_jinja_keyword *keywords = ex_jinja_parser_take(parser, *capacity, sizeof *keywords);
        if (!keywords) return false;
        if (call->n_keywords) memcpy(keywords, call->keywords, call->n_keywords * sizeof *keywords);
        call->keywords = keywords;
    }
    call->keywords[call->n_keywords++] = keyword;
    return true;
}

/* Fills items and keywords of `call` from `(…)`. */
static bool parse_arguments(ex_jinja_parser *parser, ex_jinja_node *call) {
    ex_jinja_nodes items = {0};
    size_t capacity = 0;
    bool first = true;
    if (!ex_jinja_expect_operator(parser, '(')) return false;
    for (; !ex_jinja_skip_operator(parser, ')'); first = false) {
        if (!first && !ex_jinja_expect_operator(parser, ',')) return false;
        if (!first && ex_jinja_skip_operator(parser, ')')) break;
        const ex_jinja_token *next = parser->token + 1;
        bool has_name = parser->token->kind == EX_JINJA_TOKEN_NAME && next->kind == EX_JINJA_TOKEN_OPERATOR &&
                        next->operator == '=';
        if (has_name ? !append_keyword(parser, call, &capacity)
                     : call->n_keywords ? !ex_jinja_parser_fail(parser, "expected name=value after the first of them")
                                        : !ex_jinja_nodes_append(parser, &items, ex_jinja_parse_expression(parser)))
            return false;
    }
    set_items(call, &items);
    return parser->code == EX_OK;
}

static ex_jinja_node *parse_call(ex_jinja_parser *parser, ex_jinja_node *callee) {
    ex_jinja_node *node = ex_jinja_node_new(parser, EX_JINJA_NODE_CALL);
    if (!node) return NULL;
    node->a = callee;
    return parse_arguments(parser, node) ? node : NULL;
}

static bool at_slice_end(const ex_jinja_parser *parser) {
    return ex_jinja_at_operator(parser, ':') || ex_jinja_at_operator(parser, ']');
}

/* One of the three parts of a slice; `*part` stays NULL when it is left out. */
static bool parse_slice_part(ex_jinja_parser *parser, ex_jinja_node **part) {
    return at_slice_end(parser) || (*part = ex_jinja_parse_expression(parser)) != NULL;
}

static ex_jinja_node *parse_brackets(ex_jinja_parser *parser, ex_jinja_node *subject) {
    ex_jinja_node *node = ex_jinja_node_new(parser, EX_JINJA_NODE_ITEM), *first = NULL;
    parser->token++;
    if (!node || !parse_slice_part(parser, &first)) return NULL;
    if (!ex_jinja_at_operator(parser, ':')) {
        if (!first) return ex_jinja_parser_fail(parser, "expected an index or a key"), NULL;
        node->a = subject;
        node->b = first;
        return ex_jinja_expect_operator(parser, ']') ? node : NULL;
    }
    ex_jinja_nodes items = {0};
    node->kind = EX_JINJA_NODE_SLICE;
    node->a = first;
    parser->token++;
    if (!ex_jinja_nodes_append(parser, &items, subject) || !parse_slice_part(parser, &node->b)) return NULL;
    if (ex_jinja_skip_operator(parser, ':') && !parse_slice_part(parser, &node->c)) return NULL;
    set_items(node, &items);
    return ex_jinja_expect_operator(parser, ']') ? node : NULL;
}

static ex_jinja_node *parse_dot(ex_jinja_parser *parser, ex_jinja_node *subject) {
    ex_jinja_node *node = ex_jinja_node_new(parser, EX_JINJA_NODE_ATTRIBUTE);
    parser->token++;
    if (!node) return NULL;
    node->a = subject;
    if (parser->token->kind != EX_JINJA_TOKEN_INTEGER)
        return (node->name = ex_jinja_expect_name(parser, "an attribute's name")) ? node : NULL;
    node->kind = EX_JINJA_NODE_ITEM;
    return (node->b = parse_primary(parser)) ? node : NULL;
}

static ex_jinja_node *parse_postfix(ex_jinja_parser *parser, ex_jinja_node *node) {
    while (node) {
        if (ex_jinja_at_operator(parser, '.')) node = parse_dot(parser, node);
        else if (ex_jinja_at_operator(parser, '[')) node = parse_brackets(parser, node);
        else if (ex_jinja_at_operator(parser, '(')) node = parse_call(parser, node);
        else break;
    }
    return node;
}

ex_jinja_node *ex_jinja_parse_filters(ex_jinja_parser *parser, ex_jinja_node *subject, bool inline_first) {
    while (subject && (inline_first || ex_jinja_skip_operator(parser, '|'))) {
        inline_first = false;
        ex_jinja_node *node = ex_jinja_node_new(parser, EX_JINJA_NODE_FILTER);
        if (!node || !(node->name = ex_jinja_expect_name(parser, "a filter's name"))) return NULL;
        node->function = ex_jinja_find_filter(node->name->text.bytes, node->name->text.length);
        while (ex_jinja_skip_operator(parser, '.')) { /* a filter with a dot in its name: nobody has one */
            node->function = NULL;
            if (!(node->name = ex_jinja_expect_name(parser, "a filter's name"))) return NULL;
        }
        ex_jinja_note_unknown(parser, node);
        node->a = subject;
        if (ex_jinja_at_operator(parser, '(') && !parse_arguments(parser, node)) return NULL;
        subject = node;
    }
    return subject;
}

/* Whether a test takes the current token as its argument without parentheses: `is divisibleby 3`. */
static bool at_bare_argument(const ex_jinja_parser *parser) {
    switch (parser->token->kind) {
    case EX_JINJA_TOKEN_NAME:
        return !ex_jinja_at_name(parser, "else") && !ex_jinja_at_name(parser, "or") && !ex_jinja_at_name(parser, "and");
    case EX_JINJA_TOKEN_TEXT:
    case EX_JINJA_TOKEN_INTEGER:
    case EX_JINJA_TOKEN_NUMBER: return true;
    default: return ex_jinja_at_operator(parser, '[') || ex_jinja_at_operator(parser, '{');
    }
}

static ex_jinja_node *parse_test(ex_jinja_parser *parser, ex_jinja_node *subject) {
    ex_jinja_node *node = ex_jinja_node_new(parser, EX_JINJA_NODE_TEST);
    parser->token++;
    bool negated = ex_jinja_skip_name(parser, "not");
    if (!node || !(node->name = ex_jinja_expect_name(parser, "a test's name"))) return NULL;
    node->function = ex_jinja_find_test(node->name->text.bytes, node->name->text.length);
    ex_jinja_note_unknown(parser, node);
    node->a = subject;
    if (ex_jinja_at_operator(parser, '(')) {
        if (!parse_arguments(parser, node)) return NULL;
    } else if (at_bare_argument(parser)) {
        ex_jinja_nodes items = {0};
        if (ex_jinja_at_name(parser, "is")) return ex_jinja_parser_fail(parser, "tests cannot be chained"), NULL;
        ex_jinja_node *argument = parse_primary(parser);
        if (!argument || !ex_jinja_nodes_append(parser, &items, parse_postfix(parser, argument))) return NULL;
        set_items(node, &items);
    }
    if (!negated) return node;
    ex_jinja_node *negation = ex_jinja_node_new(parser, EX_JINJA_NODE_NOT);
    if (negation) negation->a = node;
    return negation;
}

static ex_jinja_node *parse_filters_and_tests(ex_jinja_parser *parser, ex_jinja_node *node) {
    while (node) {
        if (ex_jinja_at_operator(parser, '|')) node = ex_jinja_parse_filters(parser, node, false);
        else if (ex_jinja_at_name(parser, "is")) node = parse_test(parser, node);
        else if (ex_jinja_at_operator(parser, '(')) node = parse_call(parser, node);
        else break;
    }
    return node;
}

/* ---- operators ---- */

static ex_jinja_node *parse_unary(ex_jinja_parser *parser, bool with_filters) {
    ex_jinja_node *node;
    if (!ex_jinja_parser_enter(parser)) return NULL;
    if (ex_jinja_at_operator(parser, '-') || ex_jinja_at_operator(parser, '+')) {
        node = ex_jinja_node_new(parser, EX_JINJA_NODE_UNARY);
        if (!node) return NULL;
        node->operator = parser->token->operator;
        parser->token++;
        if (!(node->a = parse_unary(parser, false))) return NULL;
    } else {
        node = parse_primary(parser);
    }
    node = parse_postfix(parser, node);
    if (with_filters) node = parse_filters_and_tests(parser, node);
    parser->depth--;
    return node;
}

static const binary_row *binary_here(const ex_jinja_parser *parser, int level) {
    for (size_t i = 0; i < sizeof binary_rows / sizeof *binary_rows; i++)
        if (binary_rows[i].level == level && ex_jinja_at_operator(parser, binary_rows[i].operator))
            return &binary_rows[i];
    return NULL;
}

static ex_jinja_node *parse_concat(ex_jinja_parser *parser, ex_jinja_node *first);

/* Operators of `level` and those that bind more tightly. */
static ex_jinja_node *parse_binary(ex_jinja_parser *parser, int level) {
    if (level > LEVEL_POWER) return parse_unary(parser, true);
    ex_jinja_node *left = parse_binary(parser, level + 1);
    if (level == LEVEL_CONCAT) return left && ex_jinja_at_operator(parser, '~') ? parse_concat(parser, left) : left;
    while (left && binary_here(parser, level)) {
        ex_jinja_node *node = ex_jinja_node_new(parser, EX_JINJA_NODE_BINARY);
        if (!node) return NULL;
        node->operator = parser->token->operator;
        parser->token++;
        node->a = left;
        if (!(node->b = parse_binary(parser, level + 1))) return NULL;
        left = node;
    }
    return left;
}

static ex_jinja_node *parse_concat(ex_jinja_parser *parser, ex_jinja_node *first) {
    ex_jinja_node *node = ex_jinja_node_new(parser, EX_JINJA_NODE_CONCAT);
    ex_jinja_nodes items = {0};
    if (!node || !ex_jinja_nodes_append(parser, &items, first)) return NULL;
    while (ex_jinja_skip_operator(parser, '~'))
        if (!ex_jinja_nodes_append(parser, &items, parse_binary(parser, LEVEL_PRODUCT))) return NULL;
    set_items(node, &items);
    return node;
}

/* The comparison at this place, 0 when there is none. */
static int comparison_here(const ex_jinja_parser *parser, int *n_tokens) {
    static const int operators[] = {EX_JINJA_OP_EQUAL, EX_JINJA_OP_NOT_EQUAL, '<', '>', EX_JINJA_OP_AT_LEAST,
                                    EX_JINJA_OP_AT_MOST};
    *n_tokens = 1;
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++)
        if (ex_jinja_at_operator(parser, operators[i])) return operators[i];
    if (ex_jinja_at_name(parser, "in")) return EX_JINJA_OP_IN;
    if (!ex_jinja_at_name(parser, "not") || !ex_jinja_is_name(parser->token + 1, "in")) return 0;
    *n_tokens = 2;
    return EX_JINJA_OP_NOT_IN;
}

static ex_jinja_node *parse_compare(ex_jinja_parser *parser) {
    ex_jinja_node *left = parse_binary(parser, LEVEL_SUM), *node = NULL;
    ex_jinja_nodes operands = {0};
    int operator, n_tokens;
    while (left && (operator = comparison_here(parser, &n_tokens)) != 0) {
        ex_jinja_node *operand = ex_jinja_node_new(parser, EX_JINJA_NODE_OPERAND);
        if (!node) node = ex_jinja_node_new(parser, EX_JINJA_NODE_COMPARE);
        if (!operand || !node) return NULL;
        operand->operator = (uint8_t)operator;
        parser->token += n_tokens;
        if (!(operand->a = parse_binary(parser, LEVEL_SUM)) || !ex_jinja_nodes_append(parser, &operands, operand))
            return NULL;
    }
    if (!node) return left;
    node->a = left;
    set_items(node, &operands);
    return node;
}

static ex_jinja_node *parse_not(ex_jinja_parser *parser) {
    if (!ex_jinja_at_name(parser, "not")) return parse_compare(parser);
    ex_jinja_node *node = ex_jinja_node_new(parser, EX_JINJA_NODE_NOT);
    parser->token++;
    if (!node || !ex_jinja_parser_enter(parser) || !(node->a = parse_not(parser))) return NULL;
    parser->depth--;
    return node;
}

/* `and` below `or`: the same shape with another word and another operand. */
static ex_jinja_node *parse_logic(ex_jinja_parser *parser, const char *word, ex_jinja_node_kind kind,
                                  ex_jinja_node *(*parse_operand)(ex_jinja_parser *)) {
    ex_jinja_node *left = parse_operand(parser);
    while (left && ex_jinja_at_name(parser, word)) {
        ex_jinja_node *node = ex_jinja_node_new(parser, kind);
        parser->token++;
        if (!node || !(node->b = parse_operand(parser))) return NULL;
        node->a = left;
        left = node;
    }
    return left;
}

static ex_jinja_node *parse_and(ex_jinja_parser *parser) {
    return parse_logic(parser, "and", EX_JINJA_NODE_AND, parse_not);
}

static ex_jinja_node *parse_or(ex_jinja_parser *parser) {
    return parse_logic(parser, "or", EX_JINJA_NODE_OR, parse_and);
}

ex_jinja_node *ex_jinja_parse_expression(ex_jinja_parser *parser) {
    if (!ex_jinja_parser_enter(parser)) return NULL;
    const ex_jinja_node *unknown = parser->unknown;
    ex_jinja_node *value = parse_or(parser);
    while (value && ex_jinja_at_name(parser, "if")) {
        ex_jinja_node *node = ex_jinja_node_new(parser, EX_JINJA_NODE_CONDITION);
        parser->token++;
        if (!node || !(node->b = parse_or(parser))) return NULL;
        if (ex_jinja_skip_name(parser, "else") && !(node->c = ex_jinja_parse_expression(parser))) return NULL;
        node->a = value;
        value = node;
        parser->unknown = unknown;
    }
    parser->depth--;
    return value;
}

static bool at_tuple_end(const ex_jinja_parser *parser) {
    return parser->token->kind == EX_JINJA_TOKEN_BLOCK_END || parser->token->kind == EX_JINJA_TOKEN_OUTPUT_END ||
           ex_jinja_at_operator(parser, ')') || ex_jinja_at_name(parser, "in") ||
           ex_jinja_at_name(parser, "recursive");
}

/* `first`, or a tuple when a comma follows it. */
static ex_jinja_node *finish_tuple(ex_jinja_parser *parser, ex_jinja_node *first,
                                   ex_jinja_node *(*parse_item)(ex_jinja_parser *)) {
    if (!first || !ex_jinja_at_operator(parser, ',')) return first;
    ex_jinja_node *node = ex_jinja_node_new(parser, EX_JINJA_NODE_TUPLE);
    ex_jinja_nodes items = {0};
    if (!node || !ex_jinja_nodes_append(parser, &items, first)) return NULL;
    while (ex_jinja_skip_operator(parser, ',') && !at_tuple_end(parser))
        if (!ex_jinja_nodes_append(parser, &items, parse_item(parser))) return NULL;
    set_items(node, &items);
    return node;
}

ex_jinja_node *ex_jinja_parse_tuple(ex_jinja_parser *parser, bool conditions) {
    ex_jinja_node *(*parse_item)(ex_jinja_parser *) = conditions ? ex_jinja_parse_expression : parse_or;
    return finish_tuple(parser, parse_item(parser), parse_item);
}

static ex_jinja_node *parse_name_target(ex_jinja_parser *parser);

static ex_jinja_node *parse_attribute_target(ex_jinja_parser *parser) {
    ex_jinja_node *node = parse_name_target(parser);
    if (!node || node->kind != EX_JINJA_NODE_NAME || !ex_jinja_at_operator(parser, '.')) return node;
    return parse_dot(parser, node);
}

static ex_jinja_node *parse_name_target(ex_jinja_parser *parser) {
    if (ex_jinja_at_operator(parser, '(')) {
        if (!ex_jinja_parser_enter(parser)) return NULL;
        parser->token++;
        ex_jinja_node *tuple = finish_tuple(parser, parse_name_target(parser), parse_name_target);
        parser->depth--;
        return tuple && ex_jinja_expect_operator(parser, ')') ? tuple : NULL;
    }
    uint8_t uses = parser->uses;
    if (parser->token->kind != EX_JINJA_TOKEN_NAME) return ex_jinja_parser_fail(parser, "expected a name"), NULL;
    ex_jinja_node *node = parse_name(parser);
    parser->uses = uses;
    if (node && node->kind != EX_JINJA_NODE_NAME)
        return ex_jinja_parser_fail(parser, "cannot assign to a constant"), NULL;
    return node;
}

ex_jinja_node *ex_jinja_parse_target(ex_jinja_parser *parser, bool attributes) {
    ex_jinja_node *(*parse_item)(ex_jinja_parser *) = attributes ? parse_attribute_target : parse_name_target;
    return finish_tuple(parser, parse_item(parser), parse_item);
}
