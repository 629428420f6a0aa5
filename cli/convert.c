/* convert.c - entropix convert: a Hugging Face folder as one GGUF file. */
#include <sys/stat.h>

#include "commands.h"
#include "interrupt.h"
#include "terminal.h"

static bool on_progress(void *context, uint64_t done, uint64_t total, const char *what) {
    progress_show(context, seconds_now(), done, total, what);
    return !interrupt_seen();
}

int command_convert(const cli_options *options) {
    const char *folder = options->operands[0], *output = options->operands[1];
    cli_progress bar = progress_begin();
    ex_error error;
    double start = seconds_now();
    interrupt_unfinished(output);
    ex_code code = ex_convert(folder, output, option_text(options, OPTION_WEIGHT_TYPE), on_progress, &bar, &error);
    interrupt_unfinished(NULL);
    progress_end(&bar);
    if (code != EX_OK && interrupt_seen()) {
        message("stopped by Ctrl-C; %s was not written", output);
        return STATUS_INTERRUPTED;
    }
    if (code != EX_OK) return report(&error);
    char size[32];
    struct stat status;
    uint64_t n_bytes = stat(output, &status) == 0 ? (uint64_t)status.st_size : 0;
    printf("%s -> %s: %s, %.1f s\n", folder, output, format_bytes(size, n_bytes), seconds_now() - start);
    return STATUS_OK;
}
