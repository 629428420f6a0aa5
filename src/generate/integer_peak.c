/* integer_peak.c - how many byte products this machine makes with the engine's own threads: the roof of prefill. */
#include "base/clock.h"
#include "generate/engine.h"

enum {
    PIECES_PER_THREAD = 16,
    ROUNDS = 50000, /* of integer_peak in a piece: about a millisecond */
    SWEEPS = 5
};

typedef struct peak_run {
    const ex_kernels *kernels;
    size_t n_pieces;
    uint64_t operations; /* of one piece, the same for all */
} peak_run;

static void run_pieces(void *context, ex_worker *worker) {
    peak_run *run = context;
    int32_t state[EX_PEAK_STATE] = {worker->index, 1, 2, 3};
    size_t first, last;
    while (ex_worker_next(worker, run->n_pieces, 1, &first, &last)) {
        uint64_t operations = run->kernels->integer_peak(state, ROUNDS);
        if (first == 0) run->operations = operations;
    }
}

double ex_integer_peak(ex_engine *engine) {
    const ex_model *model = &engine->model;
    peak_run run = {.kernels = model->kernels, .n_pieces = PIECES_PER_THREAD * (size_t)ex_team_size(model->team)};
    double best = 0;
    for (int i = 0; i < SWEEPS; i++) { /* a peak is the most that was seen */
        double start = ex_seconds();
        ex_team_run(model->team, run_pieces, &run);
        double rate = (double)run.operations * (double)run.n_pieces / (ex_seconds() - start);
        if (rate > best) best = rate;
    }
    return best;
}
