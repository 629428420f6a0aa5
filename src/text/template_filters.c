/* template_filters.c - filters on single values: texts, numbers, defaults. One row a filter; those that work on lists
 * are in template_filters_list.c. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/template_filters.h"

#define FILTER(name) static bool name(ex_jinja_run *run, const ex_jinja_call *call, ex_value *out)

FILTER(filter_default) {
    (void)run;
    bool replaced = call->subject.kind == EX_JINJA_UNDEFINED ||
                    (ex_jinja_flag(call, 1) && !ex_jinja_is_true(call->subject));
    *out = replaced ? call->slots[0] : call->subject;
    return (!replaced || (call->given & 1)) || ex_jinja_literal(run, "", out);
}

FILTER(filter_length) {
    size_t length;
    if (!ex_jinja_length(run, call->subject, &length)) return false;
    *out = ex_jinja_integer((int64_t)length);
    return true;
}

FILTER(filter_string) {
    const ex_jinja_text *text;
    if (!ex_jinja_to_text(run, call->subject, &text)) return false;
    *out = ex_jinja_text_value(text);
    return true;
}

FILTER(filter_safe) {
    const ex_jinja_text *text;
    return ex_jinja_to_text(run, call->subject, &text) && ex_jinja_mark_up(run, text, out);
}

FILTER(filter_escape) {
    const ex_jinja_text *text;
    size_t start = run->length;
    if (!ex_jinja_to_text(run, call->subject, &text)) return false;
    if (text->markup) return filter_safe(run, call, out);
    return ex_jinja_emit_escaped(run, text) && ex_jinja_cut(run, start, &text) && ex_jinja_mark_up(run, text, out);
}

static bool in_case(ex_jinja_run *run, const ex_jinja_call *call, ex_jinja_case how, ex_value *out) {
    const ex_jinja_text *text;
    return ex_jinja_to_text(run, call->subject, &text) && ex_jinja_change_case(run, text, how, out);
}

FILTER(filter_upper) { return in_case(run, call, EX_JINJA_UPPER, out); }
FILTER(filter_lower) { return in_case(run, call, EX_JINJA_LOWER, out); }
FILTER(filter_title) { return in_case(run, call, EX_JINJA_HEADLINE, out); }
FILTER(filter_capitalize) { return in_case(run, call, EX_JINJA_CAPITALIZE, out); }

FILTER(filter_trim) {
    const ex_jinja_text *text, *set = NULL;
    if (!ex_jinja_to_text(run, call->subject, &text)) return false;
    if (ex_jinja_given(call, 0) && !ex_jinja_text_slot(run, call, 0, &set)) return false;
    return ex_jinja_strip(run, text, set, EX_JINJA_LEFT | EX_JINJA_RIGHT, out);
}

FILTER(filter_replace) {
    const ex_jinja_text *text, *old, *new;
    int64_t count;
    return ex_jinja_to_text(run, call->subject, &text) && ex_jinja_to_text(run, call->slots[0], &old) &&
           ex_jinja_to_text(run, call->slots[1], &new) && ex_jinja_integer_slot(run, call, 2, -1, &count) &&
           ex_jinja_replace(run, text, old, new, count, out);
}

/* The indentation: a text, or that many spaces. */
static bool indentation(ex_jinja_run *run, const ex_jinja_call *call, const ex_jinja_text **out) {
    int64_t width;
    size_t start = run->length;
    if (call->slots[0].kind == EX_JINJA_TEXT) return ex_jinja_text_slot(run, call, 0, out);
    if (!ex_jinja_integer_slot(run, call, 0, 4, &width)) return false;
    if (width > EX_JINJA_WIDTH_MAX) return ex_jinja_fail(run, "this indentation is too wide");
    for (; width > 0; width--)
        if (!ex_jinja_emit(run, " ", 1, true)) return false;
    return ex_jinja_cut(run, start, out);
}

FILTER(filter_indent) {
    static const ex_jinja_text line_break = {.bytes = "\n", .length = 1, .trusted = true};
    const ex_jinja_text *text, *indent;
    ex_jinja_list *lines;
    bool first = ex_jinja_flag(call, 1), blank = ex_jinja_flag(call, 2);
    if (call->subject.kind != EX_JINJA_TEXT) return ex_jinja_fail_type(run, "indent needs a text", call->subject);
    text = call->subject.as.text;
    if (!indentation(run, call, &indent) ||
        !ex_jinja_text_concat(run, text, &line_break, &text) || !ex_jinja_split_lines(run, text, false, &lines))
        return false;
    size_t start = run->length;
    for (size_t i = 0; i < lines->count; i++) {
        const ex_jinja_text *line = lines->items[i].as.text;
        bool indented = i == 0 ? first : blank || line->length > 0;
        if (i > 0 && !ex_jinja_emit_text(run, &line_break)) return false;
        if ((indented && !ex_jinja_emit_text(run, indent)) || !ex_jinja_emit_text(run, line)) return false;
    }
    return ex_jinja_cut_value(run, start, out);
}

FILTER(filter_format) {
    const ex_jinja_text *format;
    const ex_jinja_arguments *arguments = call->arguments;
    ex_jinja_list *values = ex_jinja_make_list(run, EX_JINJA_FORM_TUPLE, arguments->n_positional);
    if (!values || !ex_jinja_to_text(run, call->subject, &format)) return false;
    if (arguments->n_named) return ex_jinja_fail(run, "format takes its values by position");
    for (size_t i = 0; i < arguments->n_positional; i++)
        if (!ex_jinja_append(run, values, arguments->positional[i])) return false;
    return ex_jinja_format(run, format, ex_jinja_list_value(values), out);
}

/* ---- numbers ---- */

/* A text is read to its end, a number with all its digits. */
static bool charge_conversion(ex_jinja_run *run, ex_value value) {
    if (value.kind != EX_JINJA_TEXT) return true;
    return ex_jinja_charge(run, EX_JINJA_NUMBER_COST) && ex_jinja_charge_characters(run, value.as.text);
}

/* int(): toward zero; false for what has no integer. */
static bool to_integer(ex_value value, int64_t base, int64_t *out) {
    double number;
    if (ex_jinja_is_integer(value)) return *out = ex_jinja_as_integer(value), true;
    if (value.kind == EX_JINJA_TEXT) {
        const ex_jinja_text *text = value.as.text;
        if (ex_jinja_read_integer(text->bytes, text->length, (int)base, out)) return true;
        if (!ex_jinja_read_number(text->bytes, text->length, &number)) return false;
    } else if (value.kind == EX_JINJA_NUMBER) {
        number = value.as.number;
    } else {
        return false;
    }
    if (!(number > -0x1p63 && number < 0x1p63)) return false;
    *out = (int64_t)number;
    return true;
}

FILTER(filter_int) {
    int64_t base, integer;
    if (call->subject.kind == EX_JINJA_UNDEFINED) return ex_jinja_fail_undefined(run, call->subject);
    if (!charge_conversion(run, call->subject) || !ex_jinja_integer_slot(run, call, 1, 10, &base)) return false;
    if (base != 0 && (base < 2 || base > 36)) return ex_jinja_fail(run, "a base must be 0 or between 2 and 36");
    *out = call->given & 1 ? call->slots[0] : ex_jinja_integer(0);
    if (to_integer(call->subject, base, &integer)) *out = ex_jinja_integer(integer);
    return true;
}

FILTER(filter_float) {
    double number;
    ex_value subject = call->subject;
    if (subject.kind == EX_JINJA_UNDEFINED) return ex_jinja_fail_undefined(run, subject);
    if (!charge_conversion(run, subject)) return false;
    *out = call->given & 1 ? call->slots[0] : ex_jinja_number(0);
    if (ex_jinja_is_number(subject)) *out = ex_jinja_number(ex_jinja_as_number(subject));
    if (subject.kind == EX_JINJA_TEXT &&
        ex_jinja_read_number(subject.as.text->bytes, subject.as.text->length, &number))
        *out = ex_jinja_number(number);
    return true;
}

FILTER(filter_abs) {
    if (!ex_jinja_is_number(call->subject)) return ex_jinja_fail_type(run, "expected a number", call->subject);
    return ex_jinja_unary(run, ex_jinja_as_number(call->subject) < 0 ? '-' : '+', call->subject, out);
}

/* The decimal rounding that printing does: exact, ties of the binary value to even. */
static double round_decimal(double number, int64_t precision) {
    char text[720];
    if (precision < 0) {
        double scale = pow(10, (double)-precision);
        return rint(number / scale) * scale;
    }
    snprintf(text, sizeof text, "%.*f", (int)precision, number);
    return strtod(text, NULL);
}

/* Integers stay integers. */
static ex_value round_common(ex_value value, int64_t precision) {
    if (!ex_jinja_is_integer(value)) return ex_jinja_number(round_decimal(value.as.number, precision));
    if (precision >= 0) return ex_jinja_integer(ex_jinja_as_integer(value));
    double rounded = round_decimal(ex_jinja_as_number(value), precision);
    return rounded > -0x1p63 && rounded < 0x1p63 ? ex_jinja_integer((int64_t)rounded) : value;
}

FILTER(filter_round) {
    int64_t precision;
    ex_value subject = call->subject, method = call->slots[1];
    if (!ex_jinja_is_number(subject)) return ex_jinja_fail_type(run, "expected a number", subject);
    if (!ex_jinja_integer_slot(run, call, 0, 0, &precision)) return false;
    if (precision > 300 || precision < -300) return ex_jinja_fail(run, "this precision is out of range");
    if (!ex_jinja_charge(run, 2 * EX_JINJA_NUMBER_COST)) return false;
    double scaled = ex_jinja_as_number(subject) * pow(10, (double)precision);
    if (!(call->given & 2) || ex_jinja_is_word(method, "common")) *out = round_common(subject, precision);
    else if (ex_jinja_is_word(method, "ceil")) *out = ex_jinja_number(ceil(scaled) / pow(10, (double)precision));
    else if (ex_jinja_is_word(method, "floor")) *out = ex_jinja_number(floor(scaled) / pow(10, (double)precision));
    else return ex_jinja_fail(run, "the method must be common, ceil or floor");
    return true;
}

static const ex_jinja_function filters[] = {
    {"abs", filter_abs, "", 0},
    {"capitalize", filter_capitalize, "", 0},
    {"count", filter_length, "", 0},
    {"d", filter_default, "default_value boolean", 0},
    {"default", filter_default, "default_value boolean", 0},
    {"e", filter_escape, "", 0},
    {"escape", filter_escape, "", 0},
    {"float", filter_float, "default", 0},
    {"format", filter_format, NULL, 0},
    {"from_json", ex_jinja_from_json, "", 0},
    {"indent", filter_indent, "width first blank", 0},
    {"int", filter_int, "default base", 0},
    {"length", filter_length, "", 0},
    {"lower", filter_lower, "", 0},
    {"replace", filter_replace, "old new count", 2},
    {"round", filter_round, "precision method", 0},
    {"safe", filter_safe, "", 0},
    {"string", filter_string, "", 0},
    {"title", filter_title, "", 0},
    {"tojson", ex_jinja_to_json, "ensure_ascii indent separators sort_keys", 0},
    {"trim", filter_trim, "chars", 0},
    {"upper", filter_upper, "", 0},
};

bool ex_jinja_leaves_out(const char *name, size_t length) {
    static const char *const names[] = {
        "attr",   "batch",  "center", "filesizeformat", "forceescape", "groupby",   "pprint",   "random",
        "slice",  "striptags", "truncate", "urlencode", "urlize",   "wordcount", "wordwrap", "xmlattr",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strlen(names[i]) == length && memcmp(names[i], name, length) == 0) return true;
    return false;
}

const ex_jinja_function *ex_jinja_find_filter(const char *name, size_t length) {
    const ex_jinja_function *row = ex_jinja_find_row(filters, sizeof filters / sizeof *filters, name, length);
    return row ? row : ex_jinja_find_row(ex_jinja_list_filters, ex_jinja_n_list_filters, name, length);
}
