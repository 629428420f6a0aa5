/* test_compare.c - the comparison of kernel tables: complete, within bounds, and it can be stopped; and the peak. */
#include "support.h"

#include <math.h>
#include <string.h>

#include "base/cpu.h"
#include "kernel/kernel.h"

typedef struct seen {
    size_t n_reports, n_matmuls, stop_after;
    char tables[64];
} seen;

static bool look(void *context, const ex_kernel_report *r) {
    seen *s = context;
    s->n_reports++;
    assert_non_null(r->function);
    assert_non_null(r->type);
    const bool peak = strcmp(r->function, "integer_peak") == 0, matmul = strcmp(r->function, "matmul") == 0;
    s->n_matmuls += matmul;
    if (!(r->error < 1e-5)) fail_msg("%s %s %s: error %g", r->kernels, r->function, r->type, r->error);
    if (strcmp(r->kernels, "portable") == 0) assert_true(r->error == 0);
    assert_true(peak || r->bytes_per_second > 0);
    assert_true((r->operations_per_second > 0) == (peak || matmul));
    if (peak) {
        strncat(s->tables, r->kernels, sizeof s->tables - strlen(s->tables) - 1);
        strncat(s->tables, " ", sizeof s->tables - strlen(s->tables) - 1);
    }
    return s->n_reports != s->stop_after;
}

static void test_every_function_of_every_table(void **state) {
    (void)state;
    ex_error error;
    seen s = {0};
    assert_ok(ex_kernels_compare(look, &s, &error), &error);
    const ex_cpu cpu = ex_cpu_detect();
    size_t n_tables = 0, n_types = 0;
    for (const ex_kernels *const *table = ex_kernels_all(); *table; table++) {
        if (!(*table)->supported(&cpu)) continue;
        n_tables++;
        assert_non_null(strstr(s.tables, (*table)->name));
    }
    for (uint32_t type = 0; type < EX_TYPE_COUNT; type++) n_types += ex_kernels_all()[0]->matmul[type] != NULL;
    assert_int_equal(s.n_matmuls, n_types * n_tables);
    assert_int_equal(s.n_reports % n_tables, 0);
}

static void test_stopping(void **state) {
    (void)state;
    ex_error error;
    seen s = {.stop_after = 2};
    assert_int_equal(ex_kernels_compare(look, &s, &error), EX_ERROR_ARGUMENT);
    assert_int_equal(s.n_reports, 2);
}

/* Rounds are all alike, and what they compute depends on all of them. */
static void test_peak_counts_rounds(void **state) {
    (void)state;
    const ex_cpu cpu = ex_cpu_detect();
    for (const ex_kernels *const *table = ex_kernels_all(); *table; table++) {
        if (!(*table)->supported(&cpu)) continue;
        int32_t one[EX_PEAK_STATE], two[EX_PEAK_STATE];
        for (int32_t i = 0; i < EX_PEAK_STATE; i++) one[i] = two[i] = 0x01030205 * (i + 1);
        uint64_t operations = (*table)->integer_peak(one, 1);
        assert_true(operations > 0);
        assert_int_equal((*table)->integer_peak(two, 3), 3 * operations);
        assert_memory_not_equal(one, two, sizeof one);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_function_of_every_table),
        cmocka_unit_test(test_stopping),
        cmocka_unit_test(test_peak_counts_rounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
