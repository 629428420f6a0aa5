/* telemetry.h - what the server counts, and its text for Prometheus. Any thread may count. */
#ifndef SERVER_TELEMETRY_H
#define SERVER_TELEMETRY_H

#include "entropix.h"

typedef struct telemetry telemetry;

typedef enum telemetry_counter { /* rows of a table: name, help */
    COUNT_REQUESTS, COUNT_REQUESTS_REFUSED, COUNT_REQUESTS_CANCELLED, COUNT_REQUESTS_FAILED,
    COUNT_PROMPT_TOKENS, COUNT_PROMPT_TOKENS_CACHED, COUNT_TOKENS, COUNT_TOKENS_LOST,
    COUNT_STEPS,        /* passes over the weights for running answers */
    COUNT_STEP_ANSWERS, /* answers in them, summed */
    COUNT_ERRORS,       /* by telemetry_response */
    COUNT_TRACES_FAILED,
    TELEMETRY_COUNTERS
} telemetry_counter;

typedef enum telemetry_gauge { GAUGE_RUNNING, GAUGE_WAITING, GAUGE_KV_USED, GAUGE_KV_SIZE, GAUGE_CACHED_PROMPTS,
                               GAUGE_CONNECTIONS, TELEMETRY_GAUGES } telemetry_gauge;

typedef enum telemetry_histogram { /* with fixed bounds */
    HISTOGRAM_ENTROPY, HISTOGRAM_VARENTROPY, HISTOGRAM_ATTENTION_ENTROPY, /* of each token, bits */
    HISTOGRAM_FIRST_TOKEN, HISTOGRAM_BETWEEN_TOKENS, HISTOGRAM_QUEUE, HISTOGRAM_REQUEST, /* seconds */
    TELEMETRY_HISTOGRAMS
} telemetry_histogram;

ex_code telemetry_open(telemetry **out, ex_error *error);
void telemetry_close(telemetry *telemetry);
void telemetry_add(telemetry *telemetry, telemetry_counter counter, uint64_t n);
void telemetry_set(telemetry *telemetry, telemetry_gauge gauge, double value);
void telemetry_observe(telemetry *telemetry, telemetry_histogram histogram, double value);
/* A token of this strategy; at most 64 different names are told apart, the others count as "other". */
void telemetry_strategy(telemetry *telemetry, const char *strategy);
void telemetry_response(telemetry *telemetry, unsigned status); /* answers by status code, and errors among them */
/* Exposition format 0.0.4, in new memory. */
char *telemetry_text(telemetry *telemetry, size_t *length);

#endif
