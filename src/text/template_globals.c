/* template_globals.c - functions that every template can call, and the attributes of `loop`. */
#include <locale.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "text/template_run.h"

#define GLOBAL(name) static bool name(ex_jinja_run *run, const ex_jinja_call *call, ex_value *out)

/* ---- global functions ---- */

/* How many values `first`, `first` + `step`, … there are before `end`. */
static uint64_t range_count(int64_t first, int64_t end, int64_t step) {
    if (step > 0 ? first >= end : first <= end) return 0;
    uint64_t distance = step > 0 ? (uint64_t)end - (uint64_t)first : (uint64_t)first - (uint64_t)end;
    uint64_t size = step > 0 ? (uint64_t)step : 0 - (uint64_t)step;
    return (distance - 1) / size + 1;
}

GLOBAL(global_range) {
    int64_t bounds[3] = {0, 0, 1};
    bool has_end = (call->given & 2) != 0;
    if (!ex_jinja_integer_slot(run, call, 0, 0, &bounds[has_end ? 0 : 1]) ||
        (has_end && !ex_jinja_integer_slot(run, call, 1, 0, &bounds[1])) ||
        !ex_jinja_integer_slot(run, call, 2, 1, &bounds[2]))
        return false;
    if (!ex_jinja_given(call, 0)) return ex_jinja_fail_type(run, "range counts to an integer", call->slots[0]);
    if (bounds[2] == 0) return ex_jinja_fail(run, "the step of a range cannot be zero");
    uint64_t count = range_count(bounds[0], bounds[1], bounds[2]);
    if (count > EX_JINJA_RANGE_MAX) return ex_jinja_fail(run, "a range has at most %d items", EX_JINJA_RANGE_MAX);
    if (!ex_jinja_charge(run, (size_t)count * EX_JINJA_ITEM_COST)) return false;
    ex_jinja_list *list = ex_jinja_make_list(run, EX_JINJA_FORM_RANGE, (size_t)count);
    if (!list) return false;
    for (uint64_t i = 0; i < count; i++)
        list->items[list->count++] = ex_jinja_integer(bounds[0] + (int64_t)i * bounds[2]);
    *out = ex_jinja_list_value(list);
    return true;
}

/* dict() and namespace(): a mapping to start with, then name=value. */
static bool collect(ex_jinja_run *run, const ex_jinja_arguments *arguments, ex_jinja_kind kind, ex_value *out) {
    ex_jinja_map *map = ex_jinja_map_new(&run->arena);
    if (!map) return ex_jinja_fail_memory(run);
    if (arguments->n_positional > 1) return ex_jinja_fail(run, "this takes one dict, then name=value");
    if (arguments->n_positional == 1) {
        ex_value first = arguments->positional[0];
        if (first.kind != EX_JINJA_MAP) return ex_jinja_fail_type(run, "this takes a dict, then name=value", first);
        for (size_t i = 0; i < first.as.map->count; i++)
            if (!ex_jinja_map_set(map, first.as.map->entries[i].key, first.as.map->entries[i].value))
                return ex_jinja_fail_memory(run);
    }
    for (size_t i = 0; i < arguments->n_named; i++)
        if (!ex_jinja_map_set(map, ex_jinja_text_value(arguments->named[i].name), arguments->named[i].value))
            return ex_jinja_fail_memory(run);
    *out = (ex_value){.kind = kind, .as.map = map};
    return true;
}

GLOBAL(global_dict) { return collect(run, call->arguments, EX_JINJA_MAP, out); }
GLOBAL(global_namespace) { return collect(run, call->arguments, EX_JINJA_NAMESPACE, out); }

GLOBAL(global_raise_exception) {
    const ex_jinja_text *text;
    (void)out;
    if (!ex_jinja_to_text(run, call->slots[0], &text)) return false;
    run->code = ex_fail(run->error, EX_ERROR_ARGUMENT, run->node->line, "%s:%u:%u: %.*s", run->template->label,
                        run->node->line, run->node->column, text->length > 399 ? 399 : (int)text->length, text->bytes);
    return false;
}

/* Formats one conversion of strftime; the C locale, whatever the program's is. */
static bool emit_time(ex_jinja_run *run, const char *conversion, const struct tm *time, locale_t locale) {
    char text[128];
    size_t length = strftime_l(text, sizeof text, conversion, time, locale);
    return ex_jinja_emit(run, text, length, true);
}

/* One % with what follows: at most one flag, no width. */
static size_t conversion_length(const char *format, size_t length) {
    size_t n = 1;
    if (n < length && format[n] && strchr("-_0^#", format[n])) n++;
    return n < length && ((format[n] | 0x20) >= 'a' && (format[n] | 0x20) <= 'z') ? n + 1 : 0;
}

static bool emit_times(ex_jinja_run *run, const ex_jinja_text *format, const struct tm *time, locale_t locale) {
    for (size_t at = 0; at < format->length;) {
        char conversion[4] = {0};
        size_t n = format->bytes[at] == '%' ? conversion_length(format->bytes + at, format->length - at) : 0;
        if (n > 0) {
            memcpy(conversion, format->bytes + at, n);
            if (!emit_time(run, conversion, time, locale)) return false;
            at += n;
            continue;
        }
        if (!ex_jinja_emit_part(run, format, at, 1)) return false;
        at += format->length - at > 1 && memcmp(format->bytes + at, "%%", 2) == 0 ? 2 : 1;
    }
    return true;
}

GLOBAL(global_strftime_now) {
    const ex_jinja_text *format;
    struct tm time;
    time_t now = (time_t)run->now;
    size_t start = run->length;
    if (!ex_jinja_text_slot(run, call, 0, &format)) return false;
    if (!gmtime_r(&now, &time)) return ex_jinja_fail(run, "the time is out of range");
    locale_t locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!locale) return ex_jinja_fail_memory(run);
    bool ok = emit_times(run, format, &time, locale);
    freelocale(locale);
    return ok && ex_jinja_cut_value(run, start, out);
}

static const ex_jinja_function globals[] = {
    {"dict", global_dict, NULL, 0},
    {"namespace", global_namespace, NULL, 0},
    {"raise_exception", global_raise_exception, "message", 1},
    {"range", global_range, "start stop step", 1},
    {"strftime_now", global_strftime_now, "format", 1},
};

const ex_jinja_function *ex_jinja_find_global(const char *name, size_t length) {
    return ex_jinja_find_row(globals, sizeof globals / sizeof *globals, name, length);
}

/* ---- loop ---- */

GLOBAL(loop_cycle) {
    const ex_jinja_arguments *arguments = call->arguments;
    if (arguments->n_positional == 0) return ex_jinja_fail(run, "cycle needs values");
    *out = arguments->positional[call->subject.as.loop->index % arguments->n_positional];
    return true;
}

GLOBAL(loop_changed) {
    const ex_jinja_arguments *arguments = call->arguments;
    ex_jinja_loop *loop = call->subject.as.loop;
    bool same;
    ex_jinja_list *values = ex_jinja_make_list(run, EX_JINJA_FORM_TUPLE, arguments->n_positional);
    if (!values) return false;
    for (size_t i = 0; i < arguments->n_positional; i++)
        if (!ex_jinja_append(run, values, arguments->positional[i])) return false;
    if (!ex_jinja_equal(run, loop->changed, ex_jinja_list_value(values), &same)) return false;
    loop->changed = ex_jinja_list_value(values);
    *out = ex_jinja_boolean(!same);
    return true;
}

GLOBAL(loop_previtem) {
    const ex_jinja_loop *loop = call->subject.as.loop;
    if (loop->index == 0) return ex_jinja_make_undefined(run, "there is no previous item", out);
    *out = loop->items->items[loop->index - 1];
    return true;
}

GLOBAL(loop_nextitem) {
    const ex_jinja_loop *loop = call->subject.as.loop;
    if (loop->index + 1 >= loop->items->count) return ex_jinja_make_undefined(run, "there is no next item", out);
    *out = loop->items->items[loop->index + 1];
    return true;
}

#define COUNT(name, value)                                                                                             \
    GLOBAL(name) {                                                                                                     \
        const ex_jinja_loop *loop = call->subject.as.loop;                                                             \
        (void)run;                                                                                                     \
        (void)loop;                                                                                                    \
        *out = value;                                                                                                  \
        return true;                                                                                                   \
    }

COUNT(loop_index, ex_jinja_integer((int64_t)loop->index + 1))
COUNT(loop_index0, ex_jinja_integer((int64_t)loop->index))
COUNT(loop_revindex, ex_jinja_integer((int64_t)(loop->items->count - loop->index)))
COUNT(loop_revindex0, ex_jinja_integer((int64_t)(loop->items->count - loop->index) - 1))
COUNT(loop_first, ex_jinja_boolean(loop->index == 0))
COUNT(loop_last, ex_jinja_boolean(loop->index + 1 == loop->items->count))
COUNT(loop_length, ex_jinja_integer((int64_t)loop->items->count))
COUNT(loop_depth, ex_jinja_integer(1))
COUNT(loop_depth0, ex_jinja_integer(0))

static const ex_jinja_function loop_attributes[] = {
    {"depth", loop_depth, "", 0},       {"depth0", loop_depth0, "", 0},     {"first", loop_first, "", 0},
    {"index", loop_index, "", 0},       {"index0", loop_index0, "", 0},     {"last", loop_last, "", 0},
    {"length", loop_length, "", 0},     {"nextitem", loop_nextitem, "", 0}, {"previtem", loop_previtem, "", 0},
    {"revindex", loop_revindex, "", 0}, {"revindex0", loop_revindex0, "", 0},
};

static const ex_jinja_function loop_methods[] = {{"changed", loop_changed, NULL, 0}, {"cycle", loop_cycle, NULL, 0}};

bool ex_jinja_loop_attribute(ex_jinja_run *run, ex_jinja_loop *loop, const ex_jinja_text *name, ex_value *out) {
    static const ex_jinja_arguments none = {0};
    ex_value subject = {.kind = EX_JINJA_LOOP, .as.loop = loop};
    const ex_jinja_function *row = ex_jinja_find_row(
        loop_attributes, sizeof loop_attributes / sizeof *loop_attributes, name->bytes, name->length);
    if (row) return ex_jinja_call_function(run, row, subject, &none, out);
    row = ex_jinja_find_row(loop_methods, sizeof loop_methods / sizeof *loop_methods, name->bytes, name->length);
    if (!row) return ex_jinja_make_absent(run, subject, name->bytes, name->length, false, out);
    ex_jinja_method *method = ex_jinja_take(run, 1, sizeof *method);
    if (!method) return false;
    *method = (ex_jinja_method){subject, row};
    *out = (ex_value){.kind = EX_JINJA_METHOD, .as.method = method};
    return true;
}
