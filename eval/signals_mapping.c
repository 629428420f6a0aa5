/* signals_mapping.c - from doubt to a probability of being right, learned on one half for the other. */
#include "signals_order.h"

#include <math.h>
#include <stdlib.h>

/* ---- Logistic ---- */

typedef struct logistic {
    double intercept, slope; /* of doubt in standard deviations from its mean */
    double mean, deviation;
} logistic;

static double logistic_probability(const logistic *of, double doubt) {
    return 1 / (1 + exp(-(of->intercept + of->slope * (doubt - of->mean) / of->deviation)));
}

/* Without infinities a mean exists; a constant doubt gets deviation 1, so that the slope stays 0. */
static void standardise(const eval_order *order, logistic *of) {
    double sum = 0, squares = 0;
    for (size_t i = 0; i < order->n; i++) sum += order->entries[i].value;
    of->mean = sum / (double)order->n;
    for (size_t i = 0; i < order->n; i++) {
        double distance = order->entries[i].value - of->mean;
        squares += distance * distance;
    }
    of->deviation = sqrt(squares / (double)order->n);
    if (!(of->deviation > 0)) of->deviation = 1;
}

/* Platt's targets keep the slope finite where doubt separates perfectly; a little ridge does where it does not vary. */
static double loss_of(const eval_order *order, const bool *right, const logistic *of, double high, double low) {
    double loss = 1e-6 * (of->slope * of->slope + of->intercept * of->intercept);
    for (size_t i = 0; i < order->n; i++) {
        double x = of->intercept + of->slope * (order->entries[i].value - of->mean) / of->deviation;
        double target = right[order->entries[i].index] ? high : low;
        loss += fmax(x, 0) - x * target + log1p(exp(-fabs(x))); /* cross entropy */
    }
    return loss;
}

typedef struct newton_step {
    double intercept, slope;
} newton_step;

static newton_step step_of(const eval_order *order, const bool *right, const logistic *of, double high, double low) {
    double g0 = 2e-6 * of->intercept, g1 = 2e-6 * of->slope, h00 = 2e-6, h01 = 0, h11 = 2e-6;
    for (size_t i = 0; i < order->n; i++) {
        double x = (order->entries[i].value - of->mean) / of->deviation;
        double p = logistic_probability(of, order->entries[i].value);
        double miss = p - (right[order->entries[i].index] ? high : low), weight = p * (1 - p);
        g0 += miss;
        g1 += miss * x;
        h00 += weight;
        h01 += weight * x;
        h11 += weight * x * x;
    }
    double determinant = h00 * h11 - h01 * h01;
    return (newton_step){-(h11 * g0 - h01 * g1) / determinant, -(h00 * g1 - h01 * g0) / determinant};
}

static logistic fit_logistic(const eval_order *order, const bool *right) {
    double n_right = 0;
    for (size_t i = 0; i < order->n; i++) n_right += right[order->entries[i].index];
    double high = (n_right + 1) / (n_right + 2), low = 1 / ((double)order->n - n_right + 2);
    logistic of = {0};
    standardise(order, &of);
    double loss = loss_of(order, right, &of, high, low);
    for (int round = 0; round < 100; round++) {
        newton_step step = step_of(order, right, &of, high, low);
        double share = 1, next_loss = INFINITY;
        logistic next = of;
        for (int halving = 0; halving < 30 && !(next_loss <= loss); halving++, share /= 2) {
            next.intercept = of.intercept + share * step.intercept;
            next.slope = of.slope + share * step.slope;
            next_loss = loss_of(order, right, &next, high, low);
        }
        if (!(next_loss < loss)) break;
        of = next;
        if (loss - next_loss < 1e-12 * loss) break;
        loss = next_loss;
    }
    return of;
}

/* ---- Isotonic ---- */

typedef struct block {
    double first, last; /* doubts */
    double sum, n;      /* right answers; answers */
} block;

static double share_of(const block *of) { return of->sum / of->n; }

/* Pools adjacent violators (Ayer et al. 1955) of shares that should rise (`sign` 1) or fall (-1) with doubt. */
static size_t pool(const eval_order *order, const bool *right, int sign, block *blocks) {
    size_t n_blocks = 0;
    for (size_t begin = 0, end; begin < order->n; begin = end) {
        end = eval_order_tie(order, begin);
        double value = order->entries[begin].value;
        block next = {value, value, 0, (double)(end - begin)};
        for (size_t i = begin; i < end; i++) next.sum += right[order->entries[i].index];
        while (n_blocks > 0 && sign * (share_of(&next) - share_of(&blocks[n_blocks - 1])) <= 0) {
            const block *before = &blocks[--n_blocks];
            next = (block){before->first, next.last, before->sum + next.sum, before->n + next.n};
        }
        blocks[n_blocks++] = next;
    }
    return n_blocks;
}

/* Sum of squared errors less what no steps can change: -sum n share^2. */
static double misfit(const block *blocks, size_t n_blocks) {
    double sum = 0;
    for (size_t i = 0; i < n_blocks; i++) sum -= blocks[i].sum * share_of(&blocks[i]);
    return sum;
}

/* The steps end halfway between two blocks. */
static double isotonic_probability(const block *blocks, size_t n_blocks, double doubt) {
    size_t low = 0, high = n_blocks - 1;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (doubt <= (blocks[middle].last + blocks[middle + 1].first) / 2) high = middle;
        else low = middle + 1;
    }
    return share_of(&blocks[low]);
}

/* ---- Both halves ---- */

static bool map_isotonic(const eval_order *from, const eval_order *to, const bool *right, double *probability) {
    block *blocks = calloc(2 * from->n, sizeof *blocks);
    if (!blocks) return false;
    size_t n_falling = pool(from, right, -1, blocks), n_rising = pool(from, right, 1, blocks + from->n);
    bool falls = misfit(blocks, n_falling) <= misfit(blocks + from->n, n_rising);
    for (size_t i = 0; i < to->n; i++) {
        double doubt = to->entries[i].value;
        probability[to->entries[i].index] = falls ? isotonic_probability(blocks, n_falling, doubt)
                                                  : isotonic_probability(blocks + from->n, n_rising, doubt);
    }
    free(blocks);
    return true;
}

static bool map(const eval_order *from, const eval_order *to, const bool *right, eval_mapping mapping,
                double *probability) {
    if (from->n == 0) return true;
    if (mapping == EVAL_ISOTONIC) return map_isotonic(from, to, right, probability);
    logistic of = fit_logistic(from, right);
    for (size_t i = 0; i < to->n; i++)
        probability[to->entries[i].index] = logistic_probability(&of, to->entries[i].value);
    return true;
}

/* The answers of one half, in order. Infinite doubts cannot be fitted and are left out. */
static bool order_of_half(const double *doubt, const unsigned char *half, unsigned char which, size_t n,
                          double *scratch, eval_order *order) {
    for (size_t i = 0; i < n; i++) scratch[i] = half[i] == which && isfinite(doubt[i]) ? doubt[i] : NAN;
    return eval_order_open(order, scratch, n);
}

bool eval_right_probability(const double *doubt, const bool *right, const uint32_t *group, size_t n,
                            eval_mapping mapping, uint64_t seed, double *probability) {
    if (n == 0) return true;
    size_t n_groups = 0;
    unsigned char *half = calloc(n, sizeof *half);
    double *scratch = calloc(n, sizeof *scratch);
    eval_order orders[2] = {{0}};
    bool ok = half && scratch && eval_halves(group, n, seed, half, &n_groups) &&
              order_of_half(doubt, half, 0, n, scratch, &orders[0]) &&
              order_of_half(doubt, half, 1, n, scratch, &orders[1]);
    for (size_t i = 0; i < n; i++) probability[i] = NAN;
    for (int which = 0; ok && which < 2; which++)
        ok = map(&orders[!which], &orders[which], right, mapping, probability);
    eval_order_close(&orders[0]);
    eval_order_close(&orders[1]);
    free(half);
    free(scratch);
    return ok;
}
