/* statistics.c - exact tests, and correction for many of them. */
#include "statistics.h"

#include <math.h>
#include <stdlib.h>

double eval_mcnemar_p(size_t n_only_a, size_t n_only_b) {
    size_t n = n_only_a + n_only_b, smaller = n_only_a < n_only_b ? n_only_a : n_only_b;
    double term = -(double)n * log(2); /* log of the binomial probability of k of n */
    double tail = 0;
    for (size_t k = 0;; k++) {
        tail += exp(term);
        if (k == smaller) break;
        term += log((double)(n - k) / (double)(k + 1));
    }
    return fmin(1, 2 * tail);
}

/* -1 below one half, 0 at it, 1 above; -2 without a complete pair. `other` says which pairs are complete. */
static int majority_of_seeds(const double *scores, const double *other, size_t n_seeds) {
    double sum = 0, n = 0;
    for (size_t i = 0; i < n_seeds; i++) {
        if (!isfinite(scores[i]) || !isfinite(other[i])) continue;
        sum += scores[i];
        n++;
    }
    if (n == 0) return -2;
    double above = sum / n - 0.5;
    return above > 1e-9 ? 1 : above < -1e-9 ? -1 : 0;
}

eval_discordance eval_mcnemar(const double *a, const double *b, size_t n_questions, size_t n_seeds) {
    eval_discordance out = {0};
    for (size_t question = 0; question < n_questions; question++) {
        const double *of_a = a + question * n_seeds, *of_b = b + question * n_seeds;
        int side_a = majority_of_seeds(of_a, of_b, n_seeds), side_b = majority_of_seeds(of_b, of_a, n_seeds);
        if (side_a == -2) continue;
        if (side_a == 0 || side_b == 0) out.n_undecided++;
        else if (side_a > 0) *(side_b > 0 ? &out.n_both : &out.n_only_a) += 1;
        else *(side_b > 0 ? &out.n_only_b : &out.n_neither) += 1;
    }
    out.p = eval_mcnemar_p(out.n_only_a, out.n_only_b);
    return out;
}

typedef struct ranked {
    double p;
    size_t index;
} ranked;

static int compare_ranked(const void *left, const void *right) {
    const ranked *a = left, *b = right;
    if (a->p != b->p) return a->p < b->p ? -1 : 1;
    return (a->index > b->index) - (a->index < b->index);
}

bool eval_holm(const double *p, size_t n, double *adjusted) {
    if (n == 0) return true;
    ranked *order = calloc(n, sizeof *order);
    if (!order) return false;
    size_t n_tests = 0;
    for (size_t i = 0; i < n; i++) {
        adjusted[i] = p[i];
        if (!isnan(p[i])) order[n_tests++] = (ranked){p[i], i};
    }
    qsort(order, n_tests, sizeof *order, compare_ranked);
    double largest = 0;
    for (size_t i = 0; i < n_tests; i++) {
        largest = fmin(1, fmax(largest, (double)(n_tests - i) * order[i].p));
        adjusted[order[i].index] = largest;
    }
    free(order);
    return true;
}
