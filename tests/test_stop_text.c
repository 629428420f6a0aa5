/* test_stop_text.c - texts that end generation, found in pieces of any cut: named cases, and random ones against a
 * search that tries every place. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "generate/stop_text.h"
#include "generate/text_stream.h"

typedef struct stop_case {
    const char *stops[4];
    const char *pieces[8];
    const char *given[8]; /* after each piece, the last one told as such */
    bool found;
} stop_case;

static const stop_case cases[] = {
    {{"END"}, {"one ", "E", "N", "D two"}, {"one ", "", "", ""}, true},
    {{"END"}, {"xENDy"}, {"x"}, true},
    {{"END"}, {"END"}, {""}, true}, /* at the very start */
    {{"END"}, {"EN", "E", "ND"}, {"", "EN", ""}, true},
    {{"END"}, {"a E", "N"}, {"a ", "EN"}, false}, /* never complete: it comes at the end */
    {{"END"}, {"a E", "", "x"}, {"a ", "", "Ex"}, false},
    {{"aab"}, {"a", "a", "a", "b", "b"}, {"", "", "a", "", ""}, true},
    {{"aab"}, {"aaab"}, {"a"}, true},
    {{"abab"}, {"abaabab"}, {"aba"}, true},
    {{"late", "ear"}, {"an ear too late"}, {"an "}, true},
    {{"abcd", "bc"}, {"xab", "cd"}, {"x", "a"}, true}, /* complete first */
    {{"bc", "abc"}, {"xabc"}, {"x"}, true},            /* complete together: the longer */
    {{"\n\n", "User:"}, {"yes\n", "Us", "age\n", "User:"}, {"yes", "\n", "Usage", "\n"}, true},
    {{"\xC3\xA9"}, {"caf\xC3\xA8 caf", "\xC3\xA9", "s"}, {"caf\xC3\xA8 caf", "", ""}, true},
    {{"\xE2\x82\xAC"}, {"\xE2\x82\xAD\xE2\x82\xAC"}, {"\xE2\x82\xAD"}, true},
    {{NULL}, {"no", " stops"}, {"no", " stops"}, false},
};

static size_t count(const char *const *texts, size_t capacity) {
    size_t n = 0;
    while (n < capacity && texts[n]) n++;
    return n;
}

static ex_string string_of(const char *text) { return (ex_string){text, strlen(text)}; }

static void test_named_cases(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const stop_case *c = &cases[i];
        ex_stop_text stop;
        ex_error error;
        assert_ok(ex_stop_text_open(&stop, c->stops, count(c->stops, 4), 40, &error), &error);
        for (int round = 0; round < 2; round++) {
            size_t n_pieces = count(c->pieces, 8);
            for (size_t j = 0; j < n_pieces; j++) {
                ex_string given = ex_stop_text_add(&stop, string_of(c->pieces[j]), j + 1 == n_pieces);
                if (given.length != strlen(c->given[j]) || memcmp(given.data, c->given[j], given.length) != 0)
                    fail_msg("case %zu, piece %zu: gave \"%.*s\", not \"%s\"", i, j, (int)given.length, given.data,
                             c->given[j]);
            }
            assert_int_equal(stop.found, c->found);
            ex_stop_text_reset(&stop);
        }
        ex_stop_text_close(&stop);
    }
}

/* Bytes of `text` that may be given out: up to the stop text that is complete first, or else without the longest end
 * that begins one. */
static size_t expected_length(const char *text, size_t length, const char *const *stops, size_t n_stops, bool last,
                              bool *found) {
    size_t held = 0;
    *found = false;
    for (size_t end = 1; end <= length; end++) {
        size_t longest = 0;
        for (size_t i = 0; i < n_stops; i++) {
            size_t n = strlen(stops[i]);
            if (n <= end && memcmp(text + end - n, stops[i], n) == 0 && n > longest) longest = n;
        }
        *found = longest > 0;
        if (*found) return end - longest;
    }
    for (size_t i = 0; i < n_stops && !last; i++)
        for (size_t n = strlen(stops[i]) - 1; n > held; n--)
            if (n <= length && memcmp(text + length - n, stops[i], n) == 0) held = n;
    return length - held;
}

enum { TEXT_MAX = 60, STOPS = 3, STOP_MAX = 6 };

static size_t random_below(uint64_t *seed, size_t limit) { return (size_t)random_between(seed, 0, (double)limit); }

static void check_random(uint64_t *seed) {
    char text[TEXT_MAX + 1] = "", stops[STOPS][STOP_MAX + 1] = {{0}}, given[TEXT_MAX + 1];
    const char *list[STOPS];
    size_t n_given = 0, length = 0, n_stops = 1 + random_below(seed, STOPS);
    for (size_t i = 0; i < STOPS; i++) {
        size_t n = 1 + random_below(seed, STOP_MAX);
        for (size_t j = 0; j < n; j++) stops[i][j] = (char)('a' + random_below(seed, 2));
        list[i] = stops[i];
    }
    ex_stop_text stop;
    ex_error error;
    bool found = false;
    assert_ok(ex_stop_text_open(&stop, list, n_stops, TEXT_MAX, &error), &error);
    while (length < TEXT_MAX) {
        size_t n = random_below(seed, 5), room = TEXT_MAX - length;
        if (n > room) n = room;
        for (size_t j = 0; j < n; j++) text[length + j] = "aaabbc"[random_below(seed, 6)];
        length += n;
        bool last = length == TEXT_MAX;
        ex_string new = ex_stop_text_add(&stop, (ex_string){text + length - n, n}, last);
        memcpy(given + n_given, new.data, new.length);
        n_given += new.length;
        assert_int_equal(n_given, expected_length(text, length, list, n_stops, last, &found));
        assert_memory_equal(given, text, n_given);
        assert_int_equal(stop.found, found);
        if (found) break;
    }
    ex_stop_text_close(&stop);
}

static void test_random_cases(void **state) {
    (void)state;
    uint64_t seed = 5;
    for (int i = 0; i < 20000; i++) check_random(&seed);
}

/* A character in two halves, through both streams as the generator joins them. */
static void test_half_characters(void **state) {
    (void)state;
    static const char *const stops[] = {"\xF0\x9F\x99\x82!"};
    static const char *const pieces[] = {"so \xF0\x9F", "\x99", "\x82", "! and on"};
    static const char *const given[] = {"so ", "", "", ""};
    ex_text_stream text;
    ex_stop_text stop;
    ex_error error;
    assert_ok(ex_text_stream_open(&text, 10, &error), &error);
    assert_ok(ex_stop_text_open(&stop, stops, 1, text.capacity, &error), &error);
    for (size_t i = 0; i < 4; i++) {
        ex_string whole = ex_stop_text_add(&stop, ex_text_stream_add(&text, string_of(pieces[i]), false), false);
        assert_int_equal(whole.length, strlen(given[i]));
        assert_memory_equal(whole.data, given[i], whole.length);
    }
    assert_true(stop.found);
    ex_stop_text_close(&stop);
    ex_text_stream_close(&text);
}

static void test_bad_texts(void **state) {
    (void)state;
    static const char *const empty[] = {"fine", ""}, *const broken[] = {"ab\xFF"};
    ex_stop_text stop;
    ex_error error;
    assert_int_equal(ex_stop_text_open(&stop, empty, 2, 8, &error), EX_ERROR_ARGUMENT);
    assert_non_null(strstr(error.message, "stop text 2 is empty"));
    assert_int_equal(ex_stop_text_open(&stop, broken, 1, 8, &error), EX_ERROR_FORMAT);
    assert_int_equal(error.position, 2);
    ex_stop_text_close(&stop);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_named_cases),     cmocka_unit_test(test_random_cases),
        cmocka_unit_test(test_half_characters), cmocka_unit_test(test_bad_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
