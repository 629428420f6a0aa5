/* calibrate.c - entropix calibrate: thresholds and weights that fit a model. */
#include "calibrate.h"

#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "generation.h"
#include "interrupt.h"
#include "model.h"
#include "policy.h"
#include "whole_file.h"

typedef struct calibrate_state {
    const cli_options *options;
    ex_engine *engine;
    ex_policy policy;
    ex_calibration_options wanted;
    ex_calibration found;
    int32_t *tokens, *held_out; /* held_out: NULL without a text of its own */
    size_t n_tokens, n_held_out;
    cli_progress bar;
    char *model_path;
} calibrate_state;

/* greedy=0.5,clarify=0.01 */
static int read_shares(ex_shares *shares, const char *text) {
    const struct {
        const char *name;
        double *share;
    } rows[] = {{"greedy", &shares->greedy},
                {"clarify", &shares->clarify},
                {"explore", &shares->explore},
                {"high_uncertainty", &shares->high_uncertainty}};
    enum { N_ROWS = sizeof rows / sizeof *rows };
    for (const char *at = text; at && *at;) {
        size_t name = strcspn(at, "=,"), row = 0;
        while (row < N_ROWS && (strlen(rows[row].name) != name || memcmp(rows[row].name, at, name) != 0)) row++;
        char *end = NULL;
        double share = at[name] == '=' ? strtod(at + name + 1, &end) : -1;
        if (row == N_ROWS || !end || end == at + name + 1 || (*end && *end != ',') || !(share >= 0 && share <= 1)) {
            message("--shares: at '%s': expected NAME=SHARE with greedy, clarify, explore or high_uncertainty, and a "
                    "share from 0 to 1", at);
            return STATUS_INPUT;
        }
        *rows[row].share = share;
        at = *end ? end + 1 : end;
    }
    return STATUS_OK;
}

static int read_tokens(calibrate_state *state, const char *path, int32_t **tokens, size_t *n_tokens) {
    size_t length;
    char *text = read_text(path, &length);
    if (!text) return interrupt_seen() ? STATUS_INTERRUPTED : STATUS_INPUT;
    *tokens = tokens_of(ex_engine_tokenizer(state->engine), text, length, 0, n_tokens);
    free(text);
    return *tokens ? STATUS_OK : STATUS_INPUT;
}

/* Without a text to check with, it is the second half. */
static int read_texts(calibrate_state *state) {
    const char *held_out = option_text(state->options, OPTION_HELD_OUT);
    int status = read_tokens(state, option_text(state->options, OPTION_CALIBRATION_TEXT), &state->tokens,
                             &state->n_tokens);
    if (status != STATUS_OK) return status;
    if (held_out) return read_tokens(state, held_out, &state->held_out, &state->n_held_out);
    state->n_held_out = state->n_tokens / 2;
    state->n_tokens -= state->n_held_out;
    return STATUS_OK;
}

static bool on_progress(void *context, uint64_t done, uint64_t total, const char *what) {
    progress_show(&((calibrate_state *)context)->bar, seconds_now(), done, total, what);
    return !interrupt_seen();
}

/* The shorter of what was asked for, what the model can hold, and what the texts allow. */
static void choose_window(calibrate_state *state) {
    const size_t trained = (size_t)ex_engine_get_info(state->engine).n_context;
    const size_t given = (size_t)option_integer(state->options, OPTION_CALIBRATION_WINDOW);
    if (given) state->wanted.n_window = given;
    else if (state->wanted.n_window >= trained) state->wanted.n_window = trained - 1;
    if (state->wanted.n_warm_up > state->wanted.n_window / 4) state->wanted.n_warm_up = state->wanted.n_window / 4;
}

static int open_all(calibrate_state *state) {
    const cli_options *options = state->options;
    state->wanted = ex_calibration_options_default();
    if (!option_text(options, OPTION_CALIBRATION_TEXT)) {
        message("calibrate needs a text: -f FILE");
        return STATUS_INPUT;
    }
    int status = read_shares(&state->wanted.shares, option_text(options, OPTION_SHARES));
    if (status == STATUS_OK) status = policy_named(&state->policy, option_text(options, OPTION_BASE_POLICY));
    if (status == STATUS_OK) status = model_path(&state->model_path, options);
    if (status == STATUS_OK) status = model_open(&state->engine, options);
    if (status == STATUS_OK) status = read_texts(state);
    if (status != STATUS_OK) return status;
    state->wanted.policy = &state->policy;
    state->wanted.n_positions = (size_t)option_integer(options, OPTION_POSITIONS);
    state->wanted.progress = on_progress;
    state->wanted.context = state;
    choose_window(state);
    return STATUS_OK;
}

static int refuse(calibrate_state *state, const ex_error *error) {
    progress_end(&state->bar);
    if (!interrupt_seen()) return report(error);
    message("stopped by Ctrl-C; nothing was written");
    return STATUS_INTERRUPTED;
}

static int measure(calibrate_state *state) {
    ex_error error;
    const int32_t *held_out = state->held_out ? state->held_out : state->tokens + state->n_tokens;
    state->bar = progress_begin();
    ex_code code = ex_calibrate(state->engine, state->tokens, state->n_tokens, held_out, state->n_held_out,
                                &state->wanted, &state->found, &error);
    if (code != EX_OK) return refuse(state, &error);
    progress_end(&state->bar);
    return STATUS_OK;
}

static int write_files(calibrate_state *state, calibrate_result *result) {
    const char *output = option_text(state->options, OPTION_POLICY_OUTPUT);
    const char *embedded = option_text(state->options, OPTION_EMBED);
    if (!output && !embedded) return STATUS_OK;
    char *text = calibrate_policy_text(result);
    if (!text) return report_memory();
    int status = output ? whole_file_write(output, text, strlen(text)) : STATUS_OK;
    if (status == STATUS_OK) result->output = output;
    if (status == STATUS_OK && embedded) {
        ex_error error;
        interrupt_unfinished(embedded);
        ex_code code = ex_file_copy(state->model_path, embedded, EX_POLICY_KEY, text, strlen(text), on_progress, state,
                                    &error);
        interrupt_unfinished(NULL);
        if (code != EX_OK) status = refuse(state, &error);
        else result->embedded = embedded;
        progress_end(&state->bar);
    }
    free(text);
    return status;
}

static int calibrate(calibrate_state *state) {
    const cli_options *options = state->options;
    double start = seconds_now();
    int status = measure(state);
    if (status != STATUS_OK) return status;
    calibrate_result result = {.found = &state->found,
                               .model = ex_engine_get_info(state->engine),
                               .model_path = state->model_path,
                               .text = option_text(options, OPTION_CALIBRATION_TEXT),
                               .held_out = option_text(options, OPTION_HELD_OUT),
                               .policy = option_text(options, OPTION_BASE_POLICY),
                               .n_window = state->wanted.n_window,
                               .n_warm_up = state->wanted.n_warm_up,
                               .seconds = seconds_now() - start};
    status = write_files(state, &result);
    if (option_flag(options, OPTION_JSON)) {
        calibrate_json(&result);
    } else {
        cli_painter painter = painter_for(stdout, option_text(options, OPTION_COLOR));
        calibrate_print(&painter, &result);
    }
    return status;
}

int command_calibrate(const cli_options *options) {
    calibrate_state *state = calloc(1, sizeof *state);
    if (!state) return report_memory();
    state->options = options;
    int status = open_all(state);
    if (status == STATUS_OK) status = calibrate(state);
    ex_engine_close(state->engine);
    free(state->tokens);
    free(state->held_out);
    free(state->model_path);
    free(state);
    return status;
}
