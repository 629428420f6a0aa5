/* http.c - opening and closing the server: its socket, its daemon of the HTTP library, its thread. */
#include "http.h"

#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "failure.h"
#include "http_internal.h"

enum { BACKLOG = 512, SPARE_CONNECTIONS = 256, POOL_LEAST = 4096 };

http_options http_options_default(void) {
    return (http_options){.host = "127.0.0.1", .port = 8080,
                          .limits = {.header_bytes = 16384, .body_bytes = 8 << 20, .connections = 1024,
                                     .connections_per_address = 256, .idle_seconds = 60, .request_seconds = 30,
                                     .unsent_bytes = 1 << 20}};
}

static ex_code check_options(const http_options *options, ex_error *error) {
    const http_limits *limits = &options->limits;
    if (!options->certificate != !options->private_key)
        return server_fail(error, EX_ERROR_ARGUMENT, 0, "TLS needs both a certificate and its private key");
    if (limits->header_bytes < 1024 || limits->header_bytes > 1 << 20)
        return server_fail(error, EX_ERROR_ARGUMENT, 0, "header bytes: expected 1024 to %d", 1 << 20);
    if (limits->body_bytes > 1 << 30)
        return server_fail(error, EX_ERROR_ARGUMENT, 0, "body bytes: at most %d", 1 << 30);
    if (limits->connections < 1 || limits->connections > 1000000 || limits->connections_per_address < 1)
        return server_fail(error, EX_ERROR_ARGUMENT, 0, "connections: expected 1 to 1000000");
    if (limits->idle_seconds < 1 || limits->request_seconds < 1)
        return server_fail(error, EX_ERROR_ARGUMENT, 0, "idle and request seconds: at least 1");
    if (limits->unsent_bytes < 1) return server_fail(error, EX_ERROR_ARGUMENT, 0, "unsent bytes: at least 1");
    return EX_OK;
}

/* ---- the socket ---- */

static ex_code listen_at(http_server *server, const struct addrinfo *at, const char *name, ex_error *error) {
    int on = 1;
    server->listener = socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (server->listener < 0) return server_fail_system(error, name, "open a socket");
    setsockopt(server->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(server->listener, at->ai_addr, at->ai_addrlen) != 0 || listen(server->listener, BACKLOG) != 0)
        return server_fail_system(error, name, "listen");
    struct sockaddr_storage bound;
    socklen_t length = sizeof bound;
    char port[16];
    if (getsockname(server->listener, (struct sockaddr *)&bound, &length) != 0 ||
        getnameinfo((struct sockaddr *)&bound, length, NULL, 0, port, sizeof port, NI_NUMERICSERV) != 0)
        return server_fail_system(error, name, "learn the port");
    server->port = server->rules.port = (uint16_t)strtoul(port, NULL, 10);
    return EX_OK;
}

static ex_code open_listener(http_server *server, const http_options *options, ex_error *error) {
    char port[8], name[300];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *at = NULL;
    snprintf(port, sizeof port, "%u", options->port);
    snprintf(name, sizeof name, "%.255s port %s", options->host, port);
    int problem = getaddrinfo(options->host, port, &hints, &at);
    if (problem) return server_fail(error, EX_ERROR_ARGUMENT, 0, "%s: %s", name, gai_strerror(problem));
    ex_code code = listen_at(server, at, name, error);
    freeaddrinfo(at);
    return code;
}

/* ---- the library ---- */

static void say_nothing(void *context, const char *format, va_list arguments) {
    (void)context;
    (void)format;
    (void)arguments;
}

/* Paths keep their escapes until we have looked at them. */
static size_t leave_escapes(void *context, struct MHD_Connection *mhd, char *text) {
    (void)context;
    (void)mhd;
    return strlen(text);
}

static ex_code start_daemon(http_server *server, const http_options *options, ex_error *error) {
    const http_limits *limits = &options->limits;
    static char priorities[] = "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2";
    struct MHD_OptionItem tls[] = {{MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)(uintptr_t)options->certificate},
                                   {MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)(uintptr_t)options->private_key},
                                   {MHD_OPTION_HTTPS_PRIORITIES, 0, priorities},
                                   {MHD_OPTION_END, 0, NULL}};
    struct MHD_OptionItem none[] = {{MHD_OPTION_END, 0, NULL}};
    unsigned flags = MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
    if (server->is_secure) {
        if (MHD_is_feature_supported(MHD_FEATURE_TLS) != MHD_YES)
            return server_fail(error, EX_ERROR_UNSUPPORTED, 0, "the HTTP library of this system was built without TLS");
        flags |= MHD_USE_TLS;
    }
    server->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, http_request_arrives, server, MHD_OPTION_EXTERNAL_LOGGER, say_nothing, NULL,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, 2 * limits->header_bytes + POOL_LEAST,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)limits->connections + SPARE_CONNECTIONS,
        MHD_OPTION_CONNECTION_TIMEOUT, limits->idle_seconds, MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1,
        MHD_OPTION_NOTIFY_COMPLETED, http_request_completed, server,
        MHD_OPTION_NOTIFY_CONNECTION, http_connection_notify, server,
        MHD_OPTION_URI_LOG_CALLBACK, http_request_begins, server,
        MHD_OPTION_UNESCAPE_CALLBACK, leave_escapes, NULL, MHD_OPTION_ARRAY, server->is_secure ? tls : none,
        MHD_OPTION_END);
    if (server->daemon) return EX_OK;
    return server_fail(error, EX_ERROR_ARGUMENT, 0, "%s", server->is_secure
                                                              ? "cannot use the certificate with its private key"
                                                              : "cannot start the HTTP library");
}

static ex_code watch(http_server *server, int descriptor, void *mark, ex_error *error) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = mark};
    if (epoll_ctl(server->poll, EPOLL_CTL_ADD, descriptor, &event) == 0) return EX_OK;
    return server_fail_system(error, "HTTP server", "wait for sockets");
}

/* Signals are the other threads' affair. */
static ex_code start_thread(http_server *server, ex_error *error) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int problem = pthread_create(&server->thread, NULL, http_loop, server);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = problem;
    return problem ? server_fail_system(error, "HTTP server", "start its thread") : EX_OK;
}

static ex_code start(http_server *server, ex_error *error) {
    server->poll = epoll_create1(EPOLL_CLOEXEC);
    server->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (server->poll < 0 || server->bell < 0) return server_fail_system(error, "HTTP server", "wait for sockets");
    if (!(server->mailbox = http_mailbox_open(server->bell))) return server_fail_memory(error, "the HTTP server");
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    ex_code code = watch(server, info->epoll_fd, &server->daemon, error);
    if (code == EX_OK) code = watch(server, server->bell, &server->bell, error);
    if (code == EX_OK) code = watch(server, server->listener, server, error);
    server->listens = true;
    return code == EX_OK ? start_thread(server, error) : code;
}

/* What http_open took; the thread has ended, or never was. */
static void free_server(http_server *server) {
    if (server->listener >= 0) close(server->listener);
    if (server->bell >= 0) close(server->bell);
    if (server->poll >= 0) close(server->poll);
    http_mailbox_release(server->mailbox);
    http_rules_close(&server->rules);
    free(server);
}

ex_code http_open(http_server **out, const http_options *options, const http_route *routes, void *context,
                  ex_error *error) {
    *out = NULL;
    ex_code code = check_options(options, error);
    if (code != EX_OK) return code;
    http_server *server = calloc(1, sizeof *server);
    if (!server) return server_fail_memory(error, "the HTTP server");
    server->listener = server->poll = server->bell = -1;
    server->limits = options->limits;
    server->routes = routes;
    server->context = context;
    server->answered = options->answered;
    server->is_secure = options->certificate != NULL;
    code = http_rules_open(&server->rules, options, error);
    if (code == EX_OK) code = open_listener(server, options, error);
    if (code == EX_OK) code = start_daemon(server, options, error);
    if (code == EX_OK) code = start(server, error);
    if (code == EX_OK) *out = server;
    else {
        MHD_stop_daemon(server->daemon);
        free_server(server);
    }
    return code;
}

uint16_t http_port(const http_server *server) { return server->port; }

void http_quiesce(http_server *server) {
    atomic_store(&server->quiesces, true);
    eventfd_write(server->bell, 1);
}

void http_close(http_server *server) {
    if (!server) return;
    atomic_store(&server->stops, true);
    eventfd_write(server->bell, 1);
    pthread_join(server->thread, NULL);
    free_server(server);
}

http_counts http_count(const http_server *server) {
    return (http_counts){.accepted = atomic_load(&server->accepted), .refused = atomic_load(&server->refused),
                         .requests = atomic_load(&server->requests), .rejected = atomic_load(&server->rejected),
                         .bytes_in = atomic_load(&server->bytes_in), .bytes_out = atomic_load(&server->bytes_out),
                         .open = atomic_load(&server->open)};
}
