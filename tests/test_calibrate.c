/* Calibration: thresholds with stated shares, weights by a proper scoring rule, both on a small model, and policies
 * that model files carry. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "file/gguf.h"
#include "generate/calibrate.h"
#include "support.h"

static ex_policy preset(const char *name) {
    ex_policy policy;
    ex_error error;
    assert_ok(ex_policy_preset(&policy, name, &error), &error);
    return policy;
}

static double normal(uint64_t *state) {
    double sum = -6;
    for (int i = 0; i < 12; i++) sum += random_between(state, 0, 1);
    return sum;
}

/* ---- thresholds ------------------------------------------------------------------------------------------------ */

enum { N = 20000 };

typedef struct table {
    double entropy[N], varentropy[N];
} table;

/* Like a language model: both grow together, with noise. `step` above 0 rounds, which makes ties. */
static table *make_table(uint64_t state, double step) {
    table *t = calloc(1, sizeof *t);
    assert_non_null(t);
    for (size_t i = 0; i < N; i++) {
        const double doubt = random_between(&state, 0, 1);
        t->entropy[i] = 8 * doubt * doubt * exp(0.3 * normal(&state));
        t->varentropy[i] = 12 * doubt * exp(0.4 * normal(&state));
        if (step > 0) {
            t->entropy[i] = step * floor(t->entropy[i] / step);
            t->varentropy[i] = step * floor(t->varentropy[i] / step);
        }
    }
    return t;
}

static ex_policy solve(const table *t, size_t n, ex_shares shares) {
    ex_policy policy = preset(NULL);
    ex_error error;
    assert_ok(ex_solve_thresholds(t->entropy, t->varentropy, n, &shares, &policy, &error), &error);
    assert_ok(ex_policy_check(&policy, &error), &error);
    return policy;
}

/* The shares as the sampler itself gives them. */
static ex_shares shares_of(const table *t, size_t n, const ex_policy *policy) {
    ex_sampler *sampler;
    ex_error error;
    ex_shares shares = {0};
    assert_ok(ex_sampler_open(&sampler, policy, 4, &error), &error);
    for (size_t i = 0; i < n; i++) {
        ex_metrics metrics = {.logits_entropy = t->entropy[i], .logits_varentropy = t->varentropy[i]};
        ex_decision decision;
        ex_sampler_decide(sampler, &metrics, true, &decision);
        shares.greedy += strcmp(decision.strategy, "greedy") == 0;
        shares.clarify += strcmp(decision.strategy, "clarify") == 0;
        shares.explore += strcmp(decision.strategy, "explore") == 0;
        shares.high_uncertainty += strcmp(decision.strategy, "high_uncertainty") == 0;
    }
    ex_sampler_close(sampler);
    const double each = 1.0 / (double)n;
    return (ex_shares){shares.greedy * each, shares.clarify * each, shares.explore * each,
                       shares.high_uncertainty * each};
}

static void assert_shares(ex_shares found, ex_shares wanted, double tolerance) {
    if (fabs(found.greedy - wanted.greedy) > tolerance || fabs(found.clarify - wanted.clarify) > tolerance ||
        fabs(found.explore - wanted.explore) > tolerance ||
        fabs(found.high_uncertainty - wanted.high_uncertainty) > tolerance)
        fail_msg("shares %g %g %g %g, not %g %g %g %g", found.greedy, found.clarify, found.explore,
                 found.high_uncertainty, wanted.greedy, wanted.clarify, wanted.explore, wanted.high_uncertainty);
}

static const ex_shares share_sets[] = {
    {0.5, 0.01, 0.05, 0.04}, {0, 0, 0, 0},      {0.3, 0, 0.1, 0},     {0.05, 0.02, 0, 0.2},
    {0, 0.01, 0, 0},         {0.9, 0, 0.05, 0.05}, {0.4, 0.1, 0.3, 0.2}, {1, 0, 0, 0},
};
enum { N_SETS = sizeof share_sets / sizeof *share_sets };

static void test_thresholds_give_the_shares(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        table *t = make_table(seed, 0);
        for (size_t i = 0; i < N_SETS; i++) {
            ex_policy policy = solve(t, N, share_sets[i]);
            assert_shares(shares_of(t, N, &policy), share_sets[i], 1.01 / N);
        }
        free(t);
    }
}

/* A share of 0 switches its strategy off for metrics that the text did not have, too. */
static void test_thresholds_that_are_off(void **state) {
    (void)state;
    table *t = make_table(4, 0);
    ex_policy policy = solve(t, N, (ex_shares){0});
    assert_true(policy.low_entropy == 0 && policy.low_varentropy == 0);
    assert_true(policy.clarify_entropy == 1000 && policy.high_varentropy == 10000);
    free(t);
}

/* Few digits: thresholds are for people too. */
static void test_thresholds_are_short(void **state) {
    (void)state;
    table *t = make_table(5, 0);
    ex_policy policy = solve(t, N, share_sets[0]);
    const char *keys[] = {"low_entropy", "low_varentropy", "clarify_entropy", "high_entropy", "high_varentropy"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        char value[64];
        ex_error error;
        assert_ok(ex_policy_get(&policy, keys[i], value, sizeof value, &error), &error);
        assert_in_range(strlen(value), 1, 9);
    }
    free(t);
}

static void test_thresholds_are_monotone(void **state) {
    (void)state;
    table *t = make_table(6, 0);
    ex_policy before = solve(t, N, (ex_shares){0.02, 0.005, 0.01, 0.01});
    for (int i = 2; i < 12; i++) {
        ex_policy policy = solve(t, N, (ex_shares){0.02 * i, 0.005 * i, 0.01 * i, 0.01 * i});
        assert_true(policy.low_entropy > before.low_entropy);
        assert_true(policy.low_varentropy >= before.low_varentropy);
        assert_true(policy.clarify_entropy < before.clarify_entropy);
        assert_true(policy.high_varentropy < before.high_varentropy);
        before = policy;
    }
    free(t);
}

/* Shares that ties make impossible are missed by half the ties at the threshold at most: 8 % have entropy 0 here. */
static void test_ties(void **state) {
    (void)state;
    table *t = make_table(7, 0.05);
    for (size_t i = 0; i < N_SETS; i++) {
        ex_policy policy = solve(t, N, share_sets[i]);
        assert_shares(shares_of(t, N, &policy), share_sets[i], 0.041);
    }
    for (size_t i = 0; i < N; i++) t->entropy[i] = t->varentropy[i] = 2;
    for (size_t i = 0; i < N_SETS; i++) {
        ex_policy policy = solve(t, N, share_sets[i]);
        ex_shares found = shares_of(t, N, &policy);
        assert_true(found.greedy == 0 || found.greedy == 1);
    }
    for (size_t n = 1; n < 5; n++)
        for (size_t i = 0; i < N_SETS; i++) solve(t, n, share_sets[i]);
    free(t);
}

static void test_shares_that_cannot_be(void **state) {
    (void)state;
    const ex_shares wrong[] = {{0.6, 0.5, 0, 0}, {-0.1, 0, 0, 0}, {0, NAN, 0, 0}, {0, 0, 1.5, 0}};
    const double one = 1;
    ex_error error;
    ex_policy policy = preset(NULL);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(ex_solve_thresholds(&one, &one, 1, &wrong[i], &policy, &error), EX_ERROR_ARGUMENT);
    assert_int_equal(ex_solve_thresholds(&one, &one, 0, &share_sets[0], &policy, &error), EX_ERROR_ARGUMENT);
}

/* ---- weights --------------------------------------------------------------------------------------------------- */

/* Choices that were made with these weights. */
static ex_tried *make_choices(uint64_t state, size_t n, const double *weights, const double *scales) {
    ex_tried *tried = calloc(n, sizeof *tried);
    assert_non_null(tried);
    for (size_t k = 0; k < n; k++) {
        double score[EX_TRIED], sum = 0, at;
        for (size_t c = 0; c < EX_TRIED; c++) {
            tried[k].log_probability[c] = -random_between(&state, 0, 4);
            score[c] = tried[k].log_probability[c];
            for (size_t i = 0; i < EX_SCORE_WEIGHTS; i++) {
                tried[k].features[c][i] = scales[i] * (3 + normal(&state));
                score[c] += weights[i] * tried[k].features[c][i];
            }
            sum += exp(score[c]);
        }
        at = random_between(&state, 0, sum);
        for (size_t c = 0; c + 1 < EX_TRIED && (at -= exp(score[c])) > 0; c++) tried[k].truth++;
    }
    return tried;
}

static double mean_score(const ex_tried *tried, size_t n, const double *weights) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        bool won;
        sum += ex_log_score(&tried[i], weights, &won);
    }
    return sum / (double)n;
}

static void test_fit_recovers_weights(void **state) {
    (void)state;
    const double weights[EX_SCORE_WEIGHTS] = {0.4, -0.8, 0.05, 0, 20, -0.3};
    const double scales[EX_SCORE_WEIGHTS] = {1.5, 0.3, 4, 0.5, 0.02, 0};
    double found[EX_SCORE_WEIGHTS];
    ex_tried *tried = make_choices(11, N, weights, scales);
    ex_fit_weights(tried, N, found);
    for (size_t i = 0; i < EX_SCORE_WEIGHTS; i++) {
        if (scales[i] == 0) assert_true(found[i] == 0);
        else if (fabs(found[i] - weights[i]) * scales[i] > 0.06)
            fail_msg("weight %zu is %g, not %g", i, found[i], weights[i]);
    }
    assert_true(mean_score(tried, N, found) >= mean_score(tried, N, weights) - 1e-4);
    free(tried);
}

/* Where features mean nothing, few choices do not make weights of them. */
static void test_fit_of_noise(void **state) {
    (void)state;
    const double none[EX_SCORE_WEIGHTS] = {0};
    const double scales[EX_SCORE_WEIGHTS] = {1, 1, 1, 1, 1e-5, 1};
    double found[EX_SCORE_WEIGHTS];
    ex_tried *tried = make_choices(12, 400, none, scales);
    ex_fit_weights(tried, 400, found);
    for (size_t i = 0; i < EX_SCORE_WEIGHTS; i++) assert_true(fabs(found[i]) * scales[i] < 0.25 && fabs(found[i]) < 5);
    ex_fit_weights(tried, 0, found);
    for (size_t i = 0; i < EX_SCORE_WEIGHTS; i++) assert_true(found[i] == 0);
    free(tried);
}

static void test_log_score(void **state) {
    (void)state;
    const double weights[EX_SCORE_WEIGHTS] = {1};
    ex_tried tried = {.truth = 1, .log_probability = {log(0.5), log(0.25), log(0.125), log(0.125)}};
    bool won;
    assert_true(is_close(ex_log_score(&tried, weights, &won), -2, 1e-12));
    assert_false(won);
    tried.features[1][0] = log(6);
    assert_true(is_close(ex_log_score(&tried, weights, &won), log2(1.5 / 2.25), 1e-12));
    assert_true(won);
}

/* ---- on a model ------------------------------------------------------------------------------------------------ */

enum { WINDOW = 40, WARM_UP = 8, N_TOKENS = 39 * 24 + 5 };

/* Few ranks are asked for: no sort. */
static int32_t token_of_rank(const float *logits, int32_t n_vocab, int rank) {
    float bound = INFINITY;
    int32_t best = 0;
    for (; rank >= 0; rank--) {
        best = -1;
        for (int32_t i = 0; i < n_vocab; i++)
            if (logits[i] < bound && (best < 0 || logits[i] > logits[best])) best = i;
        bound = logits[best];
    }
    return best;
}

/* Text that the model could have written, window by window: each token is one of its six likeliest. */
static int32_t *make_tokens(uint64_t seed, ex_engine *engine) {
    int32_t *tokens = calloc(N_TOKENS, sizeof *tokens), beginning = ex_token_beginning(ex_engine_tokenizer(engine));
    ex_session *session;
    ex_error error;
    ex_session_options options = {.n_context = WINDOW};
    assert_non_null(tokens);
    assert_ok(ex_session_open(&session, engine, &options, &error), &error);
    for (size_t i = 0; i < N_TOKENS; i++) {
        const int32_t before = i % (WINDOW - 1) ? tokens[i - 1] : beginning;
        ex_step step;
        if (i % (WINDOW - 1) == 0) ex_session_rewind(session, 0, NULL);
        assert_ok(ex_session_evaluate(session, &before, 1, NULL, &step, &error), &error);
        tokens[i] = token_of_rank(step.logits, step.n_vocab, (int)random_between(&seed, 0, 6));
    }
    ex_session_close(session);
    return tokens;
}

static ex_engine *open_engine(int32_t n_threads) {
    ex_engine *engine;
    ex_error error;
    ex_engine_options options = {.n_threads = n_threads};
    assert_ok(ex_engine_open(&engine, test_data("models/llama3-f16.gguf"), &options, &error), &error);
    return engine;
}

static ex_calibration_options small_options(void) {
    ex_calibration_options options = ex_calibration_options_default();
    options.n_window = WINDOW;
    options.n_warm_up = WARM_UP;
    options.n_positions = 0;
    options.shares = (ex_shares){0.3, 0.02, 0.1, 0.05};
    return options;
}

static ex_code calibrate(int32_t n_threads, const ex_calibration_options *options, ex_calibration *out,
                         ex_error *error) {
    ex_engine *engine = open_engine(n_threads);
    int32_t *tokens = make_tokens(21, engine), *held_out = make_tokens(22, engine);
    ex_code code = ex_calibrate(engine, tokens, N_TOKENS, held_out, N_TOKENS, options, out, error);
    free(tokens);
    free(held_out);
    ex_engine_close(engine);
    return code;
}

static void test_calibrates_a_model(void **state) {
    (void)state;
    ex_calibration found, again;
    ex_error error;
    const ex_calibration_options options = small_options();
    assert_ok(calibrate(1, &options, &found, &error), &error);
    assert_in_range(found.n_positions, 24 * (WINDOW - WARM_UP) - WINDOW, 24 * (WINDOW - WARM_UP));
    assert_int_equal(found.n_held_out, found.n_positions);
    double sum = 0;
    for (size_t i = 0; i < EX_SHARE_COUNT; i++) {
        const ex_share_result *share = &found.shares[i];
        assert_true(fabs(share->expected - share->wanted) < 2.0 / (double)found.n_positions);
        assert_true(fabs(share->measured - share->wanted) < 0.08);
        sum += share->measured;
    }
    assert_true(is_close(sum, 1, 1e-9));
    assert_true(found.n_choices > 20 && found.n_choices_held_out > 20);
    assert_true(found.fitted.expected >= found.without.expected - 1e-3);
    assert_ok(calibrate(2, &options, &again, &error), &error);
    assert_memory_equal(&found.quantiles, &again.quantiles, sizeof found.quantiles);
    assert_memory_equal(&found.policy, &again.policy, sizeof found.policy);
}

/* One window by hand: the metrics are those of the tokens after the warm-up, the beginning of sequence in front. */
static void test_quantiles_by_hand(void **state) {
    (void)state;
    ex_engine *engine = open_engine(1);
    int32_t *tokens = make_tokens(31, engine), window[WINDOW];
    ex_calibration found;
    ex_error error;
    const ex_calibration_options options = small_options();
    const bool begins = ex_token_beginning(ex_engine_tokenizer(engine)) != EX_TOKEN_NONE;
    window[0] = ex_token_beginning(ex_engine_tokenizer(engine));
    memcpy(window + begins, tokens, (size_t)(WINDOW - begins) * sizeof *window);
    assert_ok(ex_calibrate(engine, tokens, (size_t)(WINDOW - begins), tokens, WINDOW, &options, &found, &error),
              &error);
    assert_int_equal(found.n_positions, WINDOW - WARM_UP);
    ex_session *session;
    ex_session_options session_options = {.n_context = WINDOW};
    assert_ok(ex_session_open(&session, engine, &session_options, &error), &error);
    double least[2] = {INFINITY, INFINITY}, most[2] = {-INFINITY, -INFINITY};
    for (size_t i = 0; i < WINDOW; i++) {
        ex_step step;
        ex_metrics m = {0};
        assert_ok(ex_session_evaluate(session, &window[i], 1, NULL, &step, &error), &error);
        assert_ok(ex_measure_logits(step.logits, (size_t)step.n_vocab, 27, &m, &error), &error);
        ex_measure_attention(step.attention, EX_SCOPE_ALL, &m, NULL);
        if (i < WARM_UP) continue;
        least[0] = fmin(least[0], m.logits_entropy);
        most[0] = fmax(most[0], m.logits_entropy);
        least[1] = fmin(least[1], m.attn_entropy);
        most[1] = fmax(most[1], m.attn_entropy);
    }
    const ex_metrics *low = &found.quantiles[0], *high = &found.quantiles[EX_QUANTILE_COUNT - 1];
    assert_true(is_close(low->logits_entropy, least[0], 1e-5) && is_close(high->logits_entropy, most[0], 1e-5));
    assert_true(is_close(low->attn_entropy, least[1], 1e-3) && is_close(high->attn_entropy, most[1], 1e-3));
    ex_session_close(session);
    ex_engine_close(engine);
    free(tokens);
}

static bool stop_at_half(void *context, uint64_t done, uint64_t total, const char *what) {
    assert_non_null(what);
    *(uint64_t *)context = done;
    return done < total / 2;
}

static void test_refusals(void **state) {
    (void)state;
    ex_calibration found;
    ex_error error;
    uint64_t done = 0;
    ex_calibration_options options = small_options();
    options.progress = stop_at_half;
    options.context = &done;
    assert_int_equal(calibrate(1, &options, &found, &error), EX_ERROR_ARGUMENT);
    assert_true(done > 0 && strstr(error.message, "stopped"));
    ex_policy policy = preset(NULL);
    assert_ok(ex_policy_set(&policy, "rules", "[adaptive]\ncandidates = 3\n", &error), &error);
    options = small_options();
    options.policy = &policy;
    assert_int_equal(calibrate(1, &options, &found, &error), EX_ERROR_ARGUMENT);
    assert_non_null(strstr(error.message, "\"greedy\""));
    options = small_options();
    options.n_window = 1 << 24;
    assert_int_equal(calibrate(1, &options, &found, &error), EX_ERROR_ARGUMENT);
    options.n_window = options.n_warm_up = 8;
    assert_int_equal(calibrate(1, &options, &found, &error), EX_ERROR_ARGUMENT);
    ex_engine *engine = open_engine(1);
    int32_t tokens[WINDOW] = {0};
    options = small_options();
    assert_int_equal(ex_calibrate(engine, tokens, 3, tokens, WINDOW, &options, &found, &error), EX_ERROR_ARGUMENT);
    assert_non_null(strstr(error.message, "too short"));
    ex_engine_close(engine);
}

/* A policy whose only rule draws several candidates everywhere, and shares of 0: weights alone. */
static void test_weights_without_shares(void **state) {
    (void)state;
    ex_calibration found;
    ex_error error;
    ex_policy policy = preset(NULL);
    assert_ok(ex_policy_set(&policy, "rules", "[mine]\ncandidates = 3\n", &error), &error);
    ex_calibration_options options = small_options();
    options.policy = &policy;
    options.shares = (ex_shares){0};
    assert_ok(calibrate(1, &options, &found, &error), &error);
    assert_true(found.n_choices > 0 && found.shares[4].measured == 1);
    const double wanted = found.weights_help ? found.weights[0] : 0;
    assert_true(found.policy.score_logits_entropy == wanted);
}

/* ---- policies in model files ----------------------------------------------------------------------------------- */

static const char *copy_with(const char *input, const char *name, const char *text) {
    static char path[4][200];
    static int next;
    ex_error error;
    char *out = path[next++ % 4];
    snprintf(out, sizeof *path, "/tmp/ex_calibrate_%ld_%s.gguf", (long)getpid(), name);
    assert_ok(ex_file_copy(input, out, EX_POLICY_KEY, text, strlen(text), NULL, NULL, &error), &error);
    return out;
}

static ex_code stored(const char *path, ex_policy *policy, bool *found, ex_error *error) {
    ex_file *file;
    assert_ok(ex_file_open(&file, path, error), error);
    ex_code code = ex_policy_stored(policy, file, found, error);
    ex_file_close(file);
    return code;
}

static void assert_same_tensors(const char *one, const char *other) {
    ex_file *a, *b;
    ex_error error;
    assert_ok(ex_file_open(&a, one, &error), &error);
    assert_ok(ex_file_open(&b, other, &error), &error);
    assert_int_equal(ex_file_key_count(a) + 1, ex_file_key_count(b));
    assert_int_equal(ex_file_tensor_count(a), ex_file_tensor_count(b));
    for (size_t i = 0; i < ex_file_tensor_count(a); i++) {
        const ex_tensor *x = ex_file_tensor(a, i), *y = ex_file_tensor(b, i);
        assert_int_equal(x->n_bytes, y->n_bytes);
        assert_memory_equal(x->data, y->data, x->n_bytes);
    }
    ex_file_close(a);
    ex_file_close(b);
}

static void test_policy_in_a_model(void **state) {
    (void)state;
    static char text[20000];
    const char *model = test_data("models/llama3-f16.gguf");
    ex_policy policy = preset("entropix"), read;
    ex_error error;
    bool found;
    size_t length;
    assert_ok(ex_policy_set(&policy, "low_entropy", "0.321", &error), &error);
    ex_policy_format(&policy, text, sizeof text, &length);
    assert_true(length < sizeof text);
    assert_ok(stored(model, &read, &found, &error), &error);
    assert_false(found);
    const char *first = copy_with(model, "first", "preset = plain\n"), *second = copy_with(first, "second", text);
    assert_same_tensors(model, second);
    memset(&read, 0, sizeof read);
    assert_ok(stored(second, &read, &found, &error), &error);
    assert_true(found && read.low_entropy == 0.321 && strcmp(read.rules, policy.rules) == 0);
    const char *broken = copy_with(model, "broken", "preset = entropix\ntop_p = 7\n");
    assert_int_not_equal(stored(broken, &read, &found, &error), EX_OK);
    assert_non_null(strstr(error.message, EX_POLICY_KEY));
    assert_non_null(strstr(error.message, "top_p"));
    unlink(first);
    unlink(second);
    unlink(broken);
}

static bool stop_at_once(void *context, uint64_t done, uint64_t total, const char *what) {
    (void)context;
    (void)what;
    return done > total;
}

static void test_copies_that_fail(void **state) {
    (void)state;
    ex_error error;
    char path[200];
    snprintf(path, sizeof path, "/tmp/ex_calibrate_%ld_stopped.gguf", (long)getpid());
    const char *model = test_data("models/llama3-f16.gguf");
    assert_int_equal(ex_file_copy(model, path, EX_POLICY_KEY, "x", 1, stop_at_once, NULL, &error), EX_ERROR_ARGUMENT);
    assert_int_not_equal(access(path, F_OK), 0);
    assert_int_equal(ex_file_copy(model, NULL, EX_POLICY_KEY, "x", 1, NULL, NULL, &error), EX_ERROR_ARGUMENT);
    assert_int_not_equal(ex_file_copy("/nowhere.gguf", path, EX_POLICY_KEY, "x", 1, NULL, NULL, &error), EX_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_thresholds_give_the_shares),
        cmocka_unit_test(test_thresholds_that_are_off),
        cmocka_unit_test(test_thresholds_are_short),
        cmocka_unit_test(test_thresholds_are_monotone),
        cmocka_unit_test(test_ties),
        cmocka_unit_test(test_shares_that_cannot_be),
        cmocka_unit_test(test_fit_recovers_weights),
        cmocka_unit_test(test_fit_of_noise),
        cmocka_unit_test(test_log_score),
        cmocka_unit_test(test_calibrates_a_model),
        cmocka_unit_test(test_quantiles_by_hand),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_weights_without_shares),
        cmocka_unit_test(test_policy_in_a_model),
        cmocka_unit_test(test_copies_that_fail),
    };
    return cmocka_run_group_tests_name("calibrate", tests, NULL, NULL);
}
