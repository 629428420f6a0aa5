/* compare.c - every function of every kernel table against the portable one: how far it is off and how fast it is. */
#include "kernel/formats.h"
#include "kernel/kernel.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/half.h"
#include "base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    N_IN = 2048,
    N_ROWS = 64,
    N_TOKENS = 64,
    N_VALUES = 8192, /* of a row that is no matrix: scores, logits, activations */
    N_HEAD = 16,
    HEAD_DIM = 64,
    N_QUERY = 4,
    N_SCALARS = 3,
    PEAK_ROUNDS = 20000
};

static const double MEASURE_SECONDS = 0.004;
static const float VALUE_RANGE = 4;

typedef struct operands { /* and where results go */
    uint32_t type;     /* of the weights, or of the cache */
    size_t n_tokens;   /* of a matmul */
    char *weights;     /* [N_ROWS] rows of the largest type */
    float *values;     /* [N_TOKENS][N_IN], in [-VALUE_RANGE, VALUE_RANGE] */
    float *others;     /* likewise */
    void *page;        /* of keys or values */
    int8_t *quants;    /* of `values`, as "portable" makes them */
    float *scales;
    int16_t *sums;
    float *out, *expected;
    int *indices;
    double scalars[N_SCALARS], expected_scalars[N_SCALARS];
} operands;

typedef struct subject { /* something to measure */
    const char *function;
    void (*run)(const ex_kernels *kernels, operands *o);
    size_t n_out;  /* floats that it writes to `out` */
    size_t n_read; /* bytes of operands that it reads */
} subject;

/* ---- subjects ----------------------------------------------------------------------------------------------- */

static size_t row_bytes_of(uint32_t type) {
    uint64_t bytes;
    return ex_type_row_bytes(type, N_IN, &bytes) ? bytes : 0;
}

static void run_matmul(const ex_kernels *kernels, operands *o) {
    const ex_activations x = {o->n_tokens, N_IN, o->values, o->quants, o->scales, o->sums, NULL};
    kernels->matmul[o->type](o->weights, row_bytes_of(o->type), N_ROWS, &x, o->out, N_ROWS);
}

static void run_scores(const ex_kernels *kernels, operands *o) {
    const ex_activations queries = {N_QUERY, HEAD_DIM, o->values, o->quants, o->scales, o->sums, NULL};
    kernels->attention_scores[o->type](&queries, o->page, NULL, EX_KV_PAGE, 0.125f, o->out, EX_KV_PAGE);
}

static void run_values(const ex_kernels *kernels, operands *o) {
    memset(o->out, 0, N_QUERY * HEAD_DIM * sizeof *o->out);
    kernels->attention_values[o->type](o->values, EX_KV_PAGE, N_QUERY, o->page, NULL, EX_KV_PAGE, HEAD_DIM, o->out);
}

static void run_softmax(const ex_kernels *kernels, operands *o) {
    ex_row_statistics statistics;
    memcpy(o->out, o->values, N_VALUES * sizeof *o->out);
    kernels->softmax(o->out, N_VALUES, &statistics);
    o->scalars[0] = (double)statistics.maximum;
    o->scalars[1] = statistics.entropy;
    o->scalars[2] = statistics.mean_absolute_score;
}

static void run_head_deviation(const ex_kernels *kernels, operands *o) {
    const size_t stride = N_VALUES / N_HEAD;
    ex_head_sums sums = kernels->head_deviation(o->values, stride, N_HEAD, 0, stride);
    o->scalars[0] = sums.deviation;
    o->scalars[1] = sums.entropy;
}

static void run_rms_norm(const ex_kernels *kernels, operands *o) {
    kernels->rms_norm(o->values, o->others, N_VALUES, 1e-5f, o->out);
}

static void run_swiglu(const ex_kernels *kernels, operands *o) {
    memcpy(o->out, o->values, N_VALUES * sizeof *o->out);
    kernels->swiglu(o->out, o->others, N_VALUES);
}

static void run_add(const ex_kernels *kernels, operands *o) {
    memcpy(o->out, o->values, N_VALUES * sizeof *o->out);
    kernels->add(o->out, o->others, N_VALUES);
}

static void run_quantize_row(const ex_kernels *kernels, operands *o) {
    kernels->quantize_row(o->values, N_VALUES, o->quants, o->scales, o->sums);
    for (size_t i = 0; i < N_VALUES / EX_QUANT_BLOCK; i++) o->out[i] = o->scales[i];
}

static void run_maximum(const ex_kernels *kernels, operands *o) {
    o->scalars[0] = (double)kernels->vector_math.maximum(o->values, N_VALUES);
}

static void run_exponential_sums(const ex_kernels *kernels, operands *o) {
    ex_exponential_sums sums = kernels->vector_math.exponential_sums(o->values, N_VALUES, NULL);
    o->scalars[0] = sums.sum;
    o->scalars[1] = sums.sum_x;
    o->scalars[2] = sums.sum_x_squared;
}

static void run_select(const ex_kernels *kernels, operands *o) {
    size_t n = kernels->vector_math.select_at_least(o->values, N_VALUES, 0.99f * VALUE_RANGE, o->indices,
                                                    N_VALUES);
    o->scalars[0] = (double)n;
    for (size_t i = 0; i < n; i++) o->scalars[1] += (double)o->indices[i] * (double)(i + 1);
}

static void run_read_memory(const ex_kernels *kernels, operands *o) {
    o->scalars[0] = kernels->read_memory(o->values, N_VALUES * sizeof *o->values) != 0;
}

static const subject matmul = {"matmul", run_matmul, N_ROWS * N_TOKENS, 0};

static const subject on_pages[] = {
    {"attention_scores", run_scores, N_QUERY * EX_KV_PAGE, 0},
    {"attention_values", run_values, N_QUERY * HEAD_DIM, 0},
};

static const subject on_rows[] = {
    {"softmax", run_softmax, N_VALUES, N_VALUES * sizeof(float)},
    {"head_deviation", run_head_deviation, 0, N_VALUES * sizeof(float)},
    {"rms_norm", run_rms_norm, N_VALUES, N_VALUES * sizeof(float)},
    {"swiglu", run_swiglu, N_VALUES, 2 * N_VALUES * sizeof(float)},
    {"add", run_add, N_VALUES, 2 * N_VALUES * sizeof(float)},
    {"quantize_row", run_quantize_row, N_VALUES / EX_QUANT_BLOCK, N_VALUES * sizeof(float)},
    {"maximum", run_maximum, 0, N_VALUES * sizeof(float)},
    {"exponential_sums", run_exponential_sums, 0, N_VALUES * sizeof(float)},
    {"select_at_least", run_select, 0, N_VALUES * sizeof(float)},
    {"read_memory", run_read_memory, 0, N_VALUES * sizeof(float)},
};

/* ---- operands ----------------------------------------------------------------------------------------------- */

static uint32_t next_random(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u; /* Knuth's MMIX */
    return (uint32_t)(*state >> 33);
}

static void fill_random(float *values, size_t n, uint64_t seed) {
    for (size_t i = 0; i < n; i++)
        values[i] = VALUE_RANGE * ((float)(next_random(&seed) & 0xFFFFFF) * 0x1p-23f - 1);
}

/* Types that cannot be written get random bytes. No number in them has the upper half of the exponents, so all are
 * finite. */
static void fill_weights(operands *o) {
    const ex_format *format = ex_format_find(o->type);
    const size_t row_bytes = row_bytes_of(o->type);
    uint64_t seed = o->type;
    for (size_t r = 0; r < N_ROWS; r++) {
        char *row = o->weights + r * row_bytes;
        if (format->encode) format->encode(o->others + r * N_IN, N_IN, row);
        else
            for (size_t i = 0; i < row_bytes; i++) row[i] = (char)(next_random(&seed) & 0xBF);
    }
}

static void fill_page(operands *o) {
    uint16_t *scales = (uint16_t *)o->page + EX_KV_PAGE * HEAD_DIM / 2; /* of bytes, after them */
    for (size_t i = 0; o->type == EX_KV_Q8_0 && i < EX_KV_PAGE * HEAD_DIM / EX_QUANT_BLOCK; i++)
        scales[i] = ex_half_from_float(0.01f);
    for (size_t i = 0; i < EX_KV_PAGE * HEAD_DIM; i++) {
        if (o->type == EX_KV_F32) ((float *)o->page)[i] = o->others[i];
        else if (o->type == EX_KV_Q8_0) ((int8_t *)o->page)[i] = o->quants[i];
        else ((uint16_t *)o->page)[i] = ex_half_from_float(o->others[i]);
    }
}

static void close_operands(operands *o) {
    void *const all[] = {o->weights, o->values, o->others, o->page,     o->quants,
                         o->scales,  o->sums,   o->out,    o->expected, o->indices};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

static bool open_operands(operands *o) {
    const size_t n = N_TOKENS * N_IN, n_out = N_TOKENS * N_ROWS > N_VALUES ? N_TOKENS * N_ROWS : N_VALUES;
    *o = (operands){
        .weights = ex_allocate_aligned(N_ROWS * N_IN, sizeof(float)),
        .values = ex_allocate_aligned(n, sizeof *o->values),
        .others = ex_allocate_aligned(n, sizeof *o->others),
        .page = ex_allocate_aligned(EX_KV_PAGE * HEAD_DIM, sizeof(float)),
        .quants = ex_allocate_aligned(n, sizeof *o->quants),
        .scales = ex_allocate_aligned(n / EX_QUANT_BLOCK, sizeof *o->scales),
        .sums = ex_allocate_aligned(n / EX_SUM_BLOCK, sizeof *o->sums),
        .out = ex_allocate_aligned(n_out, sizeof *o->out),
        .expected = ex_allocate_aligned(n_out, sizeof *o->expected),
        .indices = ex_allocate_aligned(N_VALUES, sizeof *o->indices),
    };
    if (!o->weights || !o->values || !o->others || !o->page || !o->quants || !o->scales ||
        !o->sums || !o->out || !o->expected || !o->indices)
        return false;
    fill_random(o->values, n, 1);
    fill_random(o->others, n, 2);
    ex_kernels_all()[0]->quantize_row(o->values, n, o->quants, o->scales, o->sums);
    return true;
}

/* ---- measuring ---------------------------------------------------------------------------------------------- */

/* Of the fastest of several runs. */
static double seconds_of(const subject *what, const ex_kernels *kernels, operands *o, size_t n_tokens) {
    double best = INFINITY, begin = ex_seconds(), start, end = begin;
    o->n_tokens = n_tokens;
    for (int i = 0; i < 3 || end - begin < MEASURE_SECONDS; i++) {
        start = end;
        what->run(kernels, o);
        end = ex_seconds();
        if (end - start < best) best = end - start;
    }
    return best > 0 ? best : 1e-9;
}

/* Runs once; scalars that it does not write are 0. */
static void run_once(const subject *what, const ex_kernels *kernels, operands *o) {
    memset(o->scalars, 0, sizeof o->scalars);
    o->n_tokens = N_TOKENS;
    what->run(kernels, o);
}

static double error_of(const subject *what, const operands *o) {
    double largest = 0, difference = 0, error = 0;
    for (size_t i = 0; i < what->n_out; i++) {
        largest = fmax(largest, fabs((double)o->expected[i]));
        difference = fmax(difference, fabs((double)o->out[i] - (double)o->expected[i]));
    }
    if (difference > 0) error = difference / largest;
    for (size_t i = 0; i < N_SCALARS; i++) {
        double expected = o->expected_scalars[i];
        if (o->scalars[i] != expected) error = fmax(error, fabs(o->scalars[i] - expected) / fabs(expected));
    }
    return error;
}

typedef struct comparison {
    operands operands;
    ex_cpu cpu;
    bool (*report)(void *context, const ex_kernel_report *result);
    void *context;
} comparison;

static double matmul_operations(const subject *what) { return what == &matmul ? 2.0 * N_ROWS * N_IN * N_TOKENS : 0; }

/* One function in all tables. False to stop. */
static bool compare(comparison *c, const subject *what, const char *type_name, size_t n_read) {
    operands *o = &c->operands;
    run_once(what, ex_kernels_all()[0], o);
    memcpy(o->expected, o->out, what->n_out * sizeof *o->out);
    memcpy(o->expected_scalars, o->scalars, sizeof o->scalars);
    for (const ex_kernels *const *table = ex_kernels_all(); *table; table++) {
        if (!(*table)->supported(&c->cpu)) continue;
        run_once(what, *table, o);
        ex_kernel_report result = {what->function, type_name, (*table)->name, error_of(what, o), 0, 0};
        result.bytes_per_second = (double)n_read / seconds_of(what, *table, o, 1);
        if (matmul_operations(what) > 0)
            result.operations_per_second = matmul_operations(what) / seconds_of(what, *table, o, N_TOKENS);
        if (!c->report(c->context, &result)) return false;
    }
    return true;
}

static bool compare_matmuls(comparison *c) {
    for (uint32_t type = 0; type < EX_TYPE_COUNT; type++) {
        if (!ex_kernels_all()[0]->matmul[type]) continue;
        c->operands.type = type;
        fill_weights(&c->operands);
        if (!compare(c, &matmul, ex_type_name(type), N_ROWS * row_bytes_of(type))) return false;
    }
    return true;
}

static bool compare_pages(comparison *c) {
    static const char *const names[EX_KV_TYPE_COUNT] = {"F16", "F32", "Q8_0"};
    for (ex_kv_type type = 0; type < EX_KV_TYPE_COUNT; type++) {
        const size_t bytes = ex_kv_bytes(type, HEAD_DIM);
        c->operands.type = type;
        fill_page(&c->operands);
        for (size_t i = 0; i < sizeof on_pages / sizeof *on_pages; i++)
            if (!compare(c, &on_pages[i], names[type], bytes)) return false;
    }
    return true;
}

static bool compare_rows(comparison *c) {
    for (size_t i = 0; i < sizeof on_rows / sizeof *on_rows; i++)
        if (!compare(c, &on_rows[i], "", on_rows[i].n_read)) return false;
    return true;
}

static bool compare_peaks(comparison *c) {
    for (const ex_kernels *const *table = ex_kernels_all(); *table; table++) {
        if (!(*table)->supported(&c->cpu)) continue;
        double best = 0;
        for (int i = 0; i < 5; i++) {
            int32_t state[EX_PEAK_STATE] = {1, 2, 3, 4};
            double start = ex_seconds();
            uint64_t operations = (*table)->integer_peak(state, PEAK_ROUNDS);
            best = fmax(best, (double)operations / (ex_seconds() - start));
        }
        if (!c->report(c->context, &(ex_kernel_report){"integer_peak", "", (*table)->name, 0, 0, best})) return false;
    }
    return true;
}

ex_code ex_kernels_compare(bool (*report)(void *context, const ex_kernel_report *result), void *context,
                           ex_error *error) {
    comparison c = {.cpu = ex_cpu_detect(), .report = report, .context = context};
    ex_code code = EX_OK;
    if (!open_operands(&c.operands)) code = ex_fail_memory(error, "the comparison of kernels");
    else if (!compare_matmuls(&c) || !compare_pages(&c) || !compare_rows(&c) || !compare_peaks(&c))
        code = ex_fail(error, EX_ERROR_ARGUMENT, 0, "the comparison of kernels was stopped");
    close_operands(&c.operands);
    return code;
}
