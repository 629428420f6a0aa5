/* calibrate_thresholds.c - from metrics of many positions to thresholds with stated shares. A threshold lies between
 * two neighbours of a sorted list, at the shortest decimal there. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "generate/calibrate.h"

enum { DIGITS_MAX = 15 };
static const double ENTROPY_NEVER = 1000, VARENTROPY_NEVER = 10000; /* the largest that a policy may have */

static int compare(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void ex_sort_numbers(double *numbers, size_t n) { qsort(numbers, n, sizeof *numbers, compare); }

double ex_quantile(const double *sorted, size_t n, double probability) {
    const double at = probability * (double)(n - 1);
    const size_t below = (size_t)at < n - 1 ? (size_t)at : n - 1, above = below + 1 < n ? below + 1 : below;
    return sorted[below] + (at - (double)below) * (sorted[above] - sorted[below]);
}

static double round_digits(double value, int digits) {
    if (value == 0) return 0;
    const double unit = pow(10, floor(log10(fabs(value))) + 1 - digits);
    return unit < 1 ? round(value / unit) / round(1 / unit) : round(value / unit) * unit;
}

static double shortest_between(double low, double high) {
    const double middle = low + (high - low) / 2;
    for (int digits = 2; digits <= DIGITS_MAX; digits++) {
        const double value = round_digits(middle, digits);
        if (value > low && value < high) return value;
    }
    return middle;
}

/* A value that `count` of the numbers lie below, as near as equal numbers allow; `never` is above all. */
static double cut(const double *sorted, size_t n, size_t count, double never) {
    if (count == 0 || n == 0) return 0;
    if (count >= n) return never;
    size_t first = count, end = count;
    while (first > 0 && sorted[first - 1] == sorted[count]) first--;
    while (end < n && sorted[end] == sorted[count]) end++;
    const size_t at = count - first <= end - count ? first : end;
    if (at == 0) return 0;
    return at == n ? never : shortest_between(sorted[at - 1], sorted[at]);
}

typedef struct sample {
    const double *entropy, *varentropy;       /* [n] pairs */
    double *by_entropy, *by_varentropy;       /* [n] ascending */
    double *chosen;                           /* [n] entropies of some */
    size_t n;
} sample;

static size_t count_within(const sample *s, double entropy, double varentropy) {
    size_t count = 0;
    for (size_t i = 0; i < s->n; i++) count += s->entropy[i] <= entropy && s->varentropy[i] <= varentropy;
    return count;
}

/* How many positions of each list by itself give `wanted` that are low in both. */
static size_t equal_margins(const sample *s, size_t wanted) {
    size_t low = 0, high = s->n;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const size_t last = middle > 0 ? middle - 1 : 0;
        const bool enough =
            wanted == 0 || (middle > 0 && count_within(s, s->by_entropy[last], s->by_varentropy[last]) >= wanted);
        if (enough) high = middle;
        else low = middle + 1;
    }
    return low;
}

/* Entropies of positions with low (or else high) varentropy, ascending. */
static size_t choose(const sample *s, double bound, bool below) {
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++)
        if (below ? s->varentropy[i] < bound : s->varentropy[i] > bound) s->chosen[n++] = s->entropy[i];
    ex_sort_numbers(s->chosen, n);
    return n;
}

static size_t count_of(double share, size_t n) { return (size_t)llround(share * (double)n); }

/* Greedy and clarify share the positions of low varentropy: the lowest entropies of them and the highest. Half of all
 * positions count as low where clarify needs some; otherwise it would ask where the model is sure. */
static void solve_low(const sample *s, const ex_shares *shares, ex_policy *policy) {
    const size_t greedy = count_of(shares->greedy, s->n), clarify = count_of(shares->clarify, s->n);
    const size_t most = s->n - count_of(shares->explore + shares->high_uncertainty, s->n);
    size_t low = equal_margins(s, greedy);
    if (clarify > 0 && low < s->n / 2) low = s->n / 2;
    if (low < greedy + clarify) low = greedy + clarify;
    if (low > most) low = most;
    policy->low_varentropy = cut(s->by_varentropy, s->n, low, VARENTROPY_NEVER);
    const size_t n = choose(s, policy->low_varentropy, true);
    policy->low_entropy = cut(s->chosen, n, greedy, ENTROPY_NEVER);
    policy->clarify_entropy = cut(s->chosen, n, n > clarify ? n - clarify : 0, ENTROPY_NEVER);
    if (clarify == 0) policy->clarify_entropy = ENTROPY_NEVER;
    if (policy->clarify_entropy < policy->low_entropy) policy->clarify_entropy = policy->low_entropy;
}

/* Explore and high uncertainty share those of high varentropy, one entropy between them. */
static void solve_high(const sample *s, const ex_shares *shares, ex_policy *policy) {
    const size_t explore = count_of(shares->explore, s->n);
    const size_t high = count_of(shares->explore + shares->high_uncertainty, s->n);
    policy->high_varentropy = cut(s->by_varentropy, s->n, s->n - high, VARENTROPY_NEVER);
    if (policy->high_varentropy < policy->low_varentropy) policy->high_varentropy = policy->low_varentropy;
    const size_t n = choose(s, policy->high_varentropy, false);
    policy->explore_entropy = policy->high_entropy = cut(s->chosen, n, explore, ENTROPY_NEVER);
}

static ex_code check_shares(const ex_shares *shares, ex_error *error) {
    const double parts[] = {shares->greedy, shares->clarify, shares->explore, shares->high_uncertainty};
    double sum = 0;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (!(parts[i] >= 0 && parts[i] <= 1))
            return ex_fail(error, EX_ERROR_ARGUMENT, 0, "a share must be from 0 to 1, not %g", parts[i]);
        sum += parts[i];
    }
    if (sum <= 1 + 1e-9) return EX_OK;
    return ex_fail(error, EX_ERROR_ARGUMENT, 0, "the shares add up to %g, and 1 is all there is", sum);
}

ex_code ex_solve_thresholds(const double *entropy, const double *varentropy, size_t n, const ex_shares *shares,
                            ex_policy *policy, ex_error *error) {
    ex_code code = check_shares(shares, error);
    if (code != EX_OK) return code;
    if (n == 0) return ex_fail(error, EX_ERROR_ARGUMENT, 0, "there is no position to calibrate on");
    double *memory = ex_allocate(n, 3 * sizeof *memory);
    if (!memory) return ex_fail_memory(error, "thresholds");
    const sample s = {entropy, varentropy, memory, memory + n, memory + 2 * n, n};
    memcpy(s.by_entropy, entropy, n * sizeof *entropy);
    memcpy(s.by_varentropy, varentropy, n * sizeof *varentropy);
    ex_sort_numbers(s.by_entropy, n);
    ex_sort_numbers(s.by_varentropy, n);
    solve_low(&s, shares, policy);
    solve_high(&s, shares, policy);
    if (policy->rewind > 0) {
        const double share = fmin(fmax(1 - 2.0 / policy->rewind, 0.5), 0.95); /* two of those that can be taken back */
        policy->uncertain_entropy = round_digits(ex_quantile(s.by_entropy, n, share), 4);
    }
    free(memory);
    return EX_OK;
}
