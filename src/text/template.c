/* template.c - the contract of template.h: parsing, the values a caller builds, one rendering from start to end. */
#include "text/template.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "text/template_run.h"

/* ---- templates ---- */

ex_code ex_jinja_tree_memory(const ex_template *template, ex_error *error) {
    if (!template->arena.full) return ex_fail_memory(error, "a chat template");
    return ex_fail(error, EX_ERROR_FORMAT, 0, "%s: the template is too large", template->label);
}

const ex_jinja_name *ex_jinja_intern(ex_template *template, const char *bytes, size_t length) {
    uint64_t hash = ex_jinja_hash_bytes(bytes, length);
    ex_jinja_name **bucket = &template->names[hash % EX_JINJA_NAME_BUCKETS];
    for (ex_jinja_name *name = *bucket; name; name = name->next)
        if (name->hash == hash && name->text.length == length && memcmp(name->text.bytes, bytes, length) == 0)
            return name;
    ex_jinja_name *name = ex_template_take(&template->arena, 1, sizeof *name);
    if (!name) return NULL;
    *name = (ex_jinja_name){
        .text = {.bytes = bytes, .length = length, .trusted = true},
        .hash = hash,
        .text_method = ex_jinja_find_method(EX_JINJA_TEXT, bytes, length),
        .list_method = ex_jinja_find_method(EX_JINJA_LIST, bytes, length),
        .map_method = ex_jinja_find_method(EX_JINJA_MAP, bytes, length),
        .global = ex_jinja_find_global(bytes, length),
        .next = *bucket,
    };
    return *bucket = name;
}

/* Line breaks of all systems become \n; one at the very end goes away. */
static bool copy_source(ex_template *template, const char *source, size_t length) {
    char *copy = ex_template_take(&template->arena, length, 1);
    size_t n = 0;
    if (!copy) return false;
    for (size_t i = 0; i < length; i++) {
        if (source[i] == '\r' && i + 1 < length && source[i + 1] == '\n') continue;
        copy[n++] = source[i] == '\r' ? '\n' : source[i];
    }
    if (n > 0 && copy[n - 1] == '\n') n--;
    template->source = copy;
    template->length = n;
    return true;
}

static bool intern_special(ex_template *template) {
    template->loop = ex_jinja_intern(template, "loop", 4);
    template->caller = ex_jinja_intern(template, "caller", 6);
    template->varargs = ex_jinja_intern(template, "varargs", 7);
    template->kwargs = ex_jinja_intern(template, "kwargs", 6);
    return template->loop && template->caller && template->varargs && template->kwargs;
}

static ex_code parse(ex_template *template, const char *source, size_t length, const char *name, ex_error *error) {
    ex_jinja_tokens tokens = {.arena = {.limit = EX_JINJA_TREE_MEMORY_MAX}};
    size_t n = strlen(name);
    template->arena.limit = EX_JINJA_TREE_MEMORY_MAX;
    template->label = ex_template_take(&template->arena, n + 1, 1);
    if (!template->label || !intern_special(template)) return ex_fail_memory(error, "a chat template");
    memcpy(template->label, name, n + 1);
    if (length > EX_JINJA_SOURCE_MAX)
        return ex_fail(error, EX_ERROR_FORMAT, 0, "%s:1:1: the template has %zu bytes; at most %d are read", name,
                       length, EX_JINJA_SOURCE_MAX);
    if (!copy_source(template, source, length)) return ex_jinja_tree_memory(template, error);
    ex_code code = ex_jinja_lex(template, &tokens, error);
    if (code == EX_OK) code = ex_jinja_parse(template, &tokens, error);
    ex_template_arena_free(&tokens.arena);
    return code;
}

ex_code ex_template_open(ex_template **out, const char *source, size_t length, const char *name, ex_error *error) {
    *out = NULL;
    ex_template *template = ex_allocate(1, sizeof *template);
    if (!template) return ex_fail_memory(error, "a chat template");
    ex_code code = parse(template, source, length, name ? name : "template", error);
    if (code == EX_OK) *out = template;
    else ex_template_close(template);
    return code;
}

void ex_template_close(ex_template *template) {
    if (!template) return;
    ex_template_arena_free(&template->arena);
    free(template);
}

/* ---- values of the caller ---- */

struct ex_values {
    ex_template_arena arena;
};

ex_code ex_values_open(ex_values **out, ex_error *error) {
    *out = ex_allocate(1, sizeof **out);
    if (!*out) return ex_fail_memory(error, "a template's values");
    (*out)->arena.limit = SIZE_MAX; /* the caller decides how much there is */
    return EX_OK;
}

void ex_values_close(ex_values *values) {
    if (!values) return;
    ex_template_arena_free(&values->arena);
    free(values);
}

static ex_value *make(ex_values *values, ex_value value) {
    ex_value *made = values ? ex_template_take(&values->arena, 1, sizeof *made) : NULL;
    if (made) *made = value;
    return made;
}

ex_value *ex_value_none(ex_values *values) { return make(values, ex_jinja_none()); }
ex_value *ex_value_boolean(ex_values *values, bool boolean) { return make(values, ex_jinja_boolean(boolean)); }
ex_value *ex_value_integer(ex_values *values, int64_t integer) { return make(values, ex_jinja_integer(integer)); }
ex_value *ex_value_number(ex_values *values, double number) { return make(values, ex_jinja_number(number)); }

static const ex_jinja_text *copy_text(ex_template_arena *arena, const char *text, size_t length, bool trusted) {
    char *bytes = ex_template_take(arena, length, 1);
    if (!bytes) return NULL;
    if (length) memcpy(bytes, text, length);
    return ex_jinja_text_new(arena, bytes, length, trusted);
}

ex_value *ex_value_text(ex_values *values, const char *text, size_t length, bool trusted) {
    const ex_jinja_text *copy = values ? copy_text(&values->arena, text, length, trusted) : NULL;
    return copy ? make(values, ex_jinja_text_value(copy)) : NULL;
}

ex_value *ex_value_list(ex_values *values) {
    ex_jinja_list *list = values ? ex_jinja_list_new(&values->arena, EX_JINJA_FORM_LIST, 0) : NULL;
    return list ? make(values, ex_jinja_list_value(list)) : NULL;
}

ex_value *ex_value_map(ex_values *values) {
    ex_jinja_map *map = values ? ex_jinja_map_new(&values->arena) : NULL;
    return map ? make(values, (ex_value){.kind = EX_JINJA_MAP, .as.map = map}) : NULL;
}

bool ex_value_append(ex_value *list, ex_value *item) {
    return list && item && list->kind == EX_JINJA_LIST && ex_jinja_list_append(list->as.list, *item);
}

bool ex_value_set(ex_value *map, const char *key, size_t key_length, ex_value *item) {
    if (!map || !item || map->kind != EX_JINJA_MAP) return false;
    const ex_jinja_text *text = copy_text(map->as.map->arena, key, key_length, false);
    return text && ex_jinja_map_set(map->as.map, ex_jinja_text_value(text), *item);
}

/* ---- errors and limits of a run ---- */

bool ex_jinja_fail(ex_jinja_run *run, const char *format, ...) {
    char what[300];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    run->code = ex_fail(run->error, EX_ERROR_FORMAT, run->node->line, "%s:%u:%u: %s", run->template->label,
                        run->node->line, run->node->column, what);
    return false;
}

bool ex_jinja_fail_memory(ex_jinja_run *run) {
    if (run->arena.full) return ex_jinja_fail(run, "the template needs more than %d MiB", EX_JINJA_MEMORY_MAX >> 20);
    run->code = ex_fail_memory(run->error, "rendering a chat template");
    return false;
}

bool ex_jinja_fail_undefined(ex_jinja_run *run, ex_value value) {
    const ex_jinja_absence *absence = value.as.absence;
    if (!absence) return ex_jinja_fail(run, "a value is undefined");
    if (absence->hint) return ex_jinja_fail(run, "%s", absence->hint);
    int shown = absence->name_length > 80 ? 80 : (int)absence->name_length;
    if (absence->is_unsafe)
        return ex_jinja_fail(run, "access to attribute '%.*s' of '%s' object is unsafe.", shown, absence->name,
                             absence->owner);
    if (!absence->owner) return ex_jinja_fail(run, "'%.*s' is undefined", shown, absence->name);
    return ex_jinja_fail(run, "'%s object' has no attribute '%.*s'", absence->owner, shown, absence->name);
}

bool ex_jinja_fail_type(ex_jinja_run *run, const char *what, ex_value value) {
    if (value.kind == EX_JINJA_UNDEFINED) return ex_jinja_fail_undefined(run, value);
    return ex_jinja_fail(run, "%s, not a value of type %s", what, ex_jinja_type_name(value));
}

void *ex_jinja_take(ex_jinja_run *run, size_t count, size_t size) {
    void *memory = ex_template_take(&run->arena, count, size);
    if (!memory) ex_jinja_fail_memory(run);
    return memory;
}

bool ex_jinja_charge(ex_jinja_run *run, size_t bytes) {
    run->steps += 1 + (int64_t)(bytes / 64);
    return run->steps <= EX_JINJA_STEPS_MAX ||
           ex_jinja_fail(run, "the template takes more than %d steps", EX_JINJA_STEPS_MAX);
}

bool ex_jinja_charge_characters(ex_jinja_run *run, const ex_jinja_text *text) {
    return ex_jinja_charge(run, text->length * EX_JINJA_CHARACTER_COST);
}

bool ex_jinja_charge_number(ex_jinja_run *run, double number) {
    bool is_subnormal = fpclassify(number) == FP_SUBNORMAL;
    return ex_jinja_charge(run, EX_JINJA_NUMBER_COST * (is_subnormal ? 8 : 1));
}

bool ex_jinja_charge_key(ex_jinja_run *run, ex_value key) {
    return key.kind != EX_JINJA_TEXT || ex_jinja_charge_characters(run, key.as.text);
}

bool ex_jinja_enter(ex_jinja_run *run) {
    if (++run->depth > EX_JINJA_DEPTH_MAX) return ex_jinja_fail(run, "nested more than %d deep", EX_JINJA_DEPTH_MAX);
    return ex_jinja_charge(run, 0);
}

/* ---- rendering ---- */

static size_t span_end(const ex_jinja_run *run, size_t first) {
    const uint8_t *end = memchr(run->marks + first, !run->marks[first], run->length - first);
    return end ? (size_t)(end - run->marks) : run->length;
}

/* Moves the output into `out`, with a zero byte behind it, and describes where it came from. */
static bool finish(ex_jinja_run *run, ex_rendering *out) {
    size_t count = 0;
    if (!ex_jinja_emit(run, "", 1, true)) return false;
    run->length--;
    for (size_t at = 0; at < run->length; at = span_end(run, at)) count++;
    out->spans = ex_allocate(count, sizeof *out->spans);
    if (!out->spans) return ex_jinja_fail_memory(run);
    for (size_t at = 0; at < run->length;) {
        size_t end = span_end(run, at);
        out->spans[out->n_spans++] = (ex_span){.first = at, .length = end - at, .trusted = run->marks[at]};
        at = end;
    }
    out->text = run->bytes;
    out->length = run->length;
    run->bytes = NULL;
    return true;
}

static void begin(ex_jinja_run *run, const ex_template *template, int64_t now, ex_error *error) {
    *run = (ex_jinja_run){.template = template, .now = now, .node = template->body, .captured = ex_jinja_undefined(),
                          .error = error};
    run->arena.limit = EX_JINJA_MEMORY_MAX;
}

static ex_code run_body(ex_jinja_run *run, ex_rendering *out) {
    ex_jinja_frame frame = {0};
    run->frame = &frame;
    if (!ex_jinja_render_body(run, run->template->body) || !finish(run, out)) ex_rendering_free(out);
    return run->code;
}

static ex_code end(ex_jinja_run *run) {
    ex_template_arena_free(&run->arena);
    free(run->bytes);
    free(run->marks);
    return run->code;
}

static ex_code refuse_variables(const ex_template *template, ex_error *error) {
    return ex_fail(error, EX_ERROR_ARGUMENT, 0, "%s: a template's variables are a map", template->label);
}

ex_code ex_template_render_values(const ex_template *template, const ex_value *variables, int64_t now,
                                  ex_rendering *out, ex_error *error) {
    ex_jinja_run run;
    *out = (ex_rendering){0};
    if (!variables) return ex_fail_memory(error, "a template's values");
    if (variables->kind != EX_JINJA_MAP) return refuse_variables(template, error);
    begin(&run, template, now, error);
    run.variables = variables->as.map;
    run_body(&run, out);
    return end(&run);
}

/* The variables live with the run, and count against its limits. */
static ex_code read_variables(ex_jinja_run *run, const char *json, size_t length, ex_error *error) {
    ex_value value;
    ex_jinja_text text = {.bytes = json, .length = length};
    size_t at = ex_utf8_valid_prefix(json, length);
    if (at < length)
        return run->code = ex_fail(error, EX_ERROR_FORMAT, at, "the variables are not valid UTF-8 at byte %zu", at);
    if (!ex_jinja_read_json(run, &text, &at, &value)) {
        if (run->code == EX_ERROR_MEMORY || run->arena.full) return run->code;
        return run->code = ex_fail(error, EX_ERROR_FORMAT, at, "the variables are no JSON at byte %zu", at);
    }
    if (value.kind != EX_JINJA_MAP) return run->code = refuse_variables(run->template, error);
    run->variables = value.as.map;
    return EX_OK;
}

ex_code ex_template_render(const ex_template *template, const char *variables, size_t length, int64_t now, char **text,
                           size_t *text_length, ex_error *error) {
    ex_jinja_run run;
    ex_rendering rendering = {0};
    begin(&run, template, now, error);
    if (read_variables(&run, variables, length, error) == EX_OK) run_body(&run, &rendering);
    free(rendering.spans);
    *text = rendering.text;
    *text_length = rendering.length;
    return end(&run);
}

void ex_rendering_free(ex_rendering *rendering) {
    if (!rendering) return;
    free(rendering->text);
    free(rendering->spans);
    *rendering = (ex_rendering){0};
}
