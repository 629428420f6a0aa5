/* signals_roc.c - the area under the ROC curve with its interval, and the curve. */
#include "signals_order.h"

#include <math.h>
#include <stdlib.h>

static const double normal_97_5 = 1.959963984540054;

static void count_classes(const eval_order *order, const bool *positive, eval_roc *roc) {
    for (size_t i = 0; i < order->n; i++) {
        if (positive[order->entries[i].index]) roc->n_positive++;
        else roc->n_negative++;
    }
}

/* DeLong's placements: for a positive the share of negatives below it, for a negative the share of positives above
 * it, ties half. In order of `order`; the mean over either class is the area. */
static void place(const eval_order *order, const bool *positive, const eval_roc *roc, double *placements) {
    size_t positives_below = 0, negatives_below = 0;
    for (size_t begin = 0, end; begin < order->n; begin = end) {
        size_t positives = 0, negatives = 0;
        end = eval_order_tie(order, begin);
        for (size_t i = begin; i < end; i++) *(positive[order->entries[i].index] ? &positives : &negatives) += 1;
        double below = (double)negatives_below + (double)negatives / 2;
        double above = (double)(roc->n_positive - positives_below) - (double)positives / 2;
        for (size_t i = begin; i < end; i++) {
            bool is_positive = positive[order->entries[i].index];
            placements[i] = is_positive ? below / (double)roc->n_negative : above / (double)roc->n_positive;
        }
        positives_below += positives;
        negatives_below += negatives;
    }
}

typedef struct group_sums {
    uint32_t group;
    double positive, negative; /* placements less the area, summed */
    size_t n_positive, n_negative;
} group_sums;

static int compare_groups(const void *left, const void *right) {
    const group_sums *a = left, *b = right;
    return (a->group > b->group) - (a->group < b->group);
}

static size_t merge_groups(group_sums *sums, size_t n) {
    size_t n_groups = 0;
    qsort(sums, n, sizeof *sums, compare_groups);
    for (size_t i = 0; i < n; i++) {
        if (n_groups == 0 || sums[n_groups - 1].group != sums[i].group) {
            sums[n_groups++] = sums[i];
            continue;
        }
        group_sums *into = &sums[n_groups - 1];
        into->positive += sums[i].positive;
        into->negative += sums[i].negative;
        into->n_positive += sums[i].n_positive;
        into->n_negative += sums[i].n_negative;
    }
    return n_groups;
}

static double less_one(size_t n) { return (double)n / (double)(n - 1); }

/* Obuchowski's variance. Where each group has one answer the last term is zero and it is DeLong's. */
static double variance_of(const group_sums *sums, size_t n_groups, const eval_roc *roc, size_t *with_positive,
                          size_t *with_negative) {
    double positive = 0, negative = 0, both = 0;
    *with_positive = *with_negative = 0;
    for (size_t i = 0; i < n_groups; i++) {
        positive += sums[i].positive * sums[i].positive;
        negative += sums[i].negative * sums[i].negative;
        both += sums[i].positive * sums[i].negative;
        *with_positive += sums[i].n_positive > 0;
        *with_negative += sums[i].n_negative > 0;
    }
    if (*with_positive < 2 || *with_negative < 2) return NAN;
    double n_positive = (double)roc->n_positive, n_negative = (double)roc->n_negative;
    return less_one(*with_positive) * positive / (n_positive * n_positive) +
           less_one(*with_negative) * negative / (n_negative * n_negative) +
           less_one(n_groups) * 2 * both / (n_positive * n_negative);
}

/* Newcombe's interval for an area of 1: it ends where 1 is 1.96 of Hanley and McNeil's standard deviations away. */
static double lowest_of_one(double n_positive, double n_negative) {
    double low = 0.5, high = 1, spread = (n_positive + n_negative) / 2 - 1;
    for (int i = 0; i < 60; i++) {
        double area = (low + high) / 2, rest = 1 - area;
        double variance = area * rest / (n_positive * n_negative) *
                          (1 + spread * rest / (2 - area) + spread * area / (1 + area));
        if (rest > normal_97_5 * sqrt(variance)) low = area;
        else high = area;
    }
    return low;
}

static void interval_of(double variance, size_t with_positive, size_t with_negative, eval_interval *area) {
    if (area->value <= 0 || area->value >= 1) {
        double reach = 1 - lowest_of_one((double)with_positive, (double)with_negative);
        area->low = area->value <= 0 ? 0 : 1 - reach;
        area->high = area->value <= 0 ? reach : 1;
        return;
    }
    if (isnan(variance)) return;
    double logit = log(area->value / (1 - area->value));
    double half = normal_97_5 * sqrt(fmax(0, variance)) / (area->value * (1 - area->value));
    area->low = 1 / (1 + exp(half - logit));
    area->high = 1 / (1 + exp(-half - logit));
}

static bool measure(const eval_order *order, const bool *positive, const uint32_t *group, eval_roc *roc) {
    double *placements = calloc(order->n, sizeof *placements);
    group_sums *sums = calloc(order->n, sizeof *sums);
    if (placements && sums) {
        place(order, positive, roc, placements);
        double sum = 0;
        for (size_t i = 0; i < order->n; i++)
            if (positive[order->entries[i].index]) sum += placements[i];
        roc->area.value = sum / (double)roc->n_positive;
        for (size_t i = 0; i < order->n; i++) {
            size_t index = order->entries[i].index;
            double deviation = placements[i] - roc->area.value;
            sums[i].group = group ? group[index] : (uint32_t)i;
            if (positive[index]) sums[i].positive = deviation, sums[i].n_positive = 1;
            else sums[i].negative = deviation, sums[i].n_negative = 1;
        }
        size_t with_positive, with_negative, n_groups = merge_groups(sums, order->n);
        double variance = variance_of(sums, n_groups, roc, &with_positive, &with_negative);
        interval_of(variance, with_positive, with_negative, &roc->area);
    }
    bool ok = placements && sums;
    free(placements);
    free(sums);
    return ok;
}

bool eval_roc_area(const double *score, const bool *positive, const uint32_t *group, size_t n, eval_roc *roc) {
    *roc = (eval_roc){.area = {NAN, NAN, NAN}};
    eval_order order;
    if (!eval_order_open(&order, score, n)) return false;
    count_classes(&order, positive, roc);
    bool ok = roc->n_positive == 0 || roc->n_negative == 0 || measure(&order, positive, group, roc);
    eval_order_close(&order);
    return ok;
}

bool eval_roc_points(const double *score, const bool *positive, size_t n, eval_roc_point *points, size_t *n_points) {
    *n_points = 0;
    eval_order order;
    if (!eval_order_open(&order, score, n)) return false;
    eval_roc classes = {0};
    count_classes(&order, positive, &classes);
    if (classes.n_positive > 0 && classes.n_negative > 0) {
        size_t positives = 0, negatives = 0;
        points[(*n_points)++] = (eval_roc_point){0, 0, INFINITY};
        for (size_t i = order.n; i-- > 0;) { /* the highest first */
            *(positive[order.entries[i].index] ? &positives : &negatives) += 1;
            if (i > 0 && order.entries[i - 1].value == order.entries[i].value) continue;
            points[(*n_points)++] = (eval_roc_point){(double)negatives / (double)classes.n_negative,
                                                     (double)positives / (double)classes.n_positive,
                                                     order.entries[i].value};
        }
    }
    eval_order_close(&order);
    return true;
}
