#include "model/kv_pages.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/error.h"
#include "base/half.h"
#include "base/memory.h"

struct ex_kv_page {
    uint32_t references;
    char *data;
    ex_kv_page *next_free;
};

typedef struct slab { /* address space for the pages of one more timeline */
    struct slab *next;
    char *memory;
    size_t n_bytes;
    ex_kv_page *pages;
} slab;

struct ex_kv_pool {
    pthread_mutex_t lock;
    ex_kv_shape shape;
    size_t page_bytes;
    size_t n_tables, n_pages, n_needed, n_used; /* needed: what all tables together could hold */
    slab *slabs;
    ex_kv_page *free_pages;
};

uint64_t ex_kv_bytes_per_position(ex_kv_shape shape) {
    return (uint64_t)shape.n_layer * shape.n_head_kv * 2 * (ex_kv_bytes(shape.type, shape.head_dim) / EX_KV_PAGE);
}

static ex_code add_slab(ex_kv_pool *pool, size_t n_pages, ex_error *error) {
    uint64_t n_bytes;
    slab *new_slab = ex_allocate(1, sizeof *new_slab);
    ex_kv_page *pages = ex_allocate(n_pages, sizeof *pages);
    char *memory = ex_multiply(n_pages, pool->page_bytes, &n_bytes) ? ex_reserve(n_bytes) : NULL;
    if (!new_slab || !pages || !memory) {
        free(new_slab);
        free(pages);
        if (memory) ex_release(memory, n_bytes);
        return ex_fail(error, EX_ERROR_MEMORY, 0, "out of memory for a KV cache of %zu positions",
                       n_pages * EX_KV_PAGE);
    }
    *new_slab = (slab){pool->slabs, memory, n_bytes, pages};
    pool->slabs = new_slab;
    pool->n_pages += n_pages;
    for (size_t i = n_pages; i-- > 0;) {
        pages[i].data = memory + i * pool->page_bytes;
        pages[i].next_free = pool->free_pages;
        pool->free_pages = &pages[i];
    }
    return EX_OK;
}

/* Called with the lock held, or before the pool is shared. A table that fails has no pool, which did not count it. */
static ex_code add_table(ex_kv_table *table, ex_kv_pool *pool, size_t n_pages_max, ex_error *error) {
    *table = (ex_kv_table){0};
    ex_kv_page **pages = ex_allocate(n_pages_max, sizeof *pages);
    if (!pages) return ex_fail_memory(error, "the page table");
    size_t needed = pool->n_needed + n_pages_max;
    if (needed > pool->n_pages) {
        ex_code code = add_slab(pool, needed - pool->n_pages, error);
        if (code != EX_OK) {
            free(pages);
            return code;
        }
    }
    *table = (ex_kv_table){.pool = pool, .pages = pages, .n_pages_max = n_pages_max};
    pool->n_needed = needed;
    pool->n_tables++;
    return EX_OK;
}

static void free_pool(ex_kv_pool *pool) {
    while (pool->slabs) {
        slab *first = pool->slabs;
        pool->slabs = first->next;
        ex_release(first->memory, first->n_bytes);
        free(first->pages);
        free(first);
    }
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

ex_code ex_kv_open(ex_kv_table *table, ex_kv_shape shape, size_t n_context, ex_error *error) {
    *table = (ex_kv_table){0};
    if (shape.type == EX_KV_Q8_0 && shape.head_dim % EX_QUANT_BLOCK != 0)
        return ex_fail(error, EX_ERROR_UNSUPPORTED, 0,
                       "a KV cache in Q8_0 needs heads of a multiple of %d dimensions, this model's have %zu: use F16",
                       EX_QUANT_BLOCK, shape.head_dim);
    ex_kv_pool *pool = ex_allocate(1, sizeof *pool);
    if (!pool) return ex_fail_memory(error, "the KV cache");
    pthread_mutex_init(&pool->lock, NULL);
    pool->shape = shape;
    pool->page_bytes = ex_kv_bytes_per_position(shape) * EX_KV_PAGE;
    ex_code code = add_table(table, pool, (n_context + EX_KV_PAGE - 1) / EX_KV_PAGE, error);
    if (code != EX_OK) free_pool(pool);
    return code;
}

/* Called with the lock held. */
static void share_pages(ex_kv_table *to, const ex_kv_table *from) {
    to->n_pages = from->n_pages;
    for (size_t i = 0; i < from->n_pages; i++) {
        to->pages[i] = from->pages[i];
        to->pages[i]->references++;
    }
}

ex_code ex_kv_fork(ex_kv_table *out, const ex_kv_table *table, ex_error *error) {
    ex_kv_pool *pool = table->pool;
    pthread_mutex_lock(&pool->lock);
    ex_code code = add_table(out, pool, table->n_pages_max, error);
    if (code == EX_OK) share_pages(out, table);
    pthread_mutex_unlock(&pool->lock);
    return code;
}

static ex_kv_page *take_page(ex_kv_pool *pool) {
    ex_kv_page *page = pool->free_pages;
    pool->free_pages = page->next_free;
    page->references = 1;
    pool->n_used++;
    return page;
}

static void drop_page(ex_kv_pool *pool, ex_kv_page *page) {
    if (--page->references > 0) return;
    page->next_free = pool->free_pages;
    pool->free_pages = page;
    pool->n_used--;
}

void ex_kv_share(ex_kv_table *to, const ex_kv_table *from) {
    ex_kv_pool *pool = from->pool;
    pthread_mutex_lock(&pool->lock);
    while (to->n_pages > 0) drop_page(pool, to->pages[--to->n_pages]);
    share_pages(to, from);
    pthread_mutex_unlock(&pool->lock);
}

void ex_kv_close(ex_kv_table *table) {
    ex_kv_pool *pool = table->pool;
    if (!pool) return;
    pthread_mutex_lock(&pool->lock);
    for (size_t i = 0; i < table->n_pages; i++) drop_page(pool, table->pages[i]);
    pool->n_needed -= table->n_pages_max;
    bool last = --pool->n_tables == 0;
    pthread_mutex_unlock(&pool->lock);
    free(table->pages);
    if (last) free_pool(pool);
    *table = (ex_kv_table){0};
}

void ex_kv_prepare(ex_kv_table *table, size_t first, size_t last) {
    ex_kv_pool *pool = table->pool;
    pthread_mutex_lock(&pool->lock);
    for (size_t i = first / EX_KV_PAGE; i * EX_KV_PAGE < last; i++) {
        if (i >= table->n_pages) {
            table->pages[table->n_pages++] = take_page(pool);
        } else if (table->pages[i]->references > 1) {
            ex_kv_page *copy = take_page(pool);
            memcpy(copy->data, table->pages[i]->data, pool->page_bytes);
            drop_page(pool, table->pages[i]);
            table->pages[i] = copy;
        }
    }
    pthread_mutex_unlock(&pool->lock);
}

void ex_kv_truncate(ex_kv_table *table, size_t position) {
    ex_kv_pool *pool = table->pool;
    size_t keep = (position + EX_KV_PAGE - 1) / EX_KV_PAGE;
    pthread_mutex_lock(&pool->lock);
    while (table->n_pages > keep) drop_page(pool, table->pages[--table->n_pages]);
    pthread_mutex_unlock(&pool->lock);
}

size_t ex_kv_pages_in_use(const ex_kv_table *table) {
    pthread_mutex_lock(&table->pool->lock);
    size_t n_used = table->pool->n_used;
    pthread_mutex_unlock(&table->pool->lock);
    return n_used;
}

void *ex_kv_keys(const ex_kv_table *table, size_t page, size_t layer, size_t head) {
    const ex_kv_shape *shape = &table->pool->shape;
    return table->pages[page]->data +
           (layer * shape->n_head_kv + head) * 2 * ex_kv_bytes(shape->type, shape->head_dim);
}

void *ex_kv_values(const ex_kv_table *table, size_t page, size_t layer, size_t head) {
    const ex_kv_shape *shape = &table->pool->shape;
    return (char *)ex_kv_keys(table, page, layer, head) + ex_kv_bytes(shape->type, shape->head_dim);
}

typedef struct stored { /* where one position of one head goes */
    void *keys, *values;
    size_t slot, head_dim;
} stored;

static void store_halves(stored to, const float *key, const float *value) {
    uint16_t *keys = to.keys, *values = (uint16_t *)to.values + to.slot * to.head_dim;
    for (size_t d = 0; d < to.head_dim; d++) {
        keys[d * EX_KV_PAGE + to.slot] = ex_half_from_float(key[d]);
        values[d] = ex_half_from_float(value[d]);
    }
}

static void store_floats(stored to, const float *key, const float *value) {
    float *keys = to.keys;
    for (size_t d = 0; d < to.head_dim; d++) keys[d * EX_KV_PAGE + to.slot] = key[d];
    memcpy((float *)to.values + to.slot * to.head_dim, value, to.head_dim * sizeof *value);
}

/* Quants of 32 numbers from `first` on; their scale goes among the page's. */
static void quantize_block(const ex_kernels *kernels, stored to, const float *numbers, size_t first, void *page,
                           int8_t *quants) {
    uint16_t *scales = (uint16_t *)((char *)page + EX_KV_PAGE * to.head_dim);
    int16_t sums[EX_QUANT_BLOCK / EX_SUM_BLOCK];
    float scale;
    kernels->quantize_row(numbers + first, EX_QUANT_BLOCK, quants, &scale, sums);
    scales[first / EX_QUANT_BLOCK * EX_KV_PAGE + to.slot] = ex_half_from_float(scale);
}

static void store_bytes(const ex_kernels *kernels, stored to, const float *key, const float *value) {
    _Alignas(EX_ALIGNMENT) int8_t quants[EX_QUANT_BLOCK];
    for (size_t first = 0; first < to.head_dim; first += EX_QUANT_BLOCK) {
        quantize_block(kernels, to, key, first, to.keys, quants);
        for (size_t d = 0; d < EX_QUANT_BLOCK; d += 4)
            memcpy((int8_t *)to.keys + ex_kv_key_index(first + d, to.slot), quants + d, 4);
        quantize_block(kernels, to, value, first, to.values, quants);
        memcpy((int8_t *)to.values + to.slot * to.head_dim + first, quants, EX_QUANT_BLOCK);
    }
}

void ex_kv_store(const ex_kv_table *table, const ex_kernels *kernels, size_t position, size_t layer, size_t head,
                 const float *key, const float *value) {
    const ex_kv_shape *shape = &table->pool->shape;
    size_t page = position / EX_KV_PAGE;
    stored to = {ex_kv_keys(table, page, layer, head), ex_kv_values(table, page, layer, head), position % EX_KV_PAGE,
                 shape->head_dim};
    if (shape->type == EX_KV_Q8_0) store_bytes(kernels, to, key, value);
    else if (shape->type == EX_KV_F32) store_floats(to, key, value);
    else store_halves(to, key, value);
}
