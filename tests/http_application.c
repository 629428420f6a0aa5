/* http_application.c - a small application for tests of the web side of the server. */
#include "http_application.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "support.h"

application app;

void rest(int milliseconds) {
    struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000L};
    nanosleep(&time, NULL);
}

bool wait_for(atomic_int *value, int expected) {
    for (int i = 0; i < 1000; i++, rest(10))
        if (atomic_load(value) == expected) return true;
    return false;
}

const char page[] = "<!doctype html><title>t</title>";

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

static void write_until_gone(http_reply *reply, size_t size, int milliseconds) {
    char part[1000];
    memset(part, 'x', sizeof part);
    part[size - 1] = '\n';
    http_reply_begin(reply, 200, "text/plain");
    while (http_reply_write(reply, part, size)) rest(milliseconds);
    assert_true(http_reply_is_gone(reply));
    atomic_fetch_add(&app.n_gone, 1);
    http_reply_end(reply);
    atomic_fetch_sub(&app.n_running, 1);
}

static void *write_much(void *reply) {
    write_until_gone(reply, 1000, 1);
    return NULL;
}

static void *write_little(void *reply) {
    write_until_gone(reply, 50, 10);
    return NULL;
}

static void endless(void *context, const http_request *request, http_reply *reply) {
    (void)context;
    start_thread(strcmp(request->path, "/ticks") == 0 ? write_little : write_much, reply);
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
    {"GET", "/hold", false, hold},       {"GET", "/ticks", false, endless},   {NULL, NULL, false, NULL},
};

http_server *start(http_options *options) {
    http_server *server = NULL;
    ex_error error = {0};
    memset(&app, 0, sizeof app);
    options->port = 0;
    assert_ok(http_open(&server, options, routes, NULL, &error), &error);
    assert_int_not_equal(http_port(server), 0);
    return server;
}

http_server *start_plain(void) {
    http_options options = http_options_default();
    return start(&options);
}

void stop(http_server *server) {
    http_close(server);
    assert_true(wait_for(&app.n_running, 0));
}
