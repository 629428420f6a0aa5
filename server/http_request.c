/* http_request.c - a request from its first line to its handler: its body is collected, or passed over when the answer
 * is known to be an error. Such an answer comes after the body, so that the connection can go on; where it cannot be
 * trusted, or the body would be too long, at once. */
#include <stdlib.h>
#include <string.h>

#include "http_internal.h"

static const http_refusal too_large = {413, "The body of the request is too large.", true, NULL};
static const http_refusal no_memory = {503, "The server has no room for the request now.", true, NULL};

static http_connection *connection_of(struct MHD_Connection *mhd) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

void *http_request_begins(void *context, const char *uri, struct MHD_Connection *mhd) {
    (void)context;
    http_connection *connection = connection_of(mhd);
    if (!connection) return NULL;
    connection->uri_length = strlen(uri);
    connection->is_uri_odd = false;
    for (const char *c = uri; *c; c++)
        if ((unsigned char)*c <= ' ' || *c == 0x7f) connection->is_uri_odd = true;
    return NULL;
}

static void free_exchange(http_exchange *exchange) {
    exchange->connection->server->bodies -= exchange->body_capacity;
    free(exchange->path);
    free(exchange->body);
    free(exchange->origin);
    free(exchange->asked_headers);
    free(exchange);
}

/* A whole body of known length within the limit is passed over before it is refused. */
static enum MHD_Result begin(http_server *server, struct MHD_Connection *mhd, const char *url, const char *method,
                             const char *version, void **slot) {
    http_connection *connection = connection_of(mhd);
    http_exchange *exchange = connection ? calloc(1, sizeof *exchange) : NULL;
    if (!exchange) return MHD_NO;
    *slot = connection->exchange = exchange;
    exchange->connection = connection;
    atomic_fetch_add(&server->requests, 1);
    if (!connection->has_begun) connection->since = http_clock();
    connection->has_begun = true;
    http_request_check(exchange, url, method, version);
    const union MHD_ConnectionInfo *size = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    if (size) atomic_fetch_add(&server->bytes_in, size->header_size);
    const http_refusal *refusal = &exchange->refusal;
    bool answers_now = refusal->must_close ||
                       (refusal->status && MHD_lookup_connection_value(mhd, MHD_HEADER_KIND, MHD_HTTP_HEADER_EXPECT));
    return refusal->status && answers_now ? http_answer_refusal(exchange, refusal) : MHD_YES;
}

static bool reserve(http_exchange *exchange, size_t length) {
    http_server *server = exchange->connection->server;
    size_t needed = exchange->body_length + length + 1, capacity = exchange->body_capacity;
    if (needed <= capacity) return true;
    if (capacity < 4096) capacity = 4096;
    while (capacity < needed) capacity *= 2;
    size_t more = capacity - exchange->body_capacity;
    if (server->bodies + more > HTTP_BODIES * (server->limits.body_bytes + 4096)) return false;
    char *body = realloc(exchange->body, capacity);
    if (!body) return false;
    server->bodies += more;
    exchange->body = body;
    exchange->body_capacity = capacity;
    return true;
}

static enum MHD_Result receive(http_exchange *exchange, const char *bytes, size_t *size) {
    http_connection *connection = exchange->connection;
    http_server *server = connection->server;
    size_t length = *size;
    atomic_fetch_add(&server->bytes_in, length);
    *size = 0;
    if (!exchange->refusal.status) {
        if (length > server->limits.body_bytes - exchange->body_length) exchange->refusal = too_large;
        else if (!reserve(exchange, length)) exchange->refusal = no_memory;
    }
    if (!exchange->refusal.status) {
        memcpy(exchange->body + exchange->body_length, bytes, length);
        exchange->body_length += length;
        return MHD_YES;
    }
    exchange->discarded += length;
    if (exchange->discarded <= server->limits.body_bytes) return MHD_YES;
    atomic_fetch_add(&server->rejected, 1);
    http_connection_refuse(connection, 413, too_large.message);
    return MHD_NO;
}

static enum MHD_Result finish(http_exchange *exchange, const char *method) {
    http_connection *connection = exchange->connection;
    http_server *server = connection->server;
    connection->is_awaiting = false;
    exchange->is_complete = true;
    if (exchange->refusal.status) return http_answer_refusal(exchange, &exchange->refusal);
    http_reply *reply = http_reply_open(connection);
    if (!reply) return http_answer_refusal(exchange, &no_memory);
    connection->reply = reply;
    if (exchange->body) exchange->body[exchange->body_length] = 0;
    http_request request = {method, exchange->path, exchange->body ? exchange->body : "", exchange->body_length,
                            exchange->client};
    exchange->route->handle(server->context, &request, reply);
    return http_answer(exchange, reply);
}

enum MHD_Result http_request_arrives(void *context, struct MHD_Connection *mhd, const char *url, const char *method,
                                     const char *version, const char *upload, size_t *upload_size, void **slot) {
    http_server *server = context;
    http_exchange *exchange = *slot;
    if (server->is_closing) return MHD_NO;
    if (!exchange) return begin(server, mhd, url, method, version, slot);
    if (*upload_size > 0) return receive(exchange, upload, upload_size);
    if (!exchange->is_complete) return finish(exchange, method);
    return exchange->connection->reply ? http_answer(exchange, exchange->connection->reply) : MHD_NO;
}

void http_request_completed(void *context, struct MHD_Connection *mhd, void **slot,
                            enum MHD_RequestTerminationCode code) {
    (void)context;
    (void)code;
    http_exchange *exchange = *slot;
    if (!exchange) return;
    http_connection *connection = connection_of(mhd);
    http_reply *reply = connection->reply;
    connection->reply = NULL;
    connection->exchange = NULL;
    *slot = NULL;
    free_exchange(exchange);
    if (reply) {
        pthread_mutex_lock(&reply->lock);
        reply->is_gone = true;
        reply->connection = NULL;
        pthread_mutex_unlock(&reply->lock);
        http_reply_release(reply);
    }
    http_connection_awaits(connection);
}
