/* server.c - entropix serve under faults. Where one meets its start, it ends with a reason; where one meets a request,
 * that request may fail, and the next one must be answered as ever. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "http_client.h"
#include "torture.h"

enum { POLLS = 2000, POLL = 5000000 /* nanoseconds */, LIFE = 600 /* seconds */, WORDS = 1024 };

#define KIND(kind) (1U << FAULT_##kind)

typedef struct server_run {
    pid_t pid;
    uint16_t port; /* 0: it has ended */
} server_run;

static const torture_row serve_row = {
    .name = "serve", .arguments = "serve --port 0 -t 2 -np 2 --grace 1 --trace-folder out", .timed = "*"};

static const struct { const char *name, *method, *path, *body, *from, *to; } requests[] = {
    {"chat", "POST", "/v1/chat/completions",
     "{\"messages\":[{\"role\":\"user\",\"content\":\"he\"}],\"max_tokens\":4,\"temperature\":0,\"entropix\":{}}",
     "\"message\":", "\"usage\""},
    {"stream", "POST", "/v1/completions",
     "{\"prompt\":\"he said\",\"max_tokens\":4,\"temperature\":0,\"stream\":true}", "\"text\":", "data: [DONE]"},
    {"decide", "POST", "/v1/sampler/decide", "{\"logits\":[2.0,1.0,0.5],\"config\":{\"temperature\":1.0}}",
     "\"decision\"", "\"candidate_scores\""},
    {"tokenize", "POST", "/tokenize", "{\"content\":\"hello, he said\"}", "[", "]"},
    {"metrics", "GET", "/metrics", NULL, "# HELP", " "},
};
enum { N_REQUESTS = sizeof requests / sizeof *requests };

static const struct { const char *name; unsigned kinds; unsigned long at_start, in_request; } faults[] = {
    {"allocate", KIND(ALLOCATE), 12, 20}, {"map", KIND(MAP), 4, 2},     {"thread", KIND(THREAD), 4, 2},
    {"open", KIND(OPEN), 4, 1},           {"read", KIND(READ), 3, 4},   {"write", KIND(WRITE), 0, 4},
    {"socket", KIND(SOCKET), 6, 1},       {"accept", KIND(ACCEPT), 1, 2}, {"state", KIND(STATE), 2, 1},
};
enum { N_FAULTS = sizeof faults / sizeof *faults };

static const fault_plan no_fault = {.seconds = LIFE};

/* ---- processes -------------------------------------------------------------------------------------------------- */

static uint16_t read_port(const torture *t) {
    char path[PATH_LENGTH], line[LINE_LENGTH] = "";
    torture_path(t, path, "stdout");
    FILE *file = fopen(path, "rbe");
    if (!file) return 0;
    if (!fgets(line, sizeof line, file) || !strchr(line, '\n')) line[0] = 0;
    fclose(file);
    const char *colon = strrchr(line, ':');
    return colon ? (uint16_t)strtoul(colon + 1, NULL, 10) : 0;
}

static bool has_ended(pid_t pid) {
    siginfo_t info = {0};
    return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid;
}

/* Until it listens, or has ended. */
static server_run start(torture *t, const fault_plan *plan) {
    const struct timespec pause = {0, POLL};
    char path[PATH_LENGTH];
    torture_path(t, path, "stdout");
    unlink(path);
    server_run server = {.pid = torture_start(t, &serve_row, plan)};
    for (int i = 0; i < POLLS && server.port == 0 && !has_ended(server.pid); i++) {
        nanosleep(&pause, NULL);
        server.port = read_port(t);
    }
    t->n_runs++;
    return server;
}

static void stop(const torture *t, server_run server, outcome *o) {
    kill(server.pid, SIGTERM);
    torture_wait(t, &serve_row, server.pid, o);
}

/* ---- requests --------------------------------------------------------------------------------------------------- */

/* What must be the same in every good answer. Returns the status. */
static int ask(const server_run *server, size_t request, char words[WORDS]) {
    http_answer_read answer = {0};
    const int status = client_exchange(server->port, requests[request].method, requests[request].path, NULL,
                                       requests[request].body, &answer);
    const char *from = answer.body ? strstr(answer.body, requests[request].from) : NULL;
    const char *to = from ? strstr(from, requests[request].to) : NULL;
    words[0] = 0;
    for (size_t n = 0; from && to && from < to && n + 1 < WORDS; from++) {
        if (strncmp(from, "\"id\":", 5) == 0) from = strchr(from, ',');
        if (strncmp(from, "\"created\":", 10) == 0) from = strchr(from, ',');
        words[n++] = *from;
        words[n] = 0;
    }
    answer_free(&answer);
    return status;
}

static bool is_good(const server_run *server, size_t request, const char *good) {
    char words[WORDS];
    return ask(server, request, words) == 200 && strcmp(words, good) == 0;
}

/* ---- at the start ----------------------------------------------------------------------------------------------- */

static void judge_start(torture *t, const char *where, const fault_plan *plan, const char *good) {
    outcome o = {0};
    const server_run server = start(t, plan);
    const bool listens = server.port != 0, answers = listens && is_good(&server, 0, good);
    stop(t, server, &o);
    if (o.fired == 0) return;
    t->n_faults++;
    if (listens && !answers) torture_wrong(t, where, "it listens, and does not answer", &o);
    else if (listens && o.status == STATUS_GOOD) t->n_survived++;
    else if (!listens && o.n_lines > 0 && (o.status == STATUS_FAILED || o.status == STATUS_REFUSED)) t->n_refused++;
    else torture_wrong(t, where, "it neither starts nor says why not", &o);
}

static void sweep_start(torture *t, size_t fault, unsigned long n_calls, const char *good) {
    const unsigned long most = t->is_full ? 200 : faults[fault].at_start, n = n_calls < most ? n_calls : most;
    for (unsigned long i = 0; i < n; i++) {
        const unsigned long at = n < 2 ? 1 : 1 + i * (n_calls - 1) / (n - 1);
        const fault_plan plan = {.kinds = faults[fault].kinds, .at = at, .seconds = LIFE};
        char where[LINE_LENGTH];
        snprintf(where, sizeof where, "serve, start: %s %lu", faults[fault].name, at);
        judge_start(t, where, &plan, good);
    }
}

/* ---- in a request ----------------------------------------------------------------------------------------------- */

static unsigned long calls_of_request(const torture *t, const server_run *server, size_t request, unsigned kinds) {
    char words[WORDS];
    torture_plan(t, &(fault_plan){.kinds = kinds});
    ask(server, request, words);
    return atomic_load(&t->page->seen);
}

static bool traces_are_whole(const torture *t) {
    file_list files;
    bool all = true;
    torture_list(t, &serve_row, &files);
    for (size_t i = 0; i < files.n; i++) all = all && files.entries[i].hash;
    torture_reset(t, &serve_row);
    return all;
}

/* False when the server is gone. */
static bool judge_request(torture *t, const server_run *server, const char *where, size_t request, unsigned kinds,
                          unsigned long at, const char *good) {
    char words[WORDS];
    torture_plan(t, &(fault_plan){.kinds = kinds, .at = at});
    const int status = ask(server, request, words);
    const bool fired = atomic_load(&t->page->fired) > 0;
    torture_plan(t, &no_fault);
    if (!fired) return true;
    t->n_faults++;
    const bool next_good = !has_ended(server->pid) && is_good(server, request, good);
    outcome o = {.status = status};
    snprintf(o.text, sizeof o.text, "%.1000s", words);
    const bool same = status == 200 && strcmp(words, good) == 0;
    const bool is_stream = strcmp(requests[request].name, "stream") == 0;
    if (!next_good) torture_wrong(t, where, "the request after it is not answered", &o);
    else if (status == 200 && !same && !is_stream) torture_wrong(t, where, "a wrong answer", &o);
    else if (!traces_are_whole(t)) torture_wrong(t, where, "half a trace is left", &o);
    else if (same) t->n_survived++;
    else t->n_refused++;
    return next_good;
}

static void sweep_request(torture *t, server_run *server, size_t request, size_t fault, const char *good) {
    const unsigned long n_calls = calls_of_request(t, server, request, faults[fault].kinds);
    const unsigned long most = t->is_full ? 1000 : faults[fault].in_request, n = n_calls < most ? n_calls : most;
    for (unsigned long i = 0; i < n; i++) {
        const unsigned long at = n < 2 ? 1 : 1 + i * (n_calls - 1) / (n - 1);
        char where[LINE_LENGTH];
        snprintf(where, sizeof where, "serve, %s: %s %lu", requests[request].name, faults[fault].name, at);
        if (judge_request(t, server, where, request, faults[fault].kinds, at, good)) continue;
        outcome o;
        stop(t, *server, &o);
        printf("    the server ended with status %d: %s\n", o.status, o.text);
        *server = start(t, &no_fault);
    }
}

void torture_server(torture *t) {
    const torture before = *t;
    unsigned long calls[FAULT_KINDS];
    char good[N_REQUESTS][WORDS];
    outcome o;
    server_run server = start(t, &no_fault);
    for (int kind = 0; kind < FAULT_KINDS; kind++) calls[kind] = atomic_load(&t->page->calls[kind]);
    for (size_t i = 0; i < N_REQUESTS; i++) {
        if (server.port && ask(&server, i, good[i]) == 200 && good[i][0]) continue;
        stop(t, server, &o);
        torture_wrong(t, requests[i].name, "the server does not answer even without a fault", &o);
        return;
    }
    for (size_t request = 0; request < N_REQUESTS; request++)
        for (size_t fault = 0; fault < N_FAULTS; fault++) sweep_request(t, &server, request, fault, good[request]);
    torture_plan(t, &no_fault);
    stop(t, server, &o);
    if (o.status != STATUS_GOOD) torture_wrong(t, "serve", "it does not end well", &o);
    torture_print("requests", t, &before);
    const torture before_starts = *t;
    for (size_t fault = 0; fault < N_FAULTS; fault++)
        for (int kind = 0; kind < FAULT_KINDS; kind++)
            if (faults[fault].kinds == 1U << kind) sweep_start(t, fault, calls[kind], good[0]);
    torture_print("serve, start", t, &before_starts);
}
