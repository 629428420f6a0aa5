#include "allocations.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);

static atomic_long n_counted, n_allowed = -1;

long allocations_counted(void) { return atomic_load(&n_counted); }

void allocations_limit(long left) { atomic_store(&n_allowed, left < 0 ? -1 : atomic_load(&n_counted) + left); }

static bool allow(void) {
    long allowed = atomic_load(&n_allowed);
    return atomic_fetch_add(&n_counted, 1) < allowed || allowed < 0;
}

void *__wrap_malloc(size_t size) { return allow() ? __real_malloc(size) : NULL; }

void *__wrap_calloc(size_t count, size_t size) { return allow() ? __real_calloc(count, size) : NULL; }

void *__wrap_realloc(void *memory, size_t size) { return allow() ? __real_realloc(memory, size) : NULL; }

void *__wrap_aligned_alloc(size_t alignment, size_t size) {
    return allow() ? __real_aligned_alloc(alignment, size) : NULL;
}
