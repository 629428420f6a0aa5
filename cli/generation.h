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
    size_t n_decisions;
    ex_metrics sums;             /* over decisions */
    size_t n_prefill, n_decoded; /* positions evaluated */
    double prefill_seconds, decode_seconds;
    ex_end end;
    bool interrupted;
} cli_tally;

typedef struct cli_generation {
    ex_session *session;
    ex_generator *generator;
    ex_trace *trace; /* of --trace, or NULL */
    cli_tally tally;
    cli_heat heat;
    output_state output;
} cli_generation;

/* Opens the trace of --trace, if there is one; closes everything. Both return STATUS_OK or the exit status. */
int generation_trace(cli_generation *generation, const char *path);
int generation_close(cli_generation *generation, int status);

/* Shows one event; what it writes is flushed after it. */
typedef void (*event_function)(void *context, const ex_event *event);

/* Evaluates the prompt piece by piece, so that Ctrl-C and a progress bar come in between. The session holds the first
 * `n_held` of its tokens already. */
int generation_prompt(cli_generation *generation, const int32_t *tokens, size_t n_tokens, size_t n_held);
/* Generates until the end, Ctrl-C or a failed write. Each function returns STATUS_OK or the exit status. */
int generation_run(cli_generation *generation, event_function show, void *context);

/* The tokens of a text, or NULL after a message. */
int32_t *tokens_of(const ex_tokenizer *tokenizer, const char *text, size_t length, uint32_t flags, size_t *count);

void summary_print(cli_painter *painter, const cli_generation *generation);
void summary_json(emitter *json, const cli_generation *generation);

#endif
