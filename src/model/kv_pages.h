/* kv_pages.h - keys and values of past positions, in pages that timelines share.
 *
 * A page holds EX_KV_PAGE positions of every layer: for each layer and key-value head the keys, then the values, as
 * kernel.h lays them out.
 * Forked sessions share pages by counting references; who writes to a shared page gets a copy first. A pool belongs to
 * a family of sessions, reserves address space for all that they could ever hold, and so never fails later; pages that
 * were never touched cost no memory. The pool may be used by several threads. */
#ifndef EX_MODEL_KV_PAGES_H
#define EX_MODEL_KV_PAGES_H

#include "kernel/kernel.h"

typedef struct ex_kv_pool ex_kv_pool;
typedef struct ex_kv_page ex_kv_page;

typedef struct ex_kv_shape {
    ex_kv_type type;
    size_t n_layer, n_head_kv, head_dim;
} ex_kv_shape;

/* The page table of one timeline. */
typedef struct ex_kv_table {
    ex_kv_pool *pool;
    ex_kv_page **pages; /* [n_pages_max] */
    size_t n_pages, n_pages_max;
} ex_kv_table;

/* The first table of a family; n_context is in positions. */
ex_code ex_kv_open(ex_kv_table *table, ex_kv_shape shape, size_t n_context, ex_error *error);
/* A second table with the same pages. */
ex_code ex_kv_fork(ex_kv_table *out, const ex_kv_table *table, ex_error *error);
/* Lets `to`, of the same family, drop its pages and share those of `from`. Allocates nothing. */
void ex_kv_share(ex_kv_table *to, const ex_kv_table *from);
void ex_kv_close(ex_kv_table *table);

/* Makes positions [first, last) writable: adds pages and copies shared ones. Cannot fail within n_context. */
void ex_kv_prepare(ex_kv_table *table, size_t first, size_t last);
/* Keeps the pages that hold positions before `position`. */
void ex_kv_truncate(ex_kv_table *table, size_t position);

uint64_t ex_kv_bytes_per_position(ex_kv_shape shape);
/* Pages in use by the whole family. */
size_t ex_kv_pages_in_use(const ex_kv_table *table);

void *ex_kv_keys(const ex_kv_table *table, size_t page, size_t layer, size_t head);
void *ex_kv_values(const ex_kv_table *table, size_t page, size_t layer, size_t head);

/* Writes one position's key and value (head_dim floats each) of one head. */
void ex_kv_store(const ex_kv_table *table, const ex_kernels *kernels, size_t position, size_t layer, size_t head,
                 const float *key, const float *value);

#endif
