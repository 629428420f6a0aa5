/* test_eval_statistics.c - intervals, tests, correction and votes against numbers that were computed otherwise: by
 * hand, by summing binomial coefficients in Python's integers, or by solving the defining equation. */
#include "support.h"

#include <math.h>
#include <string.h>

#include "allocations.h"
#include "eval/statistics.h"

static void assert_close(double value, double expected, double tolerance) {
    if (!(fabs(value - expected) <= tolerance)) fail_msg("%.12g, expected %.12g", value, expected);
}

static void assert_interval(eval_interval of, double value, double low, double high, double tolerance) {
    assert_close(of.value, value, tolerance);
    assert_close(of.low, low, tolerance);
    assert_close(of.high, high, tolerance);
}

/* Expected: roots q of (share - q)^2 = 1.96^2 q (1 - q) / n by the quadratic formula. */
static void test_wilson(void **state) {
    (void)state;
    assert_interval(eval_wilson(8, 10), 0.8, 0.4901624715366418, 0.9433178485456247, 1e-12);
    assert_interval(eval_wilson(181, 300), 181 / 300.0, 0.547004617889968, 0.6570491680569592, 1e-12);
    assert_interval(eval_wilson(7.5, 30), 0.25, 0.12975435335328783, 0.4270023432336965, 1e-12);
    assert_interval(eval_wilson(0, 20), 0, 0, 0.16112515805281938, 1e-12);
    assert_interval(eval_wilson(20, 20), 1, 1 - 0.16112515805281938, 1, 1e-12);
    assert_true(isnan(eval_wilson(0, 0).value) && isnan(eval_wilson(0, 0).low));
}

/* Expected: 2 sum C(n, k) / 2^n in integers. */
static void test_mcnemar_p(void **state) {
    (void)state;
    assert_close(eval_mcnemar_p(1, 6), 0.125, 1e-14);
    assert_close(eval_mcnemar_p(6, 1), 0.125, 1e-14);
    assert_close(eval_mcnemar_p(25, 10), 0.01667384780012071, 1e-14);
    assert_close(eval_mcnemar_p(0, 9), 0.00390625, 1e-15);
    assert_close(eval_mcnemar_p(400, 500), 0.0009564441369189461, 1e-12);
    assert_close(eval_mcnemar_p(3, 3), 1, 0);
    assert_close(eval_mcnemar_p(0, 0), 1, 0);
    assert_true(eval_mcnemar_p(30000, 31000) < 1e-4 && eval_mcnemar_p(30000, 31000) > 1e-5); /* z = 4.05 */
}

static void test_mcnemar_takes_majorities(void **state) {
    (void)state;
    /* right with a: 2 of 3, 3 of 3, 1 of 3, 1 of 2 (undecided), none, 0 of 1, no pair at all */
    const double a[] = {1, 1, 0, 1, 1, 1, 1, 0, 0, 1, 0, NAN, 0, 0, 0, 0, 1, 1, 1, NAN, 1};
    const double b[] = {1, 1, 1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, NAN, NAN, NAN, 1, NAN};
    eval_discordance of = eval_mcnemar(a, b, 7, 3);
    assert_int_equal(of.n_both, 1);
    assert_int_equal(of.n_only_a, 1);
    assert_int_equal(of.n_only_b, 2);
    assert_int_equal(of.n_neither, 1);
    assert_int_equal(of.n_undecided, 1);
    assert_close(of.p, 1, 1e-14); /* 2 (1 + 3) / 8 */
}

static void test_holm(void **state) {
    (void)state;
    const double p[] = {0.01, 0.04, 0.03, 0.005};
    double adjusted[4];
    assert_true(eval_holm(p, 4, adjusted));
    const double expected[] = {0.03, 0.06, 0.06, 0.02}; /* 3 x 0.01, max(0.06, 0.04), 2 x 0.03, 4 x 0.005 */
    for (int i = 0; i < 4; i++) assert_close(adjusted[i], expected[i], 1e-15);

    double in_place[] = {0.6, NAN, 0.5, 0.02};
    assert_true(eval_holm(in_place, 4, in_place));
    assert_close(in_place[0], 1, 0);
    assert_true(isnan(in_place[1]));
    assert_close(in_place[2], 1, 0);
    assert_close(in_place[3], 0.06, 1e-15);
    assert_true(eval_holm(NULL, 0, NULL));
}

/* Resamples of 10 right among 20 are binomial(20, 1/2). With 19 degrees of freedom t is 2.093, the tail 1 - Phi(2.093
 * sqrt(20/19)) = 0.0159; P(X <= 4) = 0.0059 and P(X <= 5) = 0.0207, so the interval ends at 5 of 20 and at 15, and
 * half an answer further. */
static void test_accuracy_of_a_binomial(void **state) {
    (void)state;
    double scores[20];
    for (int i = 0; i < 20; i++) scores[i] = i % 2;
    for (uint64_t seed = 0; seed < 5; seed++) {
        eval_interval accuracy;
        assert_true(eval_accuracy(scores, 20, 1, &(eval_bootstrap){20000, seed}, &accuracy));
        assert_interval(accuracy, 0.5, 0.25 - 0.025, 0.75 + 0.025, 1e-12);
    }
    eval_interval mean;
    assert_true(eval_mean(scores, 20, 1, NULL, &mean));
    assert_interval(mean, 0.5, 0.25, 0.75, 1e-12);
}

static void test_seeds_of_a_question_stay_together(void **state) {
    (void)state;
    double once[20], five_times[100];
    for (int i = 0; i < 100; i++) five_times[i] = once[i / 5] = i / 5 % 2;
    eval_interval of_one, of_five;
    assert_true(eval_mean(once, 20, 1, NULL, &of_one));
    assert_true(eval_mean(five_times, 20, 5, NULL, &of_five));
    assert_memory_equal(&of_one, &of_five, sizeof of_one); /* five equal answers are worth one */
}

static void test_missing_answers(void **state) {
    (void)state;
    const double scores[] = {1, NAN, NAN, NAN, 0, 1, INFINITY, 1, 1};
    eval_interval mean;
    assert_true(eval_mean(scores, 3, 3, NULL, &mean));
    assert_close(mean.value, (1 + 0.5 + 1) / 3, 1e-15); /* each question weighs the same */
    assert_true(eval_mean(scores + 1, 1, 3, NULL, &mean));
    assert_true(isnan(mean.value) && isnan(mean.low) && isnan(mean.high));
    assert_true(eval_mean(scores + 3, 1, 3, NULL, &mean)); /* one question has no interval */
    assert_true(mean.value == 0.5 && isnan(mean.low) && isnan(mean.high));
    assert_true(eval_mean(NULL, 0, 5, NULL, &mean));
    assert_true(isnan(mean.value));
    assert_true(eval_accuracy(NULL, 0, 5, NULL, &mean));
    assert_true(isnan(mean.value));
}

static void test_all_right_or_all_alike(void **state) {
    (void)state;
    const double ones[] = {1, 1, 1, 1}, zeros[] = {0, 0, 0, 0};
    const double unseen = 0.4898908364545973; /* Wilson's upper end for 0 of 4 */
    eval_interval accuracy;
    assert_true(eval_accuracy(ones, 4, 1, NULL, &accuracy));
    assert_interval(accuracy, 1, 1 - unseen, 1, 1e-12);
    assert_true(eval_accuracy(zeros, 2, 2, NULL, &accuracy));
    assert_interval(accuracy, 0, 0, eval_wilson(0, 2).high, 1e-12);
    eval_difference of;
    assert_true(eval_paired_difference(ones, ones, 4, 1, NULL, &of));
    assert_interval(of.difference, 0, -unseen, unseen, 1e-12);
    assert_close(of.p, 1, 0);
    assert_true(of.n_questions_better == 0 && of.n_questions_worse == 0);
}

static void test_ratio(void **state) {
    (void)state;
    double right[60], tokens[60], per_token[60];
    uint64_t luck = 3;
    for (int i = 0; i < 60; i++) {
        right[i] = random_between(&luck, 0, 1) < 0.7;
        tokens[i] = 50;
        per_token[i] = right[i] / 50;
    }
    eval_interval ratio, mean;
    assert_true(eval_ratio(right, tokens, 20, 3, NULL, &ratio));
    assert_true(eval_mean(per_token, 20, 3, NULL, &mean));
    assert_interval(ratio, mean.value, mean.low, mean.high, 1e-12);
    for (int i = 0; i < 60; i++) tokens[i] = 20 + 60 * right[i]; /* then 1 / ratio = 80 + 20 (wrong / right) */
    assert_true(eval_mean(right, 20, 3, NULL, &mean));
    assert_true(eval_ratio(right, tokens, 20, 3, NULL, &ratio));
    assert_close(1 / ratio.value, 80 + 20 * (1 - mean.value) / mean.value, 1e-10);
    assert_close(1 / ratio.low, 80 + 20 * (1 - mean.low) / mean.low, 0.5); /* monotone, but for interpolation */
    assert_close(1 / ratio.high, 80 + 20 * (1 - mean.high) / mean.high, 0.5);
    tokens[0] = 0; /* an answer that cost nothing is no answer */
    right[1] = NAN;
    assert_true(eval_ratio(right, tokens, 1, 3, NULL, &ratio));
    assert_close(ratio.value, right[2] / tokens[2], 1e-15);
}

static void test_difference_of_pairs(void **state) {
    (void)state;
    const double a[] = {1, 1, 0, 1, NAN, 0, 0.5, 0, 0, 1, 1, 1};
    const double b[] = {0, 1, 0, NAN, 1, 1, 0, 0, 0, 0, 1, 0};
    /* questions of two: (1,0), (0), (-1), (0.5,0), (0,1), (0,1) */
    eval_difference of, turned;
    assert_true(eval_paired_difference(a, b, 6, 2, NULL, &of));
    assert_close(of.difference.value, (0.5 + 0 - 1 + 0.25 + 0.5 + 0.5) / 6, 1e-15);
    assert_int_equal(of.n_questions, 6);
    assert_int_equal(of.n_pairs, 10);
    assert_int_equal(of.n_questions_better, 4);
    assert_int_equal(of.n_questions_worse, 1);
    assert_true(of.difference.low < of.difference.value && of.difference.value < of.difference.high);

    assert_true(eval_paired_difference(b, a, 6, 2, NULL, &turned));
    assert_interval(turned.difference, -of.difference.value, -of.difference.high, -of.difference.low, 1e-12);
    assert_true(turned.p == of.p);
    assert_true(eval_paired_difference(NULL, NULL, 0, 2, NULL, &of));
    assert_true(isnan(of.difference.value) && isnan(of.p) && of.n_questions == 0);
}

/* All signs of n differences that are equal agree with the sum seen in 2 of 2^n ways. */
static void test_randomisation(void **state) {
    (void)state;
    double a[10], b[10] = {0};
    for (int i = 0; i < 10; i++) a[i] = 0.1; /* ten times 0.1 is 1 but for rounding */
    eval_difference of;
    for (size_t n = 2; n <= 10; n++) {
        double expected = 2 / exp2((double)n), deviation = sqrt(expected * (1 - expected) / 50000);
        assert_true(eval_paired_difference(a, b, n, 1, &(eval_bootstrap){50000, n}, &of));
        assert_close(of.p, expected, 4 * deviation + 2e-5);
    }
    /* 3 against -1: the sums +-4 and +-2 are equally likely, and 2 is reached by all */
    a[0] = 0.3, b[1] = 0.2;
    assert_true(eval_paired_difference(a, b, 2, 1, &(eval_bootstrap){50000, 1}, &of));
    assert_close(of.p, 1, 0);
}

static void test_same_seed_same_bytes(void **state) {
    (void)state;
    double a[150], b[150];
    uint64_t luck = 11;
    for (int i = 0; i < 150; i++) {
        a[i] = random_between(&luck, 0, 1);
        b[i] = random_between(&luck, 0, 1);
    }
    eval_difference one = {0}, same = {0}, other = {0};
    assert_true(eval_paired_difference(a, b, 50, 3, &(eval_bootstrap){500, 1}, &one));
    assert_true(eval_paired_difference(a, b, 50, 3, &(eval_bootstrap){500, 1}, &same));
    assert_true(eval_paired_difference(a, b, 50, 3, &(eval_bootstrap){500, 2}, &other));
    assert_memory_equal(&one, &same, sizeof one);
    assert_true(one.difference.low != other.difference.low && one.difference.value == other.difference.value);
    assert_true(eval_paired_difference(a, b, 50, 3, NULL, &one));
    assert_true(eval_paired_difference(a, b, 50, 3, &(eval_bootstrap){EVAL_RESAMPLES, 0}, &same));
    assert_memory_equal(&one, &same, sizeof one);
}

typedef bool attempt(void);

static bool attempt_accuracy(void) {
    eval_interval interval;
    return eval_accuracy((const double[]){1, 0, 1}, 3, 1, NULL, &interval);
}

static bool attempt_ratio(void) {
    eval_interval interval;
    return eval_ratio((const double[]){1, 0}, (const double[]){5, 6}, 2, 1, NULL, &interval);
}

static bool attempt_difference(void) {
    eval_difference of;
    return eval_paired_difference((const double[]){1, 0}, (const double[]){0, 0}, 2, 1, NULL, &of);
}

static bool attempt_holm(void) {
    double adjusted[2];
    return eval_holm((const double[]){0.1, 0.2}, 2, adjusted);
}

static void test_memory_out(void **state) {
    (void)state;
    attempt *const attempts[] = {attempt_accuracy, attempt_ratio, attempt_difference, attempt_holm};
    for (size_t i = 0; i < sizeof attempts / sizeof *attempts; i++) {
        long n_failed = 0;
        for (bool ok = false; !ok; n_failed += !ok) {
            allocations_limit(n_failed);
            ok = attempts[i]();
            allocations_limit(-1);
        }
        assert_true(n_failed >= 1 && n_failed <= 3);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wilson),
        cmocka_unit_test(test_mcnemar_p),
        cmocka_unit_test(test_mcnemar_takes_majorities),
        cmocka_unit_test(test_holm),
        cmocka_unit_test(test_accuracy_of_a_binomial),
        cmocka_unit_test(test_seeds_of_a_question_stay_together),
        cmocka_unit_test(test_missing_answers),
        cmocka_unit_test(test_all_right_or_all_alike),
        cmocka_unit_test(test_ratio),
        cmocka_unit_test(test_difference_of_pairs),
        cmocka_unit_test(test_randomisation),
        cmocka_unit_test(test_same_seed_same_bytes),
        cmocka_unit_test(test_memory_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
