/* stage_truncate.c - temperature, and the stages that drop tokens by the distribution alone. Formulas and sources:
 * docs/SAMPLER.md. */
#include <math.h>

#include "base/rng.h"
#include "sampler/stage.h"

void ex_stage_temperature(ex_stage_run *run) {
    double temperature = run->decision->temperature;
    if (run->policy->dynatemp_range > 0) {
        double range = run->policy->dynatemp_range, lowest = fmax(0, temperature - range), entropy;
        double most = log((double)ex_stage_count(run));
        if (most <= 0) return;
        ex_stage_total(run, &entropy);
        double share = pow(fmin(1, entropy / most), run->policy->dynatemp_exponent);
        temperature = lowest + (temperature + range - lowest) * share;
    }
    if (temperature <= 0) {
        ex_stage_keep_likeliest(run, 1);
        return;
    }
    run->divisor *= temperature;
    run->is_weighed = false;
}

/* ---- by rank and weight ---------------------------------------------------------------------------------------- */

void ex_stage_top_k(ex_stage_run *run) {
    int32_t top_k = run->decision->top_k;
    if (top_k > 0 && (size_t)top_k < run->input->n_vocab) ex_stage_keep_likeliest(run, (size_t)top_k);
}

void ex_stage_min_p(ex_stage_run *run) { ex_stage_keep_weight(run, run->decision->min_p); }

typedef struct mass_before {
    double mass, limit; /* weights */
} mass_before;

static bool is_at_most(void *context, const ex_stage_entry *next) {
    mass_before *before = context;
    bool goes_on = before->mass <= before->limit;
    before->mass += next->weight;
    return goes_on;
}

static bool is_below(void *context, const ex_stage_entry *next) {
    mass_before *before = context;
    bool goes_on = before->mass < before->limit;
    before->mass += next->weight;
    return goes_on;
}

void ex_stage_top_p(ex_stage_run *run) {
    double top_p = run->decision->top_p;
    if (top_p >= 1) return;
    mass_before before = {0, 0};
    if (run->is_dense && !ex_chain_is_plain(run->chain)) { /* that must add up as ex_filter does */
        before.limit = top_p * ex_stage_total(run, NULL);
        if (ex_stage_keep_head(run, is_at_most, &before)) return;
    }
    ex_stage_weigh(run);
    before = (mass_before){0, top_p * ex_stage_total(run, NULL)};
    ex_stage_keep_first(run, EX_LIKELIEST_FIRST, 0, is_at_most, &before);
}

/* The original program walked from the wrong end, and over probabilities that top_k had not made whole again: this
 * drops at most the likeliest. */
void ex_stage_top_p_ascending(ex_stage_run *run) {
    double top_p = run->decision->top_p;
    if (top_p >= 1) return;
    ex_stage_weigh(run);
    mass_before before = {0, top_p * ex_stage_whole(run)};
    ex_stage_keep_first(run, EX_LEAST_LIKELY_FIRST, 0, is_at_most, &before);
}

/* ---- by entropy ------------------------------------------------------------------------------------------------ */

void ex_stage_typical(ex_stage_run *run) {
    double entropy;
    ex_stage_weigh(run);
    double total = ex_stage_total(run, &entropy);
    mass_before before = {0, run->policy->typical_p * total};
    /* -ln p - H = ln total - exponent - H: typical is an exponent near ln total - H. */
    ex_stage_keep_first(run, EX_MOST_TYPICAL_FIRST, log(total) - entropy, is_below, &before);
}

typedef struct bounded_entropy {
    const ex_stage_run *run;
    double sum, sum_x; /* of the weights, and of weight times exponent */
    double most;       /* nats */
} bounded_entropy;

static bool stays_bounded(void *context, const ex_stage_entry *next) {
    bounded_entropy *bounded = context;
    if (next->weight == 0) return false;
    bounded->sum += next->weight;
    bounded->sum_x += next->weight * ex_stage_exponent(bounded->run, next->logit);
    return log(bounded->sum) - bounded->sum_x / bounded->sum <= bounded->most;
}

void ex_stage_top_h(ex_stage_run *run) {
    double entropy;
    ex_stage_total(run, &entropy);
    const bounded_entropy none = {.run = run, .most = run->policy->top_h * entropy};
    bounded_entropy bounded = none;
    if (ex_stage_keep_head(run, stays_bounded, &bounded)) return;
    bounded = none;
    ex_stage_weigh(run);
    ex_stage_keep_first(run, EX_LIKELIEST_FIRST, 0, stays_bounded, &bounded);
}

void ex_stage_epsilon(ex_stage_run *run) {
    ex_stage_keep_weight(run, run->policy->epsilon_cutoff * ex_stage_total(run, NULL));
}

void ex_stage_eta(ex_stage_run *run) {
    double entropy, total = ex_stage_total(run, &entropy), cutoff = run->policy->eta_cutoff;
    ex_stage_keep_weight(run, fmin(cutoff, sqrt(cutoff) * exp(-entropy)) * total);
}

/* ---- by logit -------------------------------------------------------------------------------------------------- */

enum { LANES = 8 };

typedef struct moments { /* of logit - maximum */
    double count[LANES], sum[LANES], squares[LANES];
} moments;

static inline void add_moment(moments *sums, size_t lane, float logit, double maximum) {
    double is_finite = logit > -INFINITY ? 1 : 0, x = logit > -INFINITY ? (double)logit - maximum : 0;
    sums->count[lane] += is_finite;
    sums->sum[lane] += x;
    sums->squares[lane] += x * x;
}

void ex_stage_top_n_sigma(ex_stage_run *run) {
    moments sums = {{0}, {0}, {0}};
    const double maximum = (double)run->maximum;
    const size_t n = run->is_dense ? run->input->n_vocab : run->count;
    if (run->is_dense) {
        size_t i = 0;
        for (; i + LANES <= n; i += LANES)
            for (size_t lane = 0; lane < LANES; lane++) add_moment(&sums, lane, run->logits[i + lane], maximum);
        for (; i < n; i++) add_moment(&sums, 0, run->logits[i], maximum);
    } else {
        for (size_t i = 0; i < n; i++) add_moment(&sums, 0, run->entries[i].logit, maximum);
    }
    double count = 0, sum = 0, squares = 0;
    for (size_t lane = 0; lane < LANES; lane++) {
        count += sums.count[lane];
        sum += sums.sum[lane];
        squares += sums.squares[lane];
    }
    double mean = sum / count, deviation = sqrt(fmax(0, squares / count - mean * mean));
    ex_stage_keep_logit(run, maximum - run->policy->top_n_sigma * deviation);
}

/* ---- by chance ------------------------------------------------------------------------------------------------- */

enum { XTC_DRAW = 128 }; /* the sampler's own draws come before */

void ex_stage_xtc(ex_stage_run *run) {
    const ex_random_key key = run->step->key;
    double uniform = ex_uniform(key.seed, key.sequence, key.position, key.attempt, XTC_DRAW);
    if (uniform >= run->policy->xtc_probability) return;
    ex_stage_weigh(run);
    double least = run->policy->xtc_threshold * ex_stage_total(run, NULL);
    const ex_stage_entry *last = NULL;
    for (size_t i = 0; i < run->count; i++) {
        const ex_stage_entry *entry = &run->entries[i];
        if (entry->weight < least) continue;
        bool is_later = !last || entry->logit < last->logit ||
                        (entry->logit == last->logit && entry->token > last->token);
        if (is_later) last = entry;
    }
    if (!last) return;
    const int32_t spared = last->token;
    size_t kept = 0;
    for (size_t i = 0; i < run->count; i++)
        if (run->entries[i].weight < least || run->entries[i].token == spared) run->entries[kept++] = run->entries[i];
    run->count = kept;
    const bool was_sorted = run->is_sorted;
    ex_stage_dropped(run);
    run->is_sorted = was_sorted;
}
