/* quantize.c - entropix quantize: the same model with smaller numbers. */
#include <stdlib.h>

#include "commands.h"
#include "interrupt.h"
#include "quantize.h"
#include "terminal.h"

typedef struct quantize_state {
    cli_progress bar;
    quantize_result result;
    bool out_of_memory;
} quantize_state;

static bool on_progress(void *context, uint64_t done, uint64_t total, const char *what) {
    quantize_state *state = context;
    progress_show(&state->bar, seconds_now(), done, total, what);
    return !interrupt_seen() && !state->out_of_memory;
}

static void on_report(void *context, const ex_quantized *tensor) {
    quantize_state *state = context;
    state->out_of_memory |= !quantize_add(&state->result, tensor);
}

static bool was_quantised(const quantized_row *row) {
    return row->type != row->before && 8 * row->n_bytes_before < 16 * row->n_weights;
}

static void warn(const quantize_result *result) {
    size_t n_again = 0;
    for (size_t i = 0; i < result->n_rows; i++) n_again += was_quantised(&result->rows[i]);
    if (n_again)
        message("warning: %zu tensors were quantised already; errors add up, so start from F16, BF16 or F32 if you can",
                n_again);
}

int command_quantize(const cli_options *options) {
    const char *input = options->operands[0], *output = options->operands[1], *type = options->operands[2];
    quantize_state state = {.bar = progress_begin(), .result = {.input = input, .output = output, .type = type}};
    ex_error error;
    double start = seconds_now();
    interrupt_unfinished(output);
    ex_code code = ex_quantize(input, output, type, (int32_t)option_integer(options, OPTION_THREADS), on_progress,
                               on_report, &state, &error);
    interrupt_unfinished(NULL);
    progress_end(&state.bar);
    state.result.seconds = seconds_now() - start;
    int status = STATUS_OK;
    if (code != EX_OK && interrupt_seen()) {
        message("stopped by Ctrl-C; %s was not written", output);
        status = STATUS_INTERRUPTED;
    } else if (state.out_of_memory) {
        status = report_memory();
    } else if (code != EX_OK) {
        status = report(&error);
    } else {
        warn(&state.result);
        if (option_flag(options, OPTION_JSON))
            quantize_json(&state.result);
        else
            quantize_print(&state.result);
    }
    free(state.result.rows);
    return status;
}
