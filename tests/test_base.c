/* test_base.c - the ground floor: random numbers, UTF-8, half precision, the thread team. */
#include "support.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "base/checked.h"
#include "base/cpu.h"
#include "base/half.h"
#include "base/rng.h"
#include "base/team.h"
#include "base/tensor_type.h"
#include "base/utf8.h"

/* Known answers published with the Random123 library (kat_vectors, philox4x32 10). */
static void test_philox_known_answers(void **state) {
    (void)state;
    uint32_t out[4];
    ex_philox((uint32_t[4]){0, 0, 0, 0}, (uint32_t[2]){0, 0}, out);
    assert_memory_equal(out, ((uint32_t[4]){0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}), 16);
    uint32_t ones = 0xffffffff;
    ex_philox((uint32_t[4]){ones, ones, ones, ones}, (uint32_t[2]){ones, ones}, out);
    assert_memory_equal(out, ((uint32_t[4]){0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}), 16);
}

static void test_uniform_is_uniform(void **state) {
    (void)state;
    int bins[16] = {0};
    for (uint32_t position = 0; position < 16000; position++) {
        double u = ex_uniform(7, 1, position, 2);
        assert_true(u >= 0 && u < 1);
        bins[(int)(u * 16)]++;
    }
    double chi_square = 0;
    for (int i = 0; i < 16; i++) chi_square += (bins[i] - 1000.0) * (bins[i] - 1000.0) / 1000.0;
    assert_true(chi_square < 37.7); /* 15 degrees of freedom, p = 0.001 */
    assert_true(ex_uniform(7, 1, 5, 2) == ex_uniform(7, 1, 5, 2));
    assert_true(ex_uniform(7, 1, 5, 2) != ex_uniform(7, 2, 5, 2));
}

static void test_utf8_bounds(void **state) {
    (void)state;
    uint32_t codepoints[] = {0, 0x7F, 0x80, 0x7FF, 0x800, 0xD7FF, 0xE000, 0xFFFF, 0x10000, 0x10FFFF};
    for (size_t i = 0; i < sizeof codepoints / sizeof *codepoints; i++) {
        char text[4];
        uint32_t back = 1;
        size_t n = ex_utf8_encode(codepoints[i], text);
        assert_int_equal(ex_utf8_decode(text, n, &back), n);
        assert_int_equal(back, codepoints[i]);
        assert_int_equal(ex_utf8_incomplete_suffix(text, n), 0);
        for (size_t cut = 1; cut < n; cut++) assert_int_equal(ex_utf8_incomplete_suffix(text, cut), cut);
    }
    const char *bad[] = {"\xC0\x80", "\xC1\xBF", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80",
                         "\xF5\x80\x80\x80", "\x80", "\xFF", "\xE2\x82"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(ex_utf8_valid_prefix(bad[i], strlen(bad[i])), 0);
    assert_int_equal(ex_utf8_valid_prefix("ab\xFFzz", 5), 2);
}

static void test_half_round_trip(void **state) {
    (void)state;
    for (uint32_t bits = 0; bits < 0x10000; bits++) {
        float value = ex_half_to_float((uint16_t)bits);
        if (isnan(value)) assert_true(isnan(ex_half_to_float(ex_half_from_float(value))));
        else assert_int_equal(ex_half_from_float(value), bits);
    }
    assert_int_equal(ex_half_from_float(65519.9f), 0x7BFF);
    assert_int_equal(ex_half_from_float(65520.0f), 0x7C00);
    assert_int_equal(ex_half_from_float(1.0f + 0x1p-11f), 0x3C00); /* ties go to even */
    assert_int_equal(ex_half_from_float(1.0f + 0x3p-11f), 0x3C02);
    assert_int_equal(ex_bfloat_from_float(1.0f), 0x3F80);
}

static void test_checked(void **state) {
    (void)state;
    uint64_t out;
    assert_false(ex_multiply(UINT64_MAX, 2, &out));
    assert_false(ex_add(UINT64_MAX, 1, &out));
    assert_false(ex_round_up(UINT64_MAX, 32, &out));
    assert_true(ex_round_up(33, 32, &out) && out == 64);
    assert_true(ex_type_row_bytes(EX_TYPE_Q6_K, 512, &out) && out == 420);
    assert_false(ex_type_row_bytes(EX_TYPE_Q6_K, 500, &out));
    assert_false(ex_type_row_bytes(4, 32, &out)); /* Q4_2 was removed */
}

typedef struct team_check {
    atomic_int visits[1000];
    int sums[3];
} team_check;

static void visit(void *context, ex_worker *worker) {
    team_check *check = context;
    for (int round = 0; round < 3; round++) {
        size_t first, last;
        while (ex_worker_next(worker, 1000, 7, &first, &last))
            for (size_t i = first; i < last; i++) atomic_fetch_add(&check->visits[i], 1);
        ex_worker_barrier(worker);
        if (worker->index == 0)
            for (int i = 0; i < 1000; i++) check->sums[round] += check->visits[i];
        ex_worker_barrier(worker);
    }
}

static void test_team_shares_all_work(void **state) {
    (void)state;
    for (int32_t n_threads = 1; n_threads <= 5; n_threads++) {
        ex_team *team;
        ex_error error;
        assert_ok(ex_team_open(&team, n_threads, &error), &error);
        for (int run = 0; run < 20; run++) {
            static team_check check;
            memset(&check, 0, sizeof check);
            ex_team_run(team, visit, &check);
            for (int round = 0; round < 3; round++) assert_int_equal(check.sums[round], 1000 * (round + 1));
        }
        ex_team_close(team);
    }
    ex_error error;
    ex_team *team;
    assert_int_equal(ex_team_open(&team, 0, &error), EX_ERROR_ARGUMENT);
    assert_true(ex_cpu_cores() >= 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_philox_known_answers), cmocka_unit_test(test_uniform_is_uniform),
        cmocka_unit_test(test_utf8_bounds),          cmocka_unit_test(test_half_round_trip),
        cmocka_unit_test(test_checked),              cmocka_unit_test(test_team_shares_all_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
