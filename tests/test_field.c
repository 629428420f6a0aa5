/* test_field.c - presets of the field and the faults that they reproduce, against formulas written out here in double
 * precision; and the metrics that travel, by hand.
 *
 * Known vectors of the field and where they are tested:
 *   p = .5/.5, uniform 8, .9/.1, .6 and a flat tail: test_sampler.c, test_known_entropies. Uniform 32: here
 *   top_p from the wrong end, both rows:             test_chain.c, test_ascending_top_p
 *   best of 5, and of tied candidates:               test_distribution.c. Best of 12: here
 *   uniform noise; temperatures and top_p of the quadrants at base 0.666; attention with padding: here */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "allocations.h"
#include "model/model.h"
#include "sampler/candidate.h"
#include "sampler_support.h"

#define BITS_PER_NAT 1.4426950408889634

/* ---- draws ------------------------------------------------------------------------------------------------------ */

typedef void (*draw_function)(const ex_distribution *distribution, ex_random_key key, ex_draw *out);

static void draw_uniform_noise(const ex_distribution *distribution, ex_random_key key, ex_draw *out) {
    ex_draw_best(distribution, 1, EX_DRAWING_UNIFORM_NOISE, key, out);
}

static void draw_exponential_noise(const ex_distribution *distribution, ex_random_key key, ex_draw *out) {
    ex_draw_best(distribution, 1, EX_DRAWING_EXPONENTIAL_NOISE, key, out);
}

static void draw_best_of_12(const ex_distribution *distribution, ex_random_key key, ex_draw *out) {
    ex_draw_exact(distribution, 12, key, out);
}

static void draw_best_of_5_by_noise(const ex_distribution *distribution, ex_random_key key, ex_draw *out) {
    ex_draw_best(distribution, 5, EX_DRAWING_EXPONENTIAL_NOISE, key, out);
}

static void check_shares(draw_function draw, const double *p, size_t n, const double *expected) {
    enum { N = 100000 };
    ex_candidate candidates[4];
    double counts[4] = {0};
    for (size_t i = 0; i < n; i++) candidates[i] = (ex_candidate){(int32_t)i, p[i], log(p[i]), log(p[i])};
    ex_distribution distribution = {candidates, n};
    for (uint32_t position = 0; position < N; position++) {
        ex_draw out;
        draw(&distribution, (ex_random_key){7, 1, position, 0}, &out);
        counts[out.token]++;
    }
    for (size_t i = 0; i < n; i++) {
        double spread = 4.5 * sqrt(expected[i] * (1 - expected[i]) / N) + 1e-5;
        if (fabs(counts[i] / N - expected[i]) > spread + 5e-4) /* the vectors have three digits */
            fail_msg("%zu: a share of %.5f, expected %.5f", i, counts[i] / N, expected[i]);
    }
}

static void test_known_draws(void **state) {
    (void)state;
    check_shares(draw_uniform_noise, (double[]){.9, .1}, 2, (double[]){17.0 / 18, 1.0 / 18});
    check_shares(draw_uniform_noise, (double[]){.9, .1}, 2, (double[]){.944, .056});
    check_shares(draw_uniform_noise, (double[]){.5, .3, .2}, 3, (double[]){.578, .261, .161});
    check_shares(draw_exponential_noise, (double[]){.9, .1}, 2, (double[]){.9, .1});
    check_shares(draw_exponential_noise, (double[]){.5, .3, .2}, 3, (double[]){.5, .3, .2});
    check_shares(draw_best_of_12, (double[]){.5, .3, .2}, 3, (double[]){.99976, .00024, 4e-9});
    check_shares(draw_best_of_5_by_noise, (double[]){.5, .3, .2}, 3, (double[]){.96875, .03093, .00032});
}

static ex_draw draw_at(const ex_policy *policy, uint32_t position) {
    static ex_candidate ten[10];
    for (int i = 0; i < 10; i++) ten[i] = (ex_candidate){.token = i, .probability = 0.1, .score = -i};
    ex_distribution distribution = {ten, 10};
    ex_decision decision = {.candidates = 5};
    ex_sampler *sampler = open_sampler(policy, 10);
    ex_draw out;
    ex_sampler_draw(sampler, &distribution, &decision, (ex_random_key){3, 0, position, 0}, &out);
    ex_sampler_close(sampler);
    return out;
}

static void test_keys_of_draws(void **state) {
    (void)state;
    static const char *const kinds[] = {"inverse", "exponential_noise", "uniform_noise"};
    for (size_t i = 0; i < 3; i++) {
        ex_policy policy = preset(NULL);
        ex_error error;
        assert_ok(ex_policy_set(&policy, "draw", kinds[i], &error), &error);
        ex_draw a = draw_at(&policy, 4), b = draw_at(&policy, 5);
        assert_int_equal(a.n_draws, 5);
        assert_memory_not_equal(a.uniform, b.uniform, 5 * sizeof *a.uniform);
        assert_true(a.uniform[0] != a.uniform[1]);
        policy.fixed_key = true;
        a = draw_at(&policy, 4);
        b = draw_at(&policy, 5);
        assert_memory_equal(a.uniform, b.uniform, 5 * sizeof *a.uniform);
        assert_memory_equal(a.drawn, b.drawn, 5 * sizeof *a.drawn);
        assert_true(a.uniform[0] != a.uniform[1]); /* candidates of one step have keys of their own */
        policy.candidate_draws = false; /* the closed form is that of true draws; noise really draws */
        assert_int_equal(draw_at(&policy, 4).n_draws, i == 0 ? 1 : 5);
    }
}

/* ---- metrics ---------------------------------------------------------------------------------------------------- */

static ex_metrics measure(const double *p, size_t n, int32_t top_k) {
    float logits[64];
    ex_metrics m = {0};
    ex_error error;
    for (size_t i = 0; i < n; i++) logits[i] = (float)log(p[i]);
    assert_ok(ex_measure_logits(logits, n, top_k, &m, &error), &error);
    return m;
}

static void test_metrics_of_logits(void **state) {
    (void)state;
    double uniform[32];
    for (size_t i = 0; i < 32; i++) uniform[i] = 1.0 / 32;
    ex_metrics m = measure(uniform, 32, 8);
    assert_true(is_close(m.logits_entropy, 5, 1e-6) && is_close(m.logits_varentropy, 0, 1e-6));
    assert_true(is_close(m.effective_choices, 32, 1e-5) && is_close(m.tail_mass, 0.75, 1e-6));
    m = measure((double[]){.5, .5}, 2, 27);
    assert_true(is_close(m.fork, 1, 1e-6) && is_close(m.top_probability, .5, 1e-6));
    assert_true(is_close(m.probability_margin, 0, 1e-6) && is_close(m.tail_mass, 0, 1e-6));
    for (size_t i = 0; i < 8; i++) uniform[i] = 1.0 / 8;
    assert_true(is_close(measure(uniform, 8, 0).fork, 0.25, 1e-6));
    m = measure((double[]){.6, .2, .1, .06, .04}, 5, 2);
    assert_true(is_close(m.fork, .2 / .6 * .8, 1e-6) && is_close(m.probability_margin, .4, 1e-6));
    assert_true(is_close(m.tail_mass, .2, 1e-6));
    assert_true(measure((double[]){.6, .2, .1, .06, .04}, 5, 0).tail_mass == 0); /* no limit: nothing beyond it */
    assert_true(is_close(measure((double[]){.6, .2, .1, .06, .04}, 5, 5).tail_mass, 0, 1e-6));
    assert_true(measure((double[]){1}, 1, 1).fork == 0); /* there is no second */
    assert_true(measure((double[]){.999999, .000001}, 2, 0).fork < 1.1e-6);
}

typedef struct reduced { /* one layer */
    ex_layer_metrics layer;
    ex_metrics all;
    double head_entropy[8], head_maximum[8], head_strength[8];
    int32_t n_positions;
} reduced;

static reduced reduce(const float *scores, int32_t n_head, size_t n, int32_t slots) {
    ex_score_reducer *reducer;
    const ex_attention *attention;
    ex_error error;
    reduced out = {0};
    assert_ok(ex_score_reducer_open(&reducer, &error), &error);
    assert_ok(ex_score_reducer_set_padding(reducer, slots, &error), &error);
    assert_ok(ex_score_reduce(reducer, scores, 1, n_head, n, &attention, &error), &error);
    ex_measure_attention(attention, EX_SCOPE_LAST, &out.all, &out.layer);
    memcpy(out.head_entropy, attention->head_entropy, (size_t)n_head * sizeof(double));
    memcpy(out.head_maximum, attention->head_maximum, (size_t)n_head * sizeof(double));
    memcpy(out.head_strength, attention->head_strength, (size_t)n_head * sizeof(double));
    out.n_positions = attention->n_positions[0];
    ex_score_reducer_close(reducer);
    return out;
}

static void test_metrics_of_attention(void **state) {
    (void)state;
    float *scores = calloc(4 * 5000, sizeof *scores);
    assert_non_null(scores);
    static const size_t lengths[] = {2, 3, 20, 1000, 5000};
    for (size_t i = 0; i < 5; i++) { /* uniform attention: as unsure as can be, at any length, and all heads alike */
        reduced r = reduce(scores, 4, lengths[i], 0);
        assert_true(is_close(r.all.attn_entropy_normalized, 1, 1e-12));
        assert_true(is_close(r.all.attn_entropy, log2((double)lengths[i]), 1e-12));
        assert_true(is_close(r.all.head_disagreement, 0, 1e-11) && is_close(r.all.head_consensus, 1, 1e-12));
    }
    assert_true(reduce(scores, 4, 1, 0).all.attn_entropy_normalized == 0);
    for (int32_t n_head = 2; n_head <= 4; n_head++) { /* each head looks at a place of its own */
        for (int32_t i = 0; i < n_head * n_head; i++) scores[i] = i % (n_head + 1) == 0 ? 60.0f : 0.0f;
        reduced r = reduce(scores, n_head, (size_t)n_head, 0);
        assert_true(is_close(r.all.head_disagreement, log2(n_head), 1e-9));
        assert_true(is_close(r.layer.head_disagreement, log2(n_head), 1e-9));
        assert_true(is_close(r.all.head_consensus, 1.0 / n_head, 1e-9));
        assert_true(is_close(r.all.attn_entropy_normalized, 0, 1e-9));
    }
    free(scores);
    /* Two heads, (.75 .25) and (.25 .75): H(.5) - H(.25). */
    reduced r = reduce((float[]){logf(3), 0, 0, logf(3)}, 2, 2, 0);
    double quarter = -(.25 * log2(.25) + .75 * log2(.75));
    assert_true(is_close(r.all.head_disagreement, 1 - quarter, 1e-6));
    assert_true(is_close(r.all.attn_entropy_normalized, quarter, 1e-6));
}

/* ---- padding ---------------------------------------------------------------------------------------------------- */

static double gaussian(uint64_t *random) {
    double sum = -6;
    for (int i = 0; i < 12; i++) sum += random_between(random, 0, 1);
    return sum;
}

static void expect_same(const reduced *a, const reduced *b, size_t n_head, const char *what) {
    bool same = a->n_positions == b->n_positions;
    for (size_t i = 0; ex_layer_metric_name(i); i++)
        same = same && is_close(ex_layer_metric_value(&a->layer, i), ex_layer_metric_value(&b->layer, i), 1e-11);
    for (size_t i = 0; i < n_head; i++)
        same = same && is_close(a->head_entropy[i], b->head_entropy[i], 1e-11) &&
               is_close(a->head_maximum[i], b->head_maximum[i], 1e-12) &&
               is_close(a->head_strength[i], b->head_strength[i], 1e-12);
    if (!same)
        fail_msg("%s: positions %d %d, entropy %.15g %.15g, agreement %.15g %.15g, disagreement %.15g %.15g", what,
                 a->n_positions, b->n_positions, a->layer.attn_entropy, b->layer.attn_entropy, a->layer.agreement,
                 b->layer.agreement, a->layer.head_disagreement, b->layer.head_disagreement);
}

/* Unused places in closed form are what zeros in their places are. */
static void test_padding_is_zeros(void **state) {
    (void)state;
    enum { HEADS = 4, LIVE = 20, SLOTS = 300 };
    uint64_t random = 11;
    for (int round = 0; round < 200; round++) {
        const double shift = random_between(&random, -30, 30), spread = random_between(&random, 0, 6);
        float live[HEADS][LIVE], filled[HEADS][SLOTS] = {{0}};
        for (size_t h = 0; h < HEADS; h++)
            for (size_t j = 0; j < LIVE; j++)
                filled[h][j] = live[h][j] = (float)(shift + spread * gaussian(&random));
        reduced expected = reduce(filled[0], HEADS, SLOTS, 0), ours = reduce(live[0], HEADS, LIVE, SLOTS);
        expect_same(&ours, &expected, HEADS, "padded");
        reduced none = reduce(live[0], HEADS, LIVE, 0), fewer = reduce(live[0], HEADS, LIVE, LIVE);
        expect_same(&fewer, &none, HEADS, "a cache that is full");
        for (size_t h = 0; h < HEADS; h++)
            for (size_t j = 0; j < 7; j++) live[h][j] = -INFINITY, filled[h][j] = 0;
        expected = reduce(filled[0], HEADS, SLOTS, 0);
        ours = reduce(live[0], HEADS, LIVE, SLOTS);
        expect_same(&ours, &expected, HEADS, "masked positions are unused ones");
    }
}

static void test_padding_by_known_values(void **state) {
    (void)state;
    static const struct {
        size_t live;
        double padded, masked, padded_strength;
    } rows[] = {{20, 11.94, 2.82, .009}, {50, 11.53, 3.44, .021}, {200, 11.42, 5.64, .073}, {1000, 8.87, 6.81, .39}};
    static float scores[8 * 1000];
    uint64_t random = 5;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        double padded = 0, masked = 0, strength = 0;
        enum { ROUNDS = 20 };
        for (int round = 0; round < ROUNDS; round++) {
            for (size_t j = 0; j < 8 * rows[i].live; j++) scores[j] = (float)(2 * gaussian(&random));
            reduced with = reduce(scores, 8, rows[i].live, 4096);
            padded += with.all.attn_entropy / ROUNDS;
            strength += with.all.interaction_strength / ROUNDS;
            masked += reduce(scores, 8, rows[i].live, 0).all.attn_entropy / ROUNDS;
        }
        if (i == 0) assert_true(fabs(padded - rows[i].padded) < 0.1 && fabs(masked - rows[i].masked) < 0.3);
        assert_true(fabs(strength - rows[i].padded_strength) < 0.03);
        assert_true(fabs(strength - 2 * sqrt(2 / M_PI) * (double)rows[i].live / 4096) < 0.01);
    }
}

static void test_padding_is_never_left_out(void **state) {
    (void)state;
    ex_policy policy = preset("entropix-cceeb84");
    ex_sampler *sampler = open_sampler(&policy, 4);
    ex_score_reducer *reducer;
    const ex_attention *attention;
    ex_choice choice;
    ex_error error;
    const float scores[] = {1, 2, 3, 4}, logits[] = {0, 1, 2, 3};
    assert_ok(ex_score_reducer_open(&reducer, &error), &error);
    assert_ok(ex_score_reduce(reducer, scores, 1, 2, 2, &attention, &error), &error);
    assert_int_equal(ex_sampler_step(sampler, logits, attention, (ex_random_key){0}, &choice, &error),
                     EX_ERROR_ARGUMENT);
    assert_non_null(strstr(error.message, "ex_score_reducer_set_padding"));
    assert_ok(ex_score_reducer_set_padding(reducer, 4096, &error), &error);
    assert_ok(ex_score_reduce(reducer, scores, 1, 2, 2, &attention, &error), &error);
    assert_ok(ex_sampler_step(sampler, logits, attention, (ex_random_key){0}, &choice, &error), &error);
    assert_true(choice.metrics.attn_entropy > 11.9);
    assert_int_equal(ex_score_reducer_set_padding(reducer, -1, &error), EX_ERROR_ARGUMENT);
    ex_score_reducer_close(reducer);
    ex_sampler_close(sampler);
}

/* The generator reduces the session's scores: the same as by hand, and nothing is allocated for it. */
static void test_padding_in_a_generator(void **state) {
    (void)state;
    const int32_t prompt[] = {1, 50, 60, 300, 301, 302};
    ex_engine *engine;
    ex_session *session;
    ex_generator *generator;
    ex_error error;
    ex_policy policy = preset("entropix-cceeb84");
    ex_session_options session_options = {.n_context = 64};
    ex_generator_options options = {.policy = &policy, .n_predict = 20, .ignore_end = true, .seed = 3};
    assert_ok(ex_engine_open(&engine, test_data("models/llama3-f16.gguf"), NULL, &error), &error);
    assert_ok(ex_session_open(&session, engine, &session_options, &error), &error);
    assert_ok(ex_generator_open(&generator, session, &options, &error), &error);
    assert_ok(ex_generator_prompt(generator, prompt, 6, &error), &error);
    const ex_shape *shape = &ex_session_model(session)->shape;
    ex_score_reducer *reducer;
    assert_ok(ex_score_reducer_open(&reducer, &error), &error);
    assert_ok(ex_score_reducer_set_padding(reducer, 4096, &error), &error);
    for (int i = 0; i < 20; i++) {
        ex_event event;
        ex_metrics expected;
        const ex_attention *attention;
        size_t n_positions;
        long before = allocations_counted();
        assert_ok(ex_generator_next(generator, &event, &error), &error);
        assert_int_equal(allocations_counted(), before);
        if (event.kind != EX_EVENT_TOKEN) continue;
        if (i == 0) assert_string_equal(event.choice->decision.strategy, "first");
        const float *scores = ex_session_scores(session, &n_positions);
        assert_int_equal(n_positions, 6 + i);
        assert_ok(ex_score_reduce(reducer, scores, shape->n_layer, shape->n_head, n_positions, &attention, &error),
                  &error);
        ex_measure_attention(attention, EX_SCOPE_LAST, &expected, NULL);
        assert_true(event.choice->metrics.attn_entropy == expected.attn_entropy && expected.attn_entropy > 6);
        assert_true(event.choice->metrics.agreement == expected.agreement);
        assert_true(event.choice->metrics.interaction_strength == expected.interaction_strength);
    }
    ex_score_reducer_close(reducer);
    ex_generator_close(generator);
    ex_session_close(session);
    ex_engine_close(engine);
}

/* ---- histories -------------------------------------------------------------------------------------------------- */

static const char *strategy_after(ex_sampler *sampler, const float *logits, int32_t token, bool inserted) {
    ex_choice choice;
    ex_error error;
    assert_ok(ex_sampler_step(sampler, logits, NULL, (ex_random_key){1, 0, 0, 0}, &choice, &error), &error);
    const char *strategy = choice.decision.strategy;
    ex_sampler_accept(sampler, token, inserted);
    return strategy;
}

static ex_sampler *open_asking(const ex_policy *policy) {
    const int32_t clarification = 7;
    ex_error error;
    ex_sampler *sampler = open_sampler(policy, 64);
    assert_ok(ex_sampler_set_clarification(sampler, &clarification, 1, &error), &error);
    return sampler;
}

/* 64 equal logits: entropy 6, varentropy 0. */
static void test_clarifications(void **state) {
    (void)state;
    const float plain[64] = {0};
    static const struct {
        const char *preset;
        bool again;
    } cases[] = {{"entropix-54a0cff", false}, {"entropix-9702669", false}, {"entropix-9ef54d9", false},
                 {"entropix-cceeb84", false}, {"entropix-b030904", false}, {"entropix-eaaddb2", true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ex_policy policy = preset(cases[i].preset);
        ex_sampler *sampler = open_asking(&policy);
        assert_string_equal(strategy_after(sampler, plain, 1, false), "first");
        for (int round = 0; round < 5; round++) {
            const char *strategy = strategy_after(sampler, plain, 7, round == 0 || cases[i].again);
            assert_string_equal(strategy, round == 0 || cases[i].again ? "clarify" : "clarify_resample");
            assert_string_equal(strategy_after(sampler, plain, 2, false), "clarify_resample"); /* it was just asked */
        }
        ex_sampler_close(sampler);
    }
}

static void test_first_token(void **state) {
    (void)state;
    ex_policy policy = preset("plain");
    ex_error error;
    assert_ok(ex_policy_set(&policy, "strategies", "true", &error), &error);
    assert_ok(ex_policy_set(&policy, "rules", "[a]\nwhen = first_token\naction = greedy\n[b]\n", &error), &error);
    const float logits[] = {0, 0.1f, 0};
    ex_sampler *sampler = open_sampler(&policy, 3);
    const int32_t prompt[] = {1, 2};
    ex_sampler_prompt(sampler, prompt, 2);
    for (int round = 0; round < 2; round++) {
        assert_string_equal(strategy_after(sampler, logits, 1, false), "a");
        assert_string_equal(strategy_after(sampler, logits, 1, false), "b");
        assert_ok(ex_sampler_rewind(sampler, 0, &error), &error);
    }
    ex_sampler_close(sampler);
    assert_ok(ex_policy_set(&policy, "rules", "[a]\nwhen = not first_token and logits_entropy > 0\n", &error), &error);
    assert_int_not_equal(ex_policy_set(&policy, "rules", "[a]\nwhen = first_token > 1\n", &error), EX_OK);
}

/* ---- decisions -------------------------------------------------------------------------------------------------- */

typedef struct variant {
    const char *name;
    double clarify, high;  /* entropies above which the quadrants begin */
    int32_t candidates;
    bool over_heads;       /* the variance of attention entropy; otherwise it was 0 */
    bool frog;
} variant;

static const variant variants[] = {
    {"entropix-54a0cff", 3, 5, 12, false, false}, {"entropix-9702669", 3, 5, 5, false, false},
    {"entropix-9ef54d9", 3, 5, 5, true, false},   {"entropix-cceeb84", 5, 3, 5, true, false},
    {"entropix-eaaddb2", 3, 5, 5, false, false},  {"entropix-frog70b", 2.1, .7, 5, true, true},
};

typedef struct expectation {
    const char *strategy;
    double temperature, top_p;
    int32_t top_k, candidates;
} expectation;

static double between(double x, double low, double high) { return x < low ? low : x > high ? high : x; }

/* Which quadrant of four, or 4. */
static int quadrant_of(const variant *v, const ex_metrics *m) {
    const double h = m->logits_entropy, u = m->logits_varentropy;
    if (!v->frog)
        return h < .1 && u < .1 ? 0 : h > v->clarify && u < .1 ? 1 : h < 5 && u > 5 ? 2 : h > v->high && u > 5 ? 3 : 4;
    const double ha = m->attn_entropy, va = m->attn_varentropy, a = m->agreement, i = m->interaction_strength;
    const bool calm = ha < 11.915 && va < .001 && a < 2e-6 && i < .2;
    if (h < .01 && u < .05 && calm) return 0;
    if (h > 2.1 && u < .05 && calm) return 1;
    if (h < 2.1 && u > 5.8 && ha < 11.915 && va > .009 && a < 2e-6 && i > .2) return 2;
    return h > .7 && u > 5.8 && ha > 11.926 && va > .009 && a > 5e-6 && i > .264 ? 3 : 4;
}

static expectation expect(const variant *v, const ex_metrics *m, bool clarified) {
    const double h = m->logits_entropy, u = v->frog ? 0 : m->logits_varentropy, ha = m->attn_entropy,
                 va = v->over_heads ? m->attn_varentropy : 0, i = m->interaction_strength, a = m->agreement;
    switch (quadrant_of(v, m)) {
    case 0:
        return (expectation){"greedy", 0, 1, 1, 1};
    case 1:
        return (expectation){clarified ? "clarify_resample" : "clarify", fmin(1.5, .666 * (1.3 + .2 * ha)), .9, 27, 1};
    case 2:
        return (expectation){"explore", fmin(1.5, .666 * (1.2 + .3 * i)), .9,
                             (int32_t)fmax(5, trunc(27 * (1 + .5 * (1 - a)))), 1};
    case 3:
        return (expectation){"high_uncertainty", fmax(2, .666 * (2 + .5 * va)), fmax(.5, .9 - .2 * ha), 27, 1};
    default:
        return (expectation){"adaptive", .666 * (1 + .3 * (h + u) + .2 * (ha + (v->frog ? 0 : va)) - .2 * a),
                             between(.9 * (1 + .1 * va), .1, 1),
                             (int32_t)between(nearbyint(27 * (1 + .3 * i - .2 * a)), 1, 100), v->candidates};
    }
}

static double near_one_of(uint64_t *random, const double *values, size_t n, double spread) {
    const double value = values[(size_t)random_between(random, 0, (double)n)];
    return fmax(0, value + spread * random_between(random, -1, 1));
}

static ex_metrics random_metrics(uint64_t *random, bool frog) {
    static const double h[] = {0, .05, .1, .7, 2.1, 3, 5, 8}, u[] = {0, .05, .1, 5, 5.8, 12};
    static const double ha[] = {11.9, 11.915, 11.926, 11.95}, va[] = {0, .001, .009, .02};
    static const double a[] = {0, 2e-6, 5e-6, 8e-6}, i[] = {.1, .2, .264, .4};
    return (ex_metrics){.logits_entropy = near_one_of(random, h, 8, .05),
                        .logits_varentropy = near_one_of(random, u, 6, .05),
                        .attn_entropy = frog ? near_one_of(random, ha, 4, .01) : random_between(random, 0, 12),
                        .attn_varentropy = frog ? near_one_of(random, va, 4, 5e-4) : random_between(random, 0, 3),
                        .agreement = frog ? near_one_of(random, a, 4, 1e-6) : random_between(random, 0, .1),
                        .interaction_strength = frog ? near_one_of(random, i, 4, .05) : random_between(random, 0, 3)};
}

static void check_decisions(const variant *v, uint64_t *random) {
    ex_policy policy = preset(v->name);
    ex_rules *rules;
    ex_error error;
    size_t seen[6] = {0};
    assert_ok(ex_rules_open(&rules, &policy, &error), &error);
    for (int round = 0; round < 100000; round++) {
        ex_metrics m = random_metrics(random, v->frog);
        const bool clarified = round % 2;
        ex_rule_input input = {.policy = &policy, .metrics = &m, .may_insert = !clarified};
        ex_decision d;
        uint64_t held = 0;
        ex_rules_decide(rules, &input, &held, &d);
        expectation e = expect(v, &m, clarified);
        bool same = strcmp(d.strategy, e.strategy) == 0 && is_close(d.temperature, e.temperature, 1e-12) &&
                    is_close(d.top_p, e.top_p, 1e-12) && d.top_k == e.top_k && d.candidates == e.candidates;
        if (!same)
            fail_msg("%s: H %g V %g: %s T %g top_p %g top_k %d of %d, expected %s %g %g %d of %d", v->name,
                     m.logits_entropy, m.logits_varentropy, d.strategy, d.temperature, d.top_p, d.top_k, d.candidates,
                     e.strategy, e.temperature, e.top_p, e.top_k, e.candidates);
        seen[d.rule - 1]++;
    }
    for (size_t i = 0; i < 6; i++) assert_true(seen[i] > 0);
    ex_rules_close(rules);
}

static void test_decisions_of_presets(void **state) {
    (void)state;
    uint64_t random = 77;
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++) check_decisions(&variants[i], &random);
}

static void test_decisions_without_attention(void **state) {
    (void)state;
    ex_policy policy = preset("entropix-b030904");
    uint64_t random = 9;
    for (int round = 0; round < 2000; round++) {
        ex_metrics m = random_metrics(&random, false);
        const double h = m.logits_entropy, v = m.logits_varentropy;
        double expected = .666 * between((h + v) / 10, .5, 2);
        if (h < .1 && v < .1) expected = 0;
        else if (h > 5 && v < .1) expected = fmin(1.3, .666 * 1.5);
        else if (h < 5 && v > 5) expected = fmin(1.2, .666 * 1.5);
        else if (h > 5 && v > 5) expected = fmax(2, .666 * 3);
        ex_decision d = decide_at(&policy, &m, round % 2);
        assert_true(is_close(d.temperature, expected, 1e-12) && d.candidates == 1);
        if (expected > 0) assert_true(d.top_p == .9 && d.top_k == 27);
    }
}

/* Base temperature 0.666, where the document's examples print those of 1. */
static void test_known_parameters(void **state) {
    (void)state;
    static const char *const names[] = {"entropixplained", "entropix-2024-10", "entropix-cceeb84"};
    for (size_t i = 0; i < 3; i++) {
        ex_policy policy = preset(names[i]);
        ex_metrics explore = {.logits_entropy = 2.1, .logits_varentropy = 5.5, .interaction_strength = .8};
        assert_true(is_close(decide_at(&policy, &explore, false).temperature, .666 * 1.44, 1e-12));
        assert_true(fabs(decide_at(&policy, &explore, false).temperature - .959) < 5e-4);
        ex_metrics lost = {.logits_entropy = 5.5, .logits_varentropy = 5.2, .attn_varentropy = .9,
                           .attn_entropy = 11.9};
        assert_true(decide_at(&policy, &lost, false).temperature == 2);
        assert_true(decide_at(&policy, &lost, false).top_p == .5);
    }
}

static void test_filters_of_presets(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++) {
        ex_policy policy = preset(variants[i].name);
        assert_string_equal(policy.samplers, "temperature;top_k;top_p_ascending");
        assert_int_equal(policy.attention_padding, 4096);
        assert_int_equal(policy.scope, EX_SCOPE_LAST);
        assert_true(policy.temperature == .666 && policy.top_p == .9 && policy.top_k == 27);
        const bool torch = strcmp(variants[i].name, "entropix-eaaddb2") == 0;
        assert_int_equal(policy.draw, torch ? EX_DRAWING_UNIFORM_NOISE : EX_DRAWING_EXPONENTIAL_NOISE);
        assert_int_equal(policy.fixed_key, !torch);
    }
    ex_policy mended = preset("entropix-2024-10");
    assert_true(mended.attention_padding == 0 && mended.draw == EX_DRAWING_INVERSE && !mended.fixed_key);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_draws),
        cmocka_unit_test(test_keys_of_draws),
        cmocka_unit_test(test_metrics_of_logits),
        cmocka_unit_test(test_metrics_of_attention),
        cmocka_unit_test(test_padding_is_zeros),
        cmocka_unit_test(test_padding_by_known_values),
        cmocka_unit_test(test_padding_is_never_left_out),
        cmocka_unit_test(test_padding_in_a_generator),
        cmocka_unit_test(test_clarifications),
        cmocka_unit_test(test_first_token),
        cmocka_unit_test(test_decisions_of_presets),
        cmocka_unit_test(test_decisions_without_attention),
        cmocka_unit_test(test_known_parameters),
        cmocka_unit_test(test_filters_of_presets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
