/* test_generate.c - the loop from prompt to tokens: the same tokens for the same seed however the work is cut, no
 * allocation per token, clarification, text in whole characters, reasons to stop. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "allocations.h"
#include "generate/text_stream.h"
#include "sampler_support.h"

typedef struct run { /* one answer of the small test model */
    int32_t n_threads;
    size_t n_batch, n_context, n_predict;
    uint64_t seed;
    bool ignore_end;
    ex_policy policy;
    const char *stops[3];
} run;

static run default_run(void) {
    run r = {.n_threads = 2, .n_context = 200, .n_predict = 60, .seed = 42, .ignore_end = true};
    ex_error error;
    assert_ok(ex_policy_preset(&r.policy, "entropixplained", &error), &error);
    return r;
}

typedef struct answer {
    int32_t tokens[200];
    ex_event_kind kinds[200];
    const char *strategies[200];
    size_t n_tokens, n_inserted;
    char text[4000];
    size_t lengths[200]; /* of the text after each token */
    ex_end end;
    long n_allocations; /* while generating */
} answer;

static const int32_t prompt[] = {1, 50, 60, 300, 301, 302, 303, 304, 305, 306, 307, 308};
enum { N_PROMPT = sizeof prompt / sizeof *prompt };

static void collect(ex_generator *generator, answer *out) {
    ex_error error;
    ex_event event;
    long before = allocations_counted();
    do {
        assert_ok(ex_generator_next(generator, &event, &error), &error);
        size_t length = strlen(out->text);
        snprintf(out->text + length, sizeof out->text - length, "%.*s", (int)event.text.length, event.text.data);
        if (event.kind == EX_EVENT_END) break;
        out->lengths[out->n_tokens] = strlen(out->text);
        out->kinds[out->n_tokens] = event.kind;
        out->strategies[out->n_tokens] = kept_name(event.choice->decision.strategy);
        out->tokens[out->n_tokens++] = event.token;
        out->n_inserted += event.kind == EX_EVENT_INSERTED;
    } while (out->n_tokens < 200);
    out->end = event.end;
    out->n_allocations = allocations_counted() - before;
}

static answer generate(const run *r) {
    ex_engine *engine;
    ex_session *session;
    ex_generator *generator;
    ex_error error;
    static answer out;
    memset(&out, 0, sizeof out);
    ex_engine_options engine_options = {.n_threads = r->n_threads};
    assert_ok(ex_engine_open(&engine, test_data("models/llama3-f16.gguf"), &engine_options, &error), &error);
    ex_session_options session_options = {.n_context = r->n_context, .n_batch = r->n_batch};
    assert_ok(ex_session_open(&session, engine, &session_options, &error), &error);
    ex_generator_options options = {
        .policy = &r->policy, .seed = r->seed, .n_predict = r->n_predict, .ignore_end = r->ignore_end,
        .stop = r->stops};
    while (options.n_stop < 3 && r->stops[options.n_stop]) options.n_stop++;
    assert_ok(ex_generator_open(&generator, session, &options, &error), &error);
    ex_event event;
    assert_int_equal(ex_generator_next(generator, &event, &error), EX_ERROR_ARGUMENT); /* no prompt yet */
    assert_ok(ex_generator_prompt(generator, prompt, N_PROMPT, &error), &error);
    collect(generator, &out);
    ex_generator_close(generator);
    ex_session_close(session);
    ex_engine_close(engine);
    return out;
}

static void assert_same(const answer *a, const answer *b) {
    assert_int_equal(a->n_tokens, b->n_tokens);
    assert_memory_equal(a->tokens, b->tokens, a->n_tokens * sizeof *a->tokens);
}

static void test_seed_decides_alone(void **state) {
    (void)state;
    run r = default_run();
    r.policy.temperature = 1.5;
    answer first = generate(&r);
    assert_int_equal(first.n_tokens, 60);
    assert_int_equal(first.end, EX_END_LENGTH);
    for (int32_t n_threads = 1; n_threads <= 3; n_threads++)
        for (size_t n_batch = 1; n_batch <= 16; n_batch += 5) {
            r.n_threads = n_threads;
            r.n_batch = n_batch;
            answer again = generate(&r);
            assert_same(&first, &again);
        }
    r.seed = 43;
    answer other = generate(&r);
    assert_memory_not_equal(first.tokens, other.tokens, first.n_tokens * sizeof *first.tokens);
}

static void test_no_allocation_per_token(void **state) {
    (void)state;
    run r = default_run();
    answer a = generate(&r);
    assert_int_equal(a.n_tokens, 60);
    assert_int_equal(a.n_allocations, 0);
}

static void test_ends(void **state) {
    (void)state;
    run r = default_run();
    r.n_context = 40;
    answer a = generate(&r);
    assert_int_equal(a.end, EX_END_CONTEXT);
    assert_int_equal(a.n_tokens, 40 - N_PROMPT);
    r = default_run();
    r.n_predict = 1;
    assert_int_equal(generate(&r).n_tokens, 1);
}

/* With these thresholds every step wants the clarification, so that cooldown and limit alone decide. */
static void test_clarification(void **state) {
    (void)state;
    run r = default_run();
    r.policy.low_entropy = 0;
    r.policy.clarify_entropy = 0;
    r.policy.low_varentropy = r.policy.high_varentropy = 1000;
    r.policy.clarify_token = 77;
    r.policy.clarify_cooldown = 10;
    r.policy.clarify_limit = 2;
    answer a = generate(&r);
    assert_int_equal(a.n_inserted, 2);
    assert_int_equal(a.kinds[0], EX_EVENT_INSERTED);
    assert_int_equal(a.tokens[0], 77);
    assert_string_equal(a.strategies[0], "clarify");
    assert_int_equal(a.kinds[1], EX_EVENT_TOKEN);
    assert_string_equal(a.strategies[1], "clarify_resample");
    size_t second = 1;
    while (second < a.n_tokens && a.kinds[second] != EX_EVENT_INSERTED) second++;
    assert_in_range(second, 10, 12);

    r.policy.clarify_token = EX_TOKEN_NONE; /* a text is inserted whole */
    snprintf(r.policy.clarify_text, sizeof r.policy.clarify_text, "ab");
    r.policy.clarify_limit = 1;
    a = generate(&r);
    assert_true(a.n_inserted >= 2);
    for (size_t i = 0; i < a.n_inserted; i++) assert_int_equal(a.kinds[i], EX_EVENT_INSERTED);
    assert_int_equal(a.kinds[a.n_inserted], EX_EVENT_TOKEN);
}

/* Stops cut out of what is generated without them: each answer is then the same up to there. */
static void test_stop_texts(void **state) {
    (void)state;
    run r = default_run();
    answer whole = generate(&r);
    assert_int_equal(whole.lengths[59], strlen(whole.text));
    for (size_t first = 5; first < 50; first += 4) { /* of three tokens, from the middle of one */
        char stop[400];
        size_t begins = whole.lengths[first - 1], ends = whole.lengths[first + 2];
        if (begins > 0 && whole.lengths[first] > begins + 1 && (whole.text[begins + 1] & 0xC0) != 0x80) begins++;
        if (ends == begins) continue;
        snprintf(stop, sizeof stop, "%.*s", (int)(ends - begins), whole.text + begins);
        const char *found = strstr(whole.text, stop);
        run with_stop = r;
        with_stop.stops[0] = "never in there";
        with_stop.stops[1] = stop;
        answer stopped = generate(&with_stop);
        assert_int_equal(stopped.end, EX_END_STOP);
        assert_int_equal(stopped.n_allocations, 0);
        assert_int_equal(strlen(stopped.text), found - whole.text);
        assert_memory_equal(stopped.text, whole.text, strlen(stopped.text));
        assert_memory_equal(stopped.tokens, whole.tokens, stopped.n_tokens * sizeof *stopped.tokens);
        assert_true(stopped.n_tokens <= first + 3);
    }
}

/* What was held back for a stop text comes with the last token, so that no text is lost. */
static void test_text_is_complete_at_the_end(void **state) {
    (void)state;
    run r = default_run();
    char stop[500];
    answer whole = generate(&r);
    size_t n = whole.lengths[58], cut = whole.lengths[59];
    assert_true(cut > n);
    snprintf(stop, sizeof stop, "%.*s and more", (int)(cut - n), whole.text + n);
    r.stops[0] = stop;
    answer again = generate(&r);
    assert_int_equal(again.end, EX_END_LENGTH);
    assert_string_equal(again.text, whole.text);
    assert_int_equal(again.lengths[59], cut);
    r.stops[0] = "";
    ex_error error;
    ex_engine *engine;
    ex_session *session;
    ex_generator *generator;
    assert_ok(ex_engine_open(&engine, test_data("models/llama3-f16.gguf"), NULL, &error), &error);
    assert_ok(ex_session_open(&session, engine, NULL, &error), &error);
    ex_generator_options options = {.stop = r.stops, .n_stop = 1};
    assert_int_equal(ex_generator_open(&generator, session, &options, &error), EX_ERROR_ARGUMENT);
    ex_session_close(session);
    ex_engine_close(engine);
}

static void assert_text(ex_string text, const char *expected) {
    assert_int_equal(text.length, strlen(expected));
    assert_memory_equal(text.data, expected, text.length);
}

static ex_string bytes_of(const char *text) { return (ex_string){text, strlen(text)}; }

static void test_text_comes_in_whole_characters(void **state) {
    (void)state;
    ex_text_stream stream;
    ex_error error;
    assert_ok(ex_text_stream_open(&stream, 8, &error), &error);
    assert_text(ex_text_stream_add(&stream, bytes_of("a\xE2\x82"), false), "a");
    assert_text(ex_text_stream_add(&stream, bytes_of("\xAC z"), false), "\xE2\x82\xAC z");
    assert_text(ex_text_stream_add(&stream, bytes_of("\xF0\x9F"), false), "");
    assert_text(ex_text_stream_add(&stream, bytes_of("\x98\x80"), false), "\xF0\x9F\x98\x80");
    assert_text(ex_text_stream_add(&stream, bytes_of("\xFF\xFE" "b\xE2"), false), "\xEF\xBF\xBD\xEF\xBF\xBD" "b");
    assert_text(ex_text_stream_add(&stream, bytes_of("c"), false), "\xEF\xBF\xBD" "c");
    assert_text(ex_text_stream_add(&stream, bytes_of("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xC3"), false),
                "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
    assert_text(ex_text_stream_add(&stream, bytes_of(""), true), "\xEF\xBF\xBD");
    assert_text(ex_text_stream_add(&stream, bytes_of(""), true), "");
    assert_text(ex_text_stream_add(&stream, bytes_of("a\xE2\x82"), true), "a\xEF\xBF\xBD");
    ex_text_stream_close(&stream);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seed_decides_alone), cmocka_unit_test(test_no_allocation_per_token),
        cmocka_unit_test(test_ends),               cmocka_unit_test(test_clarification),
        cmocka_unit_test(test_stop_texts),         cmocka_unit_test(test_text_is_complete_at_the_end),
        cmocka_unit_test(test_text_comes_in_whole_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
