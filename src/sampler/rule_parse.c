/* rule_parse.c - recursive descent, one function for each level of precedence: until, or, and, not, comparison, sum,
 * product, sign, operand. Each level emits its operation after its operands: the code is postfix. */
#include "sampler/rule_parse.h"

#include <string.h>

#include "sampler/near_name.h"
#include "sampler/policy_keys.h"

typedef struct rule_parser {
    ex_rules *rules;
    ex_rule_text *text;
    ex_rule_token token; /* the next one */
    int depth;
    int n_numbers, n_truths; /* on the stacks after the code so far */
    ex_instruction measure;  /* the first metric since the comparison began; `metric` is NONE before */
} rule_parser;

static const struct operation_effect {
    int8_t numbers, truths; /* taken */
    ex_value_kind kind;     /* of the one value that is given */
} effects[EX_OPERATION_COUNT] = {
    [EX_OPERATION_NUMBER] = {0, 0, EX_VALUE_NUMBER},     [EX_OPERATION_METRIC] = {0, 0, EX_VALUE_NUMBER},
    [EX_OPERATION_LAYER] = {0, 0, EX_VALUE_NUMBER},      [EX_OPERATION_KEY_NUMBER] = {0, 0, EX_VALUE_NUMBER},
    [EX_OPERATION_KEY_INTEGER] = {0, 0, EX_VALUE_NUMBER}, [EX_OPERATION_MEAN] = {0, 0, EX_VALUE_NUMBER},
    [EX_OPERATION_LOWEST] = {0, 0, EX_VALUE_NUMBER},     [EX_OPERATION_HIGHEST] = {0, 0, EX_VALUE_NUMBER},
    [EX_OPERATION_VARIANCE] = {0, 0, EX_VALUE_NUMBER},   [EX_OPERATION_NEGATE] = {1, 0, EX_VALUE_NUMBER},
    [EX_OPERATION_ADD] = {2, 0, EX_VALUE_NUMBER},        [EX_OPERATION_SUBTRACT] = {2, 0, EX_VALUE_NUMBER},
    [EX_OPERATION_MULTIPLY] = {2, 0, EX_VALUE_NUMBER},   [EX_OPERATION_DIVIDE] = {2, 0, EX_VALUE_NUMBER},
    [EX_OPERATION_MIN] = {2, 0, EX_VALUE_NUMBER},        [EX_OPERATION_MAX] = {2, 0, EX_VALUE_NUMBER},
    [EX_OPERATION_CLIP] = {3, 0, EX_VALUE_NUMBER},       [EX_OPERATION_FLOOR] = {1, 0, EX_VALUE_NUMBER},
    [EX_OPERATION_ROUND] = {1, 0, EX_VALUE_NUMBER},      [EX_OPERATION_ABS] = {1, 0, EX_VALUE_NUMBER},
    [EX_OPERATION_SQRT] = {1, 0, EX_VALUE_NUMBER},       [EX_OPERATION_LOG2] = {1, 0, EX_VALUE_NUMBER},
    [EX_OPERATION_EXP2] = {1, 0, EX_VALUE_NUMBER},       [EX_OPERATION_LESS] = {2, 0, EX_VALUE_TRUTH},
    [EX_OPERATION_AT_MOST] = {2, 0, EX_VALUE_TRUTH},     [EX_OPERATION_GREATER] = {2, 0, EX_VALUE_TRUTH},
    [EX_OPERATION_AT_LEAST] = {2, 0, EX_VALUE_TRUTH},    [EX_OPERATION_MAY_INSERT] = {0, 0, EX_VALUE_TRUTH},
    [EX_OPERATION_FIRST_TOKEN] = {0, 0, EX_VALUE_TRUTH},
    [EX_OPERATION_NOT] = {0, 1, EX_VALUE_TRUTH},         [EX_OPERATION_AND] = {0, 2, EX_VALUE_TRUTH},
    [EX_OPERATION_OR] = {0, 2, EX_VALUE_TRUTH},          [EX_OPERATION_UNTIL] = {0, 2, EX_VALUE_TRUTH},
};

typedef struct named_operation {
    const char *name;
    ex_operation operation;
    int least, most; /* arguments; most 0: any number */
} named_operation;

static const named_operation functions[] = {
    {"min", EX_OPERATION_MIN, 2, 0},     {"max", EX_OPERATION_MAX, 2, 0},     {"clip", EX_OPERATION_CLIP, 3, 3},
    {"floor", EX_OPERATION_FLOOR, 1, 1}, {"round", EX_OPERATION_ROUND, 1, 1}, {"abs", EX_OPERATION_ABS, 1, 1},
    {"sqrt", EX_OPERATION_SQRT, 1, 1},   {"log2", EX_OPERATION_LOG2, 1, 1},   {"exp2", EX_OPERATION_EXP2, 1, 1},
    {NULL, EX_OPERATION_COUNT, 0, 0},
};

static const named_operation windows[] = {
    {"mean", EX_OPERATION_MEAN, 2, 2},       {"lowest", EX_OPERATION_LOWEST, 2, 2},
    {"highest", EX_OPERATION_HIGHEST, 2, 2}, {"variance", EX_OPERATION_VARIANCE, 2, 2},
    {NULL, EX_OPERATION_COUNT, 0, 0},
};

static const named_operation comparisons[] = {
    {"<", EX_OPERATION_LESS, 2, 2},       {"<=", EX_OPERATION_AT_MOST, 2, 2},
    {">", EX_OPERATION_GREATER, 2, 2},    {">=", EX_OPERATION_AT_LEAST, 2, 2},
    {NULL, EX_OPERATION_COUNT, 0, 0},
};

static const char *const words[] = {"and", "or", "not", "until", "may_insert", "first_token", "varentropy", NULL};

static const named_operation *find(const named_operation *table, const ex_rule_token *token) {
    for (; table->name; table++)
        if (ex_rule_token_is(token, table->name)) return table;
    return NULL;
}

static bool parse_expression(rule_parser *parser, ex_value_kind *kind);

/* ---- tokens and code --------------------------------------------------------------------------------------------- */

static bool advance(rule_parser *parser) { return ex_rule_next_token(parser->text, &parser->token) == EX_OK; }

static bool fail_expected(const rule_parser *parser, const char *expected) {
    const ex_rule_token *token = &parser->token;
    if (token->kind == EX_TOKEN_KIND_END)
        ex_rule_fail(parser->text, token->start, "expected %s, the line ends here", expected);
    else
        ex_rule_fail(parser->text, token->start, "expected %s, found \"%.*s\"", expected,
                     (int)(token->length < 40 ? token->length : 40), token->start);
    return false;
}

static bool take(rule_parser *parser, const char *sign, const char *expected) {
    return ex_rule_token_is(&parser->token, sign) ? advance(parser) : fail_expected(parser, expected);
}

static bool emit(rule_parser *parser, ex_instruction instruction) {
    const struct operation_effect *effect = &effects[instruction.operation];
    ex_rules *rules = parser->rules;
    if (rules->n_code == EX_RULE_CODE_MAX) {
        ex_rule_fail(parser->text, parser->token.start, "the rules are too long: at most %d operations and values",
                     EX_RULE_CODE_MAX);
        return false;
    }
    rules->code[rules->n_code++] = instruction;
    parser->n_numbers += (effect->kind == EX_VALUE_NUMBER) - effect->numbers;
    parser->n_truths += (effect->kind == EX_VALUE_TRUTH) - effect->truths;
    if (parser->n_numbers <= EX_RULE_STACK_MAX && parser->n_truths <= EX_RULE_STACK_MAX) return true;
    ex_rule_fail(parser->text, parser->token.start, "too many values wait for each other here, at most %d can",
                 EX_RULE_STACK_MAX);
    return false;
}

static bool emit_operation(rule_parser *parser, ex_operation operation) {
    return emit(parser, (ex_instruction){.operation = (uint8_t)operation});
}

static bool enter(rule_parser *parser) {
    if (parser->depth++ < EX_RULE_DEPTH_MAX) return true;
    ex_rule_fail(parser->text, parser->token.start, "nested too deeply, at most %d levels", EX_RULE_DEPTH_MAX);
    return false;
}

static bool require(const rule_parser *parser, ex_value_kind found, ex_value_kind wanted, const char *start) {
    if (found == wanted) return true;
    if (wanted == EX_VALUE_NUMBER)
        ex_rule_fail(parser->text, start, "expected a number, but this is a condition");
    else
        ex_rule_fail(parser->text, start,
                     "expected a condition such as `logits_entropy < 2`, but this is a number");
    return false;
}

/* ---- operands ---------------------------------------------------------------------------------------------------- */

static bool fail_name(const rule_parser *parser, const char *what) {
    const ex_rule_token *token = &parser->token;
    ex_near_name near = {.typed = token->start, .length = token->length};
    for (size_t i = 0; ex_metric_name(i); i++) ex_near_name_try(&near, ex_metric_name(i));
    for (const ex_policy_key_row *row = ex_policy_keys; row->name; row++) ex_near_name_try(&near, row->name);
    for (size_t i = 0; words[i]; i++) ex_near_name_try(&near, words[i]);
    for (size_t i = 0; functions[i].name; i++) ex_near_name_try(&near, functions[i].name);
    for (size_t i = 0; windows[i].name; i++) ex_near_name_try(&near, windows[i].name);
    char advice[80];
    ex_rule_fail(parser->text, token->start, "there is no %s \"%.*s\"%s", what,
                 (int)(token->length < 40 ? token->length : 40), token->start,
                 ex_near_name_advice(&near, advice, sizeof advice));
    return false;
}

static int16_t find_metric(const char *(*name_of)(size_t index), const ex_rule_token *token) {
    for (int16_t i = 0; name_of((size_t)i); i++)
        if (ex_rule_token_is(token, name_of((size_t)i))) return i;
    return EX_METRIC_NONE;
}

static int16_t find_any_metric(const ex_rule_token *token) {
    return ex_rule_token_is(token, "varentropy") ? EX_METRIC_VARENTROPY : find_metric(ex_metric_name, token);
}

static bool emit_measure(rule_parser *parser, ex_instruction instruction) {
    if (parser->measure.metric == EX_METRIC_NONE) parser->measure = instruction;
    return emit(parser, instruction);
}

/* A whole number, from `low` to `high`. */
static bool parse_whole(rule_parser *parser, int low, int high, const char *expected, int *value) {
    bool negative = low < 0 && ex_rule_token_is(&parser->token, "-");
    if (negative && !advance(parser)) return false;
    double number = negative ? -parser->token.number : parser->token.number;
    bool good = parser->token.kind == EX_TOKEN_KIND_NUMBER && number >= low && number <= high &&
                number == (double)(int)number;
    if (!good) return fail_expected(parser, expected);
    *value = (int)number;
    return advance(parser);
}

/* `name[layer]`; the token is the name. */
static bool parse_layer(rule_parser *parser, ex_rule_token name) {
    ex_instruction instruction = {.operation = EX_OPERATION_LAYER, .metric = find_metric(ex_layer_metric_name, &name)};
    int layer = 0;
    if (instruction.metric == EX_METRIC_NONE) {
        ex_rule_fail(parser->text, name.start, "\"%.*s\" is not measured for single layers",
                     (int)(name.length < 40 ? name.length : 40), name.start);
        return false;
    }
    if (!advance(parser) || !parse_whole(parser, -EX_LAYERS_MAX, EX_LAYERS_MAX - 1,
                                         "a layer from -256 to 255 (-1 is the last)", &layer))
        return false;
    instruction.layer = (int16_t)layer;
    return take(parser, "]", "]") && emit_measure(parser, instruction);
}

/* `(metric, count)` after the name of a window. */
static bool parse_window(rule_parser *parser, const named_operation *window) {
    int count = 0;
    if (!take(parser, "(", "(")) return false;
    ex_instruction instruction = {.operation = (uint8_t)window->operation, .metric = find_any_metric(&parser->token)};
    if (parser->token.kind != EX_TOKEN_KIND_NAME) return fail_expected(parser, "the name of a metric");
    if (instruction.metric == EX_METRIC_NONE) return fail_name(parser, "metric");
    if (!advance(parser) || !take(parser, ",", "a comma and a number of positions")) return false;
    if (!parse_whole(parser, 1, EX_RULE_WINDOW_MAX, "a number of positions from 1 to 1024", &count)) return false;
    instruction.count = (uint16_t)count;
    if ((size_t)count > parser->rules->window) parser->rules->window = (size_t)count;
    return take(parser, ")", ")") && emit_measure(parser, instruction);
}

static bool parse_number(rule_parser *parser) {
    ex_value_kind kind;
    const char *start = parser->token.start;
    return parse_expression(parser, &kind) && require(parser, kind, EX_VALUE_NUMBER, start);
}

/* `(a, b, …)` after the name of a function. min and max take two at a time. */
static bool parse_call(rule_parser *parser, const named_operation *function) {
    if (!enter(parser) || !take(parser, "(", "(")) return false;
    for (int n = 1;; n++) {
        if (!parse_number(parser)) return false;
        if (n >= 2 && function->most == 0 && !emit_operation(parser, function->operation)) return false;
        if (n >= function->least && n != function->most && ex_rule_token_is(&parser->token, ")")) break;
        if (n == function->most) break;
        if (!take(parser, ",", n < function->least ? "a comma and one more argument" : ", or )")) return false;
    }
    parser->depth--;
    if (!take(parser, ")", ")")) return false;
    return function->most == 0 || emit_operation(parser, function->operation);
}

static bool parse_key(rule_parser *parser, const ex_rule_token *name) {
    for (const ex_policy_key_row *row = ex_policy_keys; row->name; row++) {
        bool is_integer = row->kind == EX_POLICY_INTEGER;
        if (!ex_rule_token_is(name, row->name)) continue;
        if (is_integer || row->kind == EX_POLICY_NUMBER)
            return emit(parser,
                        (ex_instruction){.operation = is_integer ? EX_OPERATION_KEY_INTEGER : EX_OPERATION_KEY_NUMBER,
                                         .operand.offset = row->offset});
        ex_rule_fail(parser->text, name->start, "the policy key %s is not a number", row->name);
        return false;
    }
    parser->token = *name;
    return fail_name(parser, "metric, policy key or function");
}

static bool parse_name(rule_parser *parser, ex_value_kind *kind) {
    ex_rule_token name = parser->token;
    if (ex_rule_token_is(&name, "and") || ex_rule_token_is(&name, "or") || ex_rule_token_is(&name, "not") ||
        ex_rule_token_is(&name, "until"))
        return fail_expected(parser, "a number, a name or (");
    const named_operation *function = find(functions, &name), *window = find(windows, &name);
    if (!advance(parser)) return false;
    *kind = EX_VALUE_NUMBER;
    if (function) return parse_call(parser, function);
    if (window) return parse_window(parser, window);
    if (ex_rule_token_is(&parser->token, "[")) return parse_layer(parser, name);
    if (ex_rule_token_is(&name, "may_insert")) {
        *kind = EX_VALUE_TRUTH;
        return emit_operation(parser, EX_OPERATION_MAY_INSERT);
    }
    if (ex_rule_token_is(&name, "first_token")) {
        *kind = EX_VALUE_TRUTH;
        return emit_operation(parser, EX_OPERATION_FIRST_TOKEN);
    }
    int16_t metric = find_any_metric(&name);
    if (metric == EX_METRIC_NONE) return parse_key(parser, &name);
    return emit_measure(parser, (ex_instruction){.operation = EX_OPERATION_METRIC, .metric = metric});
}

static bool parse_operand(rule_parser *parser, ex_value_kind *kind) {
    ex_instruction number = {.operation = EX_OPERATION_NUMBER, .operand.number = parser->token.number};
    if (parser->token.kind == EX_TOKEN_KIND_NUMBER) {
        *kind = EX_VALUE_NUMBER;
        return advance(parser) && emit(parser, number);
    }
    if (parser->token.kind == EX_TOKEN_KIND_NAME) return parse_name(parser, kind);
    if (!ex_rule_token_is(&parser->token, "(")) return fail_expected(parser, "a number, a name or (");
    if (!enter(parser) || !advance(parser) || !parse_expression(parser, kind)) return false;
    parser->depth--;
    return take(parser, ")", "an operator or )");
}

/* ---- operators, the tightest first ----------------------------------------------------------------------------- */

static bool parse_sign(rule_parser *parser, ex_value_kind *kind) {
    if (!ex_rule_token_is(&parser->token, "-")) return parse_operand(parser, kind);
    if (!enter(parser) || !advance(parser)) return false;
    const char *start = parser->token.start;
    if (!parse_sign(parser, kind) || !require(parser, *kind, EX_VALUE_NUMBER, start)) return false;
    parser->depth--;
    return emit_operation(parser, EX_OPERATION_NEGATE);
}

typedef struct operator_row {
    const char *sign;
    ex_operation operation;
} operator_row;

/* Operands of one level, joined from the left by its operators. */
static bool parse_joined(rule_parser *parser, ex_value_kind *kind, ex_value_kind wanted, const operator_row *operators,
                         bool (*parse_side)(rule_parser *parser, ex_value_kind *kind)) {
    const char *start = parser->token.start;
    if (!parse_side(parser, kind)) return false;
    for (;;) {
        const operator_row *row = operators;
        while (row->sign && !ex_rule_token_is(&parser->token, row->sign)) row++;
        if (!row->sign) return true;
        if (!require(parser, *kind, wanted, start) || !advance(parser)) return false;
        start = parser->token.start;
        if (!parse_side(parser, kind) || !require(parser, *kind, wanted, start)) return false;
        if (!emit_operation(parser, row->operation)) return false;
    }
}

static bool parse_product(rule_parser *parser, ex_value_kind *kind) {
    static const operator_row operators[] = {
        {"*", EX_OPERATION_MULTIPLY}, {"/", EX_OPERATION_DIVIDE}, {NULL, EX_OPERATION_COUNT}};
    return parse_joined(parser, kind, EX_VALUE_NUMBER, operators, parse_sign);
}

static bool parse_sum(rule_parser *parser, ex_value_kind *kind) {
    static const operator_row operators[] = {
        {"+", EX_OPERATION_ADD}, {"-", EX_OPERATION_SUBTRACT}, {NULL, EX_OPERATION_COUNT}};
    return parse_joined(parser, kind, EX_VALUE_NUMBER, operators, parse_product);
}

static bool parse_compared(rule_parser *parser, ex_value_kind *kind, const named_operation *comparison) {
    if (!advance(parser)) return false;
    const char *start = parser->token.start;
    if (!parse_sum(parser, kind) || !require(parser, *kind, EX_VALUE_NUMBER, start)) return false;
    *kind = EX_VALUE_TRUTH;
    const ex_instruction *measure = &parser->measure;
    if (!emit(parser, (ex_instruction){.operation = (uint8_t)comparison->operation,
                                       .metric = measure->metric,
                                       .operand.layer_metric = measure->operation == EX_OPERATION_LAYER}))
        return false;
    if (!find(comparisons, &parser->token)) return true;
    ex_rule_fail(parser->text, parser->token.start, "a comparison has two sides: write `a < b and b < c`");
    return false;
}

static bool parse_comparison(rule_parser *parser, ex_value_kind *kind) {
    const char *start = parser->token.start;
    ex_instruction outer = parser->measure;
    parser->measure = (ex_instruction){.metric = EX_METRIC_NONE};
    if (!parse_sum(parser, kind)) return false;
    const named_operation *comparison = find(comparisons, &parser->token);
    if (comparison && (!require(parser, *kind, EX_VALUE_NUMBER, start) || !parse_compared(parser, kind, comparison)))
        return false;
    if (outer.metric != EX_METRIC_NONE) parser->measure = outer;
    return true;
}

static bool parse_not(rule_parser *parser, ex_value_kind *kind) {
    if (!ex_rule_token_is(&parser->token, "not")) return parse_comparison(parser, kind);
    if (!enter(parser) || !advance(parser)) return false;
    const char *start = parser->token.start;
    if (!parse_not(parser, kind) || !require(parser, *kind, EX_VALUE_TRUTH, start)) return false;
    parser->depth--;
    return emit_operation(parser, EX_OPERATION_NOT);
}

static bool parse_and(rule_parser *parser, ex_value_kind *kind) {
    static const operator_row operators[] = {{"and", EX_OPERATION_AND}, {NULL, EX_OPERATION_COUNT}};
    return parse_joined(parser, kind, EX_VALUE_TRUTH, operators, parse_not);
}

static bool parse_or(rule_parser *parser, ex_value_kind *kind) {
    static const operator_row operators[] = {{"or", EX_OPERATION_OR}, {NULL, EX_OPERATION_COUNT}};
    return parse_joined(parser, kind, EX_VALUE_TRUTH, operators, parse_and);
}

static bool emit_until(rule_parser *parser) {
    ex_rules *rules = parser->rules;
    if (rules->n_until < EX_RULE_UNTIL_MAX)
        return emit(parser,
                    (ex_instruction){.operation = EX_OPERATION_UNTIL, .count = (uint16_t)rules->n_until++});
    ex_rule_fail(parser->text, parser->token.start, "there are more than %d \"until\" in the rules", EX_RULE_UNTIL_MAX);
    return false;
}

static bool parse_expression(rule_parser *parser, ex_value_kind *kind) {
    const char *start = parser->token.start;
    if (!parse_or(parser, kind)) return false;
    if (!ex_rule_token_is(&parser->token, "until")) return true;
    if (!require(parser, *kind, EX_VALUE_TRUTH, start) || !advance(parser)) return false;
    start = parser->token.start;
    if (!parse_or(parser, kind) || !require(parser, *kind, EX_VALUE_TRUTH, start)) return false;
    if (!ex_rule_token_is(&parser->token, "until")) return emit_until(parser);
    ex_rule_fail(parser->text, parser->token.start, "\"until\" after \"until\": write ( ) around one of them");
    return false;
}

ex_code ex_rule_parse(ex_rules *rules, ex_rule_text *text, ex_value_kind kind, ex_program *program) {
    rule_parser parser = {.rules = rules, .text = text, .measure = {.metric = EX_METRIC_NONE}};
    size_t first = rules->n_code;
    ex_value_kind found;
    if (!advance(&parser)) return EX_ERROR_FORMAT;
    const char *start = parser.token.start;
    if (!parse_expression(&parser, &found)) return EX_ERROR_FORMAT;
    if (parser.token.kind != EX_TOKEN_KIND_END) {
        fail_expected(&parser, "an operator or the end of the line");
        return EX_ERROR_FORMAT;
    }
    if (!require(&parser, found, kind, start)) return EX_ERROR_FORMAT;
    *program = (ex_program){(uint16_t)first, (uint16_t)(rules->n_code - first)};
    return EX_OK;
}
