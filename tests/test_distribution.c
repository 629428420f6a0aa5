/* test_distribution.c - the filters against a naive implementation of the specification's words, and the draws against
 * the distributions that they should follow. */
#include "support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sampler_support.h"

/* ---- distributions against a naive implementation ---------------------------------------------------------------- */

typedef struct naive_token {
    double probability;
    float logit;
    int32_t token;
} naive_token;

static int likelier_first(const void *a, const void *b) {
    const naive_token *x = a, *y = b;
    if (x->logit != y->logit) return x->logit > y->logit ? -1 : 1;
    return x->token < y->token ? -1 : 1;
}

static void normalise(naive_token *tokens, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += tokens[i].probability;
    for (size_t i = 0; i < n; i++) tokens[i].probability /= sum;
}

/* The filters in the words of the specification: everything in double precision, everything sorted. */
static size_t naive_filter(const float *logits, size_t n, const ex_decision *decision, naive_token *tokens) {
    double maximum = -INFINITY;
    for (size_t i = 0; i < n; i++) maximum = fmax(maximum, (double)logits[i]);
    for (size_t i = 0; i < n; i++)
        tokens[i] = (naive_token){exp(((double)logits[i] - maximum) / decision->temperature), logits[i], (int32_t)i};
    normalise(tokens, n);
    qsort(tokens, n, sizeof *tokens, likelier_first);
    size_t kept = 0;
    while (kept < n && tokens[kept].probability > 0 &&
           tokens[kept].probability >= decision->min_p * tokens[0].probability)
        kept++;
    if (decision->top_k > 0 && kept > (size_t)decision->top_k) kept = (size_t)decision->top_k;
    normalise(tokens, kept);
    double before = 0;
    size_t nucleus = 0;
    while (nucleus < kept && before <= decision->top_p) before += tokens[nucleus++].probability;
    normalise(tokens, nucleus);
    return nucleus;
}

static void random_logits(uint64_t *random, float *logits, size_t n) {
    double spread = random_between(random, 0.1, 8), step = random_between(random, 0, 1) < 0.3 ? 0.25 : 0;
    for (size_t i = 0; i < n; i++) {
        double value = 0;
        for (int j = 0; j < 4; j++) value += random_between(random, -spread, spread);
        if (step > 0) value = round(value / step) * step; /* many ties */
        logits[i] = random_between(random, 0, 1) < 0.05 ? -INFINITY : (float)value;
    }
    logits[n / 2] = 1; /* something is finite */
}

static ex_decision random_decision(uint64_t *random, size_t n) {
    ex_decision decision = {.strategy = "plain", .candidates = 1,
                            .temperature = random_between(random, 0.05, 3),
                            .top_p = random_between(random, 0, 1),
                            .min_p = random_between(random, 0, 0.3)};
    decision.top_k = (int32_t)random_between(random, 0, (double)n * 1.5);
    if (random_between(random, 0, 1) < 0.5) decision.top_k = (int32_t)random_between(random, 0, 40);
    if (random_between(random, 0, 1) < 0.3) decision.top_p = 1;
    if (random_between(random, 0, 1) < 0.3) decision.min_p = 0;
    if (random_between(random, 0, 1) < 0.2) decision.min_p = 1;
    return decision;
}

static void check_against_naive(const ex_distribution *distribution, const naive_token *expected, size_t count) {
    assert_int_equal(distribution->count, count);
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        const ex_candidate *candidate = &distribution->candidates[i];
        assert_int_equal(candidate->token, expected[i].token);
        assert_true(fabs(candidate->probability - expected[i].probability) < 1e-11);
        if (i > 0) assert_true(candidate->probability <= candidate[-1].probability);
        sum += candidate->probability;
    }
    assert_true(fabs(sum - 1) < 1e-9);
}

static void test_filters_against_naive(void **state) {
    (void)state;
    uint64_t random = 2024;
    const size_t sizes[] = {1, 2, 7, 100, 511, 1024, 1025, 5000, 30011}; /* the last has more blocks than most top_k */
    static float logits[30011];
    static naive_token expected[30011];
    ex_metrics metrics = {0};
    for (int round = 0; round < 1200; round++) {
        size_t n = sizes[round % 9];
        random_logits(&random, logits, n);
        ex_decision decision = random_decision(&random, n);
        ex_sampler *sampler = open_sampler(NULL, (int32_t)n);
        ex_distribution distribution;
        ex_error error;
        assert_ok(ex_sampler_distribution(sampler, logits, &metrics, &decision, &distribution, &error), &error);
        check_against_naive(&distribution, expected, naive_filter(logits, n, &decision, expected));
        ex_sampler_close(sampler);
    }
}

/* The lowest id among equals, also where they lie in several blocks, or everywhere. */
static void test_likeliest_of_many_blocks(void **state) {
    (void)state;
    enum { N = 5000 };
    static float logits[N];
    const float others[] = {-INFINITY, -3, 2.5f};
    ex_sampler *sampler = open_sampler(NULL, N);
    ex_metrics metrics = {0};
    ex_distribution distribution;
    ex_error error;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        for (size_t j = 0; j < N; j++) logits[j] = others[i];
        logits[700] = logits[1500] = logits[N - 1] = 2.5f;
        const int32_t first = others[i] < logits[700] ? 700 : 0;
        ex_decision greedy = {.strategy = "greedy", .candidates = 1, .top_p = 1, .top_k = 1};
        assert_ok(ex_sampler_distribution(sampler, logits, &metrics, &greedy, &distribution, &error), &error);
        assert_int_equal(distribution.count, 1);
        assert_int_equal(distribution.candidates[0].token, first);
        ex_decision two = {.strategy = "plain", .candidates = 1, .temperature = 1, .top_p = 1, .top_k = 2};
        assert_ok(ex_sampler_distribution(sampler, logits, &metrics, &two, &distribution, &error), &error);
        assert_int_equal(distribution.count, 2);
        assert_int_equal(distribution.candidates[0].token, first);
        assert_int_equal(distribution.candidates[1].token, first == 0 ? 1 : 1500);
    }
    ex_sampler_close(sampler);
}

static void test_top_p_keeps_the_token_that_crosses(void **state) {
    (void)state;
    double p[] = {.4, .2, .15, .1, .1, .05};
    float logits[6];
    for (size_t i = 0; i < 6; i++) logits[i] = (float)log(p[i]);
    ex_sampler *sampler = open_sampler(NULL, 6);
    ex_decision decision = {.strategy = "plain", .candidates = 1, .temperature = 1, .top_p = 0.5, .top_k = 27};
    ex_metrics metrics = {0};
    ex_distribution distribution;
    ex_error error;
    assert_ok(ex_sampler_distribution(sampler, logits, &metrics, &decision, &distribution, &error), &error);
    assert_int_equal(distribution.count, 2); /* the likeliest stay: the original program dropped them */
    assert_int_equal(distribution.candidates[0].token, 0);
    assert_int_equal(distribution.candidates[1].token, 1);
    assert_true(is_close(distribution.candidates[0].probability, 2.0 / 3, 1e-6));
    decision.top_p = 0;
    assert_ok(ex_sampler_distribution(sampler, logits, &metrics, &decision, &distribution, &error), &error);
    assert_int_equal(distribution.count, 1);
    ex_decision bad[] = {{.temperature = -1, .top_p = 1},
                         {.temperature = NAN, .top_p = 1},
                         {.temperature = 1, .top_p = 2},
                         {.temperature = 1, .top_p = 1, .min_p = -1},
                         {.temperature = 1, .top_p = 1, .top_k = -1}};
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(ex_sampler_distribution(sampler, logits, &metrics, &bad[i], &distribution, &error),
                         EX_ERROR_ARGUMENT);
    ex_sampler_close(sampler);
}

/* ---- draws ----------------------------------------------------------------------------------------------------- */

enum { N_DRAWS = 20000 };

/* Upper 0.1 % points of chi-square, Wilson and Hilferty's approximation. */
static double chi_square_limit(size_t degrees) {
    double d = (double)degrees, z = 3.0902;
    double root = 1 - 2 / (9 * d) + z * sqrt(2 / (9 * d));
    return d * root * root * root;
}

/* Draws at N_DRAWS positions and compares with `expected` (by index in the distribution). Cells that expect less than
 * five are put together. */
static void check_draws(ex_sampler *sampler, const ex_distribution *distribution, const ex_decision *decision,
                        const double *expected, uint64_t seed) {
    size_t *counts = calloc(distribution->count, sizeof *counts);
    assert_non_null(counts);
    for (uint32_t position = 0; position < N_DRAWS; position++) {
        ex_draw draw;
        ex_sampler_draw(sampler, distribution, decision, (ex_random_key){seed, 0, position, 0}, &draw);
        size_t i = 0;
        while (i < distribution->count && distribution->candidates[i].token != draw.token) i++;
        assert_true(i < distribution->count);
        counts[i]++;
    }
    double chi_square = 0, rest_count = 0, rest_expected = 0;
    size_t cells = 0;
    for (size_t i = 0; i < distribution->count; i++) {
        double count = (double)counts[i], wanted = expected[i] * N_DRAWS;
        if (wanted < 5) {
            rest_count += count;
            rest_expected += wanted;
            continue;
        }
        chi_square += (count - wanted) * (count - wanted) / wanted;
        cells++;
    }
    if (rest_expected >= 5) {
        chi_square += (rest_count - rest_expected) * (rest_count - rest_expected) / rest_expected;
        cells++;
    } else {
        assert_true(rest_count < 30);
    }
    assert_true(cells >= 3);
    if (chi_square >= chi_square_limit(cells - 1))
        fail_msg("seed %d: chi-square %.2f over %zu cells, the limit is %.2f", (int)seed, chi_square, cells,
                 chi_square_limit(cells - 1));
    free(counts);
}

/* A row of 300 logits: a head of ten and a long tail. */
static void head_and_tail(float *logits) {
    uint64_t random = 7;
    for (size_t i = 0; i < 300; i++) logits[i] = (float)random_between(&random, -4, 1) + (i % 30 == 3 ? 4.0f : 0.0f);
}

static void test_draws_follow_the_distribution(void **state) {
    (void)state;
    float logits[300];
    head_and_tail(logits);
    ex_policy policy = preset(NULL);
    ex_sampler *sampler = open_sampler(&policy, 300);
    ex_metrics metrics = {.logits_entropy = 4, .logits_varentropy = 6, .interaction_strength = 0.5, .attn_entropy = 1};
    ex_error error;
    for (int i = 0; i < 3; i++) {
        static const char *const wanted[] = {"explore", "high_uncertainty", "plain"};
        policy.strategies = i < 2;
        metrics.logits_entropy = i == 0 ? 4 : 6;
        ex_decision decision;
        decision = decide_at(&policy, &metrics, false);
        assert_string_equal(decision.strategy, wanted[i]);
        ex_distribution distribution;
        assert_ok(ex_sampler_distribution(sampler, logits, &metrics, &decision, &distribution, &error), &error);
        double probabilities[300];
        for (size_t j = 0; j < distribution.count; j++) probabilities[j] = distribution.candidates[j].probability;
        for (uint64_t seed = 1; seed <= 3; seed++) check_draws(sampler, &distribution, &decision, probabilities, seed);
    }
    ex_sampler_close(sampler);
}

/* The best of n draws is candidate i when none is better and not all are worse; candidates of equal score share what
 * they win together as they share their mass, since the first that is drawn counts. */
static void best_of(const ex_distribution *distribution, double n, double *out) {
    double before = 0, mass;
    for (size_t first = 0, next; first < distribution->count; first = next, before += mass) {
        const ex_candidate *tied = distribution->candidates + first;
        mass = 0;
        for (next = first; next < distribution->count; next++) {
            if (distribution->candidates[next].score != tied->score) break;
            mass += distribution->candidates[next].probability;
        }
        double wins = pow(fmax(0, 1 - before), n) - pow(fmax(0, 1 - before - mass), n);
        for (size_t i = first; i < next; i++) out[i] = wins * distribution->candidates[i].probability / mass;
    }
}

static void test_adaptive_is_the_best_of_n(void **state) {
    (void)state;
    float logits[300];
    head_and_tail(logits);
    logits[3] = logits[33]; /* a tie among the likeliest */
    int32_t candidates[] = {1, 2, 5, 12};
    for (size_t i = 0; i < 8; i++) {
        ex_policy policy = preset(NULL);
        policy.candidates = candidates[i % 4];
        policy.candidate_draws = i < 4; /* drawn, and by the closed form: one distribution */
        ex_sampler *sampler = open_sampler(&policy, 300);
        ex_metrics metrics = {.logits_entropy = 4, .logits_varentropy = 4.5, .interaction_strength = 0.5};
        ex_decision decision;
        ex_distribution distribution;
        ex_error error;
        decision = decide_at(&policy, &metrics, false);
        assert_string_equal(decision.strategy, "adaptive");
        assert_ok(ex_sampler_distribution(sampler, logits, &metrics, &decision, &distribution, &error), &error);
        double expected[300];
        best_of(&distribution, policy.candidates, expected);
        for (uint64_t seed = 1; seed <= 2; seed++) check_draws(sampler, &distribution, &decision, expected, seed);
        ex_draw draw;
        ex_sampler_draw(sampler, &distribution, &decision, (ex_random_key){1, 0, 0, 0}, &draw);
        assert_int_equal(draw.n_draws, policy.candidate_draws ? policy.candidates : 1);
        ex_sampler_close(sampler);
    }
    ex_candidate three[] = {{0, .5, 0, -1}, {1, .3, 0, -2}, {2, .2, 0, -3}};
    ex_distribution distribution = {three, 3};
    double expected[3];
    best_of(&distribution, 5, expected);
    assert_true(is_close(expected[0], .96875, 1e-9) && is_close(expected[1], .03093, 1e-9));
    ex_candidate ties[] = {{0, .3, 0, -1}, {1, .25, 0, -2}, {2, .25, 0, -2}, {3, .2, 0, -2}};
    ex_distribution tied = {ties, 4};
    double shares[4];
    best_of(&tied, 5, shares);
    assert_true(fabs(shares[0] - .8319) < 5e-5 && fabs(shares[1] - .06) < 5e-5 && fabs(shares[3] - .048) < 5e-5);
}

static void test_draws_depend_on_the_key_alone(void **state) {
    (void)state;
    ex_candidate ten[10];
    for (int i = 0; i < 10; i++) ten[i] = (ex_candidate){.token = i, .probability = 0.1, .score = -i};
    ex_distribution distribution = {ten, 10}, empty = {ten, 0};
    ex_decision decision = {.strategy = "adaptive", .candidates = 12};
    ex_sampler *sampler = open_sampler(NULL, 10);
    ex_draw a, b;
    ex_sampler_draw(sampler, &distribution, &decision, (ex_random_key){5, 6, 7, 0}, &a);
    ex_sampler_draw(sampler, &distribution, &decision, (ex_random_key){5, 7, 7, 0}, &b);
    assert_true(a.uniform[0] != b.uniform[0]);
    ex_sampler_draw(sampler, &distribution, &decision, (ex_random_key){5, 6, 7, 0}, &b);
    assert_int_equal(a.n_draws, 12);
    assert_memory_equal(a.uniform, b.uniform, 12 * sizeof *a.uniform);
    assert_memory_equal(a.drawn, b.drawn, 12 * sizeof *a.drawn);
    for (int i = 0; i < a.n_draws; i++) {
        assert_true(a.token <= a.drawn[i]);
        assert_int_equal(a.drawn[i], (int)(a.uniform[i] * 10));
    }
    ex_sampler_draw(sampler, &empty, &decision, (ex_random_key){5, 6, 7, 0}, &a);
    assert_int_equal(a.token, EX_TOKEN_NONE);
    assert_int_equal(a.n_draws, 0);
    ex_sampler_close(sampler);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_filters_against_naive),
        cmocka_unit_test(test_likeliest_of_many_blocks),
        cmocka_unit_test(test_top_p_keeps_the_token_that_crosses),
        cmocka_unit_test(test_draws_follow_the_distribution), cmocka_unit_test(test_adaptive_is_the_best_of_n),
        cmocka_unit_test(test_draws_depend_on_the_key_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
