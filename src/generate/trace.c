/* trace.c - the file of a trace, or who takes its lines, and their order. Lines of branches wait in memory until it is
 * known which of them won. */
#include "generate/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/memory.h"
#include "generate/trace_write.h"

/* ---- where lines go -------------------------------------------------------------------------------------------- */

/* A pipe or a device takes lines as they come; a file appears when it is whole. */
static ex_code open_path(ex_trace *trace, const char *path, ex_error *error) {
    struct stat status;
    trace->path = strdup(path);
    if (!trace->path) return ex_fail_memory(error, "a trace");
    if (stat(path, &status) != 0 || S_ISREG(status.st_mode)) return ex_output_open(&trace->output, path, error);
    trace->descriptor = open(path, O_WRONLY | O_CLOEXEC);
    return trace->descriptor < 0 ? ex_fail_system(error, path, "write the trace") : EX_OK;
}

static void free_trace(ex_trace *trace) {
    free(trace->path);
    free(trace);
}

ex_code ex_trace_open(ex_trace **out, const char *path, ex_error *error) {
    *out = NULL;
    if (!path || !*path) return ex_fail(error, EX_ERROR_ARGUMENT, 0, "no file for the trace was named");
    ex_trace *trace = ex_allocate(1, sizeof *trace);
    if (!trace) return ex_fail_memory(error, "a trace");
    trace->descriptor = -1;
    ex_code code = open_path(trace, path, error);
    if (code != EX_OK) {
        free_trace(trace);
        return code;
    }
    ex_decimal_prepare(&trace->powers);
    *out = trace;
    return EX_OK;
}

ex_code ex_trace_open_callback(ex_trace **out, bool (*write)(void *context, const char *line, size_t length),
                               void *context, ex_error *error) {
    *out = ex_allocate(1, sizeof **out);
    if (!*out) return ex_fail_memory(error, "a trace");
    (*out)->descriptor = -1;
    (*out)->write = write;
    (*out)->context = context;
    ex_decimal_prepare(&(*out)->powers);
    return EX_OK;
}

static ex_code report_first(const ex_trace *trace, ex_error *error) {
    if (error && trace->first.code != EX_OK) *error = trace->first;
    return trace->first.code;
}

ex_code ex_trace_close(ex_trace *trace, ex_error *error) {
    if (!trace) return EX_OK;
    const bool is_empty = trace->output && ex_output_size(trace->output) == 0; /* nothing began */
    if (trace->first.code != EX_OK || is_empty) ex_output_abandon(trace->output);
    else if (trace->output) ex_output_finish(trace->output, &trace->first);
    if (trace->descriptor >= 0 && close(trace->descriptor) != 0 && trace->first.code == EX_OK)
        ex_fail_system(&trace->first, trace->path, "write the trace");
    const ex_code code = report_first(trace, error);
    free_trace(trace);
    return code;
}

/* How many bytes went out; none after a failure, or where a signal came. */
static size_t write_to_file(ex_trace *trace, const char *bytes, size_t length) {
    if (trace->output) {
        ex_code code = ex_output_write(trace->output, bytes, length, &trace->first);
        if (code == EX_OK) code = ex_output_flush(trace->output, &trace->first);
        return code == EX_OK ? length : 0;
    }
    const ssize_t n = write(trace->descriptor, bytes, length);
    if (n < 0 && errno != EINTR) ex_fail_system(&trace->first, trace->path, "write the trace");
    return n < 0 ? 0 : (size_t)n;
}

/* Of a branch there are several lines at once. */
static size_t hand_over_line(ex_trace *trace, const char *bytes, size_t length) {
    const char *end = memchr(bytes, '\n', length);
    const size_t n = end ? (size_t)(end - bytes) + 1 : length;
    if (trace->write(trace->context, bytes, n)) return n;
    ex_fail(&trace->first, EX_ERROR_IO, 0, "a line of the trace was not taken");
    return 0;
}

static ex_code write_bytes(ex_trace *trace, const ex_line *line, ex_error *error) {
    if (line->failed && trace->first.code == EX_OK) ex_fail_memory(&trace->first, "a line of a trace");
    for (size_t at = 0; at < line->length && trace->first.code == EX_OK;)
        at += (trace->path ? write_to_file : hand_over_line)(trace, line->text + at, line->length - at);
    return report_first(trace, error);
}

/* ---- one generator's lines --------------------------------------------------------------------------------------- */

static ex_code open_memory(ex_tracer *tracer, ex_error *error) {
    const ex_tracer_options *options = &tracer->options;
    tracer->heads = ex_allocate((size_t)options->n_layer * (size_t)options->n_head, sizeof *tracer->heads);
    tracer->n_positions = ex_allocate((size_t)options->n_layer, sizeof *tracer->n_positions);
    return tracer->heads && tracer->n_positions ? EX_OK : ex_fail_memory(error, "a trace");
}

ex_code ex_tracer_open(ex_tracer **out, const ex_tracer_options *options, ex_error *error) {
    *out = NULL;
    if (!options->trace) return EX_OK;
    ex_tracer *tracer = ex_allocate(1, sizeof *tracer);
    if (!tracer) return ex_fail_memory(error, "a trace");
    tracer->trace = options->trace;
    tracer->options = *options;
    ex_code code = open_memory(tracer, error);
    if (code != EX_OK) {
        ex_tracer_close(tracer);
        return code;
    }
    *out = tracer;
    return EX_OK;
}

void ex_tracer_close(ex_tracer *tracer) {
    if (!tracer) return;
    for (size_t i = 0; i < tracer->branch_capacity; i++) ex_line_free(&tracer->branches[i]);
    ex_line_free(&tracer->line);
    ex_line_free(&tracer->scratch);
    free(tracer->branches);
    free(tracer->prompt);
    free(tracer->heads);
    free(tracer->n_positions);
    free(tracer);
}

/* ---- the prompt -------------------------------------------------------------------------------------------------- */

void ex_tracer_reset(ex_tracer *tracer) {
    if (tracer) tracer->n_prompt = 0;
}

ex_code ex_tracer_prompt(ex_tracer *tracer, const int32_t *tokens, size_t n_tokens, ex_error *error) {
    if (!tracer || n_tokens == 0) return EX_OK;
    if (n_tokens > tracer->prompt_capacity - tracer->n_prompt) {
        const size_t capacity = (tracer->n_prompt + n_tokens) * 2;
        int32_t *larger = ex_allocate(capacity, sizeof *larger);
        if (!larger) return ex_fail_memory(error, "the prompt of a trace");
        if (tracer->n_prompt > 0) memcpy(larger, tracer->prompt, tracer->n_prompt * sizeof *larger);
        free(tracer->prompt);
        tracer->prompt = larger;
        tracer->prompt_capacity = capacity;
    }
    memcpy(tracer->prompt + tracer->n_prompt, tokens, n_tokens * sizeof *tokens);
    tracer->n_prompt += n_tokens;
    return EX_OK;
}

ex_code ex_tracer_begin(ex_tracer *tracer, const ex_sampler *sampler, size_t position, ex_error *error) {
    if (!tracer) return EX_OK;
    tracer->n_branches = 0;
    ex_line_clear(&tracer->line);
    ex_code code = ex_trace_header(tracer, sampler, position, error);
    return code == EX_OK ? write_bytes(tracer->trace, &tracer->line, error) : code;
}

/* ---- decisions --------------------------------------------------------------------------------------------------- */

void ex_tracer_measured(ex_tracer *tracer, const ex_attention *attention) {
    if (!tracer) return;
    tracer->is_measured = attention && attention->n_layer == tracer->options.n_layer &&
                          attention->n_head == tracer->options.n_head;
    if (!tracer->is_measured) return;
    const size_t n_layer = (size_t)attention->n_layer, n_head = (size_t)attention->n_head;
    memcpy(tracer->heads, attention->head_entropy, n_layer * n_head * sizeof *tracer->heads);
    memcpy(tracer->n_positions, attention->n_positions, n_layer * sizeof *tracer->n_positions);
}

ex_code ex_tracer_decision(ex_tracer *tracer, const ex_traced *traced, ex_error *error) {
    if (!tracer) return EX_OK;
    if (tracer->n_branches > 0 && (size_t)traced->branch < tracer->n_branches) {
        ex_line *line = &tracer->branches[traced->branch];
        line->comma = false;
        ex_trace_decision_line(tracer, line, traced);
        return report_first(tracer->trace, error);
    }
    ex_line_clear(&tracer->line);
    ex_trace_decision_line(tracer, &tracer->line, traced);
    return write_bytes(tracer->trace, &tracer->line, error);
}

static bool reserve_branches(ex_tracer *tracer, size_t n_branches) {
    if (n_branches <= tracer->branch_capacity) return true;
    ex_line *larger = ex_allocate(n_branches, sizeof *larger);
    if (!larger) {
        ex_fail_memory(&tracer->trace->first, "the branches of a trace");
        return false;
    }
    if (tracer->branch_capacity > 0) memcpy(larger, tracer->branches, tracer->branch_capacity * sizeof *larger);
    free(tracer->branches);
    tracer->branches = larger;
    tracer->branch_capacity = n_branches;
    return true;
}

void ex_tracer_branch(ex_tracer *tracer, size_t n_branches) {
    if (!tracer || !reserve_branches(tracer, n_branches)) return;
    tracer->n_branches = n_branches;
    for (size_t i = 0; i < n_branches; i++) ex_line_clear(&tracer->branches[i]);
}

ex_code ex_tracer_branched(ex_tracer *tracer, size_t position, const ex_traced_branch *branches, size_t winner,
                           ex_error *error) {
    if (!tracer) return EX_OK;
    ex_code code = EX_OK;
    for (size_t i = 0; i < tracer->n_branches && code == EX_OK; i++)
        if (i != winner) code = write_bytes(tracer->trace, &tracer->branches[i], error);
    if (code == EX_OK && winner < tracer->n_branches)
        code = write_bytes(tracer->trace, &tracer->branches[winner], error);
    if (code != EX_OK) return code;
    ex_line_clear(&tracer->line);
    ex_trace_branch_line(tracer, position, branches, winner);
    tracer->n_branches = 0;
    return write_bytes(tracer->trace, &tracer->line, error);
}

ex_code ex_tracer_rewind(ex_tracer *tracer, const ex_traced_rewind *rewind, ex_error *error) {
    if (!tracer) return EX_OK;
    ex_line_clear(&tracer->line);
    ex_trace_rewind_line(tracer, rewind);
    return write_bytes(tracer->trace, &tracer->line, error);
}

ex_code ex_tracer_summary(ex_tracer *tracer, const ex_sampler *sampler, ex_end end, size_t n_tokens, ex_error *error) {
    if (!tracer) return EX_OK;
    ex_line_clear(&tracer->line);
    ex_trace_summary_line(tracer, sampler, end, n_tokens);
    return write_bytes(tracer->trace, &tracer->line, error);
}
