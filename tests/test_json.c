/* test_json.c - JSON documents: what is in the tree, and that nothing but JSON gets there. */
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

/* The text lies in memory of exactly its size, so that a sanitizer sees a read behind it. */
static ex_code read_exactly(ex_json_document *document, const char *text, size_t n, uint64_t start, ex_error *error) {
    char *copy = malloc(n ? n : 1);
    assert_non_null(copy);
    memcpy(copy, text, n);
    ex_code code = ex_json_read(document, copy, n, "in.json", start, error);
    free(copy);
    return code;
}

static void open_text(ex_json_document *document, const char *text) {
    ex_error error;
    assert_ok(read_exactly(document, text, strlen(text), 0, &error), &error);
}

static const char sample[] = " {\"a\": [1, -2.5, \"x\\n\\u00e9\\ud83d\\ude00\\ud800\", []],"
                             " \"b\": {\"c\": true, \"d\": {}},"
                             " \"big\": 1000000000000000019884624838656, \"least\": -9223372036854775808,"
                             " \"none\": null, \"e\": 1E+2, \"z\\u0000z\": 0}\n";

static void test_reads_a_document(void **state) {
    (void)state;
    ex_json_document document;
    open_text(&document, sample);
    const ex_json *root = document.nodes, *a = ex_json_member(root, "a"), *item = NULL;
    assert_int_equal(root->kind, EX_JSON_MAP);
    assert_int_equal(root->count, 7);
    assert_int_equal(root->offset, 1);
    assert_int_equal(root->n_bytes, strlen(sample) - 2);
    assert_int_equal(a->n_bytes, strlen("[1, -2.5, \"x\\n\\u00e9\\ud83d\\ude00\\ud800\", []]"));
    assert_int_equal(a->count, 4);
    item = ex_json_next(a, item);
    assert_true(item->kind == EX_JSON_INTEGER && item->as.integer == 1 && item->offset == 8);
    item = ex_json_next(a, item);
    assert_true(item->kind == EX_JSON_NUMBER && item->as.number == -2.5);
    item = ex_json_next(a, item);
    assert_true(ex_json_is(item, "x\n\xC3\xA9\xF0\x9F\x98\x80\xEF\xBF\xBD"));
    item = ex_json_next(a, item);
    assert_true(item->kind == EX_JSON_LIST && item->count == 0);
    assert_null(ex_json_next(item, NULL));
    assert_null(ex_json_next(a, item));
    assert_true(ex_json_member(ex_json_member(root, "b"), "c")->as.boolean);
    assert_true(ex_json_member(root, "big")->as.number == 1000000000000000019884624838656.0);
    assert_true(ex_json_member(root, "least")->as.integer == INT64_MIN);
    assert_true(ex_json_member(root, "e")->as.number == 100);
    assert_null(ex_json_member(root, "none"));
    assert_null(ex_json_member(root, "c"));
    assert_null(ex_json_member(a, "c"));
    assert_null(ex_json_member(NULL, "c"));
    const ex_json *last = NULL;
    for (item = NULL; (item = ex_json_next(root, item));) last = item;
    assert_int_equal(last->name.length, 3);
    assert_memory_equal(last->name.data, "z\0z", 3);
    ex_json_free(&document);
}

static void test_refuses_what_is_no_json(void **state) {
    (void)state;
    static const struct {
        const char *text;
        uint64_t position;
        const char *words;
    } rows[] = {
        {"", 0, "ends too early"},
        {"  ", 2, "ends too early"},
        {"{", 1, "ends too early"},
        {"{\"a\"", 4, "ends too early"},
        {"{\"a\" 1}", 5, "a colon"},
        {"{a:1}", 1, "a name in quotes"},
        {"{\"a\":1,}", 7, "a name in quotes"},
        {"[1,]", 3, "no JSON"},
        {"[1 2]", 3, "a comma or ]"},
        {"[1}", 2, "a comma or ]"},
        {"{\"a\":1]", 6, "a comma or }"},
        {"1 1", 2, "follows the end"},
        {"[01]", 3, "no JSON"},
        {"-", 1, "ends too early"},
        {"1.", 2, "ends too early"},
        {"1e", 2, "ends too early"},
        {".5", 0, "no JSON"},
        {"+1", 0, "no JSON"},
        {"1e999", 0, "too large"},
        {"NaN", 0, "no JSON"},
        {"Infinity", 0, "no JSON"},
        {"nul", 0, "no JSON"},
        {"'a'", 0, "no JSON"},
        {"\"a\nb\"", 2, "no JSON text"},
        {"\"\\x\"", 2, "no JSON text"},
        {"\"\\u12g4\"", 5, "no JSON text"},
        {"\"\\ud800\\u0041\"", 13, "no JSON text"},
        {"\"abc", 4, "ends too early"},
        {"\"\xC3(\"", 1, "UTF-8"},
        {"{\"a\":1,\"b\":2,\"a\":3}", 17, "the name 'a' occurs twice"},
        {"[{\"\":1,\"\":1}]", 10, "the name '' occurs twice"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ex_json_document document;
        ex_error error;
        char place[40];
        ex_code code = read_exactly(&document, rows[i].text, strlen(rows[i].text), 1000, &error);
        if (code != EX_ERROR_FORMAT) fail_msg("'%s' was accepted", rows[i].text);
        snprintf(place, sizeof place, "in.json: byte %llu: ", 1000 + (unsigned long long)rows[i].position);
        if (!strstr(error.message, place) || !strstr(error.message, rows[i].words))
            fail_msg("'%s': the message is \"%s\"", rows[i].text, error.message);
        assert_int_equal(error.position, 1000 + rows[i].position);
        assert_null(document.nodes);
    }
}

static void test_depth_is_bounded(void **state) {
    (void)state;
    enum { DEEP = 100000 };
    static char text[2 * DEEP + 1];
    ex_json_document document;
    ex_error error;
    memset(text, '[', EX_JSON_DEPTH_MAX);
    memset(text + EX_JSON_DEPTH_MAX, ']', EX_JSON_DEPTH_MAX);
    assert_ok(read_exactly(&document, text, 2 * EX_JSON_DEPTH_MAX, 0, &error), &error);
    ex_json_free(&document);
    memset(text, '[', DEEP);
    assert_int_equal(read_exactly(&document, text, 2 * DEEP, 0, &error), EX_ERROR_FORMAT);
    assert_int_equal(error.position, EX_JSON_DEPTH_MAX);
    for (size_t i = 0; i < DEEP; i++) memcpy(text + i / 5 * 5, "{\"a\":", 5);
    assert_int_equal(read_exactly(&document, text, DEEP, 0, &error), EX_ERROR_FORMAT);
    assert_non_null(strstr(error.message, "too deep"));
}

/* Whatever is cut off or changed, the reader ends, and what it takes it takes whole. */
static void test_survives_cuts_and_changed_bytes(void **state) {
    (void)state;
    ex_json_document document;
    ex_error error;
    char text[sizeof sample];
    size_t n = sizeof sample - 1;
    for (size_t cut = 0; cut < n - 1; cut++) /* all but the line end */
        assert_int_equal(read_exactly(&document, sample, cut, 0, &error), EX_ERROR_FORMAT);
    uint64_t random = 5;
    for (int i = 0; i < 20000; i++) {
        memcpy(text, sample, n);
        for (int change = 0; change < 2; change++) {
            size_t at = (size_t)random_between(&random, 0, (double)n);
            text[at] = "{}[]\",:\\0eE-.u \xFF"[(int)random_between(&random, 0, 16)];
        }
        if (read_exactly(&document, text, n, 0, &error) != EX_OK) continue;
        assert_int_equal(document.nodes->n_nodes, document.n_nodes);
        ex_json_free(&document);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_a_document),
        cmocka_unit_test(test_refuses_what_is_no_json),
        cmocka_unit_test(test_depth_is_bounded),
        cmocka_unit_test(test_survives_cuts_and_changed_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
