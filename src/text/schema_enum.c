/* schema_enum.c - values that are listed: enum and const. They are written as JSON without white space. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "text/schema.h"

/* ---- values as text ---------------------------------------------------------------------------------------------- */

typedef struct writer {
    char *out;
    size_t length;
} writer;

static void put(writer *w, const char *bytes, size_t length) {
    memcpy(w->out + w->length, bytes, length);
    w->length += length;
}

static void put_text(writer *w, ex_string text) {
    put(w, "\"", 1);
    w->length += ex_schema_escape(text, w->out + w->length);
    put(w, "\"", 1);
}

static void put_value(writer *w, const char *source, const ex_json *value) {
    const ex_json *item = NULL;
    if (value->kind == EX_JSON_TEXT) {
        put_text(w, value->as.text);
    } else if (value->kind != EX_JSON_LIST && value->kind != EX_JSON_MAP) {
        put(w, source + value->offset, value->n_bytes); /* as it is written there */
    } else {
        put(w, value->kind == EX_JSON_MAP ? "{" : "[", 1);
        while ((item = ex_json_next(value, item))) {
            if (item != value + 1) put(w, ",", 1);
            if (value->kind == EX_JSON_MAP) {
                put_text(w, item->name);
                put(w, ":", 1);
            }
            put_value(w, source, item);
        }
        put(w, value->kind == EX_JSON_MAP ? "}" : "]", 1);
    }
}

/* No part of a value is longer than six times what it was written as, and a few more for brackets. */
static size_t most_bytes(const ex_json *value) { return 6 * value->n_bytes + 16; }

uint32_t ex_schema_values(ex_schema *schema, const ex_json *const *values, size_t count, uint32_t next) {
    size_t n_bytes = 0;
    for (size_t i = 0; i < count; i++) n_bytes += most_bytes(values[i]);
    writer w = {.out = ex_allocate(n_bytes, 1)};
    ex_literal *literals = ex_allocate(count, sizeof *literals);
    uint32_t node = EX_NODE_DEAD;
    if (w.out && literals) {
        for (size_t i = 0; i < count; i++) {
            const size_t first = w.length;
            put_value(&w, schema->source, values[i]);
            literals[i] = (ex_literal){w.out + first, w.length - first, next};
        }
        node = ex_build_literals(&schema->builder, literals, count);
    } else {
        ex_build_fail(&schema->builder, ex_fail_memory(schema->error, "a grammar"));
    }
    free(w.out);
    free(literals);
    return node;
}

/* ---- which values ------------------------------------------------------------------------------------------------ */

static unsigned type_of(const ex_json *value) {
    static const unsigned types[] = {
        [EX_JSON_NULL] = EX_TYPE_NULL,       [EX_JSON_BOOLEAN] = EX_TYPE_BOOLEAN, [EX_JSON_INTEGER] = EX_TYPE_INTEGER,
        [EX_JSON_NUMBER] = EX_TYPE_FRACTION, [EX_JSON_TEXT] = EX_TYPE_STRING,     [EX_JSON_LIST] = EX_TYPE_ARRAY,
        [EX_JSON_MAP] = EX_TYPE_OBJECT};
    return types[value->kind];
}

static bool is_same(const ex_json *a, const ex_json *b) {
    if (a->kind != b->kind || a->count != b->count) return false;
    switch (a->kind) {
    case EX_JSON_NULL:
        return true;
    case EX_JSON_BOOLEAN:
        return a->as.boolean == b->as.boolean;
    case EX_JSON_INTEGER:
        return a->as.integer == b->as.integer;
    case EX_JSON_NUMBER:
        return a->as.number == b->as.number;
    case EX_JSON_TEXT:
        return a->as.text.length == b->as.text.length &&
               memcmp(a->as.text.data, b->as.text.data, a->as.text.length) == 0;
    case EX_JSON_LIST:
        for (const ex_json *x = NULL, *y = NULL; (x = ex_json_next(a, x)) && (y = ex_json_next(b, y));)
            if (!is_same(x, y)) return false;
        return true;
    case EX_JSON_MAP:
        for (const ex_json *x = NULL; (x = ex_json_next(a, x));) {
            const ex_json *y = NULL;
            while ((y = ex_json_next(b, y)) && (y->name.length != x->name.length ||
                                                memcmp(y->name.data, x->name.data, x->name.length) != 0))
                continue;
            if (!y || !is_same(x, y)) return false;
        }
        return true;
    }
    return false;
}

static bool is_listed(const ex_json *map, const ex_json *value) {
    const ex_json *constant = ex_schema_keyword(map, "const"), *list = ex_schema_keyword(map, "enum"), *item = NULL;
    if (constant && !is_same(constant, value)) return false;
    while (list && (item = ex_json_next(list, item)))
        if (is_same(item, value)) return true;
    return !list;
}

/* Values of the first part that lists some, as far as all parts allow them. */
static size_t choose(ex_schema *schema, const ex_parts *parts, const ex_json *from, const ex_json **values) {
    const ex_json *constant = ex_schema_keyword(from, "const"), *list = ex_schema_keyword(from, "enum"), *item = NULL;
    const ex_json *constrained = NULL;
    size_t count = 0;
    unsigned types = EX_TYPE_ALL, of_values = 0;
    for (size_t i = 0; i < parts->count; i++)
        if (ex_schema_keyword(parts->items[i].schema, "type")) types = ex_schema_types(schema, parts);
    while (constant ? (item = item ? NULL : constant) : (item = ex_json_next(list, item))) {
        bool fits = (type_of(item) & types) != 0;
        for (size_t i = 0; i < parts->count && fits; i++) fits = is_listed(parts->items[i].schema, item);
        if (!fits) continue;
        of_values |= type_of(item);
        values[count++] = item;
    }
    const char *keyword = ex_schema_constraint(parts, of_values, &constrained);
    if (keyword)
        ex_schema_fail(schema, constrained, keyword, EX_ERROR_UNSUPPORTED,
                       "together with enum or const: list the values that fit");
    return count;
}

uint32_t ex_schema_enumeration(ex_schema *schema, const ex_parts *parts, uint32_t next, bool *found) {
    const ex_json *from = NULL;
    for (size_t i = 0; i < parts->count; i++) {
        const ex_json *map = parts->items[i].schema, *list = ex_schema_keyword(map, "enum");
        if (list && list->kind != EX_JSON_LIST)
            return ex_schema_fail(schema, map, "enum", EX_ERROR_FORMAT, "a list of values is needed");
        if (!from && (list || ex_schema_keyword(map, "const"))) from = map;
    }
    *found = from != NULL;
    if (!from) return EX_NODE_DEAD;
    const ex_json *list = ex_schema_keyword(from, "enum");
    const ex_json **values = ex_allocate(list ? list->count + 1 : 1, sizeof *values);
    if (!values) return ex_build_fail(&schema->builder, ex_fail_memory(schema->error, "a grammar"));
    const size_t count = choose(schema, parts, from, values);
    const uint32_t node = ex_schema_values(schema, values, count, next);
    free(values);
    return node;
}
