/* job.c - copies of what a job was submitted with, and its end. */
#include "job.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "failure.h"

double scheduler_clock(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void free_job(scheduler_job *job) {
    scheduler_request *request = &job->request;
    for (size_t i = 0; request->answer.stop && i < request->answer.n_stop; i++) free((void *)request->answer.stop[i]);
    free((void *)request->answer.stop);
    free((void *)request->tokens);
    ex_session_close(job->prompt);
    free(job);
}

static bool copy_stop_texts(ex_generator_options *answer, const ex_generator_options *given) {
    if (given->n_stop == 0) return true;
    char **texts = calloc(given->n_stop, sizeof *texts);
    answer->stop = (const char *const *)texts;
    if (!texts) return false;
    for (answer->n_stop = 0; answer->n_stop < given->n_stop; answer->n_stop++)
        if (!(texts[answer->n_stop] = strdup(given->stop[answer->n_stop]))) return false;
    return true;
}

ex_code job_open(scheduler_job **out, const scheduler_request *request, const scheduler_listener *listener,
                 ex_error *error) {
    *out = NULL;
    scheduler_job *job = calloc(1, sizeof *job);
    if (!job) return server_fail_memory(error, "a request");
    job->listener = *listener;
    job->request = *request;
    job->request.tokens = NULL;
    ex_generator_options *answer = &job->request.answer;
    answer->stop = NULL;
    answer->n_stop = 0;
    answer->trace = NULL;
    int32_t *tokens = calloc(request->n_tokens, sizeof *tokens);
    job->request.tokens = tokens;
    if (!tokens || !copy_stop_texts(answer, &request->answer)) {
        free_job(job);
        return server_fail_memory(error, "a request");
    }
    memcpy(tokens, request->tokens, request->n_tokens * sizeof *tokens);
    ex_code code = EX_OK;
    if (request->answer.policy)
        job->policy = *request->answer.policy;
    else
        code = ex_policy_preset(&job->policy, NULL, error);
    if (code != EX_OK) {
        free_job(job);
        return code;
    }
    answer->policy = &job->policy;
    job->submitted = job->noticed = scheduler_clock();
    atomic_init(&job->is_cancelled, false);
    atomic_init(&job->n_holds, 2);
    *out = job;
    return EX_OK;
}

bool job_is_finished(const scheduler_job *job) {
    if (job->n_running > 0) return false;
    return job->state == JOB_OVER || job->n_begun == job->request.n_answers;
}

void job_fail(scheduler_job *job, const ex_error *error) {
    if (!job->failed && error) job->error = *error;
    job->failed = job->failed || error != NULL;
    job->state = JOB_OVER;
}

void scheduler_cancel(scheduler_job *job) { atomic_store(&job->is_cancelled, true); }

scheduler_usage scheduler_job_usage(const scheduler_job *job) { return job->usage; }

void scheduler_job_release(scheduler_job *job) {
    if (job && atomic_fetch_sub(&job->n_holds, 1) == 1) free_job(job);
}
