/* template_format.c - "%s" % value and "{}".format(value), with what templates use of them. */
#include <stdio.h>
#include <string.h>

#include "text/template_run.h"

/* ---- % ---- */

typedef struct format_conversion {
    char flags[6], letter;
    int width, precision; /* precision -1: not given */
} format_conversion;

static bool read_digits(const ex_jinja_text *format, size_t *at, int *number) {
    for (*number = 0; *at < format->length && format->bytes[*at] >= '0' && format->bytes[*at] <= '9'; (*at)++) {
        *number = *number * 10 + (format->bytes[*at] - '0');
        if (*number > 300) return false;
    }
    return true;
}

/* What stands behind a %, up to and with its letter. */
static bool read_conversion(ex_jinja_run *run, const ex_jinja_text *format, size_t *at, format_conversion *out) {
    size_t n = 0;
    *out = (format_conversion){.precision = -1};
    for (; *at < format->length && strchr("-+ 0#", format->bytes[*at]) && format->bytes[*at]; (*at)++)
        if (n < sizeof out->flags - 1 && !strchr(out->flags, format->bytes[*at])) out->flags[n++] = format->bytes[*at];
    bool ok = read_digits(format, at, &out->width);
    if (ok && *at < format->length && format->bytes[*at] == '.') {
        (*at)++;
        ok = read_digits(format, at, &out->precision);
    }
    if (!ok || *at >= format->length) return ex_jinja_fail(run, "this format is incomplete, or its width is too large");
    out->letter = format->bytes[(*at)++];
    return true;
}

static bool print_number(ex_jinja_run *run, const format_conversion *conversion, ex_value value) {
    char pattern[32], text[720];
    bool is_integer = strchr("dixXo", conversion->letter) != NULL;
    if (!ex_jinja_is_number(value)) return ex_jinja_fail_type(run, "this format needs a number", value);
    int precision = conversion->precision < 0 ? (is_integer ? 1 : 6) : conversion->precision;
    if (is_integer) {
        int64_t integer = value.kind == EX_JINJA_NUMBER ? 0 : ex_jinja_as_integer(value);
        if (value.kind == EX_JINJA_NUMBER && !(value.as.number > -0x1p63 && value.as.number < 0x1p63))
            return ex_jinja_fail(run, "this number is too large for an integer");
        if (value.kind == EX_JINJA_NUMBER) integer = (int64_t)value.as.number;
        bool keeps_zero = conversion->precision < 0; /* a precision would switch the 0 flag off */
        snprintf(pattern, sizeof pattern, keeps_zero ? "%%%s*ll%c" : "%%%s*.*ll%c", conversion->flags,
                 conversion->letter == 'i' ? 'd' : conversion->letter);
        if (keeps_zero) snprintf(text, sizeof text, pattern, conversion->width, (long long)integer);
        else snprintf(text, sizeof text, pattern, conversion->width, precision, (long long)integer);
    } else {
        snprintf(pattern, sizeof pattern, "%%%s*.*%c", conversion->flags, conversion->letter);
        snprintf(text, sizeof text, pattern, conversion->width, precision, ex_jinja_as_number(value));
        char *comma = strchr(text, ','); /* the locale's */
        if (comma) *comma = '.';
    }
    return ex_jinja_emit(run, text, strlen(text), true);
}

static bool print_text(ex_jinja_run *run, const format_conversion *conversion, ex_value value) {
    const ex_jinja_text *text;
    size_t start = run->length;
    bool ok = conversion->letter == 's' ? ex_jinja_print(run, value) : ex_jinja_print_quoted(run, value);
    if (!ok || !ex_jinja_cut(run, start, &text)) return false;
    size_t end = conversion->precision < 0 ? text->length
                                           : ex_jinja_character_offset(text, (size_t)conversion->precision);
    ex_jinja_text shown = *text;
    shown.length = end;
    int64_t padding = conversion->width - (int64_t)ex_jinja_count_characters(&shown);
    bool left = strchr(conversion->flags, '-') != NULL;
    for (; !left && padding > 0; padding--)
        if (!ex_jinja_emit(run, " ", 1, true)) return false;
    if (!ex_jinja_emit_part(run, text, 0, end)) return false;
    for (; padding > 0; padding--)
        if (!ex_jinja_emit(run, " ", 1, true)) return false;
    return true;
}

static bool print_conversion(ex_jinja_run *run, const format_conversion *conversion, ex_value value) {
    if (conversion->letter == 's' || conversion->letter == 'r') return print_text(run, conversion, value);
    if (conversion->letter && strchr("dixXoeEfFgG", conversion->letter)) return print_number(run, conversion, value);
    return ex_jinja_fail(run, "%%%c is no format that is known here", conversion->letter);
}

bool ex_jinja_format(ex_jinja_run *run, const ex_jinja_text *format, ex_value value, ex_value *out) {
    bool is_tuple = value.kind == EX_JINJA_LIST && value.as.list->form == EX_JINJA_FORM_TUPLE;
    const ex_value *values = is_tuple ? value.as.list->items : &value;
    size_t n_values = is_tuple ? value.as.list->count : 1, used = 0, start = run->length, at = 0;
    while (at < format->length) {
        const char *percent = memchr(format->bytes + at, '%', format->length - at);
        size_t end = percent ? (size_t)(percent - format->bytes) : format->length;
        format_conversion conversion;
        if (!ex_jinja_emit_part(run, format, at, end - at)) return false;
        at = end + 1;
        if (!percent) break;
        if (!read_conversion(run, format, &at, &conversion)) return false;
        if (conversion.letter == '%') {
            if (!ex_jinja_emit_part(run, format, end, 1)) return false;
            continue;
        }
        if (used == n_values) return ex_jinja_fail(run, "this format needs more values than it got");
        if (!print_conversion(run, &conversion, values[used++])) return false;
    }
    bool may_be_unused = !is_tuple && (value.kind == EX_JINJA_MAP || value.kind == EX_JINJA_LIST);
    if (used < n_values && !may_be_unused && value.kind != EX_JINJA_UNDEFINED)
        return ex_jinja_fail(run, "this format got more values than it needs");
    return ex_jinja_cut_value(run, start, out);
}

/* ---- format() ---- */

/* The value of the field called `name`: a number, a named argument, or the next one when it has no name. */
static const ex_value *field_value(const ex_jinja_arguments *arguments, const ex_jinja_text *name, size_t *next) {
    int64_t index;
    if (name->length == 0) return *next < arguments->n_positional ? &arguments->positional[(*next)++] : NULL;
    if (ex_jinja_read_integer(name->bytes, name->length, 10, &index))
        return index >= 0 && (uint64_t)index < arguments->n_positional ? &arguments->positional[index] : NULL;
    for (size_t i = 0; i < arguments->n_named; i++)
        if (ex_jinja_text_equal(arguments->named[i].name, name)) return &arguments->named[i].value;
    return NULL;
}

bool ex_jinja_format_method(ex_jinja_run *run, const ex_jinja_call *call, ex_value *out) {
    const ex_jinja_text *format = call->subject.as.text;
    size_t start = run->length, next = 0;
    for (size_t at = 0; at < format->length; at++) {
        char c = format->bytes[at];
        bool doubled = at + 1 < format->length && format->bytes[at + 1] == c;
        if ((c != '{' && c != '}') || doubled) {
            if (!ex_jinja_emit_part(run, format, at, 1)) return false;
            at += c == '{' || c == '}';
            continue;
        }
        const char *close = c == '{' ? memchr(format->bytes + at, '}', format->length - at) : NULL;
        if (!close) return ex_jinja_fail(run, "a brace in this format has no partner");
        ex_jinja_text name = {.bytes = format->bytes + at + 1, .length = (size_t)(close - format->bytes) - at - 1};
        const ex_value *value = field_value(call->arguments, &name, &next);
        if (!value)
            return ex_jinja_fail(run, "this format has no value for {%.*s}", name.length > 40 ? 40 : (int)name.length,
                                 name.bytes);
        if (!ex_jinja_print(run, *value)) return false;
        at = (size_t)(close - format->bytes);
    }
    return ex_jinja_cut_value(run, start, out);
}
