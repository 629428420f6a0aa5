/* test_batches.c - generators that are evaluated together, joining and leaving at will, give what each gives alone; so
 * do threads that share an engine; forks that come and go take no more memory; what a choice says of likely tokens. */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "allocations.h"
#include "model/model.h"
#include "sampler_support.h"

enum { PROMPT_MAX = 40, EVENTS_MAX = 80, N_CONTEXT = 300, N_VOCAB_USED = 500 };

typedef struct job {
    ex_policy policy;
    uint64_t seed;
    uint32_t sequence;
    size_t n_predict, n_likeliest;
    int32_t prompt[PROMPT_MAX];
    size_t n_prompt;
    const ex_grammar *grammar;
    uint64_t events[EVENTS_MAX]; /* what each said, as a number */
    size_t n_events;
} job;

static ex_engine *open_engine(int32_t n_threads) {
    ex_engine *engine;
    ex_error error;
    const ex_engine_options options = {.n_threads = n_threads};
    assert_ok(ex_engine_open(&engine, test_data("models/llama3-f16.gguf"), &options, &error), &error);
    return engine;
}

static ex_session *open_session(ex_engine *engine, size_t n_context) {
    ex_session *session;
    ex_error error;
    const ex_session_options options = {.n_context = n_context};
    assert_ok(ex_session_open(&session, engine, &options, &error), &error);
    return session;
}

static size_t random_below(uint64_t *random, size_t limit) { return (size_t)random_between(random, 0, (double)limit); }

/* ---- jobs ------------------------------------------------------------------------------------------------------ */

static void set(ex_policy *policy, const char *key, const char *value) {
    ex_error error;
    assert_ok(ex_policy_set(policy, key, value, &error), &error);
}

/* All presets, and what they do seldom here: branching, taking back, looking far ahead, drawing with a state. */
static ex_policy policy_of(size_t index) {
    static const char *const rules[] = {
        "[sure]\nwhen = logits_entropy < 3\naction = greedy\n[unsure]\naction = branch\ntemperature = 2\n",
        "[lost]\nwhen = logits_entropy > 2\naction = resample\n[other]\ntemperature = 4\ntop_p = 1\nmin_p = 0\n",
        "[lost]\nwhen = logits_entropy > 2\naction = rewind\n[other]\ntemperature = 4\ntop_p = 1\nmin_p = 0\n",
        "[adaptive]\ntemperature = 4\ntop_k = 20\ntop_p = 1\nmin_p = 0\ncandidates = 6\n",
        "[ask]\nwhen = logits_entropy > 1 and may_insert\naction = insert\n[other]\ntemperature = 2\n",
        "[adaptive]\ntemperature = 4\ntop_k = 20\ntop_p = 1\nmin_p = 0\ncandidates = 6\n",
        "[lost]\nwhen = logits_entropy > 2.5\naction = rewind\n[unsure]\nwhen = logits_entropy > 2\naction = branch\n"
        "[other]\ntemperature = 4\ntop_p = 1\nmin_p = 0\ncandidates = 4\n"};
    static const char *const lookahead[] = {"0", "0", "0", "2", "0", "1", "3"};
    size_t n_presets = 0;
    while (ex_policy_preset_name(n_presets)) n_presets++;
    const size_t n_rules = sizeof rules / sizeof *rules, which = index % (n_presets + n_rules + 1);
    ex_policy policy = preset(which < n_presets ? ex_policy_preset_name(which) : "entropix");
    if (which < n_presets) return policy;
    if (which == n_presets + n_rules) {
        policy = preset("plain");
        set(&policy, "mirostat", "2");
        set(&policy, "banned_strings", "[\"e\", \"th\"]");
        return policy;
    }
    set(&policy, "rules", rules[which - n_presets]);
    set(&policy, "rewind", "5");
    set(&policy, "uncertain_entropy", "0.5");
    set(&policy, "candidates", "6");
    set(&policy, "lookahead", lookahead[which - n_presets]);
    set(&policy, "clarify_text", "wait, let me");
    return policy;
}

static ex_grammar *any_json; /* one for all generators, on all threads */

static int open_grammar(void **state) {
    (void)state;
    return ex_grammar_from_schema(&any_json, "{}", 2, NULL);
}

static int close_grammar(void **state) {
    (void)state;
    ex_grammar_close(any_json);
    return 0;
}

static void make_job(job *j, size_t index, uint64_t *random) {
    *j = (job){.policy = policy_of(index),
               .seed = index * 7,
               .sequence = (uint32_t)random_below(random, 3),
               .n_predict = 10 + random_below(random, 20),
               .n_likeliest = index % 3 == 0 ? random_below(random, EX_LIKELIEST_MAX + 1) : 0,
               .n_prompt = 1 + random_below(random, PROMPT_MAX),
               .grammar = index % 5 == 4 ? any_json : NULL};
    for (size_t i = 0; i < j->n_prompt; i++) j->prompt[i] = (int32_t)random_below(random, N_VOCAB_USED);
}

static uint64_t mix(uint64_t hash, const void *bytes, size_t length) {
    for (size_t i = 0; i < length; i++) hash = (hash ^ ((const unsigned char *)bytes)[i]) * 0x100000001B3;
    return hash;
}

static uint64_t mix_candidates(uint64_t hash, const ex_candidate *candidates, size_t count) {
    for (size_t i = 0; i < count; i++) {
        hash = mix(hash, &candidates[i].token, sizeof candidates[i].token);
        hash = mix(hash, &candidates[i].probability, 3 * sizeof(double));
    }
    return hash;
}

static uint64_t number_of(const ex_event *event) {
    uint64_t hash = mix(0xCBF29CE484222325, &event->kind, sizeof event->kind);
    hash = mix(hash, &event->end, sizeof event->end);
    hash = mix(hash, &event->token, sizeof event->token);
    hash = mix(hash, &event->position, sizeof event->position);
    hash = mix(hash, &event->log_probability, sizeof event->log_probability);
    hash = mix(hash, event->text.data, event->text.length);
    if (!event->choice) return hash;
    hash = mix(hash, &event->choice->metrics, sizeof event->choice->metrics);
    hash = mix_candidates(hash, event->choice->likeliest, event->choice->n_likeliest);
    return mix_candidates(hash, event->choice->distribution.candidates, event->choice->distribution.count);
}

static ex_generator *open_generator(const job *j, ex_session *session, ex_error *error) {
    ex_generator *generator = NULL;
    const ex_generator_options options = {.policy = &j->policy,
                                          .seed = j->seed,
                                          .sequence = j->sequence,
                                          .n_predict = j->n_predict,
                                          .n_likeliest = j->n_likeliest,
                                          .grammar = j->grammar};
    ex_generator_open(&generator, session, &options, error);
    return generator;
}

/* By itself, on the session, which may hold anything. No assertions: threads call it. */
static bool generate(job *j, ex_session *session, ex_error *error) {
    ex_event event = {0};
    ex_generator *generator = open_generator(j, session, error);
    ex_code code = generator ? ex_session_rewind(session, 0, error) : error->code;
    if (code == EX_OK) code = ex_generator_prompt(generator, j->prompt, j->n_prompt, error);
    j->n_events = 0;
    while (code == EX_OK && j->n_events < EVENTS_MAX && event.kind != EX_EVENT_END) {
        code = ex_generator_next(generator, &event, error);
        if (code == EX_OK) j->events[j->n_events++] = number_of(&event);
    }
    ex_generator_close(generator);
    return code == EX_OK && event.kind == EX_EVENT_END;
}

/* ---- what it costs ----------------------------------------------------------------------------------------------- */

/* Nothing is evaluated for the last token but where it was looked beyond. */
static void test_positions_are_counted(void **state) {
    (void)state;
    static const char *const rules[] = {
        "[any]\ntemperature = 3\n",
        "[adaptive]\ntemperature = 4\ntop_k = 20\ntop_p = 1\nmin_p = 0\ncandidates = 6\n"};
    ex_engine *engine = open_engine(2);
    ex_session *session = open_session(engine, N_CONTEXT);
    for (size_t i = 0; i < 2; i++) {
        job j = {.seed = 5, .n_predict = 20};
        j.policy = preset("entropix");
        set(&j.policy, "rules", rules[i]);
        set(&j.policy, "lookahead", i == 0 ? "0" : "1");
        set(&j.policy, "candidates", "6");
        set(&j.policy, "score_attn_entropy", "-0.5");
        ex_error error;
        ex_event event;
        size_t expected = 0, n_ahead = 0;
        ex_session_rewind(session, 0, &error);
        ex_generator *generator = open_generator(&j, session, &error);
        assert_non_null(generator);
        assert_ok(ex_generator_prompt(generator, (int32_t[]){1, 2, 3}, 3, &error), &error);
        assert_int_equal(ex_generator_effort(generator).n_forwarded, 0);
        for (size_t n = 0; n < j.n_predict; n++) {
            assert_ok(ex_generator_next(generator, &event, &error), &error);
            assert_int_equal(event.kind, EX_EVENT_TOKEN);
            n_ahead += event.choice->n_ahead;
            if (event.choice->n_ahead > 0) expected += event.choice->n_ahead;
            else if (n + 1 < j.n_predict) expected++;
        }
        assert_ok(ex_generator_next(generator, &event, &error), &error);
        assert_int_equal(event.kind, EX_EVENT_END);
        assert_int_equal(ex_generator_effort(generator).n_forwarded, expected);
        assert_true(i == 0 ? n_ahead == 0 : n_ahead > 20);
        ex_generator_close(generator);
    }
    ex_session_close(session);
    ex_engine_close(engine);
}

/* ---- joining and leaving ----------------------------------------------------------------------------------------- */

enum { N_JOBS = 48, N_FAMILIES = 3 };

typedef struct running {
    const job *job;
    ex_session *session;
    ex_generator *generator;
    size_t n_events, leaves_after;
} running;

/* On a fork of one of the families, with the prompt evaluated by the generator, or before it but for the last token. */
static void join(running *r, const job *j, ex_session *family, uint64_t *random) {
    ex_error error;
    *r = (running){.job = j, .leaves_after = random_below(random, 4) == 0 ? random_below(random, 30) + 1 : EVENTS_MAX};
    assert_ok(ex_session_fork(&r->session, family, &error), &error);
    if (random_below(random, 2) == 0) {
        r->generator = open_generator(j, r->session, &error);
        assert_non_null(r->generator);
        assert_ok(ex_generator_prompt(r->generator, j->prompt, j->n_prompt, &error), &error);
        return;
    }
    ex_session *prefix;
    const size_t n_before = j->n_prompt - 1;
    assert_ok(ex_session_fork(&prefix, family, &error), &error);
    if (n_before > 0) assert_ok(ex_session_evaluate(prefix, j->prompt, n_before, NULL, NULL, &error), &error);
    assert_ok(ex_session_assign(r->session, prefix, &error), &error);
    assert_int_equal(ex_session_position(r->session), n_before);
    ex_session_close(prefix);
    r->generator = open_generator(j, r->session, &error);
    assert_non_null(r->generator);
    if (n_before > 0) assert_ok(ex_generator_context(r->generator, j->prompt, n_before, &error), &error);
    assert_ok(ex_generator_prompt_later(r->generator, j->prompt[n_before], &error), &error);
}

static void leave(running *r) {
    ex_generator_close(r->generator);
    ex_session_close(r->session);
}

/* One event; false when it was the last that is wanted. */
static bool advance(running *r) {
    ex_error error;
    ex_event event;
    const size_t held = ex_session_position(r->session);
    const bool is_ready = ex_generator_is_ready(r->generator);
    assert_ok(ex_generator_next(r->generator, &event, &error), &error);
    if (is_ready) assert_in_range(ex_session_position(r->session), 0, held);
    assert_in_range(r->n_events, 0, r->job->n_events - 1);
    if (number_of(&event) != r->job->events[r->n_events])
        fail_msg("job with seed %d: event %zu (token %d at %zu) is another than alone", (int)r->job->seed, r->n_events,
                 event.token, event.position);
    r->n_events++;
    if (event.kind == EX_EVENT_END) assert_int_equal(r->n_events, r->job->n_events);
    return event.kind != EX_EVENT_END && r->n_events < r->leaves_after;
}

static void evaluate_some(running *live, size_t n_live, uint64_t *random, bool *has_batch) {
    ex_error error;
    ex_generator *chosen[N_JOBS];
    size_t count = 0;
    for (size_t i = 0; i < n_live; i++)
        if (random_below(random, 5) > 0) chosen[count++] = live[i].generator;
    for (size_t i = count; i > 1; i--) {
        const size_t other = random_below(random, i);
        ex_generator *held = chosen[i - 1];
        chosen[i - 1] = chosen[other];
        chosen[other] = held;
    }
    const long before = allocations_counted();
    assert_ok(ex_generators_evaluate(chosen, count, &error), &error);
    assert_int_equal(allocations_counted(), before);
    *has_batch |= count > 32;
}

/* `patient`: a token is asked for only where none has to be evaluated first. */
static void run_all(const job *jobs, ex_session *const *families, uint64_t random, size_t eagerness, bool patient) {
    static running live[N_JOBS];
    size_t n_live = 0, next = 0;
    bool has_large_batch = false;
    while (next < N_JOBS || n_live > 0) {
        while (next < N_JOBS && random_below(&random, 10) < eagerness)
            join(&live[n_live++], &jobs[next++], families[random_below(&random, N_FAMILIES)], &random);
        evaluate_some(live, n_live, &random, &has_large_batch);
        for (size_t i = n_live; i-- > 0;) {
            if (patient && !ex_generator_is_ready(live[i].generator)) continue;
            if (random_below(&random, 6) == 0 || advance(&live[i])) continue;
            leave(&live[i]);
            live[i] = live[--n_live];
        }
    }
    if (eagerness > 8) assert_true(has_large_batch);
}

static void test_joining_and_leaving(void **state) {
    (void)state;
    static job jobs[N_JOBS];
    ex_error error;
    uint64_t random = 11;
    ex_engine *engine = open_engine(2);
    ex_session *families[N_FAMILIES] = {open_session(engine, N_CONTEXT), open_session(engine, 130),
                                        open_session(engine, 200)};
    for (size_t i = 0; i < N_JOBS; i++) {
        make_job(&jobs[i], i, &random);
        ex_session *alone = open_session(engine, N_CONTEXT);
        if (!generate(&jobs[i], alone, &error)) fail_msg("%s", error.message);
        ex_session_close(alone);
    }
    run_all(jobs, families, 1, 4, false);
    run_all(jobs, families, 2, 9, false);
    run_all(jobs, families, 3, 9, true);
    for (size_t i = 0; i < N_FAMILIES; i++) {
        assert_int_equal(ex_session_pages_in_use(families[i]), 0);
        ex_session_close(families[i]);
    }
    ex_engine_close(engine);
}

/* ---- what is refused --------------------------------------------------------------------------------------------- */

static void test_errors(void **state) {
    (void)state;
    ex_error error;
    ex_event event;
    job j;
    uint64_t random = 3;
    make_job(&j, 0, &random);
    j.policy = preset("plain");
    ex_engine *engine = open_engine(1), *other = open_engine(1);
    ex_session *sessions[] = {open_session(engine, 20), open_session(engine, 20), open_session(other, 20)};
    assert_int_equal(ex_session_assign(sessions[0], sessions[1], &error), EX_ERROR_ARGUMENT);
    ex_generator *generators[3], *together[4];
    for (size_t i = 0; i < 3; i++) {
        generators[i] = open_generator(&j, sessions[i], &error);
        assert_int_equal(ex_generator_prompt_later(generators[i], -1, &error), EX_ERROR_ARGUMENT);
        assert_int_equal(ex_generator_prompt_later(generators[i], 1 << 20, &error), EX_ERROR_ARGUMENT);
        assert_ok(ex_generator_prompt_later(generators[i], 70, &error), &error);
        together[i] = generators[i];
    }
    assert_ok(ex_generators_evaluate(NULL, 0, &error), &error);
    assert_int_equal(ex_generators_evaluate(together, 3, &error), EX_ERROR_ARGUMENT); /* another engine's */
    together[2] = generators[0];
    assert_int_equal(ex_generators_evaluate(together, 3, &error), EX_ERROR_ARGUMENT); /* one twice */
    for (size_t i = 0; i < 2; i++) assert_int_equal(ex_session_position(sessions[i]), 0);
    assert_ok(ex_generators_evaluate(together, 2, &error), &error);
    assert_ok(ex_generators_evaluate(together, 3, &error), &error); /* none waits any more */
    for (size_t i = 0; i < 3; i++) {
        assert_ok(ex_generator_next(generators[i], &event, &error), &error);
        assert_int_equal(ex_session_position(sessions[i]), 1);
    }
    int32_t tokens[20] = {0};
    assert_ok(ex_session_evaluate(sessions[0], tokens, 19, NULL, NULL, &error), &error);
    assert_int_equal(ex_generator_prompt_later(generators[0], 70, &error), EX_ERROR_CONTEXT);
    for (size_t i = 0; i < 3; i++) {
        ex_generator_close(generators[i]);
        ex_session_close(sessions[i]);
    }
    ex_generator *generator;
    ex_session *session = open_session(engine, 20);
    const ex_generator_options options = {.n_likeliest = EX_LIKELIEST_MAX + 1};
    assert_int_equal(ex_generator_open(&generator, session, &options, &error), EX_ERROR_ARGUMENT);
    assert_null(generator);
    ex_session_close(session);
    ex_engine_close(engine);
    ex_engine_close(other);
}

/* A pass that fails, here for there are two engines, costs nobody anything; and an answer that is broken off while it
 * waits for what it looked ahead for leaves nothing behind. */
static void test_passes_that_fail(void **state) {
    (void)state;
    ex_error error;
    uint64_t random = 9;
    ex_engine *engines[] = {open_engine(1), open_engine(1)};
    for (size_t index = 0; index < 14; index++) {
        static job j;
        running live[2];
        ex_generator *generators[2];
        size_t n_failed = 0;
        make_job(&j, index, &random);
        ex_session *alone = open_session(engines[0], N_CONTEXT);
        if (!generate(&j, alone, &error)) fail_msg("%s", error.message);
        ex_session_close(alone);
        for (size_t i = 0; i < 2; i++) {
            live[i] = (running){.job = &j, .leaves_after = EVENTS_MAX, .session = open_session(engines[i], N_CONTEXT)};
            generators[i] = live[i].generator = open_generator(&j, live[i].session, &error);
            assert_ok(ex_generator_prompt(generators[i], j.prompt, j.n_prompt, &error), &error);
            for (size_t n = 0; n <= index % 3; n++)
                assert_ok(ex_generators_evaluate(&generators[i], 1, &error), &error);
            assert_ok(ex_session_rewind(live[i].session, 0, &error), &error);
            assert_ok(ex_generator_prompt(generators[i], j.prompt, j.n_prompt, &error), &error);
            const size_t n_pages = (j.n_prompt + EX_KV_PAGE - 1) / EX_KV_PAGE;
            assert_int_equal(ex_session_pages_in_use(live[i].session), n_pages);
        }
        bool goes_on = true;
        while (goes_on) {
            n_failed += ex_generators_evaluate(generators, 2, &error) != EX_OK;
            goes_on = advance(&live[0]);
            assert_int_equal(advance(&live[1]), goes_on);
        }
        if (j.n_events > 3) assert_in_range(n_failed, 1, EVENTS_MAX);
        for (size_t i = 0; i < 2; i++) leave(&live[i]);
    }
    for (size_t i = 0; i < 2; i++) ex_engine_close(engines[i]);
}

/* ---- likely tokens ----------------------------------------------------------------------------------------------- */

static double log_sum_of(const float *logits, int32_t n_vocab) {
    double sum = 0, maximum = -INFINITY;
    for (int32_t i = 0; i < n_vocab; i++) maximum = fmax(maximum, (double)logits[i]);
    for (int32_t i = 0; i < n_vocab; i++) sum += exp((double)logits[i] - maximum);
    return maximum + log(sum);
}

/* How many tokens come before this one. */
static size_t rank_of(const float *logits, int32_t n_vocab, int32_t token) {
    size_t rank = 0;
    for (int32_t i = 0; i < n_vocab; i++)
        rank += logits[i] > logits[token] || (logits[i] == logits[token] && i < token);
    return rank;
}

static double probability_of(const ex_distribution *distribution, int32_t token) {
    for (size_t i = 0; i < distribution->count; i++)
        if (distribution->candidates[i].token == token) return distribution->candidates[i].probability;
    return 0;
}

static void check_likeliest(const ex_event *event, const float *logits, int32_t n_vocab, size_t n_likeliest) {
    const ex_choice *choice = event->choice;
    const double log_sum = log_sum_of(logits, n_vocab);
    assert_int_equal(choice->n_likeliest, n_likeliest);
    for (size_t i = 0; i < n_likeliest; i++) {
        const ex_candidate *one = &choice->likeliest[i];
        assert_int_equal(rank_of(logits, n_vocab, one->token), i);
        assert_true(is_close(one->log_probability, (double)logits[one->token] - log_sum, 1e-6));
        const double kept = probability_of(&choice->distribution, one->token);
        assert_memory_equal(&one->probability, &kept, sizeof kept);
        const ex_candidate *first = choice->likeliest; /* what the score adds is the same for all */
        assert_true(is_close(one->score - one->log_probability, first->score - first->log_probability, 1e-12));
    }
    assert_true(is_close(event->log_probability, (double)logits[event->token] - log_sum, 1e-6));
}

/* Against the logits of a session that is fed the tokens one by one, whatever waited in a queue. */
static void check_generator(ex_engine *engine, const job *j, size_t *n_unknown) {
    ex_error error;
    ex_event event;
    ex_step step;
    ex_session *session = open_session(engine, N_CONTEXT), *shadow = open_session(engine, N_CONTEXT);
    const int32_t n_vocab = ex_tokenizer_size(ex_engine_tokenizer(engine));
    ex_generator *generator = open_generator(j, session, &error);
    assert_non_null(generator);
    assert_ok(ex_generator_prompt(generator, j->prompt, j->n_prompt, &error), &error);
    assert_ok(ex_session_evaluate(shadow, j->prompt, j->n_prompt, NULL, &step, &error), &error);
    for (;;) {
        const long before = allocations_counted();
        assert_ok(ex_generator_next(generator, &event, &error), &error);
        assert_int_equal(allocations_counted(), before);
        if (event.kind == EX_EVENT_END && event.end != EX_END_TOKEN) break;
        if (isnan(event.log_probability)) {
            assert_int_equal(event.kind, EX_EVENT_INSERTED);
            ++*n_unknown;
        } else {
            check_likeliest(&event, step.logits, n_vocab, j->n_likeliest);
        }
        if (event.kind == EX_EVENT_END) break;
        assert_ok(ex_session_evaluate(shadow, &event.token, 1, NULL, &step, &error), &error);
    }
    if (event.end != EX_END_TOKEN) assert_true(isnan(event.log_probability));
    ex_generator_close(generator);
    ex_session_close(session);
    ex_session_close(shadow);
}

static void test_likely_tokens(void **state) {
    (void)state;
    uint64_t random = 5;
    size_t n_unknown = 0;
    ex_engine *engine = open_engine(1);
    for (size_t i = 0; i < 18; i++) {
        job j;
        make_job(&j, i, &random);
        j.n_likeliest = i % 4 == 0 ? 0 : i % 4 == 1 ? 1 : i % 4 == 2 ? 7 : EX_LIKELIEST_MAX;
        check_generator(engine, &j, &n_unknown);
    }
    assert_in_range(n_unknown, 1, 100);
    ex_engine_close(engine);
}

/* ---- forks that come and go -------------------------------------------------------------------------------------- */

static size_t address_space(void) {
    size_t n_pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%zu", &n_pages), 1);
    fclose(file);
    return n_pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* Two forks at a time, of which one lives on into the next round, as in a server that is never idle. */
static void churn(ex_session *root, size_t rounds) {
    ex_error error;
    ex_session *older = NULL, *newer;
    int32_t tokens[70] = {0};
    for (size_t round = 0; round < rounds; round++) {
        assert_ok(ex_session_fork(&newer, root, &error), &error);
        assert_ok(ex_session_evaluate(newer, tokens, 70, NULL, NULL, &error), &error);
        ex_session_close(older);
        assert_int_equal(ex_session_pages_in_use(root), 2 + 2); /* the root's second page is written to by the fork */
        older = newer;
    }
    ex_session_close(older);
    assert_int_equal(ex_session_pages_in_use(root), 2);
}

static void test_forks_leave_nothing(void **state) {
    (void)state;
    ex_error error;
    int32_t tokens[100] = {0};
    ex_engine *engine = open_engine(1);
    ex_session *root = open_session(engine, N_CONTEXT);
    assert_ok(ex_session_evaluate(root, tokens, 100, NULL, NULL, &error), &error);
    churn(root, 20);
    const size_t before = address_space();
    churn(root, 400);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && !defined(__clang__) /* they keep what is freed */
    assert_in_range(address_space(), 0, before + ((size_t)1 << 20));
#else
    (void)before;
#endif
    ex_session_close(root);
    ex_engine_close(engine);
}

/* ---- threads ----------------------------------------------------------------------------------------------------- */

enum { N_WORKERS = 4, N_ROUNDS = 6 };

typedef struct worker {
    pthread_t thread;
    ex_engine *engine;
    ex_session *family; /* a fork that is the worker's own, of a family that all share */
    const job *jobs;    /* [N_ROUNDS] with what they give alone */
    size_t index;
    bool failed;
} worker;

static bool tokenizes(const ex_engine *engine) {
    static const char text[] = "Threads may tokenise while others evaluate.";
    int32_t tokens[100];
    size_t count;
    ex_error error;
    return ex_tokenize(ex_engine_tokenizer(engine), text, sizeof text - 1, 0, tokens, 100, &count, &error) == EX_OK &&
           count > 0;
}

/* Opens larger and larger sessions, forks, writes to the page that all share, generates, tokenises, closes: all while
 * others do. */
static void *work(void *context) {
    worker *w = context;
    ex_error error;
    for (size_t round = 0; round < N_ROUNDS && !w->failed; round++) {
        static const size_t grow = 16;
        job j = w->jobs[(round + w->index) % N_ROUNDS];
        const job expected = j;
        ex_session *session = NULL;
        const ex_session_options options = {.n_context = 120 + grow * (round + w->index), .n_batch = 4 + 9 * round};
        ex_code code = (round + w->index) % 2 ? ex_session_fork(&session, w->family, &error)
                                              : ex_session_open(&session, w->engine, &options, &error);
        if (code == EX_OK) code = ex_session_evaluate(session, expected.prompt, 1, NULL, NULL, &error);
        w->failed = code != EX_OK || !tokenizes(w->engine) || !generate(&j, session, &error) ||
                    j.n_events != expected.n_events ||
                    memcmp(j.events, expected.events, j.n_events * sizeof *j.events) != 0;
        ex_session_close(session);
    }
    return NULL;
}

static void test_threads(void **state) {
    (void)state;
    static job jobs[N_ROUNDS];
    static worker workers[N_WORKERS];
    ex_error error;
    uint64_t random = 21;
    ex_engine *engine = open_engine(2);
    for (size_t i = 0; i < N_ROUNDS; i++) {
        ex_engine *alone = open_engine(2);
        ex_session *session = open_session(alone, N_CONTEXT);
        make_job(&jobs[i], 9 + i, &random);
        jobs[i].n_predict = 20;
        if (!generate(&jobs[i], session, &error)) fail_msg("%s", error.message);
        ex_session_close(session);
        ex_engine_close(alone);
    }
    ex_session *root = open_session(engine, 110);
    assert_ok(ex_session_evaluate(root, jobs[0].prompt, 1, NULL, NULL, &error), &error);
    for (size_t i = 0; i < N_WORKERS; i++) {
        workers[i] = (worker){.engine = engine, .jobs = jobs, .index = i};
        assert_ok(ex_session_fork(&workers[i].family, root, &error), &error);
    }
    for (size_t i = 0; i < N_WORKERS; i++)
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    for (size_t i = 0; i < N_WORKERS; i++) pthread_join(workers[i].thread, NULL);
    for (size_t i = 0; i < N_WORKERS; i++) {
        assert_false(workers[i].failed);
        ex_session_close(workers[i].family);
    }
    assert_int_equal(ex_session_pages_in_use(root), 1);
    ex_session_close(root);
    ex_engine_close(engine);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_joining_and_leaving), cmocka_unit_test(test_errors),
        cmocka_unit_test(test_passes_that_fail),   cmocka_unit_test(test_positions_are_counted),
        cmocka_unit_test(test_likely_tokens),       cmocka_unit_test(test_forks_leave_nothing),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, open_grammar, close_grammar);
}
