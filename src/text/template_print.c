/* template_print.c - values as Python prints them. What a number or a constant prints is the template's doing and
 * trusted; the quotes and brackets of a printed list or map are not. */
#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

#include "text/template_run.h"

/* ---- numbers ---- */

/* Shortest digits that read back as the same number, without the point; returns how many, and the exponent of the
 * first. snprintf and strtod agree with each other in any locale, and only the digits are used. */
static int shortest_digits(double number, char digits[20], int *exponent) {
    char text[48];
    int precision = number < DBL_MIN ? 0 : 14; /* 15 digits are always exact, except for subnormal numbers */
    do snprintf(text, sizeof text, "%.*e", precision, number);
    while (strtod(text, NULL) != number && ++precision < 17);
    int n = 0;
    const char *c = text;
    for (; *c && *c != 'e'; c++)
        if (*c >= '0' && *c <= '9' && n < 19) digits[n++] = *c;
    *exponent = *c ? (int)strtol(c + 1, NULL, 10) : 0;
    while (n > 1 && digits[n - 1] == '0') n--;
    return n;
}

size_t ex_jinja_format_number(double number, char out[32]) {
    if (isnan(number)) return (size_t)snprintf(out, 32, "nan");
    if (isinf(number)) return (size_t)snprintf(out, 32, number < 0 ? "-inf" : "inf");
    char digits[20];
    int exponent, n = shortest_digits(fabs(number), digits, &exponent);
    size_t length = 0;
    if (signbit(number)) out[length++] = '-';
    if (exponent < -4 || exponent >= 16) {
        out[length++] = digits[0];
        if (n > 1) out[length++] = '.';
        for (int i = 1; i < n; i++) out[length++] = digits[i];
        return length + (size_t)snprintf(out + length, 32 - length, "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
    }
    for (int place = exponent < 0 ? 0 : exponent; place >= 0 || exponent - place < n; place--) {
        if (place == -1) out[length++] = '.';
        int digit = exponent - place;
        out[length++] = digit >= 0 && digit < n ? digits[digit] : '0';
    }
    if (n <= exponent + 1) {
        out[length++] = '.';
        out[length++] = '0';
    }
    return length;
}

static size_t trim(const char **bytes, size_t length) {
    size_t lead = ex_jinja_leading_space(*bytes, length);
    *bytes += lead;
    length -= lead;
    return length - ex_jinja_trailing_space(*bytes, length);
}

bool ex_jinja_read_number(const char *bytes, size_t length, double *out) {
    char text[400];
    size_t n = 0;
    length = trim(&bytes, length);
    if (length == 0 || length >= sizeof text || memchr(bytes, 'x', length) || memchr(bytes, 'X', length)) return false;
    for (size_t i = 0; i < length; i++)
        if (bytes[i] != '_') text[n++] = bytes[i];
    text[n] = '\0';
    locale_t locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!locale) return false;
    char *end;
    *out = strtod_l(text, &end, locale);
    freelocale(locale);
    return n > 0 && end == text + n && !memchr(text, '(', n);
}

static int digit_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'z' ? c - 'a' + 10 : 99;
}

bool ex_jinja_read_integer(const char *bytes, size_t length, int base, int64_t *out) {
    length = trim(&bytes, length);
    bool negative = length > 0 && bytes[0] == '-';
    size_t at = length > 0 && (bytes[0] == '-' || bytes[0] == '+');
    static const char prefixes[] = {'b', 2, 'o', 8, 'x', 16};
    for (size_t i = 0; i < sizeof prefixes; i += 2)
        if ((base == prefixes[i + 1] || base == 0) && length > at + 2 && bytes[at] == '0' &&
            (bytes[at + 1] | 0x20) == prefixes[i]) {
            base = prefixes[i + 1];
            at += 2;
            break;
        }
    if (base == 0) base = 10;
    if (at == length) return false;
    *out = 0;
    for (; at < length; at++) {
        if (bytes[at] == '_' && at + 1 < length && bytes[at - (at > 0)] != '_') continue;
        int digit = digit_value(bytes[at]);
        if (digit >= base || __builtin_mul_overflow(*out, base, out) ||
            (negative ? __builtin_sub_overflow(*out, digit, out) : __builtin_add_overflow(*out, digit, out)))
            return false;
    }
    return true;
}

/* ---- texts in quotes ---- */

static bool is_printable(uint32_t codepoint) {
    if (codepoint < 0x7F) return codepoint >= 0x20;
    switch (utf8proc_category((utf8proc_int32_t)codepoint)) {
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_ZS: return false;
    default: return true;
    }
}

/* Writes the escape of a character that cannot stand in quotes as it is; returns its length, 0 for one that can. */
static size_t quote_escape(uint32_t codepoint, char quote, char out[16]) {
    if (codepoint == (unsigned char)quote || codepoint == '\\')
        return (size_t)snprintf(out, 16, "\\%c", (char)codepoint);
    if (codepoint == '\n') return (size_t)snprintf(out, 16, "\\n");
    if (codepoint == '\r') return (size_t)snprintf(out, 16, "\\r");
    if (codepoint == '\t') return (size_t)snprintf(out, 16, "\\t");
    if (is_printable(codepoint)) return 0;
    if (codepoint <= 0xFF) return (size_t)snprintf(out, 16, "\\x%02x", codepoint);
    if (codepoint <= 0xFFFF) return (size_t)snprintf(out, 16, "\\u%04x", codepoint);
    return (size_t)snprintf(out, 16, "\\U%08x", codepoint);
}

static bool print_quoted_text(ex_jinja_run *run, const ex_jinja_text *text) {
    bool has_single = memchr(text->bytes, '\'', text->length) != NULL;
    char quote = has_single && !memchr(text->bytes, '"', text->length) ? '"' : '\'';
    if (!ex_jinja_emit(run, &quote, 1, false)) return false;
    for (size_t at = 0; at < text->length;) {
        uint32_t codepoint;
        char escape[16];
        size_t n = ex_jinja_character(text, at, &codepoint), length = quote_escape(codepoint, quote, escape);
        bool ok = length ? ex_jinja_emit(run, escape, length, ex_jinja_is_trusted(text, at))
                         : ex_jinja_emit_part(run, text, at, n);
        if (!ok) return false;
        at += n;
    }
    return ex_jinja_emit(run, &quote, 1, false);
}

/* ---- all kinds ---- */

static bool emit_string(ex_jinja_run *run, const char *string, bool trusted) {
    return ex_jinja_emit(run, string, strlen(string), trusted);
}

static bool print_range(ex_jinja_run *run, const ex_jinja_list *list) {
    char text[64];
    int64_t first = list->count ? list->items[0].as.integer : 0, step = 1;
    if (list->count > 1) step = list->items[1].as.integer - first;
    int64_t end = first + step * (int64_t)list->count;
    if (step == 1) snprintf(text, sizeof text, "range(%lld, %lld)", (long long)first, (long long)end);
    else snprintf(text, sizeof text, "range(%lld, %lld, %lld)", (long long)first, (long long)end, (long long)step);
    return emit_string(run, text, false);
}

static bool print_list(ex_jinja_run *run, const ex_jinja_list *list) {
    const ex_jinja_form_row *form = &ex_jinja_forms[list->form];
    if (list->form == EX_JINJA_FORM_RANGE) return print_range(run, list);
    if (!emit_string(run, form->open, false)) return false;
    for (size_t i = 0; i < list->count && form->has_length; i++) {
        if (i > 0 && !emit_string(run, ", ", false)) return false;
        if (!ex_jinja_print_quoted(run, list->items[i])) return false;
    }
    if (list->form == EX_JINJA_FORM_TUPLE && list->count == 1 && !emit_string(run, ",", false)) return false;
    return emit_string(run, form->close, false);
}

static bool print_map(ex_jinja_run *run, const ex_jinja_map *map) {
    if (!emit_string(run, "{", false)) return false;
    for (size_t i = 0; i < map->count; i++) {
        if (i > 0 && !emit_string(run, ", ", false)) return false;
        if (!ex_jinja_print_quoted(run, map->entries[i].key) || !emit_string(run, ": ", false) ||
            !ex_jinja_print_quoted(run, map->entries[i].value))
            return false;
    }
    return emit_string(run, "}", false);
}

static bool print_number(ex_jinja_run *run, ex_value value, bool trusted) {
    char text[32];
    if (value.kind == EX_JINJA_NUMBER && !ex_jinja_charge_number(run, value.as.number)) return false;
    size_t length = value.kind == EX_JINJA_NUMBER
                        ? ex_jinja_format_number(value.as.number, text)
                        : (size_t)snprintf(text, sizeof text, "%lld", (long long)value.as.integer);
    return ex_jinja_emit(run, text, length, trusted);
}

static bool print_plain(ex_jinja_run *run, ex_value value, bool trusted) {
    switch (value.kind) {
    case EX_JINJA_UNDEFINED: return true;
    case EX_JINJA_NONE: return emit_string(run, "None", trusted);
    case EX_JINJA_BOOLEAN: return emit_string(run, value.as.boolean ? "True" : "False", trusted);
    case EX_JINJA_INTEGER:
    case EX_JINJA_NUMBER: return print_number(run, value, trusted);
    case EX_JINJA_TEXT: return ex_jinja_emit_text(run, value.as.text);
    case EX_JINJA_LIST: return print_list(run, value.as.list);
    case EX_JINJA_MAP: return print_map(run, value.as.map);
    case EX_JINJA_NAMESPACE:
        return emit_string(run, "<Namespace ", false) && print_map(run, value.as.map) && emit_string(run, ">", false);
    default:
        return emit_string(run, "<", false) && emit_string(run, ex_jinja_type_name(value), false) &&
               emit_string(run, ">", false);
    }
}

bool ex_jinja_print(ex_jinja_run *run, ex_value value) {
    if (!ex_jinja_enter(run)) return false;
    bool ok = print_plain(run, value, true);
    run->depth--;
    return ok;
}

bool ex_jinja_print_quoted(ex_jinja_run *run, ex_value value) {
    if (!ex_jinja_enter(run)) return false;
    bool ok = value.kind == EX_JINJA_TEXT        ? print_quoted_text(run, value.as.text)
              : value.kind == EX_JINJA_UNDEFINED ? emit_string(run, "Undefined", false)
                                                 : print_plain(run, value, false);
    run->depth--;
    return ok;
}

bool ex_jinja_to_text(ex_jinja_run *run, ex_value value, const ex_jinja_text **out) {
    if (value.kind == EX_JINJA_TEXT) {
        *out = value.as.text;
        return true;
    }
    size_t start = run->length;
    return ex_jinja_print(run, value) && ex_jinja_cut(run, start, out);
}
