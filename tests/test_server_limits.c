/* test_server_limits.c - the web side of the server when it is too much: sizes, slow clients, many clients, clients
 * that do not read; how it ends; TLS. */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "http_application.h"
#include "http_client.h"
#include "support.h"

/* The thread sanitizer keeps several bytes for each that is touched. */
#if defined(__SANITIZE_THREAD__)
enum { BYTES_OF_A_CONNECTION = 1 << 20 };
#else
enum { BYTES_OF_A_CONNECTION = 1 << 16 };
#endif

#define POST_LINES "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"

static http_options small_options(void) {
    http_options options = http_options_default();
    options.limits.header_bytes = 4096;
    options.limits.body_bytes = 10000;
    options.limits.idle_seconds = 1;
    options.limits.request_seconds = 1;
    options.limits.unsent_bytes = 100000;
    return options;
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* ---- sizes ---- */

static char *repeat(char c, size_t count) {
    char *text = malloc(count + 1);
    assert_non_null(text);
    memset(text, c, count);
    text[count] = 0;
    return text;
}

/* before + count times c + after; the status, and whether its error has the shape of the API's. */
static int ask_long(http_server *server, const char *before, size_t count, const char *after, bool is_ours) {
    http_client client;
    http_answer_read answer;
    char *middle = repeat('a', count);
    assert_true(client_open(&client, http_port(server)));
    client_send(&client, before);
    client_send(&client, middle);
    client_send(&client, after);
    int status = client_read(&client, &answer, false);
    if (is_ours && status >= 400) {
        assert_non_null(answer.body);
        assert_int_equal(strncmp(answer.body, "{\"error\":{\"code\":", 17), 0);
        assert_true(client_sees_end(&client, 5000));
    }
    answer_free(&answer);
    client_close(&client);
    free(middle);
    return status;
}

static void test_sizes(void **state) {
    (void)state;
    http_options options = small_options();
    http_server *server = start(&options);
    static const char lines[] = "GET / HTTP/1.1\r\nHost: localhost\r\nX-A: ", path[] = "GET /?";
    static const char after_path[] = " HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_int_equal(ask_long(server, lines, 4000, "\r\n\r\n", true), 200);
    assert_int_equal(ask_long(server, lines, 4096, "\r\n\r\n", true), 431);
    assert_int_equal(ask_long(server, lines, 1 << 20, "\r\n\r\n", false), 431);
    assert_int_equal(ask_long(server, path, 3900, after_path, true), 200);
    assert_int_equal(ask_long(server, path, 4200, after_path, true), 414);
    assert_int_equal(ask_long(server, path, 1 << 20, after_path, false), 414);
    assert_int_equal(ask_long(server, POST_LINES "Content-Length: 10000\r\n\r\n", 10000, "", true), 200);
    assert_int_equal(ask_long(server, POST_LINES "Content-Length: 10001\r\n\r\n", 10001, "", true), 413);
    assert_int_equal(ask_long(server, POST_LINES "Content-Length: 9000000000\r\n\r\n", 0, "", true), 413);
    static const char expects[] = POST_LINES "Content-Length: 10001\r\nExpect: 100-continue\r\n\r\n";
    assert_int_equal(ask_long(server, expects, 0, "", true), 413);
    static const char chunks[] = POST_LINES "Transfer-Encoding: chunked\r\n\r\n";
    char begin[200];
    snprintf(begin, sizeof begin, "%s2710\r\n", chunks);
    assert_int_equal(ask_long(server, begin, 10000, "\r\n0\r\n\r\n", true), 200);
    snprintf(begin, sizeof begin, "%s2711\r\n", chunks);
    assert_int_equal(ask_long(server, begin, 10001, "\r\n0\r\n\r\n", true), 413);
    snprintf(begin, sizeof begin, "%s100000\r\n", chunks);
    assert_int_equal(ask_long(server, begin, 1 << 20, "\r\n", true), 413);
    assert_int_equal(ask_long(server, begin, 100000, "", true), 413); /* and never ends */
    stop(server);
}

/* A header in pieces of any size is read as the same header. */
static void test_pieces(void **state) {
    (void)state;
    http_server *server = start_plain();
    char text[16384];
    size_t length = (size_t)snprintf(text, sizeof text, "POST /echo HTTP/1.1\r\nHost:   localhost\r\nX-Empty:\r\n");
    for (int i = 0; i < 60; i++) {
        int n = snprintf(text + length, sizeof text - length, "X-Header-%d: %0*d\r\n", i, 7 * i % 251 + 1, i);
        length += (size_t)n;
    }
    length += (size_t)snprintf(text + length, sizeof text - length,
                               "Content-Type: application/json\r\nContent-Length: 4\r\n\r\n[10]");
    static const size_t pieces[] = {16384, 4096, 1000, 333, 101, 37};
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        http_client client;
        http_answer_read answer;
        assert_true(client_open(&client, http_port(server)));
        for (int round = 0; round < 2; round++) {
            for (size_t at = 0; at < length; at += pieces[i]) {
                size_t n = length - at < pieces[i] ? length - at : pieces[i];
                assert_true(client_send_bytes(&client, text + at, n));
                if (pieces[i] > 100) rest(1);
            }
            assert_int_equal(client_read(&client, &answer, false), 200);
            assert_string_equal(answer.body, "[10]");
            answer_free(&answer);
        }
        client_close(&client);
    }
    stop(server);
}

/* ---- slow clients ---- */

typedef struct drip {
    const char *begin, *byte;
    uint16_t port;
    double seconds;
    http_answer_read answer;
    bool has_ended;
} drip;

/* Sends a byte now and then until the server has enough of it. */
static void *send_slowly(void *context) {
    drip *slow = context;
    http_client client;
    if (!client_open(&client, slow->port)) return NULL;
    client_send(&client, slow->begin);
    double begun = now();
    for (int i = 0; i < 60; i++) {
        char waste;
        if (recv(client.socket, &waste, 1, MSG_PEEK | MSG_DONTWAIT) >= 0) break;
        if (!client_send(&client, slow->byte)) break;
        rest(100);
    }
    slow->seconds = now() - begun;
    client_read(&client, &slow->answer, false);
    slow->has_ended = client_sees_end(&client, 5000);
    client_close(&client);
    return NULL;
}

static void test_slow_clients(void **state) {
    (void)state;
    http_options options = small_options();
    http_server *server = start(&options);
    drip rows[] = {
        {.begin = "GET / HTTP/1.1\r\nHost: localhost\r\nX-A: ", .byte = "a"},
        {.begin = "GET / HTTP/1.1\r\n", .byte = "X-A: b\r\n"},
        {.begin = "\r\n", .byte = "\r\n"},
        {.begin = "G", .byte = "E"},
        {.begin = POST_LINES "Content-Length: 1000\r\n\r\n", .byte = "x"},
        {.begin = POST_LINES "Transfer-Encoding: chunked\r\n\r\n", .byte = "1\r\nx\r\n"},
        {.begin = POST_LINES "Transfer-Encoding: chunked\r\n\r\n1;", .byte = "x"},
        {.begin = "POST /nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n", .byte = "x"},
    };
    enum { ROWS = sizeof rows / sizeof rows[0] };
    pthread_t threads[ROWS];
    for (size_t i = 0; i < ROWS; i++) {
        rows[i].port = http_port(server);
        assert_int_equal(pthread_create(&threads[i], NULL, send_slowly, &rows[i]), 0);
    }
    for (size_t i = 0; i < ROWS; i++) pthread_join(threads[i], NULL);
    for (size_t i = 0; i < ROWS; i++) {
        if (rows[i].answer.status != 408 || !rows[i].has_ended) fail_msg("row %zu: %d", i, rows[i].answer.status);
        if (rows[i].seconds < 0.8 || rows[i].seconds > 4) fail_msg("row %zu: %g s", i, rows[i].seconds);
        assert_non_null(strstr(rows[i].answer.body, "\"code\":408"));
        answer_free(&rows[i].answer);
    }
    stop(server);
}

static void test_idle_clients(void **state) {
    (void)state;
    static const char *const begins[] = {"", "GET / HTT", POST_LINES "Content-Length: 10\r\n\r\nab"};
    http_options options = small_options();
    options.limits.request_seconds = 100;
    http_server *server = start(&options);
    http_client clients[3];
    for (size_t i = 0; i < 3; i++) {
        assert_true(client_open(&clients[i], http_port(server)));
        client_send(&clients[i], begins[i]);
    }
    assert_false(client_sees_end(&clients[0], 500));
    for (size_t i = 0; i < 3; i++) {
        assert_true(client_sees_end(&clients[i], 5000));
        client_close(&clients[i]);
    }
    stop(server);
}

/* A line of a chunk that never ends fills the library's buffer; the others do not notice, nor does the processor. */
static void test_stuck_line(void **state) {
    (void)state;
    http_options options = small_options();
    options.limits.request_seconds = 2;
    http_server *server = start(&options);
    http_client client;
    http_answer_read answer;
    char *line = repeat('f', 200000);
    assert_true(client_open(&client, http_port(server)));
    client_send(&client, POST_LINES "Transfer-Encoding: chunked\r\n\r\n2;");
    client_send(&client, line);
    free(line);
    struct rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    rest(1000);
    getrusage(RUSAGE_SELF, &after);
    double seconds = (double)(after.ru_utime.tv_sec - before.ru_utime.tv_sec) +
                     1e-6 * (double)(after.ru_utime.tv_usec - before.ru_utime.tv_usec);
    assert_true(seconds < 0.5);
    assert_int_equal(client_exchange(http_port(server), "GET", "/later", NULL, NULL, &answer), 201);
    answer_free(&answer);
    assert_true(client_sees_end(&client, 5000));
    client_close(&client);
    stop(server);
}

/* ---- clients that do not read ---- */

static void test_stalled_reader(void **state) {
    (void)state;
    http_options options = small_options();
    options.limits.idle_seconds = 100;
    http_server *server = start(&options);
    http_client stalled, other;
    http_answer_read answer;
    char part[4096];
    assert_true(client_open(&stalled, http_port(server)));
    int few = 4096;
    setsockopt(stalled.socket, SOL_SOCKET, SO_RCVBUF, &few, sizeof few);
    assert_true(client_ask(&stalled, "GET", "/endless", NULL, NULL));
    assert_true(client_open(&other, http_port(server)));
    assert_true(client_ask(&other, "GET", "/endless", NULL, NULL));
    assert_int_equal(client_read_head(&other, &answer), 200);
    double begun = now();
    while (atomic_load(&app.n_gone) == 0 && now() - begun < 30)
        assert_true(client_read_part(&other, part, sizeof part) > 0);
    assert_int_equal(atomic_load(&app.n_gone), 1);
    for (int i = 0; i < 10; i++) assert_true(client_read_part(&other, part, sizeof part) > 0);
    client_close(&other);
    assert_true(wait_for(&app.n_gone, 2));
    assert_true(client_sees_end(&stalled, 5000));
    client_close(&stalled);
    answer_free(&answer);
    stop(server);
}

/* ---- many clients ---- */

static size_t resident_bytes(void) {
    size_t pages = 0, total = 0;
    FILE *in = fopen("/proc/self/statm", "r");
    if (in && fscanf(in, "%zu %zu", &total, &pages) != 2) pages = 0;
    if (in) fclose(in);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void raise_limit(void) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

/* Another process opens so many connections, begins a request on each, and keeps them until its input ends. */
static pid_t crowd(uint16_t port, int count, const char *begin, int *input) {
    int in[2], out[2], n = 0;
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(in[1]);
        for (http_client client; n < count && client_open(&client, port); n++) client_send(&client, begin);
        char waste;
        bool is_told = write(out[1], &n, sizeof n) == sizeof n;
        is_told = read(in[0], &waste, 1) == 0 && is_told;
        _exit(is_told ? 0 : 1);
    }
    close(in[0]);
    close(out[1]);
    assert_int_equal(read(out[0], &n, sizeof n), sizeof n);
    close(out[0]);
    if (n < count) print_message("%d of %d connections\n", n, count);
    *input = in[1];
    return child;
}

static void dismiss(pid_t child, int input) {
    int status;
    close(input);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void check_still_serves(http_server *server, http_client *streaming) {
    http_answer_read answer;
    char part[4096];
    for (int i = 0; i < 20; i++) {
        assert_int_equal(client_exchange(http_port(server), "GET", "/later", NULL, NULL, &answer), 201);
        answer_free(&answer);
        assert_true(client_read_part(streaming, part, sizeof part) > 0);
    }
}

/* Idle clients, and such as begin a request and stop, make room for those that ask. */
static void test_crowd_beyond_limits(void **state) {
    (void)state;
    static const char *const begins[] = {"", "GET / HTTP/1.1\r\nHost: loc"};
    raise_limit();
    http_options options = http_options_default();
    options.limits.connections = 128;
    options.limits.connections_per_address = 100;
    http_server *server = start(&options);
    http_client streaming;
    http_answer_read answer;
    assert_true(client_open(&streaming, http_port(server)));
    assert_true(client_ask(&streaming, "GET", "/ticks", NULL, NULL));
    assert_int_equal(client_read_head(&streaming, &answer), 200);
    answer_free(&answer);
    for (int i = 0; i < 2; i++) {
        int input;
        pid_t child = crowd(http_port(server), 3000, begins[i], &input);
        check_still_serves(server, &streaming);
        http_counts counts = http_count(server);
        assert_true(counts.open <= 100);
        assert_true(counts.refused >= 2900);
        dismiss(child, input);
    }
    client_close(&streaming);
    assert_true(wait_for(&app.n_gone, 1));
    stop(server);
}

static void test_ten_thousand(void **state) {
    (void)state;
    static const char *const begins[] = {"", "GET / HTTP/1.1\r\nHost: loc"};
    struct rlimit limit;
    raise_limit();
    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < 10200) test_skip("the limit of open files is too low");
    http_options options = http_options_default();
    options.limits.connections = options.limits.connections_per_address = 11000;
    http_server *server = start(&options);
    http_client streaming;
    http_answer_read answer;
    assert_true(client_open(&streaming, http_port(server)));
    assert_true(client_ask(&streaming, "GET", "/ticks", NULL, NULL));
    assert_int_equal(client_read_head(&streaming, &answer), 200);
    answer_free(&answer);
    for (int i = 0; i < 2; i++) {
        int input;
        size_t before = resident_bytes();
        pid_t child = crowd(http_port(server), 10000, begins[i], &input);
        check_still_serves(server, &streaming);
        size_t after = resident_bytes();
        print_message("%zu connections: %zu bytes each\n", http_count(server).open, (after - before) / 10000);
        assert_true(http_count(server).open >= 10000);
        assert_true(after < before + (size_t)BYTES_OF_A_CONNECTION * 10000);
        dismiss(child, input);
        for (int j = 0; j < 1000 && http_count(server).open > 10; j++) rest(10);
        assert_true(http_count(server).open <= 10);
    }
    client_close(&streaming);
    assert_true(wait_for(&app.n_gone, 1));
    stop(server);
}

/* All busy: a new one is told so. */
static void test_no_room(void **state) {
    (void)state;
    http_options options = http_options_default();
    options.limits.connections = 3;
    http_server *server = start(&options);
    http_client busy[3], client;
    http_answer_read answer;
    for (int i = 0; i < 3; i++) {
        assert_true(client_open(&busy[i], http_port(server)));
        assert_true(client_ask(&busy[i], "GET", "/silent/stream", NULL, NULL));
        assert_int_equal(client_read_head(&busy[i], &answer), 200);
        answer_free(&answer);
    }
    assert_true(client_open(&client, http_port(server)));
    assert_int_equal(client_read(&client, &answer, false), 503);
    assert_string_equal(answer_header(&answer, "Retry-After"), "1");
    assert_non_null(strstr(answer.body, "unavailable_error"));
    assert_true(client_sees_end(&client, 5000));
    client_close(&client);
    answer_free(&answer);
    for (int i = 0; i < 3; i++) client_close(&busy[i]);
    assert_true(wait_for(&app.n_gone, 3));
    assert_int_equal(client_exchange(http_port(server), "GET", "/", NULL, NULL, &answer), 200);
    answer_free(&answer);
    stop(server);
}

/* Many that come, read a little and go, at once. */
static void *come_and_go(void *context) {
    http_server *server = context;
    static const char *const paths[] = {"/stream", "/endless", "/silent/stream", "/later", "/"};
    uint64_t random = (uint64_t)(uintptr_t)&random;
    for (int i = 0; i < 60; i++) {
        http_client client;
        http_answer_read answer = {0};
        char part[256];
        if (!client_open(&client, http_port(server))) continue;
        int path = (int)random_between(&random, 0, 5);
        client_ask(&client, "GET", paths[path], NULL, NULL);
        int reads = (int)random_between(&random, 0, 4);
        if (reads > 0 && path != 2) client_read_head(&client, &answer);
        for (int j = 1; j < reads && path != 2; j++) client_read_part(&client, part, sizeof part);
        client_close(&client);
        answer_free(&answer);
    }
    return NULL;
}

static void test_coming_and_going(void **state) {
    (void)state;
    http_server *server = start_plain();
    http_client idle; /* the oldest of all, so that no other is closed just because it has timed out */
    assert_true(client_open(&idle, http_port(server)));
    pthread_t threads[8];
    for (int i = 0; i < 8; i++) assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, server), 0);
    for (int i = 0; i < 8; i++) pthread_join(threads[i], NULL);
    assert_true(wait_for(&app.n_running, 0));
    for (int i = 0; i < 500 && http_count(server).open > 1; i++) rest(10);
    assert_int_equal(http_count(server).open, 1);
    client_close(&idle);
    stop(server);
}

/* ---- the end ---- */

static void test_quiet_end(void **state) {
    (void)state;
    http_server *server = start_plain();
    http_client streaming, idle, late;
    http_answer_read answer;
    char line[64];
    assert_true(client_open(&idle, http_port(server)));
    assert_true(client_open(&streaming, http_port(server)));
    assert_true(client_ask(&streaming, "GET", "/stream", NULL, NULL));
    assert_int_equal(client_read_head(&streaming, &answer), 200);
    answer_free(&answer);
    http_quiesce(server);
    assert_true(client_sees_end(&idle, 5000));
    int n = 0;
    while (client_read_line(&streaming, line, sizeof line)) n++;
    assert_true(streaming.is_done);
    assert_int_equal(n, 5);
    assert_false(client_open(&late, http_port(server)));
    client_close(&streaming);
    client_close(&idle);
    stop(server);
}

/* Replies that outlive the server are gone, and may still be used. */
static void test_close_with_replies(void **state) {
    (void)state;
    http_server *server = start_plain();
    http_client clients[3];
    static const char *const paths[] = {"/hold", "/endless", "/silent/stream"};
    for (int i = 0; i < 3; i++) {
        assert_true(client_open(&clients[i], http_port(server)));
        assert_true(client_ask(&clients[i], "GET", paths[i], NULL, NULL));
    }
    assert_true(wait_for(&app.n_handled, 3));
    http_close(server);
    assert_true(wait_for(&app.n_running, 0));
    http_reply *held = atomic_load(&app.held);
    assert_true(http_reply_is_gone(held));
    http_reply_header(held, "X-A", "b");
    http_reply_begin(held, 200, "text/plain");
    assert_false(http_reply_write(held, "x", 1));
    http_reply_end(held);
    for (int i = 0; i < 3; i++) {
        assert_true(client_sees_end(&clients[i], 5000));
        client_close(&clients[i]);
    }
}

static void test_bad_options(void **state) {
    (void)state;
    static const char *const empty[] = {""};
    http_server *server = NULL, *second = NULL;
    ex_error error;
    static const http_route none[] = {{NULL, NULL, false, NULL}};
    http_options options = http_options_default();
    options.port = 0;
    options.keys = empty;
    options.n_keys = 1;
    assert_int_equal(http_open(&server, &options, none, NULL, &error), EX_ERROR_ARGUMENT);
    options.n_keys = 0;
    options.certificate = "x";
    assert_int_equal(http_open(&server, &options, none, NULL, &error), EX_ERROR_ARGUMENT);
    options.private_key = "y";
    assert_int_not_equal(http_open(&server, &options, none, NULL, &error), EX_OK);
    options.certificate = options.private_key = NULL;
    options.host = "no such host.";
    assert_int_equal(http_open(&server, &options, none, NULL, &error), EX_ERROR_ARGUMENT);
    options.host = "127.0.0.1";
    assert_ok(http_open(&server, &options, none, NULL, &error), &error);
    options.port = http_port(server);
    assert_int_equal(http_open(&second, &options, none, NULL, &error), EX_ERROR_IO);
    assert_null(second);
    assert_non_null(strstr(error.message, "127.0.0.1 port"));
    http_close(server);
}

/* ---- TLS ---- */

static char *output_of(const char *command) {
    FILE *in = popen(command, "r");
    char *text = calloc(1, 65536);
    assert_non_null(in);
    assert_non_null(text);
    size_t n = fread(text, 1, 65535, in);
    text[n] = 0;
    pclose(in);
    return text;
}

static void test_tls(void **state) {
    (void)state;
    char *pem = output_of("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout - "
                          "-subj /CN=localhost -days 2 2>/dev/null");
    const char *certificate = strstr(pem, "-----BEGIN CERTIFICATE-----");
    if (!certificate || !strstr(pem, "PRIVATE KEY-----")) {
        free(pem);
        test_skip("openssl cannot make a certificate here");
    }
    http_options options = http_options_default();
    options.certificate = options.private_key = pem;
    http_server *server = start(&options);
    static const struct { const char *path, *expected; } rows[] = {
        {"/", "HTTP/1.1 200 OK"}, {"/stream", "data: 4"}, {"/later", "later"}, {"/nothing", "not_found_error"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char command[400];
        snprintf(command, sizeof command,
                 "printf 'GET %s HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n' | "
                 "timeout 10 openssl s_client -quiet -no_ign_eof -ign_eof -connect 127.0.0.1:%u 2>/dev/null",
                 rows[i].path, http_port(server));
        char *text = output_of(command);
        if (!strstr(text, rows[i].expected)) fail_msg("%s: %s", rows[i].path, text);
        free(text);
    }
    http_client client; /* without TLS */
    assert_true(client_open(&client, http_port(server)));
    client_ask(&client, "GET", "/", NULL, NULL);
    assert_true(client_sees_end(&client, 5000));
    client_close(&client);
    stop(server);
    free(pem);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_slow_clients),
        cmocka_unit_test(test_idle_clients),
        cmocka_unit_test(test_stuck_line),
        cmocka_unit_test(test_stalled_reader),
        cmocka_unit_test(test_crowd_beyond_limits),
        cmocka_unit_test(test_ten_thousand),
        cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_coming_and_going),
        cmocka_unit_test(test_quiet_end),
        cmocka_unit_test(test_close_with_replies),
        cmocka_unit_test(test_bad_options),
        cmocka_unit_test(test_tls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
