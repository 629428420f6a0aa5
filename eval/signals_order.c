/* signals_order.c - answers by rising doubt, and questions in two halves. */
#include "signals_order.h"
#include "statistics_random.h"

#include <math.h>
#include <stdlib.h>

static int compare_entries(const void *left, const void *right) {
    const eval_order_entry *a = left, *b = right;
    if (a->value != b->value) return a->value < b->value ? -1 : 1;
    return (a->index > b->index) - (a->index < b->index);
}

bool eval_order_open(eval_order *order, const double *values, size_t n) {
    *order = (eval_order){0};
    if (n == 0) return true;
    order->entries = calloc(n, sizeof *order->entries);
    if (!order->entries) return false;
    for (size_t i = 0; i < n; i++)
        if (!isnan(values[i])) order->entries[order->n++] = (eval_order_entry){values[i], i};
    qsort(order->entries, order->n, sizeof *order->entries, compare_entries);
    return true;
}

void eval_order_close(eval_order *order) {
    free(order->entries);
    *order = (eval_order){0};
}

size_t eval_order_tie(const eval_order *order, size_t begin) {
    size_t end = begin + 1;
    while (end < order->n && order->entries[end].value == order->entries[begin].value) end++;
    return end;
}

typedef struct member {
    uint32_t group;
    size_t index;
} member;

static int compare_members(const void *left, const void *right) {
    const member *a = left, *b = right;
    if (a->group != b->group) return a->group < b->group ? -1 : 1;
    return (a->index > b->index) - (a->index < b->index);
}

/* begins[k]: the first member of the k-th group. */
static size_t find_groups(const member *members, size_t n, size_t *begins) {
    size_t n_groups = 0;
    for (size_t i = 0; i < n; i++)
        if (i == 0 || members[i].group != members[i - 1].group) begins[n_groups++] = i;
    return n_groups;
}

static void shuffle(size_t *values, size_t n, uint64_t seed) {
    for (size_t i = n; i > 1; i--) {
        size_t other = eval_random_index(&seed, i), value = values[i - 1];
        values[i - 1] = values[other];
        values[other] = value;
    }
}

bool eval_halves(const uint32_t *group, size_t n, uint64_t seed, unsigned char *half, size_t *n_groups) {
    *n_groups = 0;
    if (n == 0) return true;
    member *members = calloc(n, sizeof *members);
    size_t *begins = calloc(n, sizeof *begins);
    if (members && begins) {
        for (size_t i = 0; i < n; i++) members[i] = (member){group ? group[i] : (uint32_t)i, i};
        qsort(members, n, sizeof *members, compare_members);
        *n_groups = find_groups(members, n, begins);
        shuffle(begins, *n_groups, seed);
        for (size_t k = 0; k < *n_groups; k++)
            for (size_t i = begins[k]; i < n && members[i].group == members[begins[k]].group; i++)
                half[members[i].index] = k % 2;
    }
    bool ok = members && begins;
    free(members);
    free(begins);
    return ok;
}
