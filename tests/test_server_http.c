/* test_server_http.c - the web side of the server: answers, streams, who may ask, limits, and clients that are slow,
 * rude and wrong. */
#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "../server/http.h"
#include "../server/http_rules.h"
#include "http_client.h"
#include "support.h"

/* ---- a small application ---- */

typedef struct application {
    atomic_int n_running;   /* threads that still have a reply */
    atomic_int n_gone;      /* streams whose client went */
    atomic_int n_handled;
    atomic_size_t client;   /* of the last request */
    http_reply *_Atomic held;
} application;

static application app;

static void rest(int milliseconds) {
    struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000L};
    nanosleep(&time, NULL);
}

static bool wait_for(atomic_int *value, int expected) {
    for (int i = 0; i < 1000; i++, rest(10))
        if (atomic_load(value) == expected) return true;
    return false;
}

static const char page[] = "<!doctype html><title>t</title>";

static void show_page(void *context, const http_request *request, http_reply *reply) {
    (void)context;
    (void)request;
    atomic_fetch_add(&app.n_handled, 1);
    http_reply_send_static(reply, 200, "text/html; charset=utf-8", page, sizeof page - 1);
}

static void echo(void *context, const http_request *request, http_reply *reply) {
    (void)context;
    atomic_fetch_add(&app.n_handled, 1);
    atomic_store(&app.client, request->client);
    http_reply_header(reply, "X-Path", request->path);
    http_reply_header(reply, "Cache-Control", "max-age=1");
    http_reply_send(reply, 200, "application/json", request->body, request->body_length);
}

static void start_thread(void *(*run)(void *), http_reply *reply) {
    pthread_t thread;
    atomic_fetch_add(&app.n_running, 1);
    atomic_fetch_add(&app.n_handled, 1);
    assert_int_equal(pthread_create(&thread, NULL, run, reply), 0);
    pthread_detach(thread);
}

static void *answer_later(void *reply) {
    rest(30);
    http_reply_send(reply, 201, "text/plain", "later", 5);
    atomic_fetch_sub(&app.n_running, 1);
    return NULL;
}

static void later(void *context, const http_request *request, http_reply *reply) {
    (void)context;
    (void)request;
    start_thread(answer_later, reply);
}

static void *write_five(void *reply) {
    http_reply_begin(reply, 200, "text/event-stream; charset=utf-8");
    for (int i = 0; i < 5; i++) {
        char text[32];
        int length = snprintf(text, sizeof text, "data: %d\n\n", i);
        http_reply_write(reply, text, (size_t)length);
        rest(5);
    }
    http_reply_end(reply);
    atomic_fetch_sub(&app.n_running, 1);
    return NULL;
}

static void stream(void *context, const http_request *request, http_reply *reply) {
    (void)context;
    (void)request;
    start_thread(write_five, reply);
}

static void *write_until_gone(void *reply) {
    char part[1000];
    memset(part, 'x', sizeof part);
    part[sizeof part - 1] = '\n';
    http_reply_begin(reply, 200, "text/plain");
    while (http_reply_write(reply, part, sizeof part)) rest(1);
    assert_true(http_reply_is_gone(reply));
    atomic_fetch_add(&app.n_gone, 1);
    http_reply_end(reply);
    atomic_fetch_sub(&app.n_running, 1);
    return NULL;
}

static void endless(void *context, const http_request *request, http_reply *reply) {
    (void)context;
    (void)request;
    start_thread(write_until_gone, reply);
}

/* Nothing is written: only the connection can tell that the client went. */
static void *wait_until_gone(void *reply) {
    for (int i = 0; i < 1000 && !http_reply_is_gone(reply); i++) rest(10);
    atomic_fetch_add(&app.n_gone, http_reply_is_gone(reply));
    http_reply_end(reply);
    atomic_fetch_sub(&app.n_running, 1);
    return NULL;
}

static void silent(void *context, const http_request *request, http_reply *reply) {
    (void)context;
    if (strcmp(request->path, "/silent/stream") == 0) http_reply_begin(reply, 200, "text/event-stream");
    start_thread(wait_until_gone, reply);
}

static void hold(void *context, const http_request *request, http_reply *reply) {
    (void)context;
    (void)request;
    atomic_fetch_add(&app.n_handled, 1);
    atomic_store(&app.held, reply);
}

static const http_route routes[] = {
    {"GET", "/", true, show_page},       {"GET", "/health", true, echo},    {"POST", "/echo", false, echo},
    {"GET", "/echo", false, echo},       {"GET", "/below/*", false, echo},  {"GET", "/later", false, later},
    {"GET", "/stream", false, stream},   {"GET", "/endless", false, endless}, {"GET", "/silent/*", false, silent},
    {"GET", "/hold", false, hold},       {NULL, NULL, false, NULL},
};

static http_server *start(http_options *options) {
    http_server *server = NULL;
    ex_error error = {0};
    memset(&app, 0, sizeof app);
    options->port = 0;
    assert_ok(http_open(&server, options, routes, NULL, &error), &error);
    assert_int_not_equal(http_port(server), 0);
    return server;
}

static http_server *start_plain(void) {
    http_options options = http_options_default();
    return start(&options);
}

static void stop(http_server *server) {
    http_close(server);
    assert_true(wait_for(&app.n_running, 0));
}

/* ---- answers ---- */

static void test_whole_answers(void **state) {
    (void)state;
    http_server *server = start_plain();
    http_answer_read answer;
    assert_int_equal(client_exchange(http_port(server), "GET", "/", NULL, NULL, &answer), 200);
    assert_string_equal(answer.body, page);
    assert_string_equal(answer_header(&answer, "Content-Type"), "text/html; charset=utf-8");
    assert_string_equal(answer_header(&answer, "X-Content-Type-Options"), "nosniff");
    assert_non_null(strstr(answer_header(&answer, "Content-Security-Policy"), "default-src 'none'; script-src 'self'"));
    assert_string_equal(answer_header(&answer, "Referrer-Policy"), "no-referrer");
    assert_string_equal(answer_header(&answer, "Cache-Control"), "no-cache");
    assert_null(answer_header(&answer, "Server"));
    assert_null(answer_header(&answer, "Access-Control-Allow-Origin"));
    answer_free(&answer);

    assert_int_equal(client_exchange(http_port(server), "HEAD", "/", NULL, NULL, &answer), 200);
    assert_int_equal(strtoul(answer_header(&answer, "Content-Length"), NULL, 10), sizeof page - 1);
    answer_free(&answer);

    assert_int_equal(client_exchange(http_port(server), "POST", "/echo", NULL, "{\"a\":1}", &answer), 200);
    assert_string_equal(answer.body, "{\"a\":1}");
    assert_string_equal(answer_header(&answer, "Cache-Control"), "max-age=1");
    answer_free(&answer);

    assert_int_equal(client_exchange(http_port(server), "GET", "/below/a%2eb?x=%zz", NULL, NULL, &answer), 200);
    assert_string_equal(answer_header(&answer, "X-Path"), "/below/a.b");
    answer_free(&answer);

    assert_int_equal(client_exchange(http_port(server), "GET", "/later", NULL, NULL, &answer), 201);
    assert_string_equal(answer.body, "later");
    answer_free(&answer);
    stop(server);
}

static void test_streams(void **state) {
    (void)state;
    http_server *server = start_plain();
    http_client client;
    http_answer_read answer;
    char line[64], expected[64];
    assert_true(client_open(&client, http_port(server)));
    for (int round = 0; round < 3; round++) { /* on one connection */
        assert_true(client_ask(&client, "GET", "/stream", NULL, NULL));
        assert_int_equal(client_read_head(&client, &answer), 200);
        assert_string_equal(answer_header(&answer, "Content-Type"), "text/event-stream; charset=utf-8");
        assert_string_equal(answer_header(&answer, "Cache-Control"), "no-cache");
        assert_string_equal(answer_header(&answer, "X-Accel-Buffering"), "no");
        for (int i = 0; i < 5; i++) {
            assert_true(client_read_line(&client, line, sizeof line));
            snprintf(expected, sizeof expected, "data: %d", i);
            assert_string_equal(line, expected);
        }
        assert_false(client_read_line(&client, line, sizeof line));
        assert_true(client.is_done);
        answer_free(&answer);
    }
    client_close(&client);
    stop(server);
}

static void test_gone_clients(void **state) {
    (void)state;
    static const char *const paths[] = {"/endless", "/silent/stream", "/silent/plain"};
    http_server *server = start_plain();
    for (int i = 0; i < 3; i++) {
        http_client client;
        http_answer_read answer = {0};
        assert_true(client_open(&client, http_port(server)));
        assert_true(client_ask(&client, "GET", paths[i], NULL, NULL));
        if (i < 2) assert_int_equal(client_read_head(&client, &answer), 200);
        else assert_true(wait_for(&app.n_handled, 3));
        client_close(&client);
        assert_true(wait_for(&app.n_gone, i + 1));
        answer_free(&answer);
    }
    assert_true(wait_for(&app.n_running, 0));
    stop(server);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_answers),
        cmocka_unit_test(test_streams),
        cmocka_unit_test(test_gone_clients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
