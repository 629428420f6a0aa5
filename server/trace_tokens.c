/* trace_tokens.c - what a trace says the session held: the newest header's prompt, then the tokens that stayed. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "failure.h"
#include "traces.h"

typedef struct held_tokens {
    int32_t *tokens;
    size_t count, capacity, n_prompt;
    bool has_header, failed;
} held_tokens;

static void set_token(held_tokens *held, size_t position, json_int_t token) {
    if (position > held->count || held->failed) return;
    if (position == held->capacity) {
        const size_t capacity = 2 * held->capacity + 64;
        int32_t *grown = realloc(held->tokens, capacity * sizeof *grown);
        if (!grown) {
            held->failed = true;
            return;
        }
        held->tokens = grown;
        held->capacity = capacity;
    }
    held->tokens[position] = (int32_t)token;
    held->count = position + 1; /* what was there at this position and beyond is void */
}

static void take_header(held_tokens *held, json_t *line) {
    json_t *tokens = json_object_get(line, "prompt_tokens"), *token;
    size_t i;
    held->count = 0;
    held->has_header = true;
    json_array_foreach(tokens, i, token) set_token(held, i, json_integer_value(token));
    held->n_prompt = held->count;
}

static void take_line(held_tokens *held, json_t *line) {
    const char *kind = json_string_value(json_object_get(line, "kind"));
    const json_int_t position = json_integer_value(json_object_get(line, "position"));
    json_t *token = json_object_get(line, "token");
    if (json_object_get(line, "trace")) {
        take_header(held, line);
        return;
    }
    if (!kind || position < 0) return;
    if (strcmp(kind, "rewind") == 0 && (size_t)position < held->count) held->count = (size_t)position;
    if ((strcmp(kind, "token") == 0 || strcmp(kind, "inserted") == 0) && json_is_integer(token))
        set_token(held, (size_t)position, json_integer_value(token));
}

static json_t *next_line(const char **at, const char *end) {
    const char *line_end = memchr(*at, '\n', (size_t)(end - *at));
    if (!line_end) return NULL;
    json_t *line = json_loadb(*at, (size_t)(line_end - *at), 0, NULL);
    *at = line_end + 1;
    return line;
}

int32_t *trace_tokens(const char *text, size_t length, size_t answer, size_t position, size_t *n_tokens,
                      size_t *n_prompt, ex_error *error) {
    held_tokens held = {0};
    json_t *line;
    for (const char *at = text; (line = next_line(&at, text + length));) {
        json_t *sequence = json_object_get(line, "sequence");
        if (!sequence || (size_t)json_integer_value(sequence) == answer) take_line(&held, line);
        json_decref(line);
    }
    if (!held.failed && held.has_header && position >= held.n_prompt && position <= held.count) {
        *n_tokens = position;
        *n_prompt = held.n_prompt;
        return held.tokens;
    }
    free(held.tokens);
    if (held.failed)
        server_fail_memory(error, "the tokens of a trace");
    else
        server_fail(error, EX_ERROR_ARGUMENT, position,
                    "the trace has no position %zu in answer %zu: its answer goes "
                    "from %zu to %zu",
                    position, answer, held.n_prompt, held.count);
    return NULL;
}
