/* tokenize.c - entropix tokenize: texts to ids and back, one JSON object a line. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "eval/memory_text.h"
#include "json_output.h"
#include "line_answers.h"
#include "model.h"
#include "terminal.h"

typedef struct tokenize_state {
    const ex_tokenizer *tokenizer;
    uint32_t flags;
    int32_t *tokens; /* grows */
    size_t capacity;
} tokenize_state;

static bool grow(tokenize_state *state, size_t capacity) {
    if (capacity <= state->capacity) return true;
    int32_t *larger = realloc(state->tokens, capacity * sizeof *larger);
    if (!larger) return false;
    state->tokens = larger;
    state->capacity = capacity;
    return true;
}

static const char *write_ids(tokenize_state *state, const char *text, size_t length, uint32_t flags, ex_error *error) {
    size_t count = 0;
    if (!grow(state, length + 8)) return "out of memory";
    ex_code code = ex_tokenize(state->tokenizer, text, length, flags, state->tokens, state->capacity, &count, error);
    if (code == EX_OK && count > state->capacity) {
        if (!grow(state, count)) return "out of memory";
        code = ex_tokenize(state->tokenizer, text, length, flags, state->tokens, state->capacity, &count, error);
    }
    if (code != EX_OK) return error->message;
    emitter json = {.out = stdout};
    emit_object_begin(&json, NULL);
    emit_array_begin(&json, "ids");
    for (size_t i = 0; i < count; i++) emit_whole(&json, NULL, state->tokens[i]);
    emit_array_end(&json);
    emit_object_end(&json);
    emit_line_end(&json);
    return NULL;
}

static const char *collect_text(tokenize_state *state, json_t *ids, FILE *out, ex_error *error) {
    size_t i;
    json_t *id;
    int32_t size = ex_tokenizer_size(state->tokenizer);
    json_array_foreach(ids, i, id) {
        json_int_t token = json_is_integer(id) ? json_integer_value(id) : -1;
        if (token < 0 || token >= size) {
            snprintf(error->message, sizeof error->message, "ids[%zu] is not a token; they go from 0 to %d", i,
                     size - 1);
            return error->message;
        }
        ex_string piece = ex_token_text(state->tokenizer, (int32_t)token, true);
        fwrite(piece.data, 1, piece.length, out);
    }
    return NULL;
}

static const char *write_text(tokenize_state *state, json_t *ids, ex_error *error) {
    char *text = NULL;
    size_t length = 0;
    FILE *out = eval_memory_open(&text, &length);
    if (!out) return "out of memory";
    const char *problem = collect_text(state, ids, out, error);
    if (!eval_memory_close(out, &text)) problem = "out of memory";
    if (!problem) {
        emitter json = {.out = stdout};
        emit_object_begin(&json, NULL);
        emit_bytes(&json, "text", (ex_string){text, length});
        emit_object_end(&json);
        emit_line_end(&json);
    }
    free(text);
    return problem;
}

/* NULL when the line was answered. */
static const char *answer(void *context, const char *line, size_t length, ex_error *error) {
    tokenize_state *state = context;
    json_error_t json_error;
    json_t *object = json_loadb(line, length, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &json_error);
    if (!object) {
        snprintf(error->message, sizeof error->message, "column %d: %s", json_error.column, json_error.text);
        return error->message;
    }
    const json_t *text = json_object_get(object, "text");
    json_t *ids = json_object_get(object, "ids");
    uint32_t flags = state->flags;
    if (json_is_true(json_object_get(object, "parse_special"))) flags |= EX_TOKENIZE_SPECIAL;
    const char *problem = "the line needs \"text\", a string, or \"ids\", an array of integers";
    if (json_is_string(text))
        problem = write_ids(state, json_string_value(text), json_string_length(text), flags, error);
    else if (!text && json_is_array(ids))
        problem = write_text(state, ids, error);
    json_decref(object);
    return problem;
}

int command_tokenize(const cli_options *options) {
    char *path;
    int status = model_path(&path, options);
    if (status != STATUS_OK) return status;
    ex_error error;
    ex_file *file = NULL;
    ex_tokenizer *tokenizer = NULL;
    ex_code code = ex_file_open(&file, path, &error);
    if (code == EX_OK) code = ex_tokenizer_open(&tokenizer, file, &error);
    tokenize_state state = {.tokenizer = tokenizer};
    if (option_flag(options, OPTION_PARSE_SPECIAL)) state.flags |= EX_TOKENIZE_SPECIAL;
    if (option_flag(options, OPTION_ADD_BEGINNING)) state.flags |= EX_TOKENIZE_ADD_BEGINNING;
    if (option_flag(options, OPTION_ADD_END)) state.flags |= EX_TOKENIZE_ADD_END;
    status = code == EX_OK ? answer_lines(answer, &state) : report(&error);
    free(state.tokens);
    ex_tokenizer_close(tokenizer);
    ex_file_close(file);
    free(path);
    return status;
}
