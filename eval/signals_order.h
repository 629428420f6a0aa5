/* signals_order.h - answers by rising doubt, and questions in two halves: what the measures of signals.h begin with. */
#ifndef EVAL_SIGNALS_ORDER_H
#define EVAL_SIGNALS_ORDER_H

#include "signals.h"

typedef struct eval_order_entry {
    double value;
    size_t index;
} eval_order_entry;

typedef struct eval_order {
    eval_order_entry *entries; /* [n] rising; equal values by index */
    size_t n;                  /* values that are not NaN */
} eval_order;

bool eval_order_open(eval_order *order, const double *values, size_t n);
void eval_order_close(eval_order *order);

/* The first entry after `begin` that has another value, or n. */
size_t eval_order_tie(const eval_order *order, size_t begin);

/* half[i] is 0 or 1: groups shuffled by `seed` and dealt in turn, so that the halves differ by at most one group.
 * Returns in *n_groups how many there are. */
bool eval_halves(const uint32_t *group, size_t n, uint64_t seed, unsigned char *half, size_t *n_groups);

#endif
