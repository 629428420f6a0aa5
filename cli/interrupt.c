/* interrupt.c - the one piece of state that a signal handler may touch. */
#include "interrupt.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "terminal.h"

static volatile sig_atomic_t interrupts;
static char unfinished[PATH_MAX]; /* what interrupt_unfinished has told, by its temporary name */

_Noreturn static void end_with(int status) {
    if (unfinished[0]) unlink(unfinished);
    _exit(status);
}

static void on_interrupt(int number) {
    (void)number;
    if (++interrupts < 2) return;
    static const char reset[] = "\033[0m\n";
    if (isatty(STDOUT_FILENO) && write(STDOUT_FILENO, reset, sizeof reset - 1) < 0) end_with(STATUS_INTERRUPTED);
    end_with(STATUS_INTERRUPTED);
}

/* Models are mapped into memory: a file that shrinks, or a disk that fails, shows only when a page is read. */
static void on_lost_page(int number) {
    (void)number;
    static const char reason[] =
        "entropix: a file in use became shorter, or could not be read; nothing can go on without it\n";
    if (write(STDERR_FILENO, reason, sizeof reason - 1) < 0) end_with(STATUS_INTERNAL);
    end_with(STATUS_INPUT);
}

void interrupt_catch(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    sigemptyset(&action.sa_mask);
    action.sa_handler = on_interrupt; /* without SA_RESTART: reading a line must return */
    sigaction(SIGINT, &action, NULL);
    action.sa_handler = on_lost_page;
    sigaction(SIGBUS, &action, NULL);
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, NULL);
    sigaction(SIGXFSZ, &action, NULL);
}

bool interrupt_seen(void) { return interrupts > 0; }

void interrupt_forget(void) { interrupts = 0; }

void interrupt_unfinished(const char *path) {
    if (path) snprintf(unfinished, sizeof unfinished, "%s.%ld-0.part", path, (long)getpid());
    else unfinished[0] = 0;
}
