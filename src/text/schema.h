/* schema.h - from a JSON schema to a grammar: what the files of the compiler share.
 *
 * What a value may be is a list of schemas that all hold for it ("parts"): one that is written there, what its $ref and
 * allOf lead to, and the alternative of anyOf or oneOf that is tried. Keywords are read from all parts together. What a
 * $ref leads to becomes a rule, built once; everything else is built where it stands. */
#ifndef EX_TEXT_SCHEMA_H
#define EX_TEXT_SCHEMA_H

#include "base/json.h"
#include "text/grammar_build.h"

enum {
    EX_SCHEMA_BYTES_MAX = 1 << 20,
    EX_SCHEMA_PARTS_MAX = 32,
    EX_SCHEMA_RULES_MAX = 4096,
    EX_SCHEMA_PROPERTIES_MAX = 4096,
    EX_SCHEMA_WORK_MAX = 1 << 17, /* values that are built */
    EX_SCHEMA_INDENT_MAX = 40,    /* spaces after a line end */
    EX_SCHEMA_DIGITS_MAX = 18     /* of integers, and of fractions */
};

enum { /* types of values; an integer is also a number */
    EX_TYPE_NULL = 1,
    EX_TYPE_BOOLEAN = 2,
    EX_TYPE_INTEGER = 4,
    EX_TYPE_FRACTION = 8,
    EX_TYPE_STRING = 16,
    EX_TYPE_ARRAY = 32,
    EX_TYPE_OBJECT = 64,
    EX_TYPE_NUMBER = EX_TYPE_INTEGER | EX_TYPE_FRACTION,
    EX_TYPE_ALL = 127
};

typedef struct ex_part {
    const ex_json *schema; /* a map */
    bool any_of_done, one_of_done; /* an alternative of it is among the parts */
} ex_part;

typedef struct ex_parts {
    ex_part items[EX_SCHEMA_PARTS_MAX];
    size_t count;
    bool is_never;  /* nothing fits */
    bool has_rule;  /* a $ref led here */
} ex_parts;

typedef struct ex_schema_rule {
    ex_part *parts;
    size_t n_parts;
} ex_schema_rule;

typedef struct ex_texts { /* fragments that all strings share; each ends with EX_NODE_END */
    uint32_t any;       /* a string with its quotes */
    uint32_t inside;    /* any characters up to the closing quote, with it */
    uint32_t character; /* one character of a string, as it is written there */
    uint32_t rest;      /* of a name of an object, without escapes, with the closing quote */
    uint32_t indent;    /* a space */
} ex_texts;

typedef struct ex_schema {
    ex_builder builder;
    ex_json_document document;
    ex_schema_rule rules[EX_SCHEMA_RULES_MAX]; /* the first is any value */
    uint32_t starts[EX_SCHEMA_RULES_MAX];
    size_t n_rules, work;
    const char *source; /* the text of the schema */
    ex_texts texts;
    ex_error *error;
} ex_schema;

/* ---- schema.c ---- */

/* A value for which all these schemas hold. */
uint32_t ex_schema_value(ex_schema *schema, const ex_json *const *schemas, size_t count, uint32_t next);

/* ---- schema_keyword.c ---- */

/* Fails with the place in the schema, and the keyword if it is not NULL, before the message. */
uint32_t ex_schema_fail(ex_schema *schema, const ex_json *where, const char *keyword, ex_code code, const char *format,
                        ...) EX_PRINTF(5, 6);
/* All keywords of a schema are known; otherwise false after failing. */
bool ex_schema_check_keywords(ex_schema *schema, const ex_json *map);
/* Notes for people are all that it has; or all but this member. */
bool ex_schema_is_silent(const ex_json *map);
bool ex_schema_is_alone(const ex_json *map, const ex_json *member);
/* As ex_json_member, but null is a value like others. */
const ex_json *ex_schema_keyword(const ex_json *map, const char *name);
/* The types that all parts allow. Without the keyword `type`, those that other keywords are about. */
unsigned ex_schema_types(ex_schema *schema, const ex_parts *parts);
/* A keyword of some part that is about values of these types and no value by itself; NULL: none. `where` becomes the
 * part that has it. */
const char *ex_schema_constraint(const ex_parts *parts, unsigned types, const ex_json **where);
/* A count, such as minItems: the largest of all parts, or the smallest. `none` where no part has one. */
uint32_t ex_schema_count(ex_schema *schema, const ex_parts *parts, const char *keyword, bool largest, uint32_t none);
/* What `reference` points to, or NULL after failing. */
const ex_json *ex_schema_resolve(ex_schema *schema, const ex_json *map, const ex_json *reference);

/* ---- values ---- */

/* A space may come here; or a line end with spaces, too. */
uint32_t ex_schema_space(ex_schema *schema, uint32_t next);
uint32_t ex_schema_gap(ex_schema *schema, uint32_t next);
void ex_schema_build_texts(ex_schema *schema);
/* How text is written in UTF-8 from U+0080 on: puts edges at `edges` (room for 8) and returns how many. */
size_t ex_schema_utf8_edges(ex_builder *builder, uint32_t next, ex_grammar_edge *edges);

/* One character of a string. */
uint32_t ex_schema_character(ex_builder *builder, uint32_t next);

uint32_t ex_schema_string(ex_schema *schema, const ex_parts *parts, uint32_t next);
uint32_t ex_schema_pattern(ex_schema *schema, const ex_json *where, ex_string pattern, uint32_t next);
uint32_t ex_schema_number(ex_schema *schema, const ex_parts *parts, bool integer, uint32_t next);
uint32_t ex_schema_object(ex_schema *schema, const ex_parts *parts, uint32_t next);
uint32_t ex_schema_array(ex_schema *schema, const ex_parts *parts, uint32_t next);
/* The keywords enum and const. `found` says whether there are any. */
uint32_t ex_schema_enumeration(ex_schema *schema, const ex_parts *parts, uint32_t next, bool *found);
/* Any of these values, as JSON without white space. */
uint32_t ex_schema_values(ex_schema *schema, const ex_json *const *values, size_t count, uint32_t next);
/* A text as JSON writes it, without quotes: at most 6 times as long. */
size_t ex_schema_escape(ex_string text, char *out);

#endif
