/* team.h - a team of threads that runs one function together, with barriers and shared work counters.
 * A barrier between kernels is on the path of every token, so waiting spins for a moment and then sleeps on a futex. */
#ifndef EX_BASE_TEAM_H
#define EX_BASE_TEAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "entropix.h"

typedef struct ex_team ex_team;
typedef struct ex_worker { /* one thread's place in a running team */
    ex_team *team;
    int32_t index, count; /* this thread, of how many */
    uint32_t phase;       /* how many barriers it has passed in this run */
    bool met_another;     /* on its processor, at the last of them */
    size_t n_emptied;     /* shares in which it has found no more work in this phase, its own first */
} ex_worker;

typedef void (*ex_team_function)(void *context, ex_worker *worker);

ex_code ex_team_open(ex_team **out, int32_t n_threads, ex_error *error);
void ex_team_close(ex_team *team);
int32_t ex_team_size(const ex_team *team);

/* Runs `function` on every thread, the caller's among them, and returns when all have finished. Calls from several
 * threads take turns. */
void ex_team_run(ex_team *team, ex_team_function function, void *context);

/* Every worker must come here before any goes on. */
void ex_worker_barrier(ex_worker *worker);

/* Hands out [0, total) in pieces of `chunk` between two barriers; false when all is gone. Each thread has a share, the
 * same part of [0, total) whenever total and chunk are the same; who is done with it takes from the others'.
 * All workers must use the same total and chunk in one phase, and only one such loop per phase. */
bool ex_worker_next(ex_worker *worker, size_t total, size_t chunk, size_t *first, size_t *last);

#endif
