/* test_kernel.c - attention, norms and passes over logits in every table that this machine supports, against double
 * precision; and the choice of a table. Matrix products are in test_matmul.c. */
#include "support.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "base/half.h"
#include "base/memory.h"
#include "kernel/kernel.h"

enum { N_TABLES = 8 };

/* The supported tables, ending with NULL. */
static const ex_kernels *const *supported_tables(void) {
    static const ex_kernels *tables[N_TABLES + 1];
    const ex_cpu cpu = ex_cpu_detect();
    size_t n = 0;
    for (const ex_kernels *const *table = ex_kernels_all(); *table && n < N_TABLES; table++)
        if ((*table)->supported(&cpu)) tables[n++] = *table;
    tables[n] = NULL;
    return tables;
}

static float *random_floats(size_t n, double low, double high, uint64_t *seed) {
    float *values = ex_allocate_aligned(n, sizeof *values);
    for (size_t i = 0; i < n; i++) values[i] = (float)random_between(seed, low, high);
    return values;
}

/* A page of keys or values as it is stored, and what it says. */
typedef struct page {
    void *elements;
    float *values;
} page;

typedef enum page_half { KEYS, VALUES } page_half;

static void fill_bytes(page made, page_half half, size_t head_dim, uint64_t *seed) {
    uint16_t *scales = (uint16_t *)((char *)made.elements + EX_KV_PAGE * head_dim);
    for (size_t i = 0; i < EX_KV_PAGE * head_dim / EX_QUANT_BLOCK; i++)
        scales[i] = ex_half_from_float((float)random_between(seed, 0.001, 0.02));
    for (size_t j = 0; j < EX_KV_PAGE; j++)
        for (size_t d = 0; d < head_dim; d++) {
            int8_t quant = (int8_t)random_between(seed, -127.99, 127.99);
            float value = (float)quant * ex_half_to_float(scales[d / EX_QUANT_BLOCK * EX_KV_PAGE + j]);
            ((int8_t *)made.elements)[half == KEYS ? ex_kv_key_index(d, j) : j * head_dim + d] = quant;
            made.values[half == KEYS ? d * EX_KV_PAGE + j : j * head_dim + d] = value;
        }
}

static page random_page(ex_kv_type type, page_half half, size_t head_dim, uint64_t *seed) {
    size_t n = EX_KV_PAGE * head_dim;
    page made = {ex_allocate_aligned(ex_kv_bytes(type, head_dim), 1), ex_allocate_aligned(n, sizeof(float))};
    if (type == EX_KV_Q8_0) {
        fill_bytes(made, half, head_dim, seed);
        return made;
    }
    for (size_t i = 0; i < n; i++) {
        float value = (float)random_between(seed, -2, 2);
        if (type == EX_KV_F32) ((float *)made.elements)[i] = made.values[i] = value;
        else made.values[i] = ex_half_to_float(((uint16_t *)made.elements)[i] = ex_half_from_float(value));
    }
    return made;
}

static void free_page(page old) {
    free(old.elements);
    free(old.values);
}

/* Queries of which the quants say the same as the values, whichever a kernel reads. */
static ex_activations random_queries(size_t n_query, size_t head_dim, uint64_t *seed) {
    size_t n = n_query * head_dim;
    float *values = random_floats(n, -2, 2, seed);
    float *scales = ex_allocate_aligned(n / EX_QUANT_BLOCK + 1, sizeof *scales);
    int8_t *quants = ex_allocate_aligned(n, sizeof *quants);
    int16_t *sums = ex_allocate_aligned(n / EX_SUM_BLOCK + 1, sizeof *sums);
    if (head_dim % EX_QUANT_BLOCK == 0) {
        ex_kernels_all()[0]->quantize_row(values, n, quants, scales, sums);
        for (size_t i = 0; i < n; i++) values[i] = (float)quants[i] * scales[i / EX_QUANT_BLOCK];
    }
    return (ex_activations){n_query, head_dim, values, quants, scales, sums, NULL};
}

static ex_activations one_query(const ex_activations *queries, size_t q) {
    size_t at = q * queries->n_in;
    return (ex_activations){1, queries->n_in, queries->values + at, queries->quants + at,
                            queries->scales + at / EX_QUANT_BLOCK, queries->sums + at / EX_SUM_BLOCK, NULL};
}

static void free_queries(ex_activations old) {
    free((void *)old.values);
    free((void *)old.quants);
    free((void *)old.scales);
    free((void *)old.sums);
}

static float *copy_floats(const float *values, size_t n) {
    float *copy = ex_allocate_aligned(n, sizeof *copy);
    if (n > 0) memcpy(copy, values, n * sizeof *copy);
    return copy;
}

static void assert_same_bits(const ex_kernels *kernels, const char *what, const float *a, const float *b, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (ex_float_bits(a[i]) != ex_float_bits(b[i]))
            fail_msg("%s: %s element %zu: %.9g and %.9g", kernels->name, what, i, (double)a[i], (double)b[i]);
}

/* ---- attention ---------------------------------------------------------------------------------------------- */

static const size_t head_dims[] = {12, 16, 32, 64, 80, 96, 128, 256};
static const size_t query_counts[] = {1, 2, 3, 4, 5, 9};

typedef struct attention_case {
    ex_kv_type type;
    size_t head_dim, n_query, n_positions;
    uint64_t seed;
} attention_case;

typedef void (*attention_check)(const ex_kernels *kernels, attention_case c);

static void for_all_attention(attention_check check) {
    print_message("seeds 1000 to 1000 + number of cases\n");
    uint64_t seed = 1000;
    for (const ex_kernels *const *table = supported_tables(); *table; table++)
        for (size_t d = 0; d < sizeof head_dims / sizeof *head_dims; d++)
            for (size_t q = 0; q < sizeof query_counts / sizeof *query_counts; q++)
                for (size_t n = 1; n <= EX_KV_PAGE; n += n < 9 ? 1 : 5)
                    for (ex_kv_type type = 0; type < EX_KV_TYPE_COUNT; type++)
                        if (type != EX_KV_Q8_0 || head_dims[d] % EX_QUANT_BLOCK == 0)
                            check(*table, (attention_case){type, head_dims[d], query_counts[q], n, seed++});
}

static ex_streams ahead_of(const page *next) {
    ex_streams ahead;
    for (size_t i = 0; i < EX_AHEAD_STREAMS; i++) ahead.streams[i] = next->elements;
    return ahead;
}

static void check_scores(const ex_kernels *kernels, attention_case c) {
    const size_t stride = EX_KV_PAGE + 16;
    const float scale = 0.125f;
    ex_activations queries = random_queries(c.n_query, c.head_dim, &c.seed);
    page keys = random_page(c.type, KEYS, c.head_dim, &c.seed);
    float *scores = ex_allocate_aligned(c.n_query * stride, sizeof *scores);
    float *alone = ex_allocate_aligned(EX_KV_PAGE, sizeof *alone);
    ex_streams ahead = ahead_of(&keys);
    kernels->attention_scores[c.type](&queries, keys.elements, &ahead, c.n_positions, scale, scores, stride);
    for (size_t q = 0; q < c.n_query; q++) {
        const ex_activations query = one_query(&queries, q);
        for (size_t j = 0; j < c.n_positions; j++) {
            double sum = 0, query_squares = 0, key_squares = 0;
            for (size_t d = 0; d < c.head_dim; d++) {
                double key = (double)keys.values[d * EX_KV_PAGE + j];
                sum += (double)query.values[d] * key;
                query_squares += (double)query.values[d] * (double)query.values[d];
                key_squares += key * key;
            }
            double error = (double)scores[q * stride + j] - sum * (double)scale;
            if (fabs(error) > 1e-6 * sqrt(query_squares * key_squares) * (double)scale)
                fail_msg("%s: head_dim %zu, query %zu, position %zu of %zu: %.9g, not %.9g", kernels->name,
                         c.head_dim, q, j, c.n_positions, (double)scores[q * stride + j], sum * (double)scale);
        }
        /* One query alone, and against a full page, has the same bits. */
        kernels->attention_scores[c.type](&query, keys.elements, NULL, EX_KV_PAGE, scale, alone, EX_KV_PAGE);
        assert_same_bits(kernels, "score", alone, scores + q * stride, c.n_positions);
    }
    free_queries(queries);
    free_page(keys);
    free(scores);
    free(alone);
}

static void test_attention_scores(void **state) {
    (void)state;
    for_all_attention(check_scores);
}

static void check_weighted_values(const ex_kernels *kernels, attention_case c) {
    const size_t stride = EX_KV_PAGE + 16, n_out = c.n_query * c.head_dim;
    float *probabilities = random_floats(c.n_query * stride, 0, 1, &c.seed);
    page values = random_page(c.type, VALUES, c.head_dim, &c.seed);
    float *start = random_floats(n_out, -1, 1, &c.seed);
    float *out = copy_floats(start, n_out), *alone = copy_floats(start, n_out);
    ex_streams ahead = ahead_of(&values);
    kernels->attention_values[c.type](probabilities, stride, c.n_query, values.elements, &ahead, c.n_positions,
                                      c.head_dim, out);
    for (size_t i = 0; i < n_out; i++) {
        size_t q = i / c.head_dim, d = i % c.head_dim;
        double sum = (double)start[i], squares = sum * sum;
        for (size_t j = 0; j < c.n_positions; j++) {
            double product = (double)probabilities[q * stride + j] * (double)values.values[j * c.head_dim + d];
            sum += product;
            squares += product * product;
        }
        if (fabs((double)out[i] - sum) > 4e-6 * sqrt(squares))
            fail_msg("%s: head_dim %zu, query %zu, dimension %zu, %zu positions: %.9g, not %.9g", kernels->name,
                     c.head_dim, q, d, c.n_positions, (double)out[i], sum);
    }
    /* One query alone, with the masked rest of the page, has the same bits; so has a page that comes in two parts
     * (not where scales lie behind the values). */
    const size_t part = c.n_positions / 2, element = c.type == EX_KV_F32 ? sizeof(float) : sizeof(uint16_t);
    const void *second = (const char *)values.elements + part * c.head_dim * element;
    for (size_t q = 0; q < c.n_query; q++) {
        float *row = probabilities + q * stride, *to = alone + q * c.head_dim;
        for (size_t j = c.n_positions; j < EX_KV_PAGE; j++) row[j] = 0;
        if (q % 2 == 0 || c.type == EX_KV_Q8_0) {
            kernels->attention_values[c.type](row, stride, 1, values.elements, NULL, EX_KV_PAGE, c.head_dim, to);
            continue;
        }
        kernels->attention_values[c.type](row, stride, 1, values.elements, NULL, part, c.head_dim, to);
        kernels->attention_values[c.type](row + part, stride, 1, second, NULL, c.n_positions - part, c.head_dim,
                                          to);
    }
    assert_same_bits(kernels, "weighted value", alone, out, n_out);
    free(probabilities);
    free_page(values);
    free(start);
    free(out);
    free(alone);
}

static void test_attention_values(void **state) {
    (void)state;
    for_all_attention(check_weighted_values);
}

typedef struct distribution {
    double sum, entropy, maximum, mean_absolute;
    double *probabilities;
} distribution;

/* Softmax in double precision of what is not masked. */
static distribution exact_softmax(const float *scores, size_t n) {
    distribution exact = {.probabilities = ex_allocate(n, sizeof(double))};
    double maximum = -INFINITY;
    size_t n_live = 0;
    for (size_t i = 0; i < n; i++) maximum = fmax(maximum, (double)scores[i]);
    for (size_t i = 0; i < n; i++) {
        if (scores[i] == -INFINITY) continue;
        exact.probabilities[i] = exp((double)scores[i] - maximum);
        exact.sum += exact.probabilities[i];
        exact.mean_absolute += fabs((double)scores[i]);
        n_live++;
    }
    for (size_t i = 0; i < n && n_live > 0; i++) {
        double p = exact.probabilities[i] /= exact.sum;
        if (p > 0) exact.entropy -= p * log2(p);
        exact.maximum = fmax(exact.maximum, p);
    }
    if (n_live > 0) exact.mean_absolute /= (double)n_live;
    return exact;
}

static void check_softmax(const ex_kernels *kernels, const float *scores, size_t n) {
    distribution exact = exact_softmax(scores, n);
    ex_row_statistics statistics;
    float *row = copy_floats(scores, n), *silent = copy_floats(scores, n);
    kernels->softmax(row, n, &statistics);
    kernels->softmax(silent, n, NULL);
    assert_same_bits(kernels, "probability without statistics", silent, row, n);
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        /* Single precision rounds score - maximum, which is about ln p, before it takes the exponential. */
        double p = exact.probabilities[i], tolerance = p > 0 ? 5e-7 * (2 - log(p)) * p : 0;
        if (fabs((double)row[i] - p) > tolerance + 1e-37)
            fail_msg("%s: n %zu: probability %zu of score %g is %.9g, not %.9g", kernels->name, n, i, (double)scores[i],
                     (double)row[i], p);
        sum += (double)row[i];
    }
    assert_true(exact.sum == 0 || is_close(sum, 1, 1e-6));
    if (!is_close(statistics.entropy, exact.entropy, 1e-6) ||
        !is_close((double)statistics.maximum, exact.maximum, 1e-6) ||
        !is_close(statistics.mean_absolute_score, exact.mean_absolute, 1e-6))
        fail_msg("%s: n %zu: entropy %.9g (%.9g), maximum %.9g (%.9g), mean |score| %.9g (%.9g)", kernels->name, n,
                 statistics.entropy, exact.entropy, (double)statistics.maximum, exact.maximum,
                 statistics.mean_absolute_score, exact.mean_absolute);

    /* Masked positions at the end, as a longer batch has them, change no bit. */
    const size_t n_more = n + 1 + n % 37;
    float *longer = ex_allocate_aligned(n_more, sizeof *longer);
    memcpy(longer, scores, n * sizeof *scores);
    for (size_t i = n; i < n_more; i++) longer[i] = -INFINITY;
    ex_row_statistics again;
    kernels->softmax(longer, n_more, &again);
    assert_same_bits(kernels, "probability before masked positions", longer, row, n);
    for (size_t i = n; i < n_more; i++) assert_true(longer[i] == 0);
    assert_true(again.entropy == statistics.entropy && again.maximum == statistics.maximum);
    assert_true(again.mean_absolute_score == statistics.mean_absolute_score);
    free(row);
    free(silent);
    free(longer);
    free(exact.probabilities);
}

static void test_softmax(void **state) {
    (void)state;
    uint64_t seed = 77;
    const double spreads[] = {0, 1, 8, 60, 300};
    for (const ex_kernels *const *table = supported_tables(); *table; table++) {
        for (size_t n = 1; n <= 9000; n = n < 70 ? n + 1 : n * 3 + 1) {
            for (size_t k = 0; k < sizeof spreads / sizeof *spreads; k++) {
                float *scores = random_floats(n, -spreads[k], spreads[k] + 0.5, &seed);
                check_softmax(*table, scores, n);
                for (size_t i = 0; i < n; i++)
                    if (random_between(&seed, 0, 1) < 0.4) scores[i] = -INFINITY;
                check_softmax(*table, scores, n); /* with all masked, now and then: all zero */
                free(scores);
            }
        }
    }
}

/* A score that is no number must not pass for one that is masked: the others' probabilities are not known then. */
static void test_softmax_without_numbers(void **state) {
    (void)state;
    uint64_t seed = 78;
    for (const ex_kernels *const *table = supported_tables(); *table; table++)
        for (size_t n = 1; n <= 700; n = n < 40 ? n + 1 : n * 2)
            for (int others = 0; others < 3; others++) { /* numbers, masked, NaN */
                float *row = random_floats(n, -8, 8, &seed);
                for (size_t i = 0; i < n && others; i++) row[i] = others == 1 ? -INFINITY : NAN;
                size_t bad = (size_t)random_between(&seed, 0, (double)n);
                row[bad] = NAN;
                ex_row_statistics statistics;
                (*table)->softmax(row, n, n % 2 ? &statistics : NULL);
                for (size_t i = 0; i < n; i++)
                    if (i == bad || others != 1) assert_true(isnan(row[i]));
                free(row);
            }
}

static void test_head_deviation(void **state) {
    (void)state;
    uint64_t seed = 5;
    for (const ex_kernels *const *table = supported_tables(); *table; table++) {
        for (size_t n_head = 1; n_head <= 33; n_head += 4) {
            for (size_t n = 1; n <= 90; n += n < 20 ? 1 : 7) {
                const size_t stride = n + 5, first = n / 3;
                float *p = random_floats(n_head * stride, 0, 1, &seed);
                if (n % 3 == 0) /* as far apart as probabilities are; some are nothing */
                    for (size_t k = 0; k < n_head * stride; k++) p[k] = p[k] < 0.2f ? 0 : exp2f(-150 * p[k]);
                double expected = 0, entropy = 0, allowed = 1e-12;
                for (size_t j = first; j < n; j++) {
                    double mean = 0;
                    for (size_t h = 0; h < n_head; h++) mean += (double)p[h * stride + j] / (double)n_head;
                    for (size_t h = 0; h < n_head; h++) expected += fabs((double)p[h * stride + j] - mean);
                    if (mean == 0) continue;
                    entropy -= mean * log2(mean);
                    allowed += mean * fmax(1, fabs(log2(mean))) * (0x1p-22 + (double)n_head * 0x1p-23);
                }
                ex_head_sums sums = (*table)->head_deviation(p, stride, n_head, first, n);
                double value = sums.deviation;
                if (fabs(sums.entropy - entropy) > allowed)
                    fail_msg("%s: %zu heads, positions %zu to %zu: entropy %.9g, not %.9g", (*table)->name, n_head,
                             first, n, sums.entropy, entropy);
                if (fabs(value - expected) > 2e-6 * (expected + (double)(n_head * (n - first)) * 0.05))
                    fail_msg("%s: %zu heads, positions %zu to %zu: %.9g, not %.9g", (*table)->name, n_head, first, n,
                             value, expected);
                sums = (*table)->head_deviation(p, stride, n_head, n, n);
                assert_true(sums.deviation == 0 && sums.entropy == 0);
                free(p);
            }
        }
    }
}

/* ---- rows of activations ------------------------------------------------------------------------------------ */

static void test_rms_norm(void **state) {
    (void)state;
    uint64_t seed = 21;
    for (const ex_kernels *const *table = supported_tables(); *table; table++) {
        for (size_t n = 1; n <= 4096; n = n < 40 ? n + 1 : n * 2 + 1) {
            float *x = random_floats(n, -3, 3, &seed), *weight = random_floats(n, 0.5, 2, &seed);
            float *out = ex_allocate_aligned(n, sizeof *out);
            double squares = 0;
            for (size_t i = 0; i < n; i++) squares += (double)x[i] * (double)x[i];
            double scale = 1 / sqrt(squares / (double)n + 1e-5);
            (*table)->rms_norm(x, weight, n, 1e-5f, out);
            for (size_t i = 0; i < n; i++)
                assert_true(is_close((double)out[i], (double)x[i] * scale * (double)weight[i], 1e-6));
            (*table)->rms_norm(x, weight, n, 1e-5f, x);
            assert_same_bits(*table, "norm in place", x, out, n);
            free(x);
            free(weight);
            free(out);
        }
    }
}

static void test_swiglu(void **state) {
    (void)state;
    uint64_t seed = 22;
    for (const ex_kernels *const *table = supported_tables(); *table; table++) {
        for (size_t n = 1; n <= 300; n += n < 40 ? 1 : 51) {
            const double spread = n % 3 == 0 ? 1000 : n % 3 == 1 ? 10 : 95;
            float *gate = random_floats(n, -spread, spread, &seed), *up = random_floats(n, -4, 4, &seed);
            float *out = copy_floats(gate, n);
            (*table)->swiglu(out, up, n);
            for (size_t i = 0; i < n; i++) {
                double x = (double)gate[i], expected = x / (1 + exp(-x)) * (double)up[i];
                if (fabs((double)out[i] - expected) > 1e-6 * fabs(expected) + 1e-35)
                    fail_msg("%s: n %zu: swiglu(%.9g, %.9g) is %.9g, not %.9g", (*table)->name, n, x, (double)up[i],
                             (double)out[i], expected);
            }
            free(gate);
            free(up);
            free(out);
        }
    }
}

static void test_add(void **state) {
    (void)state;
    uint64_t seed = 23;
    for (const ex_kernels *const *table = supported_tables(); *table; table++) {
        for (size_t n = 1; n <= 130; n++) {
            float *x = random_floats(n, -3, 3, &seed), *y = random_floats(n, -3, 3, &seed);
            float *sum = copy_floats(x, n);
            (*table)->add(sum, y, n);
            for (size_t i = 0; i < n; i++) assert_true(sum[i] == x[i] + y[i]);
            free(x);
            free(y);
            free(sum);
        }
    }
}

/* The result is any function of the bytes; that it changes with the last of them shows that all are read. */
static void test_read_memory(void **state) {
    (void)state;
    for (const ex_kernels *const *table = supported_tables(); *table; table++) {
        for (size_t n = 1; n <= 1500; n += n < 140 ? 1 : 97) {
            unsigned char *bytes = malloc(n);
            memset(bytes, 3, n);
            uint64_t before = (*table)->read_memory(bytes, n);
            for (size_t i = 0; i < n; i++) {
                bytes[i] = 4;
                assert_true((*table)->read_memory(bytes, n) != before);
                bytes[i] = 3;
            }
            free(bytes);
        }
    }
}

/* ---- passes over logits ------------------------------------------------------------------------------------- */

/* All that the sampler may use: every table, and base's own row. */
static size_t vector_maths(ex_vector_math out[N_TABLES + 1]) {
    size_t n = 0;
    out[n++] = ex_vector_math_portable;
    for (const ex_kernels *const *table = supported_tables(); *table; table++) out[n++] = (*table)->vector_math;
    return n;
}

static void test_maximum(void **state) {
    (void)state;
    ex_vector_math maths[N_TABLES + 1];
    size_t n_maths = vector_maths(maths);
    uint64_t seed = 31;
    for (size_t k = 0; k < n_maths; k++) {
        for (size_t n = 1; n <= 200; n++) {
            float *values = random_floats(n, -9, -1, &seed);
            for (size_t i = 0; i < n; i++) {
                float kept = values[i];
                values[i] = 5;
                assert_true(maths[k].maximum(values, n) == 5);
                values[i] = NAN;
                assert_true(isnan(maths[k].maximum(values, n)));
                values[i] = INFINITY;
                assert_true(maths[k].maximum(values, n) == INFINITY);
                values[i] = kept;
            }
            for (size_t i = 0; i < n; i++) values[i] = -INFINITY;
            assert_true(maths[k].maximum(values, n) == -INFINITY);
            free(values);
        }
    }
}

/* Against exp() in double precision. Where logits are far from 0, the sums are moved from 0 to the maximum, which costs
 * the last digits of a sum that is near nothing beside the first. */
static void check_exponential_sums(const ex_vector_math *math, const float *values, size_t n) {
    float maximum = ex_vector_math_portable.maximum(values, n);
    double sum = 0, sum_x = 0, sum_x_squared = 0;
    for (size_t i = 0; i < n; i++) {
        double x = (double)values[i] - (double)maximum, e = exp(x);
        if (e == 0) continue;
        sum += e;
        sum_x += e * x;
        sum_x_squared += e * x * x;
    }
    const size_t n_blocks = (n + EX_LOGITS_BLOCK - 1) / EX_LOGITS_BLOCK;
    float *block_maxima = malloc(n_blocks * sizeof *block_maxima); /* no room to spare */
    ex_exponential_sums sums = math->exponential_sums(values, n, block_maxima);
    assert_true(sums.maximum == maximum);
    for (size_t i = 0; i < n; i += EX_LOGITS_BLOCK) {
        size_t length = n - i < EX_LOGITS_BLOCK ? n - i : EX_LOGITS_BLOCK;
        assert_true(block_maxima[i / EX_LOGITS_BLOCK] == ex_vector_math_portable.maximum(values + i, length));
    }
    free(block_maxima);
    const double nothing = 1e-10 * sum;
    if (fabs(sums.sum - sum) > 1e-8 * sum || fabs(sums.sum_x - sum_x) > 1e-8 * fabs(sum_x) + nothing ||
        fabs(sums.sum_x_squared - sum_x_squared) > 1e-8 * sum_x_squared + nothing)
        fail_msg("n %zu, maximum %g: relative errors %.3g, %.3g, %.3g", n, (double)maximum, sums.sum / sum - 1,
                 sums.sum_x / sum_x - 1, sums.sum_x_squared / sum_x_squared - 1);
    ex_exponential_sums alone = math->exponential_sums(values, n, NULL);
    assert_memory_equal(&alone.sum, &sums.sum, 3 * sizeof alone.sum);
}

static const size_t row_sizes[] = {1,   2,   7,   8,   15,   16,   17,    31,    33,    64,
                                   100, 255, 256, 257, 1000, 1024, 16383, 16384, 128256};
enum { N_ROW_SIZES = sizeof row_sizes / sizeof *row_sizes };

static void test_exponential_sums(void **state) {
    (void)state;
    ex_vector_math maths[N_TABLES + 1];
    size_t n_maths = vector_maths(maths);
    const double spreads[] = {0.001, 3, 20, 500}, centres[] = {0, 50, -52, 70, -70, 500, -500};
    uint64_t seed = 32;
    for (size_t s = 0; s < N_ROW_SIZES; s++) {
        for (size_t w = 0; w < sizeof spreads / sizeof *spreads; w++) {
            const size_t n = row_sizes[s];
            for (size_t c = 0; c < (n > 20000 ? 1 : sizeof centres / sizeof *centres); c++) {
                float *values = random_floats(n, centres[c] - spreads[w], centres[c] + spreads[w], &seed);
                for (size_t k = 0; k < n_maths; k++) check_exponential_sums(&maths[k], values, n);
                for (size_t i = 0; i < n; i++)
                    if (i % 3 == 1) values[i] = -INFINITY;
                for (size_t k = 0; k < n_maths; k++) check_exponential_sums(&maths[k], values, n);
                free(values);
            }
        }
    }
}

typedef void (*fill_row)(float *values, size_t n);

static void fill_equal(float *values, size_t n) {
    for (size_t i = 0; i < n; i++) values[i] = -1.7f;
}

static void fill_one_alive(float *values, size_t n) {
    for (size_t i = 0; i < n; i++) values[i] = -INFINITY;
    values[n / 2] = 17.3f;
}

static void fill_one_far_above(float *values, size_t n) {
    for (size_t i = 0; i < n; i++) values[i] = -FLT_MAX;
    values[n - 1] = 30;
}

static void fill_huge(float *values, size_t n) { /* nothing but the maxima counts */
    for (size_t i = 0; i < n; i++) values[i] = i % 3 ? 3e38f : -3e38f;
}

static void fill_tiny(float *values, size_t n) {
    for (size_t i = 0; i < n; i++) values[i] = (float)(i % 7) * 0x1p-149f;
}

static void fill_two_modes(float *values, size_t n) { /* the lower mode weighs as much as the upper */
    for (size_t i = 0; i < n; i++) values[i] = i ? 9.1f - logf((float)n) : 9.1f;
}

static void fill_steps(float *values, size_t n) { /* through all that single precision has, and past it */
    for (size_t i = 0; i < n; i++) values[i] = 20 - (float)(i % 2000) * 0.61f;
}

static void test_exponential_sums_of_odd_rows(void **state) {
    (void)state;
    ex_vector_math maths[N_TABLES + 1];
    size_t n_maths = vector_maths(maths);
    const fill_row fills[] = {fill_equal, fill_one_alive, fill_one_far_above, fill_huge, fill_tiny, fill_two_modes,
                              fill_steps};
    for (size_t s = 1; s < N_ROW_SIZES; s++) { /* a single value may be no number after these */
        for (size_t f = 0; f < sizeof fills / sizeof *fills; f++) {
            float *values = malloc(row_sizes[s] * sizeof *values);
            fills[f](values, row_sizes[s]);
            for (size_t k = 0; k < n_maths; k++) check_exponential_sums(&maths[k], values, row_sizes[s]);
            free(values);
        }
    }
}

static void test_sums_of_no_numbers(void **state) {
    (void)state;
    ex_vector_math maths[N_TABLES + 1];
    size_t n_maths = vector_maths(maths);
    const float centres[] = {3, 100, -100, -INFINITY};
    uint64_t seed = 34;
    for (size_t k = 0; k < n_maths; k++) {
        for (size_t n = 1; n <= 1100; n += n < 40 ? 1 : 53) {
            for (size_t c = 0; c < sizeof centres / sizeof *centres; c++) {
                float *values = random_floats(n, -1, 1, &seed);
                for (size_t i = 0; i < n; i++) values[i] += centres[c];
                for (size_t i = 0; i < n; i += 1 + n / 9) {
                    float kept = values[i];
                    values[i] = NAN;
                    assert_true(!isfinite(maths[k].exponential_sums(values, n, NULL).maximum));
                    values[i] = INFINITY;
                    assert_true(!isfinite(maths[k].exponential_sums(values, n, NULL).maximum));
                    values[i] = kept;
                }
                bool finite = isfinite(maths[k].exponential_sums(values, n, NULL).maximum);
                assert_true(finite == (centres[c] > -INFINITY));
                free(values);
            }
        }
    }
}

static void test_select_at_least(void **state) {
    (void)state;
    ex_vector_math maths[N_TABLES + 1];
    size_t n_maths = vector_maths(maths);
    uint64_t seed = 33;
    for (size_t k = 0; k < n_maths; k++) {
        for (size_t n = 1; n <= 3000; n = n < 70 ? n + 1 : n * 2 + 1) {
            float *values = random_floats(n, 0, 1, &seed);
            for (size_t i = 0; i < n; i += 5) values[i] = i % 2 ? 0.75f : NAN;
            const float thresholds[] = {0.0f, 0.75f, 0.97f, 2.0f, -INFINITY};
            for (size_t t = 0; t < sizeof thresholds / sizeof *thresholds; t++) {
                for (size_t capacity = 0; capacity <= n + 1; capacity = capacity * 2 + 1) {
                    int *indices = malloc((capacity ? capacity : 1) * sizeof *indices); /* no room to spare */
                    size_t expected = 0;
                    size_t count = maths[k].select_at_least(values, n, thresholds[t], indices, capacity);
                    for (size_t i = 0; i < n; i++) {
                        if (!(values[i] >= thresholds[t])) continue;
                        if (expected < capacity) assert_int_equal(indices[expected], i);
                        expected++;
                    }
                    assert_int_equal(count, expected);
                    free(indices);
                }
            }
            free(values);
        }
    }
}

/* ---- select ------------------------------------------------------------------------------------------------- */

static void test_select(void **state) {
    (void)state;
    const ex_kernels *kernels;
    ex_error error;
    assert_ok(ex_kernels_select(&kernels, NULL, &error), &error);
    for (const ex_kernels *const *table = supported_tables(); *table; table++) {
        if (!table[1]) assert_ptr_equal(kernels, *table); /* the last that is supported is the best */
        const ex_kernels *named;
        assert_ok(ex_kernels_select(&named, (*table)->name, &error), &error);
        assert_ptr_equal(named, *table);
    }
    assert_string_equal(ex_kernels_all()[0]->name, "portable");
    assert_int_equal(ex_kernels_select(&kernels, "mmx", &error), EX_ERROR_UNSUPPORTED);
    assert_null(kernels);
    assert_non_null(strstr(error.message, "mmx"));
    assert_non_null(strstr(error.message, "portable"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_attention_scores), cmocka_unit_test(test_attention_values),
        cmocka_unit_test(test_softmax),          cmocka_unit_test(test_softmax_without_numbers),
        cmocka_unit_test(test_head_deviation),
        cmocka_unit_test(test_rms_norm),         cmocka_unit_test(test_swiglu),
        cmocka_unit_test(test_add),              cmocka_unit_test(test_read_memory),
        cmocka_unit_test(test_maximum),          cmocka_unit_test(test_exponential_sums),
        cmocka_unit_test(test_exponential_sums_of_odd_rows),
        cmocka_unit_test(test_sums_of_no_numbers),
        cmocka_unit_test(test_select_at_least),  cmocka_unit_test(test_select),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
