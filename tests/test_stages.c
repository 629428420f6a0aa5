/* test_stages.c - every stage of a chain against its definition in the literature, written out here in double precision
 * over sorted lists; stages in random orders; the fast path against the stages; dry on texts built for it. */
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "allocations.h"
#include "chain_support.h"

enum { CONTEXT_MAX = 400 };

/* ---- the definitions -------------------------------------------------------------------------------------------- */

typedef struct naive_token {
    double logit; /* after the temperatures so far */
    double p;
    int32_t id;
} naive_token;

typedef struct naive_row { /* likeliest first */
    naive_token tokens[VOCABULARY_MAX];
    size_t n;
    double entropy; /* nats, before the tokens are sorted by typicality */
    const ex_policy *policy;
    const ex_decision *decision;
    double uniform; /* of xtc */
    ex_carried carried;
    const int32_t *context; /* oldest first */
    size_t n_context;
} naive_row;

static int by_logit(const void *a, const void *b) {
    const naive_token *x = a, *y = b;
    if (x->logit != y->logit) return x->logit > y->logit ? -1 : 1;
    return x->id < y->id ? -1 : 1;
}

static void normalise(naive_row *row) {
    qsort(row->tokens, row->n, sizeof *row->tokens, by_logit);
    double sum = 0;
    for (size_t i = 0; i < row->n; i++) sum += exp(row->tokens[i].logit);
    for (size_t i = 0; i < row->n; i++) row->tokens[i].p = exp(row->tokens[i].logit) / sum;
}

static double entropy_of(const naive_token *tokens, size_t n) { /* nats, renormalised */
    double sum = 0, entropy = 0;
    for (size_t i = 0; i < n; i++) sum += tokens[i].p;
    for (size_t i = 0; i < n; i++)
        if (tokens[i].p > 0) entropy -= tokens[i].p / sum * log(tokens[i].p / sum);
    return entropy;
}

static void keep(naive_row *row, size_t n) {
    row->n = n > 0 ? n : 1;
    normalise(row);
}

static void define_temperature(naive_row *row) {
    double t = row->decision->temperature, range = row->policy->dynatemp_range;
    if (range > 0 && row->n == 1) return;
    if (range > 0) {
        double low = fmax(0, t - range), high = t + range;
        double share = entropy_of(row->tokens, row->n) / log((double)row->n);
        t = low + (high - low) * pow(share, row->policy->dynatemp_exponent);
    }
    for (size_t i = 0; i < row->n; i++) row->tokens[i].logit /= t;
    normalise(row);
}

static void define_min_p(naive_row *row) {
    size_t n = 0;
    while (n < row->n && row->tokens[n].p >= row->decision->min_p * row->tokens[0].p) n++;
    keep(row, n);
}

static void define_top_k(naive_row *row) {
    if (row->decision->top_k > 0 && row->n > (size_t)row->decision->top_k) keep(row, (size_t)row->decision->top_k);
}

static void define_top_p(naive_row *row) {
    double before = 0;
    size_t n = 0;
    while (n < row->n && before <= row->decision->top_p) before += row->tokens[n++].p;
    keep(row, n);
}

static const naive_row *sorted_by;
static int by_typicality(const void *a, const void *b) {
    const naive_token *x = a, *y = b;
    double entropy = sorted_by->entropy;
    double dx = fabs(-log(x->p) - entropy), dy = fabs(-log(y->p) - entropy);
    if (x->logit != y->logit && fabs(dx - dy) > 1e-12) return dx < dy ? -1 : 1;
    return by_logit(a, b);
}

/* Meister et al.: the smallest set of mass tau with the least |H + log p|. */
static void define_typical(naive_row *row) {
    row->entropy = entropy_of(row->tokens, row->n);
    sorted_by = row;
    qsort(row->tokens, row->n, sizeof *row->tokens, by_typicality);
    double mass = 0;
    size_t n = 0;
    while (n < row->n && mass < row->policy->typical_p) mass += row->tokens[n++].p;
    keep(row, n);
}

/* Tang et al.: logits of at least the largest minus n standard deviations. */
static void define_top_n_sigma(naive_row *row) {
    double mean = 0, variance = 0;
    for (size_t i = 0; i < row->n; i++) mean += row->tokens[i].logit / (double)row->n;
    for (size_t i = 0; i < row->n; i++) variance += pow(row->tokens[i].logit - mean, 2) / (double)row->n;
    size_t n = 0;
    while (n < row->n && row->tokens[n].logit >= row->tokens[0].logit - row->policy->top_n_sigma * sqrt(variance)) n++;
    keep(row, n);
}

/* Baghaei Potraghloo et al.: from the likeliest on, while the entropy of what was taken is at most alpha H. */
static void define_top_h(naive_row *row) {
    double most = row->policy->top_h * entropy_of(row->tokens, row->n);
    size_t n = 1;
    while (n < row->n && entropy_of(row->tokens, n + 1) <= most) n++;
    keep(row, n);
}

/* Hewitt et al. */
static void keep_from(naive_row *row, double cutoff) {
    size_t n = 0;
    while (n < row->n && row->tokens[n].p >= cutoff) n++;
    if (n == 0) /* the likeliest, and its equals */
        while (n < row->n && row->tokens[n].logit == row->tokens[0].logit) n++;
    keep(row, n);
}

static void define_epsilon(naive_row *row) { keep_from(row, row->policy->epsilon_cutoff); }

static void define_eta(naive_row *row) {
    double epsilon = row->policy->eta_cutoff;
    keep_from(row, fmin(epsilon, sqrt(epsilon) * exp(-entropy_of(row->tokens, row->n))));
}

static void define_xtc(naive_row *row) {
    size_t above = 0;
    while (above < row->n && row->tokens[above].p >= row->policy->xtc_threshold) above++;
    if (row->uniform >= row->policy->xtc_probability || above < 2) return;
    memmove(row->tokens, row->tokens + above - 1, (row->n - above + 1) * sizeof *row->tokens);
    keep(row, row->n - above + 1);
}

/* Basu et al., algorithms 1 and 2. */
static void define_mirostat(naive_row *row) {
    double mu = row->carried.mirostat_surprise != 0 ? row->carried.mirostat_surprise : 2 * row->policy->mirostat_tau;
    size_t n = 0;
    if (row->policy->mirostat == 2) {
        keep_from(row, exp2(-mu));
        return;
    }
    double products = 0, squares = 0;
    for (size_t i = 1; i < row->n && i < 100; i++) {
        double t = log((double)(i + 1) / (double)i), b = log(row->tokens[i - 1].p / row->tokens[i].p);
        products += t * b;
        squares += t * t;
    }
    double s = products / squares, epsilon = s - 1;
    n = row->n;
    if (row->n > 1 && products > 0) {
        double k = round(pow(epsilon * exp2(mu) / (1 - pow((double)row->n, -epsilon)), 1 / s));
        if (k < (double)row->n) n = (size_t)k;
    }
    keep(row, n);
}

static int by_p(const void *a, const void *b) {
    const naive_token *x = a, *y = b;
    if (x->p != y->p) return x->p > y->p ? -1 : 1;
    return x->id < y->id ? -1 : 1;
}

static void define_adaptive(naive_row *row) {
    double target = row->policy->adaptive_target, sum = 0;
    const ex_carried *carried = &row->carried;
    if (carried->adaptive_weight > 0) target = 2 * target - carried->adaptive_sum / carried->adaptive_weight;
    target = fmin(1, fmax(0, target));
    for (size_t i = 0; i < row->n; i++) {
        double d = fabs(row->tokens[i].p - target) / 0.3;
        row->tokens[i].p = exp(5 - 10 * d * d / (1 + d));
        sum += row->tokens[i].p;
    }
    for (size_t i = 0; i < row->n; i++) row->tokens[i].p /= sum;
    qsort(row->tokens, row->n, sizeof *row->tokens, by_p);
}

static void define_penalties(naive_row *row) {
    const ex_policy *policy = row->policy;
    size_t n = policy->repeat_last_n < 0 ? row->n_context : (size_t)policy->repeat_last_n;
    if (n > row->n_context) n = row->n_context;
    for (size_t i = 0; i < row->n; i++) {
        int count = 0;
        double *logit = &row->tokens[i].logit;
        for (size_t j = row->n_context - n; j < row->n_context; j++) count += row->context[j] == row->tokens[i].id;
        if (count == 0) continue;
        *logit = *logit > 0 ? *logit / policy->repeat_penalty : *logit * policy->repeat_penalty;
        *logit -= count * policy->frequency_penalty + policy->presence_penalty;
    }
    normalise(row);
}

static const struct definition {
    const char *name;
    void (*define)(naive_row *row);
} definitions[] = {
    {"temperature", define_temperature}, {"min_p", define_min_p},   {"top_k", define_top_k},
    {"top_p", define_top_p},             {"typ_p", define_typical}, {"top_n_sigma", define_top_n_sigma},
    {"top_h", define_top_h},             {"epsilon", define_epsilon}, {"eta", define_eta},
    {"xtc", define_xtc},                 {"penalties", define_penalties},
    {"mirostat", define_mirostat},       {"adaptive_p", define_adaptive},
};

enum { DEFINITIONS = sizeof definitions / sizeof *definitions, SHUFFLED = DEFINITIONS - 2 };

static void random_policy(uint64_t *random, ex_policy *policy, ex_decision *decision, size_t n) {
    *policy = preset("plain");
    *decision = (ex_decision){.temperature = random_between(random, 0.3, 2), .candidates = 1,
                              .top_p = random_between(random, 0.3, 1), .min_p = random_between(random, 0, 0.1)};
    decision->top_k = (int32_t)random_between(random, 0, (double)n);
    policy->typical_p = random_between(random, 0.2, 0.999);
    policy->top_n_sigma = random_between(random, 0.1, 3);
    policy->top_h = random_between(random, 0.1, 0.99);
    policy->epsilon_cutoff = pow(10, random_between(random, -5, -1));
    policy->eta_cutoff = pow(10, random_between(random, -5, -1));
    policy->xtc_probability = random_between(random, 0.2, 1);
    policy->xtc_threshold = random_between(random, 0, 0.3);
    policy->repeat_penalty = random_between(random, 0.8, 1.5);
    policy->frequency_penalty = random_between(random, -0.3, 0.5);
    policy->presence_penalty = random_between(random, -0.3, 0.5);
    policy->repeat_last_n = (int32_t)random_between(random, -1, 80);
    if (policy->repeat_last_n == 0) policy->repeat_last_n = 1;
    if (random_between(random, 0, 1) < 0.3) policy->dynatemp_range = random_between(random, 0.05, 0.29);
    policy->dynatemp_exponent = random_between(random, 0.5, 2);
    if (random_between(random, 0, 1) < 0.3) {
        policy->mirostat = random_between(random, 0, 1) < 0.5 ? 1 : 2;
        policy->mirostat_tau = random_between(random, 1, 6);
    } else if (random_between(random, 0, 1) < 0.4) {
        policy->adaptive_target = random_between(random, 0, 1);
    }
}

/* What is not in the chain must be off, or it would be put there. */
static void switch_off(ex_policy *policy, const char *name) {
    static const char *const off[][3] = {{"typ_p", "typical_p", "1"},           {"top_n_sigma", "top_n_sigma", "-1"},
                                         {"top_h", "top_h", "1"},               {"epsilon", "epsilon_cutoff", "0"},
                                         {"eta", "eta_cutoff", "0"},            {"xtc", "xtc_probability", "0"},
                                         {"penalties", "repeat_last_n", "0"}};
    for (size_t i = 0; i < sizeof off / sizeof *off; i++)
        if (strcmp(off[i][0], name) == 0) assert_int_equal(ex_policy_set(policy, off[i][1], off[i][2], NULL), EX_OK);
}

static void fill_row(naive_row *row, const float *logits, size_t n) {
    row->n = 0;
    for (size_t i = 0; i < n; i++)
        if (logits[i] > -INFINITY) row->tokens[row->n++] = (naive_token){(double)logits[i], 0, (int32_t)i};
    normalise(row);
}

static void check_row(const chain_bench *bench, const naive_row *row, const float *logits, const char *what) {
    if (bench->distribution.count != row->n) {
        /* Tokens whose probability underflows are dropped at the end. */
        if (bench->distribution.count > row->n || row->tokens[bench->distribution.count].p > 0)
            fail_msg("%s: %zu tokens, expected %zu", what, bench->distribution.count, row->n);
    }
    for (size_t i = 0; i < bench->distribution.count; i++) {
        const ex_candidate *candidate = &bench->distribution.candidates[i];
        if (candidate->token != row->tokens[i].id && fabs(row->tokens[i].p - candidate->probability) > 1e-9)
            fail_msg("%s: place %zu has token %d, expected %d", what, i, candidate->token, row->tokens[i].id);
        if (fabs(candidate->probability - row->tokens[i].p) > 2e-6)
            fail_msg("%s: place %zu has %.12g, expected %.12g", what, i, candidate->probability, row->tokens[i].p);
        double log_probability = (double)logits[candidate->token] - (double)bench->input.summary.maximum;
        assert_true(fabs(candidate->log_probability - (log_probability - bench->input.summary.log_sum)) < 1e-9);
        assert_true(fabs(candidate->score - candidate->log_probability - 0.25) < 1e-12);
    }
}

typedef struct step_scene { /* logits, context and state for one comparison */
    float logits[VOCABULARY_MAX];
    size_t n;
    int32_t context[CONTEXT_MAX];
    ex_history history;
    ex_chain_step step;
} step_scene;

static void open_scene(step_scene *scene, uint64_t *random, size_t n) {
    ex_error error;
    scene->n = n;
    random_logits(random, scene->logits, n);
    for (size_t i = 0; i < CONTEXT_MAX; i++) scene->context[i] = (int32_t)random_between(random, 0, (double)n);
    assert_ok(ex_history_open(&scene->history, 1, CONTEXT_MAX, &error), &error);
    ex_history_prompt(&scene->history, scene->context, CONTEXT_MAX / 2);
    for (size_t i = CONTEXT_MAX / 2; i < CONTEXT_MAX; i++)
        ex_history_accept(&scene->history, scene->context[i], false);
    scene->step = (ex_chain_step){.history = &scene->history, .key = {7, 1, (uint32_t)n, 3}};
    scene->step.carried.mirostat_surprise = random_between(random, 0, 1) < 0.5 ? 0 : random_between(random, 1, 9);
    if (random_between(random, 0, 1) < 0.5) {
        scene->step.carried.adaptive_weight = random_between(random, 1, 10);
        scene->step.carried.adaptive_sum = scene->step.carried.adaptive_weight * random_between(random, 0, 1);
    }
}

static bool has_stage(const ex_chain *chain, const char *name) {
    for (size_t i = 0; i < ex_chain_count(chain); i++)
        if (strcmp(ex_chain_name(chain, i), name) == 0) return true;
    return false;
}

static void compare(uint64_t *random, const struct definition *const *chosen, size_t n_chosen, ex_policy *policy,
                    const ex_decision *decision, size_t n) {
    static naive_row row;
    static step_scene scene;
    chain_bench bench;
    policy->samplers[0] = 0;
    for (size_t i = 0; i < n_chosen; i++) {
        if (i > 0) strcat(policy->samplers, ";");
        strcat(policy->samplers, chosen[i]->name);
    }
    open_scene(&scene, random, n);
    open_bench(&bench, policy, n);
    run_bench(&bench, scene.logits, decision, &scene.step);
    row.policy = policy;
    row.decision = decision;
    row.uniform = ex_uniform(7, 1, (uint32_t)n, 3, 128);
    row.carried = scene.step.carried;
    row.context = scene.context;
    row.n_context = CONTEXT_MAX;
    fill_row(&row, scene.logits, n);
    for (size_t i = 0; i < n_chosen; i++)
        if (has_stage(bench.chain, chosen[i]->name)) chosen[i]->define(&row);
    check_row(&bench, &row, scene.logits, policy->samplers);
    ex_chain_close(bench.chain);
    ex_history_close(&scene.history);
}

static const size_t sizes[] = {1, 2, 3, 17, 100, 256, 257, 1500, VOCABULARY_MAX};

static void test_each_stage(void **state) {
    (void)state;
    uint64_t random = 11;
    print_message("seed %llu\n", (unsigned long long)random);
    for (int round = 0; round < 600; round++) {
        size_t n = sizes[round % 8]; /* quadratic definitions */
        for (size_t i = 0; i < DEFINITIONS; i++) {
            ex_policy policy;
            ex_decision decision;
            random_policy(&random, &policy, &decision, n);
            const struct definition *chosen[] = {&definitions[i]};
            for (size_t j = 0; j < DEFINITIONS; j++)
                if (j != i) switch_off(&policy, definitions[j].name);
            if (strcmp(definitions[i].name, "mirostat") != 0) policy.mirostat = 0;
            if (strcmp(definitions[i].name, "adaptive_p") != 0) policy.adaptive_target = -1;
            if (policy.mirostat > 0) policy.adaptive_target = -1;
            compare(&random, chosen, 1, &policy, &decision, n);
        }
    }
}

static void test_stages_in_any_order(void **state) {
    (void)state;
    uint64_t random = 12;
    print_message("seed %llu\n", (unsigned long long)random);
    for (int round = 0; round < 4000; round++) {
        size_t n = sizes[round % 8], n_chosen = 0;
        ex_policy policy;
        ex_decision decision;
        const struct definition *chosen[DEFINITIONS];
        random_policy(&random, &policy, &decision, n);
        for (size_t i = 0; i < SHUFFLED; i++) {
            if (random_between(&random, 0, 1) < 0.4) {
                switch_off(&policy, definitions[i].name);
                continue;
            }
            size_t place = (size_t)random_between(&random, 0, (double)n_chosen + 1);
            memmove(chosen + place + 1, chosen + place, (n_chosen - place) * sizeof *chosen);
            chosen[place] = &definitions[i];
            n_chosen++;
        }
        chosen[n_chosen++] = &definitions[SHUFFLED];
        chosen[n_chosen++] = &definitions[SHUFFLED + 1];
        compare(&random, chosen, n_chosen, &policy, &decision, n);
    }
}

/* ---- the fast path ---------------------------------------------------------------------------------------------- */

static ex_decision random_decision(uint64_t *random, size_t n) {
    ex_decision decision = {.candidates = 1, .temperature = random_between(random, 0.05, 3),
                            .top_p = random_between(random, 0, 1), .min_p = random_between(random, 0, 0.3)};
    decision.top_k = (int32_t)random_between(random, 0, random_between(random, 0, 1) < 0.5 ? 40 : (double)n * 1.5);
    if (random_between(random, 0, 1) < 0.3) decision.top_p = 1;
    if (random_between(random, 0, 1) < 0.3) decision.min_p = 0;
    if (random_between(random, 0, 1) < 0.1) decision.min_p = 1;
    if (random_between(random, 0, 1) < 0.1) decision.temperature = 0;
    return decision;
}

static void test_fused_is_generic(void **state) {
    (void)state;
    static float logits[VOCABULARY_MAX];
    static ex_candidate generic[VOCABULARY_MAX];
    uint64_t random = 13;
    ex_policy policy = preset("plain");
    print_message("seed %llu\n", (unsigned long long)random);
    for (int round = 0; round < 6000; round++) {
        chain_bench bench;
        const size_t n = sizes[round % 9];
        random_logits(&random, logits, n);
        const ex_decision decision = random_decision(&random, n);
        const ex_chain_step step = {0};
        open_bench(&bench, &policy, n);
        assert_true(ex_chain_is_plain(bench.chain));
        const size_t count = run_bench(&bench, logits, &decision, &step);
        memcpy(generic, bench.memory.candidates, count * sizeof *generic);
        for (int with_likeliest = 0; with_likeliest < 2; with_likeliest++) {
            prepare(&bench, logits, with_likeliest, decision.top_k);
            assert_int_equal(ex_filter(&bench.memory, &bench.input, &decision), count);
            assert_memory_equal(bench.memory.candidates, generic, count * sizeof *generic);
        }
        ex_chain_close(bench.chain);
    }
}

/* ---- dry -------------------------------------------------------------------------------------------------------- */

static const char *const pieces[] = {"a", "b", "c", " ", "\n", ".\n", "#", "x#", "#|", "|", "d", ""};
enum { PIECES = sizeof pieces / sizeof *pieces };

static const char *piece_of(const void *context, int32_t token, size_t *length) {
    (void)context;
    *length = strlen(pieces[token]);
    return pieces[token];
}

static const char *const breakers[] = {"\n", "#|#", "b c"};

static bool has_breaker(const char *text) {
    for (size_t i = 0; i < 3; i++)
        if (strstr(text, breakers[i])) return true;
    return false;
}

/* Tokens at the end of the context, behind the last one in which a breaker ends. */
static size_t behind_breaker(const int32_t *context, size_t n) {
    for (size_t i = n; i-- > 0;) {
        char text[2 * CONTEXT_MAX + 8] = "";
        for (size_t j = 0; j < i; j++) strcat(text, pieces[context[j]]);
        const size_t before = strlen(text);
        strcat(text, pieces[context[i]]);
        for (size_t j = 0; j < 3; j++) /* one that ends in this token */
            for (const char *at = text; (at = strstr(at, breakers[j])); at++)
                if ((size_t)(at - text) + strlen(breakers[j]) > before) return n - 1 - i;
    }
    return n;
}

/* The definition: for each earlier place that goes on with a token, how far the text before it agrees with the end. */
static void define_dry(const ex_policy *policy, const int32_t *context, size_t n, double *penalties) {
    size_t window = policy->dry_penalty_last_n < 0 ? n : (size_t)policy->dry_penalty_last_n;
    if (window < n) context += n - window, n = window;
    const size_t most = behind_breaker(context, n);
    for (size_t token = 0; token < PIECES; token++) {
        size_t longest = 0;
        for (size_t i = 1; i < n; i++) {
            if (context[i] != (int32_t)token) continue;
            size_t length = 0;
            while (length < i && length < most && context[i - 1 - length] == context[n - 1 - length]) length++;
            if (length > longest) longest = length;
        }
        penalties[token] = 0;
        if (longest > 0 && longest >= (size_t)policy->dry_allowed_length && !has_breaker(pieces[token]))
            penalties[token] =
                policy->dry_multiplier * pow(policy->dry_base, (double)longest - policy->dry_allowed_length);
    }
}

static void check_dry(const ex_policy *policy, const int32_t *context, size_t n, const char *what) {
    static const float logits[PIECES] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    double penalties[PIECES];
    chain_bench bench;
    ex_error error;
    ex_history history;
    open_bench(&bench, policy, PIECES);
    assert_ok(ex_chain_set_vocabulary(bench.chain, piece_of, NULL, &error), &error);
    assert_true(ex_chain_context(bench.chain) >= n || policy->dry_penalty_last_n >= 0);
    assert_ok(ex_history_open(&history, 1, ex_chain_context(bench.chain), &error), &error);
    ex_history_prompt(&history, context, n);
    ex_decision decision = open_decision();
    ex_chain_step step = {.history = &history};
    size_t count = run_bench(&bench, logits, &decision, &step);
    define_dry(policy, context, n, penalties);
    double sum = 0;
    for (size_t i = 0; i < PIECES; i++) sum += exp((double)logits[i] - penalties[i] - 12);
    for (size_t i = 0; i < count; i++) {
        const ex_candidate *candidate = &bench.memory.candidates[i];
        double expected = exp((double)logits[candidate->token] - penalties[candidate->token] - 12) / sum;
        if (fabs(candidate->probability - expected) > 1e-6)
            fail_msg("%s: token %d has %.9g, expected %.9g", what, candidate->token, candidate->probability, expected);
    }
    ex_history_close(&history);
    ex_chain_close(bench.chain);
}

static void test_dry_on_texts(void **state) {
    (void)state;
    ex_policy policy = POLICY("dry_multiplier", "0.8", "dry_sequence_breakers", "[\"\\n\", \"#|#\", \"b c\"]");
    double penalties[PIECES];
    /* "abca": what followed "a" was "b"; allowed_length 2 wants more. "abcab": "c" follows two equal tokens. */
    define_dry(&policy, (int32_t[]){0, 1, 2, 0, 1}, 5, penalties);
    assert_true(is_close(penalties[2], 0.8, 1e-12) && penalties[1] == 0);
    define_dry(&policy, (int32_t[]){0, 1, 2, 10, 0, 1, 2}, 7, penalties);
    assert_true(is_close(penalties[10], 0.8 * 1.75, 1e-12));
    check_dry(&policy, (int32_t[]){0, 1, 2, 0, 1}, 5, "two tokens");
    check_dry(&policy, (int32_t[]){0, 1, 2, 10, 0, 1, 2}, 7, "three tokens");
    check_dry(&policy, (int32_t[]){0, 1, 2, 10, 0, 4, 1, 2}, 8, "a breaker between");
    check_dry(&policy, (int32_t[]){0, 1, 5, 10, 0, 1}, 6, "a breaker that would follow");
    check_dry(&policy, (int32_t[]){0, 7, 9, 6, 1, 2, 10, 0, 7, 9, 6, 1, 2}, 13, "a breaker across three tokens");
    check_dry(&policy, (int32_t[]){10, 1, 3, 2, 0, 10, 1, 3, 2}, 9, "a breaker that ends");
    check_dry(&policy, (int32_t[]){0}, 1, "one token");
    check_dry(&policy, NULL, 0, "nothing");
}

static void test_dry_at_random(void **state) {
    (void)state;
    uint64_t random = 14;
    print_message("seed %llu\n", (unsigned long long)random);
    for (int round = 0; round < 1500; round++) {
        ex_policy policy = POLICY("dry_multiplier", "0.8", "dry_sequence_breakers", "[\"\\n\", \"#|#\", \"b c\"]");
        int32_t context[200];
        const size_t n = (size_t)random_between(&random, 0, 200);
        const double letters = random_between(&random, 1, PIECES);
        policy.dry_base = random_between(&random, 1, 3);
        policy.dry_allowed_length = (int32_t)random_between(&random, 0, 5);
        if (round % 3 == 0) policy.dry_penalty_last_n = (int32_t)random_between(&random, 1, 150);
        for (size_t i = 0; i < n; i++) context[i] = (int32_t)random_between(&random, 0, letters);
        for (size_t i = n / 2; i < n && round % 2; i++) context[i] = context[i - n / 2]; /* said twice */
        check_dry(&policy, context, n, "random text");
    }
}

static void test_memory_that_there_is_not(void **state) {
    (void)state;
    ex_policy policy = POLICY("dry_multiplier", "0.8", "logit_bias", "1+2", "dry_sequence_breakers", "[\"#|#\"]");
    ex_chain *chain = NULL;
    ex_error error;
    bool opened = false;
    for (long left = 0; left < 60 && !opened; left++) {
        allocations_limit(left);
        ex_code code = ex_chain_open(&chain, &policy, PIECES, &error);
        if (code == EX_OK) code = ex_chain_set_vocabulary(chain, piece_of, NULL, &error);
        allocations_limit(-1);
        opened = code == EX_OK;
        if (!opened) assert_int_equal(code, EX_ERROR_MEMORY);
        ex_chain_close(chain);
        chain = NULL;
    }
    assert_true(opened);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_stage),
        cmocka_unit_test(test_stages_in_any_order),
        cmocka_unit_test(test_fused_is_generic),
        cmocka_unit_test(test_dry_on_texts),
        cmocka_unit_test(test_dry_at_random),
        cmocka_unit_test(test_memory_that_there_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
