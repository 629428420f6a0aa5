/* trace_reply.c - a trace as it was written, and what another policy would have decided. */
#include <stdlib.h>
#include <string.h>

#include "request_fields.h"
#include "server_parts.h"
#include "text.h"

enum { PREFIX_LENGTH = sizeof "/v1/traces/" - 1 };
static const char replay_ending[] = "/replay";

/* The id in the path; `ending` is what follows it. */
static bool read_id(const char *path, const char *ending, char id[TRACE_ID_BYTES]) {
    const size_t length = strlen(path), before = PREFIX_LENGTH, after = strlen(ending);
    if (length <= before + after || length - before - after >= TRACE_ID_BYTES) return false;
    memcpy(id, path + before, length - before - after);
    id[length - before - after] = 0;
    return strcmp(path + length - after, ending) == 0 && !strchr(id, '/');
}

static char *find_trace(server_core *server, const http_request *request, http_reply *reply, const char *ending,
                        char *id, size_t *length) {
    char *text =
        read_id(request->path, ending, id) ? trace_store_get(server->traces, id, request->client, length) : NULL;
    if (!text) reply_json(reply, 404, error_json(404, NULL, "there is no such trace (any more)"));
    return text;
}

void handle_trace(void *context, const http_request *request, http_reply *reply) {
    char id[TRACE_ID_BYTES];
    size_t length;
    char *text = find_trace(context, request, reply, "", id, &length);
    if (text) http_reply_send(reply, 200, "application/x-ndjson", text, length);
    free(text);
}

/* ---- replay ------------------------------------------------------------------------------------------------------ */

static const struct {
    uint32_t bit;
    const char *name;
} difference_names[] = {
    {EX_DIFFERS_METRICS, "metrics"}, {EX_DIFFERS_DECISION, "decision"}, {EX_DIFFERS_PARAMETERS, "parameters"},
    {EX_DIFFERS_KEPT, "kept"},       {EX_DIFFERS_DRAW, "draw"},         {EX_DIFFERS_TOKEN, "token"},
};

static json_t *list_differences(uint32_t differences) {
    json_t *list = json_array();
    for (size_t i = 0; i < sizeof difference_names / sizeof *difference_names; i++)
        if (differences & difference_names[i].bit) json_array_append_new(list, json_string(difference_names[i].name));
    return list;
}

static json_t *list_candidates(const ex_tokenizer *tokenizer, const ex_distribution *distribution) {
    json_t *list = json_array();
    for (size_t i = 0; i < distribution->count && i < 32; i++) {
        const ex_candidate *candidate = &distribution->candidates[i];
        const ex_string text = ex_token_text(tokenizer, candidate->token, true);
        json_t *row = json_pack("[i, o, o, o, o]", (int)candidate->token, json_of_bytes(text.data, text.length),
                                json_of_number(candidate->log_probability), json_of_number(candidate->probability),
                                json_of_number(candidate->score));
        json_array_append_new(list, row);
    }
    return list;
}

static json_t *describe_step(const ex_tokenizer *tokenizer, const ex_replay_step *step) {
    const ex_choice *choice = &step->replayed;
    const ex_decision *decision = &choice->decision;
    const int32_t drawn = step->decidable ? choice->draw.token : EX_TOKEN_NONE;
    json_t *value = json_pack("{s:I, s:I, s:i, s:i, s:o, s:b}", "position", (json_int_t)step->position, "choice",
                              (json_int_t)step->sequence, "branch", (int)step->branch, "token", (int)step->token,
                              "differences", list_differences(step->differences), "decidable", step->decidable);
    json_t *replayed = json_pack("{s:s, s:s, s:f, s:f, s:i, s:f, s:o, s:s, s:o, s:o}", "strategy", decision->strategy,
                                 "action", ex_action_name(decision->action), "temperature", decision->temperature,
                                 "top_p", decision->top_p, "top_k", (int)decision->top_k, "min_p", decision->min_p,
                                 "margin", json_of_number(decision->margin), "margin_metric", decision->margin_metric,
                                 "candidates", list_candidates(tokenizer, &choice->distribution), "drawn",
                                 drawn == EX_TOKEN_NONE ? json_null() : json_integer(drawn));
    json_object_update(value, replayed);
    json_decref(replayed);
    return value;
}

static json_t *replay(const ex_tokenizer *tokenizer, const char *text, size_t length, const ex_policy *policy,
                      request_problem *problem) {
    ex_replay *replay;
    ex_replay_step step = {0};
    ex_error error;
    ex_code code = ex_replay_open_text(&replay, text, length, policy, &error);
    json_t *steps = json_array();
    while (code == EX_OK && step.kind != EX_REPLAY_DONE) {
        code = ex_replay_next(replay, &step, &error);
        if (code == EX_OK && step.decided) json_array_append_new(steps, describe_step(tokenizer, &step));
    }
    ex_replay_close(replay);
    if (code == EX_OK) return steps;
    json_decref(steps);
    request_refuse(problem, status_of_error(&error), NULL, "%s", error.message);
    return NULL;
}

void handle_replay(void *context, const http_request *request, http_reply *reply) {
    server_core *server = context;
    char id[TRACE_ID_BYTES];
    size_t length;
    char *text = find_trace(server, request, reply, replay_ending, id, &length);
    if (!text) return;
    request_problem problem;
    ex_policy policy;
    json_t *body = request_json(request->body, request->body_length, &server->options.limits, &problem), *steps = NULL;
    if (body && request_policy(&policy, body, &server->policy, &problem))
        steps = replay(ex_engine_tokenizer(server->options.engine), text, length, &policy, &problem);
    if (steps)
        reply_json(reply, 200, json_pack("{s:s, s:o}", "id", id, "steps", steps));
    else
        reply_problem(reply, &problem);
    json_decref(body);
    free(text);
}
