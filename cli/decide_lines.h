/* decide_lines.h - `entropix decide`: the sampler as a filter for programs in any language. */
#ifndef CLI_DECIDE_LINES_H
#define CLI_DECIDE_LINES_H

#include <stdio.h>

/* Answers every line of `in` (one JSON object) with one line on `out`, at once. Returns the exit status: 0, or 2 when a
 * line was answered with an error or a stream failed (then `messages` gets one line; not for a closed pipe). */
int decide_lines(FILE *in, FILE *out, FILE *messages);

#endif
