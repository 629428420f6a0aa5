/* logits.c - entropix logits: what the model computes for given tokens, as one JSON object. */
#include <errno.h>
#include <stdlib.h>

#include "commands.h"
#include "json_output.h"
#include "metric_fields.h"
#include "model.h"
#include "terminal.h"

typedef struct logits_state {
    const cli_options *options;
    ex_engine *engine;
    ex_session *session;
    int32_t *tokens;
    size_t n_tokens;
    float *all; /* [n_tokens][n_vocab] with --all */
    ex_step step;
} logits_state;

static int parse_tokens(logits_state *state, const char *list) {
    if (!list) {
        message("logits needs --tokens, ids with commas between them (`entropix tokenize` gives them)");
        return STATUS_INPUT;
    }
    size_t capacity = 1;
    for (const char *at = list; *at; at++) capacity += *at == ',';
    state->tokens = malloc(capacity * sizeof *state->tokens);
    if (!state->tokens) return report_memory();
    for (const char *at = list;; at++) {
        char *end;
        errno = 0;
        long token = strtol(at, &end, 10);
        if (end == at || (*end && *end != ',') || errno || token < 0 || token > INT32_MAX) {
            message("--tokens: '%.20s' is not a token id; the list looks like 1,2,3", at);
            return STATUS_INPUT;
        }
        state->tokens[state->n_tokens++] = (int32_t)token;
        at = end;
        if (!*at) return STATUS_OK;
    }
}

static int check_tokens(const logits_state *state) {
    int32_t n_vocab = ex_engine_get_info(state->engine).n_vocab;
    for (size_t i = 0; i < state->n_tokens; i++) {
        if (state->tokens[i] < n_vocab) continue;
        message("--tokens: %d is not in the vocabulary; ids go from 0 to %d", state->tokens[i], n_vocab - 1);
        return STATUS_INPUT;
    }
    return STATUS_OK;
}

static int evaluate(logits_state *state) {
    size_t n_vocab = (size_t)ex_engine_get_info(state->engine).n_vocab;
    ex_session_options session_options = ex_session_options_default();
    session_options.n_context = state->n_tokens;
    session_options.kv_type = cache_type(state->options, EX_KV_F32);
    session_options.keep_scores = option_flag(state->options, OPTION_SCORES);
    if (option_flag(state->options, OPTION_ALL)) {
        state->all = calloc(state->n_tokens, n_vocab * sizeof *state->all);
        if (!state->all) return report_memory();
    }
    ex_error error;
    ex_code code = ex_session_open(&state->session, state->engine, &session_options, &error);
    if (code == EX_OK)
        code = ex_session_evaluate(state->session, state->tokens, state->n_tokens, state->all, &state->step, &error);
    return code == EX_OK ? STATUS_OK : report(&error);
}

static void emit_row(emitter *json, const char *key, const float *values, size_t count) {
    emit_array_begin(json, key);
    for (size_t i = 0; i < count; i++) emit_float(json, values[i]);
    emit_array_end(json);
}

static void emit_logits(emitter *json, const logits_state *state) {
    size_t n_vocab = (size_t)state->step.n_vocab;
    if (!state->all) {
        emit_row(json, "logits", state->step.logits, n_vocab);
        return;
    }
    emit_array_begin(json, "logits");
    for (size_t i = 0; i < state->n_tokens; i++) emit_row(json, NULL, state->all + i * n_vocab, n_vocab);
    emit_array_end(json);
}

static void emit_scores(emitter *json, const logits_state *state) {
    size_t n_positions = 0;
    const float *scores = ex_session_scores(state->session, &n_positions);
    ex_engine_info info = ex_engine_get_info(state->engine);
    if (!scores) return;
    emit_array_begin(json, "scores");
    for (int32_t layer = 0; layer < info.n_layer; layer++) {
        emit_array_begin(json, NULL);
        for (int32_t head = 0; head < info.n_head; head++, scores += n_positions)
            emit_row(json, NULL, scores, n_positions);
        emit_array_end(json);
    }
    emit_array_end(json);
}

static int write_object(const logits_state *state) {
    ex_metrics metrics = {0};
    ex_error error;
    ex_code code = ex_measure_logits(state->step.logits, (size_t)state->step.n_vocab, 0, &metrics, &error);
    if (code != EX_OK) return report(&error);
    ex_measure_attention(state->step.attention, EX_SCOPE_ALL, &metrics, NULL);
    emitter json = {.out = stdout};
    emit_object_begin(&json, NULL);
    emit_logits(&json, state);
    emit_metrics(&json, "metrics", &metrics, METRIC_COUNT_OF_STEP);
    if (option_flag(state->options, OPTION_SCORES)) emit_scores(&json, state);
    emit_object_end(&json);
    emit_line_end(&json);
    return STATUS_OK;
}

int command_logits(const cli_options *options) {
    logits_state state = {.options = options};
    int status = parse_tokens(&state, option_text(options, OPTION_TOKENS));
    if (status == STATUS_OK) status = model_open(&state.engine, options);
    if (status == STATUS_OK) status = check_tokens(&state);
    if (status == STATUS_OK) status = evaluate(&state);
    if (status == STATUS_OK) status = write_object(&state);
    ex_session_close(state.session);
    ex_engine_close(state.engine);
    free(state.all);
    free(state.tokens);
    return status;
}
