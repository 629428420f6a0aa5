/* server.h - the server as a whole: opens the scheduler and the connections, and stops them in the right order. */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include "http.h"
#include "request.h"
#include "scheduler.h"

typedef struct server_core server_core;

typedef struct server_options {
    ex_engine *engine;         /* must outlive the server */
    const char *model_name;    /* what clients call the model; NULL: its own name */
    const ex_policy *policy;   /* where a request names none; copied */
    const char *policy_name;   /* for people */
    http_options http;
    scheduler_options scheduler; /* engine and telemetry are filled in */
    request_limits limits;
    double seconds_at_most;    /* of a request; 0: no limit */
    const char *trace_folder;  /* NULL: none */
    size_t n_traces, trace_bytes; /* kept in memory at most */
} server_options;

server_options server_options_default(void);
/* Begins to answer. The texts are copied. */
ex_code server_open(server_core **out, const server_options *options, ex_error *error);
uint16_t server_port(const server_core *server);
/* Takes no new requests and waits for running answers, so long at most. Call it once, before closing. */
void server_drain(server_core *server, double seconds);
void server_close(server_core *server);

#endif
