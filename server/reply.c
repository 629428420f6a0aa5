/* reply.c - JSON answers, and errors in the shape that clients of the API read. */
#include <stdlib.h>
#include <string.h>

#include "server_parts.h"
#include "text.h"

static const char json_media[] = "application/json";

static const struct {
    unsigned status;
    const char *type;
} error_types[] = {
    {401, "authentication_error"}, {403, "permission_error"},      {404, "not_found_error"},
    {429, "rate_limit_error"},     {500, "server_error"},          {501, "not_supported_error"},
    {503, "unavailable_error"},    {400, "invalid_request_error"},
};

static const char *type_of(unsigned status) {
    const size_t count = sizeof error_types / sizeof *error_types;
    for (size_t i = 0; i < count; i++)
        if (error_types[i].status == status) return error_types[i].type;
    return error_types[count - 1].type;
}

json_t *error_json(unsigned status, const char *parameter, const char *message) {
    return json_pack("{s:{s:i, s:o, s:s, s:s?}}", "error", "code", (int)status, "message",
                     json_of_bytes(message, strlen(message)), "type", type_of(status), "param", parameter);
}

void reply_json(http_reply *reply, unsigned status, json_t *value) {
    server_text text = {0};
    text_add_json(&text, value);
    static const char no_memory[] = "{\"error\":{\"code\":503,\"message\":\"no memory for the answer\","
                                    "\"type\":\"unavailable_error\",\"param\":null}}";
    if (text.failed)
        http_reply_send_static(reply, 503, json_media, no_memory, sizeof no_memory - 1);
    else
        http_reply_send(reply, status, json_media, text.bytes, text.length);
    text_free(&text);
}

void reply_problem(http_reply *reply, const request_problem *problem) {
    reply_json(reply, problem->status, error_json(problem->status, problem->parameter, problem->message));
}

unsigned status_of_error(const ex_error *error) {
    switch (error->code) {
    case EX_ERROR_ARGUMENT:
    case EX_ERROR_FORMAT:
    case EX_ERROR_UNSUPPORTED:
    case EX_ERROR_CONTEXT:
        return 400;
    case EX_ERROR_MEMORY:
        return 503;
    default:
        return 500;
    }
}

void reply_error(http_reply *reply, const ex_error *error) {
    const unsigned status = status_of_error(error);
    reply_json(reply, status, error_json(status, NULL, error->message));
}
