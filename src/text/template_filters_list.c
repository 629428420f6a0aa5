/* template_filters_list.c - filters on lists and maps: choosing, sorting, mapping. */
#include <string.h>

#include "text/template_filters.h"

#define FILTER(name) static bool name(ex_jinja_run *run, const ex_jinja_call *call, ex_value *out)

/* ---- keys ---- */

static bool is_all_digits(const ex_jinja_text *text) {
    for (size_t i = 0; i < text->length; i++)
        if (text->bytes[i] < '0' || text->bytes[i] > '9') return false;
    return text->length > 0;
}

/* One step of "a.0.b": a part that is a number is an index. */
static bool step_into(ex_jinja_run *run, ex_value item, const ex_jinja_text *part, ex_value *out) {
    int64_t index;
    if (is_all_digits(part) && ex_jinja_read_integer(part->bytes, part->length, 10, &index))
        return ex_jinja_item(run, item, ex_jinja_integer(index), out);
    return ex_jinja_item(run, item, ex_jinja_text_value(part), out);
}

/* The attribute that a filter was told to look at; the item itself when it was told none. */
static bool attribute_of(ex_jinja_run *run, ex_value item, ex_value attribute, ex_value otherwise, ex_value *out) {
    *out = item;
    if (attribute.kind == EX_JINJA_UNDEFINED || attribute.kind == EX_JINJA_NONE) return true;
    if (attribute.kind != EX_JINJA_TEXT) return ex_jinja_item(run, item, attribute, out);
    const ex_jinja_text *path = attribute.as.text;
    for (size_t first = 0; first <= path->length;) {
        const char *dot = memchr(path->bytes + first, '.', path->length - first);
        size_t end = dot ? (size_t)(dot - path->bytes) : path->length;
        const ex_jinja_text *part;
        if (!ex_jinja_text_part(run, path, first, end - first, &part) || !step_into(run, *out, part, out)) return false;
        if (out->kind == EX_JINJA_UNDEFINED && otherwise.kind > EX_JINJA_NONE) *out = otherwise;
        first = end + 1;
    }
    return true;
}

static bool fold_case(ex_jinja_run *run, bool case_sensitive, ex_value *key) {
    if (case_sensitive || key->kind != EX_JINJA_TEXT) return true;
    return ex_jinja_change_case(run, key->as.text, EX_JINJA_LOWER, key);
}

static bool sort_key(ex_jinja_run *run, ex_value item, ex_value attribute, bool case_sensitive, ex_value *out) {
    return attribute_of(run, item, attribute, ex_jinja_undefined(), out) && fold_case(run, case_sensitive, out);
}

/* Several attributes with commas between them make a tuple as the key. */
static bool multi_sort_key(ex_jinja_run *run, ex_value item, ex_value attribute, bool case_sensitive, ex_value *out) {
    if (attribute.kind != EX_JINJA_TEXT || !memchr(attribute.as.text->bytes, ',', attribute.as.text->length))
        return sort_key(run, item, attribute, case_sensitive, out);
    const ex_jinja_text *all = attribute.as.text;
    ex_jinja_list *keys = ex_jinja_make_list(run, EX_JINJA_FORM_TUPLE, 0);
    if (!keys) return false;
    for (size_t first = 0; first <= all->length;) {
        const char *comma = memchr(all->bytes + first, ',', all->length - first);
        size_t end = comma ? (size_t)(comma - all->bytes) : all->length;
        ex_value name, key;
        if (!ex_jinja_part_value(run, all, first, end - first, &name) ||
            !sort_key(run, item, name, case_sensitive, &key) || !ex_jinja_append(run, keys, key))
            return false;
        first = end + 1;
    }
    *out = ex_jinja_list_value(keys);
    return true;
}

/* ---- sorting ---- */

typedef struct keyed {
    ex_value key, item;
} keyed;

static bool merge(ex_jinja_run *run, const keyed *from, keyed *to, size_t first, size_t middle, size_t end,
                  bool reverse) {
    size_t left = first, right = middle;
    for (size_t i = first; i < end; i++) {
        int order = 0;
        bool both = left < middle && right < end;
        bool missing = both && from[left].key.kind == EX_JINJA_UNDEFINED && from[right].key.kind == EX_JINJA_UNDEFINED;
        if (both && !missing && !ex_jinja_order(run, from[left].key, from[right].key, &order)) return false;
        bool takes_left = both ? (reverse ? order >= 0 : order <= 0) : left < middle;
        to[i] = takes_left ? from[left++] : from[right++];
    }
    return true;
}

/* Stable, in either direction. `items` and `spare` have room for `count`; the result is in `*sorted`. */
static bool merge_sort(ex_jinja_run *run, keyed *items, keyed *spare, size_t count, bool reverse, keyed **sorted) {
    for (size_t width = 1; width < count; width *= 2) {
        for (size_t first = 0; first < count; first += 2 * width) {
            size_t middle = first + width < count ? first + width : count;
            size_t end = middle + width < count ? middle + width : count;
            if (!merge(run, items, spare, first, middle, end, reverse)) return false;
        }
        keyed *swapped = items;
        items = spare;
        spare = swapped;
    }
    *sorted = items;
    return true;
}

/* Sorts by keys that the caller put beside the items. */
static bool sorted_list(ex_jinja_run *run, keyed *items, size_t count, bool reverse, ex_value *out) {
    keyed *spare = ex_jinja_take(run, count, sizeof *spare), *sorted;
    ex_jinja_list *list = ex_jinja_make_list(run, EX_JINJA_FORM_LIST, count);
    if (!spare || !list || !merge_sort(run, items, spare, count, reverse, &sorted)) return false;
    for (size_t i = 0; i < count; i++) list->items[i] = sorted[i].item;
    list->count = count;
    *out = ex_jinja_list_value(list);
    return true;
}

FILTER(filter_sort) {
    const ex_jinja_list *items;
    if (!ex_jinja_iterate(run, call->subject, &items)) return false;
    keyed *keys = ex_jinja_take(run, items->count, sizeof *keys);
    if (!keys) return false;
    for (size_t i = 0; i < items->count; i++) {
        keys[i].item = items->items[i];
        if (!multi_sort_key(run, items->items[i], call->slots[2], ex_jinja_flag(call, 1), &keys[i].key)) return false;
    }
    return sorted_list(run, keys, items->count, ex_jinja_flag(call, 0), out);
}

FILTER(filter_dictsort) {
    bool by_value = ex_jinja_is_word(call->slots[1], "value");
    if (call->subject.kind != EX_JINJA_MAP) return ex_jinja_fail_type(run, "expected a dict", call->subject);
    if (call->given & 2 && !by_value && !ex_jinja_is_word(call->slots[1], "key"))
        return ex_jinja_fail(run, "a dict is sorted by \"key\" or by \"value\"");
    const ex_jinja_map *map = call->subject.as.map;
    keyed *keys = ex_jinja_take(run, map->count, sizeof *keys);
    if (!keys) return false;
    for (size_t i = 0; i < map->count; i++) {
        keys[i].key = by_value ? map->entries[i].value : map->entries[i].key;
        if (!ex_jinja_pair(run, map->entries[i].key, map->entries[i].value, &keys[i].item) ||
            !fold_case(run, ex_jinja_flag(call, 0), &keys[i].key))
            return false;
    }
    return sorted_list(run, keys, map->count, ex_jinja_flag(call, 2), out);
}

/* ---- one of many ---- */

FILTER(filter_first) {
    const ex_jinja_list *items;
    if (!ex_jinja_iterate(run, call->subject, &items)) return false;
    if (items->count == 0) return ex_jinja_make_undefined(run, "No first item, sequence was empty.", out);
    *out = items->items[0];
    return true;
}

static bool is_generator(ex_value value) {
    return value.kind == EX_JINJA_LIST && value.as.list->form == EX_JINJA_FORM_GENERATOR;
}

FILTER(filter_last) {
    const ex_jinja_list *items;
    if (is_generator(call->subject)) return ex_jinja_fail_type(run, "this has no last item", call->subject);
    if (!ex_jinja_iterate(run, call->subject, &items)) return false;
    if (items->count == 0) return ex_jinja_make_undefined(run, "No last item, sequence was empty.", out);
    *out = items->items[items->count - 1];
    return true;
}

static bool extreme(ex_jinja_run *run, const ex_jinja_call *call, int sign, ex_value *out) {
    const ex_jinja_list *items;
    ex_value best = ex_jinja_undefined(), key;
    if (!ex_jinja_iterate(run, call->subject, &items)) return false;
    if (items->count == 0) return ex_jinja_make_undefined(run, "No aggregated item, sequence was empty.", out);
    for (size_t i = 0; i < items->count; i++) {
        int order = sign;
        if (!sort_key(run, items->items[i], call->slots[1], ex_jinja_flag(call, 0), &key)) return false;
        if (i > 0 && !ex_jinja_order(run, key, best, &order)) return false;
        if (order != sign) continue;
        best = key;
        *out = items->items[i];
    }
    return true;
}

FILTER(filter_min) { return extreme(run, call, -1, out); }
FILTER(filter_max) { return extreme(run, call, 1, out); }

FILTER(filter_sum) {
    const ex_jinja_list *items;
    ex_value item;
    if (!ex_jinja_iterate(run, call->subject, &items)) return false;
    *out = call->given & 2 ? call->slots[1] : ex_jinja_integer(0);
    for (size_t i = 0; i < items->count; i++)
        if (!attribute_of(run, items->items[i], call->slots[0], ex_jinja_undefined(), &item) ||
            !ex_jinja_binary(run, '+', *out, item, out))
            return false;
    return true;
}

FILTER(filter_join) {
    const ex_jinja_list *items;
    const ex_jinja_text *separator;
    if (!ex_jinja_to_text(run, call->slots[0], &separator) || !ex_jinja_iterate(run, call->subject, &items))
        return false;
    ex_jinja_list *chosen = ex_jinja_make_list(run, EX_JINJA_FORM_LIST, items->count);
    if (!chosen) return false;
    for (size_t i = 0; i < items->count; i++) {
        ex_value item;
        if (!attribute_of(run, items->items[i], call->slots[1], ex_jinja_undefined(), &item) ||
            !ex_jinja_append(run, chosen, item))
            return false;
    }
    return ex_jinja_join(run, separator, chosen, out);
}

/* ---- many from many ---- */

FILTER(filter_list) {
    const ex_jinja_list *items;
    if (!ex_jinja_iterate(run, call->subject, &items)) return false;
    ex_jinja_list *list = ex_jinja_make_list(run, EX_JINJA_FORM_LIST, 0);
    if (!list) return false;
    list->items = items->items;
    list->count = list->capacity = items->count;
    *out = ex_jinja_list_value(list);
    return true;
}

FILTER(filter_items) {
    if (call->subject.kind != EX_JINJA_MAP && call->subject.kind != EX_JINJA_UNDEFINED)
        return ex_jinja_fail_type(run, "only a dict has items", call->subject);
    if (call->subject.kind == EX_JINJA_MAP) {
        if (!ex_jinja_map_view(run, call->subject.as.map, EX_JINJA_FORM_ITEMS, out)) return false;
    } else {
        *out = ex_jinja_list_value(ex_jinja_make_list(run, EX_JINJA_FORM_GENERATOR, 0));
        if (!out->as.list) return false;
    }
    out->as.list->form = EX_JINJA_FORM_GENERATOR;
    return true;
}

FILTER(filter_reverse) {
    static const ex_value backwards[3] = {
        {.kind = EX_JINJA_NONE}, {.kind = EX_JINJA_NONE}, {.kind = EX_JINJA_INTEGER, .as.integer = -1}};
    const ex_jinja_list *items;
    if (call->subject.kind == EX_JINJA_TEXT) return ex_jinja_slice(run, call->subject, backwards, out);
    if (!ex_jinja_iterate(run, call->subject, &items)) return false;
    ex_jinja_list *reversed = ex_jinja_make_list(run, EX_JINJA_FORM_GENERATOR, items->count);
    if (!reversed) return false;
    for (size_t i = items->count; i > 0; i--) reversed->items[reversed->count++] = items->items[i - 1];
    *out = ex_jinja_list_value(reversed);
    return true;
}

FILTER(filter_unique) {
    const ex_jinja_list *items;
    ex_jinja_list *seen = ex_jinja_make_list(run, EX_JINJA_FORM_LIST, 0);
    ex_jinja_list *kept = ex_jinja_make_list(run, EX_JINJA_FORM_GENERATOR, 0);
    if (!seen || !kept || !ex_jinja_iterate(run, call->subject, &items)) return false;
    for (size_t i = 0; i < items->count; i++) {
        ex_value key;
        bool found;
        if (!sort_key(run, items->items[i], call->slots[1], ex_jinja_flag(call, 0), &key) ||
            !ex_jinja_contains(run, ex_jinja_list_value(seen), key, &found))
            return false;
        if (found) continue;
        if (!ex_jinja_append(run, seen, key) || !ex_jinja_append(run, kept, items->items[i])) return false;
    }
    *out = ex_jinja_list_value(kept);
    return true;
}

static ex_value named_argument(const ex_jinja_arguments *arguments, const char *name) {
    for (size_t i = 0; i < arguments->n_named; i++)
        if (ex_jinja_is_word(ex_jinja_text_value(arguments->named[i].name), name)) return arguments->named[i].value;
    return ex_jinja_undefined();
}

/* What map, select and their kin walk through: of none, false or 0 they make nothing. */
static bool iterate_if_true(ex_jinja_run *run, ex_value value, const ex_jinja_list **items) {
    return ex_jinja_iterate(run, ex_jinja_is_true(value) ? value : ex_jinja_undefined(), items);
}

/* map(attribute="a.b", default=0), or map("filter", arguments of the filter). */
FILTER(filter_map) {
    const ex_jinja_list *items;
    ex_jinja_arguments arguments = *call->arguments;
    bool by_attribute = arguments.n_positional == 0;
    ex_value attribute = named_argument(&arguments, "attribute"), otherwise = named_argument(&arguments, "default");
    ex_jinja_list *mapped = ex_jinja_make_list(run, EX_JINJA_FORM_GENERATOR, 0);
    if (!mapped || !iterate_if_true(run, call->subject, &items)) return false;
    if (by_attribute && attribute.kind == EX_JINJA_UNDEFINED)
        return ex_jinja_fail(run, "map needs the name of a filter, or attribute=");
    const ex_value *name = arguments.positional;
    if (!by_attribute) {
        arguments.positional++;
        arguments.n_positional--;
    }
    for (size_t i = 0; i < items->count; i++) {
        ex_value item;
        bool ok = by_attribute ? attribute_of(run, items->items[i], attribute, otherwise, &item)
                               : ex_jinja_call_named(run, false, *name, items->items[i], &arguments, &item);
        if (!ok || !ex_jinja_append(run, mapped, item)) return false;
    }
    *out = ex_jinja_list_value(mapped);
    return true;
}

/* Keeps the items whose truth, or whose test, is `wanted`; the test looks at an attribute when `by_attribute`. */
static bool choose(ex_jinja_run *run, const ex_jinja_call *call, bool by_attribute, bool wanted, ex_value *out) {
    const ex_jinja_list *items;
    const ex_jinja_arguments *all = call->arguments;
    size_t used = by_attribute;
    ex_jinja_list *kept = ex_jinja_make_list(run, EX_JINJA_FORM_GENERATOR, 0);
    if (!kept || !iterate_if_true(run, call->subject, &items)) return false;
    if (all->n_positional < used) return ex_jinja_fail(run, "the name of an attribute is missing");
    bool has_test = all->n_positional > used;
    ex_jinja_arguments rest = {all->positional + used + has_test, all->n_positional - used - has_test, all->named,
                               all->n_named};
    for (size_t i = 0; i < items->count; i++) {
        ex_value item = items->items[i];
        if (by_attribute && !attribute_of(run, item, all->positional[0], ex_jinja_undefined(), &item)) return false;
        if (has_test && !ex_jinja_call_named(run, true, all->positional[used], item, &rest, &item)) return false;
        if (!ex_jinja_charge(run, 1)) return false;
        if (ex_jinja_is_true(item) == wanted && !ex_jinja_append(run, kept, items->items[i])) return false;
    }
    *out = ex_jinja_list_value(kept);
    return true;
}

FILTER(filter_select) { return choose(run, call, false, true, out); }
FILTER(filter_reject) { return choose(run, call, false, false, out); }
FILTER(filter_selectattr) { return choose(run, call, true, true, out); }
FILTER(filter_rejectattr) { return choose(run, call, true, false, out); }

const ex_jinja_function ex_jinja_list_filters[] = {
    {"dictsort", filter_dictsort, "case_sensitive by reverse", 0},
    {"first", filter_first, "", 0},
    {"items", filter_items, "", 0},
    {"join", filter_join, "d attribute", 0},
    {"last", filter_last, "", 0},
    {"list", filter_list, "", 0},
    {"map", filter_map, NULL, 0},
    {"max", filter_max, "case_sensitive attribute", 0},
    {"min", filter_min, "case_sensitive attribute", 0},
    {"reject", filter_reject, NULL, 0},
    {"rejectattr", filter_rejectattr, NULL, 0},
    {"reverse", filter_reverse, "", 0},
    {"select", filter_select, NULL, 0},
    {"selectattr", filter_selectattr, NULL, 0},
    {"sort", filter_sort, "reverse case_sensitive attribute", 0},
    {"sum", filter_sum, "attribute start", 0},
    {"unique", filter_unique, "case_sensitive attribute", 0},
};
const size_t ex_jinja_n_list_filters = sizeof ex_jinja_list_filters / sizeof *ex_jinja_list_filters;
