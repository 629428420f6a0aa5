/* quantize.c - entropix quantize: the same model with smaller numbers. */
#include <sys/stat.h>

#include "commands.h"
#include "interrupt.h"
#include "terminal.h"

typedef struct quantize_state {
    cli_progress bar;
} quantize_state;

static bool on_progress(void *context, uint64_t done, uint64_t total, const char *what) {
    quantize_state *state = context;
    progress_show(&state->bar, seconds_now(), done, total, what);
    return !interrupt_seen();
}

static uint64_t file_size(const char *path) {
    struct stat status;
    return stat(path, &status) == 0 ? (uint64_t)status.st_size : 0;
}

int command_quantize(const cli_options *options) {
    const char *input = options->operands[0], *output = options->operands[1], *type = options->operands[2];
    quantize_state state = {progress_begin()};
    ex_error error;
    double start = seconds_now();
    ex_code code =
        ex_quantize(input, output, type, (int32_t)option_integer(options, OPTION_THREADS), on_progress, &state, &error);
    progress_end(&state.bar);
    if (code != EX_OK && interrupt_seen()) {
        message("stopped by Ctrl-C; %s was not written", output);
        return STATUS_INTERRUPTED;
    }
    if (code != EX_OK) return report(&error);
    char before[32], after[32];
    uint64_t n_before = file_size(input), n_after = file_size(output);
    printf("%s: %s -> %s: %s, %s (%.0f %%), %.1f s\n", input, format_bytes(before, n_before), output, type,
           format_bytes(after, n_after), n_before ? 100 * (double)n_after / (double)n_before : 0,
           seconds_now() - start);
    return STATUS_OK;
}
