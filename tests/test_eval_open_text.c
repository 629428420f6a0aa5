/* test_eval_open_text.c - repetition, variety and likeness of texts, counted by hand. */
#include "support.h"

#include <math.h>
#include <string.h>

#include "allocations.h"
#include "eval/open_text.h"

#define TEXT(...)                                                                                                      \
    (eval_text) { (const int32_t[]){__VA_ARGS__}, sizeof((const int32_t[]){__VA_ARGS__}) / sizeof(int32_t) }

static void assert_close(double value, double expected, double tolerance) {
    if (!(fabs(value - expected) <= tolerance)) fail_msg("%.12g, expected %.12g", value, expected);
}

static void test_repetition(void **state) {
    (void)state;
    eval_text text = TEXT(1, 2, 3, 4, 1, 2, 3, 4, 1, 2);
    double share;
    assert_true(eval_repetition(text, 4, &share)); /* 7 of them; 1234 twice, 2341 twice, 3412 twice, 4123 once */
    assert_close(share, 3 / 7.0, 1e-15);
    assert_true(eval_repetition(text, 1, &share));
    assert_close(share, 0.6, 1e-15);
    assert_true(eval_repetition(TEXT(-5, 70000, 8, -5, 70001), 2, &share));
    assert_close(share, 0, 0);
    assert_true(eval_repetition(TEXT(1, 2, 3), 4, &share));
    assert_true(isnan(share));
    assert_true(eval_repetition((eval_text){NULL, 0}, 1, &share));
    assert_true(isnan(share));
    assert_true(eval_repetition(text, 0, &share));
    assert_true(isnan(share));
    assert_true(eval_repetition(text, EVAL_ORDER_MAX + 1, &share));
    assert_true(isnan(share));
    assert_true(eval_repetition(text, EVAL_ORDER_MAX, &share));
    assert_close(share, 0, 0);
}

static void test_distinct_over_texts(void **state) {
    (void)state;
    const eval_text texts[] = {TEXT(1, 2, 3), TEXT(2, 3, 1), TEXT(9)};
    double share;
    assert_true(eval_distinct(texts, 3, 1, &share));
    assert_close(share, 4 / 7.0, 1e-15);
    assert_true(eval_distinct(texts, 3, 2, &share)); /* 12 23 23 31: none goes over the end of a text */
    assert_close(share, 0.75, 1e-15);
    assert_true(eval_distinct(texts, 3, 3, &share));
    assert_close(share, 1, 0);
    assert_true(eval_distinct(texts, 0, 1, &share));
    assert_true(isnan(share));
}

static void test_entropy(void **state) {
    (void)state;
    const eval_text texts[] = {TEXT(1, 1, 2), TEXT(3, 1, 1, 2, 4)};
    double bits;
    assert_true(eval_unigram_entropy(texts, 2, &bits)); /* 1/2, 1/4, 1/8, 1/8 */
    assert_close(bits, 1.75, 1e-12);
    assert_true(eval_unigram_entropy(&TEXT(7, 7, 7), 1, &bits));
    assert_close(bits, 0, 0);
    assert_true(eval_unigram_entropy(texts, 0, &bits));
    assert_true(isnan(bits));
}

static void assert_loop(eval_text text, size_t max_period, size_t start, size_t length, size_t period) {
    eval_loop loop = eval_longest_loop(text, max_period);
    if (loop.start != start || loop.length != length || loop.period != period)
        fail_msg("loop %zu+%zu of %zu, expected %zu+%zu of %zu", loop.start, loop.length, loop.period, start,
                 length, period);
}

static void test_longest_loop(void **state) {
    (void)state;
    assert_loop(TEXT(1, 2, 3, 4), 0, 0, 0, 0);
    assert_loop(TEXT(5, 5), 0, 0, 2, 1);
    assert_loop(TEXT(1, 2, 3, 1, 2), 0, 0, 0, 0);           /* not two whole copies */
    assert_loop(TEXT(9, 1, 2, 3, 1, 2, 3, 1, 8), 0, 1, 7, 3); /* the last copy is cut */
    assert_loop(TEXT(4, 4, 4, 7, 1, 2, 1, 2, 1), 0, 4, 5, 2);
    assert_loop(TEXT(4, 4, 4, 7, 1, 2, 1, 2, 1), 1, 0, 3, 1); /* periods of 1 alone */
    assert_loop(TEXT(6, 6, 6, 6, 6, 6), 0, 0, 6, 1);        /* of 2 and 3 too: the smallest */
    assert_loop(TEXT(1, 1, 2, 3, 3), 0, 0, 2, 1);           /* the first */
    assert_loop((eval_text){NULL, 0}, 0, 0, 0, 0);
    assert_loop(TEXT(1), 0, 0, 0, 0);
}

/* Against the definition itself: every stretch and every period. */
static void test_longest_loop_by_definition(void **state) {
    (void)state;
    uint64_t luck = 31;
    for (int round = 0; round < 300; round++) {
        int32_t tokens[24];
        size_t n = (size_t)random_between(&luck, 0, 25), longest = 0;
        for (size_t i = 0; i < n; i++) tokens[i] = (int32_t)random_between(&luck, 0, 3);
        for (size_t start = 0; start < n; start++)
            for (size_t length = 2; start + length <= n; length++)
                for (size_t period = 1; 2 * period <= length; period++)
                    if (memcmp(tokens + start, tokens + start + period, (length - period) * sizeof *tokens) == 0 &&
                        length > longest)
                        longest = length;
        assert_int_equal(eval_longest_loop((eval_text){tokens, n}, 0).length, longest);
    }
}

static void test_self_similarity(void **state) {
    (void)state;
    double similarity;
    const eval_text same[] = {TEXT(1, 2, 3, 4, 5), TEXT(1, 2, 3, 4, 5), TEXT(1, 2, 3, 4, 5)};
    assert_true(eval_self_similarity(same, 3, &similarity));
    assert_close(similarity, 1, 1e-15);
    const eval_text apart[] = {TEXT(1, 2, 3, 4, 5), TEXT(6, 7, 8)};
    assert_true(eval_self_similarity(apart, 2, &similarity));
    assert_close(similarity, 0, 0);

    /* 1 1 2 3 against 1 1 1 2: n=1: 1 twice, 2 once -> 6/8; n=2: 11 12 -> 4/6; n=3: 112 -> 2/4; n=4: 0/2 */
    const eval_text near[] = {TEXT(1, 1, 2, 3), TEXT(1, 1, 1, 2), TEXT(6, 7, 8)};
    double expected = (0.75 + 4 / 6.0 + 0.5 + 0) / 4;
    assert_true(eval_self_similarity(near, 2, &similarity));
    assert_close(similarity, expected, 1e-15);
    assert_true(eval_self_similarity(near, 3, &similarity)); /* two more pairs, with nothing in common */
    assert_close(similarity, expected / 3, 1e-15);

    const eval_text brief[] = {TEXT(1), TEXT(1), {NULL, 0}, {NULL, 0}};
    assert_true(eval_self_similarity(brief, 2, &similarity)); /* unigrams are all there is */
    assert_close(similarity, 1, 0);
    assert_true(eval_self_similarity(brief + 2, 2, &similarity));
    assert_true(isnan(similarity));
    assert_true(eval_self_similarity(brief, 1, &similarity));
    assert_true(isnan(similarity));
}

static void test_memory_out(void **state) {
    (void)state;
    const eval_text texts[] = {TEXT(1, 2, 3, 4, 5), TEXT(1, 2, 3, 4, 5)};
    double value;
    for (long left = 0; left < 1 + 2 * EVAL_SIMILARITY_ORDER; left++) {
        allocations_limit(left);
        bool similarity = eval_self_similarity(texts, 2, &value), repetition = eval_repetition(texts[0], 4, &value);
        allocations_limit(-1);
        assert_false(similarity || repetition);
    }
    allocations_limit(0);
    bool entropy = eval_unigram_entropy(texts, 2, &value);
    allocations_limit(-1);
    assert_false(entropy);
    assert_true(eval_self_similarity(texts, 2, &value));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_repetition),
        cmocka_unit_test(test_distinct_over_texts),
        cmocka_unit_test(test_entropy),
        cmocka_unit_test(test_longest_loop),
        cmocka_unit_test(test_longest_loop_by_definition),
        cmocka_unit_test(test_self_similarity),
        cmocka_unit_test(test_memory_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
