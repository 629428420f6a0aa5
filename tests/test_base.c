/* test_base.c - the ground floor: random numbers, UTF-8, half precision, processors, the thread team. */
#include "support.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

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
        double u = ex_uniform(7, 1, position, 0, 2);
        assert_true(u >= 0 && u < 1);
        bins[(int)(u * 16)]++;
    }
    double chi_square = 0;
    for (int i = 0; i < 16; i++) chi_square += (bins[i] - 1000.0) * (bins[i] - 1000.0) / 1000.0;
    assert_true(chi_square < 37.7); /* 15 degrees of freedom, p = 0.001 */
    assert_true(ex_uniform(7, 1, 5, 0, 2) == ex_uniform(7, 1, 5, 0, 2));
    assert_true(ex_uniform(7, 1, 5, 0, 2) != ex_uniform(7, 2, 5, 0, 2));
    assert_true(ex_uniform(7, 1, 5, 0, 2) != ex_uniform(7, 1, 5, 1, 2));
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

/* ---- processors: systems that are laid out in a temporary folder ---------------------------------------------- */

typedef struct fake_system {
    char root[64];
} fake_system;

static void lay_file(const fake_system *fake, const char *path, const char *text) {
    char whole[512];
    snprintf(whole, sizeof whole, "%s%s", fake->root, path);
    for (char *at = strchr(whole + strlen(fake->root) + 1, '/'); at; at = strchr(at + 1, '/')) {
        *at = '\0';
        mkdir(whole, 0700);
        *at = '/';
    }
    FILE *file = fopen(whole, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

/* Eight processors, of which i and i + 4 share a core. */
static fake_system lay_system(void) {
    fake_system fake = {"/tmp/entropix-test-XXXXXX"};
    assert_non_null(mkdtemp(fake.root));
    for (int i = 0; i < 8; i++) {
        char path[96], text[16];
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", i);
        snprintf(text, sizeof text, "%d,%d\n", i % 4, i % 4 + 4);
        lay_file(&fake, path, text);
    }
    return fake;
}

static void remove_system(const fake_system *fake) {
    char command[96];
    snprintf(command, sizeof command, "rm -r %s", fake->root);
    assert_int_equal(system(command), 0);
}

/* `mask` has a letter for each processor: x for those that may be used. */
static int32_t cores_of(const fake_system *fake, const char *mask) {
    static bool allowed[EX_CPU_PROCESSORS];
    for (size_t i = 0; i < EX_CPU_PROCESSORS; i++) allowed[i] = i < strlen(mask) && mask[i] == 'x';
    return ex_cpu_cores_under(fake->root, allowed);
}

static void test_cores_of_the_affinity_mask(void **state) {
    (void)state;
    fake_system fake = lay_system();
    assert_int_equal(cores_of(&fake, "xxxxxxxx"), 4);
    assert_int_equal(cores_of(&fake, "xxxx...."), 4);
    assert_int_equal(cores_of(&fake, "x...x..."), 1); /* siblings */
    assert_int_equal(cores_of(&fake, "....xx.."), 2); /* second siblings stand for their cores too */
    assert_int_equal(cores_of(&fake, "xxxxxxxxxx"), 6); /* two of which the system says nothing */
    assert_int_equal(cores_of(&fake, ""), 1);
    remove_system(&fake);
    assert_int_equal(cores_of(&fake, "xxx"), 3); /* no /proc, no /sys */
}

static void test_cores_of_a_quota(void **state) {
    (void)state;
    static const struct {
        const char *cgroup, *file, *quota; /* /proc/self/cgroup, a file in /sys/fs/cgroup and what it says */
        int32_t cores;
    } cases[] = {
        {"0::/\n", "cpu.max", "max 100000\n", 4},
        {"0::/\n", "cpu.max", "200000 100000\n", 2},
        {"0::/\n", "cpu.max", "150000 100000\n", 2}, /* rounded up */
        {"0::/\n", "cpu.max", "5000 100000\n", 1},
        {"0::/\n", "cpu.max", "900000 100000\n", 4},
        {"0::/\n", "cpu.max", "nonsense", 4},
        {"0::/\n", "cpu.max", "-1 0", 4},
        {"0::/a/b\n", "a/b/cpu.max", "200000 100000\n", 2},
        {"0::/a/b\n", "a/cpu.max", "100000 100000\n", 1}, /* of a group around it */
        {"0::/a/b\n", "cpu.max", "300000 100000\n", 3},
        {"0::/a\n", "other/cpu.max", "100000 100000\n", 4},
        {"0::/../x\n", "cpu.max", "100000 100000\n", 4}, /* outside of what is to be seen */
        {"4:memory:/m\n3:cpu,cpuacct:/a\n", "cpu,cpuacct/a/cpu.cfs_quota_us", "200000\n", 2},
        {"3:cpu:/a\n0::/\n", "cpu/cpu.cfs_quota_us", "100000\n", 1},
        {"3:cpu:/a\n0::/\n", "cpu/a/cpu.cfs_quota_us", "-1\n", 4},
        {"3:cpuset:/a\n", "cpu/a/cpu.cfs_quota_us", "100000\n", 4},
        {"broken\n:\n::\n", "cpu.max", "100000 100000\n", 4},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[128];
        fake_system fake = lay_system();
        lay_file(&fake, "/proc/self/cgroup", cases[i].cgroup);
        snprintf(path, sizeof path, "/sys/fs/cgroup/%s", cases[i].file);
        lay_file(&fake, path, cases[i].quota);
        char *name = strstr(path, "cfs_quota_us");
        if (name) {
            strcpy(name, "cfs_period_us");
            lay_file(&fake, path, "100000\n");
        }
        if (cores_of(&fake, "xxxxxxxx") != cases[i].cores)
            fail_msg("case %zu: %d cores, not %d", i, cores_of(&fake, "xxxxxxxx"), cases[i].cores);
        remove_system(&fake);
    }
}

/* ---- the thread team ------------------------------------------------------------------------------------------ */

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
        cmocka_unit_test(test_cores_of_the_affinity_mask), cmocka_unit_test(test_cores_of_a_quota),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
