/* test_scheduler.c - answers are those of a generator alone, whatever runs beside them; the queue is fair and bounded;
 * whoever cancels, fails or is late ends alone. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sampler_support.h"
#include "scheduler.h"

enum { ANSWERS_MAX = 16, TOKENS_MAX = 120, N_VOCAB_USED = 500, N_CONTEXT = 300, PROMPT_MAX = 200 };

typedef struct answer_seen {
    int32_t tokens[TOKENS_MAX];
    size_t count;
    ex_end end;
} answer_seen;

typedef struct seen { /* what a listener was told */
    answer_seen answers[ANSWERS_MAX];
    size_t cancel_after; /* events; 0: never */
    atomic_size_t n_events;
    atomic_bool is_done;
    size_t n_waiting, n_done, n_lines;
    bool failed, cancelled;
    ex_code code;
    scheduler_usage usage;
    scheduler_job *job;
    unsigned order; /* of the jobs that ended */
} seen;

static ex_engine *engine;
static telemetry *counts;
static atomic_uint n_ended;

static int open_engine(void **state) {
    (void)state;
    const ex_engine_options options = {.n_threads = 1};
    return ex_engine_open(&engine, test_data("models/llama3-f16.gguf"), &options, NULL) ||
           telemetry_open(&counts, NULL);
}

static int close_engine(void **state) {
    (void)state;
    telemetry_close(counts);
    ex_engine_close(engine);
    return 0;
}

static server_scheduler *open_scheduler(size_t n_parallel, size_t n_queue, size_t n_cached) {
    scheduler_options options = scheduler_options_default();
    options.engine = engine;
    options.n_parallel = n_parallel;
    options.n_queue = n_queue;
    options.n_cached = n_cached;
    options.n_context = N_CONTEXT;
    options.prefill_piece = 16;
    options.telemetry = counts;
    server_scheduler *scheduler;
    ex_error error;
    assert_ok(scheduler_open(&scheduler, &options, &error), &error);
    return scheduler;
}

/* ---- listening --------------------------------------------------------------------------------------------------- */

static void on_waiting(void *context, size_t n_done, size_t n_total) {
    seen *s = context;
    s->n_waiting += n_done <= n_total;
}

static void on_event(void *context, size_t answer, const ex_event *event, const ex_generator *generator) {
    seen *s = context;
    answer_seen *seen_answer = &s->answers[answer % ANSWERS_MAX];
    (void)generator;
    if (event->kind == EX_EVENT_END)
        seen_answer->end = event->end;
    else if (seen_answer->count < TOKENS_MAX)
        seen_answer->tokens[seen_answer->count++] = event->token;
    if (atomic_fetch_add(&s->n_events, 1) + 1 == s->cancel_after) scheduler_cancel(s->job);
}

static void on_trace(void *context, size_t answer, const char *line, size_t length) {
    (void)answer;
    ((seen *)context)->n_lines += line[0] == '{' && line[length - 1] == '\n';
}

static void on_done(void *context, const ex_error *error, bool cancelled) {
    seen *s = context;
    s->n_done++;
    s->failed = error != NULL;
    s->code = error ? error->code : EX_OK;
    s->cancelled = cancelled;
    s->usage = scheduler_job_usage(s->job);
    s->order = atomic_fetch_add(&n_ended, 1) + 1;
    scheduler_job_release(s->job);
    atomic_store(&s->is_done, true);
}

static ex_code try_submit(server_scheduler *scheduler, const scheduler_request *request, seen *s, ex_error *error) {
    const scheduler_listener listener = {s, on_waiting, on_event, on_trace, on_done};
    return scheduler_submit(scheduler, request, &listener, &s->job, error);
}

static void submit(server_scheduler *scheduler, const scheduler_request *request, seen *s) {
    ex_error error;
    assert_ok(try_submit(scheduler, request, s, &error), &error);
}

static void nap(void) {
    const struct timespec moment = {.tv_nsec = 1000000};
    nanosleep(&moment, NULL);
}

static void wait_for(const seen *s) {
    for (int i = 0; i < 120000 && !atomic_load(&s->is_done); i++) nap();
    assert_true(atomic_load(&s->is_done));
    assert_int_equal(s->n_done, 1);
}

static void wait_for_events(const seen *s, size_t count) {
    for (int i = 0; i < 120000 && atomic_load(&s->n_events) < count; i++) nap();
    assert_true(atomic_load(&s->n_events) >= count);
}

/* ---- requests ---------------------------------------------------------------------------------------------------- */

static scheduler_request make_request(const int32_t *prompt, size_t n_prompt, size_t n_predict) {
    scheduler_request request = {.tokens = prompt, .n_tokens = n_prompt, .answer = ex_generator_options_default(),
                                 .n_answers = 1};
    request.answer.n_predict = n_predict;
    request.answer.ignore_end = true;
    request.answer.seed = 7;
    return request;
}

static void fill_prompt(int32_t *prompt, size_t count, uint64_t seed) {
    for (size_t i = 0; i < count; i++) prompt[i] = (int32_t)random_between(&seed, 0, N_VOCAB_USED);
}

static void answer_alone(const scheduler_request *request, size_t index, answer_seen *out) {
    ex_session *session;
    ex_generator *generator;
    ex_error error;
    ex_event event;
    const ex_session_options options = {.n_context = N_CONTEXT};
    ex_generator_options answer = request->answer;
    answer.sequence += (uint32_t)index;
    *out = (answer_seen){0};
    assert_ok(ex_session_open(&session, engine, &options, &error), &error);
    assert_ok(ex_generator_open(&generator, session, &answer, &error), &error);
    assert_ok(ex_generator_prompt(generator, request->tokens, request->n_tokens, &error), &error);
    for (;;) {
        assert_ok(ex_generator_next(generator, &event, &error), &error);
        if (event.kind == EX_EVENT_END) break;
        assert_true(out->count < TOKENS_MAX);
        out->tokens[out->count++] = event.token;
    }
    out->end = event.end;
    ex_generator_close(generator);
    ex_session_close(session);
}

static void assert_same(const answer_seen *answer, const answer_seen *alone) {
    assert_int_equal(answer->count, alone->count);
    assert_int_equal(answer->end, alone->end);
    assert_memory_equal(answer->tokens, alone->tokens, alone->count * sizeof *alone->tokens);
}

static void assert_as_alone(const seen *s, const scheduler_request *request) {
    answer_seen alone;
    assert_false(s->failed || s->cancelled);
    for (size_t i = 0; i < request->n_answers; i++) {
        answer_alone(request, i, &alone);
        assert_same(&s->answers[i], &alone);
    }
}

/* ---- the same answers -------------------------------------------------------------------------------------------- */

static void test_answers_as_alone(void **state) {
    (void)state;
    enum { JOBS = 24 };
    static int32_t prompts[JOBS][PROMPT_MAX];
    static ex_policy policies[4];
    seen *all = calloc(JOBS, sizeof *all);
    scheduler_request requests[JOBS];
    server_scheduler *scheduler = open_scheduler(3, 100, 4);
    ex_error error;
    for (size_t i = 0; i < 4; i++) policies[i] = preset(i < 2 ? "entropix" : i == 2 ? "plain" : "entropixplained");
    assert_ok(ex_policy_set(&policies[1], "rules",
                            "[lost]\nwhen = logits_entropy > 2\naction = rewind\n[other]\naction = branch\n", &error),
              &error);
    for (size_t i = 0; i < JOBS; i++) {
        const size_t n_prompt = 1 + i * 37 % 90;
        fill_prompt(prompts[i], n_prompt, i / 3 + 1); /* three begin alike */
        requests[i] = make_request(prompts[i], n_prompt, 4 + i % 20);
        requests[i].answer.policy = &policies[i % 4];
        requests[i].answer.seed = i;
        requests[i].n_answers = 1 + i % 5;
        requests[i].client = i % 2;
        requests[i].wants_trace = i % 3 == 0;
        submit(scheduler, &requests[i], &all[i]);
    }
    for (size_t i = 0; i < JOBS; i++) {
        wait_for(&all[i]);
        assert_as_alone(&all[i], &requests[i]);
        assert_int_equal(all[i].usage.n_prompt, requests[i].n_tokens);
        assert_true(requests[i].wants_trace == (all[i].n_lines > 0));
        size_t n_tokens = 0;
        for (size_t k = 0; k < requests[i].n_answers; k++) n_tokens += all[i].answers[k].count;
        assert_int_equal(all[i].usage.n_generated, n_tokens);
    }
    scheduler_close(scheduler);
    free(all);
}

static void test_prefix_cache(void **state) {
    (void)state;
    int32_t prompt[PROMPT_MAX];
    fill_prompt(prompt, PROMPT_MAX, 5);
    server_scheduler *scheduler = open_scheduler(2, 10, 4);
    scheduler_request request = make_request(prompt, 100, 12);
    const size_t lengths[] = {100, 100, 60, 140, 100}, cached[] = {0, 99, 59, 100, 0}, clients[] = {3, 3, 3, 3, 4};
    for (size_t i = 0; i < 5; i++) {
        seen *s = calloc(1, sizeof *s);
        request.n_tokens = lengths[i];
        request.client = clients[i];
        submit(scheduler, &request, s);
        wait_for(s);
        assert_as_alone(s, &request);
        assert_int_equal(s->usage.n_cached, cached[i]);
        free(s);
    }
    scheduler_close(scheduler);
}

/* An answer and its prompt begin the next prompt of a conversation, also where the answer was cancelled. */
static void test_conversation(void **state) {
    (void)state;
    int32_t prompt[PROMPT_MAX];
    fill_prompt(prompt, PROMPT_MAX, 9);
    server_scheduler *scheduler = open_scheduler(2, 10, 4);
    for (size_t round = 0; round < 2; round++) {
        seen *first = calloc(1, sizeof *first), *second = calloc(1, sizeof *second);
        scheduler_request request = make_request(prompt + round, 50, 100);
        first->cancel_after = round == 1 ? 20 : 0;
        submit(scheduler, &request, first);
        wait_for(first);
        assert_true(first->cancelled == (round == 1));
        const size_t count = first->answers[0].count;
        int32_t longer[PROMPT_MAX];
        memcpy(longer, prompt + round, 50 * sizeof *longer);
        memcpy(longer + 50, first->answers[0].tokens, count * sizeof *longer);
        memcpy(longer + 50 + count, prompt + 90, 10 * sizeof *longer);
        request = make_request(longer, 60 + count, 10);
        submit(scheduler, &request, second);
        wait_for(second);
        assert_as_alone(second, &request);
        assert_true(second->usage.n_cached >= 50 + count - 1);
        free(first);
        free(second);
    }
    scheduler_close(scheduler);
}

/* ---- the queue --------------------------------------------------------------------------------------------------- */

static void test_fairness(void **state) {
    (void)state;
    int32_t prompt[20];
    fill_prompt(prompt, 20, 1);
    server_scheduler *scheduler = open_scheduler(4, 200, 4);
    seen *all = calloc(4, sizeof *all);
    scheduler_request request = make_request(prompt, 20, 100);
    request.n_answers = 64;
    submit(scheduler, &request, &all[0]);
    wait_for_events(&all[0], 4);
    request.answer.n_predict = 20;
    request.n_answers = 1;
    submit(scheduler, &request, &all[1]); /* of the same client */
    request.client = 1;
    submit(scheduler, &request, &all[2]);
    request.n_answers = 4;
    submit(scheduler, &request, &all[3]);
    for (size_t i = 1; i < 4; i++) wait_for(&all[i]);
    assert_false(atomic_load(&all[0].is_done));
    assert_true(atomic_load(&all[0].n_events) < 64 * 100 / 2);
    scheduler_cancel(all[0].job);
    wait_for(&all[0]);
    assert_true(all[0].cancelled);
    scheduler_close(scheduler);
    free(all);
}

static void test_bounds(void **state) {
    (void)state;
    int32_t prompt[N_CONTEXT];
    fill_prompt(prompt, N_CONTEXT, 1);
    server_scheduler *scheduler = open_scheduler(2, 3, 0);
    seen *all = calloc(6, sizeof *all), unused = {0};
    scheduler_request request = make_request(prompt, 20, 100);
    ex_error error = {0};
    for (size_t i = 0; i < 5; i++) submit(scheduler, &request, &all[i]); /* two run, three wait */
    assert_int_equal(try_submit(scheduler, &request, &unused, &error), EX_ERROR_MEMORY);
    assert_in_range(error.position, 1, 60);
    assert_null(unused.job);
    request.n_answers = 6;
    assert_int_equal(try_submit(scheduler, &request, &unused, &error), EX_ERROR_ARGUMENT);
    request.n_answers = 1;
    request.n_tokens = N_CONTEXT;
    assert_int_equal(try_submit(scheduler, &request, &unused, &error), EX_ERROR_CONTEXT);
    assert_int_equal(error.position, N_CONTEXT);
    request.n_tokens = 0;
    assert_int_equal(try_submit(scheduler, &request, &unused, &error), EX_ERROR_ARGUMENT);
    for (size_t i = 0; i < 5; i++) wait_for(&all[i]);
    request.n_tokens = N_CONTEXT - 1; /* room for one token and no more */
    submit(scheduler, &request, &all[5]);
    wait_for(&all[5]);
    assert_int_equal(all[5].answers[0].end, EX_END_CONTEXT);
    assert_as_alone(&all[5], &request);
    scheduler_drain(scheduler, 1);
    request.n_tokens = 20;
    assert_int_equal(try_submit(scheduler, &request, &unused, &error), EX_ERROR_MEMORY);
    assert_int_equal(error.position, 0);
    assert_int_equal(unused.n_done, 0);
    scheduler_close(scheduler);
    free(all);
}

/* One slot: a job that waits takes it at once. The pauses of a scheduler that sleeps in between would add up. */
static void test_no_pause_between_jobs(void **state) {
    (void)state;
    enum { JOBS = 40 };
    int32_t prompt[2] = {1, 2};
    server_scheduler *scheduler = open_scheduler(1, JOBS, 0);
    seen *all = calloc(JOBS, sizeof *all);
    scheduler_request request = make_request(prompt, 2, 1);
    struct timespec begun, ended;
    clock_gettime(CLOCK_MONOTONIC, &begun);
    for (size_t i = 0; i < JOBS; i++) submit(scheduler, &request, &all[i]);
    for (size_t i = 0; i < JOBS; i++) wait_for(&all[i]);
    clock_gettime(CLOCK_MONOTONIC, &ended);
    assert_true(ended.tv_sec - begun.tv_sec < 4);
    for (size_t i = 1; i < JOBS; i++) assert_true(all[i].order > all[i - 1].order);
    scheduler_close(scheduler);
    free(all);
}

/* ---- ends -------------------------------------------------------------------------------------------------------- */

static void test_cancel(void **state) {
    (void)state;
    int32_t prompt[N_CONTEXT];
    fill_prompt(prompt, N_CONTEXT, 2);
    server_scheduler *scheduler = open_scheduler(1, 10, 0);
    seen *all = calloc(4, sizeof *all);
    scheduler_request request = make_request(prompt, 10, 100), prefilled = make_request(prompt, 280, 5);
    all[0].cancel_after = 5;
    request.n_answers = 3;
    submit(scheduler, &request, &all[0]);
    wait_for(&all[0]);
    assert_true(all[0].cancelled && !all[0].failed);
    assert_true(atomic_load(&all[0].n_events) == 5);
    submit(scheduler, &prefilled, &all[1]); /* before or during its prompt */
    scheduler_cancel(all[1].job);
    request.n_answers = 1;
    submit(scheduler, &request, &all[2]);
    submit(scheduler, &request, &all[3]); /* while it waits */
    scheduler_cancel(all[3].job);
    for (size_t i = 1; i < 4; i++) wait_for(&all[i]);
    assert_true(all[1].cancelled && atomic_load(&all[1].n_events) == 0);
    assert_true(all[3].cancelled && atomic_load(&all[3].n_events) == 0);
    assert_as_alone(&all[2], &request);
    scheduler_close(scheduler);
    free(all);
}

static void test_drain(void **state) {
    (void)state;
    int32_t prompt[20];
    fill_prompt(prompt, 20, 3);
    for (size_t round = 0; round < 3; round++) {
        server_scheduler *scheduler = open_scheduler(2, 10, 2);
        seen *all = calloc(4, sizeof *all);
        scheduler_request request = make_request(prompt, 20, 100);
        for (size_t i = 0; i < 4; i++) submit(scheduler, &request, &all[i]);
        if (round < 2) scheduler_drain(scheduler, round == 0 ? 100 : 0.001);
        if (round < 2)
            for (size_t i = 0; i < 4; i++) assert_int_equal(all[i].n_done, 1);
        scheduler_close(scheduler); /* of the third round: with jobs */
        for (size_t i = 0; i < 4; i++) assert_int_equal(all[i].n_done, 1);
        if (round == 0)
            for (size_t i = 0; i < 4; i++) assert_as_alone(&all[i], &request);
        else
            assert_true(all[3].cancelled);
        free(all);
    }
}

static void test_time_limit(void **state) {
    (void)state;
    int32_t prompt[20];
    fill_prompt(prompt, 20, 4);
    server_scheduler *scheduler = open_scheduler(2, 10, 0);
    seen late = {0}, *other = calloc(1, sizeof *other);
    scheduler_request request = make_request(prompt, 20, 100);
    submit(scheduler, &request, other);
    request.seconds_at_most = 1e-6;
    submit(scheduler, &request, &late);
    wait_for(&late);
    assert_false(late.failed || late.cancelled);
    assert_int_equal(late.answers[0].end, EX_END_LENGTH);
    assert_true(late.answers[0].count < 100);
    wait_for(other);
    request.seconds_at_most = 0;
    assert_as_alone(other, &request);
    scheduler_close(scheduler);
    free(other);
}

/* A stop text that is no UTF-8 fails when the answer begins. */
static void test_failure_is_alone(void **state) {
    (void)state;
    int32_t prompt[20];
    fill_prompt(prompt, 20, 6);
    static const char *const bad[] = {"\xFF"};
    server_scheduler *scheduler = open_scheduler(3, 20, 2);
    seen *all = calloc(3, sizeof *all);
    scheduler_request request = make_request(prompt, 20, 40), failing = request;
    failing.answer.stop = bad;
    failing.answer.n_stop = 1;
    failing.n_answers = 4;
    submit(scheduler, &request, &all[0]);
    submit(scheduler, &failing, &all[1]);
    submit(scheduler, &request, &all[2]);
    for (size_t i = 0; i < 3; i++) wait_for(&all[i]);
    assert_true(all[1].failed && !all[1].cancelled);
    assert_int_equal(all[1].code, EX_ERROR_FORMAT);
    assert_as_alone(&all[0], &request);
    assert_as_alone(&all[2], &request);
    scheduler_close(scheduler);
    free(all);
}

/* ---- many callers ------------------------------------------------------------------------------------------------ */

static void *call_often(void *context) {
    server_scheduler *scheduler = context;
    int32_t prompt[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    for (size_t i = 0; i < 20; i++) {
        seen *s = calloc(1, sizeof *s);
        scheduler_request request = make_request(prompt, 1 + i % 8, 3);
        ex_error error;
        s->cancel_after = i % 4;
        if (try_submit(scheduler, &request, s, &error) == EX_OK)
            while (!atomic_load(&s->is_done)) nap();
        free(s);
    }
    return NULL;
}

static void test_many_callers(void **state) {
    (void)state;
    pthread_t threads[6];
    server_scheduler *scheduler = open_scheduler(4, 4, 3);
    for (size_t i = 0; i < 6; i++) assert_int_equal(pthread_create(&threads[i], NULL, call_often, scheduler), 0);
    for (size_t i = 0; i < 6; i++) pthread_join(threads[i], NULL);
    scheduler_close(scheduler);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers_as_alone), cmocka_unit_test(test_prefix_cache),
        cmocka_unit_test(test_conversation),     cmocka_unit_test(test_fairness),
        cmocka_unit_test(test_bounds),           cmocka_unit_test(test_no_pause_between_jobs),
        cmocka_unit_test(test_cancel),           cmocka_unit_test(test_drain),
        cmocka_unit_test(test_time_limit),       cmocka_unit_test(test_failure_is_alone),
        cmocka_unit_test(test_many_callers),
    };
    return cmocka_run_group_tests(tests, open_engine, close_engine);
}
