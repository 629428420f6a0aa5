/* test_sampler.c - the sampler against the double-precision oracle's cases and the document's examples: metrics,
 * decisions, and the history of a whole answer. */
#include "support.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "allocations.h"
#include "sampler_support.h"

#define TOLERANCE 1e-5

/* ---- the oracle's cases ---------------------------------------------------------------------------------------- */

typedef struct golden_case {
    const json_t *json;
    const ex_attention *attention;
    ex_policy policy;
    bool clarified;
    size_t n_vocab;
    float *logits;
} golden_case;

static float *floats(const json_t *array, size_t *count) {
    *count = json_array_size(array);
    float *values = malloc(*count * sizeof *values);
    assert_non_null(values);
    for (size_t i = 0; i < *count; i++) values[i] = (float)json_number_value(json_array_get(array, i));
    return values;
}

static void load_policy(golden_case *golden) {
    ex_error error;
    const char *key;
    json_t *value;
    golden->policy = preset(NULL);
    json_object_foreach(json_object_get(golden->json, "config"), key, value) {
        char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(17));
        assert_ok(ex_policy_set(&golden->policy, key, text, &error), &error);
        free(text);
    }
    golden->policy.explore_entropy = golden->policy.high_entropy;
    const char *scope = json_string_value(json_object_get(golden->json, "scope"));
    assert_ok(ex_policy_set(&golden->policy, "scope", scope, &error), &error);
}

static void load_case(golden_case *golden, const json_t *json, ex_score_reducer *reducer) {
    ex_error error;
    *golden = (golden_case){.json = json};
    load_policy(golden);
    golden->clarified = json_is_true(json_object_get(json, "clarified"));
    golden->logits = floats(json_object_get(json, "logits"), &golden->n_vocab);
    const json_t *shape = json_object_get(json, "scores_shape");
    int32_t size[3];
    for (size_t i = 0; i < 3; i++) size[i] = (int32_t)json_integer_value(json_array_get(shape, i));
    size_t count;
    float *scores = floats(json_object_get(json, "scores"), &count);
    assert_int_equal(count, size[0] * size[1] * size[2]);
    assert_ok(ex_score_reduce(reducer, scores, size[0], size[1], (size_t)size[2], &golden->attention, &error), &error);
    free(scores);
}

#define EXPECT_CLOSE(value, expected, id, what)                                                                        \
    do {                                                                                                               \
        if (!is_close(value, expected, TOLERANCE))                                                                     \
            fail_msg("case %lld: %s is %.17g, expected %.17g", (long long)(id), what, (double)(value), expected);      \
    } while (0)

static void check_numbers(const golden_case *golden, const char *group, const char *const *keys, const double *values) {
    long long id = json_integer_value(json_object_get(golden->json, "id"));
    for (size_t i = 0; keys[i]; i++) {
        const json_t *expected = json_object_get(json_object_get(golden->json, group), keys[i]);
        assert_true(json_is_number(expected));
        EXPECT_CLOSE(values[i], json_number_value(expected), id, keys[i]);
    }
}

static void check_metrics(const golden_case *golden, const ex_metrics *metrics) {
    static const char *const keys[] = {"logits_entropy", "logits_varentropy", "attn_entropy",         "attn_varentropy",
                                       "agreement",      "head_consensus",    "interaction_strength", NULL};
    check_numbers(golden, "metrics", keys,
                  (double[]){metrics->logits_entropy, metrics->logits_varentropy, metrics->attn_entropy,
                             metrics->attn_varentropy, metrics->agreement, metrics->head_consensus,
                             metrics->interaction_strength});
    const json_t *layers = json_object_get(golden->json, "head_entropy");
    size_t n_layer = json_array_size(layers), n_head = (size_t)golden->attention->n_head;
    size_t first = golden->policy.scope == EX_SCOPE_LAST ? (size_t)golden->attention->n_layer - 1 : 0;
    assert_int_equal(n_layer, (size_t)golden->attention->n_layer - first);
    for (size_t layer = 0; layer < n_layer; layer++)
        for (size_t head = 0; head < n_head; head++)
            assert_true(is_close(golden->attention->head_entropy[(first + layer) * n_head + head],
                                 json_number_value(json_array_get(json_array_get(layers, layer), head)), TOLERANCE));
}

static void check_decision(const golden_case *golden, const ex_decision *decision) {
    const json_t *expected = json_object_get(golden->json, "decision");
    assert_string_equal(decision->strategy, json_string_value(json_object_get(expected, "strategy")));
    assert_int_equal(decision->top_k, json_integer_value(json_object_get(expected, "top_k")));
    static const char *const keys[] = {"temperature", "top_p", "min_p", NULL};
    check_numbers(golden, "decision", keys, (double[]){decision->temperature, decision->top_p, decision->min_p});
}

static void check_distribution(const golden_case *golden, const ex_distribution *distribution) {
    long long id = json_integer_value(json_object_get(golden->json, "id"));
    const json_t *probabilities = json_object_get(golden->json, "distribution");
    const json_t *scores = json_object_get(golden->json, "candidate_scores");
    assert_int_equal(distribution->count, json_is_null(probabilities) ? 0 : json_object_size(probabilities));
    size_t n_scores = 0;
    for (size_t i = 0; i < distribution->count; i++) {
        const ex_candidate *candidate = &distribution->candidates[i];
        char token[16];
        snprintf(token, sizeof token, "%d", candidate->token);
        const json_t *expected = json_object_get(probabilities, token), *score = json_object_get(scores, token);
        if (!expected) fail_msg("case %lld: token %s should not be kept", id, token);
        EXPECT_CLOSE(candidate->probability, json_number_value(expected), id, "probability");
        if (!score) continue;
        n_scores++;
        EXPECT_CLOSE(candidate->score, json_number_value(score), id, "score");
    }
    assert_int_equal(n_scores, json_object_size(scores));
}

static void check_case(const json_t *json, ex_score_reducer *reducer) {
    golden_case golden;
    ex_error error;
    load_case(&golden, json, reducer);
    ex_metrics metrics = {0};
    assert_ok(ex_measure_logits(golden.logits, golden.n_vocab, golden.policy.top_k, &metrics, &error), &error);
    ex_measure_attention(golden.attention, golden.policy.scope, &metrics, NULL);
    check_metrics(&golden, &metrics);
    ex_decision decision;
    decision = decide_at(&golden.policy, &metrics, golden.clarified);
    check_decision(&golden, &decision);
    ex_sampler *sampler = open_sampler(&golden.policy, (int32_t)golden.n_vocab);
    ex_distribution distribution;
    assert_ok(ex_sampler_distribution(sampler, golden.logits, &metrics, &decision, &distribution, &error), &error);
    check_distribution(&golden, &distribution);
    ex_sampler_close(sampler);
    free(golden.logits);
}

static void test_golden_cases(void **state) {
    (void)state;
    FILE *file = fopen(test_data("sampler_cases.jsonl"), "r");
    assert_non_null(file);
    ex_score_reducer *reducer;
    ex_error error;
    assert_ok(ex_score_reducer_open(&reducer, &error), &error);
    int n_cases = 0;
    json_error_t json_error;
    json_t *json;
    while ((json = json_loadf(file, JSON_DISABLE_EOF_CHECK, &json_error))) {
        check_case(json, reducer);
        json_decref(json);
        n_cases++;
    }
    assert_int_equal(n_cases, 180);
    ex_score_reducer_close(reducer);
    fclose(file);
}

/* ---- metrics --------------------------------------------------------------------------------------------------- */

static void check_entropy(const double *probabilities, size_t n, double entropy, double varentropy) {
    float *logits = malloc(n * sizeof *logits);
    assert_non_null(logits);
    for (size_t i = 0; i < n; i++) logits[i] = (float)log(probabilities[i]) + 3;
    ex_metrics m;
    ex_error error;
    assert_ok(ex_measure_logits(logits, n, 0, &m, &error), &error);
    const double h = m.logits_entropy, v = m.logits_varentropy;
    if (!is_close(h, entropy, 2e-6) || !is_close(v, varentropy, 2e-6))
        fail_msg("%zu values: %.10g %.10g, expected %.10g %.10g", n, h, v, entropy, varentropy);
    free(logits);
}

static void test_known_entropies(void **state) {
    (void)state;
    static double plateau[39999];
    for (size_t i = 1; i < 39999; i++) plateau[i] = 0.4 / 39998;
    plateau[0] = 0.6;
    check_entropy((double[]){0.5, 0.5}, 2, 1, 0);
    check_entropy((double[]){.125, .125, .125, .125, .125, .125, .125, .125}, 8, 3, 0);
    check_entropy((double[]){0.9, 0.1}, 2, 0.4689955936, 0.9043582063);
    check_entropy((double[]){0.9, 0.1, 0, 0}, 4, 0.4689955936, 0.9043582063); /* log 0 is a logit of -infinity */
    check_entropy(plateau, 39999, 7.086007, 60.465484);
    check_entropy((double[]){1}, 1, 0, 0);
}

static void expect_bad_logits(const float *logits, size_t n, size_t position) {
    ex_metrics metrics;
    ex_error error = {0};
    assert_int_equal(ex_measure_logits(logits, n, 0, &metrics, &error), EX_ERROR_NUMBER);
    assert_int_equal(error.position, position);
    ex_sampler *sampler = open_sampler(NULL, (int32_t)n);
    ex_choice choice;
    ex_random_key key = {1, 0, 0, 0};
    assert_int_equal(ex_sampler_step(sampler, logits, NULL, key, &choice, &error), EX_ERROR_NUMBER);
    ex_decision decision = {.strategy = "plain", .temperature = 1, .top_p = 1};
    assert_int_equal(ex_sampler_distribution(sampler, logits, &choice.metrics, &decision, &choice.distribution, &error),
                     EX_ERROR_NUMBER);
    ex_sampler_close(sampler);
}

static void test_numbers_that_are_none(void **state) {
    (void)state;
    expect_bad_logits((float[]){0, 1, NAN, 2}, 4, 2);
    expect_bad_logits((float[]){NAN, 1, 2}, 3, 0);
    expect_bad_logits((float[]){0, INFINITY, 2}, 3, 1);
    expect_bad_logits((float[]){-INFINITY, -INFINITY}, 2, 0);
    ex_metrics metrics;
    assert_int_equal(ex_measure_logits(NULL, 0, 0, &metrics, NULL), EX_ERROR_ARGUMENT);
    assert_int_equal(ex_measure_logits((float[]){0}, 1, -1, &metrics, NULL), EX_ERROR_ARGUMENT);
    ex_score_reducer *reducer;
    const ex_attention *attention;
    ex_error error = {0};
    assert_ok(ex_score_reducer_open(&reducer, &error), &error);
    float scores[] = {0, 1, 2, NAN}, masked[] = {0, 1, -INFINITY, -INFINITY};
    assert_int_equal(ex_score_reduce(reducer, scores, 1, 2, 2, &attention, &error), EX_ERROR_NUMBER);
    assert_int_equal(error.position, 3);
    assert_int_equal(ex_score_reduce(reducer, masked, 2, 1, 2, &attention, &error), EX_ERROR_NUMBER);
    assert_non_null(strstr(error.message, "layer 1, head 0"));
    assert_int_equal(ex_score_reduce(reducer, scores, 0, 2, 2, &attention, &error), EX_ERROR_ARGUMENT);
    assert_int_equal(ex_score_reduce(reducer, scores, INT32_MAX, INT32_MAX, INT32_MAX, &attention, &error),
                     EX_ERROR_MEMORY);
    ex_score_reducer_close(reducer);
}

static void test_masked_positions_do_not_count(void **state) {
    (void)state;
    /* Layer 0 sees four positions, layer 1 only the last two. */
    float scores[] = {1, -2, 0.5f, 3, 0, 0, 0, 0, -INFINITY, -INFINITY, 2, -1, -INFINITY, -INFINITY, 4, 4};
    float first[] = {1, -2, 0.5f, 3, 0, 0, 0, 0}, second[] = {2, -1, 4, 4};
    ex_score_reducer *reducer;
    const ex_attention *attention;
    ex_error error;
    ex_metrics both = {0}, one = {0}, two = {0};
    assert_ok(ex_score_reducer_open(&reducer, &error), &error);
    assert_ok(ex_score_reduce(reducer, first, 1, 2, 4, &attention, &error), &error);
    ex_measure_attention(attention, EX_SCOPE_ALL, &one, NULL);
    assert_ok(ex_score_reduce(reducer, second, 1, 2, 2, &attention, &error), &error);
    ex_measure_attention(attention, EX_SCOPE_ALL, &two, NULL);
    assert_ok(ex_score_reduce(reducer, scores, 2, 2, 4, &attention, &error), &error);
    assert_int_equal(attention->n_positions[0], 4);
    assert_int_equal(attention->n_positions[1], 2);
    assert_true(is_close(attention->head_maximum[3], 0.5, 1e-12));
    ex_measure_attention(attention, EX_SCOPE_ALL, &both, NULL);
    assert_true(is_close(both.attn_entropy, (one.attn_entropy + two.attn_entropy) / 2, 1e-12));
    assert_true(is_close(both.attn_varentropy, (one.attn_varentropy + two.attn_varentropy) / 2, 1e-12));
    assert_true(is_close(both.head_consensus, (one.head_consensus + two.head_consensus) / 2, 1e-12));
    assert_true(is_close(both.agreement, (4 * one.agreement + 2 * two.agreement) / 6, 1e-12));
    assert_true(is_close(both.interaction_strength, (6.5 + 11) / 12, 1e-12)); /* sum of |score| over (8 + 4) places */
    ex_measure_attention(attention, EX_SCOPE_LAST, &both, NULL);
    assert_true(is_close(both.interaction_strength, two.interaction_strength, 1e-12));
    ex_measure_attention(NULL, EX_SCOPE_ALL, &both, NULL);
    assert_true(both.attn_entropy == 0 && both.agreement == 0 && both.head_consensus == 1);
    ex_score_reducer_close(reducer);
}

static void test_degenerate_attention(void **state) {
    (void)state;
    ex_score_reducer *reducer;
    const ex_attention *attention;
    ex_error error;
    ex_metrics metrics;
    assert_ok(ex_score_reducer_open(&reducer, &error), &error);
    assert_ok(ex_score_reduce(reducer, (float[]){-7, 2, 3, 4}, 2, 2, 1, &attention, &error), &error); /* one position */
    ex_measure_attention(attention, EX_SCOPE_ALL, &metrics, NULL);
    assert_true(metrics.attn_entropy == 0 && metrics.attn_varentropy == 0 && metrics.agreement == 0);
    assert_true(metrics.head_consensus == 1 && metrics.interaction_strength == 4);
    /* Heads that look at different places: as far apart as two heads can be. */
    assert_ok(ex_score_reduce(reducer, (float[]){0, -INFINITY, -INFINITY, 0}, 1, 2, 2, &attention, &error), &error);
    ex_measure_attention(attention, EX_SCOPE_ALL, &metrics, NULL);
    assert_true(metrics.agreement == 0.5 && metrics.head_consensus == 0.5);
    ex_score_reducer_close(reducer);
}

/* ---- decisions ------------------------------------------------------------------------------------------------- */

static ex_decision decide(const ex_policy *policy, double entropy, double varentropy) {
    ex_metrics metrics = {.logits_entropy = entropy, .logits_varentropy = varentropy, .head_consensus = 1};
    ex_decision decision;
    decision = decide_at(policy, &metrics, false);
    return decision;
}

static void test_examples_of_the_document(void **state) {
    (void)state;
    ex_policy policy = preset(NULL);
    policy.temperature = 1;
    assert_string_equal(decide(&policy, 0.05, 0.02).strategy, "greedy");
    assert_string_equal(decide(&policy, 3.5, 0.08).strategy, "clarify");
    ex_decision decision;
    ex_metrics detective = {.logits_entropy = 2.1, .logits_varentropy = 5.5, .interaction_strength = 0.8};
    decision = decide_at(&policy, &detective, false);
    assert_string_equal(decision.strategy, "explore");
    assert_true(is_close(decision.temperature, 1.44, 1e-12));
    ex_metrics quantum = {.logits_entropy = 5.5, .logits_varentropy = 5.2, .attn_varentropy = 0.9};
    decision = decide_at(&policy, &quantum, false);
    assert_string_equal(decision.strategy, "high_uncertainty");
    assert_true(is_close(decision.temperature, 2.45, 1e-12));
}

static void test_boundaries(void **state) {
    (void)state;
    ex_policy policy = preset(NULL);
    assert_string_equal(decide(&policy, 0.1, 0.05).strategy, "adaptive");
    assert_string_equal(decide(&policy, 0.05, 0.1).strategy, "adaptive");
    assert_string_equal(decide(&policy, 3.0, 0.05).strategy, "adaptive");
    assert_string_equal(decide(&policy, 4.99, 5.0).strategy, "adaptive");
    assert_string_equal(decide(&policy, 4.99, 5.01).strategy, "explore");
    assert_string_equal(decide(&policy, 5.0, 5.01).strategy, "high_uncertainty");
    policy = preset("entropix-2024-10");
    assert_string_equal(decide(&policy, 4.0, 0.05).strategy, "adaptive");
    assert_string_equal(decide(&policy, 4.0, 6.0).strategy, "explore");
    assert_string_equal(decide(&policy, 5.0, 6.0).strategy, "high_uncertainty");
    policy = preset("plain");
    assert_string_equal(decide(&policy, 0, 0).strategy, "plain");
    assert_true(decide(&policy, 0, 0).temperature == policy.temperature);
}

static void expect_margin(const ex_policy *policy, double entropy, double varentropy, const char *metric,
                          double margin) {
    ex_decision decision = decide(policy, entropy, varentropy);
    assert_string_equal(decision.margin_metric, metric);
    assert_true(is_close(decision.margin, margin, 1e-12));
}

static void test_margins(void **state) {
    (void)state;
    ex_policy policy = preset(NULL);
    expect_margin(&policy, 0.02, 0.05, "logits_varentropy", 0.05);
    expect_margin(&policy, 0.09, 0.05, "logits_entropy", 0.01);
    expect_margin(&policy, 3.02, 0.05, "logits_entropy", 0.02);
    expect_margin(&policy, 4.5, 6, "logits_entropy", 0.5);
    expect_margin(&policy, 5.5, 5.2, "logits_varentropy", 0.2);
    expect_margin(&policy, 2.0, 4.5, "logits_varentropy", 0.5); /* adaptive; explore lacks 0.5 bits^2 */
    expect_margin(&policy, 2.8, 0.5, "logits_varentropy", 0.4); /* clarify lacks 0.2 and 0.4: the larger decides */
    expect_margin(&policy, 2.4, 0.05, "logits_entropy", 0.6);   /* clarify lacks 0.6 bits */
    expect_margin(&policy, 0.3, 0.12, "logits_entropy", 0.2);   /* greedy lacks 0.2 and 0.02 */
    policy.varentropy = EX_VARENTROPY_SEQUENCE;
    ex_metrics metrics = {.logits_entropy = 2, .logits_varentropy = 0, .sequence_varentropy = 5.25};
    ex_decision decision;
    decision = decide_at(&policy, &metrics, false);
    assert_string_equal(decision.strategy, "explore");
    assert_string_equal(decision.margin_metric, "sequence_varentropy");
    assert_true(is_close(decision.margin, 0.25, 1e-12));
    policy = preset("plain");
    expect_margin(&policy, 2, 2, "", 0);
}

static void test_temperature_zero_takes_the_likeliest(void **state) {
    (void)state;
    ex_policy policy = preset(NULL);
    policy.temperature = 0;
    double places[][2] = {{0, 0}, {2, 2}, {2, 6}, {6, 6}};
    for (size_t i = 0; i < 4; i++) {
        ex_decision decision = decide(&policy, places[i][0], places[i][1]);
        assert_true(decision.temperature == 0 && decision.top_p == 1 && decision.top_k == 1 && decision.min_p == 0);
    }
    ex_sampler *sampler = open_sampler(&policy, 5);
    ex_choice choice;
    ex_error error;
    float logits[] = {1, 3, -INFINITY, 3, 2};
    assert_ok(ex_sampler_step(sampler, logits, NULL, (ex_random_key){1, 2, 3, 0}, &choice, &error), &error);
    assert_int_equal(choice.distribution.count, 1);
    assert_int_equal(choice.draw.token, 1); /* lowest id on a tie */
    assert_true(choice.distribution.candidates[0].probability == 1);
    assert_true(choice.distribution.candidates[0].log_probability < 0);
    ex_sampler_close(sampler);
}

static void test_no_limit_stays_no_limit(void **state) {
    (void)state;
    ex_policy policy = preset(NULL);
    policy.top_k = 0;
    assert_int_equal(decide(&policy, 2, 2).top_k, 0);
    assert_int_equal(decide(&policy, 2, 6).top_k, 0);
    assert_int_equal(decide(&policy, 6, 6).top_k, 0);
}

/* ---- a whole answer -------------------------------------------------------------------------------------------- */

static ex_choice step(ex_sampler *sampler, const float *logits, uint32_t position) {
    ex_choice choice;
    ex_error error;
    assert_ok(ex_sampler_step(sampler, logits, NULL, (ex_random_key){3, 0, position, 0}, &choice, &error), &error);
    return choice;
}

static void random_logits(uint64_t *random, float *logits, size_t n) {
    double spread = random_between(random, 0.1, 12);
    for (size_t i = 0; i < n; i++) logits[i] = (float)random_between(random, -spread, spread);
}

/* 64 equal logits: entropy 6, varentropy 0, the place of the clarification. */
static const float doubtful[64];

static void test_clarification(void **state) {
    (void)state;
    ex_policy policy = preset(NULL);
    policy.clarify_cooldown = 3;
    policy.clarify_limit = 2;
    ex_sampler *sampler = open_sampler(&policy, 64);
    ex_error error;
    uint32_t position = 0;
    assert_string_equal(step(sampler, doubtful, position).decision.strategy, "clarify_resample"); /* no text */
    int32_t tokens[] = {9, 10};
    assert_ok(ex_sampler_set_clarification(sampler, tokens, 2, &error), &error);
    for (int insertion = 0; insertion < 2; insertion++) {
        ex_choice choice = step(sampler, doubtful, position);
        assert_string_equal(choice.decision.strategy, "clarify");
        assert_int_equal(choice.draw.token, EX_TOKEN_NONE);
        assert_int_equal(choice.distribution.count, 0);
        for (int i = 0; i < 2; i++) ex_sampler_accept(sampler, tokens[i], true);
        for (int i = 0; i < 3; i++) { /* cooldown */
            choice = step(sampler, doubtful, ++position);
            assert_string_equal(choice.decision.strategy, "clarify_resample");
            assert_true(choice.draw.token >= 0);
            ex_sampler_accept(sampler, 1, false);
        }
    }
    assert_string_equal(step(sampler, doubtful, position).decision.strategy, "clarify_resample"); /* limit */
    ex_sampler_reset(sampler);
    ex_sampler_accept(sampler, 9, false);
    assert_string_equal(step(sampler, doubtful, position).decision.strategy, "clarify");
    ex_sampler_accept(sampler, 10, false); /* the model wrote it itself */
    assert_string_equal(step(sampler, doubtful, position).decision.strategy, "clarify_resample");
    for (int i = 0; i < 100; i++) ex_sampler_accept(sampler, 1, false); /* more than the sampler remembers */
    assert_string_equal(step(sampler, doubtful, position).decision.strategy, "clarify");
    ex_sampler_close(sampler);
}

static void test_clarification_arguments(void **state) {
    (void)state;
    ex_policy policy = preset(NULL);
    policy.clarify_token = 63;
    ex_sampler *sampler = open_sampler(&policy, 64);
    ex_error error;
    size_t count;
    assert_int_equal(ex_sampler_clarification(sampler, &count)[0], 63);
    assert_int_equal(count, 1);
    int32_t outside[] = {64}, many[65] = {0};
    assert_int_equal(ex_sampler_set_clarification(sampler, outside, 1, &error), EX_ERROR_ARGUMENT);
    assert_int_equal(ex_sampler_set_clarification(sampler, many, 65, &error), EX_ERROR_ARGUMENT);
    assert_ok(ex_sampler_set_clarification(sampler, many, 64, &error), &error);
    for (int i = 0; i < 64; i++) ex_sampler_accept(sampler, 0, false);
    assert_string_equal(step(sampler, doubtful, 0).decision.strategy, "clarify_resample");
    ex_sampler_close(sampler);
    policy.clarify_token = 64;
    assert_int_equal(ex_sampler_open_with(&sampler, &policy, 64, &ex_vector_math_portable, &error), EX_ERROR_ARGUMENT);
    assert_null(sampler);
    assert_int_equal(ex_sampler_open_with(&sampler, NULL, 0, &ex_vector_math_portable, &error), EX_ERROR_ARGUMENT);
    policy = preset(NULL);
    policy.top_p = NAN;
    assert_int_equal(ex_sampler_open_with(&sampler, &policy, 64, &ex_vector_math_portable, &error), EX_ERROR_ARGUMENT);
    ex_sampler_close(NULL);
}

static double population_variance(const double *values, size_t n) {
    double mean = 0, squares = 0;
    for (size_t i = 0; i < n; i++) mean += values[i] / (double)n;
    for (size_t i = 0; i < n; i++) squares += (values[i] - mean) * (values[i] - mean) / (double)n;
    return squares;
}

static void test_sequence_varentropy(void **state) {
    (void)state;
    ex_policy policy = preset(NULL);
    policy.sequence_window = 5;
    ex_sampler *sampler = open_sampler(&policy, 64);
    double entropies[40];
    uint64_t random = 3;
    for (uint32_t i = 0; i < 40; i++) {
        float logits[64];
        double spread = random_between(&random, 0, 6);
        for (int j = 0; j < 64; j++) logits[j] = (float)random_between(&random, 0, spread);
        step(sampler, doubtful, i); /* asked, but never accepted: must leave no trace */
        ex_choice choice = step(sampler, logits, i);
        entropies[i] = choice.metrics.logits_entropy;
        size_t window = i < 5 ? i + 1 : 5;
        assert_true(is_close(choice.metrics.sequence_varentropy, population_variance(entropies, i + 1), 1e-12));
        assert_true(is_close(choice.metrics.sequence_varentropy_window,
                             population_variance(entropies + i + 1 - window, window), 1e-12));
        ex_sampler_accept(sampler, 1, false);
        if (i % 7 == 3) ex_sampler_accept(sampler, 2, true); /* not measured, so it counts for nothing */
    }
    ex_sampler_reset(sampler);
    ex_choice choice = step(sampler, doubtful, 0);
    assert_true(choice.metrics.sequence_varentropy == 0 && choice.metrics.sequence_varentropy_window == 0);
    ex_sampler_close(sampler);
}

static void test_one_token_vocabulary(void **state) {
    (void)state;
    static const char *const names[] = {"entropixplained", "entropix-2024-10", "plain"};
    for (size_t i = 0; i < 3; i++) {
        ex_policy policy = preset(names[i]);
        ex_sampler *sampler = open_sampler(&policy, 1);
        ex_choice choice = step(sampler, (float[]){-3}, 0);
        assert_int_equal(choice.draw.token, 0);
        assert_true(choice.distribution.candidates[0].probability == 1);
        assert_true(choice.distribution.candidates[0].log_probability == 0);
        ex_sampler_close(sampler);
    }
}

static void test_step_equals_its_stages(void **state) {
    (void)state;
    uint64_t random = 11;
    static float logits[2000];
    ex_policy policy = preset(NULL);
    ex_sampler *sampler = open_sampler(&policy, 2000), *other = open_sampler(&policy, 2000);
    for (uint32_t i = 0; i < 60; i++) {
        random_logits(&random, logits, 2000);
        ex_choice choice = step(sampler, logits, i);
        ex_decision decision;
        ex_distribution distribution;
        ex_draw draw;
        ex_error error;
        ex_sampler_decide(other, &choice.metrics, choice.may_insert, &decision);
        assert_string_equal(decision.strategy, choice.decision.strategy);
        assert_ok(ex_sampler_distribution(other, logits, &choice.metrics, &decision, &distribution, &error), &error);
        ex_sampler_draw(other, &distribution, &decision, (ex_random_key){3, 0, i, 0}, &draw);
        assert_int_equal(draw.token, choice.draw.token);
        assert_int_equal(distribution.count, choice.distribution.count);
        ex_sampler_accept(sampler, choice.draw.token, false);
    }
    ex_sampler_close(sampler);
    ex_sampler_close(other);
}

static void test_a_step_allocates_nothing(void **state) {
    (void)state;
    uint64_t random = 5;
    static float logits[20000];
    double entropy[] = {1, 2}, strength[] = {1, 1}, maximum[] = {0.5, 0.5}, deviation[] = {0.01};
    int32_t positions[] = {8};
    ex_attention attention = {1, 2, positions, entropy, maximum, strength, deviation, NULL};
    ex_policy policy = preset(NULL);
    policy.top_k = 0; /* the way with the most candidates */
    policy.min_p = 0;
    ex_sampler *sampler = open_sampler(&policy, 20000);
    ex_choice choice;
    ex_error error;
    for (uint32_t i = 0; i < 20; i++) {
        random_logits(&random, logits, 20000);
        long before = allocations_counted();
        ex_code code = ex_sampler_step(sampler, logits, &attention, (ex_random_key){3, 0, i, 0}, &choice, &error);
        ex_sampler_accept(sampler, 1, false);
        long after = allocations_counted();
        assert_ok(code, &error);
        assert_int_equal(after, before);
    }
    ex_sampler_close(sampler);
    long before = allocations_counted();
    sampler = open_sampler(&policy, 16);
    assert_true(allocations_counted() > before); /* the counter counts */
    ex_sampler_close(sampler);
}

static void test_attention_that_is_no_number(void **state) {
    (void)state;
    double entropy[] = {1, NAN}, strength[] = {1, 1}, maximum[] = {0.5, 0.5}, deviation[] = {0.01};
    int32_t positions[] = {8};
    ex_attention attention = {1, 2, positions, entropy, maximum, strength, deviation, NULL};
    ex_sampler *sampler = open_sampler(NULL, 64);
    ex_choice choice;
    ex_error error;
    assert_int_equal(ex_sampler_step(sampler, doubtful, &attention, (ex_random_key){3, 0, 0, 0}, &choice, &error),
                     EX_ERROR_NUMBER);
    ex_sampler_close(sampler);
}

/* The bounds of the adaptive formulas are keys like all others. */
static void test_adaptive_bounds(void **state) {
    (void)state;
    ex_policy policy = preset(NULL);
    ex_metrics metrics = {
        .logits_entropy = 2, .logits_varentropy = 1, .attn_varentropy = 50, .interaction_strength = 90};
    ex_decision decision;
    decision = decide_at(&policy, &metrics, false);
    assert_string_equal(decision.strategy, "adaptive");
    assert_true(decision.top_p == 1 && decision.top_k == 100 && decision.min_p == 0.01);
    policy.ada_max_top_p = 0.7;
    policy.ada_max_top_k = 33;
    policy.ada_min_min_p = 0.2;
    decision = decide_at(&policy, &metrics, false);
    assert_true(decision.top_p == 0.7 && decision.top_k == 33 && decision.min_p == 0.2);
    policy.ada_min_top_k = 34;
    assert_int_equal(ex_policy_check(&policy, NULL), EX_ERROR_ARGUMENT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_cases),
        cmocka_unit_test(test_known_entropies),
        cmocka_unit_test(test_numbers_that_are_none),
        cmocka_unit_test(test_masked_positions_do_not_count),
        cmocka_unit_test(test_degenerate_attention),
        cmocka_unit_test(test_examples_of_the_document),
        cmocka_unit_test(test_boundaries),
        cmocka_unit_test(test_margins),
        cmocka_unit_test(test_temperature_zero_takes_the_likeliest),
        cmocka_unit_test(test_no_limit_stays_no_limit),
        cmocka_unit_test(test_clarification),
        cmocka_unit_test(test_clarification_arguments),
        cmocka_unit_test(test_sequence_varentropy),
        cmocka_unit_test(test_one_token_vocabulary),
        cmocka_unit_test(test_step_equals_its_stages),
        cmocka_unit_test(test_a_step_allocates_nothing),
        cmocka_unit_test(test_attention_that_is_no_number),
        cmocka_unit_test(test_adaptive_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
