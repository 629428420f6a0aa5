/* price.c - what a token of each policy costs in time. Budgets count tokens at these prices, so that a run is the same
 * however fast the machine is at the moment. */
#include "price.h"

#include <stdlib.h>
#include <string.h>

#include "failure.h"
#include "run_desk.h"

enum { LINES_PER_POLICY = 12 };

typedef struct tally {
    double seconds, tokens;
} tally;

/* Of a folder that is there already; false when it has none for these policies. */
static bool adopt(eval_plan *plan, const char *folder) {
    eval_run *earlier;
    if (eval_run_read(&earlier, folder, NULL) != EX_OK) return false;
    const bool fits = earlier->budget == EVAL_BUDGET_TIME && earlier->n_policies == plan->n_policies;
    for (size_t i = 0; i < plan->n_policies && fits; i++)
        if (earlier->policies[i].price > 0) plan->run->policies[i].price = earlier->policies[i].price;
    eval_records_free(earlier, NULL, 0);
    return fits;
}

/* The greedy policy first, then those of the plan. */
static ex_code copy_policies(const eval_plan *plan, eval_policy **out, ex_error *error) {
    eval_policy *policies = *out = calloc(plan->n_policies + 1, sizeof *policies);
    if (!policies) return eval_fail_memory(error, "prices");
    ex_code code = eval_policy_greedy(&policies[0].values, error);
    policies[0].name = strdup("reference");
    bool is_whole = policies[0].name != NULL;
    for (size_t i = 0; i < plan->n_policies; i++) {
        policies[i + 1].values = plan->policies[i].values;
        policies[i + 1].name = strdup(plan->policies[i].name);
        is_whole = is_whole && policies[i + 1].name;
    }
    if (code == EX_OK && !is_whole) code = eval_fail_memory(error, "prices");
    if (code == EX_OK) return EX_OK;
    eval_policies_free(policies, plan->n_policies + 1);
    *out = NULL;
    return code;
}

static void count(tally *tallies, const eval_result *result) {
    if (result->choice_scores) return;
    tallies[result->policy].seconds += result->seconds;
    for (size_t i = 0; i < result->n_answers; i++)
        tallies[result->policy].tokens += (double)result->answers[i].n_forwarded;
}

static ex_code draw(eval_batch *batch, eval_desk *desk, size_t n_lines, tally *tallies, ex_error *error) {
    const eval_result *result;
    ex_code code = EX_OK;
    for (size_t n_taken = 0; n_taken < n_lines && code == EX_OK;) {
        bool found = true;
        while (code == EX_OK && found && !eval_batch_is_full(batch)) {
            eval_order order;
            code = eval_desk_order(desk, &order, &found, error);
            if (code == EX_OK && found) code = eval_batch_start(batch, &order, error);
        }
        if (code == EX_OK) code = eval_batch_step(batch, eval_desk_deliver, desk, error);
        for (; code == EX_OK && eval_desk_take(desk, &result); n_taken++) count(tallies, result);
    }
    return code;
}

static ex_code measure(eval_plan *sample, size_t n_parallel, tally *tallies, ex_error *error) {
    eval_batch *batch = NULL;
    eval_desk *desk = NULL;
    const size_t wanted = LINES_PER_POLICY * sample->n_policies, total = eval_run_total(sample->run);
    ex_code code = eval_batch_open(&batch, sample->engine, n_parallel, sample->n_context, error);
    if (code == EX_OK) code = eval_desk_open(&desk, sample, batch, 2 * n_parallel, 0, error);
    if (code == EX_OK) code = draw(batch, desk, wanted < total ? wanted : total, tallies, error);
    eval_desk_close(desk);
    eval_batch_close(batch);
    return code;
}

/* Two digits: what a measurement of a few seconds can tell. */
static double price_of(const tally *one, const tally *reference) {
    if (one->tokens <= 0 || reference->tokens <= 0 || one->seconds <= 0 || reference->seconds <= 0) return 1;
    const double price = one->seconds / one->tokens / (reference->seconds / reference->tokens);
    return (double)(long)(100 * price + 0.5) / 100;
}

ex_code eval_price(eval_plan *plan, const char *folder, size_t n_parallel, ex_error *error) {
    eval_policy *policies;
    eval_plan *sample;
    if (plan->run->budget != EVAL_BUDGET_TIME || adopt(plan, folder)) return EX_OK;
    if (plan->run->n_shards > 1)
        return eval_fail(error, EX_ERROR_ARGUMENT, 0,
                         "--budget time measures this machine and does not go with --shard; --budget tokens does");
    if (plan->run->n_trials > 0)
        return eval_fail(error, EX_ERROR_ARGUMENT, 0,
                         "--budget time does not go with --tune, whose trials have no price yet; --budget tokens does");
    ex_code code = copy_policies(plan, &policies, error);
    if (code != EX_OK) return code;
    const size_t n_policies = plan->n_policies + 1;
    code = eval_plan_derive(&sample, plan, policies, n_policies, EVAL_HALF_ALL, error);
    if (code != EX_OK) return code;
    sample->run->budget = EVAL_BUDGET_NONE;
    sample->run->n_seeds = 1;
    tally *tallies = calloc(n_policies, sizeof *tallies);
    code = tallies ? measure(sample, n_parallel, tallies, error) : eval_fail_memory(error, "prices");
    for (size_t i = 0; i < plan->n_policies && code == EX_OK; i++) {
        const double price = price_of(&tallies[i + 1], &tallies[0]);
        plan->run->policies[i].price = price > 0.01 ? price : 0.01;
    }
    free(tallies);
    eval_plan_close(sample);
    return code;
}
