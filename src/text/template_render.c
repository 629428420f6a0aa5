/* template_render.c - statements: one function a kind of node; scopes as Jinja has them. */
#include <string.h>

#include "text/template_run.h"

typedef bool (*renderer)(ex_jinja_run *run, const ex_jinja_node *node);

/* ---- scopes ---- */

ex_jinja_frame *ex_jinja_frame_new(ex_jinja_run *run, ex_jinja_frame *parent) {
    ex_jinja_frame *frame = ex_jinja_take(run, 1, sizeof *frame);
    if (frame) frame->parent = parent;
    return frame;
}

bool ex_jinja_bind(ex_jinja_run *run, ex_jinja_frame *frame, const ex_jinja_name *name, ex_value value) {
    if (!ex_jinja_charge(run, frame->count * EX_JINJA_BINDING_COST)) return false;
    for (size_t i = 0; i < frame->count; i++)
        if (frame->bindings[i].name == name) {
            frame->bindings[i].value = value;
            return true;
        }
    if (frame->count == frame->capacity) {
        size_t capacity = frame->capacity ? frame->capacity * 2 : 4;
        ex_jinja_binding *bindings = ex_jinja_take(run, capacity, sizeof *bindings);
        if (!bindings) return false;
        if (frame->count) memcpy(bindings, frame->bindings, frame->count * sizeof *bindings);
        frame->bindings = bindings;
        frame->capacity = capacity;
    }
    frame->bindings[frame->count++] = (ex_jinja_binding){name, value};
    return true;
}

static bool assign_attribute(ex_jinja_run *run, const ex_jinja_node *target, ex_value value) {
    ex_value subject;
    if (!ex_jinja_evaluate(run, target->a, &subject)) return false;
    run->node = target;
    if (subject.kind != EX_JINJA_NAMESPACE)
        return ex_jinja_fail(run, "cannot assign attribute on non-namespace object");
    return ex_jinja_map_set(subject.as.map, ex_jinja_text_value(&target->name->text), value) ||
           ex_jinja_fail_memory(run);
}

bool ex_jinja_assign(ex_jinja_run *run, ex_jinja_frame *frame, const ex_jinja_node *target, ex_value value) {
    const ex_jinja_list *items;
    if (target->kind == EX_JINJA_NODE_NAME) return ex_jinja_bind(run, frame, target->name, value);
    if (target->kind == EX_JINJA_NODE_ATTRIBUTE) return assign_attribute(run, target, value);
    run->node = target;
    if (!ex_jinja_iterate(run, value, &items)) return false;
    if (items->count != target->n_items)
        return ex_jinja_fail(run, "%zu values cannot be unpacked into %zu names", items->count, target->n_items);
    for (size_t i = 0; i < items->count; i++)
        if (!ex_jinja_assign(run, frame, target->items[i], items->items[i])) return false;
    return true;
}

/* Runs `body` in a scope of its own. */
static bool render_in_scope(ex_jinja_run *run, const ex_jinja_node *body) {
    ex_jinja_frame *outer = run->frame, *frame = ex_jinja_frame_new(run, outer);
    if (!frame) return false;
    run->frame = frame;
    bool ok = ex_jinja_render_body(run, body);
    run->frame = outer;
    return ok;
}

/* What `body` renders, sent through the filters `filters` around a CAPTURED node. */
static bool capture(ex_jinja_run *run, const ex_jinja_node *body, const ex_jinja_node *filters, ex_value *out) {
    ex_value outer = run->captured;
    size_t start = run->length;
    bool ok = render_in_scope(run, body) && ex_jinja_cut_value(run, start, &run->captured) &&
              ex_jinja_evaluate(run, filters, out);
    run->captured = outer;
    return ok;
}

/* ---- statements ---- */

static bool render_data(ex_jinja_run *run, const ex_jinja_node *node) {
    return ex_jinja_emit_text(run, node->value.as.text);
}

static bool render_output(ex_jinja_run *run, const ex_jinja_node *node) {
    ex_value value;
    return ex_jinja_evaluate(run, node->a, &value) && ex_jinja_print(run, value);
}

static bool render_if(ex_jinja_run *run, const ex_jinja_node *node) {
    for (size_t i = 0; i < node->n_items; i += 2) {
        ex_value condition;
        if (!ex_jinja_evaluate(run, node->items[i], &condition)) return false;
        if (ex_jinja_is_true(condition)) return ex_jinja_render_body(run, node->items[i + 1]);
    }
    return !node->c || ex_jinja_render_body(run, node->c);
}

static bool render_set(ex_jinja_run *run, const ex_jinja_node *node) {
    ex_value value;
    return ex_jinja_evaluate(run, node->b, &value) && ex_jinja_assign(run, run->frame, node->a, value);
}

static bool render_set_block(ex_jinja_run *run, const ex_jinja_node *node) {
    ex_value value;
    return capture(run, node->c, node->b, &value) && ex_jinja_assign(run, run->frame, node->a, value);
}

static bool render_filter_block(ex_jinja_run *run, const ex_jinja_node *node) {
    ex_value value;
    return capture(run, node->c, node->b, &value) && ex_jinja_print(run, value);
}

static bool make_macro(ex_jinja_run *run, const ex_jinja_node *node, ex_value *out) {
    ex_jinja_macro *macro = ex_jinja_take(run, 1, sizeof *macro);
    if (!macro) return false;
    *macro = (ex_jinja_macro){node, run->frame};
    *out = (ex_value){.kind = EX_JINJA_MACRO, .as.macro = macro};
    return true;
}

static bool render_macro(ex_jinja_run *run, const ex_jinja_node *node) {
    ex_value macro;
    return make_macro(run, node, &macro) && ex_jinja_bind(run, run->frame, node->name, macro);
}

static bool render_call_block(ex_jinja_run *run, const ex_jinja_node *node) {
    ex_value caller, value;
    return make_macro(run, node, &caller) && ex_jinja_evaluate_call(run, node->a, &caller, &value) &&
           ex_jinja_print(run, value);
}

/* All values are computed before the first name is bound. */
static bool bind_with(ex_jinja_run *run, const ex_jinja_node *node, ex_jinja_frame *frame) {
    for (size_t i = 0; i < node->n_items; i += 2) {
        ex_value value;
        if (!ex_jinja_evaluate(run, node->items[i + 1], &value) ||
            !ex_jinja_assign(run, frame, node->items[i], value))
            return false;
    }
    return true;
}

static bool render_with(ex_jinja_run *run, const ex_jinja_node *node) {
    ex_jinja_frame *outer = run->frame, *frame = ex_jinja_frame_new(run, outer);
    if (!frame || !bind_with(run, node, frame)) return false;
    run->frame = frame;
    bool ok = ex_jinja_render_body(run, node->c);
    run->frame = outer;
    return ok;
}

static bool render_jump(ex_jinja_run *run, const ex_jinja_node *node) {
    run->jump = node->kind == EX_JINJA_NODE_BREAK ? EX_JINJA_BREAK : EX_JINJA_CONTINUE;
    return true;
}

/* ---- loops ---- */

/* The items for which the loop's own condition holds. */
static bool filter_items(ex_jinja_run *run, const ex_jinja_node *node, const ex_jinja_list **items) {
    ex_jinja_list *kept = ex_jinja_make_list(run, EX_JINJA_FORM_LIST, 0);
    ex_jinja_frame *outer = run->frame, *frame = ex_jinja_frame_new(run, outer);
    if (!kept || !frame) return false;
    for (size_t i = 0; i < (*items)->count; i++) {
        ex_value holds;
        frame->count = 0;
        run->frame = frame;
        bool ok = ex_jinja_assign(run, frame, node->a, (*items)->items[i]) &&
                  ex_jinja_evaluate(run, node->items[0], &holds);
        run->frame = outer;
        if (!ok || (ex_jinja_is_true(holds) && !ex_jinja_append(run, kept, (*items)->items[i]))) return false;
    }
    *items = kept;
    return true;
}

/* Each round starts with empty scope, so that what it sets is gone in the next. */
static bool render_rounds(ex_jinja_run *run, const ex_jinja_node *node, const ex_jinja_list *items,
                          ex_jinja_frame *frame) {
    ex_jinja_loop *loop = ex_jinja_take(run, 1, sizeof *loop);
    if (!loop) return false;
    loop->items = items;
    ex_value value = {.kind = EX_JINJA_LOOP, .as.loop = loop};
    for (; loop->index < items->count; loop->index++) {
        frame->count = 0;
        if (!ex_jinja_charge(run, 0) || !ex_jinja_bind(run, frame, run->template->loop, value) ||
            !ex_jinja_assign(run, frame, node->a, items->items[loop->index]) || !ex_jinja_render_body(run, node->c))
            return false;
        ex_jinja_jump jump = run->jump;
        run->jump = EX_JINJA_GO_ON;
        if (jump == EX_JINJA_BREAK) break;
    }
    return true;
}

static bool render_for(ex_jinja_run *run, const ex_jinja_node *node) {
    ex_value value;
    const ex_jinja_list *items;
    if (!ex_jinja_evaluate(run, node->b, &value)) return false;
    run->node = node;
    if (!ex_jinja_iterate(run, value, &items) || (node->items[0] && !filter_items(run, node, &items))) return false;
    if (items->count == 0) return !node->items[1] || render_in_scope(run, node->items[1]);
    ex_jinja_frame *outer = run->frame, *frame = ex_jinja_frame_new(run, outer);
    if (!frame) return false;
    run->frame = frame;
    bool ok = render_rounds(run, node, items, frame);
    run->frame = outer;
    return ok;
}

static const renderer renderers[EX_JINJA_NODE_COUNT] = {
    [EX_JINJA_NODE_BODY] = ex_jinja_render_body,
    [EX_JINJA_NODE_DATA] = render_data,
    [EX_JINJA_NODE_OUTPUT] = render_output,
    [EX_JINJA_NODE_IF] = render_if,
    [EX_JINJA_NODE_FOR] = render_for,
    [EX_JINJA_NODE_SET] = render_set,
    [EX_JINJA_NODE_SET_BLOCK] = render_set_block,
    [EX_JINJA_NODE_MACRO] = render_macro,
    [EX_JINJA_NODE_CALL_BLOCK] = render_call_block,
    [EX_JINJA_NODE_FILTER_BLOCK] = render_filter_block,
    [EX_JINJA_NODE_WITH] = render_with,
    [EX_JINJA_NODE_BREAK] = render_jump,
    [EX_JINJA_NODE_CONTINUE] = render_jump,
};

bool ex_jinja_render_body(ex_jinja_run *run, const ex_jinja_node *body) {
    for (size_t i = 0; i < body->n_items && run->jump == EX_JINJA_GO_ON; i++) {
        const ex_jinja_node *statement = body->items[i];
        run->node = statement;
        if (!ex_jinja_enter(run) || !renderers[statement->kind](run, statement)) return false;
        run->depth--;
    }
    return true;
}
