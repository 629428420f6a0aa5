/* slots.c - begins answers, steps them together, ends them. */
#include "slots.h"

#include <stdlib.h>
#include <string.h>

#include "failure.h"

ex_code slots_open(answer_slots *slots, ex_session *root, size_t count, prefix_cache *cache, telemetry *counts,
                   ex_error *error) {
    *slots = (answer_slots){.cache = cache, .counts = counts};
    slots->slots = calloc(count, sizeof *slots->slots);
    slots->generators = calloc(count, sizeof(ex_generator *));
    if (!slots->slots || !slots->generators) return server_fail_memory(error, "answers");
    for (; slots->count < count; slots->count++) {
        answer_slot *slot = &slots->slots[slots->count];
        slot->tokens = calloc(ex_session_context(root), sizeof *slot->tokens);
        if (!slot->tokens) return server_fail_memory(error, "answers");
        ex_code code = ex_session_fork(&slot->session, root, error);
        if (code != EX_OK) {
            free(slot->tokens);
            return code;
        }
    }
    return EX_OK;
}

static void free_answer(answer_slot *slot) {
    ex_generator_close(slot->generator);
    ex_trace_close(slot->trace, NULL);
    slot->generator = NULL;
    slot->trace = NULL;
    slot->job = NULL;
}

void slots_close(answer_slots *slots) {
    for (size_t i = 0; i < slots->count; i++) {
        free_answer(&slots->slots[i]);
        ex_session_close(slots->slots[i].session);
        free(slots->slots[i].tokens);
    }
    free(slots->slots);
    free(slots->generators);
    *slots = (answer_slots){0};
}

static bool pass_line(void *context, const char *line, size_t length) {
    const answer_slot *slot = context;
    slot->job->listener.trace(slot->job->listener.context, slot->index, line, length);
    return true;
}

static ex_code begin(answer_slot *slot, ex_error *error) {
    const scheduler_request *request = &slot->job->request;
    ex_generator_options options = request->answer;
    options.sequence += (uint32_t)slot->index;
    const size_t before = request->n_tokens - 1; /* the last token waits for the step of all answers */
    ex_code code = ex_session_assign(slot->session, slot->job->prompt, error);
    if (code == EX_OK && request->wants_trace) code = ex_trace_open_callback(&slot->trace, pass_line, slot, error);
    options.trace = slot->trace;
    if (code == EX_OK) code = ex_generator_open(&slot->generator, slot->session, &options, error);
    if (code == EX_OK && before > 0) code = ex_generator_context(slot->generator, request->tokens, before, error);
    if (code == EX_OK) code = ex_generator_prompt_later(slot->generator, request->tokens[before], error);
    return code;
}

void slots_begin(answer_slots *slots, scheduler_job *job) {
    answer_slot *slot = slots->slots;
    while (slot->job) slot++;
    slot->job = job;
    slot->index = job->n_begun++;
    slot->n_tokens = job->request.n_tokens;
    slot->effort = (ex_effort){0};
    slot->last_token = 0;
    memcpy(slot->tokens, job->request.tokens, slot->n_tokens * sizeof *slot->tokens);
    ex_error error;
    if (begin(slot, &error) != EX_OK) {
        free_answer(slot);
        job_fail(job, &error);
        return;
    }
    job->n_running++;
    slots->n_running++;
}

/* What the session holds beyond the delivered tokens is not settled. */
static void remember(answer_slots *slots, answer_slot *slot) {
    const bool held_more = ex_session_position(slot->session) > slot->n_tokens;
    if (held_more && ex_session_rewind(slot->session, slot->n_tokens, NULL) != EX_OK) return;
    prefix_cache_put(slots->cache, slot->job->request.client, slot->tokens, slot->session);
}

static void end_answer(answer_slots *slots, answer_slot *slot) {
    scheduler_job *job = slot->job;
    if (!job->failed) remember(slots, slot);
    free_answer(slot);
    job->n_running--;
    slots->n_running--;
}

/* ---- a token ----------------------------------------------------------------------------------------------------- */

static void count_token(answer_slots *slots, answer_slot *slot, const ex_event *event, double now) {
    telemetry *counts = slots->counts;
    scheduler_job *job = slot->job;
    const bool is_first = slot->last_token <= 0;
    telemetry_observe(counts, is_first ? HISTOGRAM_FIRST_TOKEN : HISTOGRAM_BETWEEN_TOKENS,
                      now - (is_first ? job->submitted : slot->last_token));
    slot->last_token = now;
    job->usage.n_generated++;
    telemetry_add(counts, COUNT_TOKENS, 1);
    if (event->kind != EX_EVENT_TOKEN || !event->choice) return;
    const ex_metrics *metrics = &event->choice->metrics;
    telemetry_observe(counts, HISTOGRAM_ENTROPY, metrics->logits_entropy);
    telemetry_observe(counts, HISTOGRAM_VARENTROPY, metrics->logits_varentropy);
    telemetry_observe(counts, HISTOGRAM_ATTENTION_ENTROPY, metrics->attn_entropy);
    telemetry_strategy(counts, event->choice->decision.strategy);
}

static void count_effort(answer_slots *slots, answer_slot *slot) {
    const ex_effort effort = ex_generator_effort(slot->generator);
    telemetry_add(slots->counts, COUNT_TOKENS_LOST, effort.n_lost + effort.n_taken_back);
    slot->job->usage.n_forwarded += effort.n_forwarded;
}

static void pass_event(answer_slots *slots, answer_slot *slot, const ex_event *event, double now) {
    scheduler_job *job = slot->job;
    job->usage.decode_seconds = now - job->ready;
    if (event->kind != EX_EVENT_END) {
        if (slot->n_tokens < ex_session_context(slot->session)) slot->tokens[slot->n_tokens++] = event->token;
        count_token(slots, slot, event, now);
    } else {
        count_effort(slots, slot);
    }
    job->listener.event(job->listener.context, slot->index, event, slot->generator);
    if (event->kind == EX_EVENT_END) end_answer(slots, slot);
}

static bool is_late(const scheduler_job *job, double now) {
    return job->request.seconds_at_most > 0 && now - job->submitted > job->request.seconds_at_most;
}

/* An answer that looks further ahead takes several steps for a token; its time runs all the while. */
static bool has_turn(const answer_slot *slot) {
    return ex_generator_is_ready(slot->generator) || is_late(slot->job, scheduler_clock());
}

static void advance(answer_slots *slots, answer_slot *slot) {
    scheduler_job *job = slot->job;
    ex_event event = {.kind = EX_EVENT_END, .end = EX_END_LENGTH, .token = EX_TOKEN_NONE};
    ex_error error;
    const bool late = is_late(job, scheduler_clock());
    if (late || ex_generator_next(slot->generator, &event, &error) == EX_OK) {
        pass_event(slots, slot, &event, scheduler_clock());
        return;
    }
    job_fail(job, &error);
    end_answer(slots, slot);
}

void slots_step(answer_slots *slots) {
    size_t n = 0;
    for (size_t i = 0; i < slots->count; i++)
        if (slots->slots[i].job) slots->generators[n++] = slots->slots[i].generator;
    if (n == 0) return;
    ex_error error; /* of which answer shows when each goes on alone */
    const bool alone = ex_generators_evaluate(slots->generators, n, &error) != EX_OK;
    telemetry_add(slots->counts, COUNT_STEPS, 1);
    telemetry_add(slots->counts, COUNT_STEP_ANSWERS, n);
    for (size_t i = 0; i < slots->count; i++)
        if (slots->slots[i].job && (alone || has_turn(&slots->slots[i]))) advance(slots, &slots->slots[i]);
}

void slots_drop(answer_slots *slots) {
    for (size_t i = 0; i < slots->count; i++)
        if (slots->slots[i].job && slots->slots[i].job->state == JOB_OVER) end_answer(slots, &slots->slots[i]);
}

size_t slots_of_client(const answer_slots *slots, size_t client) {
    size_t count = 0;
    for (size_t i = 0; i < slots->count; i++)
        count += slots->slots[i].job && slots->slots[i].job->request.client == client;
    return count;
}

size_t slots_positions(const answer_slots *slots) {
    size_t sum = 0;
    for (size_t i = 0; i < slots->count; i++)
        if (slots->slots[i].job) sum += slots->slots[i].n_tokens;
    return sum;
}
