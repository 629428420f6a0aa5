/* chains.h - run --chains: several answers to one prompt, and the one that is given. */
#ifndef CLI_CHAINS_H
#define CLI_CHAINS_H

#include "generation.h"
#include "options.h"

typedef struct cli_chains cli_chains;

/* Returns STATUS_OK or the exit status, as the others do. Close it in any case. */
int chains_open(cli_chains **out, cli_generation *generation, const ex_generator_options *generator_options,
                const cli_options *options);
void chains_close(cli_chains *chains);
const ex_generator *chains_generator(const cli_chains *chains); /* of the first answer, to look at */
/* Evaluates the prompt and generates all answers, with their lengths so far on a terminal. */
int chains_run(cli_chains *chains, const int32_t *tokens, size_t n_tokens);
/* The answer that --choose prefers, each token in its colour. */
void chains_show(const cli_chains *chains, cli_painter *painter);
/* The table of all answers, and one JSON object for each. */
void chains_print(const cli_chains *chains, cli_painter *painter);
void chains_json(const cli_chains *chains);
void chains_summary_json(const cli_chains *chains, emitter *json);

#endif
