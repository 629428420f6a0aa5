/* plot_trace.h - what the pictures need of a trace: its decisions in order, and where it branched or went back. */
#ifndef CLI_PLOT_TRACE_H
#define CLI_PLOT_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum plot_kind { PLOT_TOKEN, PLOT_INSERTED, PLOT_END } plot_kind;

typedef enum plot_value { /* metrics that are drawn; plot_value_names has their keys */
                          PLOT_ENTROPY,
                          PLOT_VARENTROPY,
                          PLOT_ATTN_ENTROPY,
                          PLOT_DISAGREEMENT,
                          PLOT_SEQUENCE_VARENTROPY,
                          PLOT_VALUES
} plot_value;

extern const char *const plot_value_names[PLOT_VALUES];

typedef struct plot_token {
    plot_kind kind;
    bool settled;     /* false: of a branch that lost, or taken back */
    int64_t position;
    size_t run;       /* index in plot_trace.runs */
    int strategy;     /* index in plot_trace.strategies */
    char *text, *title;
    double values[PLOT_VALUES]; /* NaN: not in the trace */
    float *heads;     /* [n_layer][n_head] attention entropy, or NULL */
} plot_token;

typedef struct plot_mark {
    bool rewind; /* else a branch */
    int64_t position;
    size_t run;
    char *title;
} plot_mark;

typedef struct plot_run { /* what one header begins */
    int64_t sequence;
    char *model, *prompt, *policy;
} plot_run;

typedef struct plot_strategy {
    char *name;
    int style;    /* colour and shape: an index of plot_style.h */
    size_t count; /* tokens, settled or not */
} plot_strategy;

typedef struct plot_trace {
    plot_run *runs;
    plot_token *tokens;
    plot_mark *marks;
    plot_strategy *strategies; /* in the order of their first token */
    size_t n_runs, n_tokens, n_marks, n_strategies;
    size_t n_layer, n_head; /* 0 without attention statistics */
    bool sequence;          /* the policy's conditions look at the sequence varentropy */
} plot_trace;

/* "-" is standard input. Each returns an exit status; an error has been shown, with file and line. */
int plot_trace_read(plot_trace *trace, const char *path);
void plot_trace_free(plot_trace *trace);

/* The varentropy that the policy looks at. */
static inline plot_value plot_varentropy(const plot_trace *trace) {
    return trace->sequence ? PLOT_SEQUENCE_VARENTROPY : PLOT_VARENTROPY;
}

typedef struct plot_threshold {
    plot_value metric;
    double value;
    char label[96];
} plot_threshold;

enum { PLOT_THRESHOLDS_MAX = 24 };

/* Whether the conditions of this policy look at the sequence varentropy. */
bool plot_looks_at_sequence(const char *policy);
/* Constants that the rules of the policy compare entropy and varentropy with; returns how many. */
size_t plot_thresholds(const plot_trace *trace, plot_threshold thresholds[PLOT_THRESHOLDS_MAX]);

#endif
