/* trace_write.h - the lines of a trace, each a function of its values. */
#ifndef EX_GENERATE_TRACE_WRITE_H
#define EX_GENERATE_TRACE_WRITE_H

#include "file/output.h"
#include "generate/trace.h"
#include "generate/trace_line.h"

enum { EX_TRACE_VERSION = 1, EX_TRACE_CANDIDATES_MAX = 1024 /* in one line */ };

struct ex_trace {
    char *path; /* NULL: lines go to `write` */
    ex_output *output; /* NULL: `path` is no regular file, and lines go to `descriptor` */
    int descriptor;    /* -1: none */
    bool (*write)(void *context, const char *line, size_t length);
    void *context;
    ex_decimal_powers powers;
    ex_error first; /* the write that failed; EX_OK: none */
};

struct ex_tracer {
    ex_trace *trace;
    ex_tracer_options options;
    int32_t *prompt; /* grows */
    size_t n_prompt, prompt_capacity;
    double *heads;        /* [n_layer][n_head] entropies of the step that was measured last */
    int32_t *n_positions; /* [n_layer] */
    bool is_measured;     /* they are there */
    ex_line line, scratch;
    ex_line *branches; /* [branch_capacity] */
    size_t n_branches, branch_capacity; /* 0 branches: lines go to the file at once */
};

/* Into tracer->line, but for decisions. */
ex_code ex_trace_header(ex_tracer *tracer, const ex_sampler *sampler, size_t position, ex_error *error);
void ex_trace_decision_line(ex_tracer *tracer, ex_line *line, const ex_traced *traced);
void ex_trace_branch_line(ex_tracer *tracer, size_t position, const ex_traced_branch *branches, size_t winner);
void ex_trace_rewind_line(ex_tracer *tracer, const ex_traced_rewind *rewind);
void ex_trace_summary_line(ex_tracer *tracer, const ex_sampler *sampler, ex_end end, size_t n_tokens);

const char *ex_trace_kind_name(ex_trace_kind kind);

#endif
