/* interrupt.h - Ctrl-C asks the program to stop after the token at hand; a second one ends it at once. */
#ifndef CLI_INTERRUPT_H
#define CLI_INTERRUPT_H

#include <stdbool.h>

/* Also ignores SIGPIPE: a closed pipe shows as a failed write. A page of a mapped file that is lost ends the program
 * with a message and the status of bad input. */
void interrupt_catch(void);
bool interrupt_seen(void);
void interrupt_forget(void);

#endif
