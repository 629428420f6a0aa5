/* help.h - help texts, man pages and shell completion, all from the tables in options.h. */
#ifndef CLI_HELP_H
#define CLI_HELP_H

#include <stdio.h>

#include "options.h"

void help_overview(FILE *out);                            /* entropix --help */
void help_usage(FILE *out, const cli_command *command);   /* entropix COMMAND -h */
void help_command(FILE *out, const cli_command *command); /* entropix COMMAND --help */

/* `command` NULL: the page entropix(1). */
void manual_page(FILE *out, const cli_command *command);
void completion_bash(FILE *out);

/* What an option does, with the names that its value may have. */
enum { OPTION_HELP_SIZE = 400 };
void option_help(const cli_option *option, char *text, size_t size);
/* What help says of a default, "" when there is nothing to say. */
const char *option_default(const cli_option *option);

extern const char help_exit_status[];
extern const char help_environment[];

#endif
