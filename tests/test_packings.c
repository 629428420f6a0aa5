/* test_packings.c - types that are unpacked, in every table that this machine supports: each single weight against
 * reference values, products with reference weights, types without reference values against their definition, and
 * bytes that no encoder writes. */
#include "block_support.h"
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cpu.h"
#include "base/memory.h"
#include "kernel/formats.h"
#include "kernel/kernel.h"

/* The supported tables, ending with NULL. */
static const ex_kernels *const *supported_tables(void) {
    static const ex_kernels *tables[9];
    const ex_cpu cpu = ex_cpu_detect();
    size_t n = 0;
    for (const ex_kernels *const *table = ex_kernels_all(); *table && n < 8; table++)
        if ((*table)->supported(&cpu)) tables[n++] = *table;
    tables[n] = NULL;
    return tables;
}

static int64_t distance_in_ulps(float a, float b) {
    if (a == b) return 0;
    return llabs((int64_t)ex_float_bits(a) - (int64_t)ex_float_bits(b));
}

/* A copy in memory of exactly its size, so that the address sanitizer sees what reads past it. */
static void *exact_copy(const void *bytes, size_t n) { return memcpy(malloc(n), bytes, n); }

/* Whoever can decode a type can multiply with it, in every table that there is. */
static void test_every_table_has_every_type(void **state) {
    (void)state;
    for (const ex_kernels *const *table = ex_kernels_all(); *table; table++)
        for (uint32_t type = 0; type < EX_TYPE_COUNT; type++)
            if (!(*table)->matmul[type] != !ex_format_find(type))
                fail_msg("%s: %s can only be %s", (*table)->name, ex_type_name(type),
                         ex_format_find(type) ? "decoded" : "multiplied");
}

static void test_packings_have_the_shapes_of_their_types(void **state) {
    (void)state;
    size_t n = 0;
    for (uint32_t type = 0; type < EX_TYPE_COUNT; type++) {
        const ex_packing *packing = ex_packing_find(type);
        if (!packing) continue;
        assert_int_equal(packing->weights, ex_type_find(type)->block_elements);
        assert_int_equal(packing->bytes, ex_type_find(type)->block_bytes);
        n++;
    }
    assert_int_equal(n, 18);
    assert_null(ex_packing_find(EX_TYPE_F32));
    assert_null(ex_packing_find(UINT32_MAX));
}

/* ---- every weight, through the matrix products --------------------------------------------------------------- */

/* One token for each weight of a row: 1 there and 0 elsewhere. */
static ex_activations unit_activations(size_t n) {
    int8_t *quants = ex_allocate_aligned(n * n, 1);
    float *scales = ex_allocate_aligned(n * (n / EX_QUANT_BLOCK), sizeof *scales);
    int16_t *sums = ex_allocate_aligned(n * (n / EX_SUM_BLOCK), sizeof *sums);
    memset(quants, 0, n * n);
    memset(sums, 0, n * (n / EX_SUM_BLOCK) * sizeof *sums);
    for (size_t i = 0; i < n * (n / EX_QUANT_BLOCK); i++) scales[i] = 1;
    for (size_t i = 0; i < n; i++) {
        quants[i * n + i] = 1;
        sums[(i * n + i) / EX_SUM_BLOCK] = 1;
    }
    return (ex_activations){n, n, NULL, quants, scales, sums, NULL};
}

static void free_activations(ex_activations *x) {
    free((void *)(uintptr_t)x->values);
    free((void *)(uintptr_t)x->quants);
    free((void *)(uintptr_t)x->scales);
    free((void *)(uintptr_t)x->sums);
}

/* The products with all units are the row itself: with all of them together and, for one token, one by one. */
static void check_every_weight(const ex_kernels *kernels, uint32_t type, const void *row, const float *expected,
                               const ex_activations *units) {
    size_t n = units->n_in;
    float *out = ex_allocate_aligned(n, sizeof *out);
    for (int alone = 0; alone < 2; alone++) {
        if (!alone) kernels->matmul[type](row, 0, 1, units, out, 1);
        for (size_t i = 0; i < n; i++) {
            const ex_activations one = {1,
                                        n,
                                        NULL,
                                        units->quants + i * n,
                                        units->scales + i * n / EX_QUANT_BLOCK,
                                        units->sums + i * n / EX_SUM_BLOCK,
                                        NULL};
            if (alone) kernels->matmul[type](row, 0, 1, &one, out + i, 1);
            if (distance_in_ulps(out[i], expected[i]) > 1)
                fail_msg("%s %s: weight %zu of %zu is %.9g, not %.9g", kernels->name, ex_type_name(type), i, n,
                         (double)out[i], (double)expected[i]);
        }
    }
    free(out);
}

static const float *reference_row(const ex_file *file, uint32_t type, const void **raw) {
    char name[32];
    snprintf(name, sizeof name, "%s.raw", ex_type_name(type));
    const ex_tensor *tensor = ex_file_find_tensor(file, name);
    *raw = tensor ? tensor->data : NULL;
    snprintf(name, sizeof name, "%s.f32", ex_type_name(type));
    tensor = ex_file_find_tensor(file, name);
    return tensor ? tensor->data : NULL;
}

enum { N_REFERENCE = 512 };

static void test_every_weight_equals_its_reference(void **state) {
    (void)state;
    ex_file *file;
    ex_error error;
    assert_ok(ex_file_open(&file, test_data("blocks.gguf"), &error), &error);
    ex_activations units = unit_activations(N_REFERENCE);
    size_t n_types = 0;
    for (uint32_t type = 0; type < EX_TYPE_COUNT; type++) {
        const void *raw;
        const float *expected = reference_row(file, type, &raw);
        if (!raw || !ex_format_find(type)->integer_dot) continue;
        n_types++;
        uint64_t bytes;
        assert_true(ex_type_row_bytes(type, N_REFERENCE, &bytes));
        void *row = exact_copy(raw, bytes);
        for (const ex_kernels *const *table = supported_tables(); *table; table++)
            check_every_weight(*table, type, row, expected, &units);
        free(row);
    }
    assert_int_equal(n_types, 18);
    free_activations(&units);
    ex_file_close(file);
}

/* Also rows that end inside a chunk of 256, of random bytes. */
static void test_every_weight_equals_its_decoding(void **state) {
    (void)state;
    const size_t lengths[] = {32, 96, 288, 256, 512};
    uint64_t seed = 31;
    for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++) {
        ex_activations units = unit_activations(lengths[k]);
        for (uint32_t type = 0; type < EX_TYPE_COUNT; type++) {
            uint64_t bytes;
            if (!ex_packing_find(type) || !ex_type_row_bytes(type, lengths[k], &bytes)) continue;
            uint8_t *row = malloc(bytes);
            float *decoded = malloc(lengths[k] * sizeof *decoded);
            random_blocks(type, lengths[k], row, &seed);
            ex_format_find(type)->decode(row, lengths[k], decoded);
            for (const ex_kernels *const *table = supported_tables(); *table; table++)
                check_every_weight(*table, type, row, decoded, &units);
            free(row);
            free(decoded);
        }
        free_activations(&units);
    }
}

/* ---- products with reference weights ------------------------------------------------------------------------- */

static ex_activations random_activations(size_t n, uint64_t *seed) {
    float *values = ex_allocate_aligned(n, sizeof *values);
    int8_t *quants = ex_allocate_aligned(n, 1);
    float *scales = ex_allocate_aligned(n / EX_QUANT_BLOCK, sizeof *scales);
    int16_t *sums = ex_allocate_aligned(n / EX_SUM_BLOCK, sizeof *sums);
    for (size_t i = 0; i < n; i++) values[i] = (float)random_between(seed, -1, 1);
    ex_kernels_all()[0]->quantize_row(values, n, quants, scales, sums);
    return (ex_activations){1, n, values, quants, scales, sums, NULL};
}

/* The dot product with the reference weights, relative to the norms of both sides: to 1e-6 with the activations that
 * the kernel reads, to 1e-3 with those before their quantisation. */
static void check_reference_dot(const ex_kernels *kernels, uint32_t type, const void *row, const float *weights,
                                const ex_activations *x) {
    double given = 0, floats = 0, weight_squares = 0, squares = 0;
    for (size_t i = 0; i < x->n_in; i++) {
        double weight = (double)weights[i], value = (double)x->values[i];
        given += weight * (double)x->scales[i / EX_QUANT_BLOCK] * x->quants[i];
        floats += weight * value;
        weight_squares += weight * weight;
        squares += value * value;
    }
    double norm = sqrt(weight_squares * squares);
    float out;
    kernels->matmul[type](row, 0, 1, x, &out, 1);
    if (fabs((double)out - given) > 1e-6 * norm || fabs((double)out - floats) > 1e-3 * norm)
        fail_msg("%s %s: %.9g, not %.9g (%.9g before quantisation), norm %g", kernels->name, ex_type_name(type),
                 (double)out, given, floats, norm);
}

static void check_reference_dots(const ex_file *file, size_t n_rows) {
    uint64_t seed = 17;
    for (uint32_t type = 0; type < EX_TYPE_COUNT; type++) {
        const void *raw;
        uint64_t row_bytes;
        const float *weights = reference_row(file, type, &raw);
        if (!raw || !ex_format_find(type)->integer_dot) continue;
        assert_true(ex_type_row_bytes(type, N_REFERENCE, &row_bytes));
        for (size_t r = 0; r < n_rows; r++) {
            ex_activations x = random_activations(N_REFERENCE, &seed);
            for (const ex_kernels *const *table = supported_tables(); *table; table++)
                check_reference_dot(*table, type, (const char *)raw + r * row_bytes, weights + r * N_REFERENCE, &x);
            free_activations(&x);
        }
    }
}

static void test_products_with_reference_weights(void **state) {
    (void)state;
    ex_file *file;
    ex_error error;
    const char *all_rows = shared_golden("blocks/blocks.gguf");
    assert_ok(ex_file_open(&file, all_rows ? all_rows : test_data("blocks.gguf"), &error), &error);
    check_reference_dots(file, all_rows ? 8 : 1);
    ex_file_close(file);
}

/* ---- types without reference values -------------------------------------------------------------------------- */

/* Each gives weight i of a block as its definition says it, bit by bit. */

static double mxfp4_weight(const uint8_t *block, size_t i) {
    static const double magnitudes[8] = {0, 0.5, 1, 1.5, 2, 3, 4, 6}; /* sign, two bits of exponent, one of mantissa */
    int code = i < 16 ? block[1 + i] & 15 : block[1 + i - 16] >> 4;
    return ldexp(code & 8 ? -magnitudes[code & 7] : magnitudes[code & 7], block[0] - 127);
}

static double half_at(const uint8_t *bytes) { return (double)ex_half_to_float((uint16_t)(bytes[0] | bytes[1] << 8)); }

static double tq1_0_weight(const uint8_t *block, size_t i) {
    static const int powers[5] = {1, 3, 9, 27, 81};
    size_t byte = i < 160 ? i % 32 : i < 240 ? 32 + (i - 160) % 16 : 48 + (i - 240) % 4;
    size_t digit = i < 160 ? i / 32 : i < 240 ? (i - 160) / 16 : (i - 240) / 4;
    int shifted = block[byte] * powers[digit] % 256;
    return (shifted * 3 / 256 - 1) * half_at(block + 52);
}

static double tq2_0_weight(const uint8_t *block, size_t i) {
    return ((block[i / 128 * 32 + i % 32] >> i / 32 % 4 * 2 & 3) - 1) * half_at(block + 64);
}

/* The bytes of the points are in the IQ1_S rows of blocks.gguf; here the ways to them are checked. */
static double iq1_m_weight(const uint8_t *block, size_t i) {
    const uint8_t *quants = block, *high = block + 32, *scales = block + 48;
    uint8_t half[2] = {(uint8_t)(scales[1] >> 4 | (scales[3] >> 4) << 4),
                       (uint8_t)(scales[5] >> 4 | (scales[7] >> 4) << 4)};
    size_t group = i / 8, sixteen = i / 16;
    int nibble = group % 2 ? high[group / 2] >> 4 : high[group / 2] & 15;
    int packed = scales[sixteen / 4 * 2] | scales[sixteen / 4 * 2 + 1] << 8;
    int scale = packed >> sixteen % 4 * 3 & 7;
    ex_block_iq1_s point = {.scale = 0x3C00, .quants = {quants[group]}, .high = {(uint16_t)(nibble & 7)}};
    float weights[EX_SUPER_BLOCK];
    ex_format_find(EX_TYPE_IQ1_S)->decode(&point, EX_SUPER_BLOCK, weights);
    double value = (double)weights[i % 8] - 0.125;
    return half_at(half) * (2 * scale + 1) * (value + (nibble & 8 ? -0.125 : 0.125));
}

typedef struct definition {
    ex_type type;
    double (*weight)(const uint8_t *block, size_t i);
} definition;

static void test_definitions(void **state) {
    (void)state;
    const definition definitions[] = {{EX_TYPE_MXFP4, mxfp4_weight}, {EX_TYPE_TQ1_0, tq1_0_weight},
                                      {EX_TYPE_TQ2_0, tq2_0_weight}, {EX_TYPE_IQ1_M, iq1_m_weight}};
    uint64_t seed = 23;
    for (size_t k = 0; k < sizeof definitions / sizeof *definitions; k++) {
        const ex_type_shape *shape = ex_type_find(definitions[k].type);
        for (int round = 0; round < 200; round++) {
            uint8_t *block = malloc(shape->block_bytes);
            float decoded[EX_SUPER_BLOCK];
            random_blocks(definitions[k].type, shape->block_elements, block, &seed);
            ex_format_find(definitions[k].type)->decode(block, shape->block_elements, decoded);
            for (size_t i = 0; i < shape->block_elements; i++) {
                float expected = (float)definitions[k].weight(block, i);
                if (distance_in_ulps(decoded[i], expected) > 1)
                    fail_msg("%s: weight %zu is %.9g, not %.9g", shape->name, i, (double)decoded[i], (double)expected);
            }
            free(block);
        }
    }
}

/* All scales, also those below and above what a float can hold with each magnitude. */
static void test_mxfp4_exponents(void **state) {
    (void)state;
    ex_activations units = unit_activations(EX_QUANT_BLOCK);
    uint8_t block[17];
    for (int i = 0; i < 16; i++) block[1 + i] = (uint8_t)(i | (15 - i) << 4);
    for (int exponent = 0; exponent < 256; exponent++) {
        float expected[EX_QUANT_BLOCK], decoded[EX_QUANT_BLOCK];
        block[0] = (uint8_t)exponent;
        for (size_t i = 0; i < EX_QUANT_BLOCK; i++) expected[i] = (float)mxfp4_weight(block, i);
        ex_format_find(EX_TYPE_MXFP4)->decode(block, EX_QUANT_BLOCK, decoded);
        for (size_t i = 0; i < EX_QUANT_BLOCK; i++) assert_true(decoded[i] == expected[i]);
        if (exponent > 250) continue; /* intermediate values of 0 times infinity are not promised */
        for (const ex_kernels *const *table = supported_tables(); *table; table++)
            check_every_weight(*table, EX_TYPE_MXFP4, block, expected, &units);
    }
    free_activations(&units);
}

/* ---- bytes that no encoder writes ---------------------------------------------------------------------------- */

/* Nothing may be read outside of a row or of a table of values, whatever the bytes are; results are not looked at. */
static void test_any_bytes(void **state) {
    (void)state;
    uint64_t seed = 77;
    ex_activations x = random_activations(N_REFERENCE, &seed);
    for (uint32_t type = 0; type < EX_TYPE_COUNT; type++) {
        uint64_t row_bytes;
        if (!ex_format_find(type) || !ex_format_find(type)->integer_dot) continue;
        assert_true(ex_type_row_bytes(type, N_REFERENCE, &row_bytes));
        for (int round = 0; round < 40; round++) {
            uint8_t *row = malloc(row_bytes);
            if (round < 2) memset(row, round ? 0xFF : 0, row_bytes);
            else random_bytes(row, row_bytes, &seed);
            float decoded[N_REFERENCE], out;
            ex_format_find(type)->decode(row, N_REFERENCE, decoded);
            for (const ex_kernels *const *table = supported_tables(); *table; table++)
                (*table)->matmul[type](row, row_bytes, 1, &x, &out, 1);
            if (round == 0) assert_true(out == 0 || isfinite(out));
            free(row);
        }
    }
    free_activations(&x);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_table_has_every_type),
        cmocka_unit_test(test_packings_have_the_shapes_of_their_types),
        cmocka_unit_test(test_every_weight_equals_its_reference),
        cmocka_unit_test(test_every_weight_equals_its_decoding),
        cmocka_unit_test(test_products_with_reference_weights),
        cmocka_unit_test(test_definitions),
        cmocka_unit_test(test_mxfp4_exponents),
        cmocka_unit_test(test_any_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
