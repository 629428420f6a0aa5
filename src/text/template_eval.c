/* template_eval.c - expressions: one function a kind of node. */
#include <string.h>

#include "text/template_run.h"

typedef bool (*evaluator)(ex_jinja_run *run, const ex_jinja_node *node, ex_value *out);

static bool evaluate_literal(ex_jinja_run *run, const ex_jinja_node *node, ex_value *out) {
    (void)run;
    *out = node->value;
    return true;
}

static bool evaluate_name(ex_jinja_run *run, const ex_jinja_node *node, ex_value *out) {
    const ex_jinja_name *name = node->name;
    for (const ex_jinja_frame *frame = run->frame; frame; frame = frame->parent) {
        for (size_t i = 0; i < frame->count; i++)
            if (frame->bindings[i].name == name) {
                *out = frame->bindings[i].value;
                return ex_jinja_charge(run, i * EX_JINJA_BINDING_COST);
            }
        if (!ex_jinja_charge(run, frame->count * EX_JINJA_BINDING_COST)) return false;
    }
    const ex_value *variable = ex_jinja_map_find(run->variables, name->text.bytes, name->text.length, name->hash);
    if (variable) {
        *out = *variable;
        return true;
    }
    *out = (ex_value){.kind = EX_JINJA_FUNCTION, .as.function = name->global};
    return name->global ||
           ex_jinja_make_absent(run, ex_jinja_undefined(), name->text.bytes, name->text.length, false, out);
}

static bool evaluate_items(ex_jinja_run *run, const ex_jinja_node *node, ex_jinja_form form, ex_value *out) {
    ex_jinja_list *list = ex_jinja_make_list(run, form, node->n_items);
    if (!list) return false;
    for (size_t i = 0; i < node->n_items; i++) {
        ex_value item;
        if (!ex_jinja_evaluate(run, node->items[i], &item) || !ex_jinja_append(run, list, item)) return false;
    }
    *out = ex_jinja_list_value(list);
    return true;
}

static bool evaluate_list(ex_jinja_run *run, const ex_jinja_node *node, ex_value *out) {
    return evaluate_items(run, node, EX_JINJA_FORM_LIST, out);
}

static bool evaluate_tuple(ex_jinja_run *run, const ex_jinja_node *node, ex_value *out) {
    return evaluate_items(run, node, EX_JINJA_FORM_TUPLE, out);
}

static bool evaluate_map(ex_jinja_run *run, const ex_jinja_node *node, ex_value *out) {
    ex_jinja_map *map = ex_jinja_map_new(&run->arena);
    if (!map) return ex_jinja_fail_memory(run);
    for (size_t i = 0; i < node->n_items; i += 2) {
        ex_value key, value;
        if (!ex_jinja_evaluate(run, node->items[i], &key) || !ex_jinja_evaluate(run, node->items[i + 1], &value))
            return false;
        if (!ex_jinja_is_key(key)) return ex_jinja_fail_type(run, "this cannot be a key", key);
        if (!ex_jinja_map_set(map, key, value)) return ex_jinja_fail_memory(run);
    }
    *out = (ex_value){.kind = EX_JINJA_MAP, .as.map = map};
    return true;
}

static bool evaluate_attribute(ex_jinja_run *run, const ex_jinja_node *node, ex_value *out) {
    ex_value subject;
    if (!ex_jinja_evaluate(run, node->a, &subject)) return false;
    run->node = node;
    return ex_jinja_attribute(run, subject, node->name, out);
}

static bool evaluate_item(ex_jinja_run *run, const ex_jinja_node *node, ex_value *out) {
    ex_value subject, key;
    if (!ex_jinja_evaluate(run, node->a, &subject) || !ex_jinja_evaluate(run, node->b, &key)) return false;
    run->node = node;
    return ex_jinja_item(run, subject, key, out);
}

static bool evaluate_slice(ex_jinja_run *run, const ex_jinja_node *node, ex_value *out) {
    const ex_jinja_node *parts[3] = {node->a, node->b, node->c};
    ex_value subject, bounds[3];
    if (!ex_jinja_evaluate(run, node->items[0], &subject)) return false;
    for (int i = 0; i < 3; i++) {
        bounds[i] = ex_jinja_none();
        if (parts[i] && !ex_jinja_evaluate(run, parts[i], &bounds[i])) return false;
    }
    run->node = node;
    return ex_jinja_slice(run, subject, bounds, out);
}

/* ---- calls ---- */

/* `caller`, when not NULL, is passed as an argument of that name. */
static bool evaluate_arguments(ex_jinja_run *run, const ex_jinja_node *node, const ex_value *caller,
                               ex_jinja_arguments *out) {
    static const ex_value no_value;
    static const ex_jinja_named no_name;
    size_t n_named = node->n_keywords + (caller != NULL);
    *out = (ex_jinja_arguments){&no_value, 0, &no_name, 0};
    if (node->n_items + n_named == 0) return true;
    ex_value *positional = ex_jinja_take(run, node->n_items, sizeof *positional);
    ex_jinja_named *named = ex_jinja_take(run, n_named, sizeof *named);
    if (!positional || !named) return false;
    for (size_t i = 0; i < node->n_items; i++)
        if (!ex_jinja_evaluate(run, node->items[i], &positional[i])) return false;
    for (size_t i = 0; i < node->n_keywords; i++) {
        named[i].name = &node->keywords[i].name->text;
        if (!ex_jinja_evaluate(run, node->keywords[i].value, &named[i].value)) return false;
    }
    if (caller) named[node->n_keywords] = (ex_jinja_named){&run->template->caller->text, *caller};
    *out = (ex_jinja_arguments){positional, node->n_items, named, n_named};
    return true;
}

bool ex_jinja_evaluate_call(ex_jinja_run *run, const ex_jinja_node *node, const ex_value *caller, ex_value *out) {
    ex_value callee;
    ex_jinja_arguments arguments;
    if (!ex_jinja_evaluate(run, node->a, &callee) || !evaluate_arguments(run, node, caller, &arguments)) return false;
    run->node = node;
    return ex_jinja_call_value(run, callee, &arguments, out);
}

static bool evaluate_call(ex_jinja_run *run, const ex_jinja_node *node, ex_value *out) {
    return ex_jinja_evaluate_call(run, node, NULL, out);
}

static bool evaluate_filter_or_test(ex_jinja_run *run, const ex_jinja_node *node, ex_value *out) {
    ex_value subject;
    ex_jinja_arguments arguments;
    if (!ex_jinja_evaluate(run, node->a, &subject) || !evaluate_arguments(run, node, NULL, &arguments)) return false;
    run->node = node;
    if (node->function) return ex_jinja_call_function(run, node->function, subject, &arguments, out);
    const ex_jinja_text *name = &node->name->text;
    if (node->kind == EX_JINJA_NODE_FILTER && ex_jinja_leaves_out(name->bytes, name->length))
        return ex_jinja_fail(run, "the filter %.*s is not supported", (int)name->length, name->bytes);
    return ex_jinja_fail(run, "there is no %s named %.*s", node->kind == EX_JINJA_NODE_TEST ? "test" : "filter",
                         name->length > 40 ? 40 : (int)name->length, name->bytes);
}

/* ---- operators ---- */

static bool evaluate_not(ex_jinja_run *run, const ex_jinja_node *node, ex_value *out) {
    ex_value operand;
    if (!ex_jinja_evaluate(run, node->a, &operand)) return false;
    *out = ex_jinja_boolean(!ex_jinja_is_true(operand));
    return true;
}

static bool evaluate_unary(ex_jinja_run *run, const ex_jinja_node *node, ex_value *out) {
    ex_value operand;
    if (!ex_jinja_evaluate(run, node->a, &operand)) return false;
    run->node = node;
    return ex_jinja_unary(run, node->operator, operand, out);
}

static bool evaluate_binary(ex_jinja_run *run, const ex_jinja_node *node, ex_value *out) {
    ex_value left, right;
    if (!ex_jinja_evaluate(run, node->a, &left) || !ex_jinja_evaluate(run, node->b, &right)) return false;
    run->node = node;
    return ex_jinja_binary(run, node->operator, left, right, out);
}

/* `and` and `or` yield the operand that decided. */
static bool evaluate_logic(ex_jinja_run *run, const ex_jinja_node *node, ex_value *out) {
    if (!ex_jinja_evaluate(run, node->a, out)) return false;
    if (ex_jinja_is_true(*out) != (node->kind == EX_JINJA_NODE_AND)) return true;
    return ex_jinja_evaluate(run, node->b, out);
}

static bool compare(ex_jinja_run *run, int operator, ex_value left, ex_value right, bool *out) {
    int order;
    bool found;
    switch (operator) {
    case EX_JINJA_OP_EQUAL: return ex_jinja_equal(run, left, right, out);
    case EX_JINJA_OP_NOT_EQUAL:
        if (!ex_jinja_equal(run, left, right, &found)) return false;
        *out = !found;
        return true;
    case EX_JINJA_OP_IN: return ex_jinja_contains(run, right, left, out);
    case EX_JINJA_OP_NOT_IN:
        if (!ex_jinja_contains(run, right, left, &found)) return false;
        *out = !found;
        return true;
    default: break;
    }
    if (!ex_jinja_order(run, left, right, &order)) return false;
    *out = operator == '<' ? order < 0
           : operator == '>' ? order > 0
           : operator == EX_JINJA_OP_AT_MOST ? order <= 0
                                             : order >= 0;
    return true;
}

static bool evaluate_compare(ex_jinja_run *run, const ex_jinja_node *node, ex_value *out) {
    ex_value left, right;
    bool holds = true;
    if (!ex_jinja_evaluate(run, node->a, &left)) return false;
    for (size_t i = 0; i < node->n_items && holds; i++) {
        if (!ex_jinja_evaluate(run, node->items[i]->a, &right)) return false;
        run->node = node->items[i];
        if (!compare(run, node->items[i]->operator, left, right, &holds)) return false;
        left = right;
    }
    *out = ex_jinja_boolean(holds);
    return true;
}

static bool evaluate_concat(ex_jinja_run *run, const ex_jinja_node *node, ex_value *out) {
    const ex_jinja_text *sum = NULL;
    for (size_t i = 0; i < node->n_items; i++) {
        ex_value item;
        const ex_jinja_text *text;
        if (!ex_jinja_evaluate(run, node->items[i], &item) || !ex_jinja_to_text(run, item, &text)) return false;
        if (sum && !ex_jinja_text_concat(run, sum, text, &text)) return false;
        sum = text;
    }
    if (sum->markup) { /* the result of ~ is plain again */
        size_t start = run->length;
        if (!ex_jinja_emit_text(run, sum) || !ex_jinja_cut(run, start, &sum)) return false;
    }
    *out = ex_jinja_text_value(sum);
    return true;
}

static bool evaluate_condition(ex_jinja_run *run, const ex_jinja_node *node, ex_value *out) {
    ex_value condition;
    if (!ex_jinja_evaluate(run, node->b, &condition)) return false;
    if (ex_jinja_is_true(condition)) return ex_jinja_evaluate(run, node->a, out);
    if (node->c) return ex_jinja_evaluate(run, node->c, out);
    run->node = node;
    return ex_jinja_make_undefined(run, "the condition of an if without else did not hold", out);
}

static bool evaluate_captured(ex_jinja_run *run, const ex_jinja_node *node, ex_value *out) {
    (void)node;
    *out = run->captured;
    return true;
}

static const evaluator evaluators[EX_JINJA_NODE_COUNT] = {
    [EX_JINJA_NODE_LITERAL] = evaluate_literal,
    [EX_JINJA_NODE_NAME] = evaluate_name,
    [EX_JINJA_NODE_LIST] = evaluate_list,
    [EX_JINJA_NODE_TUPLE] = evaluate_tuple,
    [EX_JINJA_NODE_MAP] = evaluate_map,
    [EX_JINJA_NODE_ATTRIBUTE] = evaluate_attribute,
    [EX_JINJA_NODE_ITEM] = evaluate_item,
    [EX_JINJA_NODE_SLICE] = evaluate_slice,
    [EX_JINJA_NODE_CALL] = evaluate_call,
    [EX_JINJA_NODE_FILTER] = evaluate_filter_or_test,
    [EX_JINJA_NODE_TEST] = evaluate_filter_or_test,
    [EX_JINJA_NODE_NOT] = evaluate_not,
    [EX_JINJA_NODE_UNARY] = evaluate_unary,
    [EX_JINJA_NODE_BINARY] = evaluate_binary,
    [EX_JINJA_NODE_AND] = evaluate_logic,
    [EX_JINJA_NODE_OR] = evaluate_logic,
    [EX_JINJA_NODE_COMPARE] = evaluate_compare,
    [EX_JINJA_NODE_CONCAT] = evaluate_concat,
    [EX_JINJA_NODE_CONDITION] = evaluate_condition,
    [EX_JINJA_NODE_CAPTURED] = evaluate_captured,
};

bool ex_jinja_evaluate(ex_jinja_run *run, const ex_jinja_node *node, ex_value *out) {
    run->node = node;
    if (!ex_jinja_enter(run)) return false;
    bool ok = evaluators[node->kind](run, node, out);
    run->depth--;
    return ok;
}
