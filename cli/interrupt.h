/* interrupt.h - Ctrl-C asks the program to stop after the token at hand; a second one ends it at once. */
#ifndef CLI_INTERRUPT_H
#define CLI_INTERRUPT_H

#include <stdbool.h>

/* Also ignores SIGPIPE and SIGXFSZ: a closed pipe and a file at its limit show as failed writes. A page of a mapped
 * file that is lost ends the program with a message and the status of bad input. */
void interrupt_catch(void);
bool interrupt_seen(void);
void interrupt_forget(void);
/* The library writes this file: the temporary one beside it is removed when a signal ends the program. NULL: none. */
void interrupt_unfinished(const char *path);

#endif
