/* template_call.c - calling: binding arguments to the parameters of built-in functions and of macros. */
#include <string.h>

#include "text/template_run.h"

const ex_jinja_function *ex_jinja_find_row(const ex_jinja_function *rows, size_t n_rows, const char *name,
                                           size_t length) {
    for (size_t i = 0; i < n_rows; i++)
        if (strlen(rows[i].name) == length && memcmp(rows[i].name, name, length) == 0) return &rows[i];
    return NULL;
}

/* ---- built-in functions ---- */

/* Number of the parameter called `name`, or how many there are. */
static size_t find_parameter(const char *parameters, const char *name, size_t length) {
    size_t index = 0;
    while (*parameters) {
        size_t n = strcspn(parameters, " ");
        if (n == length && name && memcmp(parameters, name, n) == 0) return index;
        index++;
        parameters += n + (parameters[n] == ' ');
    }
    return index;
}

static bool bind_slots(ex_jinja_run *run, ex_jinja_call *call) {
    const ex_jinja_function *function = call->function;
    const ex_jinja_arguments *arguments = call->arguments;
    size_t n_parameters = find_parameter(function->parameters, NULL, 0);
    if (arguments->n_positional > n_parameters)
        return ex_jinja_fail(run, "%s takes at most %zu arguments", function->name, n_parameters);
    for (size_t i = 0; i < arguments->n_positional; i++) {
        call->slots[i] = arguments->positional[i];
        call->given |= 1u << i;
    }
    for (size_t i = 0; i < arguments->n_named; i++) {
        const ex_jinja_named *named = &arguments->named[i];
        size_t slot = find_parameter(function->parameters, named->name->bytes, named->name->length);
        int shown = named->name->length > 40 ? 40 : (int)named->name->length;
        if (slot == n_parameters)
            return ex_jinja_fail(run, "%s has no parameter %.*s", function->name, shown, named->name->bytes);
        if (call->given & 1u << slot)
            return ex_jinja_fail(run, "%s got %.*s twice", function->name, shown, named->name->bytes);
        call->slots[slot] = named->value;
        call->given |= 1u << slot;
    }
    uint32_t required = (1u << function->required) - 1;
    return (call->given & required) == required ||
           ex_jinja_fail(run, "%s needs %d arguments", function->name, (int)function->required);
}

bool ex_jinja_call_function(ex_jinja_run *run, const ex_jinja_function *function, ex_value subject,
                            const ex_jinja_arguments *arguments, ex_value *out) {
    ex_jinja_call call = {.function = function, .subject = subject, .arguments = arguments};
    if (function->parameters && !bind_slots(run, &call)) return false;
    return function->body(run, &call, out);
}

bool ex_jinja_call_named(ex_jinja_run *run, bool is_test, ex_value name, ex_value subject,
                         const ex_jinja_arguments *arguments, ex_value *out) {
    const char *kind = is_test ? "test" : "filter";
    if (name.kind != EX_JINJA_TEXT) return ex_jinja_fail_type(run, "a filter or test is named by a text", name);
    const ex_jinja_text *text = name.as.text;
    const ex_jinja_function *function = is_test ? ex_jinja_find_test(text->bytes, text->length)
                                                : ex_jinja_find_filter(text->bytes, text->length);
    if (!function)
        return ex_jinja_fail(run, "there is no %s named %.*s", kind, text->length > 40 ? 40 : (int)text->length,
                             text->bytes);
    if (!ex_jinja_enter(run)) return false;
    bool ok = ex_jinja_call_function(run, function, subject, arguments, out);
    run->depth--;
    return ok;
}

bool ex_jinja_given(const ex_jinja_call *call, int slot) {
    return call->slots[slot].kind != EX_JINJA_UNDEFINED && call->slots[slot].kind != EX_JINJA_NONE;
}

bool ex_jinja_flag(const ex_jinja_call *call, int slot) { return ex_jinja_is_true(call->slots[slot]); }

bool ex_jinja_integer_slot(ex_jinja_run *run, const ex_jinja_call *call, int slot, int64_t otherwise, int64_t *out) {
    *out = otherwise;
    if (!ex_jinja_given(call, slot)) return true;
    if (!ex_jinja_is_integer(call->slots[slot]))
        return ex_jinja_fail_type(run, "expected an integer", call->slots[slot]);
    *out = ex_jinja_as_integer(call->slots[slot]);
    return true;
}

bool ex_jinja_text_slot(ex_jinja_run *run, const ex_jinja_call *call, int slot, const ex_jinja_text **out) {
    if (call->slots[slot].kind != EX_JINJA_TEXT) return ex_jinja_fail_type(run, "expected a text", call->slots[slot]);
    *out = call->slots[slot].as.text;
    return true;
}

/* ---- macros ---- */

static const ex_value *take_named(const ex_jinja_arguments *arguments, const ex_jinja_text *name) {
    for (size_t i = 0; i < arguments->n_named; i++)
        if (ex_jinja_text_equal(arguments->named[i].name, name)) return &arguments->named[i].value;
    return NULL;
}

/* Number of the parameter called `name`, or how many there are. */
static size_t find_keyword(const ex_jinja_node *node, const ex_jinja_text *name) {
    size_t i = 0;
    while (i < node->n_keywords && !ex_jinja_text_equal(&node->keywords[i].name->text, name)) i++;
    return i;
}

static bool bind_parameters(ex_jinja_run *run, const ex_jinja_node *node, const ex_jinja_arguments *arguments,
                            ex_jinja_frame *frame) {
    for (size_t i = 0; i < node->n_keywords; i++) {
        const ex_jinja_keyword *parameter = &node->keywords[i];
        const ex_value *given = i < arguments->n_positional ? &arguments->positional[i]
                                                            : take_named(arguments, &parameter->name->text);
        ex_value value;
        bool ok = given             ? (value = *given, true)
                  : parameter->value ? ex_jinja_evaluate(run, parameter->value, &value)
                                     : ex_jinja_make_absent(run, ex_jinja_undefined(), parameter->name->text.bytes,
                                                            parameter->name->text.length, false, &value);
        if (!ok || !ex_jinja_bind(run, frame, parameter->name, value)) return false;
    }
    return true;
}

/* Positional arguments beyond the parameters. */
static bool bind_varargs(ex_jinja_run *run, const ex_jinja_node *node, const ex_jinja_arguments *arguments,
                         ex_jinja_frame *frame) {
    size_t extra = arguments->n_positional > node->n_keywords ? arguments->n_positional - node->n_keywords : 0;
    if (!(node->flags & EX_JINJA_USES_VARARGS))
        return extra == 0 || ex_jinja_fail(run, "this macro takes not more than %zu arguments", node->n_keywords);
    ex_jinja_list *list = ex_jinja_make_list(run, EX_JINJA_FORM_TUPLE, extra);
    if (!list) return false;
    for (size_t i = 0; i < extra; i++)
        if (!ex_jinja_append(run, list, arguments->positional[node->n_keywords + i])) return false;
    return ex_jinja_bind(run, frame, run->template->varargs, ex_jinja_list_value(list));
}

/* Named arguments that are no parameters, the caller among them. */
static bool bind_kwargs(ex_jinja_run *run, const ex_jinja_node *node, const ex_jinja_arguments *arguments,
                        ex_jinja_frame *frame) {
    ex_value caller = {.kind = EX_JINJA_UNDEFINED};
    ex_jinja_map *map = ex_jinja_map_new(&run->arena);
    if (!map) return ex_jinja_fail_memory(run);
    for (size_t i = 0; i < arguments->n_named; i++) {
        const ex_jinja_named *named = &arguments->named[i];
        size_t parameter = find_keyword(node, named->name);
        if (parameter < arguments->n_positional && parameter < node->n_keywords)
            return ex_jinja_fail(run, "this macro got %.*s twice",
                                 named->name->length > 40 ? 40 : (int)named->name->length, named->name->bytes);
        if (parameter < node->n_keywords) continue;
        if (ex_jinja_text_equal(named->name, &run->template->caller->text) && (node->flags & EX_JINJA_USES_CALLER))
            caller = named->value;
        else if (!(node->flags & EX_JINJA_USES_KWARGS))
            return ex_jinja_fail(run, "this macro has no parameter %.*s",
                                 named->name->length > 40 ? 40 : (int)named->name->length, named->name->bytes);
        else if (!ex_jinja_map_set(map, ex_jinja_text_value(named->name), named->value))
            return ex_jinja_fail_memory(run);
    }
    if ((node->flags & EX_JINJA_USES_KWARGS) &&
        !ex_jinja_bind(run, frame, run->template->kwargs, (ex_value){.kind = EX_JINJA_MAP, .as.map = map}))
        return false;
    bool is_parameter = find_keyword(node, &run->template->caller->text) < node->n_keywords;
    return !(node->flags & EX_JINJA_USES_CALLER) || is_parameter ||
           ex_jinja_bind(run, frame, run->template->caller, caller);
}

static bool run_macro(ex_jinja_run *run, const ex_jinja_node *node, const ex_jinja_arguments *arguments,
                      ex_value *out) {
    size_t start = run->length;
    return bind_varargs(run, node, arguments, run->frame) && bind_kwargs(run, node, arguments, run->frame) &&
           bind_parameters(run, node, arguments, run->frame) && ex_jinja_render_body(run, node->c) &&
           ex_jinja_cut_value(run, start, out);
}

bool ex_jinja_call_macro(ex_jinja_run *run, const ex_jinja_macro *macro, const ex_jinja_arguments *arguments,
                         ex_value *out) {
    ex_jinja_frame *caller = run->frame, *frame = ex_jinja_frame_new(run, macro->frame);
    ex_value captured = run->captured;
    size_t n_pairs = macro->node->n_keywords * (arguments->n_named + 1); /* each name is looked for among the others */
    if (!frame || !ex_jinja_enter(run) || !ex_jinja_charge(run, n_pairs * EX_JINJA_ITEM_COST)) return false;
    run->frame = frame;
    bool ok = run_macro(run, macro->node, arguments, out);
    run->frame = caller;
    run->captured = captured;
    run->depth--;
    return ok;
}

bool ex_jinja_call_value(ex_jinja_run *run, ex_value callee, const ex_jinja_arguments *arguments, ex_value *out) {
    switch (callee.kind) {
    case EX_JINJA_MACRO: return ex_jinja_call_macro(run, callee.as.macro, arguments, out);
    case EX_JINJA_FUNCTION:
        return ex_jinja_call_function(run, callee.as.function, ex_jinja_undefined(), arguments, out);
    case EX_JINJA_METHOD:
        return ex_jinja_call_function(run, callee.as.method->function, callee.as.method->subject, arguments, out);
    default: return ex_jinja_fail_type(run, "this cannot be called", callee);
    }
}
