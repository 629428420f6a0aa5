/* serve.c - entropix serve: from options to a running server, until a signal asks it to stop. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "commands.h"
#include "model.h"
#include "policy.h"
#include "server/sandbox.h"
#include "server/server.h"
#include "terminal.h"

enum { KEYS_MAX = 256 };

typedef struct serve_state {
    const cli_options *options;
    ex_engine *engine;
    cli_policy policy;
    server_core *server;
    char *key_text, *certificate, *private_key; /* files */
    const char *keys[KEYS_MAX];
    size_t n_keys;
    bool has_said; /* that a part of the sandbox is missing */
} serve_state;

static bool add_key(serve_state *state, const char *key) {
    if (*key == '\0') {
        message("an API key must not be empty");
        return false;
    }
    if (state->n_keys == KEYS_MAX) {
        message("there may be %d API keys", KEYS_MAX);
        return false;
    }
    state->keys[state->n_keys++] = key;
    return true;
}

/* Every line that is not empty is a key. */
static bool read_key_file(serve_state *state, const char *path) {
    size_t length;
    state->key_text = read_text(path, &length);
    if (!state->key_text) return false;
    char *rest = state->key_text, *line;
    while ((line = strsep(&rest, "\r\n")))
        if (*line && !add_key(state, line)) return false;
    if (state->n_keys > 0) return true;
    message("%s has no API key; each line is one", path);
    return false;
}

static bool read_keys(serve_state *state) {
    const option_value *given = &state->options->values[OPTION_API_KEY];
    for (size_t i = 0; i < given->n_texts; i++)
        if (!add_key(state, given->texts[i])) return false;
    const char *path = option_text(state->options, OPTION_API_KEY_FILE);
    return !path || read_key_file(state, path);
}

static bool read_tls(serve_state *state) {
    const char *certificate = option_text(state->options, OPTION_TLS_CERT);
    const char *key = option_text(state->options, OPTION_TLS_KEY);
    size_t length;
    if (!certificate && !key) return true;
    if (!certificate || !key) {
        message("--tls-cert and --tls-key belong together");
        return false;
    }
    return (state->certificate = read_text(certificate, &length)) && (state->private_key = read_text(key, &length));
}

static bool is_loopback(const char *host) {
    return strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0 || strcmp(host, "localhost") == 0;
}

static bool may_listen(const serve_state *state, const char *host) {
    if (is_loopback(host) || state->n_keys > 0 || option_flag(state->options, OPTION_PUBLIC)) return true;
    message("%s can be reached from other machines, and without a key everybody there could use the model; give "
            "--api-key KEY, or --public if that is meant",
            host);
    return false;
}

static void fill_options(serve_state *state, server_options *out) {
    const cli_options *options = state->options;
    *out = server_options_default();
    out->engine = state->engine;
    out->policy = &state->policy.values;
    out->policy_name = state->policy.name;
    out->model_name = option_text(options, OPTION_ALIAS);
    out->trace_folder = option_text(options, OPTION_TRACE_FOLDER);
    out->seconds_at_most = (double)option_integer(options, OPTION_TIMEOUT);
    const int64_t n_predict = option_integer(options, OPTION_CHAT_PREDICT);
    out->limits.n_predict = n_predict < 0 ? 0 : (size_t)n_predict;
    out->scheduler.n_parallel = (size_t)option_integer(options, OPTION_SLOTS);
    out->scheduler.n_queue = (size_t)option_integer(options, OPTION_QUEUE);
    out->scheduler.n_cached = (size_t)option_integer(options, OPTION_CACHED_PROMPTS);
    out->scheduler.n_context = (size_t)option_integer(options, OPTION_CONTEXT);
    out->scheduler.kv_type = cache_type(options, EX_KV_F16);
    http_options *http = &out->http;
    http->host = option_text(options, OPTION_HOST);
    http->port = (uint16_t)option_integer(options, OPTION_PORT);
    http->certificate = state->certificate;
    http->private_key = state->private_key;
    http->keys = state->keys;
    http->n_keys = state->n_keys;
    http->hosts = options->values[OPTION_ALLOW_HOST].texts;
    http->n_hosts = options->values[OPTION_ALLOW_HOST].n_texts;
    http->origins = options->values[OPTION_ALLOW_ORIGIN].texts;
    http->n_origins = options->values[OPTION_ALLOW_ORIGIN].n_texts;
}

/* ---- the sandbox ---- */

typedef ex_code sandbox_step(const serve_state *state, ex_error *error);

static ex_code limit_files(const serve_state *state, ex_error *error) {
    return sandbox_limit_files(option_text(state->options, OPTION_TRACE_FOLDER), error);
}

static ex_code limit_calls(const serve_state *state, ex_error *error) {
    return sandbox_limit_calls(option_text(state->options, OPTION_TRACE_FOLDER) != NULL, error);
}

static int confine(serve_state *state, sandbox_step *limit) {
    const char *when = option_text(state->options, OPTION_SANDBOX);
    ex_error error;
    if (strcmp(when, "off") == 0) return STATUS_OK;
    const ex_code code = limit(state, &error);
    if (code == EX_OK) return STATUS_OK;
    if (code != EX_ERROR_UNSUPPORTED || strcmp(when, "required") == 0) return report(&error);
    if (!state->has_said) message("%s; it goes on without", error.message);
    state->has_said = true;
    return STATUS_OK;
}

/* ---- opening ---- */

/* Each connection takes a file descriptor. */
static void raise_file_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static int open_all(serve_state *state) {
    const char *host = option_text(state->options, OPTION_HOST);
    if (!read_keys(state) || !read_tls(state) || !may_listen(state, host)) return STATUS_INPUT;
    int status = confine(state, limit_files); /* before any thread starts */
    if (status == STATUS_OK) status = policy_open(&state->policy, state->options);
    if (status == STATUS_OK) status = model_open(&state->engine, state->options);
    if (status == STATUS_OK) status = policy_of_model(&state->policy, state->options, state->engine);
    if (status != STATUS_OK) return status;
    raise_file_limit();
    server_options options;
    fill_options(state, &options);
    ex_error error;
    if (server_open(&state->server, &options, &error) != EX_OK) return report(&error);
    return confine(state, limit_calls);
}

static void announce(const serve_state *state) {
    const char *host = option_text(state->options, OPTION_HOST);
    const bool is_v6 = strchr(host, ':') != NULL;
    printf("%s://%s%s%s:%d\n", state->certificate ? "https" : "http", is_v6 ? "[" : "", host, is_v6 ? "]" : "",
           (int)server_port(state->server));
    fflush(stdout);
    if (isatty(STDERR_FILENO))
        message("the page is at that address, the API below /v1; Ctrl-C stops after the running answers");
}

/* The signals that ask for an end; they are blocked everywhere else, so that only this thread sees them. */
static sigset_t block_signals(void) {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    return signals;
}

typedef struct signal_watcher {
    sigset_t signals;
    atomic_bool is_over; /* a signal is then the end of the watch */
} signal_watcher;

/* A second signal ends the program at once. */
static void *end_at_once(void *context) {
    signal_watcher *watcher = context;
    int number = 0;
    while (sigwait(&watcher->signals, &number) == EINTR) continue;
    if (!atomic_load(&watcher->is_over)) _exit(128 + number);
    return NULL;
}

static void serve_until_signal(serve_state *state, sigset_t signals) {
    signal_watcher watcher = {.signals = signals};
    int number;
    while (sigwait(&signals, &number) == EINTR) continue;
    pthread_t thread;
    const bool is_watched = pthread_create(&thread, NULL, end_at_once, &watcher) == 0;
    if (isatty(STDERR_FILENO)) message("stopping when the running answers have ended; again to stop at once");
    server_drain(state->server, (double)option_integer(state->options, OPTION_GRACE));
    server_close(state->server);
    state->server = NULL;
    if (!is_watched) return;
    atomic_store(&watcher.is_over, true);
    pthread_kill(thread, SIGTERM); /* to cancel it, the C library would load another library now */
    pthread_join(thread, NULL);
}

int command_serve(const cli_options *options) {
    serve_state state = {.options = options};
    const sigset_t signals = block_signals(); /* before any thread starts */
    int status = open_all(&state);
    if (status == STATUS_OK) {
        announce(&state);
        serve_until_signal(&state, signals);
    }
    server_close(state.server);
    ex_engine_close(state.engine);
    free(state.key_text);
    free(state.certificate);
    free(state.private_key);
    return status;
}
