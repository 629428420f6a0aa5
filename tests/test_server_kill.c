/* test_server_kill.c - the program `entropix serve` with the shipped model among clients that are rude, while two that
 * behave read their streams: their text stays what it is undisturbed, memory stays bounded, descriptors come back. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http_client.h"
#include "server_program.h"
#include "support.h"

#define FIRST "Authorization: Bearer first-key\r\n"
#define SECOND "Authorization: Bearer second-key\r\n"
#define POST_LINES "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" FIRST
#define STREAM "{\"prompt\":\"The sea is\",\"max_tokens\":350,\"temperature\":0,\"stream\":true}"

enum { CROWD = 10000, TEXT_BYTES = 1 << 20, GROWTH_KB = 200 * 1024 };

static server_program start(void) {
    return server_program_start(
        (const char *const[]){"--api-key", "first-key", "--api-key", "second-key", "--grace", "60", NULL});
}

static size_t resident_kb(server_program server) {
    char path[64], line[200];
    size_t kb = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)server.pid);
    FILE *in = fopen(path, "r");
    while (in && fgets(line, sizeof line, in))
        if (sscanf(line, "VmRSS: %zu", &kb) == 1) break;
    if (in) fclose(in);
    return kb;
}

static int descriptors(server_program server) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/fd", (int)server.pid);
    return count_files(path);
}

/* ---- streams that behave ---- */

typedef struct stream {
    pthread_t thread;
    uint16_t port;
    char *text;
    int status;
    bool is_whole;
} stream;

/* The words of an event, without what differs from request to request. */
static void add_words(char *text, const char *line) {
    const char *words = strstr(line, "\"text\":");
    const char *end = words ? strstr(words, "\"logprobs\"") : NULL;
    size_t length = strlen(text);
    if (end) snprintf(text + length, TEXT_BYTES - length, "%.*s", (int)(end - words), words);
}

static void *read_stream(void *context) {
    stream *reader = context;
    http_client client;
    http_answer_read answer;
    char line[8192];
    if (!client_open(&client, reader->port)) return NULL;
    client_ask(&client, "POST", "/v1/completions", FIRST, STREAM);
    reader->status = client_read_head(&client, &answer);
    while (client_read_line(&client, line, sizeof line)) {
        if (strcmp(line, "data: [DONE]") == 0) reader->is_whole = true;
        add_words(reader->text, line);
    }
    answer_free(&answer);
    client_close(&client);
    return NULL;
}

static void begin_stream(stream *reader, server_program server) {
    *reader = (stream){.port = server.port, .text = calloc(1, TEXT_BYTES)};
    assert_non_null(reader->text);
    assert_int_equal(pthread_create(&reader->thread, NULL, read_stream, reader), 0);
}

static char *end_stream(stream *reader) {
    pthread_join(reader->thread, NULL);
    assert_int_equal(reader->status, 200);
    assert_true(reader->is_whole);
    assert_true(strlen(reader->text) > 1000);
    return reader->text;
}

/* ---- rude clients ---- */

enum { CLIENTS = 12 };

static void open_all(http_client *clients, server_program server, const char *text) {
    for (int i = 0; i < CLIENTS; i++) {
        assert_true(client_open(&clients[i], server.port));
        int few = 2048;
        setsockopt(clients[i].socket, SOL_SOCKET, SO_RCVBUF, &few, sizeof few);
        if (text) client_send(&clients[i], text);
        else client_ask(&clients[i], "POST", "/v1/completions", FIRST, STREAM);
    }
}

static void close_all(http_client *clients) {
    for (int i = 0; i < CLIENTS; i++) client_close(&clients[i]);
}

static void leave(server_program server) {
    http_client clients[CLIENTS];
    char part[64];
    open_all(clients, server, NULL);
    for (int i = 0; i < CLIENTS; i++) {
        http_answer_read answer;
        if (i % 2 == 0) continue;
        assert_int_equal(client_read_head(&clients[i], &answer), 200);
        assert_true(client_read_part(&clients[i], part, sizeof part) > 0);
        answer_free(&answer);
    }
    close_all(clients);
}

static void read_nothing(server_program server) {
    http_client clients[CLIENTS];
    open_all(clients, server, NULL);
    rest(1500);
    close_all(clients);
}

static void drip(server_program server) {
    http_client clients[CLIENTS];
    open_all(clients, server, "GET /health HTTP/1.1\r\nX-A: ");
    for (int second = 0; second < 2; second++, rest(1000))
        for (int i = 0; i < CLIENTS; i++) assert_true(client_send(&clients[i], "a"));
    close_all(clients);
}

static void ask_half(server_program server) {
    http_client clients[CLIENTS];
    open_all(clients, server, POST_LINES "Content-Length: 1000\r\n\r\n{\"prompt\":");
    rest(1000);
    close_all(clients);
}

static void send_too_much(server_program server) {
    http_client clients[CLIENTS];
    open_all(clients, server, POST_LINES "Content-Length: 8388609\r\n\r\n{");
    for (int i = 0; i < CLIENTS; i++) {
        http_answer_read answer;
        assert_int_equal(client_read(&clients[i], &answer, false), 413);
        assert_true(client_sees_end(&clients[i], 5000));
        answer_free(&answer);
    }
    close_all(clients);
}

static void hold_idle(server_program server) {
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    int count = limit.rlim_cur > CROWD + 100 ? CROWD : (int)limit.rlim_cur - 100, n = 0;
    http_client *clients = calloc((size_t)count, sizeof *clients);
    assert_non_null(clients);
    while (n < count && client_open(&clients[n], server.port)) n++;
    print_message("%d idle connections, %d descriptors of the server\n", n, descriptors(server));
    assert_int_equal(n, count);
    assert_true(descriptors(server) < 400);
    for (int i = 0; i < n; i++) client_close(&clients[i]);
    free(clients);
}

static void test_rude_clients(void **state) {
    (void)state;
    static const struct { const char *name; void (*disturb)(server_program); } rows[] = {
        {"leave", leave}, {"read nothing", read_nothing}, {"drip", drip}, {"half", ask_half},
        {"too much", send_too_much}, {"idle", hold_idle}};
    server_program server = start();
    stream alone, readers[2];
    begin_stream(&alone, server);
    char *expected = end_stream(&alone);
    rest(200);
    const int before = descriptors(server);
    const size_t kb = resident_kb(server);
    assert_true(before > 0 && kb > 0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (int j = 0; j < 2; j++) begin_stream(&readers[j], server);
        rest(100);
        rows[i].disturb(server);
        for (int j = 0; j < 2; j++) {
            char *text = end_stream(&readers[j]);
            if (strcmp(text, expected) != 0) fail_msg("%s: another text", rows[i].name);
            free(text);
        }
        for (int j = 0; j < 1000 && descriptors(server) > before; j++) rest(10);
        if (descriptors(server) > before) fail_msg("%s: %d descriptors", rows[i].name, descriptors(server) - before);
        const size_t grown = resident_kb(server);
        if (grown > kb + GROWTH_KB) fail_msg("%s: %zu kB more", rows[i].name, grown - kb);
    }
    free(expected);
    assert_int_equal(server_program_stop(server), 0);
}

/* ---- signals ---- */

static void test_signals(void **state) {
    (void)state;
    for (int n_signals = 1; n_signals <= 2; n_signals++) {
        server_program server = start();
        stream reader;
        begin_stream(&reader, server);
        rest(300);
        kill(server.pid, SIGTERM);
        rest(100);
        if (n_signals == 2) kill(server.pid, SIGTERM);
        const int status = server_program_wait(server);
        if (n_signals == 1) {
            end_stream(&reader);
            assert_int_equal(status, 0);
        } else {
            pthread_join(reader.thread, NULL);
            assert_int_equal(status, 128 + SIGTERM);
            assert_false(reader.is_whole);
        }
        free(reader.text);
    }
}

/* ---- keys ---- */

static int cached(server_program server, const char *key) {
    char body[2048] = "{\"max_tokens\":1,\"prompt\":\"";
    for (int i = 0; i < 60; i++) strcat(body, "The sea is wide and deep. ");
    strcat(body, "\"}");
    http_answer_read answer;
    assert_int_equal(client_exchange(server.port, "POST", "/v1/completions", key, body, &answer), 200);
    const char *at = strstr(answer.body, "\"cached_tokens\":");
    assert_non_null(at);
    const int n = (int)strtol(at + 16, NULL, 10);
    answer_free(&answer);
    return n;
}

static void test_keys(void **state) {
    (void)state;
    server_program server = start();
    const int first = cached(server, FIRST), other = cached(server, SECOND), again = cached(server, FIRST);
    static const char *const wrong[] = {"", "X-Api-Key: first-ke\r\n", "X-Api-Key: first-keY\r\n",
                                        "X-Api-Key: Xirst-key\r\n", "X-Api-Key: first-keysecond-key\r\n"};
    int statuses[5];
    for (int i = 0; i < 5; i++) {
        http_answer_read answer;
        statuses[i] = client_exchange(server.port, "GET", "/v1/models", wrong[i], NULL, &answer);
        answer_free(&answer);
    }
    assert_int_equal(server_program_stop(server), 0);
    assert_int_equal(first, 0);
    assert_int_equal(other, 0);
    assert_true(again > 100);
    for (int i = 0; i < 5; i++) assert_int_equal(statuses[i], 401);
}

/* ---- requests that could be read in two ways; test_server_http.c has more, without the program ---- */

/* Sends the text and a good request after it: the first is refused, the second is never answered, and the connection
 * ends. Where a Content-Length is no number, libmicrohttpd 0.9 sends the head of its own refusal twice before it
 * closes; so what follows the first head is searched for an answer to the second request, not expected to be empty. */
static bool is_refused(server_program server, const char *name, const char *text) {
    http_client client;
    char answer[8192] = "";
    size_t length = 0;
    ssize_t n = 0;
    if (!client_open(&client, server.port)) return false;
    client_send(&client, text);
    client_send(&client, "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
    while (length + 1 < sizeof answer &&
           (n = recv(client.socket, answer + length, sizeof answer - 1 - length, 0)) > 0)
        length += (size_t)n;
    const bool has_ended = n == 0 || (n < 0 && errno == ECONNRESET);
    client_close(&client);
    const bool is_error = strncmp(answer, "HTTP/1.1 4", 10) == 0 || strncmp(answer, "HTTP/1.1 5", 10) == 0;
    if (is_error && has_ended && !strstr(answer, " 200 ")) return true;
    print_message("%s: %.300s\n", name, answer);
    return false;
}

static void test_two_meanings(void **state) {
    (void)state;
    static const struct { const char *name, *text; } rows[] = {
        {"length and coding", POST_LINES "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
        {"two lengths", POST_LINES "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}"},
        {"signed length", POST_LINES "Content-Length: +2\r\n\r\n{}"},
        {"negative length", POST_LINES "Content-Length: -2\r\n\r\n{}"},
        {"space before the colon", POST_LINES "Content-Length : 2\r\n\r\n{}"},
        {"folded line", "GET /health HTTP/1.1\r\nHost: localhost\r\nX-A: a\r\n b\r\n\r\n"},
        {"line feed alone", "GET /health HTTP/1.1\nHost: localhost\n\n"},
        {"two hosts", "GET /health HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n"},
        {"HTTP/0.9", "GET /health\r\n\r\n"},
        {"bad chunk", POST_LINES "Transfer-Encoding: chunked\r\n\r\n0x2\r\n{}\r\n0\r\n\r\n"},
    };
    char many[65536] = "GET /health HTTP/1.1\r\nHost: localhost\r\n";
    for (size_t length = strlen(many); length < 60000; length += 6) memcpy(many + length, "X: a\r\n", 7);
    strcat(many, "\r\n");
    server_program server = start();
    bool all = is_refused(server, "many fields", many);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (!is_refused(server, rows[i].name, rows[i].text)) all = false;
    assert_int_equal(server_program_stop(server), 0);
    assert_true(all);
}

int main(void) {
    if (access(SHIPPED_MODEL, R_OK) != 0) {
        print_message("skipped: the model that ships is not there\n");
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rude_clients),
        cmocka_unit_test(test_signals),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_two_meanings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
