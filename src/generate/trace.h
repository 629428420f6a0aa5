/* trace.h - what a generator writes into a trace: one JSON line for each decision, in the order in which they were
 * made. The format is docs/TRACE.md. A tracer is one generator's way into a trace, which several generators may share.
 *
 * Every function takes a NULL tracer and then does nothing, so that the loop needs no branches. They fail with the
 * first write error of the trace, and then always. Lines reach the file when they are complete. Memory grows with the
 * longest line and the longest branching; apart from that nothing is allocated. */
#ifndef EX_GENERATE_TRACE_H
#define EX_GENERATE_TRACE_H

#include "sampler/sampler.h"

typedef struct ex_tracer ex_tracer;

typedef struct ex_tracer_options {
    ex_trace *trace;               /* NULL: *out is NULL */
    const ex_tokenizer *tokenizer; /* NULL: texts are empty */
    ex_string model, architecture; /* borrowed, like all of these */
    int32_t n_vocab, n_layer, n_head;
    uint64_t seed;
    uint32_t sequence;
} ex_tracer_options;

ex_code ex_tracer_open(ex_tracer **out, const ex_tracer_options *options, ex_error *error);
void ex_tracer_close(ex_tracer *tracer);

/* The prompt, as the sampler is told it: wherever ex_sampler_reset and ex_sampler_prompt are called for the main
 * sampler, these are, too. */
void ex_tracer_reset(ex_tracer *tracer);
ex_code ex_tracer_prompt(ex_tracer *tracer, const int32_t *tokens, size_t n_tokens, ex_error *error);
/* Writes the header; `position` is that of the answer's first token. `sampler`: its policy and clarification. */
ex_code ex_tracer_begin(ex_tracer *tracer, const ex_sampler *sampler, size_t position, ex_error *error);

/* Directly after ex_sampler_step, while its attention still is that of this step (lookahead overwrites it). */
void ex_tracer_measured(ex_tracer *tracer, const ex_attention *attention);

typedef enum ex_trace_kind {
    EX_TRACE_TOKEN,
    EX_TRACE_INSERTED, /* a token of the clarification */
    EX_TRACE_END       /* the token, which is not appended, ends the text; or the rule does, without a token */
} ex_trace_kind;

typedef struct ex_traced {
    ex_trace_kind kind;
    size_t position;
    uint32_t attempt;          /* of the random key that drew */
    int32_t branch;            /* 0 where nothing branches */
    int32_t token;             /* EX_TOKEN_NONE: none */
    const ex_choice *choice;   /* NULL: a token of the clarification after its first */
    const ex_sampler *sampler; /* that made the choice: its likeliest tokens and those that it had to leave out */
} ex_traced;

/* When the token is known, before ex_sampler_accept. The decision that a rewinding begins with has its line, too, with
 * the token that it would have taken. */
ex_code ex_tracer_decision(ex_tracer *tracer, const ex_traced *traced, ex_error *error);

/* Between these two, lines wait: of the branches that lost they come first, in order, of the winner last, and then a
 * line about all. Branches are numbered from 0; their decisions may come in any order. */
typedef struct ex_traced_branch {
    size_t n_tokens;
    double score, mean_log_probability;
} ex_traced_branch;

void ex_tracer_branch(ex_tracer *tracer, size_t n_branches);
ex_code ex_tracer_branched(ex_tracer *tracer, size_t position, const ex_traced_branch *branches, size_t winner,
                           ex_error *error);

typedef struct ex_traced_rewind {
    size_t position, from; /* tokens at `position` and beyond are void; `from` was the position of the next token */
    int32_t excluded;      /* the token that may not come at `position` again */
    const char *reason;    /* "resample", "rewind", "banned" */
} ex_traced_rewind;

ex_code ex_tracer_rewind(ex_tracer *tracer, const ex_traced_rewind *rewind, ex_error *error);

/* When the end of the answer is delivered. */
ex_code ex_tracer_summary(ex_tracer *tracer, const ex_sampler *sampler, ex_end end, size_t n_tokens, ex_error *error);

#endif
