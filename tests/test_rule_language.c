/* test_rule_language.c - the language of rules: operators, functions, windows, hysteresis, margins, what is said about
 * bad rules, and the document's matrix as text against its formulas. */
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "allocations.h"
#include "sampler/rule.h"

enum { N_LAYER = 3 };

typedef struct world { /* all that rules can see */
    ex_policy policy;
    ex_metrics metrics;
    ex_layer_metrics layers[N_LAYER];
    ex_history history;
    bool may_insert;
    uint64_t held;
} world;

static world plain_world(void) {
    world here = {.metrics = {.logits_entropy = 2, .logits_varentropy = 3, .attn_entropy = 5, .agreement = 0.25}};
    static ex_policy policy;
    ex_error error;
    if (!policy.strategies) assert_ok(ex_policy_preset(&policy, "entropixplained", &error), &error);
    here.policy = policy;
    for (int i = 0; i < N_LAYER; i++) here.layers[i] = (ex_layer_metrics){.attn_entropy = 10 + i, .agreement = i};
    return here;
}

static void set_rules(world *here, const char *text) {
    ex_error error;
    if (ex_policy_set(&here->policy, "rules", text, &error) != EX_OK) fail_msg("%s: %s", text, error.message);
}

static ex_rules *open_rules(const world *here) {
    ex_rules *rules;
    ex_error error;
    assert_ok(ex_rules_open(&rules, &here->policy, &error), &error);
    return rules;
}

static ex_rule_input input_of(const world *here) {
    return (ex_rule_input){.policy = &here->policy, .metrics = &here->metrics, .layers = here->layers,
                           .n_layer = N_LAYER, .history = here->history.records ? &here->history : NULL,
                           .may_insert = here->may_insert};
}

/* Names in the decision point into the rules, which are gone: static copies stand for them. */
static ex_decision decide_by(world *here, const ex_rules *rules) {
    static const char *const names[] = {"greedy", "clarify", "clarify_resample", "explore", "high_uncertainty",
                                        "adaptive", "plain"};
    ex_rule_input input = input_of(here);
    ex_decision decision;
    ex_rules_decide(rules, &input, &here->held, &decision);
    const char *strategy = "another";
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], decision.strategy) == 0) strategy = names[i];
    decision.strategy = strategy;
    return decision;
}

static ex_decision decide(world *here, const char *text) {
    if (text) set_rules(here, text);
    ex_rules *rules = open_rules(here);
    ex_decision decision = decide_by(here, rules);
    ex_rules_close(rules);
    return decision;
}

static bool holds(world *here, const char *condition) {
    char text[2000];
    snprintf(text, sizeof text, "[r]\nwhen = %s\n", condition);
    return decide(here, text).rule == 0;
}

static double value_of(world *here, const char *formula) {
    char text[2000];
    snprintf(text, sizeof text, "[r]\ntemperature = 1000 + (%s)\n", formula);
    return decide(here, text).temperature - 1000;
}

/* ---- values ------------------------------------------------------------------------------------------------------ */

static void test_numbers_and_operators(void **state) {
    (void)state;
    static const struct {
        const char *formula;
        double value;
    } cases[] = {
        {"1 + 2 * 3", 7},
        {"(1 + 2) * 3", 9},
        {"10 - 4 - 3", 3},
        {"100 / 5 / 2", 10},
        {"2 * 3 / 4", 1.5},
        {"-2 * -3", 6},
        {"- - 2", 2},
        {"1 - -1", 2},
        {"-(1 + 2)", -3},
        {"1.5e2 + .25 + 2e-1 + 1E+1", 160.45},
        {"min(3, 1, 2)", 1},
        {"max(3, 7, 2, 5)", 7},
        {"min(1 + 1, max(0, 5))", 2},
        {"clip(5, 1, 3) + clip(-5, 1, 3) * 10 + clip(2, 1, 3) * 100", 213},
        {"floor(2.7) + floor(-2.1) * 10", -28},
        {"round(0.5) + round(1.5) * 10 + round(2.5) * 100 + round(-0.6) * 1000", -780},
        {"abs(-3) + abs(3)", 6},
        {"sqrt(16)", 4},
        {"log2(8)", 3},
        {"exp2(5)", 32},
        {"logits_entropy * 10 + logits_varentropy", 23},
        {"varentropy", 3},
        {"agreement * 4", 1},
        {"attn_entropy[0] + 100 * attn_entropy[2]", 1210},
        {"attn_entropy[-1] + 100 * attn_entropy[-3]", 1012},
        {"agreement[1]", 1},
        {"attn_entropy[3] + attn_entropy[-4] + attn_entropy[255]", 0},
        {"top_k", 27},
        {"candidates + lookahead + branches", 15},
        {"temperature * 1000", 666},
        {"high_varentropy+low_entropy", 5.1},
        {"2\t*  3", 6},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        world here = plain_world();
        double value = value_of(&here, cases[i].formula);
        if (!is_close(value, cases[i].value, 1e-11))
            fail_msg("%s is %.17g, expected %.17g", cases[i].formula, value, cases[i].value);
    }
    world here = plain_world();
    assert_true(decide(&here, "[r]\ntemperature = 1 # + 5\ntop_p = 0.5 ; + 5\n").temperature == 1);
}

static void test_every_metric_has_its_name(void **state) {
    (void)state;
    world here = plain_world();
    double *values = (double *)&here.metrics;
    size_t count = 0;
    for (; ex_metric_name(count); count++) values[count] = (double)count + 1;
    assert_int_equal(count * sizeof(double), sizeof here.metrics);
    for (size_t i = 0; i < count; i++)
        assert_true(is_close(value_of(&here, ex_metric_name(i)), (double)i + 1, 1e-12));
    for (size_t i = 0; ex_layer_metric_name(i); i++) {
        char term[80];
        ((double *)&here.layers[1])[i] = (double)i + 0.5;
        snprintf(term, sizeof term, "%s[1]", ex_layer_metric_name(i));
        assert_true(is_close(value_of(&here, term), (double)i + 0.5, 1e-12));
    }
    assert_true(value_of(&here, "varentropy") == here.metrics.logits_varentropy);
    here.policy.varentropy = EX_VARENTROPY_SEQUENCE;
    assert_true(value_of(&here, "varentropy") == here.metrics.sequence_varentropy);
    assert_true(value_of(&here, "mean(varentropy, 4)") == here.metrics.sequence_varentropy);
}

static void test_conditions(void **state) {
    (void)state;
    static const struct {
        const char *condition;
        bool holds;
    } cases[] = {
        {"1 < 2", true},
        {"2 < 2", false},
        {"2 <= 2", true},
        {"3 <= 2", false},
        {"2 > 2", false},
        {"2 >= 2", true},
        {"1 + 1 < 1 * 3", true},
        {"logits_entropy < 2", false},
        {"logits_entropy <= 2", true},
        {"logits_entropy > 2", false},
        {"logits_entropy >= 2", true},
        {"not logits_entropy < 2", true},
        {"not logits_entropy >= 2", false},
        {"not not 1 < 2", true},
        {"1 < 2 or 1 < 2 and 1 > 2", true},
        {"(1 < 2 or 1 < 2) and 1 > 2", false},
        {"not 1 > 2 and 1 < 2", true},
        {"not (1 > 2 or 1 < 2)", false},
        {"1 > 2 or 1 > 2 or 3 > 2", true},
        {"1 < 2 and 2 < 3 and 4 < 3", false},
        {"may_insert", false},
        {"not may_insert", true},
        {"not may_insert and logits_entropy < 3", true},
        {"0 / 0 < 1", false},
        {"0 / 0 >= 1", false},
        {"not 0 / 0 < 1", true},
        {"1 / 0 > 1000", true},
        {"1 / 0 <= 1 / 0", true},
        {"1 / 0 < 1 / 0", false},
        {"((((1))) < (2))", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        world here = plain_world();
        if (holds(&here, cases[i].condition) != cases[i].holds)
            fail_msg("%s should%s hold", cases[i].condition, cases[i].holds ? "" : " not");
    }
    world here = plain_world();
    here.may_insert = true;
    assert_true(holds(&here, "may_insert"));
}

/* ---- history ----------------------------------------------------------------------------------------------------- */

static void test_windows(void **state) {
    (void)state;
    ex_record records[8] = {{0}};
    world here = plain_world(); /* the present entropy is 2 */
    static const double entropies[] = {9, 1, -1, 4, 7};
    for (size_t i = 0; i < 5; i++) {
        records[i].measured = entropies[i] >= 0; /* the third was inserted, and nothing was measured */
        records[i].metrics.logits_entropy = entropies[i];
        records[i].metrics.sequence_varentropy = 100;
    }
    here.history = (ex_history){.records = records, .capacity = 8, .count = 5};
    here.history.peak = 5;
    static const struct {
        const char *formula;
        double value;
    } cases[] = {
        {"mean(logits_entropy, 1)", 2},
        {"mean(logits_entropy, 2)", 4.5},
        {"mean(logits_entropy, 4)", 3.5}, /* 2 7 4 1 */
        {"mean(logits_entropy, 5)", 4.6}, /* and 9 */
        {"mean(logits_entropy, 1024)", 4.6},
        {"lowest(logits_entropy, 3)", 2},
        {"lowest(logits_entropy, 4)", 1},
        {"highest(logits_entropy, 4)", 7},
        {"highest(logits_entropy, 5)", 9},
        {"variance(logits_entropy, 1)", 0},
        {"variance(logits_entropy, 2)", 6.25},
        {"variance(logits_entropy, 4)", 5.25},
        {"mean(varentropy, 2)", 1.5},
        {"logits_entropy - mean(logits_entropy, 3)", 2 - 13.0 / 3},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double value = value_of(&here, cases[i].formula);
        if (!is_close(value, cases[i].value, 1e-12))
            fail_msg("%s is %.17g, expected %.17g", cases[i].formula, value, cases[i].value);
    }
    here.policy.varentropy = EX_VARENTROPY_SEQUENCE;
    assert_true(is_close(value_of(&here, "mean(varentropy, 4)"), 75, 1e-12));
    here.history = (ex_history){0}; /* none at all */
    assert_true(is_close(value_of(&here, "mean(logits_entropy, 16)"), 2, 1e-12));
    set_rules(&here, "[r]\nwhen = mean(logits_entropy, 16) > 3 and lowest(agreement, 40) > 1\n"
                     "top_p = variance(fork, 7)\n");
    ex_rules *rules = open_rules(&here);
    assert_int_equal(ex_rules_window(rules), 40);
    ex_rules_close(rules);
    set_rules(&here, "[r]\n");
    rules = open_rules(&here);
    assert_int_equal(ex_rules_window(rules), 1);
    ex_rules_close(rules);
}

static void test_hysteresis(void **state) {
    (void)state;
    world here = plain_world();
    set_rules(&here, "[greedy]\nwhen = logits_entropy > 4 until logits_entropy < 2\n"
                     "[explore]\nwhen = logits_entropy > 100 or (logits_entropy < 1 until logits_entropy > 5)\n");
    ex_rules *rules = open_rules(&here);
    static const struct {
        double entropy;
        const char *strategy;
    } steps[] = {
        {3, "plain"},    {4, "plain"},  {4.5, "greedy"}, {3, "greedy"},  {2, "greedy"}, {1.9, "plain"}, {3, "plain"},
        {0.5, "explore"}, {3, "explore"}, {4.5, "greedy"}, /* the second one goes on behind it */
        {1.5, "explore"}, {5.5, "greedy"}, {1.5, "plain"},
    };
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        here.metrics.logits_entropy = steps[i].entropy;
        uint64_t before = here.held;
        ex_decision decision = decide_by(&here, rules);
        if (strcmp(decision.strategy, steps[i].strategy) != 0)
            fail_msg("step %d: %s, expected %s", (int)i, decision.strategy, steps[i].strategy);
        uint64_t after = here.held;
        here.held = before;
        decide_by(&here, rules);
        assert_true(here.held == after); /* a function of what was held */
    }
    ex_rules_close(rules);
    here.held = 0;
    here.metrics.logits_entropy = 3;
    assert_false(holds(&here, "logits_entropy > 2 until logits_entropy > 2.5")); /* where both hold, it has ended */
    here.held = 1;
    assert_true(holds(&here, "logits_entropy > 9 until logits_entropy < 2.5"));
    assert_true(here.held == 1);
    assert_false(holds(&here, "logits_entropy > 9 until logits_entropy < 3.5"));
    assert_true(here.held == 0);
}

/* ---- margins ----------------------------------------------------------------------------------------------------- */

static void test_margins_of_conditions(void **state) {
    (void)state;
    static const struct { /* logits_entropy 2, varentropy 3, attn_entropy 5, agreement 0.25 */
        const char *condition, *metric;
        double margin;
    } cases[] = {
        {"logits_entropy < 2.5", "logits_entropy", 0.5},
        {"logits_entropy > 2.5", "logits_entropy", 0.5},
        {"2.5 > logits_entropy", "logits_entropy", 0.5},
        {"logits_entropy <= 2", "logits_entropy", 0},
        {"logits_entropy < 3 and varentropy < 3.5", "logits_varentropy", 0.5},
        {"logits_entropy < 3 and varentropy < 4", "logits_entropy", 1}, /* the first where both are as near */
        {"logits_entropy < 3 or varentropy < 5", "logits_varentropy", 2},
        {"logits_entropy > 3 and varentropy > 5", "logits_varentropy", 2}, /* both lack: the larger */
        {"logits_entropy > 3 or varentropy > 5", "logits_entropy", 1},
        {"logits_entropy < 9 and varentropy > 5", "logits_varentropy", 2},
        {"not logits_entropy < 2.5", "logits_entropy", 0.5},
        {"not (logits_entropy > 3 or varentropy > 5)", "logits_entropy", 1},
        {"logits_entropy >= 2 and logits_varentropy > 3", "logits_varentropy", 0}, /* no room, and the second lacks */
        {"attn_entropy - logits_entropy < 4", "attn_entropy", 1},
        {"mean(agreement, 8) < 0.5", "agreement", 0.25},
        {"head_consensus[1] < 0.5", "head_consensus", 0.5},
        {"not may_insert and logits_entropy < 2.5", "logits_entropy", 0.5},
        {"not may_insert or logits_entropy < 2.5", "", 0},
        {"may_insert and logits_entropy < 2.5", "", 0},
        {"1 < 2", "", 0},
        {"1 < 2 and logits_entropy < 2.5", "logits_entropy", 0.5},
        {"logits_entropy < 1 / 0", "", 0},
        {"logits_entropy * (0 / 0) < 1", "", 0},
        {"varentropy > 9 until logits_entropy > 4", "logits_varentropy", 6},
        {"varentropy > 2 until logits_entropy > 4", "logits_varentropy", 1},
        {"varentropy > 2 until logits_entropy > 2.5", "logits_entropy", 0.5},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        world here = plain_world();
        bool found = holds(&here, cases[i].condition);
        here.held = 0;
        ex_decision decision = decide(&here, NULL);
        if (strcmp(decision.margin_metric, cases[i].metric) != 0 || !is_close(decision.margin, cases[i].margin, 1e-12))
            fail_msg("%s (%d): %s %g, expected %s %g", cases[i].condition, found, decision.margin_metric,
                     decision.margin, cases[i].metric, cases[i].margin);
    }
    world here = plain_world();
    here.held = 1;
    ex_decision decision = decide(&here, "[r]\nwhen = varentropy > 9 until logits_entropy > 2.5\n");
    assert_int_equal(decision.rule, 0);
    assert_string_equal(decision.margin_metric, "logits_entropy"); /* what would end it */
    assert_true(decision.margin == 0.5);
    here = plain_world();
    here.policy.varentropy = EX_VARENTROPY_SEQUENCE;
    assert_string_equal(decide(&here, "[r]\nwhen = varentropy > 4\n").margin_metric, "sequence_varentropy");
}

static void test_margins_where_no_condition_decides(void **state) {
    (void)state;
    world here = plain_world();
    const char *text = "[a]\nwhen = logits_entropy > 5\n[b]\nwhen = may_insert and agreement > 0\n"
                       "[c]\nwhen = varentropy > 4\n[d]\n";
    ex_decision decision = decide(&here, text);
    assert_int_equal(decision.rule, 3);
    assert_string_equal(decision.margin_metric, "logits_varentropy");
    assert_true(decision.margin == 1);
    decision = decide(&here, "[a]\nwhen = logits_entropy > 2.25\n[b]\nwhen = varentropy > 4\n"); /* none holds */
    assert_int_equal(decision.rule, 2);
    assert_string_equal(decision.strategy, "plain");
    assert_string_equal(decision.margin_metric, "logits_entropy");
    assert_true(decision.margin == 0.25);
    decision = decide(&here, "[a]\n");
    assert_string_equal(decision.margin_metric, "");
    assert_true(decision.margin == 0);
}

/* ---- decisions --------------------------------------------------------------------------------------------------- */

static void test_parameters(void **state) {
    (void)state;
    world here = plain_world();
    ex_decision decision = decide(&here, "[r]\n");
    assert_true(decision.temperature == 0.666 && decision.top_p == 0.9 && decision.top_k == 27);
    assert_true(decision.min_p == 0.03 && decision.candidates == 1 && decision.action == EX_ACTION_SAMPLE);
    decision = decide(&here, "[r]\ntop_p = 7\nmin_p = -3\ntop_k = 2.5\ncandidates = 1e9\ntemperature = 50");
    assert_true(decision.temperature == 50 && decision.top_p == 1 && decision.top_k == 2 && decision.min_p == 0);
    assert_int_equal(decision.candidates, EX_DRAWS_MAX);
    decision = decide(&here, "[r]\ntop_p = -1\nmin_p = 2\ntop_k = 1e300\ncandidates = -4");
    assert_true(decision.top_p == 0 && decision.min_p == 1 && decision.top_k == INT32_MAX && decision.candidates == 1);
    assert_int_equal(decide(&here, "[r]\ntop_k = 0\n").top_k, 0);
    assert_int_equal(decide(&here, "[r]\ntop_k = 0.1\n").top_k, 1);
    assert_int_equal(decide(&here, "[r]\ntop_k = -5\n").top_k, 1);
    decision = decide(&here, "[r]\ntemperature = 1 / 0\ntop_p = 0 / 0\ntop_k = -1 / 0\nmin_p = sqrt(-1)\n"
                             "candidates = log2(0)\n");
    assert_true(decision.temperature == 0.666 && decision.top_p == 0.9 && decision.top_k == 27);
    assert_true(decision.min_p == 0.03 && decision.candidates == 1);
    here.policy.top_k = 0;
    assert_int_equal(decide(&here, "[r]\ntop_k = 40\n").top_k, 0);
    static const char *const likeliest[] = {"temperature = 0", "temperature = -1", "action = greedy\ntop_p = 0.5"};
    for (size_t i = 0; i < 4; i++) {
        char text[200];
        here = plain_world();
        if (i == 3) here.policy.temperature = 0;
        snprintf(text, sizeof text, "[r]\n%s\n", i < 3 ? likeliest[i] : "temperature = 3\ntop_k = 9");
        decision = decide(&here, text);
        assert_true(decision.temperature == 0 && decision.top_p == 1 && decision.top_k == 1 && decision.min_p == 0);
    }
}

static void test_actions_and_names(void **state) {
    (void)state;
    world here = plain_world();
    for (int i = 0; i < EX_ACTION_COUNT; i++) {
        char text[100];
        snprintf(text, sizeof text, "[r]\naction = %s  # said\n", ex_action_name((ex_action)i));
        here.may_insert = true;
        assert_int_equal(decide(&here, text).action, i);
        here.may_insert = false; /* what may not be inserted is sampled */
        assert_int_equal(decide(&here, text).action, i == EX_ACTION_INSERT ? EX_ACTION_SAMPLE : i);
        ex_rules *rules = open_rules(&here);
        for (int j = 0; j < EX_ACTION_COUNT; j++) assert_true(ex_rules_may(rules, (ex_action)j) == (i == j));
        ex_rules_close(rules);
    }
    assert_string_equal(ex_action_name((ex_action)99), "unknown");
    set_rules(&here, "; a remark\n\n  [ first-1 ]   \nwhen =  1  <  2 ; always\n[Second_2]\n\n\n");
    assert_string_equal(here.policy.rules, "  [ first-1 ]\nwhen =  1  <  2 ; always\n[Second_2]\n");
    ex_rules *rules = open_rules(&here);
    assert_int_equal(ex_rules_count(rules), 2);
    assert_string_equal(ex_rules_name(rules, 0), "first-1");
    assert_string_equal(ex_rules_name(rules, 1), "Second_2");
    assert_string_equal(ex_rules_name(rules, 2), "plain");
    assert_string_equal(ex_rules_condition(rules, 0), "1  <  2");
    assert_string_equal(ex_rules_condition(rules, 1), "");
    assert_string_equal(ex_rules_condition(rules, 2), "");
    ex_rules_close(rules);
    here.policy.strategies = false; /* no rules at all */
    ex_decision decision = decide(&here, NULL);
    assert_int_equal(decision.rule, 0);
    assert_string_equal(decision.strategy, "plain");
    assert_string_equal(decision.margin_metric, "");
    ex_rules_close(NULL);
}

/* ---- the document's matrix --------------------------------------------------------------------------------------- */

static double clip(double value, double lowest, double highest) { return fmin(fmax(value, lowest), highest); }

static void likeliest(ex_decision *decision) {
    decision->temperature = 0;
    decision->top_p = decision->top_k = 1;
    decision->min_p = 0;
}

static void matrix_parameters(const ex_policy *p, const ex_metrics *m, double v, ex_decision *d) {
    double u = m->logits_entropy + v, a = m->attn_entropy + m->attn_varentropy;
    *d = (ex_decision){.rule = d->rule, .temperature = p->temperature, .top_p = p->top_p, .min_p = p->min_p,
                       .top_k = p->top_k, .candidates = d->rule == 5 ? p->candidates : 1};
    if (d->rule == 0) likeliest(d);
    if (d->rule == 1 || d->rule == 2)
        d->temperature = fmin(p->helv_max_temp, p->temperature * (p->helv_offset + p->helv_coef * m->attn_entropy));
    if (d->rule == 3) {
        d->temperature =
            fmin(p->lehv_max_temp, p->temperature * (p->lehv_offset + p->lehv_coef * m->interaction_strength));
        double width = floor(p->top_k * (1 + p->lehv_top_k_coef * (1 - m->agreement)));
        if (p->top_k > 0) d->top_k = (int32_t)clip(width, p->lehv_min_top_k, INT32_MAX);
    }
    if (d->rule == 4) {
        d->temperature = fmax(p->hehv_min_temp, p->temperature * (p->hehv_offset + p->hehv_coef * m->attn_varentropy));
        d->top_p = clip(p->top_p - p->hehv_top_p_coef * m->attn_entropy, p->hehv_min_top_p, 1);
    }
    if (d->rule == 5) {
        d->temperature = p->temperature * (1 + p->ada_temp_logits * u + p->ada_temp_attn * a -
                                           p->ada_temp_agree * m->agreement);
        d->top_p = clip(p->top_p * (1 + p->ada_top_p * m->attn_varentropy), p->ada_min_top_p, p->ada_max_top_p);
        double width = p->top_k * (1 + p->ada_top_k_int * m->interaction_strength - p->ada_top_k_agree * m->agreement);
        if (p->top_k > 0) d->top_k = (int32_t)clip(rint(width), p->ada_min_top_k, p->ada_max_top_k);
        d->min_p = clip(p->min_p * (1 - p->ada_min_p * u), p->ada_min_min_p, p->ada_max_min_p);
    }
    if (p->temperature == 0 || d->temperature <= 0) likeliest(d);
}

typedef struct matrix_row { /* how far each of the two conditions is from its threshold, and whether it holds */
    double room[2];
    bool holds[2];
} matrix_row;

static void matrix_margin(const matrix_row rows[5], const char *varentropy, ex_decision *d) {
    size_t worst = 0;
    if (d->rule < 5) {
        const matrix_row *row = &rows[d->rule];
        worst = row->room[1] < row->room[0];
        d->margin = row->room[worst];
    } else {
        d->margin = INFINITY;
        for (size_t i = 0; i < 5; i++) { /* the rule that lacks least, by what it lacks most */
            double lacking = -1;
            size_t lacks = 0;
            for (size_t j = 0; j < 2; j++) {
                if (rows[i].holds[j] || -rows[i].room[j] <= lacking) continue;
                lacking = -rows[i].room[j];
                lacks = j;
            }
            if (lacking >= d->margin) continue;
            d->margin = lacking;
            worst = lacks;
        }
    }
    d->margin_metric = worst ? varentropy : "logits_entropy";
}

static ex_decision matrix(const ex_policy *p, const ex_metrics *m, bool may_insert) {
    bool sequence = p->varentropy == EX_VARENTROPY_SEQUENCE;
    double e = m->logits_entropy, v = sequence ? m->sequence_varentropy : m->logits_varentropy;
    matrix_row clarify = {{e - p->clarify_entropy, p->low_varentropy - v},
                          {e > p->clarify_entropy, v < p->low_varentropy}};
    matrix_row rows[5] = {
        {{p->low_entropy - e, p->low_varentropy - v}, {e < p->low_entropy, v < p->low_varentropy}},
        clarify,
        clarify,
        {{p->explore_entropy - e, v - p->high_varentropy}, {e < p->explore_entropy, v > p->high_varentropy}},
        {{e - p->high_entropy, v - p->high_varentropy}, {e >= p->high_entropy, v > p->high_varentropy}},
    };
    ex_decision decision = {.rule = 0};
    while (decision.rule < 5 && !(rows[decision.rule].holds[0] && rows[decision.rule].holds[1] &&
                                  (decision.rule != 1 || may_insert)))
        decision.rule++;
    matrix_parameters(p, m, v, &decision);
    matrix_margin(rows, sequence ? "sequence_varentropy" : "logits_varentropy", &decision);
    return decision;
}

static void random_policy(uint64_t *random, ex_policy *p) {
    p->low_entropy = random_between(random, 0, 1);
    p->low_varentropy = random_between(random, 0, 1);
    p->clarify_entropy = random_between(random, 1, 4);
    p->explore_entropy = random_between(random, 1, 6);
    p->high_entropy = random_between(random, 1, 6);
    p->high_varentropy = random_between(random, 1, 6);
    p->temperature = random_between(random, -0.3, 2);
    if (p->temperature < 0) p->temperature = 0;
    p->top_k = (int32_t)random_between(random, 0, 60) * (random_between(random, 0, 1) < 0.9);
    p->top_p = random_between(random, 0, 1);
    p->min_p = random_between(random, 0, 0.2);
    double *coefficients[] = {&p->helv_offset, &p->helv_coef, &p->lehv_offset, &p->lehv_coef, &p->lehv_top_k_coef,
                              &p->hehv_offset, &p->hehv_coef, &p->hehv_top_p_coef, &p->ada_temp_logits,
                              &p->ada_temp_attn, &p->ada_temp_agree, &p->ada_top_p, &p->ada_top_k_int,
                              &p->ada_top_k_agree, &p->ada_min_p};
    for (size_t i = 0; i < sizeof coefficients / sizeof *coefficients; i++)
        *coefficients[i] = random_between(random, -0.5, 2);
    p->varentropy = random_between(random, 0, 1) < 0.5 ? EX_VARENTROPY_TOKEN : EX_VARENTROPY_SEQUENCE;
}

/* Now and then exactly on a threshold. */
static double random_metric(uint64_t *random, double highest, double threshold) {
    double choice = random_between(random, 0, 1);
    return choice < 0.1 ? threshold : choice < 0.4 ? random_between(random, 0, 1) : random_between(random, 0, highest);
}

static void random_metrics(uint64_t *random, const ex_policy *p, ex_metrics *m) {
    const double entropies[] = {p->low_entropy, p->clarify_entropy, p->explore_entropy, p->high_entropy};
    const double varentropies[] = {p->low_varentropy, p->high_varentropy};
    m->logits_entropy = random_metric(random, 8, entropies[(size_t)random_between(random, 0, 4)]);
    m->logits_varentropy = random_metric(random, 8, varentropies[(size_t)random_between(random, 0, 2)]);
    m->sequence_varentropy = random_metric(random, 8, varentropies[(size_t)random_between(random, 0, 2)]);
    m->attn_entropy = random_between(random, 0, 6);
    m->attn_varentropy = random_between(random, 0, 3);
    m->agreement = random_between(random, 0, 0.5);
    m->interaction_strength = random_between(random, 0, 5);
}

static void expect_same(const ex_decision *d, const ex_decision *expected, const char *strategy, int round) {
    static const char *const names[] = {"greedy", "clarify", "clarify_resample", "explore", "high_uncertainty",
                                        "adaptive"};
    bool same = d->rule == expected->rule && d->temperature == expected->temperature && d->top_p == expected->top_p &&
                d->top_k == expected->top_k && d->min_p == expected->min_p && d->margin == expected->margin &&
                d->candidates == expected->candidates && strcmp(d->margin_metric, expected->margin_metric) == 0;
    if (!same || strcmp(strategy, names[expected->rule]) != 0)
        fail_msg("round %d, %s: T %.17g %.17g, top_p %.17g %.17g, top_k %d %d, min_p %.17g %.17g, "
                 "margin %s %.17g %s %.17g",
                 round, names[expected->rule], d->temperature, expected->temperature, d->top_p, expected->top_p,
                 d->top_k, expected->top_k, d->min_p, expected->min_p, d->margin_metric, d->margin,
                 expected->margin_metric, expected->margin);
}

static void test_the_matrix_as_text(void **state) {
    (void)state;
    static const char *const presets[] = {"entropixplained", "entropix", "entropix-2024-10"};
    static const ex_action actions[2][6] = {
        {EX_ACTION_GREEDY, EX_ACTION_INSERT, EX_ACTION_SAMPLE, EX_ACTION_SAMPLE, EX_ACTION_SAMPLE, EX_ACTION_SAMPLE},
        {EX_ACTION_GREEDY, EX_ACTION_INSERT, EX_ACTION_SAMPLE, EX_ACTION_BRANCH, EX_ACTION_RESAMPLE,
         EX_ACTION_SAMPLE}};
    int fired[6] = {0};
    uint64_t random = 2024;
    for (size_t which = 0; which < 3; which++) {
        world here = plain_world();
        ex_error error;
        assert_ok(ex_policy_preset(&here.policy, presets[which], &error), &error);
        ex_rules *rules = open_rules(&here);
        for (int round = 0; round < 20000; round++) {
            if (round >= 5000) random_policy(&random, &here.policy);
            random_metrics(&random, &here.policy, &here.metrics);
            here.may_insert = round % 2;
            ex_decision expected = matrix(&here.policy, &here.metrics, here.may_insert);
            ex_decision decision = decide_by(&here, rules);
            expect_same(&decision, &expected, decision.strategy, round);
            assert_int_equal(decision.action, actions[which == 1][expected.rule]);
            fired[expected.rule]++;
        }
        ex_rules_close(rules);
    }
    for (size_t i = 0; i < 6; i++) assert_true(fired[i] > 500);
}

/* ---- complaints -------------------------------------------------------------------------------------------------- */

static void test_complaints(void **state) {
    (void)state;
    static const struct {
        const char *text, *message;
    } bad[] = {
        {"when = 1 < 2\n", "rules:1:1: expected a section `[rule]`"},
        {"[]\n", "rules:1:2: expected the name of a rule"},
        {"[a b]\n", "rules:1:4: expected ] after the name"},
        {"[a\n", "rules:1:3: expected ] after the name"},
        {"[a] x\n", "rules:1:4: unexpected text after ]"},
        {"[plain]\n", "rules:1:2: \"plain\" is the strategy of steps where no rule holds"},
        {"[a123456789012345678901234567890b]\n", "rules:1:2: the name of a rule has at most 31 letters"},
        {"[a]\nwhen = 1 < 2\n[a]\n", "rules:3:2: there is a rule \"a\" already"},
        {"[a]\n[b]\n", "rules:2:2: this rule can never be reached: rule a above it has no condition"},
        {"[a]\nwhen 1 < 2\n", "rules:2:1: rule a: expected `key = value` or `[rule]`"},
        {"[a]\nwehn = 1 < 2\n", "rules:2:1: rule a: a rule has no key \"wehn\"; did you mean \"when\"?"},
        {"[a]\nfoo = 1 < 2\n", "rules:2:1: rule a: a rule has no key \"foo\"; there are when, action, temperature"},
        {"[a]\nlow_entropy = 1\n", "rules:2:1: rule a: low_entropy is a key of the policy: it must come before all"},
        {"[a]\ntop_p = 1\n\ntop_p = 1\n", "rules:4:1: rule a: top_p was set before, in line 2"},
        {"[a]\naction = smaple\n", "rules:2:10: rule a: expected an action: sample, greedy, insert, branch, resample, "
                                   "rewind, trap or stop; did you mean \"sample\"?"},
        {"[a]\naction =\n", "rules:2:9: rule a: expected an action"},
        {"[a]\naction = stop now\n", "rules:2:10: rule a: expected an action"},
        {"[a]\nwhen =\n", "rules:2:7: rule a: expected a number, a name or (, the line ends here"},
        {"[a]\nwhen = logits_entropy\n",
         "rules:2:8: rule a: expected a condition such as `logits_entropy < 2`, but this is a number"},
        {"[a]\ntop_p = 1 < 2\n", "rules:2:9: rule a: expected a number, but this is a condition"},
        {"[a]\nwhen = 1 < 2 and 3\n", "rules:2:18: rule a: expected a condition such as"},
        {"[a]\nwhen = 1 or 1 < 2\n", "rules:2:8: rule a: expected a condition such as"},
        {"[a]\nwhen = not 1\n", "rules:2:12: rule a: expected a condition such as"},
        {"[a]\nwhen = 1 < 2 until 2\n", "rules:2:20: rule a: expected a condition such as"},
        {"[a]\nwhen = 1 + (1 < 2) < 2\n", "rules:2:12: rule a: expected a number, but this is a condition"},
        {"[a]\nwhen = -(1 < 2) < 2\n", "rules:2:9: rule a: expected a number, but this is a condition"},
        {"[a]\nwhen = (1 < 2) < 2\n", "rules:2:8: rule a: expected a number, but this is a condition"},
        {"[a]\nwhen = may_insert < 2\n", "rules:2:8: rule a: expected a number, but this is a condition"},
        {"[a]\nwhen = abs(1 < 2) < 2\n", "rules:2:12: rule a: expected a number, but this is a condition"},
        {"[a]\nwhen = 1 < 2 < 3\n", "rules:2:14: rule a: a comparison has two sides: write `a < b and b < c`"},
        {"[a]\nwhen = 1 < 2 until 1 < 2 until 1 < 2\n", "rules:2:26: rule a: \"until\" after \"until\""},
        {"[a]\nwhen = logits_entropy = 2\n", "rules:2:23: rule a: there is no = here: compare with <= and >="},
        {"[a]\nwhen = logits_entropy == 2\n", "rules:2:23: rule a: there is no == here: compare with <= and >="},
        {"[a]\nwhen = 1 < 2 && 1 < 2\n", "rules:2:14: rule a: there is no && here: write \"and\""},
        {"[a]\nwhen = 1 < 2 || 1 < 2\n", "rules:2:14: rule a: there is no || here: write \"or\""},
        {"[a]\nwhen = !may_insert\n", "rules:2:8: rule a: there is no ! here: write \"not\""},
        {"[a]\nwhen = 1 ? 2\n", "rules:2:10: rule a: '?' is no part of a condition or formula"},
        {"[a]\nwhen = 1 < \xC2\xBD\n", "rules:2:12: rule a: byte 0xc2 is no part of a condition or formula"},
        {"[a]\nwhen = logits_entrpy < 2\n",
         "rules:2:8: rule a: there is no metric, policy key or function \"logits_entrpy\"; did you mean "
         "\"logits_entropy\"?"},
        {"[a]\ntop_k = maxx(1, 2)\n", "rules:2:9: rule a: there is no metric, policy key or function \"maxx\"; did "
                                      "you mean \"max\"?"},
        {"[a]\nwhen = frobnicate < 2\n",
         "rules:2:8: rule a: there is no metric, policy key or function \"frobnicate\""},
        {"[a]\nwhen = scope < 2\n", "rules:2:8: rule a: the policy key scope is not a number"},
        {"[a]\nwhen = rules < 2\n", "rules:2:8: rule a: the policy key rules is not a number"},
        {"[a]\nwhen = 1 < and\n", "rules:2:12: rule a: expected a number, a name or (, found \"and\""},
        {"[a]\nwhen = 1 + not 2\n", "rules:2:12: rule a: expected a number, a name or (, found \"not\""},
        {"[a]\nwhen = (1 < 2\n", "rules:2:14: rule a: expected an operator or ), the line ends here"},
        {"[a]\nwhen = 1 < 2)\n", "rules:2:13: rule a: expected an operator or the end of the line, found \")\""},
        {"[a]\nwhen = 1 < 2 3\n", "rules:2:14: rule a: expected an operator or the end of the line, found \"3\""},
        {"[a]\nwhen = min(1) < 2\n", "rules:2:13: rule a: expected a comma and one more argument, found \")\""},
        {"[a]\nwhen = clip(1, 2) < 2\n", "rules:2:17: rule a: expected a comma and one more argument, found \")\""},
        {"[a]\nwhen = clip(1, 2, 3, 4) < 2\n", "rules:2:20: rule a: expected ), found \",\""},
        {"[a]\nwhen = sqrt(1, 2) < 2\n", "rules:2:14: rule a: expected ), found \",\""},
        {"[a]\nwhen = sqrt < 2\n", "rules:2:13: rule a: expected (, found \"<\""},
        {"[a]\nwhen = max() < 2\n", "rules:2:12: rule a: expected a number, a name or (, found \")\""},
        {"[a]\nwhen = attn_entropy[300] < 2\n", "rules:2:21: rule a: expected a layer from -256 to 255 (-1 is the"},
        {"[a]\nwhen = attn_entropy[-257] < 2\n", "rules:2:22: rule a: expected a layer from -256 to 255"},
        {"[a]\nwhen = attn_entropy[1.5] < 2\n", "rules:2:21: rule a: expected a layer from -256 to 255"},
        {"[a]\nwhen = attn_entropy[1 < 2\n", "rules:2:23: rule a: expected ], found \"<\""},
        {"[a]\nwhen = logits_entropy[1] < 2\n", "rules:2:8: rule a: \"logits_entropy\" is not measured for single"},
        {"[a]\nwhen = mean(logits_entropy) < 2\n", "rules:2:27: rule a: expected a comma and a number of positions"},
        {"[a]\nwhen = mean(logits_entropy, 0) < 2\n", "rules:2:29: rule a: expected a number of positions from 1 to"},
        {"[a]\nwhen = mean(logits_entropy, 1025) < 2\n", "rules:2:29: rule a: expected a number of positions from 1"},
        {"[a]\nwhen = mean(logits_entropy, -3) < 2\n", "rules:2:29: rule a: expected a number of positions from 1"},
        {"[a]\nwhen = mean(logits_entropy, 2.5) < 2\n", "rules:2:29: rule a: expected a number of positions from 1"},
        {"[a]\nwhen = mean(1, 2) < 2\n", "rules:2:13: rule a: expected the name of a metric, found \"1\""},
        {"[a]\nwhen = mean(top_k, 2) < 2\n", "rules:2:13: rule a: there is no metric \"top_k\""},
        {"[a]\nwhen = 1e999 < 2\n", "rules:2:8: rule a: 1e999 is too large for a number"},
        {"[a]\nwhen = 1 < 2.5.5\n", "rules:2:15: rule a: expected an operator or the end of the line, found \".5\""},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        world here = plain_world();
        ex_policy before = here.policy;
        ex_error error = {0};
        assert_int_equal(ex_policy_set(&here.policy, "rules", bad[i].text, &error), EX_ERROR_FORMAT);
        if (strncmp(error.message, bad[i].message, strlen(bad[i].message)) != 0)
            fail_msg("\"%s\" gives \"%s\", expected \"%s\"", bad[i].text, error.message, bad[i].message);
        assert_memory_equal(&before, &here.policy, sizeof before);
        assert_int_equal(ex_policy_set(&here.policy, "rules", bad[i].text, NULL), EX_ERROR_FORMAT); /* nobody listens */
    }
}

/* ---- limits ------------------------------------------------------------------------------------------------------ */

static const char *complaint(const char *text) {
    static ex_error error;
    world here = plain_world();
    error = (ex_error){0};
    ex_policy_set(&here.policy, "rules", text, &error);
    return error.message;
}

static char *repeated(const char *begin, const char *part, int count, const char *middle, const char *close,
                      const char *end) {
    static char text[20000];
    size_t length = (size_t)snprintf(text, sizeof text, "%s", begin);
    for (int i = 0; i < count; i++) length += (size_t)snprintf(text + length, sizeof text - length, "%s", part);
    length += (size_t)snprintf(text + length, sizeof text - length, "%s", middle);
    for (int i = 0; i < count; i++) length += (size_t)snprintf(text + length, sizeof text - length, "%s", close);
    snprintf(text + length, sizeof text - length, "%s", end);
    return text;
}

static void test_limits(void **state) {
    (void)state;
    assert_string_equal(complaint(repeated("[a]\nwhen = ", "(", 40, "1", ")", " < 2\n")), "");
    assert_non_null(strstr(complaint(repeated("[a]\nwhen = ", "(", 60, "1", ")", " < 2\n")), "nested too deeply"));
    assert_non_null(strstr(complaint(repeated("[a]\nwhen = ", "(", 7000, "1", "", " < 2\n")), "nested too deeply"));
    assert_non_null(strstr(complaint(repeated("[a]\nwhen = ", "not ", 1500, "1 < 2", "", "\n")), "nested too deeply"));
    assert_non_null(strstr(complaint(repeated("[a]\nwhen = ", "-", 6000, "1 < 2", "", "\n")), "nested too deeply"));
    assert_non_null(strstr(complaint(repeated("[a]\nwhen = ", "abs(", 1500, "1", "", "\n")), "nested too deeply"));
    assert_string_equal(complaint(repeated("[a]\nwhen = ", "1+(", 31, "1", ")", " < 2\n")), "");
    assert_non_null(strstr(complaint(repeated("[a]\nwhen = ", "1+(", 32, "1", ")", " < 2\n")), "too many values wait"));
    assert_non_null(
        strstr(complaint(repeated("[a]\nwhen = ", "1<2 and (", 40, "1<2", ")", "\n")), "too many values wait"));
    assert_string_equal(complaint(repeated("[a]\nwhen = 0", "+1", 1000, " < 2", "", "\n")), "");
    assert_non_null(
        strstr(complaint(repeated("[a]\nwhen = 0", "+1", 1100, " < 2", "", "\n")), "the rules are too long"));
    assert_non_null(strstr(complaint(repeated("[a]\n#", "123456789", 1000, "", "", "\n")), "more than 8191 bytes"));
    assert_string_equal(complaint(repeated("[a]\n", "\n", 15000, "", "", "\n")), ""); /* says nothing, takes no room */
    char text[4000] = "";
    size_t length = 0;
    for (int i = 0; i < 33; i++) {
        assert_string_equal(complaint(text), "");
        length += (size_t)snprintf(text + length, sizeof text - length, "[r%d]\nwhen = 1 < 2\n", i);
    }
    assert_non_null(strstr(complaint(text), "rules:65:2: there are more than 32 rules"));
    length = (size_t)snprintf(text, sizeof text, "[a]\nwhen = may_insert");
    for (int i = 0; i < 64; i++)
        length += (size_t)snprintf(text + length, sizeof text - length, " or (may_insert until may_insert)");
    assert_string_equal(complaint(text), "");
    world here = plain_world();
    here.held = ~UINT64_C(0);
    here.may_insert = true;
    decide(&here, text);
    assert_true(here.held == 0);
    snprintf(text + length, sizeof text - length, " or (may_insert until may_insert)");
    assert_non_null(strstr(complaint(text), "more than 64 \"until\""));
}

static void test_deciding_allocates_nothing(void **state) {
    (void)state;
    world here = plain_world();
    ex_record records[8] = {{.measured = true}};
    here.history = (ex_history){.records = records, .capacity = 8, .count = 1};
    here.history.peak = 1;
    set_rules(&here, "[a]\nwhen = mean(logits_entropy, 9) > 5 until may_insert\n"
                     "[b]\ntop_p = max(1, 2, attn_entropy[0])");
    ex_rules *rules = open_rules(&here);
    long before = allocations_counted();
    decide_by(&here, rules);
    assert_int_equal(allocations_counted(), before);
    ex_rules_close(rules);
    rules = open_rules(&here);
    assert_true(allocations_counted() > before); /* the counter counts */
    ex_rules_close(rules);
}

/* ---- noise ------------------------------------------------------------------------------------------------------- */

static size_t random_index(uint64_t *random, size_t count) {
    return (size_t)random_between(random, 0, (double)count);
}

static const char *const pieces[] = {
    "1", "0", "2.5", "1e3", "logits_entropy", "varentropy", "attn_entropy", "[-1]", "[2]", "(", ")", "(", ")",
    "+", "-", "*", "/", "<", "<=", ">", ">=", "and", "or", "not", "until", "may_insert", "min(", "max(",
    "clip(", "floor(", "sqrt(", ",", "log2(", "mean(logits_entropy, 4)", "lowest(fork,", "variance(", "top_k",
    "temperature", "scope", "\n[a]\n", "\nwhen =", "\ntop_p =", "\ntop_k =", "\naction = stop", "# ", "=",
    "!", "\xC3\xA9", "\x80", "\t",
};

/* Mostly pieces of the language, sometimes a letter of anything. */
static void random_text(uint64_t *random, char *text, size_t size) {
    size_t length = (size_t)snprintf(text, size, "[r]\n%s = ", random_index(random, 2) ? "when" : "min_p");
    size_t n_pieces = 1 + random_index(random, 30);
    for (size_t i = 0; i < n_pieces && length + 40 < size; i++) {
        if (random_index(random, 20) == 0)
            text[length++] = (char)(1 + random_index(random, 255));
        else
            length += (size_t)snprintf(text + length, size - length, "%s ",
                                       pieces[random_index(random, sizeof pieces / sizeof *pieces)]);
    }
    text[length] = 0;
}

/* An expression that is right by construction. */
static void random_expression(uint64_t *random, bool truth, int depth, char *text, size_t size) {
    static const char *const numbers[] = {"%s + %s", "%s - %s", "%s * %s", "%s / %s", "min(%s, %s)", "max(%s, %s)",
                                          "-(%s) + %s", "log2(%s) - sqrt(%s)", "exp2(%s) * (%s)"};
    static const char *const truths[] = {"%s and %s", "%s or %s", "not (%s) and %s", "(%s until (%s))"};
    static const char *const comparisons[] = {"%s < %s", "%s <= %s", "%s > %s", "%s >= %s"};
    static const char *const leaves[] = {"logits_entropy", "varentropy", "0", "1.5", "attn_entropy[-1]", "top_k",
                                         "highest(attn_entropy, 3)"};
    char a[1500], b[1500], form[40];
    bool leaf = depth == 0 || random_index(random, 4) == 0;
    if (!truth && leaf) {
        snprintf(text, size, "%s", leaves[random_index(random, 7)]);
        return;
    }
    bool of_truths = truth && !leaf;
    random_expression(random, of_truths, depth - 1 > 0 ? depth - 1 : 0, a, sizeof a);
    random_expression(random, of_truths, depth - 1 > 0 ? depth - 1 : 0, b, sizeof b);
    snprintf(form, sizeof form, "(%s)",
             !truth ? numbers[random_index(random, 9)]
                    : leaf ? comparisons[random_index(random, 4)] : truths[random_index(random, 4)]);
    char *place = strstr(form, "%s");
    char *second = strstr(place + 1, "%s");
    snprintf(text, size, "%.*s%s%.*s%s%s", (int)(place - form), form, a, (int)(second - place - 2), place + 2, b,
             second + 2);
}

static void expect_good_decisions(world *here, const char *text, uint64_t *random) {
    ex_rules *rules = open_rules(here);
    for (int i = 0; i < 4; i++) {
        random_metrics(random, &here->policy, &here->metrics);
        here->may_insert = i % 2;
        ex_decision d = decide_by(here, rules);
        if (!(d.temperature >= 0 && isfinite(d.temperature) && d.top_p >= 0 && d.top_p <= 1 && d.min_p >= 0 &&
              d.min_p <= 1 && d.top_k >= 0 && d.candidates >= 1 && d.candidates <= EX_DRAWS_MAX && d.margin >= 0 &&
              isfinite(d.margin) && d.margin_metric && d.rule >= 0 && (size_t)d.rule <= ex_rules_count(rules)))
            fail_msg("%s: out of range", text);
    }
    ex_rules_close(rules);
}

static void test_noise(void **state) {
    (void)state;
    const char *wanted = getenv("EX_TEST_SEED");
    uint64_t seed = wanted ? strtoull(wanted, NULL, 10) : (uint64_t)time(NULL), random = seed;
    int n_good = 0;
    print_message("EX_TEST_SEED=%llu\n", (unsigned long long)seed);
    for (int round = 0; round < 20000; round++) {
        char text[4000];
        world here = plain_world();
        ex_error error = {0};
        random_text(&random, text, sizeof text);
        if (ex_policy_set(&here.policy, "rules", text, &error) == EX_OK) {
            n_good++;
            expect_good_decisions(&here, text, &random);
        } else if (strlen(error.message) < 10) {
            fail_msg("%s: no message", text);
        }
    }
    for (int round = 0; round < 3000; round++) {
        char expression[3500], text[4000];
        world here = plain_world();
        bool truth = round % 2;
        random_expression(&random, truth, 4, expression, sizeof expression);
        snprintf(text, sizeof text, "[r]\n%s = %s\n", truth ? "when" : "temperature", expression);
        set_rules(&here, text);
        expect_good_decisions(&here, text, &random);
    }
    assert_true(n_good > 50);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers_and_operators),
        cmocka_unit_test(test_every_metric_has_its_name),
        cmocka_unit_test(test_conditions),
        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_hysteresis),
        cmocka_unit_test(test_margins_of_conditions),
        cmocka_unit_test(test_margins_where_no_condition_decides),
        cmocka_unit_test(test_parameters),
        cmocka_unit_test(test_actions_and_names),
        cmocka_unit_test(test_the_matrix_as_text),
        cmocka_unit_test(test_complaints),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_deciding_allocates_nothing),
        cmocka_unit_test(test_noise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
