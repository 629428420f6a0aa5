#include "grammar_support.h"

#include <math.h>
#include <regex.h>
#include <string.h>

ex_grammar *open_grammar(const char *schema) {
    ex_grammar *grammar;
    ex_error error;
    if (ex_grammar_from_schema(&grammar, schema, strlen(schema), &error) != EX_OK)
        fail_msg("%s: %s", schema, error.message);
    return grammar;
}

bool grammar_reads(const ex_grammar *grammar, const char *text, size_t length, size_t *n_read) {
    static ex_grammar_state states[2];
    size_t n = 0;
    ex_grammar_begin(grammar, &states[0]);
    while (n < length && ex_grammar_step(grammar, &states[n % 2], (uint8_t)text[n], &states[(n + 1) % 2])) n++;
    if (n_read) *n_read = n;
    return n == length && ex_grammar_is_complete(&states[n % 2]);
}

/* ---- random texts ------------------------------------------------------------------------------------------------ */

static size_t permitted_bytes(const ex_grammar *grammar, const ex_grammar_state *state, uint8_t bytes[256]) {
    static ex_grammar_state after;
    size_t count = 0;
    for (int byte = 0; byte < 256; byte++)
        if (ex_grammar_step(grammar, state, (uint8_t)byte, &after)) bytes[count++] = (uint8_t)byte;
    return count;
}

/* Letters are those that patterns of these tests wait for. */
static uint8_t choose(const uint8_t *bytes, size_t count, bool seeks_end, uint64_t *state) {
    static const char endings[] = "}]bcxz";
    if (memchr(bytes, '"', count) && random_between(state, 0, 1) < (seeks_end ? 0.95 : 0.2)) return '"';
    if (seeks_end && memchr(bytes, 'n', count) && !memchr(bytes, 'A', count)) return 'n'; /* null */
    const char ending = endings[(size_t)random_between(state, 0, sizeof endings - 1)];
    if (memchr(bytes, ending, count) && random_between(state, 0, 1) < (seeks_end ? 0.9 : 0.2)) return (uint8_t)ending;
    return bytes[(size_t)random_between(state, 0, (double)count)];
}

size_t grammar_walk(const ex_grammar *grammar, uint64_t *state, char text[GRAMMAR_TEXT_MAX]) {
    static ex_grammar_state states[2];
    uint8_t bytes[256];
    size_t length = 0;
    ex_grammar_begin(grammar, &states[0]);
    for (;; length++) {
        const ex_grammar_state *now = &states[length % 2];
        const size_t count = permitted_bytes(grammar, now, bytes);
        const bool is_complete = ex_grammar_is_complete(now), seeks_end = length > 150;
        if (is_complete && (count == 0 || seeks_end || random_between(state, 0, 1) < 0.1)) return length;
        if (count == 0 || length == GRAMMAR_TEXT_MAX) fail_msg("stuck behind %zu bytes: %.*s", length, 300, text);
        const uint8_t byte = choose(bytes, count, seeks_end, state);
        text[length] = (char)byte;
        assert_true(ex_grammar_step(grammar, now, byte, &states[(length + 1) % 2]));
    }
}

/* ---- an opinion -------------------------------------------------------------------------------------------------- */

static bool has_type(const json_t *value, const char *type) {
    if (strcmp(type, "null") == 0) return json_is_null(value);
    if (strcmp(type, "boolean") == 0) return json_is_boolean(value);
    if (strcmp(type, "integer") == 0) return json_is_integer(value);
    if (strcmp(type, "number") == 0) return json_is_number(value);
    if (strcmp(type, "string") == 0) return json_is_string(value);
    if (strcmp(type, "array") == 0) return json_is_array(value);
    return strcmp(type, "object") == 0 && json_is_object(value);
}

static bool fits_type(const json_t *value, const json_t *type) {
    size_t i;
    json_t *one;
    if (json_is_string(type)) return has_type(value, json_string_value(type));
    json_array_foreach(type, i, one) if (has_type(value, json_string_value(one))) return true;
    return !type;
}

static size_t count_characters(const json_t *text) {
    size_t count = 0;
    for (size_t i = 0; i < json_string_length(text); i++) count += (json_string_value(text)[i] & 0xC0) != 0x80;
    return count;
}

static bool fits_pattern(const json_t *value, const char *pattern) {
    regex_t expression;
    assert_int_equal(regcomp(&expression, pattern, REG_EXTENDED | REG_NOSUB), 0);
    const bool fits = regexec(&expression, json_string_value(value), 0, NULL, 0) == 0;
    regfree(&expression);
    return fits;
}

static double limit_of(const json_t *schema, const char *key, double none) {
    const json_t *limit = json_object_get(schema, key);
    return limit ? json_number_value(limit) : none;
}

static bool fits_limits(const json_t *value, const json_t *schema) {
    if (json_is_string(value)) {
        const double n = (double)count_characters(value);
        const json_t *pattern = json_object_get(schema, "pattern");
        if (pattern && !fits_pattern(value, json_string_value(pattern))) return false;
        return n >= limit_of(schema, "minLength", 0) && n <= limit_of(schema, "maxLength", INFINITY);
    }
    if (json_is_array(value)) {
        const double n = (double)json_array_size(value);
        return n >= limit_of(schema, "minItems", 0) && n <= limit_of(schema, "maxItems", INFINITY);
    }
    if (!json_is_number(value)) return true;
    const double number = json_number_value(value);
    return number >= limit_of(schema, "minimum", -INFINITY) && number <= limit_of(schema, "maximum", INFINITY) &&
           number > limit_of(schema, "exclusiveMinimum", -INFINITY) &&
           number < limit_of(schema, "exclusiveMaximum", INFINITY);
}

static bool fits_object(const json_t *value, const json_t *schema, const json_t *root) {
    const json_t *properties = json_object_get(schema, "properties");
    const json_t *more = json_object_get(schema, "additionalProperties");
    const char *name;
    json_t *member, *required;
    size_t i;
    json_array_foreach(json_object_get(schema, "required"), i, required)
        if (!json_object_get(value, json_string_value(required))) return false;
    json_object_foreach((json_t *)value, name, member) {
        const json_t *declared = json_object_get(properties, name);
        if (!declared) declared = more;
        if (declared && !value_fits(member, declared, root)) return false;
    }
    return true;
}

static bool fits_array(const json_t *value, const json_t *schema, const json_t *root) {
    const json_t *prefix = json_object_get(schema, "prefixItems"), *items = json_object_get(schema, "items");
    json_t *item;
    size_t i;
    json_array_foreach(value, i, item) {
        const json_t *declared = i < json_array_size(prefix) ? json_array_get(prefix, i) : items;
        if (declared && !value_fits(item, declared, root)) return false;
    }
    return true;
}

static size_t count_fitting(const json_t *value, const json_t *schemas, const json_t *root) {
    size_t i, count = 0;
    json_t *schema;
    json_array_foreach(schemas, i, schema) count += value_fits(value, schema, root);
    return count;
}

static bool fits_values(const json_t *value, const json_t *schema) {
    const json_t *list = json_object_get(schema, "enum"), *constant = json_object_get(schema, "const");
    size_t i;
    json_t *one;
    if (constant && !json_equal(value, constant)) return false;
    json_array_foreach(list, i, one) if (json_equal(value, one)) return true;
    return !list;
}

static bool fits_reference(const json_t *value, const json_t *schema, const json_t *root) {
    static const char prefix[] = "#/$defs/";
    const char *reference = json_string_value(json_object_get(schema, "$ref"));
    if (!reference) return true;
    if (strcmp(reference, "#") == 0) return value_fits(value, root, root);
    assert_memory_equal(reference, prefix, sizeof prefix - 1);
    const json_t *target = json_object_get(json_object_get(root, "$defs"), reference + sizeof prefix - 1);
    return value_fits(value, target, root);
}

bool value_fits(const json_t *value, const json_t *schema, const json_t *root) {
    if (json_is_boolean(schema)) return json_is_true(schema);
    const json_t *any = json_object_get(schema, "anyOf"), *one = json_object_get(schema, "oneOf");
    const json_t *all = json_object_get(schema, "allOf");
    if (!fits_type(value, json_object_get(schema, "type")) || !fits_limits(value, schema)) return false;
    if (!fits_values(value, schema) || !fits_reference(value, schema, root)) return false;
    if (any && count_fitting(value, any, root) == 0) return false;
    if (one && count_fitting(value, one, root) == 0) return false;
    if (all && count_fitting(value, all, root) < json_array_size(all)) return false;
    if (json_is_object(value) && !fits_object(value, schema, root)) return false;
    return !json_is_array(value) || fits_array(value, schema, root);
}

void check_answer(const char *schema_text, const char *text, size_t length) {
    json_error_t error;
    json_t *schema = json_loads(schema_text, JSON_DECODE_ANY, &error);
    if (!schema) fail_msg("%s: %s", schema_text, error.text);
    json_t *value = json_loadb(text, length, JSON_DECODE_ANY, &error);
    if (!value) fail_msg("%.*s is no JSON: %s; schema %s", (int)length, text, error.text, schema_text);
    if (!value_fits(value, schema, schema)) fail_msg("%.*s does not fit %s", (int)length, text, schema_text);
    json_decref(value);
    json_decref(schema);
}
