/* batch.c - slots that step together. A generator lives as long as one answer, since policy and seed are its own; the
 * sessions stay. */
#include "batch.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "batch_signals.h"
#include "failure.h"

typedef struct slot {
    ex_session *session;
    ex_generator *generator; /* NULL: free */
    eval_order order;
    eval_pooling pooling;
    int32_t *tokens;
    size_t n_tokens, token_capacity;
    char *text;
    size_t n_text, text_capacity;
    double seconds;
} slot;

struct eval_batch {
    ex_session *root;
    slot *slots;
    size_t n_slots, n_active;
    ex_generator **waiting; /* [n_slots] */
};

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

ex_code eval_batch_open(eval_batch **out, ex_engine *engine, size_t n_slots, size_t n_context, ex_error *error) {
    ex_session_options options = ex_session_options_default();
    options.n_context = n_context;
    eval_batch *batch = *out = calloc(1, sizeof *batch);
    if (!batch) return eval_fail_memory(error, "a batch");
    batch->slots = calloc(n_slots, sizeof *batch->slots);
    batch->waiting = calloc(n_slots, sizeof *batch->waiting);
    ex_code code = batch->slots && batch->waiting ? ex_session_open(&batch->root, engine, &options, error)
                                                  : eval_fail_memory(error, "a batch");
    for (; code == EX_OK && batch->n_slots < n_slots; batch->n_slots++) {
        code = ex_session_fork(&batch->slots[batch->n_slots].session, batch->root, error);
        if (code != EX_OK) break;
    }
    if (code == EX_OK) return EX_OK;
    eval_batch_close(batch);
    *out = NULL;
    return code;
}

void eval_batch_close(eval_batch *batch) {
    if (!batch) return;
    for (size_t i = 0; i < batch->n_slots; i++) {
        ex_generator_close(batch->slots[i].generator);
        ex_session_close(batch->slots[i].session);
        free(batch->slots[i].tokens);
        free(batch->slots[i].text);
    }
    ex_session_close(batch->root);
    free(batch->slots);
    free(batch->waiting);
    free(batch);
}

ex_session *eval_batch_root(eval_batch *batch) { return batch->root; }

bool eval_batch_is_full(const eval_batch *batch) { return batch->n_active == batch->n_slots; }

size_t eval_batch_active(const eval_batch *batch) { return batch->n_active; }

/* ---- starting -------------------------------------------------------------------------------------------------- */

static ex_code open_generator(slot *one, const eval_order *order, ex_error *error) {
    ex_generator_options options = ex_generator_options_default();
    options.policy = order->policy;
    options.seed = order->seed;
    options.sequence = order->sequence;
    options.n_predict = order->n_predict;
    options.stop = order->stop;
    options.n_stop = order->n_stop;
    const size_t n_before = order->n_tokens - 1;
    ex_code code = ex_session_assign(one->session, order->prompt, error);
    if (code == EX_OK) code = ex_generator_open(&one->generator, one->session, &options, error);
    if (code == EX_OK && n_before > 0) code = ex_generator_context(one->generator, order->tokens, n_before, error);
    if (code == EX_OK) code = ex_generator_prompt_later(one->generator, order->tokens[n_before], error);
    if (code != EX_OK) {
        ex_generator_close(one->generator);
        one->generator = NULL;
    }
    return code;
}

ex_code eval_batch_start(eval_batch *batch, const eval_order *order, ex_error *error) {
    size_t index = 0;
    while (batch->slots[index].generator) index++;
    slot *one = &batch->slots[index];
    const double start = now();
    ex_code code = open_generator(one, order, error);
    if (code != EX_OK) return code;
    one->order = *order;
    one->pooling = (eval_pooling){0};
    one->n_tokens = one->n_text = 0;
    one->seconds = now() - start;
    batch->n_active++;
    return EX_OK;
}

/* ---- stepping -------------------------------------------------------------------------------------------------- */

static bool keep_token(slot *one, int32_t token) {
    if (one->n_tokens == one->token_capacity) {
        const size_t capacity = one->token_capacity ? 2 * one->token_capacity : 64;
        int32_t *grown = realloc(one->tokens, capacity * sizeof *grown);
        if (!grown) return false;
        one->tokens = grown;
        one->token_capacity = capacity;
    }
    one->tokens[one->n_tokens++] = token;
    return true;
}

/* A zero byte, which C would take for the end, becomes a blank. */
static bool keep_text(slot *one, ex_string text) {
    if (one->n_text + text.length + 1 > one->text_capacity) {
        const size_t capacity = 2 * (one->n_text + text.length) + 64;
        char *grown = realloc(one->text, capacity);
        if (!grown) return false;
        one->text = grown;
        one->text_capacity = capacity;
    }
    for (size_t i = 0; i < text.length; i++) one->text[one->n_text++] = text.data[i] ? text.data[i] : ' ';
    one->text[one->n_text] = '\0';
    return true;
}

/* Without the prompt, whose last token is the first thing that the generator evaluates. */
static size_t forwarded(const slot *one) {
    const size_t all = ex_generator_effort(one->generator).n_forwarded;
    return all > 0 ? all - 1 : 0;
}

static ex_code take_event(slot *one, const ex_event *event, ex_error *error) {
    bool is_kept = keep_text(one, event->text);
    if (event->kind != EX_EVENT_END) {
        eval_pooling_add(&one->pooling, event);
        is_kept = keep_token(one, event->token) && is_kept;
    }
    return is_kept ? EX_OK : eval_fail_memory(error, "an answer");
}

static ex_code deliver_answer(eval_batch *batch, slot *one, ex_end end, bool is_given_up, eval_deliver deliver,
                              void *context, ex_error *error) {
    eval_delivery delivery = {.order = one->order, .is_given_up = is_given_up, .seconds = one->seconds};
    delivery.answer = (eval_answer){.text = one->text,
                                    .tokens = one->tokens,
                                    .n_tokens = one->n_tokens,
                                    .n_forwarded = forwarded(one),
                                    .end = end,
                                    .signals = eval_pooling_result(&one->pooling)};
    one->text = NULL;
    one->tokens = NULL;
    one->text_capacity = one->token_capacity = 0;
    ex_generator_close(one->generator);
    one->generator = NULL;
    batch->n_active--;
    return deliver(context, &delivery, error);
}

static ex_code step_slot(eval_batch *batch, slot *one, eval_deliver deliver, void *context, ex_error *error) {
    ex_event event;
    const double start = now();
    ex_code code = ex_generator_next(one->generator, &event, error);
    if (code == EX_OK) code = take_event(one, &event, error);
    one->seconds += now() - start;
    if (code != EX_OK) return code;
    const bool is_given_up = one->order.most_forwarded > 0 && forwarded(one) > one->order.most_forwarded;
    if (event.kind != EX_EVENT_END && !is_given_up) return EX_OK;
    return deliver_answer(batch, one, event.end, is_given_up, deliver, context, error);
}

ex_code eval_batch_step(eval_batch *batch, eval_deliver deliver, void *context, ex_error *error) {
    const double start = now();
    size_t n_waiting = 0;
    for (size_t i = 0; i < batch->n_slots; i++)
        if (batch->slots[i].generator) batch->waiting[n_waiting++] = batch->slots[i].generator;
    if (n_waiting == 0) return EX_OK;
    ex_code code = ex_generators_evaluate(batch->waiting, n_waiting, error);
    const double share = (now() - start) / (double)n_waiting;
    for (size_t i = 0; i < batch->n_slots && code == EX_OK; i++) {
        slot *one = &batch->slots[i];
        if (!one->generator) continue;
        one->seconds += share;
        if (ex_generator_is_ready(one->generator)) code = step_slot(batch, one, deliver, context, error);
    }
    return code;
}
