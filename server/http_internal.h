/* http_internal.h - what the files http*.c share: connections, the requests that arrive on them, and replies.
 *
 * One thread, the connection thread, owns everything here but the queues of replies: it waits for sockets and runs the
 * HTTP library. Other threads write into a reply under its lock and, where the connection sleeps, leave the reply in
 * the mailbox and ring. A reply is held by its connection, by whoever has to finish it, and by the mailbox. */
#ifndef SERVER_HTTP_INTERNAL_H
#define SERVER_HTTP_INTERNAL_H

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include "http.h"
#include "http_rules.h"

typedef struct http_mailbox { /* outlives the server while replies are held */
    pthread_mutex_t lock;
    int bell;                 /* eventfd; -1: the server is closed */
    http_reply *first;
    atomic_size_t holds;
} http_mailbox;

typedef struct http_address { /* connections from one address, or one /64 of IPv6 */
    unsigned char key[16];
    size_t count;
    struct http_address *next;
} http_address;

typedef struct http_connection {
    http_server *server;
    struct MHD_Connection *mhd; /* NULL: closed, to be freed at the end of this turn */
    int socket;
    http_address *address;
    char local[46];             /* the address that the client reached, as text */
    http_reply *reply;          /* of the request that is being answered, held */
    struct http_exchange *exchange;
    size_t uri_length;
    bool is_uri_odd;            /* spaces or control characters in it */
    bool is_hung_up, is_cut;    /* the client has closed its side; we have */
    bool is_awaiting, has_begun;   /* a request; its first byte has come */
    double since;               /* has_begun: when; is_awaiting: since when; seconds on the clock */
    struct http_connection *previous, *next;  /* all, in the order of waiting: the longest first */
    struct http_connection *next_dead;
} http_connection;

typedef struct http_refusal { /* an answer that no handler gives; status 0: none */
    unsigned status;
    const char *message;
    bool must_close;      /* what follows on this connection cannot be trusted, or is too much */
    const char *allow;    /* with 405 and preflights */
} http_refusal;

typedef struct http_exchange { /* a request as it arrives */
    http_connection *connection;
    const http_route *route;
    char *path, *body;
    size_t body_length, body_capacity, discarded;
    size_t client;
    http_refusal refusal;
    bool has_chunks, is_complete;
    char *origin;         /* to be allowed by CORS headers; NULL: none */
    char *asked_headers;  /* of a preflight */
    char allow[64];       /* methods of the path */
} http_exchange;

struct http_server {
    http_rules rules;
    http_limits limits;
    const http_route *routes;
    void *context;
    void (*answered)(void *context, unsigned status);
    bool is_secure;
    uint16_t port;
    struct MHD_Daemon *daemon;
    int listener, poll, bell;
    bool listens, is_closing;
    double listens_again;    /* after the process ran out of file descriptors */
    atomic_bool stops, quiesces;
    pthread_t thread;
    http_mailbox *mailbox;
    http_connection *oldest, *newest, *dead;
    http_address *addresses[256];
    size_t bodies;           /* bytes of all that are being received */
    atomic_uint_fast64_t accepted, refused, requests, rejected, bytes_in, bytes_out;
    atomic_size_t open;
};

enum { HTTP_BODIES = 16 }; /* times body_bytes: what all bodies in receipt may take together */

typedef struct http_header { char *name, *value; struct http_header *next; } http_header;

typedef enum http_phase { REPLY_OPEN, REPLY_WHOLE, REPLY_STREAM } http_phase;

struct http_reply {
    atomic_size_t holds;
    http_mailbox *mailbox;
    size_t unsent_limit;
    http_connection *connection; /* connection thread only; NULL: it is closed or has gone on */
    pthread_mutex_t lock;        /* of what follows */
    http_phase phase;
    unsigned status;
    char *type;
    http_header *headers;
    char *bytes;                 /* from `start` to `end` they wait to be taken */
    const char *lasting;         /* instead of bytes, of a whole reply */
    size_t start, end, capacity;
    bool is_ended, is_gone, is_cut, is_posted;
    bool is_suspended;           /* the connection sleeps until the reply is posted */
    http_reply *next_posted;
};

/* ---- http_reply.c ---- */
http_reply *http_reply_open(http_connection *connection); /* held by the connection and the handler */
void http_reply_release(http_reply *reply);
http_mailbox *http_mailbox_open(int bell);
void http_mailbox_release(http_mailbox *mailbox);
/* Takes the oldest of those that were posted; NULL: none. It has to be released. */
http_reply *http_mailbox_take(http_mailbox *mailbox);
/* Nothing is posted any more, and the bell is not rung. */
void http_mailbox_close(http_mailbox *mailbox);

/* ---- http_answer.c: replies become responses of the HTTP library ---- */
enum MHD_Result http_answer_refusal(http_exchange *exchange, const http_refusal *refusal);
/* Sends what the reply has, or lets the connection sleep until it has something. */
enum MHD_Result http_answer(http_exchange *exchange, http_reply *reply);
/* Whoever wants to know of answers hears of this one. */
void http_answer_tell(const http_server *server, unsigned status);
/* The whole text of an answer, for a socket that the HTTP library cannot answer any more. Returns its length. */
size_t http_answer_text(char *buffer, size_t size, unsigned status, const char *message);

/* ---- http_request.c ---- */
enum MHD_Result http_request_arrives(void *server, struct MHD_Connection *mhd, const char *url, const char *method,
                                     const char *version, const char *upload, size_t *upload_size, void **slot);
void *http_request_begins(void *server, const char *uri, struct MHD_Connection *mhd);
void http_request_completed(void *server, struct MHD_Connection *mhd, void **slot,
                            enum MHD_RequestTerminationCode code);
/* The checks that need no body. */
void http_request_check(http_exchange *exchange, const char *url, const char *method, const char *version);

/* ---- http_connection.c ---- */
void http_connection_notify(void *server, struct MHD_Connection *mhd, void **slot,
                            enum MHD_ConnectionNotificationCode code);
/* Takes what waits at the listening socket. */
void http_connections_accept(http_server *server);
/* The connection awaits a request from now on. */
void http_connection_awaits(http_connection *connection);
/* Answers on the socket itself, where that is possible, and ends the connection. */
void http_connection_refuse(http_connection *connection, unsigned status, const char *message);
void http_connection_cut(http_connection *connection);
/* Ends those whose request takes too long. Returns seconds until the next look; negative: none is needed. */
double http_connections_look(http_server *server);
void http_connections_end_idle(http_server *server);
void http_connections_bury(http_server *server);
double http_clock(void);

/* ---- http_loop.c ---- */
void *http_loop(void *server);

#endif
