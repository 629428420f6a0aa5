/* schema_array.c - arrays: items by position, then items that are all alike, as many as there may be. */
#include <string.h>

#include "text/schema.h"

/* The schemas of the item at this position, or (`rest`) of those behind all prefixItems. */
static uint32_t build_item(ex_schema *schema, const ex_parts *parts, size_t position, bool rest, uint32_t next) {
    const ex_json *schemas[EX_SCHEMA_PARTS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < parts->count; i++) {
        const ex_json *map = parts->items[i].schema, *prefix = ex_schema_keyword(map, "prefixItems");
        const ex_json *item = NULL, *items = ex_schema_keyword(map, "items");
        for (size_t at = 0; prefix && !rest && (item = ex_json_next(prefix, item)) && at < position;) at++;
        if (!item) item = items;
        if (item) schemas[count++] = item;
    }
    return ex_schema_value(schema, schemas, count, next);
}

static size_t count_prefix(ex_schema *schema, const ex_parts *parts) {
    size_t longest = 0;
    for (size_t i = 0; i < parts->count; i++) {
        const ex_json *map = parts->items[i].schema, *prefix = ex_schema_keyword(map, "prefixItems");
        const ex_json *items = ex_schema_keyword(map, "items");
        if (prefix && prefix->kind != EX_JSON_LIST)
            ex_schema_fail(schema, map, "prefixItems", EX_ERROR_FORMAT, "a list of schemas is needed");
        else if (prefix && prefix->count > longest)
            longest = prefix->count;
        if (items && items->kind == EX_JSON_LIST)
            ex_schema_fail(schema, map, "items", EX_ERROR_UNSUPPORTED,
                           "a list of schemas is called prefixItems since 2020-12: rename it");
    }
    return longest;
}

static uint32_t minus(uint32_t count, size_t taken) {
    if (count == EX_UNLIMITED) return count;
    return count > taken ? count - (uint32_t)taken : 0;
}

typedef struct array {
    uint32_t min, max;
    size_t n_prefix;
    uint32_t closing;
} array;

/* Behind `taken` items. */
static uint32_t build_rest(ex_schema *schema, const ex_parts *parts, const array *a, size_t taken) {
    ex_builder *builder = &schema->builder;
    const uint32_t item = build_item(schema, parts, taken, true, EX_NODE_END);
    const uint32_t body = ex_build_range(builder, ',', ',', ex_schema_gap(schema, item));
    return ex_build_repeat(builder, body, minus(a->min, taken), minus(a->max, taken), a->closing);
}

uint32_t ex_schema_array(ex_schema *schema, const ex_parts *parts, uint32_t next) {
    ex_builder *builder = &schema->builder;
    array a = {.min = ex_schema_count(schema, parts, "minItems", true, 0),
               .max = ex_schema_count(schema, parts, "maxItems", false, EX_UNLIMITED),
               .n_prefix = count_prefix(schema, parts)};
    const uint32_t end = ex_build_range(builder, ']', ']', next);
    a.closing = ex_schema_gap(schema, end);
    if (a.n_prefix > a.max) a.n_prefix = a.max;
    const uint32_t empty = a.min == 0 ? end : EX_NODE_DEAD;
    if (a.max == 0) return ex_build_range(builder, '[', '[', empty);
    const size_t single = a.n_prefix > 0 ? a.n_prefix : 1; /* items that are built by themselves */
    uint32_t after = build_rest(schema, parts, &a, single);
    for (size_t at = single; at-- > 0 && builder->code == EX_OK;) {
        const uint32_t item = ex_schema_gap(schema, build_item(schema, parts, at, a.n_prefix == 0, after));
        if (at == 0) return ex_build_range(builder, '[', '[', ex_build_either(builder, item, empty));
        const uint32_t more = ex_build_range(builder, ',', ',', item);
        after = at >= a.min ? ex_build_either(builder, a.closing, more) : more;
    }
    return EX_NODE_DEAD;
}
