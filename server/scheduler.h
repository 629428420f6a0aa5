/* scheduler.h - who computes when: one thread takes jobs from a fair queue, evaluates their prompts in pieces between
 * the tokens of those that run, and steps all running answers together (continuous batching). Prompts that begin as an
 * earlier one of the same client did share its pages of the KV cache. Knows nothing of HTTP and JSON. */
#ifndef SERVER_SCHEDULER_H
#define SERVER_SCHEDULER_H

#include "entropix.h"
#include "telemetry.h"

typedef struct server_scheduler server_scheduler;
typedef struct scheduler_job scheduler_job;

typedef struct scheduler_options {
    ex_engine *engine;
    size_t n_parallel;    /* answers that run at once (slots) */
    size_t n_context;     /* positions of each; 0: as ex_session_options */
    ex_kv_type kv_type;
    size_t n_queue;       /* answers that wait at most beside those that run, over all clients */
    size_t n_cached;      /* prompts with answers that are remembered, over all clients */
    size_t prefill_piece; /* tokens of a prompt between two steps of the others */
    telemetry *telemetry;
} scheduler_options;

/* Called on the scheduler's thread; they must not wait, and may call scheduler_cancel. */
typedef struct scheduler_listener {
    void *context;
    /* Before the first token, at least once a second while a prompt waits or is evaluated: to keep a client patient. */
    void (*waiting)(void *context, size_t n_done, size_t n_total);
    /* An answer has a token, or its end. */
    void (*event)(void *context, size_t answer, const ex_event *event, const ex_generator *generator);
    /* A whole line of the trace; only where the job asks for one. Comes before the event of the same token. */
    void (*trace)(void *context, size_t answer, const char *line, size_t length);
    /* The last call, once for each job that was submitted: all ended, failed (`error`), or cancelled. */
    void (*done)(void *context, const ex_error *error, bool cancelled);
} scheduler_listener;

typedef struct scheduler_request {
    const int32_t *tokens;       /* the prompt, at least one; copied */
    size_t n_tokens;
    ex_generator_options answer; /* policy, stop texts: copied; grammar: borrowed until `done`; no trace */
    size_t n_answers;            /* to the same prompt; answer i draws with sequence + i */
    size_t client;               /* whose: fairness, and prefixes that may be shared */
    bool wants_trace;
    double seconds_at_most;      /* 0: no limit; then the answers end with what they have (EX_END_LENGTH) */
} scheduler_request;

typedef struct scheduler_usage { /* of a job, valid in `event` and `done` */
    size_t n_prompt, n_cached;   /* tokens; those that came from an earlier prompt */
    size_t n_generated, n_forwarded;
    double queue_seconds, prefill_seconds, decode_seconds;
} scheduler_usage;

scheduler_options scheduler_options_default(void);
/* The engine must outlive it. */
ex_code scheduler_open(server_scheduler **out, const scheduler_options *options, ex_error *error);
/* Cancels what is left, and waits for the thread. */
void scheduler_close(server_scheduler *scheduler);
size_t scheduler_context(const server_scheduler *scheduler); /* positions of an answer with its prompt */
/* From any thread. EX_ERROR_CONTEXT: the prompt has no room, with `position` the positions there are; EX_ERROR_MEMORY:
 * the queue is full (position: seconds after which to come again) or drained (0). The listener is not called then. */
ex_code scheduler_submit(server_scheduler *scheduler, const scheduler_request *request,
                         const scheduler_listener *listener, scheduler_job **job, ex_error *error);
/* From any thread, also after the end: the job stops at the next token, and `done` follows. */
void scheduler_cancel(scheduler_job *job);
scheduler_usage scheduler_job_usage(const scheduler_job *job);
/* The submitter's hold on the job; the scheduler has its own until `done` has returned. */
void scheduler_job_release(scheduler_job *job);
/* No new jobs from now on. Returns when all have ended, or after so many seconds: then cancels the rest. */
void scheduler_drain(server_scheduler *scheduler, double seconds);

#endif
