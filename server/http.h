/* http.h - the part of the server that knows the web: connections, limits, TLS, who may ask. It is the only file pair
 * that knows the HTTP library. What comes to a handler is a whole request within all limits, from an allowed host and
 * origin, with a known key where keys are asked for; everything else has been answered.
 *
 * Handlers run on the connection thread and must not wait. A reply may be finished later, from any thread. */
#ifndef SERVER_HTTP_H
#define SERVER_HTTP_H

#include "entropix.h"

typedef struct http_server http_server;
typedef struct http_reply http_reply;

typedef struct http_limits {
    size_t header_bytes, body_bytes;
    size_t connections, connections_per_address;
    unsigned idle_seconds;      /* without a byte from a client, while a request is awaited */
    unsigned request_seconds;   /* from the first byte of a request to its last: what is slower gets 408 */
    size_t unsent_bytes;        /* of a stream whose reader is slow; past it the client counts as gone */
} http_limits;

typedef struct http_options {
    const char *host;           /* "127.0.0.1", "::1", "0.0.0.0" … */
    uint16_t port;              /* 0: any that is free */
    const char *certificate, *private_key; /* PEM texts; both or none */
    const char *const *keys;    /* [n_keys] API keys; none: everybody may ask */
    size_t n_keys;
    const char *const *hosts;   /* [n_hosts] allowed in Host besides loopback names and addresses, without the port */
    size_t n_hosts;
    const char *const *origins; /* [n_origins] whose pages may ask (CORS), "*": any; none: only our own page */
    size_t n_origins;
    http_limits limits;
    /* Told of every answer when it begins, with the context of the handlers, on the connection thread; or NULL. */
    void (*answered)(void *context, unsigned status);
} http_options;

typedef struct http_request { /* valid until the handler returns */
    const char *method, *path;  /* the path decoded, without the query */
    const char *body;           /* with a zero byte after it */
    size_t body_length;
    size_t client;              /* index of the key; 0 where none are asked for */
} http_request;

typedef struct http_route { /* rows of a table; the first that matches */
    const char *method;         /* HEAD is answered wherever GET is */
    const char *path;           /* as it is, or ending in a slash and a star: everything below */
    bool is_public;             /* no key needed */
    void (*handle)(void *context, const http_request *request, http_reply *reply);
} http_route;

http_options http_options_default(void);
/* Starts answering. `routes` ends with a row without a method. The texts of the options are copied. */
ex_code http_open(http_server **out, const http_options *options, const http_route *routes, void *context,
                  ex_error *error);
uint16_t http_port(const http_server *server);
/* Takes no new connections; open replies go on. */
void http_quiesce(http_server *server);
/* Closes every connection. No handler runs any more when it returns; replies that are still held count as gone. */
void http_close(http_server *server);
typedef struct http_counts {
    uint64_t accepted, refused, requests, rejected; /* connections; requests: all, and those that no handler saw */
    uint64_t bytes_in, bytes_out;
    size_t open; /* connections now */
} http_counts;
http_counts http_count(const http_server *server);

/* ---- replies: every handler finishes each with exactly one of send and end, sooner or later ---------------------- */
/* Before send or begin. Both texts are copied. */
void http_reply_header(http_reply *reply, const char *name, const char *value);
/* A whole answer, copied. Ends the reply. */
void http_reply_send(http_reply *reply, unsigned status, const char *type, const void *bytes, size_t length);
/* The same without a copy, of bytes that live as long as the program. */
void http_reply_send_static(http_reply *reply, unsigned status, const char *type, const void *bytes, size_t length);
/* A stream of parts. */
void http_reply_begin(http_reply *reply, unsigned status, const char *type);
/* False: the client is gone, and nothing more needs to be written; end is still to be called. */
bool http_reply_write(http_reply *reply, const void *bytes, size_t length);
void http_reply_end(http_reply *reply);
bool http_reply_is_gone(http_reply *reply);

#endif
