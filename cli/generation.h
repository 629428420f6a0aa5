/* generation.h - the loop that run and chat share, and the tally that a summary is made of. */
#ifndef CLI_GENERATION_H
#define CLI_GENERATION_H

#include "entropix.h"
#include "heat.h"
#include "json_output.h"
#include "terminal.h"

typedef struct cli_tally {
    size_t n_tokens; /* chosen or inserted */
    size_t n_inserted;
    size_t by_rule[EX_RULES_COUNT_MAX + 1]; /* of n_tokens */
    uint64_t fired[EX_RULES_COUNT_MAX + 1]; /* decisions, also those that were given up */
    size_t n_branched, n_lost;              /* times; tokens of branches that were not kept */
    size_t n_rewound, n_taken_back;         /* times; tokens */
    size_t n_looked, n_candidates, n_changed; /* decisions that looked ahead; at how much; and took another for it */
    size_t n_decisions;
    ex_metrics sums;             /* over decisions */
    size_t n_prefill, n_decoded; /* positions evaluated */
    double prefill_seconds, decode_seconds;
    ex_end end;
    int32_t end_rule;       /* that ended the answer, and on which metrics */
    ex_metrics end_metrics;
    bool interrupted;
} cli_tally;

typedef struct cli_generation {
    ex_session *session;
    ex_generator *generator;
    const ex_rules *rules;
    ex_trace *trace; /* of --trace, or NULL */
    ex_grammar *grammar; /* of --json-schema or --json-object, or NULL */
    cli_tally tally;
    cli_heat heat;
    output_state output;
} cli_generation;

/* Opens the trace of --trace, if there is one; reads what the answer may be; closes everything. They return STATUS_OK
 * or the exit status. */
int generation_trace(cli_generation *generation, const char *path);
int generation_grammar(cli_generation *generation, const char *schema_path, bool any_object);
int generation_close(cli_generation *generation, int status);

/* Shows one event; what it writes is flushed after it. */
typedef void (*event_function)(void *context, const ex_event *event);

/* Evaluates the prompt piece by piece, so that Ctrl-C and a progress bar come in between. The session holds the first
 * `n_held` of its tokens already. */
int generation_prompt(cli_generation *generation, const int32_t *tokens, size_t n_tokens, size_t n_held);
/* Counts an event; what a generator did besides delivering. */
void tally_event(cli_tally *tally, const ex_event *event, bool first_of_insertion);
void tally_effort(cli_tally *tally, const ex_generator *generator);
/* Generates until the end, Ctrl-C or a failed write. Each function returns STATUS_OK or the exit status. */
int generation_run(cli_generation *generation, event_function show, void *context);

/* The tokens of a text, or NULL after a message. */
int32_t *tokens_of(const ex_tokenizer *tokenizer, const char *text, size_t length, uint32_t flags, size_t *count);

/* STATUS_UNCERTAIN in the place of STATUS_OK where a rule found the model too uncertain to go on. */
int status_of_end(ex_end end, int status);

const char *end_name(ex_end end); /* "length", as in JSON */
/* `rules`: how often each held, not just those that never did. */
void summary_print(cli_painter *painter, const cli_generation *generation, bool rules);
void summary_json(emitter *json, const cli_generation *generation);

#endif
