/* slots.h - the answers that run: each has a timeline, a generator and the tokens that it holds. Inside the scheduler,
 * on its thread only. */
#ifndef SERVER_SLOTS_H
#define SERVER_SLOTS_H

#include "job.h"
#include "prefix_cache.h"

typedef struct answer_slot {
    ex_session *session;
    ex_generator *generator;
    ex_trace *trace;
    scheduler_job *job; /* NULL: the slot is free */
    size_t index;       /* of the answer in its job */
    int32_t *tokens;    /* [n_context] prompt and answer */
    size_t n_tokens;
    ex_effort effort;   /* as it was counted last */
    double last_token;  /* seconds on the clock */
} answer_slot;

typedef struct answer_slots {
    answer_slot *slots;
    size_t count, n_running;
    ex_generator **generators; /* [count] scratch of a step */
    prefix_cache *cache;
    telemetry *counts;
} answer_slots;

ex_code slots_open(answer_slots *slots, ex_session *root, size_t count, prefix_cache *cache, telemetry *counts,
                   ex_error *error);
void slots_close(answer_slots *slots);
/* Begins the job's next answer in a free slot; there must be one. A failure is the job's. */
void slots_begin(answer_slots *slots, scheduler_job *job);
/* One pass for all answers that run, and a token of each that has one. */
void slots_step(answer_slots *slots);
/* Gives up the answers of jobs that are over. */
void slots_drop(answer_slots *slots);
size_t slots_of_client(const answer_slots *slots, size_t client);
size_t slots_positions(const answer_slots *slots);

#endif
