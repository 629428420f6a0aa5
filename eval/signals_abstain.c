/* signals_abstain.c - risk and coverage: what abstaining above a threshold of doubt gives and takes. */
#include "signals_order.h"

#include <math.h>
#include <stdlib.h>

static void finish(eval_abstention *of, size_t n_wrong_answered) {
    of->n_wrong_avoided = of->n_wrong - n_wrong_answered;
    of->n_right_lost = of->n - of->n_answered - of->n_wrong_avoided;
    of->coverage = of->n ? (double)of->n_answered / (double)of->n : NAN;
    of->risk = of->n_answered ? (double)n_wrong_answered / (double)of->n_answered : NAN;
}

/* Sum of the risks at begin + 1 ... end answers when the ties between come in random order. */
static double risks_between(size_t begin, size_t end, double wrong_before, double wrong_between) {
    double sum = 0;
    for (size_t i = begin; i < end; i++) {
        double share = (double)(i + 1 - begin) / (double)(end - begin);
        sum += (wrong_before + share * wrong_between) / (double)(i + 1);
    }
    return sum;
}

bool eval_risk_coverage(const double *doubt, const bool *wrong, size_t n, eval_abstention *points,
                        eval_risk_curve *curve) {
    *curve = (eval_risk_curve){.area = NAN, .area_best = NAN, .area_random = NAN};
    eval_order order;
    if (!eval_order_open(&order, doubt, n)) return false;
    size_t n_wrong = 0, n_wrong_answered = 0;
    double area = 0;
    for (size_t i = 0; i < order.n; i++) n_wrong += wrong[order.entries[i].index];
    for (size_t begin = 0, end; begin < order.n; begin = end) {
        size_t before = n_wrong_answered;
        end = eval_order_tie(&order, begin);
        for (size_t i = begin; i < end; i++) n_wrong_answered += wrong[order.entries[i].index];
        area += risks_between(begin, end, (double)before, (double)(n_wrong_answered - before));
        eval_abstention point = {
            .threshold = order.entries[begin].value, .n = order.n, .n_answered = end, .n_wrong = n_wrong};
        finish(&point, n_wrong_answered);
        if (points) points[curve->n_points] = point;
        curve->n_points++;
    }
    curve->n = order.n;
    if (order.n > 0) {
        curve->area = area / (double)order.n;
        curve->area_best = risks_between(order.n - n_wrong, order.n, 0, (double)n_wrong) / (double)order.n;
        curve->area_random = (double)n_wrong / (double)order.n;
    }
    eval_order_close(&order);
    return true;
}

eval_abstention eval_abstain(const double *doubt, const bool *wrong, size_t n, double threshold) {
    eval_abstention out = {.threshold = threshold};
    size_t n_wrong_answered = 0;
    for (size_t i = 0; i < n; i++) {
        if (isnan(doubt[i])) continue;
        out.n++;
        out.n_wrong += wrong[i];
        if (!(doubt[i] <= threshold)) continue;
        out.n_answered++;
        n_wrong_answered += wrong[i];
    }
    finish(&out, n_wrong_answered);
    return out;
}

bool eval_coverage_threshold(const double *doubt, size_t n, double coverage, double *threshold) {
    *threshold = NAN;
    eval_order order;
    if (!eval_order_open(&order, doubt, n)) return false;
    if (order.n > 0) {
        double wanted = ceil(fmin(1, coverage) * (double)order.n - 1e-9); /* 0.9 of 10 is 9 */
        *threshold = wanted < 1 ? -INFINITY : order.entries[(size_t)wanted - 1].value;
    }
    eval_order_close(&order);
    return true;
}
