/* json_memory.c - jansson leaves out a byte of a text that it has no memory for, and then reads past the text's end.
 * So an allocation of its waits for memory, and where none comes back the program ends with a reason. */
#include "json_memory.h"

#include <jansson.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "terminal.h"

enum { TRIES = 50, PAUSE = 2000000 /* nanoseconds */ };

static void *allocate(size_t size) {
    const struct timespec pause = {0, PAUSE};
    void *memory = malloc(size);
    for (int i = 0; !memory && i < TRIES; i++) {
        nanosleep(&pause, NULL);
        memory = malloc(size);
    }
    if (memory) return memory;
    static const char reason[] = "entropix: out of memory for JSON\n";
    if (write(STDERR_FILENO, reason, sizeof reason - 1) < 0) _exit(STATUS_INTERNAL);
    _exit(STATUS_INTERNAL);
}

void json_memory_prepare(void) { json_set_alloc_funcs(allocate, free); }
