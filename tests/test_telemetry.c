/* test_telemetry.c - what the server counts, read back by a small parser of the exposition format. */
#include <ctype.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../server/telemetry.h"
#include "support.h"

typedef struct series {
    char name[80], label[120]; /* the label's value, its escapes resolved; empty: none */
    double value;
} series;

typedef struct exposition {
    series rows[400];
    size_t count;
} exposition;

static bool ends_with(const char *text, const char *end) {
    size_t a = strlen(text), b = strlen(end);
    return a >= b && strcmp(text + a - b, end) == 0;
}

/* name{label="value"} number */
static void read_series(const char *line, series *row) {
    size_t n = strspn(line, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
    assert_in_range(n, 1, sizeof row->name - 1);
    *row = (series){0};
    memcpy(row->name, line, n);
    line += n;
    if (*line == '{') {
        size_t length = 0;
        line += strcspn(line, "\"") + 1;
        for (; *line != '"'; line++) {
            assert_true(*line && *line != '\n');
            assert_true(length + 1 < sizeof row->label);
            if (*line == '\\') {
                line++;
                assert_non_null(strchr("\\\"n", *line));
            }
            row->label[length++] = line[-1] == '\\' && *line == 'n' ? '\n' : *line;
        }
        assert_string_equal(line, strstr(line, "\"} "));
        line += 2;
    }
    assert_int_equal(*line, ' ');
    char *end;
    row->value = strtod(line + 1, &end);
    assert_true(end > line + 1 && *end == 0);
}

/* Every line is a comment that announces a metric, or a series of the metric that was announced last. */
static void read_text(telemetry *counts, exposition *out) {
    size_t length;
    char *text = telemetry_text(counts, &length), announced[80] = "", type[20] = "", *rest = NULL;
    assert_non_null(text);
    assert_int_equal(strlen(text), length);
    assert_int_equal(text[length - 1], '\n');
    out->count = 0;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        if (strncmp(line, "# HELP ", 7) == 0) {
            snprintf(announced, sizeof announced, "%.*s", (int)strcspn(line + 7, " "), line + 7);
            assert_true(strlen(line) > 7 + strlen(announced) + 5);
            assert_int_equal(strncmp(announced, "entropix_", 9), 0);
        } else if (strncmp(line, "# TYPE ", 7) == 0) {
            assert_int_equal(strncmp(line + 7, announced, strlen(announced)), 0);
            snprintf(type, sizeof type, "%s", line + 7 + strlen(announced) + 1);
            assert_true(strcmp(type, "counter") == 0 || strcmp(type, "gauge") == 0 || strcmp(type, "histogram") == 0);
            assert_int_equal(strcmp(type, "counter") == 0, ends_with(announced, "_total"));
        } else {
            assert_true(out->count < sizeof out->rows / sizeof out->rows[0]);
            series *row = &out->rows[out->count++];
            read_series(line, row);
            assert_int_equal(strncmp(row->name, announced, strlen(announced)), 0);
            const char *after = row->name + strlen(announced);
            if (strcmp(type, "histogram") == 0)
                assert_true(!strcmp(after, "_bucket") || !strcmp(after, "_sum") || !strcmp(after, "_count"));
            else assert_string_equal(after, "");
        }
    }
    for (size_t i = 0; i < out->count; i++)
        for (size_t j = 0; j < i; j++)
            assert_false(strcmp(out->rows[i].name, out->rows[j].name) == 0 &&
                         strcmp(out->rows[i].label, out->rows[j].label) == 0);
    free(text);
}

static double value_of(const exposition *text, const char *name, const char *label) {
    for (size_t i = 0; i < text->count; i++)
        if (strcmp(text->rows[i].name, name) == 0 && strcmp(text->rows[i].label, label) == 0)
            return text->rows[i].value;
    return -1;
}

static telemetry *open_counts(void) {
    telemetry *counts = NULL;
    ex_error error = {0};
    assert_ok(telemetry_open(&counts, &error), &error);
    return counts;
}

static void test_counters_and_gauges(void **state) {
    (void)state;
    static exposition text;
    telemetry *counts = open_counts();
    read_text(counts, &text); /* all of them are there before anything happens */
    assert_true(value_of(&text, "entropix_requests_total", "") == 0);
    assert_true(value_of(&text, "entropix_kv_positions", "") == 0);
    for (int i = 0; i < TELEMETRY_COUNTERS; i++) telemetry_add(counts, (telemetry_counter)i, 3 + (uint64_t)i);
    telemetry_add(counts, COUNT_TOKENS, 1ull << 40);
    telemetry_set(counts, GAUGE_RUNNING, 4);
    telemetry_set(counts, GAUGE_RUNNING, 2);
    telemetry_response(counts, 200);
    telemetry_response(counts, 200);
    telemetry_response(counts, 429);
    telemetry_response(counts, 100000);
    read_text(counts, &text);
    assert_true(value_of(&text, "entropix_requests_total", "") == 3 + COUNT_REQUESTS);
    assert_true(value_of(&text, "entropix_tokens_total", "") == 3 + COUNT_TOKENS + 1099511627776.0);
    assert_true(value_of(&text, "entropix_answers_running", "") == 2);
    assert_true(value_of(&text, "entropix_responses_total", "200") == 2);
    assert_true(value_of(&text, "entropix_responses_total", "429") == 1);
    telemetry_close(counts);
}

/* Buckets rise with their bounds, end with +Inf, and agree with _count. */
static void check_histogram(const exposition *text, const char *name, double count, double sum) {
    char bucket[100], of_sum[100], of_count[100];
    snprintf(bucket, sizeof bucket, "%s_bucket", name);
    snprintf(of_sum, sizeof of_sum, "%s_sum", name);
    snprintf(of_count, sizeof of_count, "%s_count", name);
    double bound = -1, seen = 0;
    size_t n = 0;
    for (size_t i = 0; i < text->count; i++) {
        if (strcmp(text->rows[i].name, bucket) != 0) continue;
        double next = strcmp(text->rows[i].label, "+Inf") == 0 ? INFINITY : strtod(text->rows[i].label, NULL);
        assert_true(next > bound);
        assert_true(text->rows[i].value >= seen);
        bound = next;
        seen = text->rows[i].value;
        n++;
    }
    assert_true(n > 5 && isinf(bound));
    assert_true(seen == count);
    assert_true(value_of(text, of_count, "") == count);
    assert_true(is_close(value_of(text, of_sum, ""), sum, 1e-6));
}

static void test_histograms(void **state) {
    (void)state;
    static exposition text;
    telemetry *counts = open_counts();
    telemetry_observe(counts, HISTOGRAM_ENTROPY, 0);
    telemetry_observe(counts, HISTOGRAM_ENTROPY, 1); /* a bound belongs to its bucket */
    telemetry_observe(counts, HISTOGRAM_ENTROPY, 1.2);
    telemetry_observe(counts, HISTOGRAM_ENTROPY, 1000);
    telemetry_observe(counts, HISTOGRAM_ENTROPY, NAN);
    telemetry_observe(counts, HISTOGRAM_ENTROPY, INFINITY);
    read_text(counts, &text);
    check_histogram(&text, "entropix_entropy_bits", 4, 1002.2);
    assert_true(value_of(&text, "entropix_entropy_bits_bucket", "0.01") == 1);
    assert_true(value_of(&text, "entropix_entropy_bits_bucket", "1") == 2);
    assert_true(value_of(&text, "entropix_entropy_bits_bucket", "1.5") == 3);
    assert_true(value_of(&text, "entropix_entropy_bits_bucket", "12") == 3);
    static const char *const others[] = {"varentropy_bits2", "attention_entropy_bits", "first_token_seconds",
                                         "between_tokens_seconds", "queue_seconds", "request_seconds"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        char name[60];
        snprintf(name, sizeof name, "entropix_%s", others[i]);
        check_histogram(&text, name, 0, 0);
    }
    telemetry_close(counts);
}

static void test_strategies(void **state) {
    (void)state;
    static exposition text;
    telemetry *counts = open_counts();
    telemetry_strategy(counts, "flowing");
    telemetry_strategy(counts, "flowing");
    telemetry_strategy(counts, "odd \"name\"\\\nof two lines");
    telemetry_strategy(counts, NULL);
    telemetry_strategy(counts, "other");
    read_text(counts, &text);
    assert_true(value_of(&text, "entropix_strategy_tokens_total", "flowing") == 2);
    assert_true(value_of(&text, "entropix_strategy_tokens_total", "odd \"name\"\\\nof two lines") == 1);
    for (int i = 0; i < 100; i++) {
        char name[20];
        snprintf(name, sizeof name, "s%d", i);
        telemetry_strategy(counts, name);
    }
    read_text(counts, &text);
    assert_true(value_of(&text, "entropix_strategy_tokens_total", "s60") == 1);
    assert_true(value_of(&text, "entropix_strategy_tokens_total", "s61") == -1);
    assert_true(value_of(&text, "entropix_strategy_tokens_total", "other") == 1 + 39);
    telemetry_close(counts);
}

static void *count_much(void *context) {
    telemetry *counts = context;
    for (int i = 0; i < 2000; i++) {
        telemetry_add(counts, COUNT_TOKENS, 1);
        telemetry_observe(counts, HISTOGRAM_BETWEEN_TOKENS, 0.5);
        telemetry_strategy(counts, "flowing");
        if (i % 100 == 0) {
            size_t length;
            free(telemetry_text(counts, &length));
        }
    }
    return NULL;
}

static void test_threads(void **state) {
    (void)state;
    static exposition text;
    telemetry *counts = open_counts();
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) assert_int_equal(pthread_create(&threads[i], NULL, count_much, counts), 0);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    read_text(counts, &text);
    assert_true(value_of(&text, "entropix_tokens_total", "") == 8000);
    check_histogram(&text, "entropix_between_tokens_seconds", 8000, 4000);
    assert_true(value_of(&text, "entropix_strategy_tokens_total", "flowing") == 8000);
    telemetry_close(counts);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counters_and_gauges),
        cmocka_unit_test(test_histograms),
        cmocka_unit_test(test_strategies),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
