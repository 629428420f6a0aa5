/* test_matmul.c - matrix products and the quantisation of activations, in every table that this machine supports.
 *
 * Weights lie in buffers of exactly their size, at addresses that no vector load is aligned to, so that a read past a
 * row's end shows under the address sanitizer. Tolerances are relative to norm(weights row) * norm(activations). */
#include "block_support.h"
#include "support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "base/half.h"
#include "base/memory.h"
#include "base/tensor_type.h"
#include "kernel/kernel.h"

static const double TO_PORTABLE = 1e-6;  /* another order of the same additions */
static const double TO_EXACT = 1e-5;     /* double precision dot of decoded weights and what the kernel was given */
static const double TO_FLOATS = 1e-2;    /* the same with the activations before their quantisation */

/* ---- random operands ---------------------------------------------------------------------------------------- */

typedef struct operands {
    ex_type type;
    size_t n_rows, row_bytes;
    char *allocation, *weights; /* n_rows packed rows, ending where the allocation ends */
    float *decoded;             /* [n_rows][n_in] */
    float *values, *scales;
    int8_t *quants;
    int16_t *sums;
    ex_activations x;
} operands;

static float *random_values(size_t n, uint64_t *seed) {
    float *values = ex_allocate_aligned(n, sizeof *values);
    for (size_t i = 0; i < n; i++) values[i] = (float)(random_between(seed, -1, 1) * random_between(seed, 0.1, 2));
    return values;
}

static void make_weights(operands *o, size_t n_in, uint64_t *seed) {
    const ex_format *format = ex_format_find(o->type);
    uint64_t row_bytes;
    assert_true(ex_type_row_bytes(o->type, n_in, &row_bytes));
    o->row_bytes = row_bytes;
    size_t offset = o->type == EX_TYPE_F32 ? 4 : 2; /* the alignment of a block and no more */
    o->allocation = malloc(o->n_rows * row_bytes + offset);
    o->weights = o->allocation + offset;
    o->decoded = random_values(o->n_rows * n_in, seed);
    for (size_t r = 0; r < o->n_rows; r++) {
        char *row = o->weights + r * row_bytes;
        if (format->encode) format->encode(o->decoded + r * n_in, n_in, row);
        else random_blocks(o->type, n_in, (uint8_t *)row, seed);
        format->decode(row, n_in, o->decoded + r * n_in);
    }
}

static void make_activations(operands *o, size_t n_tokens, size_t n_in, uint64_t *seed) {
    o->values = random_values(n_tokens * n_in, seed);
    o->quants = ex_allocate_aligned(n_tokens * n_in, sizeof *o->quants);
    o->scales = ex_allocate_aligned(n_tokens * (n_in / EX_QUANT_BLOCK), sizeof *o->scales);
    o->sums = ex_allocate_aligned(n_tokens * (n_in / EX_SUM_BLOCK), sizeof *o->sums);
    if (ex_format_find(o->type)->integer_dot)
        ex_kernels_all()[0]->quantize_row(o->values, n_tokens * n_in, o->quants, o->scales, o->sums);
    o->x = (ex_activations){n_tokens, n_in, o->values, o->quants, o->scales, o->sums, NULL};
}

static operands make_operands(ex_type type, size_t n_rows, size_t n_tokens, size_t n_in, uint64_t *seed) {
    operands o = {.type = type, .n_rows = n_rows};
    make_weights(&o, n_in, seed);
    make_activations(&o, n_tokens, n_in, seed);
    return o;
}

static void free_operands(operands *o) {
    free(o->allocation);
    free(o->decoded);
    free(o->values);
    free(o->quants);
    free(o->scales);
    free(o->sums);
}

/* ---- what the result should be ------------------------------------------------------------------------------ */

typedef struct expected {
    double given;  /* with the activations as the kernel reads them */
    double floats; /* with the activations before quantisation */
    double norm;
} expected;

static expected exact_dot(const operands *o, size_t r, size_t t) {
    size_t n = o->x.n_in;
    const float *w = o->decoded + r * n;
    double given = 0, floats = 0, ww = 0, xx = 0;
    for (size_t i = 0; i < n; i++) {
        double weight = (double)w[i], value = (double)o->values[t * n + i], read = value;
        if (ex_format_find(o->type)->integer_dot)
            read = (double)o->scales[(t * n + i) / EX_QUANT_BLOCK] * o->quants[t * n + i];
        given += weight * read;
        floats += weight * value;
        ww += weight * weight;
        xx += value * value;
    }
    return (expected){given, floats, sqrt(ww * xx)};
}

static float *run_matmul(const ex_kernels *kernels, const operands *o, size_t out_stride) {
    float *out = ex_allocate_aligned(o->x.n_tokens * out_stride, sizeof *out);
    for (size_t i = 0; i < o->x.n_tokens * out_stride; i++) out[i] = 12345;
    kernels->matmul[o->type](o->weights, o->row_bytes, o->n_rows, &o->x, out, out_stride);
    return out;
}

static void check_values(const ex_kernels *kernels, const operands *o) {
    size_t stride = o->n_rows + 3;
    float *out = run_matmul(kernels, o, stride);
    float *portable = run_matmul(ex_kernels_all()[0], o, stride);
    for (size_t t = 0; t < o->x.n_tokens; t++) {
        for (size_t r = 0; r < o->n_rows; r++) {
            expected e = exact_dot(o, r, t);
            double value = (double)out[t * stride + r], reference = (double)portable[t * stride + r];
            if (fabs(value - e.given) > TO_EXACT * e.norm || fabs(value - e.floats) > TO_FLOATS * e.norm ||
                fabs(value - reference) > TO_PORTABLE * e.norm)
                fail_msg("%s %s: row %zu of %zu, token %zu of %zu, n_in %zu: %.9g; portable %.9g, exact %.9g, norm %g",
                         kernels->name, ex_type_name(o->type), r, o->n_rows, t, o->x.n_tokens, o->x.n_in, value,
                         reference, e.given, e.norm);
        }
        for (size_t r = o->n_rows; r < stride; r++) assert_true(out[t * stride + r] == 12345);
    }
    free(out);
    free(portable);
}

/* Every element alone must have the same bits as in the whole. */
static void check_cuts(const ex_kernels *kernels, const operands *o) {
    size_t n = o->x.n_in, n_scales = n / EX_QUANT_BLOCK, n_sums = n / EX_SUM_BLOCK;
    float *whole = run_matmul(kernels, o, o->n_rows);
    operands part = *o;
    for (size_t t = 0; t < o->x.n_tokens; t++) {
        part.values = memcpy(ex_allocate_aligned(n, sizeof(float)), o->values + t * n, n * sizeof(float));
        part.quants = memcpy(ex_allocate_aligned(n, 1), o->quants + t * n, n);
        part.scales = memcpy(ex_allocate_aligned(n_scales, 4), o->scales + t * n_scales, n_scales * 4);
        part.sums = memcpy(ex_allocate_aligned(n_sums, 2), o->sums + t * n_sums, n_sums * 2);
        part.x = (ex_activations){1, n, part.values, part.quants, part.scales, part.sums, NULL};
        for (size_t first = 0; first < o->n_rows;) {
            part.n_rows = first % 3 + 1 < o->n_rows - first ? first % 3 + 1 : o->n_rows - first;
            part.weights = o->weights + first * o->row_bytes;
            float *out = run_matmul(kernels, &part, part.n_rows);
            for (size_t r = 0; r < part.n_rows; r++) {
                if (ex_float_bits(out[r]) != ex_float_bits(whole[t * o->n_rows + first + r]))
                    fail_msg("%s %s: row %zu, token %zu, n_in %zu depends on the cut", kernels->name,
                             ex_type_name(o->type), first + r, t, n);
            }
            free(out);
            first += part.n_rows;
        }
        free(part.values);
        free(part.quants);
        free(part.scales);
        free(part.sums);
    }
    free(whole);
}

/* Packed rows must give the bits of the rows as they were. */
static void check_packed(const ex_kernels *kernels, const operands *o) {
    if (!kernels->matmul_packed[o->type]) return;
    const size_t n_out = o->x.n_tokens * o->n_rows;
    float *expected_out = run_matmul(kernels, o, o->n_rows), *out = ex_allocate_aligned(n_out, sizeof *out);
    char *packed = malloc(o->n_rows * o->row_bytes);
    ex_pack_rows(o->type, o->weights, o->row_bytes, o->n_rows, packed);
    kernels->matmul_packed[o->type](packed, o->row_bytes, o->n_rows, &o->x, out, o->n_rows);
    for (size_t i = 0; i < n_out; i++)
        if (ex_float_bits(out[i]) != ex_float_bits(expected_out[i]))
            fail_msg("%s %s: row %zu of %zu, token %zu of %zu, n_in %zu: %.9g packed, %.9g not", kernels->name,
                     ex_type_name(o->type), i % o->n_rows, o->n_rows, i / o->n_rows, o->x.n_tokens, o->x.n_in,
                     (double)out[i], (double)expected_out[i]);
    free(packed);
    free(out);
    free(expected_out);
}

/* And so must activations that are arranged, in whatever pieces that is done. */
static void check_arranged(const ex_kernels *kernels, const operands *o) {
    const size_t n = o->x.n_in, n_tokens = o->x.n_tokens, piece = 96;
    if (!kernels->arrange || n_tokens < 2 || !ex_format_find(o->type)->integer_dot) return;
    char *arranged = ex_allocate_aligned(kernels->arranged_bytes(n_tokens, n), 1);
    for (size_t t = n_tokens; t-- > 0;)
        for (size_t from = 0; from < n; from += piece)
            kernels->arrange(&o->x, t, from, n - from < piece ? n - from : piece, arranged);
    operands other = *o;
    other.x.arranged = arranged;
    float *expected_out = run_matmul(kernels, o, o->n_rows), *out = run_matmul(kernels, &other, o->n_rows);
    for (size_t i = 0; i < n_tokens * o->n_rows; i++)
        if (ex_float_bits(out[i]) != ex_float_bits(expected_out[i]))
            fail_msg("%s %s: row %zu, token %zu of %zu, n_in %zu: %.9g arranged, %.9g not", kernels->name,
                     ex_type_name(o->type), i % o->n_rows, i / o->n_rows, n_tokens, n, (double)out[i],
                     (double)expected_out[i]);
    free(arranged);
    free(out);
    free(expected_out);
}

typedef void (*check_function)(const ex_kernels *kernels, const operands *o);

/* Calls `check` for every supported table, type and a spread of shapes. */
static void for_all_shapes(check_function check, uint64_t seed) {
    print_message("seed %llu\n", (unsigned long long)seed);
    const size_t float_sizes[] = {1, 7, 16, 33, 100, 250, 1031, 4096};
    const size_t block_counts[] = {1, 2, 3, 5, 8, 17, 33, 64};
    const ex_cpu cpu = ex_cpu_detect();
    for (uint32_t type = 0; type < EX_TYPE_COUNT; type++) {
        if (!ex_kernels_all()[0]->matmul[type]) continue;
        size_t block = ex_type_find(type)->block_elements;
        for (size_t i = 0; i < 8; i++) {
            size_t n_in = block == 1 ? float_sizes[i] : block_counts[i] * block;
            if (n_in > 8448) continue;
            for (size_t k = 0; k < 9; k++) {
                operands o = make_operands(type, 1 + (k * 5 + i) % 9, 1 + k, n_in, &seed);
                for (const ex_kernels *const *table = ex_kernels_all(); *table; table++) {
                    if (!(*table)->supported(&cpu)) continue;
                    if (!(*table)->matmul[type]) fail_msg("%s has no %s", (*table)->name, ex_type_name(type));
                    check(*table, &o);
                }
                free_operands(&o);
            }
        }
    }
}

static void test_values(void **state) {
    (void)state;
    for_all_shapes(check_values, 20261123);
}

static void test_cuts_give_the_same_bits(void **state) {
    (void)state;
    for_all_shapes(check_cuts, 7);
}

static void test_arranged_activations_give_the_same_bits(void **state) {
    (void)state;
    for_all_shapes(check_arranged, 11);
}

/* More tokens and rows than any tile, so that whole tiles and all remainders meet. */
static void test_large_batches(void **state) {
    (void)state;
    const ex_cpu cpu = ex_cpu_detect();
    uint64_t seed = 99;
    for (uint32_t type = 0; type < EX_TYPE_COUNT; type++) {
        if (!ex_kernels_all()[0]->matmul[type]) continue;
        const bool small_blocks = ex_type_find(type)->block_elements <= EX_QUANT_BLOCK;
        const struct { size_t n_rows, n_tokens, n_in; } shapes[] = {
            {35, 37, 512}, {17, 290, 256}, {32, 16, small_blocks ? 352 : 768}, {290, 20, 256}, {18, 132, 1280}};
        for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
            operands o = make_operands(type, shapes[i].n_rows, shapes[i].n_tokens, shapes[i].n_in, &seed);
            for (const ex_kernels *const *table = ex_kernels_all(); *table; table++) {
                if (!(*table)->supported(&cpu)) continue;
                check_values(*table, &o);
                check_cuts(*table, &o);
                check_arranged(*table, &o);
            }
            free_operands(&o);
        }
    }
}

/* Whole groups of rows, sets of groups, and rows that fill none. */
static void test_packed_rows_give_the_same_bits(void **state) {
    (void)state;
    const ex_cpu cpu = ex_cpu_detect();
    const struct { size_t n_rows, n_tokens; } shapes[] = {{1, 1}, {16, 1}, {31, 1}, {64, 1}, {150, 1},
                                                          {15, 2}, {48, 3}, {80, 4}, {150, 5}, {65, 6}, {64, 7},
                                                          {96, 8}, {64, 9}, {83, 10}, {97, 12}, {64, 13}, {48, 15},
                                                          {80, 16}, {83, 17}, {64, 40}, {33, 600}};
    uint64_t seed = 16;
    for (uint32_t type = 0; type < EX_TYPE_COUNT; type++) {
        if (!ex_kernels_all()[0]->matmul[type]) continue;
        const size_t block = ex_type_find(type)->block_elements;
        for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
            operands o = make_operands(type, shapes[i].n_rows, shapes[i].n_tokens, block == 32 ? 352 : 512, &seed);
            for (const ex_kernels *const *table = ex_kernels_all(); *table; table++)
                if ((*table)->supported(&cpu)) {
                    check_packed(*table, &o);
                    check_arranged(*table, &o);
                }
            free_operands(&o);
        }
    }
}

/* The largest quants of both sides everywhere: no intermediate sum may saturate. */
static void test_extreme_quants(void **state) {
    (void)state;
    const ex_cpu cpu = ex_cpu_detect();
    enum { N = 512 };
    for (uint32_t type = 0; type < EX_TYPE_COUNT; type++) {
        if (!ex_kernels_all()[0]->matmul[type] || !ex_format_find(type)->integer_dot) continue;
        uint64_t seed = 3;
        for (int sign = -1; sign <= 1; sign += 2) {
            operands o = make_operands(type, 2, 2, N, &seed);
            for (size_t i = 0; i < 2 * N; i++) o.values[i] = (float)sign;
            ex_kernels_all()[0]->quantize_row(o.values, 2 * N, o.quants, o.scales, o.sums);
            for (size_t r = 0; r < 2; r++) {
                uint8_t *row = (uint8_t *)o.weights + r * o.row_bytes;
                if (type == EX_TYPE_Q8_0) memset(row, r ? 0x7F : 0x80, o.row_bytes);
                else memset(row, r ? 0 : 0xFF, o.row_bytes); /* and then scales that are numbers */
                for (size_t b = 0; b < o.row_bytes; b += ex_type_find(type)->block_bytes) {
                    set_scales(type, row + b, 1, 1);
                    if (type == EX_TYPE_Q6_K) memset(row + b + 192, r ? 0x7F : 0x80, 16);
                }
                ex_format_find(type)->decode(row, N, o.decoded + r * N);
            }
            for (const ex_kernels *const *table = ex_kernels_all(); *table; table++)
                if ((*table)->supported(&cpu)) check_values(*table, &o);
            free_operands(&o);
        }
    }
}

/* ---- quantize_row ------------------------------------------------------------------------------------------- */

static void check_quantised(const ex_kernels *kernels, const float *values, size_t n) {
    int8_t *quants = ex_allocate_aligned(n, 1);
    float *scales = ex_allocate_aligned(n / EX_QUANT_BLOCK, sizeof *scales);
    int16_t *sums = ex_allocate_aligned(n / EX_SUM_BLOCK, sizeof *sums);
    kernels->quantize_row(values, n, quants, scales, sums);
    for (size_t b = 0; b < n / EX_QUANT_BLOCK; b++) {
        float largest = 0;
        for (size_t i = 0; i < EX_QUANT_BLOCK; i++) largest = fmaxf(largest, fabsf(values[b * EX_QUANT_BLOCK + i]));
        assert_true(is_close((double)scales[b] / ((double)largest / 127 + 1e-300), largest > 1e-35f, 1e-6));
        for (size_t i = b * EX_QUANT_BLOCK; i < (b + 1) * EX_QUANT_BLOCK; i++) {
            assert_in_range(quants[i] + 127, 0, 254);
            double error = (double)values[i] - (double)scales[b] * quants[i];
            assert_true(fabs(error) <= 0.50001 * (double)scales[b] + 1e-35);
        }
    }
    for (size_t b = 0; b < n / EX_SUM_BLOCK; b++) {
        int sum = 0;
        for (size_t i = 0; i < EX_SUM_BLOCK; i++) sum += quants[b * EX_SUM_BLOCK + i];
        assert_int_equal(sum, sums[b]);
    }
    free(quants);
    free(scales);
    free(sums);
}

static void test_quantize_row(void **state) {
    (void)state;
    const ex_cpu cpu = ex_cpu_detect();
    for (const ex_kernels *const *table = ex_kernels_all(); *table; table++) {
        if (!(*table)->supported(&cpu)) continue;
        uint64_t seed = 41;
        for (size_t n = 32; n <= 512; n += 32) {
            float *values = random_values(n, &seed);
            check_quantised(*table, values, n);
            for (size_t i = 0; i < n; i++) values[i] *= i < 32 ? 0 : i < 64 ? 1e-38f : i < 96 ? 1e30f : -1e-20f;
            check_quantised(*table, values, n);
            free(values);
        }
    }
}

static void test_quantize_row_rounds_half_to_even(void **state) {
    (void)state;
    const ex_cpu cpu = ex_cpu_detect();
    float values[32] = {127, 0.5f, 1.5f, 2.5f, -0.5f, -1.5f, -2.5f, -127};
    const int8_t expected_quants[8] = {127, 0, 2, 2, 0, -2, -2, -127};
    for (const ex_kernels *const *table = ex_kernels_all(); *table; table++) {
        if (!(*table)->supported(&cpu)) continue;
        _Alignas(64) int8_t quants[32];
        _Alignas(64) float scale;
        _Alignas(64) int16_t sums[2];
        _Alignas(64) float aligned[32];
        memcpy(aligned, values, sizeof aligned);
        (*table)->quantize_row(aligned, 32, quants, &scale, sums);
        assert_true(scale == 1);
        assert_memory_equal(quants, expected_quants, 8);
        assert_int_equal(sums[0], 0);
    }
}

/* A fault in the activations must reach the logits, where it becomes an error. */
static void test_not_a_number_comes_out(void **state) {
    (void)state;
    const ex_cpu cpu = ex_cpu_detect();
    const float faults[] = {NAN, INFINITY, -INFINITY};
    for (const ex_kernels *const *table = ex_kernels_all(); *table; table++) {
        if (!(*table)->supported(&cpu)) continue;
        uint64_t seed = 1;
        for (size_t k = 0; k < 3; k++) {
            for (size_t place = 0; place < 512; place += 37) {
                operands o = make_operands(EX_TYPE_Q8_0, 2, 1, 512, &seed);
                o.values[place] = faults[k];
                (*table)->quantize_row(o.values, 512, o.quants, o.scales, o.sums);
                float *out = run_matmul(*table, &o, 2);
                if (isfinite(out[0]) || isfinite(out[1]))
                    fail_msg("%s: %g at %zu is lost", (*table)->name, (double)faults[k], place);
                free(out);
                free_operands(&o);
            }
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_cuts_give_the_same_bits),
        cmocka_unit_test(test_arranged_activations_give_the_same_bits),
        cmocka_unit_test(test_large_batches),
        cmocka_unit_test(test_packed_rows_give_the_same_bits),
        cmocka_unit_test(test_extreme_quants),
        cmocka_unit_test(test_quantize_row),
        cmocka_unit_test(test_quantize_row_rounds_half_to_even),
        cmocka_unit_test(test_not_a_number_comes_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
