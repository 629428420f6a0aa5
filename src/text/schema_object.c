/* schema_object.c - objects: properties in the order of the schema, optional ones left out or not, then additional
 * ones. The tree of names (grammar.h) makes one reading of however many optional properties there are. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "text/schema.h"

typedef struct property {
    ex_string name;
    bool required;
} property;

typedef struct object {
    const ex_parts *parts;
    property *properties;
    size_t count, capacity;
    ex_literal *names;   /* [count] escaped, with the node behind each */
    uint32_t *required;  /* [count + 1] */
    char *text;          /* of the names */
    bool is_closed;      /* no additional properties */
    uint32_t closing;    /* white space and the brace */
    uint32_t root;       /* of the tree of names */
    uint32_t additional; /* behind the name of an additional property */
} object;

/* ---- what the parts say ------------------------------------------------------------------------------------------ */

static property *find_property(const object *o, ex_string name) {
    for (size_t i = 0; i < o->count; i++) {
        const ex_string other = o->properties[i].name;
        if (other.length == name.length && memcmp(other.data, name.data, name.length) == 0) return &o->properties[i];
    }
    return NULL;
}

static property *add_property(ex_schema *schema, object *o, const ex_json *map, ex_string name) {
    property *found = find_property(o, name);
    if (found) return found;
    if (o->count == EX_SCHEMA_PROPERTIES_MAX) {
        ex_schema_fail(schema, map, NULL, EX_ERROR_UNSUPPORTED, "more than %d properties",
                       (int)EX_SCHEMA_PROPERTIES_MAX);
        return NULL;
    }
    if (o->count == o->capacity) {
        const size_t capacity = 2 * o->capacity + 16;
        property *larger = realloc(o->properties, capacity * sizeof *larger);
        if (!larger) {
            ex_build_fail(&schema->builder, ex_fail_memory(schema->error, "a grammar"));
            return NULL;
        }
        o->properties = larger;
        o->capacity = capacity;
    }
    o->properties[o->count] = (property){.name = name};
    return &o->properties[o->count++];
}

static void gather_properties(ex_schema *schema, object *o, const ex_json *map) {
    const ex_json *properties = ex_schema_keyword(map, "properties"), *member = NULL;
    const ex_json *additional = ex_schema_keyword(map, "additionalProperties");
    if (properties && properties->kind != EX_JSON_MAP)
        ex_schema_fail(schema, map, "properties", EX_ERROR_FORMAT, "an object of schemas is needed");
    else
        while (properties && (member = ex_json_next(properties, member)))
            if (!add_property(schema, o, map, member->name)) return;
    if (additional && additional->kind == EX_JSON_BOOLEAN && !additional->as.boolean) o->is_closed = true;
}

static void gather_required(ex_schema *schema, object *o, const ex_json *map) {
    const ex_json *required = ex_schema_keyword(map, "required"), *item = NULL;
    bool is_list = required && required->kind == EX_JSON_LIST;
    while (is_list && (item = ex_json_next(required, item))) {
        is_list = item->kind == EX_JSON_TEXT;
        property *found = is_list ? add_property(schema, o, map, item->as.text) : NULL;
        if (found) found->required = true;
    }
    if (required && !is_list) ex_schema_fail(schema, map, "required", EX_ERROR_FORMAT, "a list of names is needed");
}

/* The value of a property, or of additional ones (`name` NULL). */
static uint32_t build_value(ex_schema *schema, const object *o, const ex_string *name, uint32_t next) {
    const ex_json *schemas[EX_SCHEMA_PARTS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < o->parts->count; i++) {
        const ex_json *map = o->parts->items[i].schema, *properties = ex_schema_keyword(map, "properties");
        const ex_json *found = NULL, *member = NULL;
        while (name && properties && !found && (member = ex_json_next(properties, member)))
            if (member->name.length == name->length && memcmp(member->name.data, name->data, name->length) == 0)
                found = member;
        if (!found) found = ex_schema_keyword(map, "additionalProperties");
        if (found) schemas[count++] = found;
    }
    return ex_schema_value(schema, schemas, count, next);
}

/* ---- nodes ------------------------------------------------------------------------------------------------------- */

/* Names as they are written, each with a node that is filled in when its value is built. */
static bool prepare_names(ex_schema *schema, object *o) {
    size_t n_bytes = 0;
    for (size_t i = 0; i < o->count; i++) n_bytes += 6 * o->properties[i].name.length;
    o->names = ex_allocate(o->count, sizeof *o->names);
    o->required = ex_allocate(o->count + 1, sizeof *o->required);
    o->text = ex_allocate(n_bytes, 1);
    if (!o->names || !o->required || !o->text) {
        ex_build_fail(&schema->builder, ex_fail_memory(schema->error, "a grammar"));
        return false;
    }
    char *at = o->text;
    for (size_t i = 0; i < o->count; i++) {
        const size_t length = ex_schema_escape(o->properties[i].name, at);
        o->names[i] = (ex_literal){at, length, ex_build_later(&schema->builder)};
        at += length;
    }
    o->required[o->count] = (uint32_t)o->count;
    for (size_t i = o->count; i-- > 0;)
        o->required[i] = o->properties[i].required ? (uint32_t)i : o->required[i + 1];
    return schema->builder.code == EX_OK;
}

static uint32_t build_additional_name(ex_schema *schema, const object *o) {
    if (o->is_closed) return EX_NODE_DEAD;
    const uint32_t name = ex_build_enter(&schema->builder, o->root, EX_ADDITIONAL);
    return ex_build_call(&schema->builder, name, o->additional);
}

/* A property from this position on, with white space before it. */
static uint32_t build_member(ex_schema *schema, const object *o, uint32_t position) {
    ex_builder *builder = &schema->builder;
    const bool is_free = position == EX_ADDITIONAL || o->required[position] == o->count;
    const uint32_t declared =
        position == EX_ADDITIONAL ? EX_NODE_DEAD : ex_build_enter(builder, o->root, position);
    const uint32_t additional = is_free ? build_additional_name(schema, o) : EX_NODE_DEAD;
    return ex_schema_gap(schema, ex_build_range(builder, '"', '"', ex_build_either(builder, declared, additional)));
}

static uint32_t build_after(ex_schema *schema, const object *o, uint32_t position) {
    ex_builder *builder = &schema->builder;
    const bool may_close = position == EX_ADDITIONAL || o->required[position] == o->count;
    const uint32_t more = ex_build_range(builder, ',', ',', build_member(schema, o, position));
    return ex_build_either(builder, may_close ? o->closing : EX_NODE_DEAD, more);
}

static void set_colon(ex_schema *schema, uint32_t node, uint32_t value) {
    if (value == EX_NODE_DEAD || schema->builder.code != EX_OK) return;
    const ex_grammar_edge colon = {':', ':', ex_schema_space(schema, value)};
    ex_build_set_bytes(&schema->builder, node, &colon, 1);
}

static uint32_t build_object(ex_schema *schema, object *o, uint32_t next) {
    ex_builder *builder = &schema->builder;
    const uint32_t end = ex_build_range(builder, '}', '}', next);
    o->closing = ex_schema_gap(schema, end);
    if (!prepare_names(schema, o)) return EX_NODE_DEAD;
    o->additional = ex_build_later(builder);
    o->root = ex_build_keys(builder, o->names, o->required, o->count,
                            o->is_closed ? EX_NODE_DEAD : schema->texts.rest);
    const uint32_t first = build_member(schema, o, 0);
    for (size_t i = 0; i < o->count && builder->code == EX_OK; i++) {
        const uint32_t after = build_after(schema, o, (uint32_t)i + 1);
        set_colon(schema, o->names[i].target, build_value(schema, o, &o->properties[i].name, after));
    }
    if (!o->is_closed)
        set_colon(schema, o->additional, build_value(schema, o, NULL, build_after(schema, o, EX_ADDITIONAL)));
    const uint32_t empty = o->required[0] == o->count ? end : EX_NODE_DEAD;
    return ex_build_range(builder, '{', '{', ex_build_either(builder, first, empty));
}

uint32_t ex_schema_object(ex_schema *schema, const ex_parts *parts, uint32_t next) {
    object o = {.parts = parts};
    uint32_t node = EX_NODE_DEAD;
    for (size_t i = 0; i < parts->count; i++) gather_properties(schema, &o, parts->items[i].schema);
    for (size_t i = 0; i < parts->count; i++) gather_required(schema, &o, parts->items[i].schema);
    if (schema->builder.code == EX_OK) node = build_object(schema, &o, next);
    free(o.properties);
    free(o.names);
    free(o.required);
    free(o.text);
    return node;
}
