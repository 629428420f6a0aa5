/* scheduler.c - the queue, and the thread that serves it. Callers only add to `incoming` and count down holds; all else
 * belongs to the thread. */
#include "scheduler.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "failure.h"
#include "slots.h"

enum { PARALLEL_DEFAULT = 8, QUEUE_DEFAULT = 256, CACHED_DEFAULT = 16, PIECE_DEFAULT = 256 };
static const double NOTICE_SECONDS = 1;

struct server_scheduler {
    scheduler_options options;
    ex_session *root; /* holds nothing; all other sessions are its forks */
    prefix_cache cache;
    answer_slots slots;
    scheduler_job *jobs; /* in the order of submission; the thread's own */
    size_t next_prefill; /* whose turn it is among the prompts, counted */
    pthread_t thread;
    bool has_thread;
    double mean_seconds; /* of an answer, for Retry-After */

    pthread_mutex_t lock; /* for what is below */
    pthread_cond_t wake, idle;
    scheduler_job *incoming, **incoming_end;
    size_t n_waiting; /* answers submitted and not begun */
    size_t n_running; /* answers, as of the last turn */
    size_t n_jobs;    /* submitted and not finished */
    bool stops, drains, gives_up;
};

scheduler_options scheduler_options_default(void) {
    return (scheduler_options){.n_parallel = PARALLEL_DEFAULT,
                               .n_queue = QUEUE_DEFAULT,
                               .n_cached = CACHED_DEFAULT,
                               .prefill_piece = PIECE_DEFAULT};
}

/* ---- submitting -------------------------------------------------------------------------------------------------- */

static ex_code check_request(const server_scheduler *scheduler, const scheduler_request *request, ex_error *error) {
    const size_t n_context = ex_session_context(scheduler->root);
    if (request->n_tokens == 0 || request->n_answers == 0)
        return server_fail(error, EX_ERROR_ARGUMENT, 0, "an empty prompt");
    if (request->n_tokens >= n_context)
        return server_fail(error, EX_ERROR_CONTEXT, n_context,
                           "the prompt has %zu tokens; the context of %zu has no room for it and an answer",
                           request->n_tokens, n_context);
    return EX_OK;
}

static unsigned seconds_to_wait(const server_scheduler *scheduler) {
    const double rounds = (double)scheduler->n_waiting / (double)scheduler->options.n_parallel;
    const double seconds = rounds * scheduler->mean_seconds;
    return seconds < 1 ? 1 : seconds > 60 ? 60 : (unsigned)seconds;
}

/* Under the lock. */
static ex_code enqueue(server_scheduler *scheduler, scheduler_job *job, ex_error *error) {
    const size_t n_answers = job->request.n_answers;
    if (scheduler->stops || scheduler->drains)
        return server_fail(error, EX_ERROR_MEMORY, 0, "the server is shutting down");
    /* Those that free slots will take do not wait. */
    const size_t room = scheduler->options.n_queue + scheduler->options.n_parallel;
    if (n_answers > room)
        return server_fail(error, EX_ERROR_ARGUMENT, 0, "%zu answers to one prompt; there is room for %zu", n_answers,
                           room);
    if (scheduler->n_waiting + scheduler->n_running + n_answers > room)
        return server_fail(error, EX_ERROR_MEMORY, seconds_to_wait(scheduler),
                           "%zu answers wait already, and %zu may; come again later", scheduler->n_waiting,
                           scheduler->options.n_queue);
    scheduler->n_waiting += n_answers;
    scheduler->n_jobs++;
    *scheduler->incoming_end = job;
    scheduler->incoming_end = &job->next;
    telemetry_set(scheduler->options.telemetry, GAUGE_WAITING, (double)scheduler->n_waiting);
    pthread_cond_signal(&scheduler->wake);
    return EX_OK;
}

ex_code scheduler_submit(server_scheduler *scheduler, const scheduler_request *request,
                         const scheduler_listener *listener, scheduler_job **out, ex_error *error) {
    *out = NULL;
    scheduler_job *job;
    ex_code code = check_request(scheduler, request, error);
    if (code == EX_OK) code = job_open(&job, request, listener, error);
    if (code != EX_OK) return code;
    /* Before the thread can see the job: `done` may come before this function returns. */
    *out = job;
    pthread_mutex_lock(&scheduler->lock);
    code = enqueue(scheduler, job, error);
    pthread_mutex_unlock(&scheduler->lock);
    if (code == EX_OK) return EX_OK;
    *out = NULL;
    scheduler_job_release(job);
    scheduler_job_release(job);
    telemetry_add(scheduler->options.telemetry, COUNT_REQUESTS_REFUSED, 1);
    return code;
}

/* ---- the thread: prompts ----------------------------------------------------------------------------------------- */

static void admit(server_scheduler *scheduler, scheduler_job *job) {
    job->admitted = scheduler_clock();
    job->usage.queue_seconds = job->admitted - job->submitted;
    telemetry_observe(scheduler->options.telemetry, HISTOGRAM_QUEUE, job->usage.queue_seconds);
    const scheduler_request *request = &job->request;
    ex_error error;
    ex_code code = ex_session_fork(&job->prompt, scheduler->root, &error);
    if (code == EX_OK)
        code = prefix_cache_take(&scheduler->cache, request->client, request->tokens, request->n_tokens - 1,
                                 job->prompt, &error);
    if (code != EX_OK) {
        job_fail(job, &error);
        return;
    }
    job->state = JOB_PREFILL;
    job->usage.n_prompt = request->n_tokens;
    job->usage.n_cached = ex_session_position(job->prompt);
    telemetry_add(scheduler->options.telemetry, COUNT_PROMPT_TOKENS, job->usage.n_prompt);
    telemetry_add(scheduler->options.telemetry, COUNT_PROMPT_TOKENS_CACHED, job->usage.n_cached);
}

static bool has_more(const scheduler_job *job) { return job->n_begun < job->request.n_answers; }

/* Slots that are kept for the first answers of admitted jobs; of one client or, with SIZE_MAX, of all. */
static size_t n_reserved(const server_scheduler *scheduler, size_t client) {
    size_t count = 0;
    for (const scheduler_job *job = scheduler->jobs; job; job = job->next)
        count += (job->state == JOB_PREFILL || (job->state == JOB_READY && job->n_begun == 0)) &&
                 (client == SIZE_MAX || job->request.client == client);
    return count;
}

static bool wants_slot(const scheduler_job *job) {
    return job->state == JOB_WAITING || (job->state == JOB_READY && job->n_begun > 0 && has_more(job));
}

/* Of the jobs that want a slot, the one whose client has the fewest; then the one that has begun the fewest answers
 * itself; then the oldest. */
static scheduler_job *fairest(const server_scheduler *scheduler) {
    scheduler_job *best = NULL;
    size_t best_of_client = SIZE_MAX;
    for (scheduler_job *job = scheduler->jobs; job; job = job->next) {
        if (!wants_slot(job)) continue;
        const size_t client = job->request.client;
        const size_t of_client = slots_of_client(&scheduler->slots, client) + n_reserved(scheduler, client);
        if (best && (of_client > best_of_client || (of_client == best_of_client && job->n_begun >= best->n_begun)))
            continue;
        best_of_client = of_client;
        best = job;
    }
    return best;
}

static bool has_free_slot(const server_scheduler *scheduler) {
    return scheduler->slots.n_running + n_reserved(scheduler, SIZE_MAX) < scheduler->slots.count;
}

static size_t evaluate_piece(scheduler_job *job, size_t most) {
    const size_t held = ex_session_position(job->prompt), left = job->request.n_tokens - 1 - held;
    const size_t n = left < most ? left : most;
    ex_error error;
    if (n > 0 && ex_session_evaluate(job->prompt, job->request.tokens + held, n, NULL, NULL, &error) != EX_OK) {
        job_fail(job, &error);
        return n;
    }
    if (n < left) return n;
    job->state = JOB_READY;
    job->ready = scheduler_clock();
    job->usage.prefill_seconds = job->ready - job->admitted;
    return n;
}

/* A piece of the prompts, in turn, so that a long one does not keep short ones waiting. */
static void prefill(server_scheduler *scheduler) {
    size_t left = scheduler->options.prefill_piece, n_jobs = 0;
    for (const scheduler_job *job = scheduler->jobs; job; job = job->next) n_jobs += job->state == JOB_PREFILL;
    while (n_jobs > 0 && left > 0) {
        size_t turn = scheduler->next_prefill++ % n_jobs;
        scheduler_job *job = scheduler->jobs;
        while (job->state != JOB_PREFILL || turn-- > 0) job = job->next;
        const size_t n = evaluate_piece(job, left);
        n_jobs -= job->state != JOB_PREFILL;
        left -= n < left ? n : left;
    }
}

/* ---- the thread: answers ----------------------------------------------------------------------------------------- */

static void begin_answer(server_scheduler *scheduler, scheduler_job *job) {
    slots_begin(&scheduler->slots, job);
    pthread_mutex_lock(&scheduler->lock);
    scheduler->n_waiting--;
    scheduler->n_running++;
    pthread_mutex_unlock(&scheduler->lock);
    if (has_more(job)) return;
    prefix_cache_put(&scheduler->cache, job->request.client, job->request.tokens, job->prompt);
    ex_session_close(job->prompt);
    job->prompt = NULL;
}

/* Free slots go to new jobs and to further answers of those that run. */
static void give_slots(server_scheduler *scheduler) {
    scheduler_job *job;
    while (has_free_slot(scheduler) && (job = fairest(scheduler))) {
        if (job->state == JOB_WAITING)
            admit(scheduler, job);
        else
            begin_answer(scheduler, job);
    }
}

/* The first answers of jobs whose prompt is ready; slots were kept for them. */
static void begin_ready(server_scheduler *scheduler) {
    for (scheduler_job *job = scheduler->jobs; job; job = job->next)
        if (job->state == JOB_READY && job->n_begun == 0) begin_answer(scheduler, job);
}

static void drop_cancelled(server_scheduler *scheduler) {
    for (scheduler_job *job = scheduler->jobs; job; job = job->next)
        if (atomic_load(&job->is_cancelled)) job->state = JOB_OVER;
    slots_drop(&scheduler->slots);
}

/* Whoever waits hears of it once a second. */
static void notify(server_scheduler *scheduler) {
    const double now = scheduler_clock();
    for (scheduler_job *job = scheduler->jobs; job; job = job->next) {
        if (job->n_begun > 0 || job->state > JOB_READY || now - job->noticed < NOTICE_SECONDS) continue;
        job->noticed = now;
        const size_t done = job->prompt ? ex_session_position(job->prompt) : 0;
        job->listener.waiting(job->listener.context, done, job->request.n_tokens);
    }
}

static void finish(server_scheduler *scheduler, scheduler_job *job) {
    telemetry *counts = scheduler->options.telemetry;
    ex_session_close(job->prompt); /* whoever still holds the job may outlive the engine */
    job->prompt = NULL;
    const bool cancelled = !job->failed && job->state == JOB_OVER;
    if (job->failed) telemetry_add(counts, COUNT_REQUESTS_FAILED, 1);
    if (cancelled) telemetry_add(counts, COUNT_REQUESTS_CANCELLED, 1);
    const double seconds = scheduler_clock() - job->submitted;
    telemetry_observe(counts, HISTOGRAM_REQUEST, seconds);
    pthread_mutex_lock(&scheduler->lock);
    scheduler->n_waiting -= job->request.n_answers - job->n_begun;
    scheduler->mean_seconds += 0.1 * (job->usage.decode_seconds + job->usage.prefill_seconds - scheduler->mean_seconds);
    pthread_mutex_unlock(&scheduler->lock);
    job->listener.done(job->listener.context, job->failed ? &job->error : NULL, cancelled);
    scheduler_job_release(job);
    pthread_mutex_lock(&scheduler->lock);
    if (--scheduler->n_jobs == 0) pthread_cond_broadcast(&scheduler->idle);
    pthread_mutex_unlock(&scheduler->lock);
}

static void finish_jobs(server_scheduler *scheduler) {
    for (scheduler_job **at = &scheduler->jobs; *at;) {
        scheduler_job *job = *at;
        if (!job_is_finished(job)) {
            at = &job->next;
            continue;
        }
        *at = job->next;
        finish(scheduler, job);
    }
}

/* ---- the thread: the loop ---------------------------------------------------------------------------------------- */

/* Takes in what was submitted; waits while there is no job at all. False: the end. */
static bool collect(server_scheduler *scheduler) {
    pthread_mutex_lock(&scheduler->lock);
    while (!scheduler->jobs && !scheduler->incoming && !scheduler->stops)
        pthread_cond_wait(&scheduler->wake, &scheduler->lock);
    scheduler_job **end = &scheduler->jobs;
    while (*end) end = &(*end)->next;
    *end = scheduler->incoming;
    scheduler->incoming = NULL;
    scheduler->incoming_end = &scheduler->incoming;
    const bool goes_on = !scheduler->stops;
    for (scheduler_job *job = scheduler->jobs; scheduler->gives_up && job; job = job->next) scheduler_cancel(job);
    pthread_mutex_unlock(&scheduler->lock);
    return goes_on;
}

static void set_gauges(server_scheduler *scheduler) {
    telemetry *counts = scheduler->options.telemetry;
    const size_t n_context = ex_session_context(scheduler->root);
    const size_t n_held = slots_positions(&scheduler->slots) + prefix_cache_positions(&scheduler->cache);
    telemetry_set(counts, GAUGE_RUNNING, (double)scheduler->slots.n_running);
    telemetry_set(counts, GAUGE_KV_USED, (double)n_held);
    telemetry_set(counts, GAUGE_KV_SIZE, (double)((scheduler->slots.count + scheduler->cache.n_entries) * n_context));
    telemetry_set(counts, GAUGE_CACHED_PROMPTS, (double)prefix_cache_count(&scheduler->cache));
    pthread_mutex_lock(&scheduler->lock);
    scheduler->n_running = scheduler->slots.n_running;
    telemetry_set(counts, GAUGE_WAITING, (double)scheduler->n_waiting);
    pthread_mutex_unlock(&scheduler->lock);
}

static void *serve(void *context) {
    server_scheduler *scheduler = context;
    while (collect(scheduler)) {
        drop_cancelled(scheduler);
        give_slots(scheduler);
        prefill(scheduler);
        begin_ready(scheduler);
        slots_step(&scheduler->slots);
        slots_drop(&scheduler->slots);
        notify(scheduler);
        finish_jobs(scheduler);
        set_gauges(scheduler);
    }
    for (scheduler_job *job = scheduler->jobs; job; job = job->next) job->state = JOB_OVER;
    slots_drop(&scheduler->slots);
    finish_jobs(scheduler);
    return NULL;
}

static ex_code open_parts(server_scheduler *scheduler, ex_error *error) {
    const scheduler_options *options = &scheduler->options;
    ex_session_options session = ex_session_options_default();
    session.n_context = options->n_context;
    session.kv_type = options->kv_type;
    ex_code code = ex_session_open(&scheduler->root, options->engine, &session, error);
    if (code == EX_OK) code = prefix_cache_open(&scheduler->cache, scheduler->root, options->n_cached, error);
    if (code == EX_OK)
        code = slots_open(&scheduler->slots, scheduler->root, options->n_parallel, &scheduler->cache,
                          options->telemetry, error);
    if (code != EX_OK) return code;
    if (pthread_create(&scheduler->thread, NULL, serve, scheduler) != 0)
        return server_fail(error, EX_ERROR_MEMORY, 0, "the system starts no more threads");
    scheduler->has_thread = true;
    return EX_OK;
}

ex_code scheduler_open(server_scheduler **out, const scheduler_options *options, ex_error *error) {
    *out = NULL;
    server_scheduler *scheduler = calloc(1, sizeof *scheduler);
    if (!scheduler) return server_fail_memory(error, "the scheduler");
    scheduler->options = *options;
    scheduler->incoming_end = &scheduler->incoming;
    scheduler->mean_seconds = 1;
    pthread_mutex_init(&scheduler->lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&scheduler->wake, &monotonic);
    pthread_cond_init(&scheduler->idle, &monotonic);
    pthread_condattr_destroy(&monotonic);
    ex_code code = open_parts(scheduler, error);
    if (code != EX_OK) {
        scheduler_close(scheduler);
        return code;
    }
    *out = scheduler;
    return EX_OK;
}

size_t scheduler_context(const server_scheduler *scheduler) { return ex_session_context(scheduler->root); }

void scheduler_drain(server_scheduler *scheduler, double seconds) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)seconds;
    until.tv_nsec += (long)((seconds - (double)(time_t)seconds) * 1e9);
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&scheduler->lock);
    scheduler->drains = true;
    int waited = 0;
    while (scheduler->n_jobs > 0 && waited != ETIMEDOUT)
        waited = pthread_cond_timedwait(&scheduler->idle, &scheduler->lock, &until);
    scheduler->gives_up = scheduler->n_jobs > 0;
    while (scheduler->n_jobs > 0) pthread_cond_wait(&scheduler->idle, &scheduler->lock);
    pthread_mutex_unlock(&scheduler->lock);
}

void scheduler_close(server_scheduler *scheduler) {
    if (!scheduler) return;
    pthread_mutex_lock(&scheduler->lock);
    scheduler->stops = true;
    pthread_cond_signal(&scheduler->wake);
    pthread_mutex_unlock(&scheduler->lock);
    if (scheduler->has_thread) pthread_join(scheduler->thread, NULL);
    slots_close(&scheduler->slots);
    prefix_cache_close(&scheduler->cache);
    ex_session_close(scheduler->root);
    pthread_cond_destroy(&scheduler->wake);
    pthread_cond_destroy(&scheduler->idle);
    pthread_mutex_destroy(&scheduler->lock);
    free(scheduler);
}
