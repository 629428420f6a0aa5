/* job.h - a request that was submitted, from the queue to its last answer. Inside the scheduler only. */
#ifndef SERVER_JOB_H
#define SERVER_JOB_H

#include <stdatomic.h>

#include "scheduler.h"

typedef enum job_state {
    JOB_WAITING, /* in the queue */
    JOB_PREFILL, /* admitted: a slot is kept free for it */
    JOB_READY,   /* its prompt is evaluated but for the last token; answers begin as slots become free */
    JOB_OVER     /* failed or cancelled: nothing more begins */
} job_state;

struct scheduler_job {
    scheduler_request request; /* texts and lists are copies */
    ex_policy policy;
    scheduler_listener listener;
    scheduler_usage usage;
    job_state state;
    ex_session *prompt; /* holds the prompt, as far as it is evaluated; NULL before and after */
    size_t n_begun, n_running;
    double submitted, admitted, ready, noticed; /* seconds on the clock */
    atomic_bool is_cancelled;
    atomic_int n_holds;
    ex_error error;
    bool failed;
    scheduler_job *next;
};

/* With two holds: the submitter's and the scheduler's. */
ex_code job_open(scheduler_job **out, const scheduler_request *request, const scheduler_listener *listener,
                 ex_error *error);
/* Nothing of it waits or runs any more. */
bool job_is_finished(const scheduler_job *job);
/* Takes note of the first error; nothing more of the job begins. */
void job_fail(scheduler_job *job, const ex_error *error);

double scheduler_clock(void);

#endif
