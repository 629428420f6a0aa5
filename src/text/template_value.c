/* template_value.c - making values and looking into them: lists, maps in order of insertion, Python's truth. */
#include "text/template_value.h"

#include <string.h>

enum { SMALL_MAP = 8 }; /* entries that are searched one by one */

const ex_jinja_form_row ex_jinja_forms[EX_JINJA_FORM_COUNT] = {
    [EX_JINJA_FORM_LIST] = {"list", "[", "]", true, true},
    [EX_JINJA_FORM_TUPLE] = {"tuple", "(", ")", true, true},
    [EX_JINJA_FORM_RANGE] = {"range", "range(", ")", true, true},
    [EX_JINJA_FORM_ITEMS] = {"dict_items", "dict_items([", "])", true, false},
    [EX_JINJA_FORM_KEYS] = {"dict_keys", "dict_keys([", "])", true, false},
    [EX_JINJA_FORM_VALUES] = {"dict_values", "dict_values([", "])", true, false},
    [EX_JINJA_FORM_GENERATOR] = {"generator", "<generator", ">", false, false},
};

static const char *const type_names[EX_JINJA_KIND_COUNT] = {
    [EX_JINJA_UNDEFINED] = "Undefined", [EX_JINJA_NONE] = "NoneType",       [EX_JINJA_BOOLEAN] = "bool",
    [EX_JINJA_INTEGER] = "int",         [EX_JINJA_NUMBER] = "float",        [EX_JINJA_TEXT] = "str",
    [EX_JINJA_LIST] = "list",           [EX_JINJA_MAP] = "dict",            [EX_JINJA_NAMESPACE] = "Namespace",
    [EX_JINJA_MACRO] = "Macro",         [EX_JINJA_LOOP] = "LoopContext",    [EX_JINJA_METHOD] = "method",
    [EX_JINJA_FUNCTION] = "function",
};

const char *ex_jinja_type_name(ex_value value) {
    return value.kind == EX_JINJA_LIST ? ex_jinja_forms[value.as.list->form].name : type_names[value.kind];
}

ex_jinja_text *ex_jinja_text_new(ex_template_arena *arena, const char *bytes, size_t length, bool trusted) {
    ex_jinja_text *text = ex_template_take(arena, 1, sizeof *text);
    if (text) *text = (ex_jinja_text){.bytes = bytes, .length = length, .trusted = trusted};
    return text;
}

ex_jinja_list *ex_jinja_list_new(ex_template_arena *arena, ex_jinja_form form, size_t capacity) {
    ex_jinja_list *list = ex_template_take(arena, 1, sizeof *list);
    if (!list) return NULL;
    *list = (ex_jinja_list){.arena = arena, .form = form, .capacity = capacity};
    if (capacity && !(list->items = ex_template_take(arena, capacity, sizeof *list->items))) return NULL;
    return list;
}

bool ex_jinja_list_append(ex_jinja_list *list, ex_value item) {
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? list->capacity * 2 : 4;
        ex_value *items = ex_template_take(list->arena, capacity, sizeof *items);
        if (!items) return false;
        if (list->count) memcpy(items, list->items, list->count * sizeof *items);
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count++] = item;
    return true;
}

ex_jinja_map *ex_jinja_map_new(ex_template_arena *arena) {
    ex_jinja_map *map = ex_template_take(arena, 1, sizeof *map);
    if (map) map->arena = arena;
    return map;
}

bool ex_jinja_is_key(ex_value value) { return value.kind >= EX_JINJA_NONE && value.kind <= EX_JINJA_TEXT; }

bool ex_jinja_is_number(ex_value value) { return value.kind >= EX_JINJA_BOOLEAN && value.kind <= EX_JINJA_NUMBER; }

bool ex_jinja_is_integer(ex_value value) { return value.kind == EX_JINJA_BOOLEAN || value.kind == EX_JINJA_INTEGER; }

int64_t ex_jinja_as_integer(ex_value value) {
    return value.kind == EX_JINJA_BOOLEAN ? value.as.boolean : value.as.integer;
}

double ex_jinja_as_number(ex_value value) {
    return value.kind == EX_JINJA_NUMBER ? value.as.number : (double)ex_jinja_as_integer(value);
}

bool ex_jinja_is_true(ex_value value) {
    switch (value.kind) {
    case EX_JINJA_UNDEFINED:
    case EX_JINJA_NONE: return false;
    case EX_JINJA_BOOLEAN: return value.as.boolean;
    case EX_JINJA_INTEGER: return value.as.integer != 0;
    case EX_JINJA_NUMBER: return value.as.number != 0;
    case EX_JINJA_TEXT: return value.as.text->length > 0;
    case EX_JINJA_LIST: return !ex_jinja_forms[value.as.list->form].has_length || value.as.list->count > 0;
    case EX_JINJA_MAP: return value.as.map->count > 0;
    default: return true;
    }
}

bool ex_jinja_text_equal(const ex_jinja_text *a, const ex_jinja_text *b) {
    return a->length == b->length && (a->bytes == b->bytes || memcmp(a->bytes, b->bytes, a->length) == 0);
}

bool ex_jinja_is_word(ex_value value, const char *word) {
    return value.kind == EX_JINJA_TEXT && value.as.text->length == strlen(word) &&
           memcmp(value.as.text->bytes, word, value.as.text->length) == 0;
}

bool ex_jinja_key_equal(ex_value a, ex_value b) {
    if (ex_jinja_is_number(a) && ex_jinja_is_number(b)) {
        if (ex_jinja_is_integer(a) && ex_jinja_is_integer(b)) return ex_jinja_as_integer(a) == ex_jinja_as_integer(b);
        return ex_jinja_as_number(a) == ex_jinja_as_number(b);
    }
    if (a.kind != b.kind) return false;
    return a.kind != EX_JINJA_TEXT || ex_jinja_text_equal(a.as.text, b.as.text);
}

/* FNV-1a with a last mixing step. */
uint64_t ex_jinja_hash_bytes(const char *bytes, size_t length) {
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < length; i++) hash = (hash ^ (unsigned char)bytes[i]) * 0x100000001b3u;
    return hash ^ hash >> 32;
}

/* Equal keys hash alike: True, 1 and 1.0 are one key. */
static uint64_t hash_key(ex_value key) {
    if (key.kind == EX_JINJA_TEXT) return ex_jinja_hash_bytes(key.as.text->bytes, key.as.text->length);
    if (!ex_jinja_is_number(key)) return 1;
    double number = ex_jinja_as_number(key) + 0.0;
    return ex_jinja_hash_bytes((const char *)&number, sizeof number);
}

static void put_in_index(ex_jinja_map *map, size_t entry) {
    size_t mask = map->index_size - 1, place = (size_t)map->entries[entry].hash & mask;
    while (map->index[place]) place = (place + 1) & mask;
    map->index[place] = (uint32_t)(entry + 1);
}

static bool grow_map(ex_jinja_map *map) {
    size_t capacity = map->capacity ? map->capacity * 2 : 4;
    if (capacity > UINT32_MAX / 4) return false;
    ex_jinja_entry *entries = ex_template_take(map->arena, capacity, sizeof *entries);
    if (!entries) return false;
    if (map->count) memcpy(entries, map->entries, map->count * sizeof *entries);
    map->entries = entries;
    map->capacity = capacity;
    if (capacity <= SMALL_MAP) return true;
    map->index_size = capacity * 2;
    map->index = ex_template_take(map->arena, map->index_size, sizeof *map->index);
    if (!map->index) return false;
    for (size_t i = 0; i < map->count; i++) put_in_index(map, i);
    return true;
}

static ex_jinja_entry *find_entry(const ex_jinja_map *map, ex_value key, uint64_t hash) {
    if (!map->index) {
        for (size_t i = 0; i < map->count; i++)
            if (map->entries[i].hash == hash && ex_jinja_key_equal(map->entries[i].key, key)) return &map->entries[i];
        return NULL;
    }
    size_t mask = map->index_size - 1;
    for (size_t place = (size_t)hash & mask; map->index[place]; place = (place + 1) & mask) {
        ex_jinja_entry *entry = &map->entries[map->index[place] - 1];
        if (entry->hash == hash && ex_jinja_key_equal(entry->key, key)) return entry;
    }
    return NULL;
}

bool ex_jinja_map_set(ex_jinja_map *map, ex_value key, ex_value value) {
    uint64_t hash = hash_key(key);
    ex_jinja_entry *entry = find_entry(map, key, hash);
    if (entry) {
        entry->value = value;
        return true;
    }
    if (map->count == map->capacity && !grow_map(map)) return false;
    map->entries[map->count] = (ex_jinja_entry){key, value, hash};
    if (map->index) put_in_index(map, map->count);
    map->count++;
    return true;
}

const ex_value *ex_jinja_map_get(const ex_jinja_map *map, ex_value key) {
    const ex_jinja_entry *entry = find_entry(map, key, hash_key(key));
    return entry ? &entry->value : NULL;
}

const ex_value *ex_jinja_map_find(const ex_jinja_map *map, const char *bytes, size_t length, uint64_t hash) {
    ex_jinja_text text = {.bytes = bytes, .length = length};
    const ex_jinja_entry *entry = find_entry(map, (ex_value){.kind = EX_JINJA_TEXT, .as.text = &text}, hash);
    return entry ? &entry->value : NULL;
}
