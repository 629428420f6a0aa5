/* team.c - the thread team. A thread that waits spins first, since what it waits for is mostly some microseconds away,
 * and then sleeps. On a machine where other processes want the processors too, the scheduler may put two threads of a
 * team on one processor; a thread that spins there only keeps the other from running. So each thread leaves its number
 * at the processor where it comes to a barrier, and one that finds another's number there sleeps at once.
 *
 * Work is dealt in shares, each with a counter of its own. A thread takes from its own share first, and so meets the
 * same rows in every pass: they lie in its caches and, where it touched them first, in its part of the memory. */
#include "base/team.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    SPIN_LIMIT = 25000, /* nanoseconds: longer than most waits, and far shorter than a turn of another process */
    SPINS = 32,         /* between two looks at the clock */
    N_PROCESSORS = 256, /* that are told apart */
    N_COUNTERS = 4,     /* a counter is reset two phases before it is used again */
    N_SHARES = 8        /* at most: who has finished looks into all of them */
};

typedef struct padded_counter {
    _Alignas(EX_ALIGNMENT) atomic_size_t value;
} padded_counter;

struct ex_team {
    _Alignas(EX_ALIGNMENT) atomic_uint arrived;  /* threads at the current barrier */
    _Alignas(EX_ALIGNMENT) atomic_uint phase;    /* barriers passed since the team began */
    _Alignas(EX_ALIGNMENT) atomic_uint run;      /* runs started; workers sleep until it changes */
    _Alignas(EX_ALIGNMENT) atomic_uint sleepers; /* threads inside a futex wait */
    _Alignas(EX_ALIGNMENT) atomic_int visitors[N_PROCESSORS]; /* the last thread seen on each processor, from 1 on */
    padded_counter counters[N_COUNTERS][N_SHARES]; /* pieces taken from each share */
    atomic_bool closing;
    ex_team_function function;
    void *context;
    pthread_mutex_t turn; /* one run at a time */
    int32_t count;
    size_t n_shares;
    int32_t started;
    pthread_t *threads;
};

static void pause_processor(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void futex(atomic_uint *word, int operation, unsigned value) {
    syscall(SYS_futex, word, operation | FUTEX_PRIVATE_FLAG, value, NULL, NULL, 0);
}

/* Whether another thread of the team was the last one on this thread's processor. Writes only where that changes. */
static bool meets_another(ex_team *team, int32_t index) {
    atomic_int *visitor = &team->visitors[(unsigned)sched_getcpu() % N_PROCESSORS];
    int last = atomic_load_explicit(visitor, memory_order_relaxed);
    if (last == index + 1) return false;
    atomic_store_explicit(visitor, index + 1, memory_order_relaxed);
    return last != 0;
}

/* False when the word still has the value after a while. */
static bool spin_while(const atomic_uint *word, unsigned value) {
    int64_t start = 0;
    for (;;) {
        for (int spin = 0; spin < SPINS; spin++) {
            if (atomic_load_explicit(word, memory_order_acquire) != value) return true;
            pause_processor();
        }
        int64_t now = ex_nanoseconds();
        if (start == 0) start = now;
        if (now - start >= SPIN_LIMIT) return false;
    }
}

static void wait_while(ex_team *team, atomic_uint *word, unsigned value, bool spin) {
    if (spin && spin_while(word, value)) return;
    atomic_fetch_add(&team->sleepers, 1);
    while (atomic_load_explicit(word, memory_order_acquire) == value) futex(word, FUTEX_WAIT, value);
    atomic_fetch_sub(&team->sleepers, 1);
}

static void publish(ex_team *team, atomic_uint *word) {
    atomic_fetch_add(word, 1);
    if (atomic_load(&team->sleepers) > 0) futex(word, FUTEX_WAKE, INT32_MAX);
}

static void reset_counters(ex_team *team, uint32_t phase) {
    for (size_t i = 0; i < team->n_shares; i++)
        atomic_store_explicit(&team->counters[phase % N_COUNTERS][i].value, 0, memory_order_relaxed);
}

void ex_worker_barrier(ex_worker *worker) {
    ex_team *team = worker->team;
    worker->phase++;
    worker->n_emptied = 0;
    if (worker->count == 1) {
        reset_counters(team, worker->phase);
        return;
    }
    bool meets = meets_another(team, worker->index), spin = !meets && !worker->met_another;
    worker->met_another = meets;
    unsigned now = atomic_load_explicit(&team->phase, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&team->arrived, 1, memory_order_acq_rel) + 1 == (unsigned)worker->count) {
        atomic_store_explicit(&team->arrived, 0, memory_order_relaxed);
        reset_counters(team, worker->phase + 1);
        publish(team, &team->phase);
    } else {
        wait_while(team, &team->phase, now, spin);
    }
}

/* Looks before it takes: a share that is empty stays in everyone's cache. */
static bool take_piece(padded_counter *counter, size_t n_pieces, size_t *piece) {
    if (atomic_load_explicit(&counter->value, memory_order_relaxed) >= n_pieces) return false;
    *piece = atomic_fetch_add_explicit(&counter->value, 1, memory_order_relaxed);
    return *piece < n_pieces;
}

bool ex_worker_next(ex_worker *worker, size_t total, size_t chunk, size_t *first, size_t *last) {
    ex_team *team = worker->team;
    size_t n = team->n_shares, n_pieces = total / chunk + (total % chunk > 0), piece;
    size_t own = (size_t)worker->index * n / (size_t)worker->count;
    for (; worker->n_emptied < n; worker->n_emptied++) {
        size_t share = (own + worker->n_emptied) % n;
        size_t begin = n_pieces * share / n, end = n_pieces * (share + 1) / n;
        if (!take_piece(&team->counters[worker->phase % N_COUNTERS][share], end - begin, &piece)) continue;
        *first = (begin + piece) * chunk;
        *last = total - *first < chunk ? total : *first + chunk;
        return true;
    }
    return false;
}

typedef struct worker_start {
    ex_team *team;
    int32_t index;
} worker_start;

static void work(ex_team *team, int32_t index) {
    ex_worker worker = {.team = team, .index = index, .count = team->count};
    team->function(team->context, &worker);
    ex_worker_barrier(&worker);
}

static void *worker_main(void *argument) {
    worker_start start = *(worker_start *)argument;
    free(argument);
    ex_team *team = start.team;
    for (unsigned seen = 0;; seen++) {
        wait_while(team, &team->run, seen, !meets_another(team, start.index));
        if (atomic_load(&team->closing)) return NULL;
        work(team, start.index);
    }
}

void ex_team_run(ex_team *team, ex_team_function function, void *context) {
    pthread_mutex_lock(&team->turn);
    team->function = function;
    team->context = context;
    for (uint32_t phase = 0; phase < N_COUNTERS; phase++) reset_counters(team, phase);
    if (team->count > 1) publish(team, &team->run);
    work(team, 0);
    pthread_mutex_unlock(&team->turn);
}

static ex_code start_workers(ex_team *team, ex_error *error) {
    for (int32_t i = 1; i < team->count; i++) {
        worker_start *start = ex_allocate(1, sizeof *start);
        if (!start) return ex_fail_memory(error, "a worker thread");
        *start = (worker_start){team, i};
        if (pthread_create(&team->threads[i], NULL, worker_main, start) != 0) {
            free(start);
            return ex_fail(error, EX_ERROR_MEMORY, 0, "cannot start worker thread %d of %d", i + 1, team->count);
        }
        team->started = i;
    }
    return EX_OK;
}

ex_code ex_team_open(ex_team **out, int32_t n_threads, ex_error *error) {
    *out = NULL;
    if (n_threads < 1 || n_threads > 1024)
        return ex_fail(error, EX_ERROR_ARGUMENT, 0, "%d threads: give 1 to 1024", n_threads);
    ex_team *team = ex_allocate_aligned(1, sizeof *team);
    if (!team) return ex_fail_memory(error, "the thread team");
    team->count = n_threads;
    team->n_shares = n_threads < N_SHARES ? (size_t)n_threads : N_SHARES;
    pthread_mutex_init(&team->turn, NULL);
    team->threads = ex_allocate((size_t)n_threads, sizeof *team->threads);
    ex_code code = team->threads ? start_workers(team, error) : ex_fail_memory(error, "the thread team");
    if (code != EX_OK) {
        ex_team_close(team);
        return code;
    }
    *out = team;
    return EX_OK;
}

void ex_team_close(ex_team *team) {
    if (!team) return;
    atomic_store(&team->closing, true);
    publish(team, &team->run);
    for (int32_t i = 1; i <= team->started; i++) pthread_join(team->threads[i], NULL);
    pthread_mutex_destroy(&team->turn);
    free(team->threads);
    free(team);
}

int32_t ex_team_size(const ex_team *team) { return team->count; }
