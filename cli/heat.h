/* heat.h - the colour of a generated token: by its strategy, or by a metric (--heat). */
#ifndef CLI_HEAT_H
#define CLI_HEAT_H

#include "options.h"
#include "terminal.h"

typedef struct cli_heat {
    const struct heat_scale *scale; /* NULL: strategies */
    bool true_color;                /* the terminal has more than 256 colours */
} cli_heat;

/* STATUS_OK, or the exit status after a message: --heat attention needs the statistics. */
int heat_open(cli_heat *heat, const cli_options *options);
/* The style of an event's text; `current` where it has no decision of its own. */
const char *heat_style(const cli_heat *heat, const ex_event *event, const char *current);
/* The scale in its colours and a line feed; nothing for strategies or without colours. */
void heat_legend(cli_painter *painter, const cli_heat *heat);

#endif
