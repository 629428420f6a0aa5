/* telemetry.c - counters, gauges and histograms under one lock, and their text for Prometheus. */
#include "telemetry.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "failure.h"

enum { STRATEGIES = 64, BOUNDS = 16, STATUSES = 600 };

typedef struct description { const char *name, *help; } description;

static const description counters[TELEMETRY_COUNTERS] = {
    [COUNT_REQUESTS] = {"requests_total", "Requests for completions."},
    [COUNT_REQUESTS_REFUSED] = {"requests_refused_total", "Requests that found the queue full."},
    [COUNT_REQUESTS_CANCELLED] = {"requests_cancelled_total", "Requests whose client left before the end."},
    [COUNT_REQUESTS_FAILED] = {"requests_failed_total", "Requests that ended with an error of the engine."},
    [COUNT_PROMPT_TOKENS] = {"prompt_tokens_total", "Tokens of prompts."},
    [COUNT_PROMPT_TOKENS_CACHED] = {"prompt_tokens_cached_total", "Tokens of prompts that an earlier prompt had left."},
    [COUNT_TOKENS] = {"tokens_total", "Tokens that were generated."},
    [COUNT_TOKENS_LOST] = {"tokens_lost_total", "Generated tokens that were taken back, or lost with a branch."},
    [COUNT_STEPS] = {"steps_total", "Passes over the weights for running answers."},
    [COUNT_STEP_ANSWERS] = {"step_answers_total", "Answers in those passes, summed."},
    [COUNT_ERRORS] = {"errors_total", "Requests that were answered with an error."},
    [COUNT_TRACES_FAILED] = {"traces_failed_total", "Traces that could not be written into the folder."},
};

static const description gauges[TELEMETRY_GAUGES] = {
    [GAUGE_RUNNING] = {"answers_running", "Answers that are being generated."},
    [GAUGE_WAITING] = {"answers_waiting", "Answers that wait in the queue."},
    [GAUGE_KV_USED] = {"kv_positions_used", "Positions of the KV cache that hold something."},
    [GAUGE_KV_SIZE] = {"kv_positions", "Positions that the KV cache could hold."},
    [GAUGE_CACHED_PROMPTS] = {"cached_prompts", "Prompts that are remembered for those that begin as they did."},
    [GAUGE_CONNECTIONS] = {"connections", "Connections that are open."},
};

/* Upper bounds, ended by a zero; what is above the last counts in +Inf alone. */
static const struct { description what; double bounds[BOUNDS]; } histograms[TELEMETRY_HISTOGRAMS] = {
    [HISTOGRAM_ENTROPY] = {{"entropy_bits", "Entropy of the logits at each token."},
                           {0.01, 0.03, 0.1, 0.25, 0.5, 1, 1.5, 2, 3, 4, 5, 6, 8, 12}},
    [HISTOGRAM_VARENTROPY] = {{"varentropy_bits2", "Varentropy of the logits at each token, in square bits."},
                              {0.01, 0.1, 0.5, 1, 2, 3, 4, 5, 6, 8, 10, 15, 25, 50}},
    [HISTOGRAM_ATTENTION_ENTROPY] = {{"attention_entropy_bits", "Mean entropy of the heads at each token."},
                                     {0.25, 0.5, 1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 12}},
    [HISTOGRAM_FIRST_TOKEN] = {{"first_token_seconds", "From the arrival of a request to the first token."},
                               {0.01, 0.03, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300}},
    [HISTOGRAM_BETWEEN_TOKENS] = {{"between_tokens_seconds", "From one token of an answer to the next."},
                                  {0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10}},
    [HISTOGRAM_QUEUE] = {{"queue_seconds", "What a request waited until it was begun."},
                         {0.001, 0.01, 0.1, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300}},
    [HISTOGRAM_REQUEST] = {{"request_seconds", "From the arrival of a request to the end of its last answer."},
                           {0.01, 0.1, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200}},
};

typedef struct histogram {
    uint64_t counts[BOUNDS + 1]; /* not cumulative here; the last one is above all bounds */
    double sum;
} histogram;

typedef struct strategy { char *name; uint64_t count; } strategy;

struct telemetry {
    pthread_mutex_t lock;
    uint64_t counters[TELEMETRY_COUNTERS];
    double gauges[TELEMETRY_GAUGES];
    histogram histograms[TELEMETRY_HISTOGRAMS];
    strategy strategies[STRATEGIES];
    size_t n_strategies;
    uint64_t other_strategies;
    uint64_t responses[STATUSES];
};

ex_code telemetry_open(telemetry **out, ex_error *error) {
    *out = calloc(1, sizeof **out);
    if (!*out) return server_fail_memory(error, "the counters of the server");
    pthread_mutex_init(&(*out)->lock, NULL);
    return EX_OK;
}

void telemetry_close(telemetry *counts) {
    if (!counts) return;
    for (size_t i = 0; i < counts->n_strategies; i++) free(counts->strategies[i].name);
    pthread_mutex_destroy(&counts->lock);
    free(counts);
}

void telemetry_add(telemetry *counts, telemetry_counter counter, uint64_t n) {
    pthread_mutex_lock(&counts->lock);
    counts->counters[counter] += n;
    pthread_mutex_unlock(&counts->lock);
}

void telemetry_set(telemetry *counts, telemetry_gauge gauge, double value) {
    pthread_mutex_lock(&counts->lock);
    counts->gauges[gauge] = value;
    pthread_mutex_unlock(&counts->lock);
}

static size_t n_bounds(telemetry_histogram kind) {
    size_t n = 0;
    while (n < BOUNDS && histograms[kind].bounds[n] > 0) n++;
    return n;
}

/* A value that is no number says nothing, and would make the sum say nothing, too. */
void telemetry_observe(telemetry *counts, telemetry_histogram kind, double value) {
    if (!isfinite(value)) return;
    size_t i = 0, n = n_bounds(kind);
    while (i < n && value > histograms[kind].bounds[i]) i++;
    pthread_mutex_lock(&counts->lock);
    counts->histograms[kind].counts[i]++;
    counts->histograms[kind].sum += value;
    pthread_mutex_unlock(&counts->lock);
}

/* The count of this name; the one of all others when there are too many. Under the lock. */
static uint64_t *count_of(telemetry *counts, const char *name) {
    for (size_t i = 0; i < counts->n_strategies; i++)
        if (strcmp(counts->strategies[i].name, name) == 0) return &counts->strategies[i].count;
    char *copy = counts->n_strategies < STRATEGIES ? strdup(name) : NULL;
    if (!copy) return &counts->other_strategies;
    strategy *added = &counts->strategies[counts->n_strategies++];
    added->name = copy;
    return &added->count;
}

void telemetry_strategy(telemetry *counts, const char *name) {
    if (!name) return;
    pthread_mutex_lock(&counts->lock);
    ++*count_of(counts, name);
    pthread_mutex_unlock(&counts->lock);
}

void telemetry_response(telemetry *counts, unsigned status) {
    if (status >= STATUSES) return;
    pthread_mutex_lock(&counts->lock);
    counts->responses[status]++;
    counts->counters[COUNT_ERRORS] += status >= 400;
    pthread_mutex_unlock(&counts->lock);
}

/* ---- the text ---- */

static void write_head(FILE *out, const char *name, const char *help, const char *type) {
    fprintf(out, "# HELP entropix_%s %s\n# TYPE entropix_%s %s\n", name, help, name, type);
}

static void write_label(FILE *out, const char *value) {
    for (; *value; value++) {
        if (*value == '\n') fputs("\\n", out);
        else {
            if (*value == '\\' || *value == '"') fputc('\\', out);
            fputc(*value, out);
        }
    }
}

static void write_histogram(FILE *out, telemetry_histogram kind, const histogram *values) {
    const description *what = &histograms[kind].what;
    uint64_t count = 0;
    size_t n = n_bounds(kind);
    write_head(out, what->name, what->help, "histogram");
    for (size_t i = 0; i < n; i++) {
        count += values->counts[i];
        fprintf(out, "entropix_%s_bucket{le=\"%g\"} %llu\n", what->name, histograms[kind].bounds[i],
                (unsigned long long)count);
    }
    count += values->counts[n];
    fprintf(out, "entropix_%s_bucket{le=\"+Inf\"} %llu\nentropix_%s_sum %.9g\nentropix_%s_count %llu\n", what->name,
            (unsigned long long)count, what->name, values->sum, what->name, (unsigned long long)count);
}

static void write_strategy(FILE *out, const char *name, uint64_t count) {
    fputs("entropix_strategy_tokens_total{strategy=\"", out);
    write_label(out, name);
    fprintf(out, "\"} %llu\n", (unsigned long long)count);
}

static void write_strategies(FILE *out, const telemetry *counts) {
    uint64_t others = counts->other_strategies;
    write_head(out, "strategy_tokens_total", "Tokens by the strategy that drew them.", "counter");
    for (size_t i = 0; i < counts->n_strategies; i++) {
        const strategy *row = &counts->strategies[i];
        if (strcmp(row->name, "other") == 0) others += row->count; /* a series may be there once */
        else write_strategy(out, row->name, row->count);
    }
    if (others > 0) write_strategy(out, "other", others);
}

static void write_responses(FILE *out, const telemetry *counts) {
    write_head(out, "responses_total", "Answers by their status.", "counter");
    for (size_t status = 0; status < STATUSES; status++)
        if (counts->responses[status] > 0)
            fprintf(out, "entropix_responses_total{code=\"%zu\"} %llu\n", status,
                    (unsigned long long)counts->responses[status]);
}

static void write_all(FILE *out, const telemetry *counts) {
    for (size_t i = 0; i < TELEMETRY_COUNTERS; i++) {
        write_head(out, counters[i].name, counters[i].help, "counter");
        fprintf(out, "entropix_%s %llu\n", counters[i].name, (unsigned long long)counts->counters[i]);
    }
    for (size_t i = 0; i < TELEMETRY_GAUGES; i++) {
        write_head(out, gauges[i].name, gauges[i].help, "gauge");
        fprintf(out, "entropix_%s %.9g\n", gauges[i].name, counts->gauges[i]);
    }
    for (size_t i = 0; i < TELEMETRY_HISTOGRAMS; i++)
        write_histogram(out, (telemetry_histogram)i, &counts->histograms[i]);
    write_strategies(out, counts);
    write_responses(out, counts);
}

char *telemetry_text(telemetry *counts, size_t *length) {
    char *text = NULL;
    *length = 0;
    FILE *out = open_memstream(&text, length);
    if (!out) return NULL;
    pthread_mutex_lock(&counts->lock);
    write_all(out, counts);
    pthread_mutex_unlock(&counts->lock);
    const bool good = ferror(out) == 0;
    if (fclose(out) == 0 && good) return text; /* NULL where the last reallocation failed */
    free(text);
    return NULL;
}
