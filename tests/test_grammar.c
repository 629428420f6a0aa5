/* test_grammar.c - JSON schemas as grammars, byte by byte: what each keyword lets through and what not, that random
 * texts which a grammar permits fit its schema in the opinion of somebody else, and schemas that want to do harm. */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "grammar_support.h"

/* ---- keywords ---------------------------------------------------------------------------------------------------- */

enum { TEXTS_MAX = 14 };

typedef struct schema_case {
    const char *schema;
    const char *accepted[TEXTS_MAX], *rejected[TEXTS_MAX];
} schema_case;

#define PERSON                                                                                                        \
    "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"},\"age\":{\"type\":\"integer\"}},"            \
    "\"required\":[\"name\"],\"additionalProperties\":false}"

static const schema_case cases[] = {
    {"{}",
     {"null", "true", "false", "0", "-0.5", "12.75e-3", "\"\"", "[]", "{}", "{\"a\": [1, {\"b\":null}]}", " 1", "\n[]"},
     {"", "nul", "01", "1.", ".5", "+1", "[1,]", "{\"a\"}", "{a:1}", "1 ", "  1", "[]]", "'a'"}},
    {"true", {"1", "[null]"}, {"x"}},
    {"{\"type\":\"null\"}", {"null"}, {"0", "nulll"}},
    {"{\"type\":\"boolean\"}", {"true", "false"}, {"null", "True"}},
    {"{\"type\":[\"string\",\"null\"]}", {"\"a\"", "null"}, {"1", "[]"}},
    /* strings: UTF-8, escapes, no control characters */
    {"{\"type\":\"string\"}",
     {"\"\"", "\"a b\"", "\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\"", "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\u00e9\"",
      "\"\\uD83D\\uDE00\"", "\"\x7F\""},
     {"\"", "\"\n\"", "\"\\x\"", "\"\\u12\"", "\"\\uD83D\"", "\"\\uDE00\"", "\"\\u0000\"", "\"\xC3\"", "\"\xC0\xAF\"",
      "\"\xED\xA0\x80\"", "\"\xF5\x80\x80\x80\"", "a"}},
    {"{\"type\":\"string\",\"minLength\":2,\"maxLength\":3}",
     {"\"ab\"", "\"abc\"", "\"\xC3\xA9\xC3\xA8\"", "\"\\n\\u00e9\"", "\"\\uD83D\\uDE00x\""},
     {"\"\"", "\"a\"", "\"abcd\"", "\"\\uD83D\\uDE00\""}},
    {"{\"type\":\"string\",\"minLength\":2}", {"\"ab\"", "\"abcdefgh\""}, {"\"a\""}},
    /* patterns */
    {"{\"type\":\"string\",\"pattern\":\"^[A-Z]{2}-\\\\d{1,4}(x|yz)?$\"}",
     {"\"AB-1\"", "\"AB-1234\"", "\"AB-1x\"", "\"AB-12yz\""},
     {"\"A-1\"", "\"AB-\"", "\"AB-12345\"", "\"AB-1y\"", "\"ab-1\"", "\" AB-1\""}},
    {"{\"type\":\"string\",\"pattern\":\"b+\"}", {"\"b\"", "\"abba\"", "\"\xC3\xA9" "b\\n\""}, {"\"\"", "\"aca\""}},
    {"{\"type\":\"string\",\"pattern\":\"^(a|b)*$|c$\"}", {"\"\"", "\"abab\"", "\"xc\""}, {"\"abx\"", "\"cx\""}},
    {"{\"type\":\"string\",\"pattern\":\"^[^a-y\\\"]+$\"}",
     {"\"z\"", "\"\xC3\xA9\"", "\"\\\\\""},
     {"\"a\"", "\"\\\"\""}},
    {"{\"type\":\"string\",\"pattern\":\"^[\xD0\xB0-\xD1\x8F]{2,}$\"}",
     {"\"\xD0\xB0\xD1\x8F\""},
     {"\"\xD0\xB0\"", "\"\xD0\x90\xD0\xB0\"", "\"ab\""}},
    {"{\"type\":\"string\",\"pattern\":\"^\\\\w+@\\\\w+\\\\.(?:com|org)$\"}",
     {"\"a_1@b.com\"", "\"x@y.org\""},
     {"\"@b.com\"", "\"a@b.net\"", "\"a b@c.com\""}},
    {"{\"type\":\"string\",\"pattern\":\"^a\\\\tb\\\\\\\\.$\"}", {"\"a\\tb\\\\x\""}, {"\"a\tb\\\\x\"", "\"a\\tbx\""}},
    /* numbers */
    {"{\"type\":\"integer\"}", {"0", "-1", "123456789012345678"}, {"1.0", "1e3", "-0", "00", "1234567890123456789"}},
    {"{\"type\":\"number\"}", {"0", "-0", "0.5", "-1.25E+10", "1e3"}, {"1e", "1.e3", "--1", "1e123"}},
    {"{\"type\":\"integer\",\"minimum\":-15,\"maximum\":107}",
     {"-15", "-9", "-1", "0", "9", "10", "99", "100", "107"},
     {"-16", "-20", "-100", "108", "110", "200", "1000"}},
    {"{\"type\":\"integer\",\"exclusiveMinimum\":9,\"exclusiveMaximum\":12.5}", {"10", "12"}, {"9", "13", "1"}},
    {"{\"type\":\"integer\",\"minimum\":250}", {"250", "999", "1000"}, {"249", "25", "-250"}},
    {"{\"type\":\"integer\",\"maximum\":-3}", {"-3", "-10"}, {"-2", "0", "3"}},
    {"{\"type\":\"number\",\"minimum\":0,\"maximum\":1}", {"0", "0.75", "1"}, {"-0.1", "1.1", "2", "1e1"}},
    {"{\"type\":\"number\",\"exclusiveMinimum\":0,\"exclusiveMaximum\":1}", {"0.01"}, {"0", "0.0", "1", "0.000"}},
    {"{\"type\":\"number\",\"minimum\":-2,\"exclusiveMaximum\":10}", {"-2", "-1.9", "-0.5", "9.99"}, {"-2.1", "10"}},
    /* enumerations */
    {"{\"enum\":[\"a\",\"ab\",1,12,null,{\"x\":[1,2]},\"\\u00e9\\n\"]}",
     {"\"a\"", "\"ab\"", "1", "12", "null", "{\"x\":[1,2]}", "\"\xC3\xA9\\n\""},
     {"\"b\"", "\"abc\"", "2", "123", "{\"x\":[1]}"}},
    {"{\"const\":null}", {"null"}, {"0"}},
    {"{\"type\":\"string\",\"enum\":[\"a\",1]}", {"\"a\""}, {"1"}},
    {"{\"allOf\":[{\"enum\":[1,2,3]},{\"enum\":[2,3,4]}]}", {"2", "3"}, {"1", "4"}},
    /* objects */
    {PERSON,
     {"{\"name\":\"x\"}", "{\"name\": \"x\", \"age\": 3}", "{ \"name\":\"x\" }",
      "{\n  \"name\": \"x\",\n  \"age\": 3\n}"},
     {"{}", "{\"age\":3}", "{\"name\":\"x\",\"b\":1}", "{\"age\":3,\"name\":\"x\"}", "{\"name\":1}",
      "{\"name\":\"x\",}",
      "{\"name\" :\"x\"}", "{\"name\":  \"x\"}"}},
    {"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"null\"},\"ab\":{\"type\":\"null\"},"
     "\"b\":{\"type\":\"null\"}}}",
     {"{}", "{\"a\":null}", "{\"ab\":null,\"b\":null}", "{\"a\":null,\"x\":1,\"abc\":[]}", "{\"x\":1,\"y\":2}"},
     {"{\"b\":null,\"a\":null}", "{\"a\":1}", "{\"x\":1,\"a\":null}", "{\"a\":null,\"a\":null}", "{\"\\u0061\":1}"}},
    {"{\"type\":\"object\",\"additionalProperties\":{\"type\":\"integer\"}}",
     {"{}", "{\"x\":1,\"y\":2}"},
     {"{\"x\":\"1\"}"}},
    {"{\"type\":\"object\",\"required\":[\"z\"],\"properties\":{\"q\\\"\\n\":{\"const\":1}}}",
     {"{\"q\\\"\\n\":1,\"z\":2}", "{\"z\":{}}"},
     {"{\"q\\\"\\n\":1}", "{}"}},
    {"{\"properties\":{\"a\":true}}", {"{\"a\":1}", "{}"}, {"1", "[]"}},
    /* arrays */
    {"{\"type\":\"array\",\"items\":{\"type\":\"integer\"},\"minItems\":1,\"maxItems\":3}",
     {"[1]", "[1,2]", "[1, 2, 3]", "[\n  1,\n  2\n]"},
     {"[]", "[1,2,3,4]", "[null]", "[,1]"}},
    {"{\"prefixItems\":[{\"type\":\"integer\"},{\"type\":\"null\"}],\"items\":{\"type\":\"string\"},\"maxItems\":4}",
     {"[]", "[1]", "[1,null]", "[1,null,\"a\",\"b\"]"},
     {"[null]", "[1,2]", "[1,null,3]", "[1,null,\"a\",\"b\",\"c\"]"}},
    {"{\"prefixItems\":[true],\"items\":false,\"minItems\":1}", {"[1]", "[[]]"}, {"[]", "[1,2]"}},
    {"{\"type\":\"array\",\"maxItems\":0}", {"[]"}, {"[1]"}},
    {"{\"type\":\"array\",\"maxItems\":1000000000,\"items\":{\"const\":1}}", {"[]", "[1,1,1]"}, {"[2]"}},
    /* alternatives, conjunctions, references */
    {"{\"anyOf\":[" PERSON ",{\"type\":\"integer\"},{\"const\":\"none\"}]}",
     {"{\"name\":\"x\"}", "7", "\"none\""},
     {"\"nobody\"", "null"}},
    {"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"},\"b\":{\"type\":\"integer\"}},"
     "\"oneOf\":[{\"required\":[\"a\"]},{\"required\":[\"b\"]}],\"additionalProperties\":false}",
     {"{\"a\":1}", "{\"b\":1}", "{\"a\":1,\"b\":2}"},
     {"{}"}},
    {"{\"allOf\":[{\"properties\":{\"a\":{\"type\":\"integer\"}},\"required\":[\"a\"]},{\"properties\":"
     "{\"a\":{\"minimum\":3},\"b\":{\"type\":\"boolean\"}},\"additionalProperties\":false}]}",
     {"{\"a\":3}", "{\"a\":4,\"b\":true}"},
     {"{\"a\":2}", "{\"b\":true}", "{\"a\":3,\"c\":1}"}},
    {"{\"$defs\":{\"node\":{\"type\":\"object\",\"properties\":{\"v\":{\"type\":\"integer\"},\"next\":{\"anyOf\":["
     "{\"$ref\":\"#/$defs/node\"},{\"type\":\"null\"}]}},\"required\":[\"v\",\"next\"],"
     "\"additionalProperties\":false}},"
     "\"$ref\":\"#/$defs/node\"}",
     {"{\"v\":1,\"next\":null}", "{\"v\":1,\"next\":{\"v\":2,\"next\":null}}"},
     {"{\"v\":1}", "{\"v\":1,\"next\":1}"}},
    {"{\"type\":\"array\",\"items\":{\"$ref\":\"#\"}}", {"[]", "[[],[[]]]"}, {"[1]"}},
    {"{\"definitions\":{\"a/b\":{\"const\":1}},\"$ref\":\"#/definitions/a~1b\"}", {"1"}, {"2"}},
    {"{\"title\":\"t\",\"description\":\"d\",\"default\":1,\"examples\":[],\"format\":\"email\",\"x-any\":{},"
     "\"type\":\"string\",\"uniqueItems\":false}",
     {"\"a\""},
     {"1"}},
};

static void test_keywords(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ex_grammar *grammar = open_grammar(cases[i].schema);
        size_t n;
        for (size_t k = 0; k < TEXTS_MAX && cases[i].accepted[k]; k++)
            if (!grammar_reads(grammar, cases[i].accepted[k], strlen(cases[i].accepted[k]), &n))
                fail_msg("%s: %s is not read beyond byte %zu", cases[i].schema, cases[i].accepted[k], n);
        for (size_t k = 0; k < TEXTS_MAX && cases[i].rejected[k]; k++)
            if (grammar_reads(grammar, cases[i].rejected[k], strlen(cases[i].rejected[k]), NULL))
                fail_msg("%s: %s is read", cases[i].schema, cases[i].rejected[k]);
        ex_grammar_close(grammar);
    }
}

/* White space is bounded: nobody can write it for ever. */
static void test_space_ends(void **state) {
    (void)state;
    char text[400] = "[\n";
    ex_grammar *grammar = open_grammar("{}");
    size_t n;
    memset(text + 2, ' ', 200);
    assert_false(grammar_reads(grammar, text, 202, &n));
    assert_in_range(n, 20, 60);
    ex_grammar_close(grammar);
}

/* ---- errors ------------------------------------------------------------------------------------------------------ */

static const struct {
    const char *schema;
    ex_code code;
    const char *says;
} faults[] = {
    {"", EX_ERROR_FORMAT, "schema"},
    {"{", EX_ERROR_FORMAT, "byte 1"},
    {"7", EX_ERROR_FORMAT, "an integer"},
    {"{\"type\":\"text\"}", EX_ERROR_FORMAT, "#/type"},
    {"{\"properties\":{\"x\":{\"not\":{}}}}", EX_ERROR_UNSUPPORTED, "#/properties/x/not"},
    {"{\"items\":{\"patternProperties\":{}}}", EX_ERROR_UNSUPPORTED, "#/items/patternProperties"},
    {"{\"uniqueItems\":true}", EX_ERROR_UNSUPPORTED, "#/uniqueItems"},
    {"{\"multipleOf\":2}", EX_ERROR_UNSUPPORTED, "#/multipleOf"},
    {"{\"if\":{}}", EX_ERROR_UNSUPPORTED, "#/if"},
    {"{\"unheardOf\":1}", EX_ERROR_UNSUPPORTED, "#/unheardOf"},
    {"{\"minItems\":-1}", EX_ERROR_FORMAT, "#/minItems"},
    {"{\"minLength\":\"a\"}", EX_ERROR_FORMAT, "#/minLength"},
    {"{\"required\":[1]}", EX_ERROR_FORMAT, "#/required"},
    {"{\"enum\":1}", EX_ERROR_FORMAT, "#/enum"},
    {"{\"anyOf\":[]}", EX_ERROR_FORMAT, "#/anyOf"},
    {"{\"items\":[{}]}", EX_ERROR_UNSUPPORTED, "prefixItems"},
    {"{\"minimum\":0.5,\"type\":\"number\"}", EX_ERROR_UNSUPPORTED, "whole"},
    {"{\"$ref\":\"http://example.org/s\"}", EX_ERROR_UNSUPPORTED, "#/$ref"},
    {"{\"$ref\":\"#/$defs/none\"}", EX_ERROR_FORMAT, "nothing at #/$defs/none"},
    {"{\"pattern\":\"(?=a)\"}", EX_ERROR_UNSUPPORTED, "#/pattern"},
    {"{\"pattern\":\"(a\"}", EX_ERROR_UNSUPPORTED, "without its end"},
    {"{\"pattern\":\"a\\\\b\"}", EX_ERROR_UNSUPPORTED, "escape"},
    {"{\"pattern\":\"(a)\\\\1\"}", EX_ERROR_UNSUPPORTED, "escape"},
    {"{\"pattern\":\"(a*)*\"}", EX_ERROR_UNSUPPORTED, "empty"},
    {"{\"pattern\":\"a\",\"maxLength\":3}", EX_ERROR_UNSUPPORTED, "one pattern"},
    {"{\"enum\":[\"a\"],\"minLength\":3}", EX_ERROR_UNSUPPORTED, "#/minLength"},
    /* nothing fits */
    {"false", EX_ERROR_FORMAT, "no value"},
    {"{\"enum\":[]}", EX_ERROR_FORMAT, "no value"},
    {"{\"type\":\"array\",\"items\":false,\"minItems\":1}", EX_ERROR_FORMAT, "no value"},
    {"{\"allOf\":[{\"type\":\"string\"},{\"type\":\"integer\"}]}", EX_ERROR_FORMAT, "no value"},
    {"{\"type\":\"object\",\"properties\":{\"x\":{\"$ref\":\"#\"}},\"required\":[\"x\"]}", EX_ERROR_FORMAT, "no value"},
    /* circles */
    {"{\"$ref\":\"#\"}", EX_ERROR_FORMAT, "leads back"},
    {"{\"$ref\":\"#/$defs/a\",\"$defs\":{\"a\":{\"$ref\":\"#/$defs/b\"},\"b\":{\"$ref\":\"#/$defs/a\"}}}",
     EX_ERROR_FORMAT, "leads back"},
    {"{\"$ref\":\"#/$defs/a\",\"$defs\":{\"a\":{\"anyOf\":[{\"$ref\":\"#/$defs/a\"},{\"type\":\"null\"}]}}}",
     EX_ERROR_FORMAT, "leads back"},
    {"{\"$ref\":\"#/$defs/a\",\"$defs\":{\"a\":{\"allOf\":[{\"$ref\":\"#/$defs/a\"}]}}}",
     EX_ERROR_FORMAT, "leads back"},
};

static void test_errors(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        ex_grammar *grammar = (ex_grammar *)faults;
        ex_error error = {0};
        ex_code code = ex_grammar_from_schema(&grammar, faults[i].schema, strlen(faults[i].schema), &error);
        if (code != faults[i].code || !strstr(error.message, faults[i].says))
            fail_msg("%s: %d %s; not %d with %s", faults[i].schema, code, error.message, faults[i].code,
                     faults[i].says);
        assert_null(grammar);
    }
}

/* ---- harm -------------------------------------------------------------------------------------------------------- */

static void check_refused(const char *schema, size_t length, const char *says) {
    ex_grammar *grammar;
    ex_error error;
    assert_int_not_equal(ex_grammar_from_schema(&grammar, schema, length, &error), EX_OK);
    if (!strstr(error.message, says)) fail_msg("\"%s\" does not say %s", error.message, says);
}

static size_t repeat(char *out, const char *text, size_t count, size_t length) {
    for (size_t i = 0; i < count; i++) {
        memcpy(out + length, text, strlen(text));
        length += strlen(text);
    }
    return length;
}

static void test_harmful(void **state) {
    (void)state;
    enum { SIZE = 1100000 };
    char *text = malloc(SIZE);
    assert_non_null(text);
    size_t length = repeat(text, "{\"items\":", 1000, 0);
    length = repeat(text, "{}", 1, length);
    length = repeat(text, "}", 1000, length);
    check_refused(text, length, "too deep");

    memset(text, ' ', SIZE);
    check_refused(text, SIZE, "at most");

    length = repeat(text, "{\"enum\":[\"", 1, 0);
    for (size_t i = 0; i < 20000; i++) length += (size_t)sprintf(text + length, "%zu a value that is long\",\"", i);
    length = repeat(text, "\"]}", 1, length);
    check_refused(text, length, "states");

    /* alternatives multiply: 4 to the 12th */
    length = repeat(text, "{\"allOf\":[", 1, 0);
    for (size_t i = 0; i < 12; i++)
        length = repeat(text, "{\"anyOf\":[{\"type\":\"null\"},{\"type\":\"string\"},{\"minimum\":3},true]},", 1,
                        length);
    length = repeat(text, "true]}", 1, length);
    check_refused(text, length, "multiply");

    /* more alternatives than can be followed */
    length = repeat(text, "{\"anyOf\":[", 1, 0);
    length = repeat(text, "{\"type\":\"array\",\"items\":{\"const\":1}},", 100, length);
    length = repeat(text, "true]}", 1, length);
    check_refused(text, length, "alternatives begin");

    length = repeat(text, "{\"pattern\":\"^", 1, 0);
    length = repeat(text, "a?", 1500, length);
    length = repeat(text, "$\"}", 1, length);
    check_refused(text, length, "alternatives begin");
    free(text);
}

static void test_large(void **state) {
    (void)state;
    enum { SIZE = 600000, PROPERTIES = 1500 };
    char *text = malloc(SIZE);
    assert_non_null(text);
    size_t length = repeat(text, "{\"type\":\"object\",\"properties\":{", 1, 0);
    for (size_t i = 0; i < PROPERTIES; i++)
        length += (size_t)snprintf(text + length, SIZE - length, "%s\"p%zu\":{\"type\":\"null\"}", i ? "," : "", i);
    length = repeat(text, "},\"additionalProperties\":false}", 1, length);
    text[length] = 0;
    ex_grammar *grammar = open_grammar(text);
    assert_true(grammar_reads(grammar, "{\"p1499\":null}", 14, NULL));
    assert_true(grammar_reads(grammar, "{\"p7\":null,\"p900\":null}", 23, NULL));
    assert_false(grammar_reads(grammar, "{\"p9\":null,\"p8\":null}", 21, NULL));
    assert_false(grammar_reads(grammar, "{\"p1500\":null}", 14, NULL));
    ex_grammar_close(grammar);
    free(text);

    /* exponential for whoever goes back: (a|a)*b and nested counts */
    grammar = open_grammar("{\"pattern\":\"^(a|a|aa|a{2,1000000})*b$\"}");
    char many[3002];
    memset(many, 'a', sizeof many);
    many[0] = '"';
    size_t n;
    grammar_reads(grammar, many, sizeof many, &n);
    assert_int_equal(n, sizeof many);
    ex_grammar_close(grammar);
}

/* Deeper than the stack, there is nothing to begin; what was begun can still be finished. */
static void test_depth(void **state) {
    (void)state;
    char text[3 * EX_GRAMMAR_DEPTH + 4];
    size_t n;
    ex_grammar *grammar = open_grammar("{}");
    memset(text, '[', sizeof text);
    assert_false(grammar_reads(grammar, text, sizeof text, &n));
    assert_in_range(n, EX_GRAMMAR_DEPTH / 2, EX_GRAMMAR_DEPTH);
    memset(text + n, ']', n);
    assert_true(grammar_reads(grammar, text, 2 * n, NULL));
    ex_grammar_close(grammar);
}

/* ---- random texts ------------------------------------------------------------------------------------------------ */

static void test_walks(void **state) {
    (void)state;
    uint64_t random = 11;
    static char text[GRAMMAR_TEXT_MAX];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (strstr(cases[i].schema, "\\\\") || strstr(cases[i].schema, "definitions")) continue;
        if (strstr(cases[i].schema, "\xD0")) continue; /* ranges of letters depend on the system's locale */
        ex_grammar *grammar = open_grammar(cases[i].schema);
        for (int k = 0; k < 40; k++) check_answer(cases[i].schema, text, grammar_walk(grammar, &random, text));
        ex_grammar_close(grammar);
    }
}

typedef struct writer {
    char text[60000];
    size_t length;
    uint64_t *random;
} writer;

static size_t draw(writer *w, size_t n) { return (size_t)random_between(w->random, 0, (double)n); }

static void put(writer *w, const char *format, ...) EX_PRINTF(2, 3);

static void put(writer *w, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    w->length += (size_t)vsnprintf(w->text + w->length, sizeof w->text - w->length, format, arguments);
    va_end(arguments);
    assert_true(w->length < sizeof w->text);
}

static void put_schema(writer *w, int depth);

static void put_object(writer *w, int depth) {
    static const char *const names[] = {"a", "ab", "abc", "b", "\xC3\xA9", "n\\n", "name", "x y"};
    const char *separator = "";
    unsigned declared = (unsigned)draw(w, 256);
    put(w, "{\"type\":\"object\",\"properties\":{");
    for (size_t i = 0; i < 8; i++) {
        if (!(declared >> i & 1)) continue;
        put(w, "%s\"%s\":", separator, names[i]);
        put_schema(w, depth - 1);
        separator = ",";
    }
    put(w, "},\"required\":[");
    separator = "";
    for (size_t i = 0; i < 8; i++) {
        if (!(declared >> i & 1) || draw(w, 2)) continue;
        put(w, "%s\"%s\"", separator, names[i]);
        separator = ",";
    }
    put(w, "]");
    if (draw(w, 2)) put(w, ",\"additionalProperties\":%s", draw(w, 2) ? "false" : "{\"type\":\"integer\"}");
    put(w, "}");
}

static void put_array(writer *w, int depth) {
    put(w, "{\"type\":\"array\",\"minItems\":%zu,\"maxItems\":%zu,\"items\":", draw(w, 3), 3 + draw(w, 3));
    put_schema(w, depth - 1);
    if (draw(w, 3) == 0) {
        put(w, ",\"prefixItems\":[");
        put_schema(w, depth - 1);
        put(w, "]");
    }
    put(w, "}");
}

static void put_any(writer *w, int depth) {
    put(w, "{\"%s\":[", draw(w, 2) ? "anyOf" : "oneOf");
    for (size_t i = 0, n = 1 + draw(w, 3); i < n; i++) {
        if (i > 0) put(w, ",");
        put_schema(w, depth - 1);
    }
    put(w, "]}");
}

static void put_leaf(writer *w) {
    static const char *const leaves[] = {
        "true", "{}", "{\"type\":\"null\"}", "{\"type\":[\"boolean\",\"string\"]}", "{\"type\":\"string\"}",
        "{\"enum\":[\"a\",\"ab\",1,12,[1,{\"a\":null}]]}", "{\"const\":\"c\"}", "{\"$ref\":\"#/$defs/d\"}",
        "{\"type\":\"string\",\"pattern\":\"^[a-c]+(-[0-9]{2,4})?$\"}", "{\"type\":\"string\",\"pattern\":\"x.z\"}",
        "{\"allOf\":[{\"minimum\":3},{\"maximum\":8,\"type\":\"integer\"}]}", "{\"type\":\"number\"}"};
    const size_t which = draw(w, sizeof leaves / sizeof *leaves + 3);
    const size_t low = draw(w, 200), span = draw(w, 2000);
    if (which < sizeof leaves / sizeof *leaves)
        put(w, "%s", leaves[which]);
    else if (which % 3 == 0)
        put(w, "{\"type\":\"integer\",\"minimum\":%d,\"maximum\":%d}", (int)low - 100, (int)(low + span) - 100);
    else if (which % 3 == 1)
        put(w, "{\"type\":\"number\",\"exclusiveMinimum\":%d,\"maximum\":%d}", (int)low - 100, (int)(low + span) - 99);
    else
        put(w, "{\"type\":\"string\",\"minLength\":%zu,\"maxLength\":%zu}", low % 5, low % 5 + span % 70);
}

static void put_schema(writer *w, int depth) {
    const size_t which = depth > 0 ? draw(w, 6) : 5;
    if (which < 2) put_object(w, depth);
    else if (which == 2) put_array(w, depth);
    else if (which == 3) put_any(w, depth);
    else put_leaf(w);
}

static void test_random_schemas(void **state) {
    (void)state;
    uint64_t random = 5;
    static writer w;
    static char text[GRAMMAR_TEXT_MAX];
    for (int i = 0; i < 300; i++) {
        w.length = 0;
        w.random = &random;
        put(&w, "{\"$defs\":{\"d\":{\"anyOf\":[{\"type\":\"null\"},");
        put_object(&w, 1);
        put(&w, "]}},\"allOf\":[");
        put_schema(&w, 3);
        put(&w, "]}");
        ex_grammar *grammar;
        ex_error error;
        if (ex_grammar_from_schema(&grammar, w.text, w.length, &error) != EX_OK) {
            if (!strstr(error.message, "no value")) fail_msg("%s: %s", w.text, error.message);
            continue;
        }
        for (int k = 0; k < 10; k++) check_answer(w.text, text, grammar_walk(grammar, &random, text));
        ex_grammar_close(grammar);
    }
}

int main(void) {
    setlocale(LC_CTYPE, "C.UTF-8"); /* a dot of the other opinion's patterns is then a character */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keywords),  cmocka_unit_test(test_space_ends), cmocka_unit_test(test_errors),
        cmocka_unit_test(test_harmful),   cmocka_unit_test(test_large),      cmocka_unit_test(test_depth),
        cmocka_unit_test(test_walks),     cmocka_unit_test(test_random_schemas),
    };
    return cmocka_run_group_tests_name("grammar", tests, NULL, NULL);
}
