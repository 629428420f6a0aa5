/* test_chain.c - chains of stages: edges, the original program's fault, sources built for mirostat, xtc and adaptive-p,
 * going back, and how policies are compiled. */
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "allocations.h"
#include "chain_support.h"

/* ---- edges ------------------------------------------------------------------------------------------------------ */

static size_t kept_by(const ex_policy *policy, const float *logits, size_t n, const ex_decision *decision,
                      const ex_chain_step *step, ex_candidate *out) {
    chain_bench bench;
    open_bench(&bench, policy, n);
    size_t count = run_bench(&bench, logits, decision, step);
    memcpy(out, bench.memory.candidates, count * sizeof *out);
    ex_chain_close(bench.chain);
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += out[i].probability;
    assert_true(count >= 1 && fabs(sum - 1) < 1e-9);
    return count;
}

static void test_no_stage_removes_all(void **state) {
    (void)state;
    const ex_policy strict[] = {POLICY("typical_p", "0"), POLICY("top_n_sigma", "1e-9"), POLICY("top_h", "0"),
                                POLICY("eta_cutoff", "1"), POLICY("epsilon_cutoff", "1"),
                                POLICY("xtc_probability", "1", "xtc_threshold", "0"),
                                POLICY("mirostat", "2", "mirostat_tau", "0"),
                                POLICY("mirostat", "1", "mirostat_tau", "0"),
                                POLICY("adaptive_target", "0"), POLICY("logit_bias", "0=false,1=false,2=false"),
                                POLICY("dynatemp_range", "1")};
    const float rows[][3] = {{3, 1, 2}, {1, 1, 1}, {-INFINITY, -INFINITY, 5}, {-300, -300, -301}, {0, 300, -300}};
    const int32_t all[] = {0, 1, 2};
    ex_candidate kept[3];
    for (size_t i = 0; i < sizeof strict / sizeof *strict; i++)
        for (size_t j = 0; j < sizeof rows / sizeof *rows; j++) {
            ex_decision decision = open_decision();
            ex_chain_step step = {0};
            kept_by(&strict[i], rows[j], 3, &decision, &step, kept);
            if (!strict[i].logit_bias[0]) {
                kept_by(&strict[i], rows[j] + 2, 1, &decision, &step, kept);
                assert_int_equal(kept[0].token, 0);
            }
            step.excluded = all;
            step.n_excluded = 3;
            size_t likeliest = rows[j][1] > rows[j][0] ? 1 : rows[j][2] > rows[j][0] ? 2 : 0;
            assert_int_equal(kept_by(&strict[i], rows[j], 3, &decision, &step, kept), 1);
            assert_int_equal(kept[0].token, likeliest);
            decision.temperature = 0;
            step.n_excluded = 0;
            assert_int_equal(kept_by(&strict[i], rows[j], 3, &decision, &step, kept), 1);
        }
}

static void test_excluded_and_biased(void **state) {
    (void)state;
    const float logits[] = {3, 1, 2, 0, 2.5f};
    const int32_t excluded[] = {0, 0, -5, 77};
    ex_candidate kept[5];
    ex_decision decision = open_decision();
    ex_chain_step step = {.excluded = excluded, .n_excluded = 4};
    ex_policy plain = POLICY("top_k", "0"), biased = POLICY("logit_bias", "3+5, 0-1.5 ,1=false");
    assert_int_equal(kept_by(&plain, logits, 5, &decision, &step, kept), 4);
    assert_int_equal(kept[0].token, 4);
    decision.min_p = 0.5; /* of the likeliest that is left */
    assert_int_equal(kept_by(&plain, logits, 5, &decision, &step, kept), 2);
    assert_int_equal(kept[1].token, 2);
    decision = open_decision();
    step.n_excluded = 0;
    assert_int_equal(kept_by(&biased, logits, 5, &decision, &step, kept), 4);
    const int32_t order[] = {3, 4, 2, 0};
    const double values[] = {5, 2.5, 2, 1.5};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(kept[i].token, order[i]);
        assert_true(is_close(kept[i].probability / kept[0].probability, exp(values[i] - 5), 1e-9));
    }
    decision.temperature = 0; /* the likeliest after the bias */
    assert_int_equal(kept_by(&biased, logits, 5, &decision, &step, kept), 1);
    assert_int_equal(kept[0].token, 3);
}

/* The original program's filter: the vectors that were taken from it. */
static void test_ascending_top_p(void **state) {
    (void)state;
    const double p[] = {.4, .2, .15, .1, .1, .05};
    float logits[27] = {0};
    ex_candidate kept[200];
    ex_decision decision = {.temperature = 1, .top_k = 27, .top_p = 0.9, .candidates = 1};
    ex_chain_step step = {0};
    ex_policy fault = POLICY("samplers", "temperature;top_k;top_p_ascending"), right = preset("plain");
    assert_int_equal(kept_by(&fault, logits, 27, &decision, &step, kept), 25);
    for (size_t i = 0; i < 25; i++) assert_int_equal(kept[i].token, i + 2);
    for (size_t i = 0; i < 6; i++) logits[i] = (float)log(p[i]);
    decision.top_p = 0.5;
    assert_int_equal(kept_by(&fault, logits, 6, &decision, &step, kept), 5);
    for (size_t i = 0; i < 5; i++) assert_int_equal(kept[i].token, i + 1);
    assert_int_equal(kept_by(&right, logits, 6, &decision, &step, kept), 2);
    float tail[200]; /* a peak and a flat tail, and a plain from which top_k took too little mass */
    for (size_t i = 0; i < 200; i++) tail[i] = i == 0 ? (float)log(.95) : (float)log(.05 / 199);
    decision.top_p = 0.9;
    assert_int_equal(kept_by(&fault, tail, 200, &decision, &step, kept), 27);
    tail[0] = tail[1];
    assert_int_equal(kept_by(&fault, tail, 200, &decision, &step, kept), 27);
    decision.temperature = 0.5;
    assert_int_equal(kept_by(&fault, tail, 200, &decision, &step, kept), 27);
}

static void test_order_matters(void **state) {
    (void)state;
    const float logits[] = {4, 3, 2, 1, 0};
    ex_candidate kept[5];
    ex_decision hot = {.temperature = 3, .top_p = 0.8, .candidates = 1};
    ex_chain_step step = {0};
    ex_policy first = POLICY("samplers", "temperature;top_p"), last = POLICY("samplers", "top_p;temperature");
    assert_int_equal(kept_by(&first, logits, 5, &hot, &step, kept), 4);
    assert_int_equal(kept_by(&last, logits, 5, &hot, &step, kept), 2);
    assert_true(is_close(kept[0].probability / kept[1].probability, exp(1.0 / 3), 1e-9));
}

/* ---- sources ---------------------------------------------------------------------------------------------------- */

static int32_t draw(const ex_distribution *distribution, double uniform) {
    double mass = 0;
    for (size_t i = 0; i + 1 < distribution->count; i++) {
        mass += distribution->candidates[i].probability;
        if (uniform < mass) return distribution->candidates[i].token;
    }
    return distribution->candidates[distribution->count - 1].token;
}

enum { SOURCE = 3000 };

/* Probabilities that fall with rank, at another rate and for other tokens in each step. */
static void zipf_logits(size_t step, float *logits) {
    const double exponent = 1.05 + 0.15 * (double)(step % 3);
    for (size_t i = 0; i < SOURCE; i++)
        logits[(i * 7 + step * 13) % SOURCE] = (float)(-exponent * log((double)i + 1));
}

/* Of what is chosen once the state has settled: the mean surprise (bits) under the source, and the mean probability
 * among what min_p has left. */
static void follow_source(const ex_policy *policy, double *surprise, double *probability) {
    static float logits[SOURCE];
    enum { STEPS = 1500, BEGIN = 300 };
    ex_carried carried = {0};
    ex_decision decision = open_decision();
    chain_bench bench;
    decision.min_p = policy->min_p;
    open_bench(&bench, policy, SOURCE);
    *surprise = *probability = 0;
    for (size_t i = 0; i < STEPS; i++) {
        ex_chain_step step = {.carried = carried, .key = {5, 0, (uint32_t)i, 0}};
        zipf_logits(i, logits);
        run_bench(&bench, logits, &decision, &step);
        const int32_t token = draw(&bench.distribution, ex_uniform(5, 0, (uint32_t)i, 0, 0));
        const double p = exp((double)logits[token] - (double)bench.input.summary.maximum - bench.input.summary.log_sum);
        ex_chain_accept(bench.chain, &bench.distribution, token, &carried);
        if (i < BEGIN) continue;
        double kept = 0;
        for (size_t j = 0; j < bench.distribution.count; j++) kept += exp(bench.memory.candidates[j].log_probability);
        *surprise -= log2(p) / (STEPS - BEGIN);
        *probability += p / kept / (STEPS - BEGIN);
    }
    ex_chain_close(bench.chain);
}

static void test_mirostat_reaches_its_target(void **state) {
    (void)state;
    double surprise, probability;
    for (int version = 1; version <= 2; version++)
        for (int tau = 4; tau <= 6; tau++) {
            ex_policy policy = preset("plain");
            policy.mirostat = version;
            policy.min_p = 0;
            policy.mirostat_tau = tau;
            follow_source(&policy, &surprise, &probability);
            print_message("mirostat %d: %.3f bits for %d\n", version, surprise, tau);
            assert_true(fabs(surprise - tau) < 0.06 * tau);
        }
}

static void test_adaptive_p_nears_its_target(void **state) {
    (void)state;
    double surprise, lowest = 1;
    for (int i = 2; i >= 0; i--) {
        ex_policy policy = POLICY("samplers", "min_p", "min_p", "0.05");
        double mean;
        policy.adaptive_target = 0.1 + 0.1 * i;
        follow_source(&policy, &surprise, &mean);
        print_message("adaptive_p: mean probability %.3f for %.2f\n", mean, policy.adaptive_target);
        assert_true(fabs(mean - policy.adaptive_target) < 0.06 && mean < lowest);
        lowest = mean;
    }
}

static void test_xtc_frequencies(void **state) {
    (void)state;
    enum { STEPS = 20000 };
    const float logits[] = {logf(.5f), logf(.2f), logf(.12f), logf(.1f), logf(.08f)};
    ex_policy policy = POLICY("samplers", "", "xtc_probability", "0.3", "xtc_threshold", "0.11");
    ex_decision decision = open_decision();
    chain_bench bench;
    open_bench(&bench, &policy, 5);
    int fired = 0;
    for (uint32_t i = 0; i < STEPS; i++) {
        ex_chain_step step = {.key = {9, 0, i, 0}};
        size_t count = run_bench(&bench, logits, &decision, &step);
        assert_true(count == 5 || (count == 3 && bench.memory.candidates[0].token == 2));
        fired += count == 3;
    }
    assert_true(fabs(fired - 0.3 * STEPS) < 3.5 * sqrt(STEPS * 0.3 * 0.7));
    ex_chain_close(bench.chain);
}

/* ---- going back ------------------------------------------------------------------------------------------------- */

static void go_on(chain_bench *bench, ex_history *history, size_t until, int32_t *tokens) {
    static float logits[SOURCE];
    for (size_t i = history->count; i < until; i++) {
        ex_decision decision = open_decision();
        ex_chain_step step = {
            .history = history, .carried = ex_history_carried(history), .key = {3, 0, (uint32_t)i, 0}};
        zipf_logits(i, logits);
        run_bench(bench, logits, &decision, &step);
        tokens[i] = draw(&bench->distribution, ex_uniform(3, 0, (uint32_t)i, 0, 0));
        history->pending = (ex_record){.carried = step.carried};
        history->has_pending = true;
        ex_chain_accept(bench->chain, &bench->distribution, tokens[i], &history->pending.carried);
        ex_history_accept(history, tokens[i], false);
    }
}

static void test_state_is_in_the_history(void **state) {
    (void)state;
    const ex_policy policies[] = {
        POLICY("mirostat", "2", "repeat_penalty", "1.2", "dry_multiplier", "1", "xtc_probability", "0.5"),
        POLICY("mirostat", "1", "frequency_penalty", "0.3"),
        POLICY("adaptive_target", "0.1", "presence_penalty", "0.5", "repeat_last_n", "16")};
    for (size_t i = 0; i < sizeof policies / sizeof *policies; i++) {
        enum { END = 150, BACK = 60 };
        int32_t first[END], second[END];
        chain_bench bench;
        ex_history history;
        ex_error error;
        open_bench(&bench, &policies[i], SOURCE);
        assert_ok(ex_history_open(&history, 8, ex_chain_context(bench.chain), &error), &error);
        ex_history_prompt(&history, (int32_t[]){1, 2, 3}, 3);
        go_on(&bench, &history, END, first);
        assert_true(ex_history_truncate(&history, BACK));
        memcpy(second, first, sizeof second);
        go_on(&bench, &history, END, second);
        assert_memory_equal(first, second, sizeof first);
        ex_history_close(&history);
        ex_chain_close(bench.chain);
    }
}

/* A branch begins with a copy of the sampler between the step and its token. */
static void test_copies_of_a_step(void **state) {
    (void)state;
    static float logits[SOURCE];
    const ex_policy policies[] = {POLICY("mirostat", "2", "mirostat_tau", "3"), POLICY("adaptive_target", "0.3")};
    for (size_t i = 0; i < 2; i++) {
        ex_sampler *one = open_sampler(&policies[i], SOURCE), *other = open_sampler(&policies[i], SOURCE);
        ex_choice first, second;
        ex_error error;
        for (size_t j = 0; j < 10; j++) {
            zipf_logits(j, logits);
            const ex_random_key key = {1, 0, (uint32_t)j, 0};
            assert_ok(ex_sampler_step(one, logits, NULL, key, &first, &error), &error);
            ex_sampler_copy_history(other, one);
            ex_sampler_accept(one, first.draw.token, false);
            ex_sampler_accept(other, first.draw.token, false);
            assert_ok(ex_sampler_step(one, logits, NULL, key, &first, &error), &error);
            assert_ok(ex_sampler_step(other, logits, NULL, key, &second, &error), &error);
            assert_int_equal(first.distribution.count, second.distribution.count);
            assert_memory_equal(first.distribution.candidates, second.distribution.candidates,
                                first.distribution.count * sizeof *first.distribution.candidates);
            ex_sampler_accept(one, first.draw.token, false);
        }
        ex_sampler_close(one);
        ex_sampler_close(other);
    }
}

/* ---- compiling -------------------------------------------------------------------------------------------------- */

static void expect_stages(const ex_policy *policy, const char *expected) {
    ex_chain *chain;
    ex_error error;
    char names[400] = "";
    assert_ok(ex_chain_open(&chain, policy, 10, &error), &error);
    for (size_t i = 0; i < ex_chain_count(chain); i++) {
        if (i > 0) strcat(names, ";");
        strcat(names, ex_chain_name(chain, i));
    }
    assert_string_equal(names, expected);
    ex_chain_close(chain);
}

static void test_where_stages_go(void **state) {
    (void)state;
    ex_policy policy = preset("plain");
    expect_stages(&policy, "temperature;min_p;top_k;top_p");
    policy = POLICY("dry_multiplier", "0.8", "xtc_probability", "0.5", "repeat_penalty", "1.1", "typical_p", "0.9",
                    "top_n_sigma", "1", "logit_bias", "1+2", "adaptive_target", "0.4", "top_h", "0.4");
    expect_stages(&policy, "logit_bias;penalties;dry;top_n_sigma;temperature;min_p;top_k;top_p;typ_p;top_h;xtc;"
                           "adaptive_p");
    policy = POLICY("samplers", "penalties;dry;top_n_sigma;top_k;typ_p;top_p;min_p;xtc;temperature");
    expect_stages(&policy, "top_k;top_p;min_p;temperature"); /* what is off does nothing */
    policy = POLICY("samplers", "adaptive_p; top-k ;temp;", "adaptive_target", "0.5", "dry_multiplier", "1");
    expect_stages(&policy, "dry;top_k;temperature;adaptive_p");
    policy = POLICY("mirostat", "2", "repeat_penalty", "1.1", "typical_p", "0.5");
    expect_stages(&policy, "penalties;temperature;mirostat");
    policy = POLICY("mirostat", "2", "samplers", "top_k;temperature;mirostat");
    expect_stages(&policy, "top_k;temperature;mirostat");
    policy = POLICY("samplers", "");
    expect_stages(&policy, "");
    policy = POLICY("repeat_penalty", "1.1", "repeat_last_n", "0", "dry_multiplier", "1", "dry_penalty_last_n", "0");
    expect_stages(&policy, "temperature;min_p;top_k;top_p");
}

static bool is_plain(const ex_policy *policy) {
    ex_chain *chain;
    ex_error error;
    assert_ok(ex_chain_open(&chain, policy, 10, &error), &error);
    bool plain = ex_chain_is_plain(chain);
    assert_true(!plain || ex_chain_context(chain) == 0);
    ex_chain_close(chain);
    return plain;
}

static void test_which_chains_are_plain(void **state) {
    (void)state;
    ex_policy defaults = preset(NULL), plain = preset("plain"), hot = POLICY("dynatemp_range", "0.5"),
              biased = POLICY("logit_bias", "1+1"), turned = POLICY("samplers", "top_k;temperature;min_p;top_p");
    assert_true(is_plain(&defaults) && is_plain(&plain));
    assert_false(is_plain(&hot) || is_plain(&biased) || is_plain(&turned));
}

static void test_context_that_is_wanted(void **state) {
    (void)state;
    const struct {
        ex_policy policy;
        size_t context;
    } cases[] = {{POLICY("repeat_penalty", "1.1"), 64}, {POLICY("dry_multiplier", "1"), EX_CONTEXT_MAX},
                 {POLICY("dry_multiplier", "1", "dry_penalty_last_n", "20", "presence_penalty", "1"), 64}};
    for (size_t i = 0; i < 3; i++) {
        ex_chain *chain;
        ex_error error;
        assert_ok(ex_chain_open(&chain, &cases[i].policy, 10, &error), &error);
        assert_int_equal(ex_chain_context(chain), cases[i].context);
        ex_chain_close(chain);
    }
}

static void test_policies_that_do_not_open(void **state) {
    (void)state;
    static const struct {
        const char *key, *value, *message;
    } cases[] = {
        {"samplers", "temperature;topk", "there is no stage \"topk\"; there are logit_bias, penalties, dry"},
        {"samplers", "temperature;;top_k", "there is no stage \"\""},
        {"samplers", "top_k;top_p;top_k", "\"top_k\" is listed twice"},
        {"samplers", "typ_p;typical", "listed twice"},
        {"logit_bias", "5", "\"5\" is not ID+BIAS"},
        {"logit_bias", "5+1,x+1", "\"x+1\""},
        {"logit_bias", "5+-1", "\"5+-1\""},
        {"logit_bias", "5=true", "\"5=true\""},
        {"logit_bias", "5+1e9", "at most 1000000"},
        {"logit_bias", "5+1,,6+1", "\"\""},
        {"logit_bias", "5+1,5-1", "token 5 is there twice"},
        {"logit_bias", "10+1", "there is no token 10, the vocabulary has 10"},
        {"logit_bias", "99999999999999999999+1", "is not ID+BIAS"},
        {"dry_sequence_breakers", "\\n", "dry_sequence_breakers"},
        {"dry_sequence_breakers", "{}", "a list of texts is needed"},
        {"dry_sequence_breakers", "[\"a\", 1]", "must be a text"},
        {"dry_sequence_breakers", "[\"\"]", "not empty"},
        {"banned_strings", "[\"a\"", "banned_strings"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ex_policy policy = preset("plain");
        ex_chain *chain;
        ex_error error = {0};
        assert_ok(ex_policy_set(&policy, cases[i].key, cases[i].value, &error), &error);
        assert_int_not_equal(ex_chain_open(&chain, &policy, 10, &error), EX_OK);
        if (!strstr(error.message, cases[i].message)) fail_msg("%s: %s", cases[i].value, error.message);
        assert_null(chain);
    }
    ex_policy both = POLICY("mirostat", "2", "adaptive_target", "0.5");
    ex_error error;
    assert_int_equal(ex_chain_check(&both, &error), EX_ERROR_ARGUMENT);
    assert_int_equal(ex_policy_check(&both, &error), EX_ERROR_ARGUMENT);
}

static void test_texts_survive_a_policy_file(void **state) {
    (void)state;
    ex_policy policy = POLICY("banned_strings", "[\" #x\", \"a\\\"b\\n\", \"; c\"]", "logit_bias", "1+1,2=false"), back;
    char text[32768];
    size_t length;
    ex_error error;
    ex_policy_format(&policy, text, sizeof text, &length);
    assert_true(length < sizeof text);
    assert_ok(ex_policy_parse(&back, text, length, "policy", &error), &error);
    assert_string_equal(back.banned_strings, policy.banned_strings);
    assert_string_equal(back.dry_sequence_breakers, "[\"\\n\", \":\", \"\\\"\", \"*\"]");
    assert_string_equal(back.logit_bias, policy.logit_bias);
}

/* ---- memory ----------------------------------------------------------------------------------------------------- */

static void test_steps_allocate_nothing(void **state) {
    (void)state;
    ex_policy policy = POLICY("dry_multiplier", "0.8", "xtc_probability", "0.5", "repeat_penalty", "1.1", "typical_p",
                              "0.9", "top_n_sigma", "1", "logit_bias", "1+2", "adaptive_target", "0.4", "top_h", "0.4");
    int32_t tokens[40];
    chain_bench bench;
    ex_history history;
    ex_error error;
    open_bench(&bench, &policy, SOURCE);
    assert_ok(ex_history_open(&history, 8, ex_chain_context(bench.chain), &error), &error);
    long before = allocations_counted();
    go_on(&bench, &history, 40, tokens);
    assert_int_equal(allocations_counted(), before);
    ex_history_close(&history);
    ex_chain_close(bench.chain);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_stage_removes_all),
        cmocka_unit_test(test_excluded_and_biased),
        cmocka_unit_test(test_ascending_top_p),
        cmocka_unit_test(test_order_matters),
        cmocka_unit_test(test_mirostat_reaches_its_target),
        cmocka_unit_test(test_adaptive_p_nears_its_target),
        cmocka_unit_test(test_xtc_frequencies),
        cmocka_unit_test(test_state_is_in_the_history),
        cmocka_unit_test(test_copies_of_a_step),
        cmocka_unit_test(test_where_stages_go),
        cmocka_unit_test(test_which_chains_are_plain),
        cmocka_unit_test(test_context_that_is_wanted),
        cmocka_unit_test(test_policies_that_do_not_open),
        cmocka_unit_test(test_texts_survive_a_policy_file),
        cmocka_unit_test(test_steps_allocate_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
