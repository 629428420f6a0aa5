/* schema_keyword.c - the keywords of JSON Schema: which are known, what they are about, where they stand. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "text/schema.h"

/* ---- places ------------------------------------------------------------------------------------------------------ */

enum { PATH_MAX_BYTES = 200 };

typedef struct path {
    char text[PATH_MAX_BYTES];
    size_t length;
} path;

static void add_to_path(path *p, ex_string name) {
    if (p->length + name.length + 2 > sizeof p->text) return;
    p->text[p->length++] = '/';
    memcpy(p->text + p->length, name.data, name.length);
    p->length += name.length;
}

/* From the document's value down to the one that is meant, as a JSON pointer. */
static path path_of(const ex_schema *schema, const ex_json *where) {
    path p = {"#", 1};
    const ex_json *at = schema->document.nodes;
    while (at != where) {
        const ex_json *item = NULL;
        size_t index = 0;
        while ((item = ex_json_next(at, item)) && where >= item + item->n_nodes) index++;
        if (!item) break;
        char number[24];
        const int length = snprintf(number, sizeof number, "%zu", index);
        add_to_path(&p, at->kind == EX_JSON_MAP ? item->name : (ex_string){number, (size_t)length});
        at = item;
    }
    return p;
}

uint32_t ex_schema_fail(ex_schema *schema, const ex_json *where, const char *keyword, ex_code code, const char *format,
                        ...) {
    if (schema->builder.code != EX_OK) return EX_NODE_DEAD;
    path p = path_of(schema, where);
    if (keyword) add_to_path(&p, (ex_string){keyword, strlen(keyword)});
    char message[300];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    const ex_json *exact = keyword ? ex_schema_keyword(where, keyword) : NULL;
    return ex_build_fail(&schema->builder, ex_fail(schema->error, code, exact ? exact->offset : where->offset,
                                                   "schema %.*s: %s", (int)p.length, p.text, message));
}

/* ---- keywords ---------------------------------------------------------------------------------------------------- */

enum { NOTES = 0, LOGIC = 1 << 8, VALUES = 1 << 9, UNSUPPORTED = 1 << 10 };

/* The types of values that a keyword is about, or what kind it is. */
static const struct {
    const char *name;
    unsigned about;
} keywords[] = {
    {"type", LOGIC}, {"$ref", LOGIC}, {"allOf", LOGIC}, {"anyOf", LOGIC}, {"oneOf", LOGIC},
    {"enum", VALUES}, {"const", VALUES},
    {"properties", EX_TYPE_OBJECT}, {"required", EX_TYPE_OBJECT}, {"additionalProperties", EX_TYPE_OBJECT},
    {"items", EX_TYPE_ARRAY}, {"prefixItems", EX_TYPE_ARRAY}, {"minItems", EX_TYPE_ARRAY},
    {"maxItems", EX_TYPE_ARRAY},
    {"minLength", EX_TYPE_STRING}, {"maxLength", EX_TYPE_STRING}, {"pattern", EX_TYPE_STRING},
    {"minimum", EX_TYPE_NUMBER}, {"maximum", EX_TYPE_NUMBER}, {"exclusiveMinimum", EX_TYPE_NUMBER},
    {"exclusiveMaximum", EX_TYPE_NUMBER},
    {"title", NOTES}, {"description", NOTES}, {"default", NOTES}, {"examples", NOTES}, {"example", NOTES},
    {"format", NOTES}, {"$schema", NOTES}, {"$id", NOTES}, {"$comment", NOTES}, {"$anchor", NOTES},
    {"$defs", NOTES}, {"definitions", NOTES}, {"deprecated", NOTES}, {"readOnly", NOTES}, {"writeOnly", NOTES},
    {"contentEncoding", NOTES}, {"contentMediaType", NOTES}, {"discriminator", NOTES},
    {"not", UNSUPPORTED}, {"if", UNSUPPORTED}, {"then", UNSUPPORTED}, {"else", UNSUPPORTED},
    {"patternProperties", UNSUPPORTED}, {"propertyNames", UNSUPPORTED}, {"minProperties", UNSUPPORTED},
    {"maxProperties", UNSUPPORTED}, {"dependentRequired", UNSUPPORTED}, {"dependentSchemas", UNSUPPORTED},
    {"dependencies", UNSUPPORTED}, {"unevaluatedProperties", UNSUPPORTED}, {"unevaluatedItems", UNSUPPORTED},
    {"additionalItems", UNSUPPORTED}, {"contains", UNSUPPORTED}, {"minContains", UNSUPPORTED},
    {"maxContains", UNSUPPORTED}, {"uniqueItems", UNSUPPORTED}, {"multipleOf", UNSUPPORTED},
};

enum { KEYWORD_COUNT = sizeof keywords / sizeof *keywords };

static unsigned about(ex_string name) {
    if (name.length > 2 && memcmp(name.data, "x-", 2) == 0) return NOTES;
    for (size_t i = 0; i < KEYWORD_COUNT; i++)
        if (ex_string_is(name, keywords[i].name)) return keywords[i].about;
    return UNSUPPORTED;
}

/* As good as not there. */
static bool says_nothing(const ex_json *member) {
    return (ex_string_is(member->name, "uniqueItems") && member->kind == EX_JSON_BOOLEAN && !member->as.boolean) ||
           (ex_string_is(member->name, "minProperties") && member->kind == EX_JSON_INTEGER && !member->as.integer);
}

bool ex_schema_check_keywords(ex_schema *schema, const ex_json *map) {
    for (const ex_json *member = NULL; (member = ex_json_next(map, member));) {
        if (about(member->name) != UNSUPPORTED || says_nothing(member)) continue;
        ex_schema_fail(schema, member, NULL, EX_ERROR_UNSUPPORTED,
                       "the keyword is not supported; describe the value without it, and check the answer afterwards");
        return false;
    }
    return true;
}

bool ex_schema_is_alone(const ex_json *map, const ex_json *member) {
    for (const ex_json *other = NULL; (other = ex_json_next(map, other));)
        if (other != member && about(other->name) != NOTES) return false;
    return true;
}

bool ex_schema_is_silent(const ex_json *map) { return ex_schema_is_alone(map, NULL); }

const ex_json *ex_schema_keyword(const ex_json *map, const char *name) {
    if (map->kind != EX_JSON_MAP) return NULL;
    for (const ex_json *member = NULL; (member = ex_json_next(map, member));)
        if (ex_string_is(member->name, name)) return member;
    return NULL;
}

const char *ex_schema_constraint(const ex_parts *parts, unsigned types, const ex_json **where) {
    for (size_t i = 0; i < parts->count; i++)
        for (const ex_json *member = NULL; (member = ex_json_next(parts->items[i].schema, member));)
            for (size_t k = 0; k < KEYWORD_COUNT; k++)
                if ((keywords[k].about & types & EX_TYPE_ALL) && ex_string_is(member->name, keywords[k].name)) {
                    *where = parts->items[i].schema;
                    return keywords[k].name;
                }
    return NULL;
}

/* ---- types ------------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    unsigned types;
} type_names[] = {{"null", EX_TYPE_NULL},     {"boolean", EX_TYPE_BOOLEAN}, {"integer", EX_TYPE_INTEGER},
                  {"number", EX_TYPE_NUMBER}, {"string", EX_TYPE_STRING},   {"array", EX_TYPE_ARRAY},
                  {"object", EX_TYPE_OBJECT}};

static unsigned type_of_name(ex_schema *schema, const ex_json *map, const ex_json *name) {
    for (size_t i = 0; i < sizeof type_names / sizeof *type_names; i++)
        if (ex_json_is(name, type_names[i].name)) return type_names[i].types;
    ex_schema_fail(schema, map, "type", EX_ERROR_FORMAT,
                   "types are null, boolean, integer, number, string, array and object");
    return 0;
}

static unsigned types_of_part(ex_schema *schema, const ex_json *map, const ex_json *type) {
    unsigned types = 0;
    if (type->kind != EX_JSON_LIST) return type_of_name(schema, map, type);
    for (const ex_json *item = NULL; (item = ex_json_next(type, item));) types |= type_of_name(schema, map, item);
    return types;
}

unsigned ex_schema_types(ex_schema *schema, const ex_parts *parts) {
    unsigned types = EX_TYPE_ALL, implied = 0;
    bool is_given = false;
    for (size_t i = 0; i < parts->count; i++) {
        const ex_json *map = parts->items[i].schema, *type = ex_schema_keyword(map, "type");
        is_given = is_given || type;
        if (type) types &= types_of_part(schema, map, type);
        for (const ex_json *member = NULL; (member = ex_json_next(map, member));)
            implied |= about(member->name) & EX_TYPE_ALL;
    }
    return !is_given && implied ? implied : types;
}

/* ---- numbers ----------------------------------------------------------------------------------------------------- */

uint32_t ex_schema_count(ex_schema *schema, const ex_parts *parts, const char *keyword, bool largest, uint32_t none) {
    uint32_t result = none;
    bool is_found = false;
    for (size_t i = 0; i < parts->count; i++) {
        const ex_json *map = parts->items[i].schema, *count = ex_schema_keyword(map, keyword);
        if (!count) continue;
        if (count->kind != EX_JSON_INTEGER || count->as.integer < 0)
            return ex_schema_fail(schema, map, keyword, EX_ERROR_FORMAT, "a whole number from 0 on is needed");
        const bool is_huge = count->as.integer >= EX_UNLIMITED;
        if (is_huge && largest)
            return ex_schema_fail(schema, map, keyword, EX_ERROR_UNSUPPORTED, "at most %u", EX_UNLIMITED - 1);
        const uint32_t value = is_huge ? EX_UNLIMITED : (uint32_t)count->as.integer;
        if (!is_found || (largest ? value > result : value < result)) result = value;
        is_found = true;
    }
    return result;
}

/* ---- $ref -------------------------------------------------------------------------------------------------------- */

static int hex_of(char c) {
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    const char *found = c ? strchr(digits, c) : NULL;
    return found ? (int)(found - digits) & 15 : -1;
}

/* One step of a pointer, with %25, ~0 and ~1 undone; false when it is longer than any name has to be. */
static bool read_step(const char *text, size_t length, char *out, size_t size, size_t *n) {
    *n = 0;
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        if (c == '%' && i + 2 < length && hex_of(text[i + 1]) >= 0 && hex_of(text[i + 2]) >= 0) {
            c = (char)(hex_of(text[i + 1]) << 4 | hex_of(text[i + 2]));
            i += 2;
        }
        if (c == '~' && i + 1 < length && (text[i + 1] == '0' || text[i + 1] == '1')) c = text[++i] == '0' ? '~' : '/';
        if (*n == size) return false;
        out[(*n)++] = c;
    }
    return true;
}

static const ex_json *member_at(const ex_json *container, const char *name, size_t length) {
    size_t index = 0, wanted = 0;
    for (size_t i = 0; i < length && wanted < SIZE_MAX / 16; i++)
        wanted = name[i] >= '0' && name[i] <= '9' ? wanted * 10 + (size_t)(name[i] - '0') : SIZE_MAX / 16;
    if (container->kind != EX_JSON_MAP && container->kind != EX_JSON_LIST) return NULL;
    for (const ex_json *item = NULL; (item = ex_json_next(container, item)); index++) {
        if (container->kind == EX_JSON_LIST ? index == wanted && length > 0
                                            : item->name.length == length && memcmp(item->name.data, name, length) == 0)
            return item;
    }
    return NULL;
}

const ex_json *ex_schema_resolve(ex_schema *schema, const ex_json *map, const ex_json *reference) {
    const ex_json *at = schema->document.nodes;
    char step[256];
    size_t n;
    if (reference->kind != EX_JSON_TEXT) {
        ex_schema_fail(schema, map, "$ref", EX_ERROR_FORMAT, "a text is needed");
        return NULL;
    }
    const ex_string text = reference->as.text;
    if (text.length == 0 || text.data[0] != '#' || (text.length > 1 && text.data[1] != '/')) {
        ex_schema_fail(schema, map, "$ref", EX_ERROR_UNSUPPORTED,
                       "only places in the same schema can be referred to, such as #/$defs/name");
        return NULL;
    }
    for (size_t first = 2; at && first <= text.length && text.length > 1;) {
        size_t end = first;
        while (end < text.length && text.data[end] != '/') end++;
        at = read_step(text.data + first, end - first, step, sizeof step, &n) ? member_at(at, step, n) : NULL;
        first = end + 1;
    }
    if (!at)
        ex_schema_fail(schema, map, "$ref", EX_ERROR_FORMAT, "there is nothing at %.*s",
                       (int)(text.length < 100 ? text.length : 100), text.data);
    return at;
}
