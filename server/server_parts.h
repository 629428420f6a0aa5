/* server_parts.h - what the handlers share. */
#ifndef SERVER_SERVER_PARTS_H
#define SERVER_SERVER_PARTS_H

#include "server.h"
#include "telemetry.h"
#include "traces.h"

struct server_core {
    server_options options;
    ex_policy policy;
    char *model_name, *policy_name;
    telemetry *telemetry;
    trace_store *traces;
    server_scheduler *scheduler;
    http_server *http;
    int64_t started; /* seconds since 1970 */
};

/* The rows of every endpoint. */
extern const http_route server_routes[];

/* ---- answers (reply.c) ------------------------------------------------------------------------------------------- */
/* Sends the value, which is released. */
void reply_json(http_reply *reply, unsigned status, json_t *value);
/* {"error": …} as the API has it. `parameter` may be NULL. */
json_t *error_json(unsigned status, const char *parameter, const char *message);
void reply_problem(http_reply *reply, const request_problem *problem);
/* An error of the library: whose fault it is decides the status. */
void reply_error(http_reply *reply, const ex_error *error);
unsigned status_of_error(const ex_error *error);

/* ---- endpoints --------------------------------------------------------------------------------------------------- */
void handle_chat(void *context, const http_request *request, http_reply *reply);       /* completion.c */
void handle_completion(void *context, const http_request *request, http_reply *reply);
void handle_models(void *context, const http_request *request, http_reply *reply);     /* native.c */
void handle_model(void *context, const http_request *request, http_reply *reply);
void handle_health(void *context, const http_request *request, http_reply *reply);
void handle_props(void *context, const http_request *request, http_reply *reply);
void handle_metrics(void *context, const http_request *request, http_reply *reply);
void handle_tokenize(void *context, const http_request *request, http_reply *reply);   /* tokenizing.c */
void handle_detokenize(void *context, const http_request *request, http_reply *reply);
void handle_entropix(void *context, const http_request *request, http_reply *reply);   /* introduction.c */
void handle_trace(void *context, const http_request *request, http_reply *reply);      /* trace_reply.c */
void handle_replay(void *context, const http_request *request, http_reply *reply);
void handle_decide(void *context, const http_request *request, http_reply *reply);     /* decide_reply.c */
void handle_page(void *context, const http_request *request, http_reply *reply);       /* page.c */

#endif
