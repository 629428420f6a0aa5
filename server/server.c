/* server.c - opening and closing, in the order in which the parts need each other. */
#include "server.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "failure.h"
#include "server_parts.h"

enum { TRACES_DEFAULT = 64, TRACE_BYTES_DEFAULT = 256 << 20 };

server_options server_options_default(void) {
    return (server_options){.http = http_options_default(),
                            .scheduler = scheduler_options_default(),
                            .limits = request_limits_default(),
                            .n_traces = TRACES_DEFAULT,
                            .trace_bytes = TRACE_BYTES_DEFAULT};
}

static ex_code copy_names(server_core *server, ex_error *error) {
    const server_options *options = &server->options;
    const ex_string own = ex_engine_get_info(options->engine).name;
    server->model_name = options->model_name ? strdup(options->model_name)
                         : own.length > 0    ? strndup(own.data, own.length)
                                             : strdup("entropix");
    server->policy_name = strdup(options->policy_name ? options->policy_name : ex_policy_preset_name(0));
    if (!server->model_name || !server->policy_name) return server_fail_memory(error, "the server");
    if (!options->policy) return ex_policy_preset(&server->policy, NULL, error);
    server->policy = *options->policy;
    return EX_OK;
}

static void count_answer(void *context, unsigned status) {
    const server_core *server = context;
    telemetry_response(server->telemetry, status);
}

static ex_code open_parts(server_core *server, ex_error *error) {
    server_options *options = &server->options;
    ex_code code = copy_names(server, error);
    if (code == EX_OK) code = telemetry_open(&server->telemetry, error);
    if (code == EX_OK)
        code = trace_store_open(&server->traces, options->n_traces, options->trace_bytes, options->trace_folder, error);
    options->scheduler.engine = options->engine;
    options->scheduler.telemetry = server->telemetry;
    if (code == EX_OK) code = scheduler_open(&server->scheduler, &options->scheduler, error);
    options->http.answered = count_answer;
    return code == EX_OK ? http_open(&server->http, &options->http, server_routes, server, error) : code;
}

ex_code server_open(server_core **out, const server_options *options, ex_error *error) {
    *out = NULL;
    server_core *server = calloc(1, sizeof *server);
    if (!server) return server_fail_memory(error, "the server");
    server->options = *options;
    server->started = (int64_t)time(NULL);
    ex_code code = open_parts(server, error);
    if (code != EX_OK) {
        server_close(server);
        return code;
    }
    *out = server;
    return EX_OK;
}

uint16_t server_port(const server_core *server) { return http_port(server->http); }

void server_drain(server_core *server, double seconds) {
    http_quiesce(server->http);
    scheduler_drain(server->scheduler, seconds);
}

/* The scheduler first: what it cancels still gets its answer. */
void server_close(server_core *server) {
    if (!server) return;
    scheduler_close(server->scheduler);
    http_close(server->http);
    trace_store_close(server->traces);
    telemetry_close(server->telemetry);
    free(server->model_name);
    free(server->policy_name);
    free(server);
}
