/* stage_dry.c - DRY: a token that would continue the end of the context as an earlier place went on is penalised the
 * more, the longer the two agree. */
#include <math.h>

#include "sampler/stage.h"

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

/* For each i: how many tokens from `recent[i]` on equal those from the start, with the Z algorithm: the stretch
 * [first, end) that agrees with the start and ends furthest tells where later ones may begin to compare. */
static void find_repeats(const int32_t *recent, size_t n, uint32_t *repeats) {
    size_t first = 0, end = 0;
    repeats[0] = (uint32_t)n;
    for (size_t i = 1; i < n; i++) {
        size_t length = i < end ? smaller(repeats[i - first], end - i) : 0;
        while (i + length < n && recent[length] == recent[i + length]) length++;
        repeats[i] = (uint32_t)length;
        if (i + length > end) first = i, end = i + length;
    }
}

static double without_repeat(const ex_stage_run *run, int32_t token, uint32_t mark, double value) {
    const ex_policy *policy = run->policy;
    (void)token;
    double penalty = policy->dry_multiplier * pow(policy->dry_base, (double)mark - policy->dry_allowed_length);
    return value - fmin(penalty, 1e30);
}

/* Newest first, as many as the stage looks back. */
static size_t read_context(ex_stage_run *run) {
    const int32_t last_n = run->policy->dry_penalty_last_n;
    const size_t window = last_n < 0 ? EX_CONTEXT_MAX : (size_t)last_n;
    size_t n = 0;
    while (n < window && run->step->history) {
        int32_t token = ex_history_token(run->step->history, n);
        if (token < 0) break;
        run->chain->recent[n++] = token;
    }
    return n;
}

void ex_stage_dry(ex_stage_run *run) {
    ex_chain *chain = run->chain;
    const size_t n = read_context(run), n_vocab = run->input->n_vocab;
    const size_t allowed = (size_t)run->policy->dry_allowed_length, shortest = allowed > 0 ? allowed : 1;
    const size_t longest = ex_breakers_find(&chain->breakers, chain->recent, n);
    if (n < 2 || longest < shortest) return;
    find_repeats(chain->recent, n, chain->repeats);
    size_t n_marked = 0;
    for (size_t i = 1; i < n; i++) {
        const size_t length = smaller(chain->repeats[i], longest);
        const int32_t next = chain->recent[i - 1];
        if (length < shortest || (size_t)next >= n_vocab || ex_breakers_has(&chain->breakers, next)) continue;
        if (length > chain->marks[next]) ex_stage_mark(run, &n_marked, next, (uint32_t)length);
    }
    ex_stage_adjust(run, n_marked, without_repeat);
}
