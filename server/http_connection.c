/* http_connection.c - connections: how many there may be, how long each may take to ask, and how they end.
 *
 * Where there are too many, the one that has awaited a request longest makes room: idle clients never keep others
 * out. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "http_internal.h"

enum { ACCEPT_AT_ONCE = 64, TEXT_BYTES = 1024, UNACKNOWLEDGED_MS = 60000 };
static const double look_seconds = 0.25, pause_seconds = 0.1;

double http_clock(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* ---- addresses ---- */

static void key_of(const struct sockaddr *from, unsigned char key[16]) {
    memset(key, 0, 16);
    if (from->sa_family == AF_INET) {
        memcpy(key + 8, &((const struct sockaddr_in *)(const void *)from)->sin_addr, 4);
        return;
    }
    const struct in6_addr *six = &((const struct sockaddr_in6 *)(const void *)from)->sin6_addr;
    if (IN6_IS_ADDR_V4MAPPED(six)) memcpy(key + 8, six->s6_addr + 12, 4);
    else memcpy(key, six, 8);
}

static http_address **bucket_of(http_server *server, const unsigned char key[16]) {
    uint32_t hash = 2166136261u;
    for (int i = 0; i < 16; i++) hash = (hash ^ key[i]) * 16777619u;
    return &server->addresses[(hash ^ hash >> 16) % (sizeof server->addresses / sizeof server->addresses[0])];
}

/* With no connection yet where it is new; NULL: no memory. */
static http_address *find_address(http_server *server, const struct sockaddr *from) {
    unsigned char key[16];
    key_of(from, key);
    http_address **bucket = bucket_of(server, key);
    for (http_address *address = *bucket; address; address = address->next)
        if (memcmp(address->key, key, sizeof key) == 0) return address;
    http_address *address = calloc(1, sizeof *address);
    if (!address) return NULL;
    memcpy(address->key, key, sizeof key);
    address->next = *bucket;
    return *bucket = address;
}

static void leave_address(http_server *server, http_address *address) {
    if (--address->count > 0) return;
    http_address **at = bucket_of(server, address->key);
    while (*at != address) at = &(*at)->next;
    *at = address->next;
    free(address);
}

/* The connection counts no longer, though it may take a moment until it is closed. */
static void forget_address(http_connection *connection) {
    if (!connection->address) return;
    leave_address(connection->server, connection->address);
    connection->address = NULL;
    atomic_fetch_sub(&connection->server->open, 1);
}

/* ---- the list of all, in the order in which they began to wait ---- */

static void append(http_connection *connection) {
    http_server *server = connection->server;
    connection->previous = server->newest;
    connection->next = NULL;
    *(server->newest ? &server->newest->next : &server->oldest) = connection;
    server->newest = connection;
}

static void take_out(http_connection *connection) {
    http_server *server = connection->server;
    *(connection->previous ? &connection->previous->next : &server->oldest) = connection->next;
    *(connection->next ? &connection->next->previous : &server->newest) = connection->previous;
}

void http_connection_awaits(http_connection *connection) {
    connection->is_awaiting = true;
    connection->has_begun = false;
    connection->since = http_clock();
    take_out(connection);
    append(connection);
}

/* ---- the end of one ---- */

/* What is still to be sent is dropped. The library notices, and closes. */
void http_connection_cut(http_connection *connection) {
    struct linger at_once = {1, 0};
    setsockopt(connection->socket, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    shutdown(connection->socket, SHUT_RDWR);
    connection->is_cut = true;
}

static void send_text(int socket, unsigned status, const char *message) {
    char text[TEXT_BYTES];
    size_t length = http_answer_text(text, sizeof text, status, message);
    (void)!send(socket, text, length, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void http_connection_refuse(http_connection *connection, unsigned status, const char *message) {
    if (!connection->server->is_secure) {
        http_answer_tell(connection->server, status);
        send_text(connection->socket, status, message);
    }
    shutdown(connection->socket, SHUT_RDWR);
    connection->is_hung_up = true;
}

void http_connections_end_idle(http_server *server) {
    for (http_connection *connection = server->oldest; connection; connection = connection->next)
        if (connection->is_awaiting && !connection->has_begun) shutdown(connection->socket, SHUT_RDWR);
}

/* ---- too slow ---- */

double http_connections_look(http_server *server) {
    double now = http_clock(), idle = server->limits.idle_seconds, allowed = server->limits.request_seconds;
    bool awaits = false;
    for (http_connection *connection = server->oldest; connection; connection = connection->next) {
        if (!connection->is_awaiting) continue;
        awaits = true;
        if (connection->is_hung_up) {
            if (!connection->is_cut) http_connection_cut(connection);
            continue;
        }
        /* A first byte can slip past us between two turns; but without one the library would have closed by now. */
        double since = connection->since + (connection->has_begun ? 0 : idle + 1);
        if (now - since > allowed) {
            atomic_fetch_add(&server->rejected, 1);
            http_connection_refuse(connection, 408, "The request took too long to arrive.");
        }
    }
    if (!server->listens && server->listener >= 0 && now >= server->listens_again) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = server};
        server->listens = epoll_ctl(server->poll, EPOLL_CTL_MOD, server->listener, &event) == 0;
    }
    return awaits || (!server->listens && server->listener >= 0) ? look_seconds : -1;
}

/* ---- new ones ---- */

/* Ends the connection that awaits the head of a request longest, of that address where one is given. */
static bool make_room(http_server *server, const http_address *address) {
    for (http_connection *connection = server->oldest; connection; connection = connection->next) {
        if (!connection->is_awaiting || connection->exchange || connection->is_hung_up) continue;
        if (address && connection->address != address) continue;
        connection->is_hung_up = true;
        forget_address(connection);
        atomic_fetch_add(&server->refused, 1);
        http_connection_cut(connection);
        return true;
    }
    return false;
}

static bool has_room(http_server *server, const http_address *address) {
    const http_limits *limits = &server->limits;
    if (address->count > limits->connections_per_address && !make_room(server, address)) return false;
    return atomic_load(&server->open) < limits->connections || make_room(server, NULL);
}

static void set_options(int socket) {
    int on = 1, milliseconds = UNACKNOWLEDGED_MS;
    setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, &milliseconds, sizeof milliseconds);
}

/* Counts at its address before it is a connection, so that making room for it leaves the address in place. */
static void welcome(http_server *server, int socket, const struct sockaddr *from, socklen_t length) {
    http_address *address = find_address(server, from);
    if (!address) {
        close(socket);
        return;
    }
    address->count++;
    if (has_room(server, address)) {
        atomic_fetch_add(&server->accepted, 1);
        set_options(socket);
        MHD_add_connection(server->daemon, socket, from, length);
    } else {
        atomic_fetch_add(&server->refused, 1);
        if (!server->is_secure) {
            http_answer_tell(server, 503);
            send_text(socket, 503, "The server has too many connections.");
        }
        shutdown(socket, SHUT_WR);
        close(socket);
    }
    leave_address(server, address);
}

/* Out of file descriptors: one that is idle goes, and after a pause we listen again. */
static void pause_listening(http_server *server) {
    struct epoll_event event = {.events = 0, .data.ptr = server};
    make_room(server, NULL);
    server->listens = epoll_ctl(server->poll, EPOLL_CTL_MOD, server->listener, &event) != 0;
    server->listens_again = http_clock() + pause_seconds;
}

void http_connections_accept(http_server *server) {
    for (int i = 0; i < ACCEPT_AT_ONCE; i++) {
        struct sockaddr_storage from;
        socklen_t length = sizeof from;
        int socket = accept4(server->listener, (struct sockaddr *)&from, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (socket >= 0) {
            welcome(server, socket, (const struct sockaddr *)&from, length);
            continue;
        }
        if (errno == EINTR || errno == ECONNABORTED) continue;
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) pause_listening(server);
        return;
    }
}

/* ---- what the library says of them ---- */

static void read_local(http_connection *connection) {
    struct sockaddr_storage at;
    socklen_t length = sizeof at;
    if (getsockname(connection->socket, (struct sockaddr *)&at, &length) != 0) return;
    if (at.ss_family == AF_INET) {
        inet_ntop(AF_INET, &((struct sockaddr_in *)(void *)&at)->sin_addr, connection->local, sizeof connection->local);
    } else if (at.ss_family == AF_INET6) {
        struct in6_addr *six = &((struct sockaddr_in6 *)(void *)&at)->sin6_addr;
        bool is_four = IN6_IS_ADDR_V4MAPPED(six);
        inet_ntop(is_four ? AF_INET : AF_INET6, is_four ? (void *)(six->s6_addr + 12) : (void *)six, connection->local,
                  sizeof connection->local);
    }
}

static http_connection *open_connection(http_server *server, struct MHD_Connection *mhd) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
    const union MHD_ConnectionInfo *from = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    http_connection *connection = calloc(1, sizeof *connection);
    if (!connection || !info || !from) {
        free(connection);
        return NULL;
    }
    *connection = (http_connection){.server = server, .mhd = mhd, .socket = info->connect_fd};
    read_local(connection);
    if ((connection->address = find_address(server, from->client_addr))) {
        connection->address->count++;
        atomic_fetch_add(&server->open, 1);
    }
    append(connection);
    http_connection_awaits(connection);
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data.ptr = connection};
    epoll_ctl(server->poll, EPOLL_CTL_ADD, connection->socket, &event);
    return connection;
}

static void close_connection(http_connection *connection) {
    http_server *server = connection->server;
    epoll_ctl(server->poll, EPOLL_CTL_DEL, connection->socket, NULL);
    take_out(connection);
    forget_address(connection);
    connection->mhd = NULL;
    connection->next_dead = server->dead;
    server->dead = connection;
}

void http_connection_notify(void *context, struct MHD_Connection *mhd, void **slot,
                            enum MHD_ConnectionNotificationCode code) {
    if (code == MHD_CONNECTION_NOTIFY_STARTED) *slot = open_connection(context, mhd);
    else if (*slot) close_connection(*slot);
}

void http_connections_bury(http_server *server) {
    for (http_connection *dead; (dead = server->dead);) {
        server->dead = dead->next_dead;
        free(dead);
    }
}
