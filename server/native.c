/* native.c - models, health, properties and counters. */
#include <stdlib.h>
#include <string.h>

#include "server_parts.h"
#include "text.h"

static json_t *describe_model(const server_core *server) {
    const ex_engine_info info = ex_engine_get_info(server->options.engine);
    return json_pack("{s:s, s:s, s:I, s:s, s:{s:i, s:I, s:i, s:i, s:I, s:I}}", "id", server->model_name, "object",
                     "model", "created", (json_int_t)server->started, "owned_by", "entropix", "meta", "n_vocab",
                     (int)info.n_vocab, "n_ctx_train", (json_int_t)info.n_context, "n_embd", (int)info.n_embd,
                     "n_layer", (int)info.n_layer, "n_params", (json_int_t)info.n_parameters, "size",
                     (json_int_t)info.weight_bytes);
}

void handle_models(void *context, const http_request *request, http_reply *reply) {
    (void)request;
    server_core *server = context;
    reply_json(reply, 200, json_pack("{s:s, s:[o]}", "object", "list", "data", describe_model(server)));
}

void handle_model(void *context, const http_request *request, http_reply *reply) {
    server_core *server = context;
    const char *name = strstr(request->path, "/models/") + strlen("/models/");
    if (strcmp(name, server->model_name) == 0) {
        reply_json(reply, 200, describe_model(server));
        return;
    }
    reply_json(reply, 404, error_json(404, "model", "there is no such model; GET /v1/models names the one"));
}

void handle_health(void *context, const http_request *request, http_reply *reply) {
    (void)context;
    (void)request;
    reply_json(reply, 200, json_pack("{s:s}", "status", "ok"));
}

void handle_props(void *context, const http_request *request, http_reply *reply) {
    (void)request;
    server_core *server = context;
    const ex_string template = ex_tokenizer_chat_template(ex_engine_tokenizer(server->options.engine));
    const ex_policy *policy = &server->policy;
    reply_json(reply, 200,
               json_pack("{s:{s:I, s:s, s:f, s:f, s:i, s:f}, s:I, s:s, s:o, s:s}", "default_generation_settings",
                         "n_ctx", (json_int_t)scheduler_context(server->scheduler), "policy", server->policy_name,
                         "temperature", policy->temperature, "top_p", policy->top_p, "top_k", (int)policy->top_k,
                         "min_p", policy->min_p, "total_slots", (json_int_t)server->options.scheduler.n_parallel,
                         "model_alias", server->model_name, "chat_template",
                         json_of_bytes(template.data, template.length), "build_info", ex_version()));
}

void handle_metrics(void *context, const http_request *request, http_reply *reply) {
    (void)request;
    server_core *server = context;
    telemetry_set(server->telemetry, GAUGE_CONNECTIONS, (double)http_count(server->http).open);
    size_t length;
    char *text = telemetry_text(server->telemetry, &length);
    if (text)
        http_reply_send(reply, 200, "text/plain; version=0.0.4; charset=utf-8", text, length);
    else
        reply_json(reply, 503, error_json(503, NULL, "no memory for the counters"));
    free(text);
}
