/* template_access.c - looking into values: attributes, items, slices, iteration. Nothing but data can be reached: the
 * attributes of a text or list are the methods in the tables, those of a map are its keys and methods. */
#include <string.h>

#include "text/template_run.h"

/* ---- making ---- */

static bool make_absence(ex_jinja_run *run, ex_jinja_absence why, ex_value *out) {
    ex_jinja_absence *absence = ex_jinja_take(run, 1, sizeof *absence);
    if (!absence) return false;
    *absence = why;
    *out = (ex_value){.kind = EX_JINJA_UNDEFINED, .as.absence = absence};
    return true;
}

bool ex_jinja_make_undefined(ex_jinja_run *run, const char *hint, ex_value *out) {
    return make_absence(run, (ex_jinja_absence){.hint = hint}, out);
}

bool ex_jinja_make_absent(ex_jinja_run *run, ex_value owner, const char *name, size_t length, bool is_unsafe,
                          ex_value *out) {
    const char *type = owner.kind == EX_JINJA_UNDEFINED ? NULL : ex_jinja_type_name(owner);
    ex_jinja_absence why = {.name = name, .name_length = length, .owner = type, .is_unsafe = is_unsafe};
    return make_absence(run, why, out);
}

ex_jinja_list *ex_jinja_make_list(ex_jinja_run *run, ex_jinja_form form, size_t capacity) {
    ex_jinja_list *list = ex_jinja_list_new(&run->arena, form, capacity);
    if (!list) ex_jinja_fail_memory(run);
    return list;
}

bool ex_jinja_append(ex_jinja_run *run, ex_jinja_list *list, ex_value item) {
    return ex_jinja_list_append(list, item) || ex_jinja_fail_memory(run);
}

bool ex_jinja_pair(ex_jinja_run *run, ex_value first, ex_value second, ex_value *out) {
    ex_jinja_list *pair = ex_jinja_make_list(run, EX_JINJA_FORM_TUPLE, 2);
    if (!pair) return false;
    pair->items[0] = first;
    pair->items[1] = second;
    pair->count = 2;
    *out = ex_jinja_list_value(pair);
    return true;
}

bool ex_jinja_map_view(ex_jinja_run *run, const ex_jinja_map *map, ex_jinja_form form, ex_value *out) {
    ex_jinja_list *view = ex_jinja_make_list(run, form, map->count);
    if (!view) return false;
    for (size_t i = 0; i < map->count; i++) {
        const ex_jinja_entry *entry = &map->entries[i];
        ex_value item = form == EX_JINJA_FORM_KEYS ? entry->key : entry->value;
        if (form == EX_JINJA_FORM_ITEMS && !ex_jinja_pair(run, entry->key, entry->value, &item)) return false;
        view->items[view->count++] = item;
    }
    *out = ex_jinja_list_value(view);
    return true;
}

/* ---- iteration ---- */

static bool characters(ex_jinja_run *run, const ex_jinja_text *text, const ex_jinja_list **out) {
    ex_jinja_list *list = ex_jinja_make_list(run, EX_JINJA_FORM_LIST, 0);
    if (!list) return false;
    for (size_t at = 0; at < text->length;) {
        uint32_t codepoint;
        size_t n = ex_jinja_character(text, at, &codepoint);
        ex_value character;
        if (!ex_jinja_part_value(run, text, at, n, &character) || !ex_jinja_append(run, list, character)) return false;
        at += n;
    }
    *out = list;
    return true;
}

bool ex_jinja_iterate(ex_jinja_run *run, ex_value value, const ex_jinja_list **out) {
    ex_jinja_list *list;
    ex_value keys;
    switch (value.kind) {
    case EX_JINJA_TEXT: return characters(run, value.as.text, out);
    case EX_JINJA_MAP:
        if (!ex_jinja_map_view(run, value.as.map, EX_JINJA_FORM_KEYS, &keys)) return false;
        *out = keys.as.list;
        return true;
    case EX_JINJA_LIST:
        list = value.as.list;
        if (!list->consumed) {
            if (list->form == EX_JINJA_FORM_GENERATOR) list->consumed = true; /* the caller's lists are never written */
            *out = list;
            return ex_jinja_charge(run, list->count * EX_JINJA_ITEM_COST);
        }
        return (*out = ex_jinja_make_list(run, EX_JINJA_FORM_LIST, 0)) != NULL;
    case EX_JINJA_UNDEFINED: return (*out = ex_jinja_make_list(run, EX_JINJA_FORM_LIST, 0)) != NULL;
    default: return ex_jinja_fail_type(run, "this cannot be walked through", value);
    }
}

bool ex_jinja_length(ex_jinja_run *run, ex_value value, size_t *out) {
    *out = 0;
    switch (value.kind) {
    case EX_JINJA_UNDEFINED: return true;
    case EX_JINJA_TEXT:
        *out = ex_jinja_count_characters(value.as.text);
        return ex_jinja_charge_characters(run, value.as.text);
    case EX_JINJA_MAP: *out = value.as.map->count; return true;
    case EX_JINJA_LOOP: *out = value.as.loop->items->count; return true;
    case EX_JINJA_LIST:
        if (!ex_jinja_forms[value.as.list->form].has_length) break;
        *out = value.as.list->count;
        return true;
    default: break;
    }
    return ex_jinja_fail_type(run, "this has no length", value);
}

/* ---- attributes and items ---- */

static bool bind_method(ex_jinja_run *run, ex_value subject, const ex_jinja_function *function, const char *name,
                        size_t length, ex_value *out) {
    if (!function || !function->body)
        return ex_jinja_make_absent(run, subject, name, length, function != NULL, out);
    ex_jinja_method *method = ex_jinja_take(run, 1, sizeof *method);
    if (!method) return false;
    *method = (ex_jinja_method){subject, function};
    *out = (ex_value){.kind = EX_JINJA_METHOD, .as.method = method};
    return true;
}

/* Tuples have the methods of lists that change nothing. */
static const ex_jinja_function *list_method(const ex_jinja_list *list, const ex_jinja_function *method) {
    bool has_it = list->form == EX_JINJA_FORM_LIST || (list->form == EX_JINJA_FORM_TUPLE && method && method->body);
    return has_it ? method : NULL;
}

static const ex_jinja_function *method_of(ex_value subject, const ex_jinja_name *name) {
    switch (subject.kind) {
    case EX_JINJA_TEXT: return name->text_method;
    case EX_JINJA_LIST: return list_method(subject.as.list, name->list_method);
    case EX_JINJA_MAP: return name->map_method;
    default: return NULL;
    }
}

bool ex_jinja_attribute(ex_jinja_run *run, ex_value subject, const ex_jinja_name *name, ex_value *out) {
    const ex_jinja_text *text = &name->text;
    if (subject.kind == EX_JINJA_UNDEFINED) return ex_jinja_fail_undefined(run, subject);
    if (subject.kind == EX_JINJA_LOOP) return ex_jinja_loop_attribute(run, subject.as.loop, text, out);
    const ex_jinja_function *method = method_of(subject, name);
    if (!method && (subject.kind == EX_JINJA_MAP || subject.kind == EX_JINJA_NAMESPACE)) {
        const ex_value *found = ex_jinja_map_find(subject.as.map, text->bytes, text->length, name->hash);
        if (found) {
            *out = *found;
            return true;
        }
    }
    return bind_method(run, subject, method, text->bytes, text->length, out);
}

/* What a key that is no key of the subject means: an attribute of that name. */
static bool item_by_name(ex_jinja_run *run, ex_value subject, const ex_jinja_text *key, ex_value *out) {
    const ex_jinja_function *method = ex_jinja_find_method(subject.kind, key->bytes, key->length);
    if (subject.kind == EX_JINJA_LOOP) return ex_jinja_loop_attribute(run, subject.as.loop, key, out);
    if (subject.kind == EX_JINJA_LIST) method = list_method(subject.as.list, method);
    return bind_method(run, subject, method, key->bytes, key->length, out);
}

static bool item_at(ex_jinja_run *run, ex_value subject, int64_t index, ex_value *out) {
    size_t length;
    if (!ex_jinja_length(run, subject, &length)) return false;
    if (index < 0) index += (int64_t)length;
    if (index < 0 || (uint64_t)index >= length) return ex_jinja_make_undefined(run, "there is no such index", out);
    if (subject.kind == EX_JINJA_LIST) {
        *out = subject.as.list->items[index];
        return true;
    }
    uint32_t codepoint;
    const ex_jinja_text *text = subject.as.text;
    size_t at = ex_jinja_character_offset(text, (size_t)index);
    return ex_jinja_part_value(run, text, at, ex_jinja_character(text, at, &codepoint), out);
}

static bool has_items(ex_value subject) {
    return subject.kind == EX_JINJA_TEXT ||
           (subject.kind == EX_JINJA_LIST && ex_jinja_forms[subject.as.list->form].has_item);
}

bool ex_jinja_item(ex_jinja_run *run, ex_value subject, ex_value key, ex_value *out) {
    if (subject.kind == EX_JINJA_UNDEFINED) return ex_jinja_fail_undefined(run, subject);
    if (!ex_jinja_charge_key(run, key)) return false;
    bool has_keys = subject.kind == EX_JINJA_MAP || subject.kind == EX_JINJA_NAMESPACE;
    const ex_value *found = has_keys && ex_jinja_is_key(key) ? ex_jinja_map_get(subject.as.map, key) : NULL;
    if (found) {
        *out = *found;
        return true;
    }
    if (has_items(subject) && ex_jinja_is_integer(key))
        return item_at(run, subject, ex_jinja_as_integer(key), out);
    if (key.kind == EX_JINJA_TEXT) return item_by_name(run, subject, key.as.text, out);
    return ex_jinja_make_undefined(run, "there is no such item", out);
}

/* ---- slices ---- */

typedef struct item_slice {
    int64_t first, step;
    size_t count;
} item_slice;

static int64_t clamp_bound(int64_t bound, int64_t length, int64_t low, int64_t high) {
    if (bound < 0) bound = bound < -length ? low : bound + length;
    return bound < low ? low : bound > high ? high : bound;
}

/* Python's rules: bounds behind the ends are the ends, negative ones count from the end. */
static item_slice resolve_slice(const ex_value bounds[3], int64_t length) {
    int64_t step = bounds[2].kind == EX_JINJA_NONE ? 1 : ex_jinja_as_integer(bounds[2]);
    int64_t low = step < 0 ? -1 : 0, high = step < 0 ? length - 1 : length;
    int64_t first = step < 0 ? high : low, end = step < 0 ? low : high;
    if (bounds[0].kind != EX_JINJA_NONE) first = clamp_bound(ex_jinja_as_integer(bounds[0]), length, low, high);
    if (bounds[1].kind != EX_JINJA_NONE) end = clamp_bound(ex_jinja_as_integer(bounds[1]), length, low, high);
    item_slice slice = {.first = first, .step = step};
    uint64_t distance = step > 0 ? (uint64_t)(end - first) : (uint64_t)(first - end);
    uint64_t size = step > 0 ? (uint64_t)step : 0 - (uint64_t)step;
    if (step > 0 ? end > first : first > end) slice.count = (size_t)((distance - 1) / size + 1); // NOLINT: size > 0
    return slice;
}

static bool slice_list(ex_jinja_run *run, const ex_jinja_list *list, item_slice slice, ex_value *out) {
    ex_jinja_list *part = ex_jinja_make_list(run, list->form, slice.step == 1 ? 0 : slice.count);
    if (!part) return false;
    *out = ex_jinja_list_value(part);
    if (slice.count && slice.step == 1) part->items = list->items + slice.first;
    for (size_t i = 0; i < slice.count && slice.step != 1; i++)
        part->items[i] = list->items[slice.first + (int64_t)i * slice.step];
    part->count = part->capacity = slice.count;
    return true;
}

static bool slice_text(ex_jinja_run *run, const ex_jinja_text *text, size_t length, item_slice slice, ex_value *out) {
    uint32_t codepoint;
    if (slice.count == 0) return ex_jinja_part_value(run, text, 0, 0, out);
    if (slice.step == 1) {
        size_t first = ex_jinja_character_offset(text, (size_t)slice.first), end = first;
        for (size_t i = 0; i < slice.count; i++) end += ex_jinja_character(text, end, &codepoint);
        return ex_jinja_part_value(run, text, first, end - first, out);
    }
    size_t *offsets = ex_jinja_take(run, length, sizeof *offsets), start = run->length, at = 0;
    if (!offsets) return false;
    for (size_t i = 0; i < length; i++) {
        offsets[i] = at;
        at += ex_jinja_character(text, at, &codepoint);
    }
    for (size_t i = 0; i < slice.count; i++) {
        at = offsets[slice.first + (int64_t)i * slice.step];
        if (!ex_jinja_emit_part(run, text, at, ex_jinja_character(text, at, &codepoint))) return false;
    }
    return ex_jinja_cut_value(run, start, out);
}

bool ex_jinja_slice(ex_jinja_run *run, ex_value subject, const ex_value bounds[3], ex_value *out) {
    size_t length;
    if (!has_items(subject)) return ex_jinja_fail_type(run, "this has no slices", subject);
    for (int i = 0; i < 3; i++)
        if (bounds[i].kind != EX_JINJA_NONE && !ex_jinja_is_integer(bounds[i]))
            return ex_jinja_fail_type(run, "a slice's bounds are integers", bounds[i]);
    if (ex_jinja_is_integer(bounds[2]) && ex_jinja_as_integer(bounds[2]) == 0)
        return ex_jinja_fail(run, "a slice's step cannot be zero");
    if (!ex_jinja_length(run, subject, &length)) return false;
    item_slice slice = resolve_slice(bounds, (int64_t)length);
    return subject.kind == EX_JINJA_LIST ? slice_list(run, subject.as.list, slice, out)
                                         : slice_text(run, subject.as.text, length, slice, out);
}
