/* replay.h - the two things that entropix replay does; each returns an exit status. */
#ifndef CLI_REPLAY_H
#define CLI_REPLAY_H

#include "options.h"

enum { STATUS_DIFFERS = 1 };

int replay_diff(const char *a, const char *b, const cli_options *options);

#endif
