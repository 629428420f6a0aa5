/* test_team.c - how the thread team deals out work: all of it, once, and to each thread the same part in every pass. */
#include "support.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/team.h"

enum { MANY_THREADS = 19, PIECES = 101 }; /* more threads than shares */

static void visit(void *context, ex_worker *worker) {
    atomic_int *visits = context;
    size_t first, last;
    while (ex_worker_next(worker, 2 * PIECES - 1, 2, &first, &last))
        for (size_t i = first; i < last; i++) atomic_fetch_add(&visits[i], 1);
}

static void test_more_threads_than_shares(void **state) {
    (void)state;
    for (int32_t n_threads = 1; n_threads <= MANY_THREADS; n_threads += 3) {
        ex_team *team;
        ex_error error;
        atomic_int visits[2 * PIECES] = {0};
        assert_ok(ex_team_open(&team, n_threads, &error), &error);
        ex_team_run(team, visit, visits);
        ex_team_close(team);
        for (int i = 0; i < 2 * PIECES; i++) assert_int_equal(visits[i], i < 2 * PIECES - 1);
    }
}

enum { FIRST_ROUNDS = 5, FIRST_THREADS = 4, FIRST_PIECES = 13 };

typedef struct first_check {
    atomic_int taken; /* pieces, in all rounds together */
    size_t first[FIRST_ROUNDS][FIRST_THREADS], by_last;
} first_check;

/* Each takes one piece; when all have one, the last thread takes all that are left. */
static void take_one(void *context, ex_worker *worker) {
    first_check *check = context;
    for (int round = 0; round < FIRST_ROUNDS; round++) {
        size_t first = SIZE_MAX, last;
        ex_worker_next(worker, FIRST_PIECES, 1, &first, &last);
        check->first[round][worker->index] = first;
        atomic_fetch_add(&check->taken, 1);
        while (atomic_load(&check->taken) < worker->count * (round + 1)) sched_yield();
        if (worker->index == worker->count - 1)
            while (ex_worker_next(worker, FIRST_PIECES, 1, &first, &last)) check->by_last += last - first;
        ex_worker_barrier(worker);
    }
}

static void test_threads_begin_with_their_own_share(void **state) {
    (void)state;
    ex_team *team;
    ex_error error;
    first_check check = {0};
    assert_ok(ex_team_open(&team, FIRST_THREADS, &error), &error);
    ex_team_run(team, take_one, &check);
    ex_team_close(team);
    for (int round = 0; round < FIRST_ROUNDS; round++)
        for (size_t i = 0; i < FIRST_THREADS; i++)
            assert_int_equal(check.first[round][i], FIRST_PIECES * i / FIRST_THREADS);
    assert_int_equal(check.by_last, FIRST_ROUNDS * (FIRST_PIECES - FIRST_THREADS));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_more_threads_than_shares),
        cmocka_unit_test(test_threads_begin_with_their_own_share),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
