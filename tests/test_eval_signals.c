/* test_eval_signals.c - ROC area, calibration, mappings and abstaining. Expected numbers are counted by hand, or come
 * from a Python script that sums over all pairs (areas and their variances) or descends the gradient (logistic). */
#include "support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "allocations.h"
#include "eval/signals.h"

static void assert_close(double value, double expected, double tolerance) {
    if (!(fabs(value - expected) <= tolerance)) fail_msg("%.12g, expected %.12g", value, expected);
}

static const double scores[] = {.8, .4, .6, .3, .5, .4, .7, .2};
static const bool positive[] = {true, true, true, false, false, false, false, true};

static void test_area_with_ties(void **state) {
    (void)state;
    eval_roc roc;
    assert_true(eval_roc_area(scores, positive, NULL, 8, &roc));
    assert_int_equal(roc.n_positive, 4);
    assert_int_equal(roc.n_negative, 4);
    assert_close(roc.area.value, 0.53125, 1e-15); /* (4 + 1.5 + 3 + 0) / 16 */
    assert_close(roc.area.low, 0.14300396617124883, 1e-12);
    assert_close(roc.area.high, 0.8850235786085078, 1e-12);

    const uint32_t pairs[] = {10, 10, 11, 11, 7, 7, 12, 12}, alone[] = {5, 3, 8, 1, 4, 6, 2, 7};
    eval_roc grouped;
    assert_true(eval_roc_area(scores, positive, pairs, 8, &grouped));
    assert_close(grouped.area.value, roc.area.value, 0);
    assert_close(grouped.area.low, 0.10221919472611123, 1e-12);
    assert_close(grouped.area.high, 0.9185743681150836, 1e-12);
    assert_true(eval_roc_area(scores, positive, alone, 8, &grouped));
    assert_close(grouped.area.low, roc.area.low, 1e-12);
}

static void test_area_against_all_pairs(void **state) {
    (void)state;
    enum { N = 300 };
    double score[N];
    bool is_positive[N];
    uint64_t luck = 5;
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < N; i++) {
            is_positive[i] = random_between(&luck, 0, 1) < 0.3;
            score[i] = floor(random_between(&luck, 0, 20) + 4 * is_positive[i]); /* many ties */
            if (i % 37 == 0) score[i] = NAN;
        }
        double sum = 0, n_pairs = 0;
        for (int i = 0; i < N; i++)
            for (int j = 0; j < N; j++) {
                if (isnan(score[i]) || isnan(score[j]) || !is_positive[i] || is_positive[j]) continue;
                sum += score[i] > score[j] ? 1 : score[i] == score[j] ? 0.5 : 0;
                n_pairs++;
            }
        eval_roc roc;
        assert_true(eval_roc_area(score, is_positive, NULL, N, &roc));
        assert_close(roc.area.value, sum / n_pairs, 1e-12);
        assert_close((double)(roc.n_positive * roc.n_negative), n_pairs, 0);

        eval_roc_point points[N + 1];
        size_t n_points;
        assert_true(eval_roc_points(score, is_positive, N, points, &n_points));
        double area = 0; /* the trapezoids under the curve are the same area */
        for (size_t i = 1; i < n_points; i++)
            area += (points[i].false_positive_rate - points[i - 1].false_positive_rate) *
                    (points[i].true_positive_rate + points[i - 1].true_positive_rate) / 2;
        assert_close(area, roc.area.value, 1e-12);
        assert_true(points[n_points - 1].false_positive_rate == 1 && points[n_points - 1].true_positive_rate == 1);
    }
}

/* Expected: bisection for 1 - A = 1.96 sqrt(V(A)) in Python. */
static void test_area_at_the_ends(void **state) {
    (void)state;
    double score[20];
    bool is_positive[20];
    for (int i = 0; i < 20; i++) {
        score[i] = i;
        is_positive[i] = i >= 10;
    }
    eval_roc roc;
    assert_true(eval_roc_area(score, is_positive, NULL, 20, &roc));
    assert_close(roc.area.value, 1, 0);
    assert_close(roc.area.low, 0.8002136128811058, 1e-9);
    assert_close(roc.area.high, 1, 0);
    for (int i = 0; i < 20; i++) score[i] = -i;
    assert_true(eval_roc_area(score, is_positive, NULL, 20, &roc));
    assert_close(roc.area.high, 1 - 0.8002136128811058, 1e-9);
    assert_close(roc.area.value, 0, 0);

    uint32_t halves[20]; /* ten answers to each of two questions are two answers, not twenty */
    for (uint32_t i = 0; i < 20; i++) halves[i] = i / 10;
    eval_roc grouped;
    assert_true(eval_roc_area(score, is_positive, halves, 20, &grouped));
    assert_true(grouped.area.high > roc.area.high + 0.2);

    assert_true(eval_roc_area(score, is_positive, NULL, 10, &roc)); /* no positive */
    assert_true(isnan(roc.area.value) && roc.n_positive == 0 && roc.n_negative == 10);
    eval_roc_point points[11];
    size_t n_points = 7;
    assert_true(eval_roc_points(score, is_positive, 10, points, &n_points));
    assert_int_equal(n_points, 0);
    assert_true(eval_roc_area(NULL, NULL, NULL, 0, &roc));
    assert_true(isnan(roc.area.value));
}

static void test_bins(void **state) {
    (void)state;
    const double probability[] = {0.1, 0.15, 0.5, 0.55, 0.6, 0.95, 1, NAN};
    const bool right[] = {false, true, true, false, true, true, true, false};
    eval_bin bins[4];
    eval_calibration of;
    assert_true(eval_calibration_error(probability, right, 8, EVAL_EQUAL_WIDTH, 4, bins, &of));
    assert_int_equal(of.n, 7);
    assert_int_equal(bins[0].n, 2);
    assert_int_equal(bins[1].n, 0);
    assert_int_equal(bins[2].n, 3);
    assert_int_equal(bins[3].n, 2);
    assert_true(isnan(bins[1].probability) && bins[1].low == 0.25 && bins[1].high == 0.5);
    assert_close(bins[2].share, 2 / 3.0, 1e-15);
    assert_close(bins[2].probability, 0.55, 1e-15);
    /* 2/7 (0.5 - 0.125) + 3/7 (0.6667 - 0.55) + 2/7 (1 - 0.975) */
    assert_close(of.error, (0.75 + 0.35 + 0.05) / 7, 1e-15);
    assert_close(of.maximum_error, 0.375, 1e-15);
    assert_close(of.brier, (0.01 + 0.7225 + 0.25 + 0.3025 + 0.16 + 0.0025 + 0) / 7, 1e-15);

    assert_true(eval_calibration_error(probability, right, 8, EVAL_EQUAL_MASS, 2, bins, &of));
    assert_int_equal(bins[0].n + bins[1].n, 7);
    assert_int_equal(bins[1].n, 4); /* the fourth of seven lies on the cut and goes up */
    assert_true(bins[0].low == 0.1 && bins[0].high == 0.5 && bins[1].low == 0.55 && bins[1].high == 1);
    assert_close(of.error, (fabs(2 - 0.75) + fabs(3 - 3.1)) / 7, 1e-15);

    const double same[] = {0.3, 0.3, 0.3, 0.3, 0.9}; /* equal probabilities stay together */
    assert_true(eval_calibration_error(same, right, 5, EVAL_EQUAL_MASS, 4, bins, &of));
    assert_true(bins[0].n + bins[1].n + bins[2].n + bins[3].n == 5 && bins[1].n == 4 && bins[3].n == 1);
    assert_true(eval_calibration_error(NULL, NULL, 0, EVAL_EQUAL_MASS, 4, bins, &of));
    assert_true(isnan(of.error) && of.n == 0 && bins[3].n == 0);
}

/* Two groups are the two halves, so each answer's probability comes from the other group's answers. */
static void test_logistic(void **state) {
    (void)state;
    const double doubt[] = {.1, .2, .4, .5, .9, 1.3, 0, .3, 2, NAN};
    const bool right[] = {true, true, false, true, false, false, true, false, false, true};
    const uint32_t group[] = {3, 3, 3, 3, 3, 3, 9, 9, 9, 9};
    double probability[10];
    for (uint64_t seed = 0; seed < 4; seed++) {
        assert_true(eval_right_probability(doubt, right, group, 10, EVAL_LOGISTIC, seed, probability));
        assert_close(probability[6], 0.7918440826488015, 1e-5); /* the ridge moves it a little */
        assert_close(probability[7], 0.646382917976445, 1e-5);
        assert_close(probability[8], 0.027924727609633816, 1e-5);
        assert_true(isnan(probability[9]) && probability[0] > 0 && probability[0] < 1);
    }
    /* A doubt that separates perfectly, one that is constant, and one group alone. */
    const double apart[] = {0, 0, 0, 1e6, 1e6, 1e6, 0, 1e6, 0, 1e6};
    const bool fits[] = {true, true, true, false, false, false, true, false, true, false};
    assert_true(eval_right_probability(apart, fits, group, 10, EVAL_LOGISTIC, 0, probability));
    assert_close(probability[6], 0.8, 1e-3); /* Platt's target of three right answers, (3 + 1) / (3 + 2) */
    assert_close(probability[7], 0.2, 1e-3);
    const double constant[10] = {0};
    assert_true(eval_right_probability(constant, fits, group, 10, EVAL_LOGISTIC, 0, probability));
    assert_close(probability[6], 0.5, 1e-6);
    assert_true(eval_right_probability(doubt, right, (const uint32_t[]){1, 1, 1}, 3, EVAL_LOGISTIC, 0, probability));
    assert_true(isnan(probability[0]) && isnan(probability[2]));
}

static void test_isotonic(void **state) {
    (void)state;
    /* falling shares over doubts 1..7: 1 1 | 0 1 -> 1/2 | 0 1 0 -> 1/3 */
    const double doubt[] = {1, 2, 3, 4, 5, 6, 7, 0, 2.4, 2.6, 4.4, 4.6, 99};
    const bool right[] = {true, true, false, true, false, true, false, true, true, true, false, false, false};
    const uint32_t group[] = {0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1};
    double probability[13];
    assert_true(eval_right_probability(doubt, right, group, 13, EVAL_ISOTONIC, 0, probability));
    const double expected[] = {1, 1, 0.5, 0.5, 0.5, 0}; /* 5 and 6 pool to 1/2 with 3 and 4, 7 alone is 0 */
    for (int i = 0; i < 6; i++) assert_close(probability[7 + i], expected[i], 1e-15);

    double turned[13], of_turned[13]; /* a metric that rises with being right */
    for (int i = 0; i < 13; i++) turned[i] = -doubt[i];
    assert_true(eval_right_probability(turned, right, group, 13, EVAL_ISOTONIC, 0, of_turned));
    assert_memory_equal(of_turned, probability, sizeof probability);
}

static void test_halves_keep_questions_whole(void **state) {
    (void)state;
    enum { N = 200 };
    /* Doubt names the question, and right depends on the question alone: had a question answers in both halves, an
     * isotonic map would know them. */
    double doubt[N], probability[N];
    bool right[N];
    uint32_t group[N];
    uint64_t luck = 17;
    for (int i = 0; i < N; i++) {
        group[i] = (uint32_t)i / 5;
        doubt[i] = random_between(&luck, 0, 1);
        right[i] = random_between(&luck, 0, 1) < 0.5;
        if (i % 5) {
            doubt[i] = doubt[i - 1];
            right[i] = right[i - 1];
        }
    }
    assert_true(eval_right_probability(doubt, right, group, N, EVAL_ISOTONIC, 1, probability));
    int n_good = 0, n_bad = 0;
    for (int i = 0; i < N; i++) {
        assert_true(probability[i] >= 0 && probability[i] <= 1);
        n_good += right[i] ? probability[i] > 0.5 : probability[i] < 0.5;
        n_bad += right[i] ? probability[i] < 0.5 : probability[i] > 0.5;
    }
    assert_true(abs(n_good - n_bad) < N / 2);
}

static void test_risk_and_coverage(void **state) {
    (void)state;
    const double doubt[] = {0.1, 0.5, 0.3, 0.5, 0.9, NAN};
    const bool wrong[] = {false, true, false, false, true, true};
    eval_abstention points[6];
    eval_risk_curve curve;
    assert_true(eval_risk_coverage(doubt, wrong, 6, points, &curve));
    assert_int_equal(curve.n, 5);
    assert_int_equal(curve.n_points, 4);
    /* risks 0, 0, then the tied two in mean order 0.5/3, 1/4, then 2/5 */
    assert_close(curve.area, (0 + 0 + 0.5 / 3 + 0.25 + 0.4) / 5, 1e-15);
    assert_close(curve.area_best, (0.25 + 0.4) / 5, 1e-15);
    assert_close(curve.area_random, 0.4, 1e-15);
    assert_true(points[2].threshold == 0.5 && points[2].n_answered == 4 && points[2].n_wrong_avoided == 1);
    assert_true(points[1].n_wrong_avoided == 2 && points[1].n_right_lost == 1 && points[1].risk == 0);
    assert_true(points[3].coverage == 1 && points[3].n_wrong_avoided == 0 && points[3].n_right_lost == 0);
    assert_true(eval_risk_coverage(doubt, wrong, 6, NULL, &curve));

    for (int i = 0; i < 4; i++) {
        eval_abstention of = eval_abstain(doubt, wrong, 6, points[i].threshold);
        assert_true(of.n == 5 && of.n_wrong == 2 && of.n_answered == points[i].n_answered);
        assert_true(of.n_wrong_avoided == points[i].n_wrong_avoided && of.n_right_lost == points[i].n_right_lost);
    }
    eval_abstention none = eval_abstain(doubt, wrong, 6, 0);
    assert_true(none.n_answered == 0 && none.coverage == 0 && isnan(none.risk) && none.n_right_lost == 3);
    assert_true(eval_risk_coverage(NULL, NULL, 0, NULL, &curve));
    assert_true(isnan(curve.area) && curve.n == 0 && isnan(eval_abstain(NULL, NULL, 0, 1).coverage));
}

static void test_threshold_of_a_coverage(void **state) {
    (void)state;
    double doubt[20], threshold;
    for (int i = 0; i < 10; i++) doubt[i] = i + 1;
    for (int tenth = 1; tenth <= 10; tenth++) {
        assert_true(eval_coverage_threshold(doubt, 10, tenth / 10.0, &threshold));
        assert_close(threshold, tenth, 0);
    }
    assert_true(eval_coverage_threshold(doubt, 10, 0.41, &threshold));
    assert_close(threshold, 5, 0);
    assert_true(eval_coverage_threshold(doubt, 10, 0, &threshold));
    assert_true(threshold < doubt[0]);
    assert_true(eval_coverage_threshold(NULL, 0, 0.9, &threshold));
    assert_true(isnan(threshold));
}

/* A probability that is right about itself has a small error; the same one pushed to the ends has not. */
static void test_error_of_a_true_probability(void **state) {
    (void)state;
    enum { N = 4000 };
    static double doubt[N], said[N], pushed[N];
    static bool right[N];
    uint64_t luck = 23;
    for (int i = 0; i < N; i++) {
        doubt[i] = random_between(&luck, -3, 3);
        said[i] = 1 / (1 + exp(doubt[i]));
        pushed[i] = 1 / (1 + exp(3 * doubt[i]));
        right[i] = random_between(&luck, 0, 1) < said[i];
    }
    eval_bin bins[10];
    eval_calibration of;
    for (eval_binning binning = EVAL_EQUAL_WIDTH; binning <= EVAL_EQUAL_MASS; binning++) {
        assert_true(eval_calibration_error(said, right, N, binning, 10, bins, &of));
        assert_true(of.error < 0.03);
        assert_true(eval_calibration_error(pushed, right, N, binning, 10, bins, &of));
        assert_true(of.error > 0.08);
        for (eval_mapping mapping = EVAL_LOGISTIC; mapping <= EVAL_ISOTONIC; mapping++) {
            static double mapped[N];
            assert_true(eval_right_probability(doubt, right, NULL, N, mapping, 1, mapped));
            assert_true(eval_calibration_error(mapped, right, N, binning, 10, bins, &of));
            assert_true(of.n == N && of.error < 0.04);
        }
    }
}

typedef bool attempt(void);

static bool attempt_area(void) {
    eval_roc roc;
    return eval_roc_area(scores, positive, NULL, 8, &roc);
}

static bool attempt_points(void) {
    eval_roc_point points[9];
    size_t n_points;
    return eval_roc_points(scores, positive, 8, points, &n_points);
}

static bool attempt_error(void) {
    eval_bin bins[3];
    eval_calibration of;
    return eval_calibration_error(scores, positive, 8, EVAL_EQUAL_MASS, 3, bins, &of);
}

static bool attempt_logistic(void) {
    double probability[8];
    return eval_right_probability(scores, positive, NULL, 8, EVAL_LOGISTIC, 1, probability);
}

static bool attempt_isotonic(void) {
    double probability[8];
    return eval_right_probability(scores, positive, NULL, 8, EVAL_ISOTONIC, 1, probability);
}

static bool attempt_curve(void) {
    eval_risk_curve curve;
    return eval_risk_coverage(scores, positive, 8, NULL, &curve);
}

static void test_memory_out(void **state) {
    (void)state;
    attempt *const attempts[] = {attempt_area,     attempt_points, attempt_error,  attempt_logistic,
                                 attempt_isotonic, attempt_curve};
    for (size_t i = 0; i < sizeof attempts / sizeof *attempts; i++) {
        long n_failed = 0;
        for (bool ok = false; !ok; n_failed += !ok) {
            allocations_limit(n_failed);
            ok = attempts[i]();
            allocations_limit(-1);
        }
        assert_true(n_failed >= 1 && n_failed <= 9);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_area_with_ties),
        cmocka_unit_test(test_area_against_all_pairs),
        cmocka_unit_test(test_area_at_the_ends),
        cmocka_unit_test(test_bins),
        cmocka_unit_test(test_logistic),
        cmocka_unit_test(test_isotonic),
        cmocka_unit_test(test_halves_keep_questions_whole),
        cmocka_unit_test(test_risk_and_coverage),
        cmocka_unit_test(test_threshold_of_a_coverage),
        cmocka_unit_test(test_error_of_a_true_probability),
        cmocka_unit_test(test_memory_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
