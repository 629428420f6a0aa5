/* commands.h - the subcommands; each returns the exit status. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "options.h"

int command_run(const cli_options *options);
int command_chat(const cli_options *options);
int command_logits(const cli_options *options);
int command_tokenize(const cli_options *options);
int command_render(const cli_options *options);
int command_info(const cli_options *options);
int command_bench(const cli_options *options);
int command_perplexity(const cli_options *options);
int command_quantize(const cli_options *options);
int command_convert(const cli_options *options);
int command_calibrate(const cli_options *options);
int command_replay(const cli_options *options);
int command_eval(const cli_options *options);
int command_plot(const cli_options *options);
int command_serve(const cli_options *options);

#endif
