/* http_client.h - a client of raw sockets for tests of the server: it can also be slow, rude and wrong. Every read
 * gives up after ten seconds. */
#ifndef EX_TESTS_HTTP_CLIENT_H
#define EX_TESTS_HTTP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct http_client {
    int socket;
    char *bytes;           /* that came and were not read yet: from start to end */
    size_t start, end, capacity;
    bool is_over;          /* the server has closed */
    /* of the answer that is being read */
    bool is_chunked, is_headless; /* the latter: a body to the end of the connection */
    size_t left;           /* bytes of the body, or of its chunk, that were not read yet */
    bool is_done;          /* the body is complete */
} http_client;

typedef struct http_answer_read {
    int status;            /* 0: none came */
    char *head, *body;     /* terminated by zero bytes; the head with its status line */
    size_t length;         /* of the body */
} http_answer_read;

/* To 127.0.0.1. */
bool client_open(http_client *client, uint16_t port);
void client_close(http_client *client);
/* False: not all could be sent. */
bool client_send(http_client *client, const char *text);
bool client_send_bytes(http_client *client, const void *bytes, size_t length);
/* "METHOD PATH HTTP/1.1", Host, the lines of `headers` (each with its \r\n; may be NULL), and where there is a body its
 * length and, unless `headers` says a Content-Type, that it is JSON. */
bool client_ask(http_client *client, const char *method, const char *path, const char *headers, const char *body);

/* Up to the empty line. Returns the status, 0 when the connection ended. */
int client_read_head(http_client *client, http_answer_read *answer);
/* Bytes of the body as they come, chunks taken apart; 0: complete, or the connection ended (is_done tells). */
size_t client_read_part(http_client *client, char *out, size_t size);
/* Head and body. `for_head`: the question was HEAD. Returns the status. */
int client_read(http_client *client, http_answer_read *answer, bool for_head);
/* The next line of a stream of events that is not empty, without its end; false: the stream has ended. */
bool client_read_line(http_client *client, char *line, size_t size);
/* Whether the server closes within so many milliseconds; what it sends until then is passed over. */
bool client_sees_end(http_client *client, int milliseconds);

/* One connection, one question, one answer. Returns the status. */
int client_exchange(uint16_t port, const char *method, const char *path, const char *headers, const char *body,
                    http_answer_read *answer);
void answer_free(http_answer_read *answer);
/* The value of a field of the head, in a static buffer of the thread; NULL: not there. */
const char *answer_header(const http_answer_read *answer, const char *name);

#endif
