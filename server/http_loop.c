/* http_loop.c - the connection thread: waits for sockets and the bell, and in each turn hears of clients that came and
 * went, takes the mail of replies, and lets the HTTP library read and write. */
#include <limits.h>
#include <math.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "http_internal.h"

enum { EVENTS = 256, IDLE_TURNS = 16 };
static const double idle_rest = 0.01;

/* Milliseconds that the thread may sleep; -1: until something happens. A line of a chunked body that does not fit
 * makes the library ask for another turn at once, for ever: after some turns in which nothing happened, it has to
 * wait. */
static int patience(http_server *server, double look, int n_idle) {
    MHD_UNSIGNED_LONG_LONG library;
    double seconds = look;
    if (MHD_get_timeout(server->daemon, &library) == MHD_YES) {
        double left = library == 0 && n_idle > IDLE_TURNS ? idle_rest : (double)library / 1000.0;
        if (seconds < 0 || left < seconds) seconds = left;
    }
    return seconds < 0 ? -1 : seconds > 3600 ? 3600000 : (int)ceil(seconds * 1000);
}

/* The connection of a reply reads on, and sees what has changed. Under the lock. */
static void rouse(http_reply *reply) {
    if (!reply->is_suspended) return;
    reply->is_suspended = false;
    MHD_resume_connection(reply->connection->mhd);
}

static void take_mail(http_server *server) {
    for (http_reply *reply; (reply = http_mailbox_take(server->mailbox));) {
        pthread_mutex_lock(&reply->lock);
        if (reply->connection) {
            if (reply->is_cut) http_connection_cut(reply->connection);
            rouse(reply);
        }
        pthread_mutex_unlock(&reply->lock);
        http_reply_release(reply);
    }
}

/* A client that hung up gets no more of a stream, and no answer that is still to be thought of. One that is complete is
 * left to the library: the client may have closed only its own side. */
static void leave(http_reply *reply) {
    pthread_mutex_lock(&reply->lock);
    if (reply->connection && !reply->is_ended && !reply->is_gone) {
        reply->is_gone = true;
        if (!reply->is_suspended) http_connection_cut(reply->connection);
        rouse(reply);
    }
    pthread_mutex_unlock(&reply->lock);
}

/* Before the library reads: the time of a first byte, and who has hung up. */
static void note(http_connection *connection, uint32_t events) {
    if (!connection->mhd) return;
    if (connection->is_awaiting && !connection->has_begun && (events & EPOLLIN)) {
        connection->has_begun = true;
        connection->since = http_clock();
    }
    if (!(events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))) return;
    connection->is_hung_up = true;
    if (connection->reply) leave(connection->reply);
}

static void take_bell(http_server *server) {
    eventfd_t value;
    eventfd_read(server->bell, &value);
}

static void stop_listening(http_server *server) {
    if (server->listener < 0) return;
    epoll_ctl(server->poll, EPOLL_CTL_DEL, server->listener, NULL);
    close(server->listener);
    server->listener = -1;
    http_connections_end_idle(server);
}

static void turn(http_server *server, struct epoll_event *events, int count) {
    bool has_visitors = false;
    for (int i = 0; i < count; i++) {
        void *source = events[i].data.ptr;
        if (source == &server->bell) take_bell(server);
        else if (source == server) has_visitors = true;
        else if (source != &server->daemon) note(source, events[i].events);
    }
    if (atomic_load(&server->quiesces)) stop_listening(server);
    else if (has_visitors) http_connections_accept(server);
    take_mail(server);
    MHD_run(server->daemon); /* after whatever rouses a connection: the library does not wake for that by itself */
    http_connections_bury(server);
}

static void close_all(http_server *server) {
    server->is_closing = true;
    stop_listening(server);
    for (http_connection *connection = server->oldest; connection; connection = connection->next) {
        http_reply *reply = connection->reply;
        if (!reply) continue;
        pthread_mutex_lock(&reply->lock);
        reply->is_gone = true;
        rouse(reply);
        pthread_mutex_unlock(&reply->lock);
    }
    MHD_stop_daemon(server->daemon);
    http_connections_bury(server);
    http_mailbox_close(server->mailbox);
}

void *http_loop(void *context) {
    http_server *server = context;
    struct epoll_event events[EVENTS];
    for (int n_idle = 0; !atomic_load(&server->stops);) {
        double look = http_connections_look(server);
        int count = epoll_wait(server->poll, events, EVENTS, patience(server, look, n_idle));
        n_idle = count > 0 ? 0 : n_idle < INT_MAX ? n_idle + 1 : n_idle;
        turn(server, events, count > 0 ? count : 0);
    }
    close_all(server);
    return NULL;
}
