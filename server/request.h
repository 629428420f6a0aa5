/* request.h - the body of a completion request, read and checked: every field that the API knows, in its range, and the
 * rest ignored as clients expect. What is wrong is told as the API's errors are: a status, a parameter, a message. */
#ifndef SERVER_REQUEST_H
#define SERVER_REQUEST_H

#include <jansson.h>

#include "entropix.h"

typedef struct request_limits {
    size_t n_answers, n_stop, stop_bytes, n_bias, n_messages, json_depth;
    size_t n_predict; /* tokens of an answer at most, and where a request says nothing; 0: what the context holds */
} request_limits;

typedef struct request_problem {
    unsigned status;       /* 400 and above */
    const char *parameter; /* of the body; NULL: none in particular */
    char message[300];
} request_problem;

typedef struct request_fork { /* goes on from an earlier answer */
    const char *trace;
    size_t answer; /* of several */
    size_t position;
    int32_t token;
} request_fork;

typedef struct completion_request {
    json_t *body;              /* owns what is borrowed below */
    const ex_engine *engine;
    bool is_chat, streams, includes_usage;
    const char *model;         /* NULL: not said */
    int32_t *tokens;           /* the prompt */
    size_t n_tokens;
    size_t n_answers, n_predict;
    uint64_t seed;
    const char **stop;
    size_t n_stop;
    bool wants_logprobs;
    size_t n_likeliest;
    ex_policy policy;
    ex_grammar *grammar;       /* of response_format; NULL: none */
    bool has_extension, wants_trace;
    bool has_fork;
    request_fork fork;
} completion_request;

request_limits request_limits_default(void);
/* JSON within the limits, an object; NULL with the problem. */
json_t *request_json(const char *body, size_t length, const request_limits *limits, request_problem *problem);
/* `default_policy` counts where the request names none. False with the problem. */
bool completion_read(completion_request *out, const ex_engine *engine, bool is_chat, const char *body, size_t length,
                     const ex_policy *default_policy, const request_limits *limits, request_problem *problem);
void completion_free(completion_request *request);
/* The policy that an object with `policy` and `set` asks for. */
bool request_policy(ex_policy *out, json_t *object, const ex_policy *default_policy, request_problem *problem);
/* False: fills the problem with a status, a parameter and a message. */
bool request_refuse(request_problem *problem, unsigned status, const char *parameter, const char *format, ...)
    EX_PRINTF(4, 5);

#endif
