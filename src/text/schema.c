/* schema.c - schemas and what they refer to; alternatives; types. */
#include "text/schema.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"

/* ---- the parts of a value ---------------------------------------------------------------------------------------- */

typedef struct chain { /* of $ref: what is being followed */
    const ex_json *schema;
    const struct chain *before;
} chain;

static void add_part(ex_schema *schema, ex_parts *parts, const ex_json *added, const chain *before);

static const ex_part *find_part(const ex_parts *parts, const ex_json *map) {
    for (size_t i = 0; i < parts->count; i++)
        if (parts->items[i].schema == map) return &parts->items[i];
    return NULL;
}

static void fail_circle(ex_schema *schema, const ex_json *where) {
    ex_schema_fail(schema, where, NULL, EX_ERROR_FORMAT,
                   "what this refers to leads back here, and nothing is described on the way");
}

static void follow(ex_schema *schema, ex_parts *parts, const ex_json *map, const chain *before) {
    const ex_json *reference = ex_schema_keyword(map, "$ref"), *all = ex_schema_keyword(map, "allOf"), *item = NULL;
    const chain here = {map, before};
    if (reference) {
        const ex_json *target = ex_schema_resolve(schema, map, reference);
        parts->has_rule = true;
        if (target) add_part(schema, parts, target, &here);
    }
    if (all && all->kind != EX_JSON_LIST)
        ex_schema_fail(schema, map, "allOf", EX_ERROR_FORMAT, "a list of schemas is needed");
    while (all && all->kind == EX_JSON_LIST && (item = ex_json_next(all, item))) add_part(schema, parts, item, &here);
}

static void add_part(ex_schema *schema, ex_parts *parts, const ex_json *added, const chain *before) {
    if (schema->builder.code != EX_OK) return;
    if (added->kind == EX_JSON_BOOLEAN) {
        parts->is_never = parts->is_never || !added->as.boolean;
        return;
    }
    if (added->kind != EX_JSON_MAP) {
        ex_schema_fail(schema, added, NULL, EX_ERROR_FORMAT, "this is %s, and no schema",
                       ex_json_kind_name(added->kind));
        return;
    }
    for (const chain *c = before; c; c = c->before)
        if (c->schema == added) {
            fail_circle(schema, before->schema);
            return;
        }
    const ex_part *same = find_part(parts, added);
    if (same && (same->any_of_done || same->one_of_done)) fail_circle(schema, added);
    if (same || ex_schema_is_silent(added) || !ex_schema_check_keywords(schema, added)) return;
    if (parts->count == EX_SCHEMA_PARTS_MAX) {
        ex_schema_fail(schema, added, NULL, EX_ERROR_UNSUPPORTED,
                       "more than %d schemas are about one value: join some of them", (int)EX_SCHEMA_PARTS_MAX);
        return;
    }
    parts->items[parts->count++] = (ex_part){.schema = added};
    follow(schema, parts, added, before);
}

/* ---- rules ------------------------------------------------------------------------------------------------------- */

static bool same_parts(const ex_schema_rule *rule, const ex_parts *parts) {
    if (rule->n_parts != parts->count) return false;
    for (size_t i = 0; i < parts->count; i++) {
        const ex_part *a = &rule->parts[i], *b = &parts->items[i];
        if (a->schema != b->schema || a->any_of_done != b->any_of_done || a->one_of_done != b->one_of_done)
            return false;
    }
    return true;
}

static size_t find_rule(ex_schema *schema, const ex_parts *parts) {
    size_t index = 0;
    while (index < schema->n_rules && !same_parts(&schema->rules[index], parts)) index++;
    if (index < schema->n_rules || schema->builder.code != EX_OK) return index;
    if (index == EX_SCHEMA_RULES_MAX)
        return ex_schema_fail(schema, parts->items[0].schema, NULL, EX_ERROR_UNSUPPORTED,
                              "more than %d different schemas are referred to", (int)EX_SCHEMA_RULES_MAX);
    ex_schema_rule *rule = &schema->rules[index];
    rule->parts = ex_allocate(parts->count, sizeof *rule->parts);
    if (!rule->parts) return ex_build_fail(&schema->builder, ex_fail_memory(schema->error, "a grammar"));
    if (parts->count > 0) memcpy(rule->parts, parts->items, parts->count * sizeof *rule->parts);
    rule->n_parts = parts->count;
    schema->n_rules++;
    return index;
}

/* ---- values ------------------------------------------------------------------------------------------------------ */

static uint32_t build_value(ex_schema *schema, const ex_parts *parts, uint32_t next);

static uint32_t place_value(ex_schema *schema, const ex_parts *parts, uint32_t next) {
    if (parts->is_never || schema->builder.code != EX_OK) return EX_NODE_DEAD;
    if (!parts->has_rule && parts->count > 0) return build_value(schema, parts, next);
    return ex_build_call_rule(&schema->builder, find_rule(schema, parts), next);
}

uint32_t ex_schema_value(ex_schema *schema, const ex_json *const *schemas, size_t count, uint32_t next) {
    ex_parts parts = {.count = 0};
    for (size_t i = 0; i < count; i++) add_part(schema, &parts, schemas[i], NULL);
    return place_value(schema, &parts, next);
}

/* Constants among the alternatives are one enumeration, so that those that begin alike are read together. */
static bool is_constant(const ex_json *alternative) {
    const ex_json *constant = NULL;
    if (alternative->kind != EX_JSON_MAP) return false;
    for (const ex_json *member = NULL; (member = ex_json_next(alternative, member));) {
        if (ex_string_is(member->name, "const")) constant = member;
        else if (!ex_string_is(member->name, "title") && !ex_string_is(member->name, "description")) return false;
    }
    return constant != NULL;
}

static uint32_t build_constants(ex_schema *schema, const ex_json *list, uint32_t next) {
    const ex_json **values = ex_allocate(list->count, sizeof *values), *item = NULL;
    size_t count = 0;
    if (!values) return ex_build_fail(&schema->builder, ex_fail_memory(schema->error, "a grammar"));
    while ((item = ex_json_next(list, item)))
        if (is_constant(item)) values[count++] = ex_schema_keyword(item, "const");
    const uint32_t node = ex_schema_values(schema, values, count, next);
    free(values);
    return node;
}

/* `parts` without this list, and one of its alternatives in its place. */
static uint32_t build_alternatives(ex_schema *schema, const ex_parts *parts, const ex_json *list, uint32_t next) {
    const bool is_alone = parts->count == 1 && ex_schema_is_alone(parts->items[0].schema, list);
    uint32_t *targets = ex_allocate(list->count + 1, sizeof *targets);
    const ex_json *item = NULL;
    size_t count = 0;
    if (!targets) return ex_build_fail(&schema->builder, ex_fail_memory(schema->error, "a grammar"));
    if (is_alone) targets[count++] = build_constants(schema, list, next);
    while ((item = ex_json_next(list, item)) && schema->builder.code == EX_OK) {
        if (is_alone && is_constant(item)) continue;
        ex_parts with = *parts;
        with.has_rule = false;
        add_part(schema, &with, item, NULL);
        targets[count++] = place_value(schema, &with, next);
    }
    const uint32_t node = ex_build_fork(&schema->builder, targets, count);
    free(targets);
    return node;
}

static bool find_alternatives(ex_schema *schema, ex_parts *parts, const ex_json **list) {
    for (size_t i = 0; i < parts->count; i++) {
        ex_part *part = &parts->items[i];
        const ex_json *any = ex_schema_keyword(part->schema, "anyOf"), *one = ex_schema_keyword(part->schema, "oneOf");
        const bool use_any = any && !part->any_of_done, use_one = !use_any && one && !part->one_of_done;
        if (!use_any && !use_one) continue;
        part->any_of_done = part->any_of_done || use_any;
        part->one_of_done = part->one_of_done || use_one;
        *list = use_any ? any : one;
        if ((*list)->kind == EX_JSON_LIST && (*list)->count > 0) return true;
        ex_schema_fail(schema, *list, NULL, EX_ERROR_FORMAT, "a list of schemas is needed");
        return false;
    }
    return false;
}

static uint32_t build_types(ex_schema *schema, const ex_parts *parts, uint32_t next) {
    ex_builder *builder = &schema->builder;
    const unsigned types = ex_schema_types(schema, parts);
    uint32_t targets[7] = {EX_NODE_DEAD};
    size_t count = 0;
    if (types & EX_TYPE_OBJECT) targets[count++] = ex_schema_object(schema, parts, next);
    if (types & EX_TYPE_ARRAY) targets[count++] = ex_schema_array(schema, parts, next);
    if (types & EX_TYPE_STRING) targets[count++] = ex_schema_string(schema, parts, next);
    if (types & EX_TYPE_INTEGER) targets[count++] = ex_schema_number(schema, parts, !(types & EX_TYPE_FRACTION), next);
    if (types & EX_TYPE_BOOLEAN)
        targets[count++] =
            ex_build_either(builder, ex_build_text(builder, "true", next), ex_build_text(builder, "false", next));
    if (types & EX_TYPE_NULL) targets[count++] = ex_build_text(builder, "null", next);
    return ex_build_fork(builder, targets, count);
}

static uint32_t build_value(ex_schema *schema, const ex_parts *parts, uint32_t next) {
    if (schema->builder.code != EX_OK) return EX_NODE_DEAD;
    if (++schema->work > EX_SCHEMA_WORK_MAX)
        return ex_schema_fail(schema, schema->document.nodes, NULL, EX_ERROR_UNSUPPORTED,
                              "it describes more than %d values: alternatives of allOf and anyOf multiply",
                              (int)EX_SCHEMA_WORK_MAX);
    ex_parts left = *parts;
    const ex_json *list = NULL;
    if (find_alternatives(schema, &left, &list)) return build_alternatives(schema, &left, list, next);
    bool is_enumerated = false;
    const uint32_t node = ex_schema_enumeration(schema, parts, next, &is_enumerated);
    return is_enumerated ? node : build_types(schema, parts, next);
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

/* While rules are built, others are found. */
static void build_rules(ex_schema *schema) {
    for (size_t i = 0; i < schema->n_rules && schema->builder.code == EX_OK; i++) {
        ex_parts parts = {.count = schema->rules[i].n_parts};
        if (parts.count > 0) memcpy(parts.items, schema->rules[i].parts, parts.count * sizeof *parts.items);
        schema->starts[i] = build_value(schema, &parts, EX_NODE_END);
    }
    schema->builder.rules = schema->starts;
    schema->builder.n_rules = schema->n_rules;
}

/* The schema of the first rule that a node belongs to: a rule's nodes are made one after the other. */
static const ex_json *schema_at(const ex_schema *schema, uint32_t node) {
    const ex_json *found = schema->document.nodes;
    uint32_t nearest = UINT32_MAX;
    for (size_t i = 0; i < schema->n_rules; i++) {
        if (schema->rules[i].n_parts == 0 || schema->starts[i] < node || schema->starts[i] > nearest) continue;
        nearest = schema->starts[i];
        found = schema->rules[i].parts[0].schema;
    }
    return found;
}

static void report_fault(ex_schema *schema, ex_grammar_fault fault, uint32_t node) {
    const ex_json *where = schema_at(schema, node);
    switch (fault) {
    case EX_FAULT_EMPTY:
        ex_schema_fail(schema, schema->document.nodes, NULL, EX_ERROR_FORMAT,
                       "no value fits it, or none that is nested less than %d deep", (int)EX_GRAMMAR_DEPTH);
        return;
    case EX_FAULT_CIRCLE:
        ex_schema_fail(schema, where, NULL, EX_ERROR_FORMAT, "it is defined by itself, with nothing in between");
        return;
    case EX_FAULT_WIDE:
    case EX_FAULT_LONG:
        ex_schema_fail(schema, where, NULL, EX_ERROR_UNSUPPORTED,
                       "more than %d alternatives begin at one place: let enum list values, and objects differ in "
                       "their first property",
                       (int)EX_GRAMMAR_THREADS);
        return;
    case EX_FAULT_NONE:
        return;
    }
}

static void compile(ex_schema *schema) {
    ex_builder *builder = &schema->builder;
    const ex_parts anything = {.count = 0};
    const ex_json *document = schema->document.nodes;
    ex_schema_build_texts(schema);
    find_rule(schema, &anything);
    const uint32_t value = ex_schema_value(schema, &document, 1, EX_NODE_END);
    const ex_grammar_edge spaces[] = {{'\n', '\n', value}, {' ', ' ', value}};
    const uint32_t space = value == EX_NODE_DEAD ? EX_NODE_DEAD : ex_build_bytes(builder, spaces, 2);
    const uint32_t root = ex_build_either(builder, value, space);
    build_rules(schema);
    ex_grammar_fault fault = EX_FAULT_NONE;
    uint32_t where = root;
    const ex_code code = ex_grammar_check(builder, root, &fault, &where);
    if (code != EX_OK) ex_build_fail(builder, code);
    report_fault(schema, fault, where);
}

ex_code ex_grammar_from_schema(ex_grammar **out, const char *text, size_t length, ex_error *error) {
    *out = NULL;
    if (length > EX_SCHEMA_BYTES_MAX)
        return ex_fail(error, EX_ERROR_UNSUPPORTED, 0, "a schema of %zu bytes; at most %d", length,
                       (int)EX_SCHEMA_BYTES_MAX);
    ex_schema *schema = ex_allocate(1, sizeof *schema);
    if (!schema) return ex_fail_memory(error, "a grammar");
    schema->error = error;
    schema->source = text;
    ex_code code = ex_json_read(&schema->document, text, length, "schema", 0, error);
    if (code == EX_OK) code = ex_builder_open(&schema->builder, error);
    if (code == EX_OK) {
        compile(schema);
        code = schema->builder.code;
    }
    if (code == EX_OK) {
        *out = schema->builder.grammar;
        schema->builder.grammar = NULL;
    }
    ex_builder_close(&schema->builder);
    for (size_t i = 0; i < schema->n_rules; i++) free(schema->rules[i].parts);
    ex_json_free(&schema->document);
    free(schema);
    return code;
}
