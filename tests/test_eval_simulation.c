/* test_eval_simulation.c - the statistics on made-up graders whose truth is known: do intervals cover it as often as
 * they say, and do corrected tests raise as few false alarms?
 *
 * A question has a difficulty, normal around a mean; a policy is right with probability logistic(skill -
 * difficulty), each question adding its own to the skill of the second policy. So the seeds of a question resemble
 * each other. With the same seed both policies use the same luck half of the time, as samplers do that draw from
 * nearly the same distribution. */
#include "support.h"

#include <math.h>
#include <stdlib.h>

#include "eval/signals.h"
#include "eval/statistics.h"

enum { N_RUNS = 2000, MAX_SCORES = 1500 };

/* Of 2,000 runs at 95 % the standard deviation is 0.5 %. */
static const double lowest_coverage = 0.93, highest_coverage = 0.97;

typedef struct grader {
    const char *name;
    size_t n_questions, n_seeds, n_resamples;
    double difficulty, spread; /* of the questions: mean and standard deviation */
    double gain, gain_spread;  /* what the second policy's skill adds */
} grader;

static const grader graders[] = {
    {"300 questions, 5 seeds", 300, 5, 300, 0, 2, 0.3, 0.5},
    {"100 questions, 5 seeds", 100, 5, 500, 0, 2, 0.3, 0.5},
    {"40 questions, 5 seeds", 40, 5, 500, 0, 2, 0.3, 0.5},
    {"20 questions, 5 seeds", 20, 5, 500, 0, 2, 0.3, 0.5},
    {"10 questions, 5 seeds", 10, 5, 500, 0, 2, 0.3, 0.5},
    {"100 questions, 1 seed", 100, 1, 500, 0, 2, 0.3, 0.5},
    {"no difference, questions alike", 100, 5, 500, 0, 0, 0, 0},
    {"easy questions", 100, 5, 500, -3, 1.5, 0.3, 0.3},
    {"questions that are known or not", 100, 5, 500, 0, 6, 0.5, 2},
    {"a large gain", 50, 3, 500, 2, 1, 2, 1},
};

static double uniform(uint64_t *luck) { return random_between(luck, 0, 1); }

static double normal(uint64_t *luck) {
    double u = 1 - uniform(luck), angle = 6.283185307179586 * uniform(luck);
    return sqrt(-2 * log(u)) * cos(angle);
}

static double logistic(double x) { return 1 / (1 + exp(-x)); }

typedef struct truth {
    double first, second; /* accuracies */
} truth;

/* Sums over a grid of both normal distributions. */
static truth truth_of(const grader *of) {
    truth out = {0, 0};
    double total = 0;
    for (int i = -60; i <= 60; i++) {
        for (int j = -60; j <= 60; j++) {
            double x = i / 10.0, y = j / 10.0, weight = exp(-(x * x + y * y) / 2);
            double skill = -(of->difficulty + of->spread * x);
            out.first += weight * logistic(skill);
            out.second += weight * logistic(skill + of->gain + of->gain_spread * y);
            total += weight;
        }
    }
    out.first /= total;
    out.second /= total;
    return out;
}

static void answer(const grader *of, uint64_t *luck, double *first, double *second) {
    for (size_t question = 0; question < of->n_questions; question++) {
        double skill = -(of->difficulty + of->spread * normal(luck));
        double better = skill + of->gain + of->gain_spread * normal(luck);
        for (size_t i = question * of->n_seeds; i < (question + 1) * of->n_seeds; i++) {
            double one = uniform(luck), other = uniform(luck);
            if (uniform(luck) < 0.5) other = one;
            first[i] = one < logistic(skill);
            second[i] = other < logistic(better);
        }
    }
}

static bool covers(eval_interval interval, double value) { return interval.low <= value && value <= interval.high; }

static void assert_coverage(const char *name, const char *what, int n_covered) {
    double coverage = (double)n_covered / N_RUNS;
    print_message("%-34s %-12s %5.2f %%\n", name, what, 100 * coverage);
    if (coverage < lowest_coverage || coverage > highest_coverage)
        fail_msg("%s: intervals of the %s cover it in %.2f %% of the runs", name, what, 100 * coverage);
}

static void test_intervals_cover(void **state) {
    (void)state;
    static double first[MAX_SCORES], second[MAX_SCORES];
    for (size_t k = 0; k < sizeof graders / sizeof *graders; k++) {
        const grader *of = &graders[k];
        truth expected = truth_of(of);
        int n_difference = 0, n_accuracy = 0;
        uint64_t luck = 100 + k;
        for (uint64_t run = 0; run < N_RUNS; run++) {
            eval_bootstrap bootstrap = {of->n_resamples, run};
            eval_difference pair;
            eval_interval accuracy;
            answer(of, &luck, first, second);
            assert_true(eval_paired_difference(second, first, of->n_questions, of->n_seeds, &bootstrap, &pair));
            assert_true(eval_accuracy(second, of->n_questions, of->n_seeds, &bootstrap, &accuracy));
            n_difference += covers(pair.difference, expected.second - expected.first);
            n_accuracy += covers(accuracy, expected.second);
        }
        assert_coverage(of->name, "difference", n_difference);
        assert_coverage(of->name, "accuracy", n_accuracy);
    }
}

/* Why the seeds of a drawn question are not drawn again: where questions differ little, their luck counts twice. */
static void test_drawing_seeds_again_is_too_careful(void **state) {
    (void)state;
    enum { N_QUESTIONS = 60, N_SEEDS = 5, N_RESAMPLES = 200, N_TRIES = 500 };
    static double first[MAX_SCORES], second[MAX_SCORES];
    const grader alike = {"", N_QUESTIONS, N_SEEDS, 0, 0, 0, 0, 0};
    int n_once = 0, n_twice = 0;
    uint64_t luck = 9;
    for (int try = 0; try < N_TRIES; try++) {
        answer(&alike, &luck, first, second);
        double mean = 0, once = 0, twice = 0; /* variances of the resamples */
        for (int i = 0; i < N_QUESTIONS * N_SEEDS; i++) mean += (second[i] - first[i]) / (N_QUESTIONS * N_SEEDS);
        for (int draw = 0; draw < N_RESAMPLES; draw++) {
            double whole = 0, again = 0;
            for (int i = 0; i < N_QUESTIONS; i++) {
                int question = (int)random_between(&luck, 0, N_QUESTIONS) * N_SEEDS;
                for (int j = 0; j < N_SEEDS; j++) {
                    int other = question + (int)random_between(&luck, 0, N_SEEDS);
                    whole += second[question + j] - first[question + j];
                    again += second[other] - first[other];
                }
            }
            whole = whole / (N_QUESTIONS * N_SEEDS) - mean;
            again = again / (N_QUESTIONS * N_SEEDS) - mean;
            once += whole * whole / N_RESAMPLES;
            twice += again * again / N_RESAMPLES;
        }
        n_once += fabs(mean) <= 1.96 * sqrt(once); /* the true difference is 0 */
        n_twice += fabs(mean) <= 1.96 * sqrt(twice);
    }
    assert_true(n_once > 0.92 * N_TRIES && n_once < 0.97 * N_TRIES);
    assert_true(n_twice > 0.97 * N_TRIES);
}

/* Right answers for each token, where hard questions cost more. */
static void test_ratios_cover(void **state) {
    (void)state;
    enum { N_QUESTIONS = 80, N_SEEDS = 4 };
    static double right[N_QUESTIONS * N_SEEDS], tokens[N_QUESTIONS * N_SEEDS];
    /* A question is easy or hard, half each: right with 0.9 or 0.4, at 30 or 80 tokens in the mean. */
    const double expected = (0.9 + 0.4) / (30 + 80);
    int n_covered = 0;
    uint64_t luck = 5;
    for (uint64_t run = 0; run < N_RUNS; run++) {
        for (int i = 0, hard = 0; i < N_QUESTIONS * N_SEEDS; i++) {
            if (i % N_SEEDS == 0) hard = uniform(&luck) < 0.5;
            right[i] = uniform(&luck) < (hard ? 0.4 : 0.9);
            tokens[i] = (hard ? 80 : 30) * (0.5 + uniform(&luck));
        }
        eval_interval ratio;
        assert_true(eval_ratio(right, tokens, N_QUESTIONS, N_SEEDS, &(eval_bootstrap){500, run}, &ratio));
        n_covered += covers(ratio, expected);
    }
    assert_coverage("80 questions, 4 seeds", "ratio", n_covered);
}

/* Doubt of right and wrong answers normal with distance 1 between the means, of which a question's answers share a
 * part: the area is Phi(1 / sqrt(2)) = 0.7602. */
static void test_areas_cover(void **state) {
    (void)state;
    enum { N_QUESTIONS = 100, N_SEEDS = 5, N = N_QUESTIONS * N_SEEDS };
    static double doubt[N];
    static bool wrong[N];
    static uint32_t group[N];
    const double expected = 0.5 * erfc(-0.5), shared = sqrt(0.6), own = sqrt(0.4);
    int n_covered = 0, n_covered_alone = 0;
    uint64_t luck = 77;
    for (int run = 0; run < N_RUNS; run++) {
        double common = 0, difficulty = 0;
        for (uint32_t i = 0; i < N; i++) {
            if (i % N_SEEDS == 0) {
                common = normal(&luck);
                difficulty = 2 * normal(&luck) + 1;
            }
            group[i] = i / N_SEEDS;
            wrong[i] = uniform(&luck) > logistic(difficulty);
            doubt[i] = shared * common + own * normal(&luck) + wrong[i];
        }
        eval_roc roc;
        assert_true(eval_roc_area(doubt, wrong, group, N, &roc));
        n_covered += covers(roc.area, expected);
        assert_true(eval_roc_area(doubt, wrong, NULL, N, &roc));
        n_covered_alone += covers(roc.area, expected);
    }
    assert_coverage("100 questions, 5 seeds", "ROC area", n_covered);
    assert_true(n_covered_alone < 0.9 * N_RUNS); /* answers taken for independent: far too sure */
}

/* Six policies that are all alike answer the same questions; five are compared with the first. */
static void test_holm_keeps_false_alarms(void **state) {
    (void)state;
    enum { N_POLICIES = 6, N_QUESTIONS = 100, N_SEEDS = 5, N = N_QUESTIONS * N_SEEDS, N_TESTS = N_POLICIES - 1 };
    static double scores[N_POLICIES][N];
    int n_plain = 0, n_corrected = 0, n_mcnemar = 0;
    uint64_t luck = 2024;
    for (uint64_t run = 0; run < N_RUNS; run++) {
        for (int i = 0, question = -1; i < N; i++) {
            static double share;
            if (i / N_SEEDS != question) {
                question = i / N_SEEDS;
                share = logistic(1.5 * normal(&luck));
            }
            double one = uniform(&luck);
            for (int policy = 0; policy < N_POLICIES; policy++)
                scores[policy][i] = (uniform(&luck) < 0.3 ? one : uniform(&luck)) < share;
        }
        double p[N_TESTS], exact[N_TESTS];
        bool plain = false, corrected = false, mcnemar = false;
        for (int i = 0; i < N_TESTS; i++) {
            eval_difference of;
            eval_bootstrap bootstrap = {500, run * N_TESTS + (uint64_t)i};
            assert_true(eval_paired_difference(scores[i + 1], scores[0], N_QUESTIONS, N_SEEDS, &bootstrap, &of));
            p[i] = of.p;
            exact[i] = eval_mcnemar(scores[i + 1], scores[0], N_QUESTIONS, N_SEEDS).p;
            plain |= p[i] <= 0.05;
        }
        assert_true(eval_holm(p, N_TESTS, p) && eval_holm(exact, N_TESTS, exact));
        for (int i = 0; i < N_TESTS; i++) {
            corrected |= p[i] <= 0.05;
            mcnemar |= exact[i] <= 0.05;
        }
        n_plain += plain;
        n_corrected += corrected;
        n_mcnemar += mcnemar;
    }
    print_message("false alarms: %.2f %% without correction, %.2f %% with Holm's, %.2f %% of McNemar's with Holm's\n",
                  100.0 * n_plain / N_RUNS, 100.0 * n_corrected / N_RUNS, 100.0 * n_mcnemar / N_RUNS);
    /* 5 % and 1.65 standard deviations of such a share in 2,000 runs; the tests are no mere silence. */
    assert_true(n_corrected <= 0.058 * N_RUNS && n_corrected >= 0.025 * N_RUNS);
    assert_true(n_mcnemar <= 0.058 * N_RUNS);
    assert_true(n_plain > 0.1 * N_RUNS);
}

/* A gain of 10 points on 300 questions is found. */
static void test_a_gain_is_found(void **state) {
    (void)state;
    static double first[MAX_SCORES], second[MAX_SCORES];
    const grader gainer = {"", 300, 5, 500, 0, 2, 0.68, 0.5};
    truth expected = truth_of(&gainer);
    assert_true(expected.second - expected.first > 0.09 && expected.second - expected.first < 0.11);
    int n_found = 0, n_majorities = 0;
    uint64_t luck = 4;
    for (uint64_t run = 0; run < 100; run++) {
        eval_difference of;
        answer(&gainer, &luck, first, second);
        assert_true(eval_paired_difference(second, first, 300, 5, &(eval_bootstrap){500, run}, &of));
        n_found += of.p <= 0.01 && of.difference.low > 0;
        n_majorities += eval_mcnemar(second, first, 300, 5).p <= 0.05;
    }
    assert_true(n_found >= 99);
    assert_true(n_majorities >= 60);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_intervals_cover),
        cmocka_unit_test(test_drawing_seeds_again_is_too_careful),
        cmocka_unit_test(test_ratios_cover),
        cmocka_unit_test(test_areas_cover),
        cmocka_unit_test(test_holm_keeps_false_alarms),
        cmocka_unit_test(test_a_gain_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
