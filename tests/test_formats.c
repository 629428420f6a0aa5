/* test_formats.c - block formats: decoding against reference values, encoding against its own decoding. */
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/half.h"
#include "base/tensor_type.h"
#include "kernel/formats.h"
#include "kernel/kernel.h"

static const ex_type encodable[] = {EX_TYPE_F32,  EX_TYPE_F16,  EX_TYPE_BF16, EX_TYPE_Q8_0,
                                    EX_TYPE_Q4_0, EX_TYPE_Q4_K, EX_TYPE_Q5_K, EX_TYPE_Q6_K};
enum { N_ENCODABLE = sizeof encodable / sizeof *encodable };

static double gaussian(uint64_t *state) {
    double radius = sqrt(-2 * log(random_between(state, 1e-12, 1)));
    return radius * cos(2 * M_PI * random_between(state, 0, 1));
}

/* Units in the last place between two floats of the same sign. */
static int64_t distance_in_ulps(float a, float b) {
    if (a == b) return 0;
    return llabs((int64_t)ex_float_bits(a) - (int64_t)ex_float_bits(b));
}

static void check_golden_type(const ex_file *file, uint32_t type) {
    char name[32];
    snprintf(name, sizeof name, "%s.raw", ex_type_name(type));
    const ex_tensor *raw = ex_file_find_tensor(file, name);
    snprintf(name, sizeof name, "%s.f32", ex_type_name(type));
    const ex_tensor *expected = ex_file_find_tensor(file, name);
    if (!raw || !expected) fail_msg("no reference values of %s", ex_type_name(type));
    size_t n = expected->n_bytes / sizeof(float);
    const float *values = expected->data;
    float *decoded = malloc(n * sizeof *decoded);
    uint64_t bytes;
    assert_true(ex_type_row_bytes(type, n, &bytes) && bytes == raw->n_bytes);
    ex_format_find(type)->decode(raw->data, n, decoded);
    for (size_t i = 0; i < n; i++)
        if (distance_in_ulps(decoded[i], values[i]) > 1)
            fail_msg("%s: weight %zu is %.9g, not %.9g", ex_type_name(type), i, (double)decoded[i], (double)values[i]);
    free(decoded);
}

/* test_packings.c computes what these should give. */
static bool is_without_reference(uint32_t type) {
    return type == EX_TYPE_F32 || type == EX_TYPE_IQ1_M || type == EX_TYPE_MXFP4 || type == EX_TYPE_TQ1_0 ||
           type == EX_TYPE_TQ2_0;
}

static void check_golden(const char *path) {
    ex_file *file;
    ex_error error;
    assert_ok(ex_file_open(&file, path, &error), &error);
    for (uint32_t type = 0; type < EX_TYPE_COUNT; type++)
        if (ex_format_find(type) && !is_without_reference(type)) check_golden_type(file, type);
    ex_file_close(file);
}

static void test_decoding_equals_reference_values(void **state) {
    (void)state;
    check_golden(test_data("blocks.gguf"));
    const char *all_rows = shared_golden("blocks/blocks.gguf");
    if (all_rows) check_golden(all_rows);
}

static void test_find_knows_its_types(void **state) {
    (void)state;
    for (size_t i = 0; i < N_ENCODABLE; i++) {
        const ex_format *format = ex_format_find(encodable[i]);
        assert_non_null(format);
        assert_non_null(format->encode);
        bool is_float = encodable[i] == EX_TYPE_F32 || encodable[i] == EX_TYPE_F16 || encodable[i] == EX_TYPE_BF16;
        assert_true(format->integer_dot == !is_float);
    }
    assert_null(ex_format_find(EX_TYPE_I32));
    assert_null(ex_format_find(4));
    assert_null(ex_format_find(EX_TYPE_COUNT));
    assert_null(ex_format_find(UINT32_MAX));
}

/* Encodes and decodes `n` values of one type; returns the error relative to the norm of the values. */
static double round_trip(ex_type type, const float *values, size_t n, float *decoded) {
    const ex_format *format = ex_format_find(type);
    uint64_t bytes;
    assert_true(ex_type_row_bytes(type, n, &bytes));
    char *row = malloc(bytes), *again = malloc(bytes);
    memset(row, 0xAA, bytes);
    memset(again, 0x55, bytes);
    format->encode(values, n, row);
    format->encode(values, n, again);
    assert_memory_equal(row, again, bytes); /* every byte is written, and always the same */
    format->decode(row, n, decoded);
    free(row);
    free(again);
    double error = 0, norm = 0;
    for (size_t i = 0; i < n; i++) {
        error += pow((double)decoded[i] - (double)values[i], 2);
        norm += pow((double)values[i], 2);
    }
    return norm > 0 ? sqrt(error / norm) : sqrt(error);
}

/* Relative errors on normally distributed weights whose spread differs between sub-blocks. The limits are one
 * hundredth above what the search for the best scales reaches. */
static void test_encoding_is_close(void **state) {
    (void)state;
    const struct {
        ex_type type;
        double limit;
    } cases[] = {{EX_TYPE_F32, 0},        {EX_TYPE_F16, 0.00025}, {EX_TYPE_BF16, 0.002}, {EX_TYPE_Q8_0, 0.0056},
                 {EX_TYPE_Q4_0, 0.088},   {EX_TYPE_Q4_K, 0.0707},  {EX_TYPE_Q5_K, 0.0348}, {EX_TYPE_Q6_K, 0.0176}};
    enum { N = 256 * 64 };
    static float values[N], decoded[N];
    uint64_t seed = 11;
    for (size_t i = 0; i < N; i++) values[i] = (float)(gaussian(&seed) * 0.02 * (double)(1 + i / 256 % 7));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double error = round_trip(cases[i].type, values, N, decoded);
        if (error > cases[i].limit) fail_msg("%s: error %.5f", ex_type_name(cases[i].type), error);
    }
}

/* Values on a grid that the format can hold come back as they were, up to the rounding of the scales. */
static void test_encoding_keeps_what_fits(void **state) {
    (void)state;
    float values[512], decoded[512];
    for (int i = 0; i < 512; i++) values[i] = (float)(i % 16 - 8) * 0.25f;
    for (size_t i = 0; i < N_ENCODABLE; i++) {
        double error = round_trip(encodable[i], values, 512, decoded);
        if (error > 0.0045) fail_msg("%s: error %.6f", ex_type_name(encodable[i]), error);
    }
    assert_true(round_trip(EX_TYPE_Q4_0, values, 512, decoded) == 0);
}

static void test_zeros_and_extremes(void **state) {
    (void)state;
    const float constants[] = {0.0f, 1.0f, -1.0f, 1e-30f, -1e-42f, 6e-8f, 60000.0f, -1e30f};
    float values[512], decoded[512];
    for (size_t i = 0; i < N_ENCODABLE; i++) {
        for (size_t k = 0; k < sizeof constants / sizeof *constants; k++) {
            for (int j = 0; j < 512; j++) values[j] = j < 300 ? constants[k] : 0;
            double error = round_trip(encodable[i], values, 512, decoded);
            for (int j = 0; j < 512; j++) {
                if (values[j] == 0 && fabsf(decoded[j]) > 0.01f * fabsf(constants[k]))
                    fail_msg("%s: zero became %g", ex_type_name(encodable[i]), (double)decoded[j]);
                if (encodable[i] != EX_TYPE_F16) assert_true(isfinite(decoded[j]));
            }
            if (fabsf(constants[k]) == 1) assert_true(error < 0.005);
        }
    }
}

/* One large weight among small ones must not cost the other sub-blocks their precision. */
static void test_outlier_stays_in_its_sub_block(void **state) {
    (void)state;
    float values[256], decoded[256];
    uint64_t seed = 5;
    for (int i = 0; i < 256; i++) values[i] = (float)random_between(&seed, -1, 1);
    values[3] = 30;
    const ex_type types[] = {EX_TYPE_Q4_K, EX_TYPE_Q5_K, EX_TYPE_Q6_K};
    const double limits[] = {0.5, 0.25, 0.08}; /* half a step of the coarsest scale that 6 and 8 bits can tell apart */
    for (size_t k = 0; k < 3; k++) {
        round_trip(types[k], values, 256, decoded);
        for (int i = 32; i < 256; i++) assert_true(fabs((double)decoded[i] - (double)values[i]) < limits[k]);
        assert_true(fabsf(decoded[3] - 30) < 0.6f);
    }
}

/* Encoders work on several blocks at once: what lies beside a block must not change its bytes. */
static void test_blocks_do_not_depend_on_each_other(void **state) {
    (void)state;
    enum { N_BLOCKS = 5 };
    float values[N_BLOCKS * EX_SUPER_BLOCK];
    uint64_t seed = 3;
    for (size_t i = 0; i < N_BLOCKS * EX_SUPER_BLOCK; i++)
        values[i] = (float)(gaussian(&seed) * (double)(1 + i / EX_SUPER_BLOCK) + (double)(i / 700));
    for (size_t k = 0; k < N_ENCODABLE; k++) {
        const ex_format *format = ex_format_find(encodable[k]);
        uint64_t bytes;
        assert_true(ex_type_row_bytes(encodable[k], EX_SUPER_BLOCK, &bytes));
        char together[N_BLOCKS * EX_SUPER_BLOCK * sizeof(float)], alone[EX_SUPER_BLOCK * sizeof(float)];
        format->encode(values, N_BLOCKS * EX_SUPER_BLOCK, together);
        for (size_t b = 0; b < N_BLOCKS; b++) {
            format->encode(values + b * EX_SUPER_BLOCK, EX_SUPER_BLOCK, alone);
            assert_memory_equal(alone, together + b * bytes, bytes);
        }
    }
}

static void test_half_rounding_of_rows(void **state) {
    (void)state;
    const float values[3] = {1.0f + 0x1p-11f, 1.0f + 0x3p-11f, -2.0f};
    uint16_t halves[3];
    ex_encode_f16(values, 3, halves);
    assert_int_equal(halves[0], 0x3C00); /* ties go to even */
    assert_int_equal(halves[1], 0x3C02);
    assert_int_equal(halves[2], 0xC000);
    const float wide[2] = {1.0f + 0x1p-8f, 1.0f + 0x3p-8f};
    ex_encode_bf16(wide, 2, halves);
    assert_int_equal(halves[0], 0x3F80);
    assert_int_equal(halves[1], 0x3F82);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decoding_equals_reference_values), cmocka_unit_test(test_find_knows_its_types),
        cmocka_unit_test(test_encoding_is_close),                cmocka_unit_test(test_encoding_keeps_what_fits),
        cmocka_unit_test(test_zeros_and_extremes),               cmocka_unit_test(test_outlier_stays_in_its_sub_block),
        cmocka_unit_test(test_blocks_do_not_depend_on_each_other),
        cmocka_unit_test(test_half_rounding_of_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
