/* template_operator.c - arithmetic, equality, order and membership as Python defines them. */
#include <math.h>
#include <string.h>

#include "text/template_run.h"

/* ---- arithmetic ---- */

static bool fail_overflow(ex_jinja_run *run) { return ex_jinja_fail(run, "the result does not fit into 64 bits"); }

static bool power_of_integers(ex_jinja_run *run, int64_t base, int64_t exponent, ex_value *out) {
    int64_t result = 1;
    if (exponent < 0) {
        *out = ex_jinja_number(pow((double)base, (double)exponent));
        return base != 0 || ex_jinja_fail(run, "0 cannot be raised to a negative power");
    }
    if (base == 0 || base == 1 || base == -1) {
        *out = ex_jinja_integer(exponent == 0 ? 1 : base == -1 && exponent % 2 == 0 ? 1 : base);
        return true;
    }
    for (; exponent > 0; exponent--)
        if (__builtin_mul_overflow(result, base, &result)) return fail_overflow(run);
    *out = ex_jinja_integer(result);
    return true;
}

/* Quotient and remainder round down, so the remainder has the sign of the divisor. */
static bool divide_integers(ex_jinja_run *run, int operator, int64_t a, int64_t b, ex_value *out) {
    if (b == 0) return ex_jinja_fail(run, "division by zero");
    if (b == -1) {
        int64_t negated;
        if (__builtin_sub_overflow(0, a, &negated)) return fail_overflow(run);
        *out = ex_jinja_integer(operator == '%' ? 0 : negated);
        return true;
    }
    int64_t quotient = a / b, remainder = a % b;
    if (remainder != 0 && (remainder < 0) != (b < 0)) {
        quotient--;
        remainder += b;
    }
    *out = ex_jinja_integer(operator == '%' ? remainder : quotient);
    return true;
}

static bool integers(ex_jinja_run *run, int operator, int64_t a, int64_t b, ex_value *out) {
    int64_t result;
    bool overflow;
    switch (operator) {
    case '+': overflow = __builtin_add_overflow(a, b, &result); break;
    case '-': overflow = __builtin_sub_overflow(a, b, &result); break;
    case '*': overflow = __builtin_mul_overflow(a, b, &result); break;
    case EX_JINJA_OP_POWER: return power_of_integers(run, a, b, out);
    case '/':
        if (b == 0) return ex_jinja_fail(run, "division by zero");
        *out = ex_jinja_number((double)a / (double)b);
        return true;
    default: return divide_integers(run, operator, a, b, out);
    }
    *out = ex_jinja_integer(result);
    return !overflow || fail_overflow(run);
}

static bool numbers(ex_jinja_run *run, int operator, double a, double b, ex_value *out) {
    double result;
    if (b == 0 && (operator == '/' || operator == '%' || operator == EX_JINJA_OP_FLOOR_DIVIDE))
        return ex_jinja_fail(run, "division by zero");
    switch (operator) {
    case '+': result = a + b; break;
    case '-': result = a - b; break;
    case '*': result = a * b; break;
    case '/': result = a / b; break;
    case EX_JINJA_OP_FLOOR_DIVIDE: result = floor(a / b); break;
    case EX_JINJA_OP_POWER: result = pow(a, b); break;
    default:
        result = fmod(a, b);
        if (result != 0 && (result < 0) != (b < 0)) result += b;
    }
    *out = ex_jinja_number(result);
    return true;
}

/* What is added to a text that went through `safe` gets escaped, from either side. */
static bool escape_if_plain(ex_jinja_run *run, const ex_jinja_text **text) {
    size_t start = run->length;
    return (*text)->markup || (ex_jinja_emit_escaped(run, *text) && ex_jinja_cut(run, start, text));
}

static bool add_texts(ex_jinja_run *run, const ex_jinja_text *a, const ex_jinja_text *b, ex_value *out) {
    const ex_jinja_text *sum;
    if (!a->markup && !b->markup) {
        if (!ex_jinja_text_concat(run, a, b, &sum)) return false;
        *out = ex_jinja_text_value(sum);
        return true;
    }
    return escape_if_plain(run, &a) && escape_if_plain(run, &b) && ex_jinja_text_concat(run, a, b, &sum) &&
           ex_jinja_mark_up(run, sum, out);
}

static bool add_lists(ex_jinja_run *run, const ex_jinja_list *a, const ex_jinja_list *b, ex_value *out) {
    if (a->form != b->form || a->form > EX_JINJA_FORM_TUPLE)
        return ex_jinja_fail(run, "a %s and a %s cannot be added", ex_jinja_forms[a->form].name,
                             ex_jinja_forms[b->form].name);
    ex_jinja_list *sum = ex_jinja_make_list(run, a->form, a->count + b->count);
    if (!sum) return false;
    if (a->count) memcpy(sum->items, a->items, a->count * sizeof *sum->items);
    if (b->count) memcpy(sum->items + a->count, b->items, b->count * sizeof *sum->items);
    sum->count = a->count + b->count;
    *out = ex_jinja_list_value(sum);
    return true;
}

static bool repeat_text(ex_jinja_run *run, const ex_jinja_text *text, int64_t times, ex_value *out) {
    size_t start = run->length;
    for (; times > 0 && text->length > 0; times--)
        if (!ex_jinja_emit_text(run, text)) return false;
    const ex_jinja_text *repeated;
    if (!ex_jinja_cut(run, start, &repeated)) return false;
    return text->markup ? ex_jinja_mark_up(run, repeated, out) : (*out = ex_jinja_text_value(repeated), true);
}

static bool repeat_list(ex_jinja_run *run, const ex_jinja_list *list, int64_t times, ex_value *out) {
    ex_jinja_list *result = ex_jinja_make_list(run, list->form, 0);
    if (!result) return false;
    for (; times > 0 && list->count > 0; times--)
        for (size_t i = 0; i < list->count; i++)
            if (!ex_jinja_append(run, result, list->items[i])) return false;
    *out = ex_jinja_list_value(result);
    return true;
}

static bool fail_operands(ex_jinja_run *run, int operator, ex_value a, ex_value b) {
    if (a.kind == EX_JINJA_UNDEFINED) return ex_jinja_fail_undefined(run, a);
    if (b.kind == EX_JINJA_UNDEFINED) return ex_jinja_fail_undefined(run, b);
    if (operator == '+' && a.kind == EX_JINJA_TEXT)
        return ex_jinja_fail(run, "can only concatenate str (not \"%s\") to str", ex_jinja_type_name(b));
    return ex_jinja_fail(run, "this operator does not take a %s and a %s", ex_jinja_type_name(a),
                         ex_jinja_type_name(b));
}

bool ex_jinja_binary(ex_jinja_run *run, int operator, ex_value a, ex_value b, ex_value *out) {
    if (ex_jinja_is_integer(a) && ex_jinja_is_integer(b))
        return integers(run, operator, ex_jinja_as_integer(a), ex_jinja_as_integer(b), out);
    if (ex_jinja_is_number(a) && ex_jinja_is_number(b))
        return numbers(run, operator, ex_jinja_as_number(a), ex_jinja_as_number(b), out);
    if (operator == '+' && a.kind == EX_JINJA_TEXT && b.kind == EX_JINJA_TEXT)
        return add_texts(run, a.as.text, b.as.text, out);
    if (operator == '+' && a.kind == EX_JINJA_LIST && b.kind == EX_JINJA_LIST)
        return add_lists(run, a.as.list, b.as.list, out);
    if (operator == '%' && a.kind == EX_JINJA_TEXT)
        return ex_jinja_format(run, a.as.text, b, out);
    if (operator == '*' && ex_jinja_is_integer(a)) {
        ex_value swapped = a;
        a = b;
        b = swapped;
    }
    if (operator == '*' && ex_jinja_is_integer(b)) {
        if (a.kind == EX_JINJA_TEXT) return repeat_text(run, a.as.text, ex_jinja_as_integer(b), out);
        if (a.kind == EX_JINJA_LIST && a.as.list->form <= EX_JINJA_FORM_TUPLE)
            return repeat_list(run, a.as.list, ex_jinja_as_integer(b), out);
    }
    return fail_operands(run, operator, a, b);
}

bool ex_jinja_unary(ex_jinja_run *run, int operator, ex_value a, ex_value *out) {
    if (!ex_jinja_is_number(a)) return ex_jinja_fail_type(run, "a sign needs a number behind it", a);
    if (ex_jinja_is_integer(a)) return integers(run, operator, 0, ex_jinja_as_integer(a), out);
    *out = ex_jinja_number(operator == '-' ? -a.as.number : a.as.number);
    return true;
}

/* ---- equality ---- */

static bool lists_equal(ex_jinja_run *run, const ex_jinja_list *a, const ex_jinja_list *b, bool *out) {
    *out = a == b;
    if (a == b || a->form != b->form || a->form > EX_JINJA_FORM_RANGE || a->count != b->count) return true;
    *out = true;
    for (size_t i = 0; i < a->count && *out; i++)
        if (!ex_jinja_equal(run, a->items[i], b->items[i], out)) return false;
    return true;
}

static bool maps_equal(ex_jinja_run *run, const ex_jinja_map *a, const ex_jinja_map *b, bool *out) {
    *out = a == b;
    if (a == b || a->count != b->count) return true;
    *out = true;
    for (size_t i = 0; i < a->count && *out; i++) {
        if (!ex_jinja_charge_key(run, a->entries[i].key)) return false;
        const ex_value *other = ex_jinja_map_get(b, a->entries[i].key);
        *out = other != NULL;
        if (other && !ex_jinja_equal(run, a->entries[i].value, *other, out)) return false;
    }
    return true;
}

bool ex_jinja_equal(ex_jinja_run *run, ex_value a, ex_value b, bool *out) {
    bool ok = true;
    if (!ex_jinja_enter(run)) return false;
    if (ex_jinja_is_key(a) && ex_jinja_is_key(b)) {
        if (a.kind == EX_JINJA_TEXT && b.kind == EX_JINJA_TEXT) ok = ex_jinja_charge(run, a.as.text->length);
        *out = ex_jinja_key_equal(a, b);
    } else if (a.kind != b.kind) {
        *out = false;
    } else if (a.kind == EX_JINJA_LIST) {
        ok = lists_equal(run, a.as.list, b.as.list, out);
    } else if (a.kind == EX_JINJA_MAP) {
        ok = maps_equal(run, a.as.map, b.as.map, out);
    } else {
        *out = a.kind == EX_JINJA_UNDEFINED || a.as.map == b.as.map; /* the same object */
    }
    run->depth--;
    return ok;
}

/* ---- order ---- */

static bool order_lists(ex_jinja_run *run, const ex_jinja_list *a, const ex_jinja_list *b, int *out) {
    *out = 0;
    for (size_t i = 0; i < a->count && i < b->count; i++) {
        bool equal;
        if (!ex_jinja_equal(run, a->items[i], b->items[i], &equal)) return false;
        if (!equal) return ex_jinja_order(run, a->items[i], b->items[i], out);
    }
    *out = (a->count > b->count) - (a->count < b->count);
    return true;
}

static bool order_texts(ex_jinja_run *run, const ex_jinja_text *a, const ex_jinja_text *b, int *out) {
    size_t shared = a->length < b->length ? a->length : b->length;
    int order = shared ? memcmp(a->bytes, b->bytes, shared) : 0;
    if (order == 0) order = (a->length > b->length) - (a->length < b->length);
    *out = (order > 0) - (order < 0);
    return ex_jinja_charge(run, shared);
}

bool ex_jinja_order(ex_jinja_run *run, ex_value a, ex_value b, int *out) {
    bool ok;
    if (!ex_jinja_enter(run)) return false;
    if (ex_jinja_is_integer(a) && ex_jinja_is_integer(b)) {
        int64_t x = ex_jinja_as_integer(a), y = ex_jinja_as_integer(b);
        *out = (x > y) - (x < y);
        ok = true;
    } else if (ex_jinja_is_number(a) && ex_jinja_is_number(b)) {
        double x = ex_jinja_as_number(a), y = ex_jinja_as_number(b);
        *out = (x > y) - (x < y);
        ok = true;
    } else if (a.kind == EX_JINJA_TEXT && b.kind == EX_JINJA_TEXT) {
        ok = order_texts(run, a.as.text, b.as.text, out);
    } else if (a.kind == EX_JINJA_LIST && b.kind == EX_JINJA_LIST && a.as.list->form == b.as.list->form &&
               a.as.list->form <= EX_JINJA_FORM_TUPLE) {
        ok = order_lists(run, a.as.list, b.as.list, out);
    } else if (a.kind == EX_JINJA_UNDEFINED || b.kind == EX_JINJA_UNDEFINED) {
        ok = ex_jinja_fail_undefined(run, a.kind == EX_JINJA_UNDEFINED ? a : b);
    } else {
        ok = ex_jinja_fail(run, "a %s and a %s have no order", ex_jinja_type_name(a), ex_jinja_type_name(b));
    }
    run->depth--;
    return ok;
}

/* ---- membership ---- */

static bool list_contains(ex_jinja_run *run, const ex_jinja_list *list, ex_value item, bool *out) {
    *out = false;
    for (size_t i = 0; i < list->count && !*out; i++)
        if (!ex_jinja_equal(run, list->items[i], item, out)) return false;
    return true;
}

bool ex_jinja_contains(ex_jinja_run *run, ex_value container, ex_value item, bool *out) {
    const ex_jinja_list *items;
    *out = false;
    switch (container.kind) {
    case EX_JINJA_TEXT:
        if (item.kind != EX_JINJA_TEXT) return ex_jinja_fail_type(run, "only a text can be in a text", item);
        *out = ex_jinja_find(container.as.text, item.as.text, 0) != SIZE_MAX;
        return ex_jinja_charge_characters(run, container.as.text);
    case EX_JINJA_MAP:
        if (item.kind == EX_JINJA_LIST || item.kind == EX_JINJA_MAP)
            return ex_jinja_fail_type(run, "this cannot be a key", item);
        if (!ex_jinja_charge_key(run, item)) return false;
        *out = ex_jinja_is_key(item) && ex_jinja_map_get(container.as.map, item) != NULL;
        return true;
    case EX_JINJA_LIST:
    case EX_JINJA_UNDEFINED:
        return ex_jinja_iterate(run, container, &items) && list_contains(run, items, item, out);
    default: return ex_jinja_fail_type(run, "nothing can be in this", container);
    }
}
