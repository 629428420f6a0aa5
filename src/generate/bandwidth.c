/* bandwidth.c - how fast this machine reads memory with the engine's own threads and loads: the roof of decoding. */
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/memory.h"
#include "generate/engine.h"

enum { PIECE = 1 << 20 }; /* bytes that a thread takes at a time */

typedef struct sweep {
    const ex_kernels *kernels;
    char *memory;
    size_t n_bytes;
    uint64_t *results; /* one for each thread, a cache line apart */
    bool fill;
} sweep;

static void run_sweep(void *context, ex_worker *worker) {
    sweep *job = context;
    size_t first, last;
    while (ex_worker_next(worker, job->n_bytes, PIECE, &first, &last)) {
        if (job->fill) memset(job->memory + first, 1, last - first);
        else job->results[worker->index * 8] += job->kernels->read_memory(job->memory + first, last - first);
    }
}

static double seconds_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

ex_code ex_measure_bandwidth(ex_engine *engine, size_t n_bytes, int32_t repeats, double *bytes_per_second,
                             ex_error *error) {
    const ex_model *model = &engine->model;
    uint64_t results[1024 * 8];
    if (n_bytes < PIECE || repeats < 1)
        return ex_fail(error, EX_ERROR_ARGUMENT, 0, "bandwidth needs at least 1 MiB and one repeat");
    sweep job = {model->kernels, ex_reserve(n_bytes), n_bytes, results, true};
    if (!job.memory) return ex_fail_memory(error, "the bandwidth measurement");
    ex_team_run(model->team, run_sweep, &job);
    job.fill = false;
    memset(results, 0, sizeof results);
    double best = 0;
    for (int32_t i = 0; i < repeats; i++) {
        double start = seconds_now();
        ex_team_run(model->team, run_sweep, &job);
        double rate = (double)n_bytes / (seconds_now() - start);
        if (rate > best) best = rate;
    }
    ex_release(job.memory, n_bytes);
    *bytes_per_second = best;
    return EX_OK;
}
