/* schema_text.c - white space, and strings as JSON writes them: UTF-8, escapes, no control characters. White space is
 * what models write, and bounded everywhere. */
#include <string.h>

#include "base/text.h"
#include "text/schema.h"

/* ---- white space ------------------------------------------------------------------------------------------------- */

uint32_t ex_schema_space(ex_schema *schema, uint32_t next) {
    return ex_build_either(&schema->builder, next, ex_build_range(&schema->builder, ' ', ' ', next));
}

uint32_t ex_schema_gap(ex_schema *schema, uint32_t next) {
    ex_builder *builder = &schema->builder;
    if (next == EX_NODE_DEAD) return EX_NODE_DEAD;
    const uint32_t line = ex_build_repeat(builder, schema->texts.indent, 0, EX_SCHEMA_INDENT_MAX, next);
    const ex_grammar_edge edges[] = {{'\n', '\n', line}, {' ', ' ', next}};
    return ex_build_either(builder, next, ex_build_bytes(builder, edges, 2));
}

/* ---- characters -------------------------------------------------------------------------------------------------- */

size_t ex_schema_utf8_edges(ex_builder *builder, uint32_t next, ex_grammar_edge *edges) {
    const uint32_t last = ex_build_range(builder, 0x80, 0xBF, next);
    const uint32_t last_two = ex_build_range(builder, 0x80, 0xBF, last);
    const uint32_t last_three = ex_build_range(builder, 0x80, 0xBF, last_two);
    const ex_grammar_edge all[] = {
        {0xC2, 0xDF, last},
        {0xE0, 0xE0, ex_build_range(builder, 0xA0, 0xBF, last)}, /* not written too long */
        {0xE1, 0xEC, last_two},
        {0xED, 0xED, ex_build_range(builder, 0x80, 0x9F, last)}, /* no surrogates */
        {0xEE, 0xEF, last_two},
        {0xF0, 0xF0, ex_build_range(builder, 0x90, 0xBF, last_two)},
        {0xF1, 0xF3, last_three},
        {0xF4, 0xF4, ex_build_range(builder, 0x80, 0x8F, last_two)}};
    memcpy(edges, all, sizeof all);
    return sizeof all / sizeof *all;
}

static uint32_t hex(ex_builder *builder, uint32_t next) {
    const ex_grammar_edge edges[] = {{'0', '9', next}, {'A', 'F', next}, {'a', 'f', next}};
    return ex_build_bytes(builder, edges, 3);
}

static uint32_t hex_not_zero(ex_builder *builder, uint32_t zero, uint32_t other) {
    const ex_grammar_edge edges[] = {{'0', '0', zero}, {'1', '9', other}, {'A', 'F', other}, {'a', 'f', other}};
    return ex_build_bytes(builder, zero == EX_NODE_DEAD ? edges + 1 : edges, zero == EX_NODE_DEAD ? 3 : 4);
}

/* Behind \u: any character but zero, and those that need two units as a whole pair. */
static uint32_t unit(ex_builder *builder, uint32_t next) {
    const uint32_t one = hex(builder, next), two = hex(builder, one), three = hex(builder, two);
    const uint32_t zeros = hex_not_zero(builder, hex_not_zero(builder, hex_not_zero(builder, EX_NODE_DEAD, next), one),
                                        two);
    const ex_grammar_edge low[] = {{'C', 'F', two}, {'c', 'f', two}};
    const uint32_t low_unit = ex_build_bytes(builder, low, 2);
    const ex_grammar_edge letter[] = {{'D', 'D', low_unit}, {'d', 'd', low_unit}};
    const uint32_t pair = ex_build_text(builder, "\\u", ex_build_bytes(builder, letter, 2));
    const uint32_t high = hex(builder, hex(builder, pair));
    const ex_grammar_edge d[] = {{'0', '7', two}, {'8', '9', high}, {'A', 'B', high}, {'a', 'b', high}};
    const uint32_t after_d = ex_build_bytes(builder, d, 4);
    const ex_grammar_edge first[] = {{'0', '0', zeros}, {'1', '9', three},   {'A', 'C', three}, {'D', 'D', after_d},
                                     {'E', 'F', three}, {'a', 'c', three},   {'d', 'd', after_d}, {'e', 'f', three}};
    return ex_build_bytes(builder, first, sizeof first / sizeof *first);
}

static uint32_t escape(ex_builder *builder, uint32_t next) {
    const ex_grammar_edge edges[] = {{'"', '"', next}, {'/', '/', next},   {'\\', '\\', next},
                                     {'b', 'b', next}, {'f', 'f', next},   {'n', 'n', next},
                                     {'r', 'r', next}, {'t', 't', next},   {'u', 'u', unit(builder, next)}};
    return ex_build_bytes(builder, edges, sizeof edges / sizeof *edges);
}

/* A character goes on with `next`, a quote with `quoted`; dead ones are left out. */
static size_t character_edges(ex_builder *builder, uint32_t next, uint32_t quoted, bool escapes,
                              ex_grammar_edge *edges) {
    size_t count = 0;
    edges[count++] = (ex_grammar_edge){' ', '!', next};
    if (quoted != EX_NODE_DEAD) edges[count++] = (ex_grammar_edge){'"', '"', quoted};
    edges[count++] = (ex_grammar_edge){'#', '[', next};
    if (escapes) edges[count++] = (ex_grammar_edge){'\\', '\\', escape(builder, next)};
    edges[count++] = (ex_grammar_edge){']', 0x7F, next};
    return count + ex_schema_utf8_edges(builder, next, edges + count);
}

uint32_t ex_schema_character(ex_builder *builder, uint32_t next) {
    ex_grammar_edge edges[16];
    if (next == EX_NODE_DEAD) return EX_NODE_DEAD;
    return ex_build_bytes(builder, edges, character_edges(builder, next, EX_NODE_DEAD, true, edges));
}

/* Characters up to the quote. */
static uint32_t rest_of_text(ex_builder *builder, bool escapes) {
    ex_grammar_edge edges[16];
    const uint32_t inside = ex_build_later(builder);
    ex_build_set_bytes(builder, inside, edges, character_edges(builder, inside, EX_NODE_END, escapes, edges));
    ex_build_mark_plain(builder, inside, EX_PLAIN_STAY);
    return inside;
}

void ex_schema_build_texts(ex_schema *schema) {
    ex_builder *builder = &schema->builder;
    schema->texts.indent = ex_build_range(builder, ' ', ' ', EX_NODE_END);
    builder->lexical = true;
    schema->texts.inside = rest_of_text(builder, true);
    schema->texts.character = ex_schema_character(builder, EX_NODE_END);
    ex_build_mark_plain(builder, schema->texts.character, EX_PLAIN_END);
    schema->texts.rest = rest_of_text(builder, false);
    builder->lexical = false;
    schema->texts.any = ex_build_range(builder, '"', '"', schema->texts.inside);
}

size_t ex_schema_escape(ex_string text, char *out) {
    static const char letters[] = "\"\\nrtfb", values[] = "\"\\\n\r\t\f\b", digits[] = "0123456789abcdef";
    size_t length = 0;
    for (size_t i = 0; i < text.length; i++) {
        const unsigned char c = (unsigned char)text.data[i];
        const char *found = c ? strchr(values, c) : NULL;
        if (!found && c >= 0x20) {
            out[length++] = (char)c;
            continue;
        }
        out[length++] = '\\';
        if (found) {
            out[length++] = letters[found - values];
        } else {
            memcpy(out + length, "u00", 3);
            out[length + 3] = digits[c >> 4];
            out[length + 4] = digits[c & 15];
            length += 5;
        }
    }
    return length;
}

/* ---- strings ----------------------------------------------------------------------------------------------------- */

static uint32_t build_pattern(ex_schema *schema, const ex_json *where, const ex_parts *parts, uint32_t next) {
    const ex_json *pattern = ex_schema_keyword(where, "pattern"), *other = NULL;
    if (pattern->kind != EX_JSON_TEXT)
        return ex_schema_fail(schema, where, "pattern", EX_ERROR_FORMAT, "a text is needed");
    for (size_t i = 0; i < parts->count; i++) {
        const ex_json *map = parts->items[i].schema;
        const ex_json *same = map == where ? NULL : ex_schema_keyword(map, "pattern");
        if (same && !(same->kind == EX_JSON_TEXT && same->as.text.length == pattern->as.text.length &&
                      memcmp(same->as.text.data, pattern->as.text.data, same->as.text.length) == 0))
            other = map;
        if (ex_schema_keyword(map, "minLength") || ex_schema_keyword(map, "maxLength")) other = map;
    }
    if (other)
        return ex_schema_fail(schema, where, "pattern", EX_ERROR_UNSUPPORTED,
                              "together with minLength, maxLength or another pattern: put all into one pattern, such "
                              "as ^[a-z]{1,20}$");
    schema->builder.lexical = true;
    const uint32_t body = ex_schema_pattern(schema, where, pattern->as.text, EX_NODE_END);
    schema->builder.lexical = false;
    return ex_build_call(&schema->builder, body, next);
}

uint32_t ex_schema_string(ex_schema *schema, const ex_parts *parts, uint32_t next) {
    ex_builder *builder = &schema->builder;
    for (size_t i = 0; i < parts->count; i++)
        if (ex_schema_keyword(parts->items[i].schema, "pattern"))
            return build_pattern(schema, parts->items[i].schema, parts, next);
    const uint32_t min = ex_schema_count(schema, parts, "minLength", true, 0);
    const uint32_t max = ex_schema_count(schema, parts, "maxLength", false, EX_UNLIMITED);
    if (min == 0 && max == EX_UNLIMITED) return ex_build_call(builder, schema->texts.any, next);
    builder->lexical = true;
    const uint32_t quote = ex_build_range(builder, '"', '"', EX_NODE_END);
    const uint32_t inside = ex_build_repeat(builder, schema->texts.character, min, max, quote);
    builder->lexical = false;
    return ex_build_call(builder, ex_build_range(builder, '"', '"', inside), next);
}
