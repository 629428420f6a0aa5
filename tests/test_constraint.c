/* test_constraint.c - tokens under a grammar: that masks are those of asking for every token by itself, and that
 * answers of the shipped model follow their schema whatever the policy does: draws, branches, takes back, looks on. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "allocations.h"
#include "generate/constraint.h"
#include "grammar_support.h"
#include "sampler_support.h"

#define MODEL EX_SOURCE_DIR "/models/entropix-40m-q6_k.gguf"

/* ---- masks ------------------------------------------------------------------------------------------------------- */

typedef struct vocabulary {
    ex_file *file;
    ex_tokenizer *tokenizer;
    const ex_token_trie *trie;
} vocabulary;

static vocabulary open_vocabulary(const char *path) {
    vocabulary v;
    ex_error error;
    assert_ok(ex_file_open(&v.file, path, &error), &error);
    assert_ok(ex_tokenizer_open(&v.tokenizer, v.file, &error), &error);
    assert_ok(ex_tokenizer_trie(&v.trie, v.tokenizer, &error), &error);
    return v;
}

static void close_vocabulary(vocabulary *v) {
    ex_tokenizer_close(v->tokenizer);
    ex_file_close(v->file);
}

/* Every token with text is in the tree, where its bytes lead to, and none that has no business there. */
static void test_trie(void **state) {
    (void)state;
    vocabulary v = open_vocabulary(MODEL);
    const size_t n_vocab = (size_t)ex_tokenizer_size(v.tokenizer);
    char bytes[EX_TRIE_DEPTH];
    size_t n_texts = 0;
    for (size_t at = 0; at < v.trie->n_nodes; at++) {
        const ex_trie_node *node = &v.trie->nodes[at];
        bytes[node->depth - 1] = (char)node->byte;
        assert_in_range(node->next, at + 1, v.trie->n_nodes);
        for (uint32_t i = node->tokens; i < node[1].tokens; i++) {
            const ex_string text = ex_token_text(v.tokenizer, v.trie->tokens[i], false);
            assert_int_equal(text.length, node->depth);
            assert_memory_equal(text.data, bytes, node->depth);
            assert_false(ex_token_ends_generation(v.tokenizer, v.trie->tokens[i]));
        }
    }
    for (int32_t id = 0; id < (int32_t)n_vocab; id++) {
        const ex_string text = ex_token_text(v.tokenizer, id, false);
        n_texts += text.length > 0 && text.length <= EX_TRIE_DEPTH && !ex_token_ends_generation(v.tokenizer, id);
    }
    assert_int_equal(v.trie->n_tokens, n_texts);
    assert_true(v.trie->n_ends > 0 && v.trie->n_vocab == n_vocab);
    close_vocabulary(&v);
}

static bool is_set(const uint64_t *bits, int32_t token) { return bits[token / 64] >> (token % 64) & 1; }

static bool may_come(const vocabulary *v, const ex_grammar *grammar, const ex_grammar_state *state, int32_t token) {
    static ex_grammar_state after, scratch;
    if (ex_token_ends_generation(v->tokenizer, token)) return ex_grammar_is_complete(state);
    const ex_string text = ex_token_text(v->tokenizer, token, false);
    if (text.length == 0 || text.length > EX_TRIE_DEPTH || ex_token_is_control(v->tokenizer, token)) return false;
    ex_grammar_copy(&after, state);
    return ex_grammar_read(grammar, &after, text.data, text.length, &scratch);
}

static int32_t random_token(const uint64_t *allowed, int32_t n_vocab, uint64_t *random) {
    const int32_t first = (int32_t)random_between(random, 0, n_vocab);
    for (int32_t i = 0; i < n_vocab; i++)
        if (is_set(allowed, (first + i) % n_vocab)) return (first + i) % n_vocab;
    fail_msg("nothing is permitted");
    return EX_TOKEN_NONE;
}

/* Along a random answer; `beginning` leads to where it is of interest. */
static void check_masks(const vocabulary *v, const char *schema, const char *beginning, size_t n_steps) {
    ex_grammar *grammar = open_grammar(schema);
    ex_constraint *constraint;
    ex_constrained line;
    ex_error error;
    uint64_t random = 3;
    static ex_grammar_state scratch;
    const int32_t n_vocab = ex_tokenizer_size(v->tokenizer);
    assert_ok(ex_constraint_open(&constraint, grammar, v->tokenizer, &error), &error);
    assert_ok(ex_constrained_open(&line, constraint, &error), &error);
    ex_constraint_begin(constraint, &line);
    assert_true(ex_grammar_read(grammar, line.state, beginning, strlen(beginning), &scratch));
    for (size_t step = 0; step < n_steps; step++) {
        assert_ok(ex_constraint_mask(constraint, &line, &error), &error);
        for (int32_t token = 0; token < n_vocab; token++)
            if (may_come(v, grammar, line.state, token) != is_set(line.allowed, token))
                fail_msg("%s: step %zu: token %d is %s", schema, step, token,
                         is_set(line.allowed, token) ? "permitted, and may not come" : "not permitted, and may come");
        const int32_t token = random_token(line.allowed, n_vocab, &random);
        if (ex_token_ends_generation(v->tokenizer, token)) break;
        ex_constraint_accept(constraint, &line, token);
    }
    ex_constrained_close(&line);
    ex_constraint_close(constraint);
    ex_grammar_close(grammar);
}

static void check_vocabulary(const char *path, size_t n_steps) {
    vocabulary v = open_vocabulary(path);
    static const char *const schemas[][2] = {
        {"{}", ""},
        {"{}", "{\"a\": [{\"b\": \""},
        {"{\"type\":\"object\",\"properties\":{\"the\":{\"type\":\"string\"},\"name\":{\"enum\":"
         "[\"a\",\"about\"]}}}", "{\""},
        {"{\"type\":\"array\",\"items\":{\"type\":\"string\",\"maxLength\":9},\"maxItems\":7}", "[\"abc"},
        {"{\"type\":\"string\",\"minLength\":300,\"maxLength\":400}", "\"the"},
        {"{\"type\":\"string\",\"pattern\":\"^([A-Za-z]{2,80} ?){1,9}$\"}", "\"The "},
        {"{\"type\":\"array\",\"items\":{\"type\":\"number\",\"minimum\":0}}", "[1"},
    };
    for (size_t i = 0; i < sizeof schemas / sizeof *schemas; i++)
        check_masks(&v, schemas[i][0], schemas[i][1], n_steps);
    char deep[EX_GRAMMAR_DEPTH - 4];
    memset(deep, '[', sizeof deep - 1);
    deep[sizeof deep - 1] = 0;
    check_masks(&v, "{}", deep, n_steps);
    deep[sizeof deep - 2] = '"';
    check_masks(&v, "{}", deep, n_steps);
    close_vocabulary(&v);
}

static void test_masks(void **state) {
    (void)state;
    check_vocabulary(MODEL, 12);
}

static void test_masks_of_others(void **state) {
    (void)state;
    static const char *const names[] = {"tokenizers/ggml-vocab-llama-spm.gguf", "tokenizers/llama3-vocab.gguf"};
    bool is_found = false;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *path = shared_golden(names[i]);
        if (path) check_vocabulary(path, 1);
        is_found = is_found || path;
    }
    if (!is_found) test_skip("vocabularies of other makers are not here");
}

/* ---- answers ----------------------------------------------------------------------------------------------------- */

static const char schema[] =
    "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":12},"
    "\"age\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":120},\"tags\":{\"type\":\"array\",\"items\":"
    "{\"enum\":[\"red\",\"green\",\"the sky\"]},\"maxItems\":3},\"id\":{\"type\":\"string\",\"pattern\":"
    "\"^[A-Z]{2}-[0-9]{2}$\"}},\"required\":[\"name\",\"age\"],\"additionalProperties\":false}";

typedef struct bench {
    ex_engine *engine;
    ex_session *session;
    ex_grammar *grammar;
    int32_t prompt[64];
    size_t n_prompt;
} bench;

static int open_bench(void **state) {
    static bench b;
    ex_error error;
    static const char text[] = "A record of a person, as JSON:";
    ex_session_options options = {.n_context = 512};
    if (ex_engine_open(&b.engine, MODEL, NULL, &error) != EX_OK) return -1;
    if (ex_session_open(&b.session, b.engine, &options, &error) != EX_OK) return -1;
    if (ex_tokenize(ex_engine_tokenizer(b.engine), text, sizeof text - 1, EX_TOKENIZE_ADD_BEGINNING, b.prompt, 64,
                    &b.n_prompt, &error) != EX_OK)
        return -1;
    b.grammar = open_grammar(schema);
    *state = &b;
    return 0;
}

static int close_bench(void **state) {
    bench *b = *state;
    ex_grammar_close(b->grammar);
    ex_session_close(b->session);
    ex_engine_close(b->engine);
    return 0;
}

typedef struct answer {
    char text[2000];
    size_t length;
    ex_end end;
    ex_effort effort;
    size_t n_ahead, n_inserted, n_greedy;
} answer;

static answer generate(const bench *b, const ex_policy *policy, uint64_t seed, ex_trace *trace) {
    answer a = {.length = 0};
    ex_generator *generator;
    ex_error error;
    ex_event event;
    const ex_generator_options options = {
        .policy = policy, .seed = seed, .n_predict = 300, .grammar = b->grammar, .trace = trace};
    assert_ok(ex_session_rewind(b->session, 0, &error), &error);
    assert_ok(ex_generator_open(&generator, b->session, &options, &error), &error);
    assert_ok(ex_generator_prompt(generator, b->prompt, b->n_prompt, &error), &error);
    const long before = allocations_counted();
    do {
        assert_ok(ex_generator_next(generator, &event, &error), &error);
        assert_true(a.length + event.text.length < sizeof a.text);
        if (event.text.length > 0) memcpy(a.text + a.length, event.text.data, event.text.length);
        a.length += event.text.length;
        a.n_inserted += event.kind == EX_EVENT_INSERTED;
        a.n_ahead += event.choice && event.choice->n_ahead > 0;
        a.n_greedy += event.choice && event.choice->decision.action == EX_ACTION_GREEDY;
        if (event.choice && event.kind == EX_EVENT_TOKEN) assert_false(event.choice->may_insert);
    } while (event.kind != EX_EVENT_END);
    if (!trace) assert_int_equal(allocations_counted() - before, 0);
    a.end = event.end;
    a.effort = ex_generator_effort(generator);
    ex_generator_close(generator);
    if (a.end != EX_END_TOKEN) fail_msg("seed %d: ended by %d after %.*s", (int)seed, a.end, (int)a.length, a.text);
    check_answer(schema, a.text, a.length);
    return a;
}

static void set(ex_policy *policy, const char *key, const char *value) {
    ex_error error;
    assert_ok(ex_policy_set(policy, key, value, &error), &error);
}

static void test_presets(void **state) {
    static const char *const names[] = {"entropix", "entropixplained", "plain"};
    size_t n_branched = 0, n_taken_back = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        ex_policy policy = preset(names[i]);
        set(&policy, "temperature", "1.5");
        for (uint64_t seed = 0; seed < 15; seed++) {
            const answer a = generate(*state, &policy, seed, NULL);
            n_branched += a.effort.n_branched;
            n_taken_back += a.effort.n_taken_back;
            assert_int_equal(a.n_inserted, 0);
        }
    }
    assert_true(n_branched > 0 && n_taken_back > 0);
}

/* Everything that goes back or looks further, much more often than usual. */
static ex_policy restless_policy(void) {
    ex_policy policy = preset("entropix");
    set(&policy, "rules", "[explore]\nwhen = logits_entropy > 3\naction = branch\ntemperature = 2\n"
                          "[again]\nwhen = logits_entropy > 1 and probability_margin < 0.1\naction = resample\n"
                          "temperature = 2\n"
                          "[sure]\nwhen = top_probability > 0.9\naction = greedy\n"
                          "[adaptive]\ntemperature = 3\ntop_k = 20\ntop_p = 1\nmin_p = 0\ncandidates = 4\n");
    set(&policy, "candidates", "4");
    set(&policy, "candidate_draws", "true");
    set(&policy, "uncertain_entropy", "0.5");
    set(&policy, "rewind_limit", "40");
    set(&policy, "banned_strings", "[\"a\", \"the sky\", \"e\\\":\"]");
    return policy;
}

static void test_restless(void **state) {
    ex_policy policy = restless_policy();
    size_t n_branched = 0, n_taken_back = 0, n_ahead = 0, n_greedy = 0;
    for (uint64_t seed = 0; seed < 12; seed++) {
        set(&policy, "lookahead", seed % 2 ? "2" : "1");
        const answer a = generate(*state, &policy, seed, NULL);
        n_branched += a.effort.n_branched;
        n_taken_back += a.effort.n_taken_back;
        n_ahead += a.n_ahead;
        n_greedy += a.n_greedy;
    }
    assert_true(n_branched > 0 && n_taken_back > 0 && n_ahead > 0 && n_greedy > 0);
}

/* What speaks against every permitted token does not make another one come. */
static void test_stages(void **state) {
    const bench *b = *state;
    ex_policy policy = preset("plain");
    char bias[100];
    size_t n;
    int32_t tokens[8];
    ex_error error;
    assert_ok(ex_tokenize(ex_engine_tokenizer(b->engine), "{", 1, 0, tokens, 8, &n, &error), &error);
    snprintf(bias, sizeof bias, "%d=false", tokens[0]);
    set(&policy, "logit_bias", bias);
    set(&policy, "repeat_penalty", "1.3");
    set(&policy, "dry_multiplier", "0.8");
    set(&policy, "top_n_sigma", "1");
    set(&policy, "typical_p", "0.9");
    set(&policy, "xtc_probability", "0.5");
    for (uint64_t seed = 0; seed < 4; seed++) generate(b, &policy, seed, NULL);
    policy = preset("plain");
    set(&policy, "temperature", "0");
    const answer once = generate(b, &policy, 1, NULL), again = generate(b, &policy, 2, NULL);
    assert_memory_equal(once.text, again.text, once.length);
    set(&policy, "mirostat", "2");
    set(&policy, "temperature", "1");
    generate(b, &policy, 1, NULL);
}

/* Metrics are those of the model's own distribution. */
static void test_metrics(void **state) {
    const bench *b = *state;
    const ex_policy policy = preset("plain");
    ex_metrics metrics[2];
    for (int i = 0; i < 2; i++) {
        ex_generator *generator;
        ex_error error;
        ex_event event;
        const ex_generator_options options = {.policy = &policy, .n_predict = 2, .grammar = i ? b->grammar : NULL};
        assert_ok(ex_session_rewind(b->session, 0, &error), &error);
        assert_ok(ex_generator_open(&generator, b->session, &options, &error), &error);
        assert_ok(ex_generator_prompt(generator, b->prompt, b->n_prompt, &error), &error);
        assert_ok(ex_generator_next(generator, &event, &error), &error);
        metrics[i] = event.choice->metrics;
        ex_generator_close(generator);
    }
    assert_memory_equal(&metrics[0], &metrics[1], sizeof metrics[0]);
}

static void test_answers(void **state) {
    const bench *b = *state;
    ex_answers *answers;
    ex_error error;
    ex_event event;
    size_t index;
    const ex_generator_options options = {.n_predict = 300, .seed = 5, .grammar = b->grammar};
    assert_ok(ex_session_rewind(b->session, 0, &error), &error);
    assert_ok(ex_answers_open(&answers, b->session, &options, 4, &error), &error);
    assert_ok(ex_answers_prompt(answers, b->prompt, b->n_prompt, &error), &error);
    do assert_ok(ex_answers_next(answers, &index, &event, &error), &error);
    while (index < EX_ANSWERS_MAX);
    for (size_t i = 0; i < 4; i++) {
        const ex_answer one = ex_answers_get(answers, i);
        assert_int_equal(one.end, EX_END_TOKEN);
        check_answer(schema, one.text.data, one.text.length);
    }
    ex_answers_close(answers);
}

/* ---- traces ------------------------------------------------------------------------------------------------------ */

/* Replaying finds no difference, and most decisions can be made again from what is written. */
static void check_trace(const bench *b, const ex_policy *policy, uint64_t seed) {
    static const char path[] = "test_constraint.jsonl";
    ex_trace *trace;
    ex_replay *replay;
    ex_replay_step step;
    ex_error error;
    size_t n_decided = 0, n_open = 0;
    assert_ok(ex_trace_open(&trace, path, &error), &error);
    generate(b, policy, seed, trace);
    assert_ok(ex_trace_close(trace, &error), &error);
    assert_ok(ex_replay_open(&replay, path, NULL, &error), &error);
    do {
        assert_ok(ex_replay_next(replay, &step, &error), &error);
        if (step.differences != 0) fail_msg("line %d differs: %u", (int)step.line, step.differences);
        n_decided += step.decided;
        n_open += !step.decidable;
    } while (step.kind != EX_REPLAY_DONE);
    ex_replay_close(replay);
    assert_true(n_decided > 5 && n_open <= n_decided / 2);
    remove(path);
}

static void test_traces(void **state) {
    ex_policy policy = preset("entropix");
    set(&policy, "temperature", "1.5");
    for (uint64_t seed = 0; seed < 4; seed++) check_trace(*state, &policy, seed);
    set(&policy, "top_k", "0");
    set(&policy, "min_p", "0");
    set(&policy, "repeat_penalty", "1.2");
    check_trace(*state, &policy, 4);
    policy = restless_policy();
    set(&policy, "lookahead", "1");
    for (uint64_t seed = 0; seed < 3; seed++) check_trace(*state, &policy, seed);
}

static void test_errors(void **state) {
    const bench *b = *state;
    ex_generator *generator;
    ex_error error;
    const ex_generator_options options = {.grammar = b->grammar, .ignore_end = true};
    assert_int_equal(ex_generator_open(&generator, b->session, &options, &error), EX_ERROR_ARGUMENT);
    assert_non_null(strstr(error.message, "ignore_end"));
    assert_null(generator);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trie),    cmocka_unit_test(test_masks),   cmocka_unit_test(test_masks_of_others),
        cmocka_unit_test(test_presets), cmocka_unit_test(test_restless), cmocka_unit_test(test_stages),
        cmocka_unit_test(test_metrics), cmocka_unit_test(test_answers), cmocka_unit_test(test_traces),
        cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests_name("constraint", tests, open_bench, close_bench);
}
