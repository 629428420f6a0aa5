/* stage_steer.c - the stages that steer the surprise of the chosen tokens towards a target: mirostat 1 and 2 and
 * adaptive-p. Their state is carried from token to token. */
#include <float.h>
#include <math.h>

#include "sampler/stage.h"

/* ---- mirostat -------------------------------------------------------------------------------------------------- */

static double surprise_limit(const ex_policy *policy, const ex_carried *carried) {
    return carried->mirostat_surprise == 0 ? 2 * policy->mirostat_tau : carried->mirostat_surprise;
}

enum { ZIPF_RANKS = 100 }; /* from which the exponent is estimated */

typedef struct zipf_walk {
    const ex_stage_run *run;
    double limit; /* bits */
    size_t n, rank, keep;
    double last, products, squares;
} zipf_walk;

/* How many tokens have a surprise below the limit when probability falls with rank to the power -s. */
static size_t count_unsurprising(const zipf_walk *walk) {
    if (walk->squares == 0 || walk->products <= 0) return walk->n;
    const double s = walk->products / walk->squares, epsilon = s - 1, n = (double)walk->n;
    const double share = fabs(epsilon) < 1e-9 ? 1 / log(n) : epsilon / (1 - pow(n, -epsilon));
    const double k = round(pow(share * exp2(walk->limit), 1 / s));
    if (!(k < n)) return walk->n;
    return k < 1 ? 1 : (size_t)k;
}

static bool walk_ranks(void *context, const ex_stage_entry *next) {
    zipf_walk *walk = context;
    const double exponent = ex_stage_exponent(walk->run, next->logit);
    const size_t rank = walk->rank++;
    if (rank > 0 && rank < ZIPF_RANKS) {
        const double t = log((double)(rank + 1) / (double)rank);
        walk->products += t * (walk->last - exponent);
        walk->squares += t * t;
    }
    walk->last = exponent;
    if (rank + 1 < ZIPF_RANKS) return true;
    if (rank + 1 == ZIPF_RANKS) walk->keep = count_unsurprising(walk);
    return rank < walk->keep;
}

static void keep_by_zipf(ex_stage_run *run, double limit) {
    const zipf_walk none = {.run = run, .limit = limit, .n = ex_stage_count(run)};
    zipf_walk walk = none;
    if (ex_stage_keep_head(run, walk_ranks, &walk)) {
        run->count = run->count < walk.keep ? run->count : walk.keep;
        return;
    }
    walk = none;
    ex_stage_weigh(run);
    ex_stage_keep_first(run, EX_LIKELIEST_FIRST, 0, walk_ranks, &walk);
    if (walk.rank < ZIPF_RANKS) walk.keep = count_unsurprising(&walk);
    if (run->count > walk.keep) run->count = walk.keep;
}

void ex_stage_mirostat(ex_stage_run *run) {
    const double limit = surprise_limit(run->policy, &run->step->carried);
    run->entering = ex_stage_total(run, NULL);
    run->chain->steered = true;
    if (run->policy->mirostat == 1)
        keep_by_zipf(run, limit);
    else
        ex_stage_keep_weight(run, exp2(-limit) * run->entering);
}

void ex_mirostat_accept(const ex_policy *policy, double entering, ex_carried *carried) {
    const double surprise = -log2(fmax(entering, DBL_MIN));
    double limit = surprise_limit(policy, carried) - policy->mirostat_eta * (surprise - policy->mirostat_tau);
    carried->mirostat_surprise = limit == 0 ? DBL_MIN : limit; /* 0 would begin anew */
}

/* ---- adaptive-p ------------------------------------------------------------------------------------------------ */

static const double WIDTH = 0.3, SHARPNESS = 10;

static void begin_adaptive(const ex_policy *policy, ex_carried *carried) {
    if (carried->adaptive_weight > 0) return;
    carried->adaptive_weight = 1 / (1 - policy->adaptive_decay);
    carried->adaptive_sum = policy->adaptive_target * carried->adaptive_weight;
}

void ex_stage_adaptive(ex_stage_run *run) {
    ex_carried carried = run->step->carried;
    begin_adaptive(run->policy, &carried);
    double target = 2 * run->policy->adaptive_target - carried.adaptive_sum / carried.adaptive_weight;
    target = fmin(fmax(target, 0), 1);
    ex_stage_weigh(run);
    run->entering = ex_stage_total(run, NULL);
    run->chain->steered = true;
    for (size_t i = 0; i < run->count; i++) {
        ex_stage_entry *entry = &run->entries[i];
        if (entry->weight == 0) continue;
        double distance = fabs(entry->weight / run->entering - target) / WIDTH;
        entry->weight = exp(-SHARPNESS * distance * distance / (1 + distance));
    }
    run->is_reweighed = true;
}

void ex_adaptive_accept(const ex_policy *policy, double entering, ex_carried *carried) {
    begin_adaptive(policy, carried);
    carried->adaptive_sum = entering + policy->adaptive_decay * carried->adaptive_sum;
    carried->adaptive_weight = 1 + policy->adaptive_decay * carried->adaptive_weight;
}
