/* bench_batch.c - what it costs to look one step ahead from one place with several candidates: sessions that share a
 * prefix and are evaluated together, against one decoded token and against a prompt of as many tokens. */
#include <stdlib.h>

#include "bench.h"
#include "model.h"
#include "terminal.h"

enum { ROUNDS = 9 };

typedef enum evaluation { ALONE, PROMPT, TOGETHER, N_WAYS } evaluation;

static ex_code rewind_all(ex_session *const *forks, size_t position, ex_error *error) {
    ex_code code = EX_OK;
    for (size_t i = 0; i < BENCH_CANDIDATES && code == EX_OK; i++)
        code = ex_session_rewind(forks[i], position, error);
    return code;
}

static ex_code evaluate(evaluation way, ex_session *const *forks, const int32_t *tokens, ex_error *error) {
    ex_step steps[BENCH_CANDIDATES];
    if (way == TOGETHER) return ex_sessions_evaluate(forks, tokens, BENCH_CANDIDATES, steps, error);
    return ex_session_evaluate(forks[0], tokens, way == ALONE ? 1 : BENCH_CANDIDATES, NULL, steps, error);
}

/* Every way in every round, so that drift meets them alike. The first round copies shared pages and is not counted. */
static ex_code measure(ex_session *const *forks, const int32_t *tokens, double seconds[N_WAYS][ROUNDS],
                       ex_error *error) {
    size_t position = ex_session_position(forks[0]);
    ex_code code = EX_OK;
    for (int round = -1; round < ROUNDS; round++)
        for (evaluation way = ALONE; way < N_WAYS && code == EX_OK; way++) {
            double start = seconds_now();
            code = evaluate(way, forks, tokens, error);
            if (round >= 0) seconds[way][round] = seconds_now() - start;
            if (code == EX_OK) code = rewind_all(forks, position, error);
        }
    return code;
}

int bench_batch(ex_session *session, const int32_t *tokens, bench_result *result) {
    ex_session *forks[BENCH_CANDIDATES] = {0};
    double seconds[N_WAYS][ROUNDS];
    ex_error error;
    ex_code code = EX_OK;
    for (size_t i = 0; i < BENCH_CANDIDATES && code == EX_OK; i++) code = ex_session_fork(&forks[i], session, &error);
    if (code == EX_OK) code = measure(forks, tokens, seconds, &error);
    for (size_t i = 0; i < BENCH_CANDIDATES; i++) ex_session_close(forks[i]);
    if (code != EX_OK) return report(&error);
    double alone = bench_median(seconds[ALONE], ROUNDS), prompt = bench_median(seconds[PROMPT], ROUNDS);
    result->batch_seconds = bench_median(seconds[TOGETHER], ROUNDS);
    result->batch_ratio = result->batch_seconds / (alone > prompt ? alone : prompt);
    return STATUS_OK;
}
