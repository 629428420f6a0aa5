/* history.c - the log of one answer, and the tokens before it. */
#include "sampler/history.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"

ex_running_variance ex_variance_add(ex_running_variance variance, double value) {
    double distance = value - variance.mean;
    variance.count += 1;
    variance.mean += distance / variance.count;
    variance.squares += distance * (value - variance.mean);
    return variance;
}

ex_code ex_history_open(ex_history *history, size_t window, size_t context, ex_error *error) {
    *history = (ex_history){.capacity = window + EX_REWIND_MAX,
                            .context_capacity = context > 0 ? context + EX_REWIND_MAX : 0};
    history->records = ex_allocate(history->capacity, sizeof *history->records);
    if (context > 0) history->context = ex_allocate(history->context_capacity, sizeof *history->context);
    if (history->records && (history->context || context == 0)) return EX_OK;
    ex_history_close(history);
    return ex_fail_memory(error, "a sampler's history");
}

void ex_history_close(ex_history *history) {
    free(history->records);
    free(history->context);
    *history = (ex_history){0};
}

void ex_history_reset(ex_history *history) {
    history->count = history->peak = history->n_context = history->context_peak = 0;
    history->has_pending = false;
}

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }
static size_t larger(size_t a, size_t b) { return a > b ? a : b; }

void ex_history_copy(ex_history *to, const ex_history *from) {
    memcpy(to->records, from->records, smaller(from->peak, from->capacity) * sizeof *to->records);
    if (from->context)
        memcpy(to->context, from->context, smaller(from->context_peak, from->context_capacity) * sizeof *to->context);
    to->count = from->count;
    to->peak = from->peak;
    to->n_context = from->n_context;
    to->context_peak = from->context_peak;
    to->pending = from->pending;
    to->has_pending = from->has_pending;
}

const ex_record *ex_history_newest(const ex_history *history, size_t back) {
    if (back >= history->count || history->count - 1 - back + history->capacity < history->peak) return NULL;
    return &history->records[(history->count - 1 - back) % history->capacity];
}

ex_carried ex_history_carried(const ex_history *history) {
    const ex_record *newest = ex_history_newest(history, 0);
    return newest ? newest->carried : (ex_carried){0};
}

static void remember(ex_history *history, int32_t token) {
    if (!history->context) return;
    history->context[history->n_context++ % history->context_capacity] = token;
    history->context_peak = larger(history->context_peak, history->n_context);
}

void ex_history_prompt(ex_history *history, const int32_t *tokens, size_t n_tokens) {
    for (size_t i = 0; i < n_tokens; i++) remember(history, tokens[i]);
}

/* A token that no step has chosen (the rest of an insertion) carries everything on. */
static ex_record next_record(const ex_history *history) {
    const ex_record *newest = ex_history_newest(history, 0);
    ex_record record = newest ? *newest : (ex_record){0};
    record.measured = history->has_pending;
    record.rule = history->has_pending ? history->pending.rule : -1;
    if (!history->has_pending) return record;
    record.metrics = history->pending.metrics;
    record.carried = history->pending.carried;
    record.entropies = ex_variance_add(record.entropies, record.metrics.logits_entropy);
    record.n_measured++;
    return record;
}

void ex_history_accept(ex_history *history, int32_t token, bool inserted) {
    const ex_record *newest = ex_history_newest(history, 0);
    ex_record record = next_record(history);
    if (inserted && !(newest && newest->inserted)) {
        record.n_insertions++;
        record.n_since_insertion = 0;
    }
    if (!inserted) record.n_since_insertion++;
    record.inserted = inserted;
    record.token = token;
    history->records[history->count++ % history->capacity] = record;
    history->peak = larger(history->peak, history->count);
    history->has_pending = false;
    remember(history, token);
}

bool ex_history_truncate(ex_history *history, size_t count) {
    if (count > history->count || count + EX_REWIND_MAX < history->peak) return false;
    const size_t dropped = history->count - count;
    history->count = count;
    history->has_pending = false;
    if (history->context) history->n_context -= dropped;
    return true;
}

int32_t ex_history_token(const ex_history *history, size_t back) {
    if (back >= history->n_context || history->n_context - 1 - back + history->context_capacity < history->context_peak)
        return EX_TOKEN_NONE;
    return history->context[(history->n_context - 1 - back) % history->context_capacity];
}
