/* bandwidth.c - how fast this machine reads memory with the engine's own threads and loads: the roof of decoding. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "generate/engine.h"

enum {
    PIECE = 1 << 20, /* bytes that a thread takes at a time */
    RESULT_STEP = 8  /* results lie a cache line apart */
};

struct ex_bandwidth {
    const ex_model *model;
    char *memory;
    size_t n_bytes;
    uint64_t *results; /* [n_threads][RESULT_STEP]; keep the loads from being optimised away */
    bool fill;
};

static void run_sweep(void *context, ex_worker *worker) {
    ex_bandwidth *b = context;
    size_t first, last;
    while (ex_worker_next(worker, b->n_bytes, PIECE, &first, &last)) {
        if (b->fill) memset(b->memory + first, 1, last - first);
        else b->results[worker->index * RESULT_STEP] += b->model->kernels->read_memory(b->memory + first, last - first);
    }
}

ex_code ex_bandwidth_open(ex_bandwidth **out, ex_engine *engine, size_t n_bytes, ex_error *error) {
    *out = NULL;
    if (n_bytes < PIECE) return ex_fail(error, EX_ERROR_ARGUMENT, 0, "bandwidth is measured over at least 1 MiB");
    ex_bandwidth *b = ex_allocate(1, sizeof *b);
    if (!b) return ex_fail_memory(error, "the bandwidth measurement");
    b->model = &engine->model;
    b->n_bytes = n_bytes;
    b->memory = ex_reserve(n_bytes);
    b->results = ex_allocate_aligned((size_t)ex_team_size(b->model->team) * RESULT_STEP, sizeof *b->results);
    if (!b->memory || !b->results) {
        ex_bandwidth_close(b);
        return ex_fail_memory(error, "the bandwidth measurement");
    }
    b->fill = true;
    ex_team_run(b->model->team, run_sweep, b);
    b->fill = false;
    ex_bandwidth_sweep(b); /* writes back what filling left in the caches */
    *out = b;
    return EX_OK;
}

double ex_bandwidth_sweep(ex_bandwidth *bandwidth) {
    double start = ex_seconds();
    ex_team_run(bandwidth->model->team, run_sweep, bandwidth);
    return (double)bandwidth->n_bytes / (ex_seconds() - start);
}

void ex_bandwidth_close(ex_bandwidth *bandwidth) {
    if (!bandwidth) return;
    ex_release(bandwidth->memory, bandwidth->n_bytes);
    free(bandwidth->results);
    free(bandwidth);
}
