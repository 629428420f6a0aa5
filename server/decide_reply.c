/* decide_reply.c - POST /v1/sampler/decide. It runs on the connection thread: a decision takes less than a millisecond,
 * and the limit of a body bounds it. */
#include "decide.h"
#include "server_parts.h"

static void answer(http_reply *reply, json_t *request) {
    ex_score_reducer *reducer;
    ex_error error;
    if (ex_score_reducer_open(&reducer, &error) != EX_OK) {
        reply_error(reply, &error);
        return;
    }
    char reason[DECIDE_REASON_BYTES];
    json_t *decision = decide_object(request, reducer, reason);
    ex_score_reducer_close(reducer);
    if (!reason[0]) {
        reply_json(reply, 200, decision);
        return;
    }
    json_decref(decision);
    reply_json(reply, 400, error_json(400, NULL, reason));
}

void handle_decide(void *context, const http_request *request, http_reply *reply) {
    server_core *server = context;
    request_problem problem;
    json_t *body = request_json(request->body, request->body_length, &server->options.limits, &problem);
    if (body) answer(reply, body);
    else reply_problem(reply, &problem);
    json_decref(body);
}
