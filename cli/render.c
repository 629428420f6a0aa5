/* render.c - entropix render: a chat template by itself, one set of variables a line. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "commands.h"
#include "json_output.h"
#include "line_answers.h"
#include "model.h"
#include "terminal.h"

typedef struct render_state {
    ex_template *chat_template;
    int64_t now;
} render_state;

static const char *write_rendering(render_state *state, const json_t *inputs, ex_error *error) {
    char *variables = json_dumps(inputs, JSON_COMPACT | JSON_REAL_PRECISION(17)), *text = NULL;
    if (!variables) return "out of memory";
    size_t length = 0;
    ex_code code = ex_template_render(state->chat_template, variables, strlen(variables), state->now, &text, &length,
                                      error);
    free(variables);
    if (code != EX_OK) return error->message;
    emitter json = {.out = stdout};
    emit_object_begin(&json, NULL);
    emit_bytes(&json, "output", (ex_string){text, length});
    emit_object_end(&json);
    emit_line_end(&json);
    free(text);
    return NULL;
}

static const char *answer(void *context, const char *line, size_t length, ex_error *error) {
    json_error_t json_error;
    json_t *object = json_loadb(line, length, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &json_error);
    if (!object) {
        snprintf(error->message, sizeof error->message, "column %d: %s", json_error.column, json_error.text);
        return error->message;
    }
    const json_t *inputs = json_object_get(object, "inputs");
    const char *problem = "the line needs \"inputs\", an object with the template's variables";
    if (json_is_object(inputs)) problem = write_rendering(context, inputs, error);
    json_decref(object);
    return problem;
}

static int read_now(int64_t *now, const char *text) {
    static const char *const forms[] = {"%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d"};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        struct tm date = {.tm_mday = 1};
        const char *end = strptime(text, forms[i], &date);
        int day = date.tm_mday;
        if (!end || *end) continue;
        *now = (int64_t)timegm(&date);
        if (date.tm_mday == day) return STATUS_OK; /* else there is no such day */
    }
    message("--now is '%s', but must be a date such as 2026-11-23 or 2026-11-23T12:30", text);
    return STATUS_INPUT;
}

static int local_now(int64_t *now) {
    time_t seconds = time(NULL);
    struct tm local;
    *now = (int64_t)seconds + (localtime_r(&seconds, &local) ? local.tm_gmtoff : 0);
    return STATUS_OK;
}

static int open_template(render_state *state, const char *path) {
    if (!path) {
        message("render needs a template: -T FILE");
        return STATUS_INPUT;
    }
    size_t length;
    char *source = read_text(path, &length);
    if (!source) return STATUS_INPUT;
    ex_error error;
    ex_code code = ex_template_open(&state->chat_template, source, length, path, &error);
    free(source);
    return code == EX_OK ? STATUS_OK : report(&error);
}

int command_render(const cli_options *options) {
    render_state state = {0};
    const char *now = option_text(options, OPTION_NOW);
    int status = now ? read_now(&state.now, now) : local_now(&state.now);
    if (status == STATUS_OK) status = open_template(&state, option_text(options, OPTION_TEMPLATE));
    if (status == STATUS_OK) status = answer_lines(answer, &state);
    ex_template_close(state.chat_template);
    return status;
}
