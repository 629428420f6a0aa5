/* http_answer.c - replies become responses of the HTTP library: headers that every answer has, whole answers, streams,
 * and the errors that no handler tells. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "http_internal.h"

enum { BLOCK_BYTES = 16384, ERROR_BYTES = 512 };

static const struct { unsigned status; const char *name, *type; } errors[] = {
    {400, "Bad Request", "invalid_request_error"},
    {401, "Unauthorized", "authentication_error"},
    {403, "Forbidden", "permission_error"},
    {404, "Not Found", "not_found_error"},
    {405, "Method Not Allowed", "invalid_request_error"},
    {408, "Request Timeout", "timeout_error"},
    {413, "Content Too Large", "invalid_request_error"},
    {414, "URI Too Long", "invalid_request_error"},
    {415, "Unsupported Media Type", "invalid_request_error"},
    {431, "Request Header Fields Too Large", "invalid_request_error"},
    {500, "Internal Server Error", "server_error"},
    {501, "Not Implemented", "not_supported_error"},
    {503, "Service Unavailable", "unavailable_error"},
    {505, "HTTP Version Not Supported", "not_supported_error"},
};

static size_t row_of(unsigned status) {
    size_t last = sizeof errors / sizeof errors[0] - 1;
    for (size_t i = 0; i < last; i++)
        if (errors[i].status == status) return i;
    return last;
}

/* The messages are ours: none needs an escape. */
static size_t error_body(char *buffer, size_t size, unsigned status, const char *message) {
    int length = snprintf(buffer, size, "{\"error\":{\"code\":%u,\"message\":\"%s\",\"type\":\"%s\",\"param\":null}}",
                          status, message, errors[row_of(status)].type);
    return length < 0 ? 0 : (size_t)length < size ? (size_t)length : size - 1;
}

size_t http_answer_text(char *buffer, size_t size, unsigned status, const char *message) {
    char body[ERROR_BYTES];
    size_t body_length = error_body(body, sizeof body, status, message);
    int length = snprintf(buffer, size,
                          "HTTP/1.1 %u %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n"
                          "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n%sConnection: close\r\n\r\n%s",
                          status, errors[row_of(status)].name, body_length, status == 503 ? "Retry-After: 1\r\n" : "",
                          body);
    return length < 0 ? 0 : (size_t)length < size ? (size_t)length : size - 1;
}

/* ---- headers ---- */

static const char page_policy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data: blob:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

static void add(struct MHD_Response *response, const char *name, const char *value) {
    if (!MHD_get_response_header(response, name)) MHD_add_response_header(response, name, value);
}

static void add_origin(const http_exchange *exchange, struct MHD_Response *response) {
    if (!exchange->origin) return;
    bool is_any = http_origin_is_any(&exchange->connection->server->rules);
    add(response, "Access-Control-Allow-Origin", is_any ? "*" : exchange->origin);
    add(response, "Access-Control-Expose-Headers", "Retry-After");
    if (!is_any) add(response, "Vary", "Origin");
}

/* After those of the handler: what it says is not said again. */
static void add_headers(const http_exchange *exchange, struct MHD_Response *response, const char *type, bool is_stream,
                        bool lasts) {
    if (type && *type) add(response, "Content-Type", type);
    add(response, "X-Content-Type-Options", "nosniff");
    add(response, "Cross-Origin-Resource-Policy", "same-origin");
    add(response, "Cache-Control", is_stream || lasts ? "no-cache" : "no-store");
    if (is_stream) add(response, "X-Accel-Buffering", "no");
    if (type && http_type_is(type, "text/html")) {
        add(response, "Content-Security-Policy", page_policy);
        add(response, "Referrer-Policy", "no-referrer");
    }
    add_origin(exchange, response);
    const http_server *server = exchange->connection->server;
    if (exchange->has_chunks || exchange->refusal.must_close || atomic_load(&server->quiesces))
        add(response, "Connection", "close");
}

void http_answer_tell(const http_server *server, unsigned status) {
    if (server->answered) server->answered(server->context, status);
}

static enum MHD_Result queue(http_exchange *exchange, unsigned status, struct MHD_Response *response) {
    http_answer_tell(exchange->connection->server, status);
    enum MHD_Result result = MHD_queue_response(exchange->connection->mhd, status, response);
    MHD_destroy_response(response);
    return result;
}

/* ---- errors and preflights ---- */

static void add_preflight(const http_exchange *exchange, struct MHD_Response *response) {
    if (!exchange->origin) return;
    add(response, "Access-Control-Allow-Methods", exchange->refusal.allow);
    if (exchange->asked_headers) add(response, "Access-Control-Allow-Headers", exchange->asked_headers);
    add(response, "Access-Control-Max-Age", "600");
}

enum MHD_Result http_answer_refusal(http_exchange *exchange, const http_refusal *refusal) {
    http_server *server = exchange->connection->server;
    char body[ERROR_BYTES];
    size_t length = refusal->status >= 400 ? error_body(body, sizeof body, refusal->status, refusal->message) : 0;
    struct MHD_Response *response = MHD_create_response_from_buffer(length, body, MHD_RESPMEM_MUST_COPY);
    if (!response) return MHD_NO;
    exchange->refusal = *refusal;
    atomic_fetch_add(&server->rejected, refusal->status >= 400);
    atomic_fetch_add(&server->bytes_out, length);
    if (refusal->allow) add(response, "Allow", refusal->allow);
    if (refusal->status == 401) add(response, "WWW-Authenticate", "Bearer");
    if (refusal->status == 503) add(response, "Retry-After", "1");
    if (refusal->status < 400) add_preflight(exchange, response);
    add_headers(exchange, response, length > 0 ? "application/json" : NULL, false, false);
    return queue(exchange, refusal->status, response);
}

/* ---- replies of handlers ---- */

/* Under the lock. The client of a connection that sleeps is watched by us alone: one that has hung up is never waited
 * for. */
static bool sleeps(http_reply *reply) {
    http_connection *connection = reply->connection;
    if (!connection || connection->is_hung_up) reply->is_gone = true;
    if (reply->is_gone) return false;
    reply->is_suspended = true;
    MHD_suspend_connection(connection->mhd);
    return true;
}

/* The library keeps a connection whose stream reports an error until its time is up. One that it cannot write to, it
 * closes: so it is given something to write. Nothing of it is sent. */
static ssize_t end_at_once(http_reply *reply, char *out) {
    if (!reply->connection) return MHD_CONTENT_READER_END_WITH_ERROR;
    http_connection_cut(reply->connection);
    *out = '\n';
    return 1;
}

static ssize_t read_stream(void *context, uint64_t position, char *out, size_t size) {
    (void)position;
    http_reply *reply = context;
    pthread_mutex_lock(&reply->lock);
    ssize_t result = 0;
    size_t length = reply->end - reply->start;
    if (length > size) length = size;
    if (reply->is_gone) {
        result = end_at_once(reply, out);
    } else if (length > 0) {
        memcpy(out, reply->bytes + reply->start, length);
        reply->start += length;
        result = (ssize_t)length;
        if (reply->connection) atomic_fetch_add(&reply->connection->server->bytes_out, length);
    } else if (reply->is_ended) {
        result = MHD_CONTENT_READER_END_OF_STREAM;
    } else if (!sleeps(reply)) {
        result = end_at_once(reply, out);
    }
    pthread_mutex_unlock(&reply->lock);
    return result;
}

static void release_stream(void *context) { http_reply_release(context); }

/* Under the lock. */
static struct MHD_Response *response_of(http_reply *reply) {
    if (reply->phase == REPLY_STREAM) {
        struct MHD_Response *response =
            MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES, read_stream, reply, release_stream);
        if (response) atomic_fetch_add(&reply->holds, 1);
        return response;
    }
    if (reply->connection) atomic_fetch_add(&reply->connection->server->bytes_out, reply->end);
    if (reply->lasting)
        return MHD_create_response_from_buffer(reply->end, (void *)(uintptr_t)reply->lasting, MHD_RESPMEM_PERSISTENT);
    struct MHD_Response *response = MHD_create_response_from_buffer(reply->end, reply->bytes, MHD_RESPMEM_MUST_FREE);
    if (response) reply->bytes = NULL;
    return response;
}

enum MHD_Result http_answer(http_exchange *exchange, http_reply *reply) {
    pthread_mutex_lock(&reply->lock);
    struct MHD_Response *response = NULL;
    enum MHD_Result result = MHD_NO;
    if (reply->phase == REPLY_OPEN && !reply->is_gone && sleeps(reply)) result = MHD_YES;
    else if (reply->phase != REPLY_OPEN && !reply->is_cut) response = response_of(reply);
    for (http_header *header = reply->headers; response && header; header = header->next)
        if (header->name && header->value) MHD_add_response_header(response, header->name, header->value);
    if (response) add_headers(exchange, response, reply->type, reply->phase == REPLY_STREAM, reply->lasting != NULL);
    unsigned status = reply->status;
    pthread_mutex_unlock(&reply->lock);
    return response ? queue(exchange, status, response) : result;
}
