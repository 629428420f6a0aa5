/* memory.h - allocation, checked and zeroed. Everything that a token needs is taken when a handle opens. */
#ifndef EX_BASE_MEMORY_H
#define EX_BASE_MEMORY_H

#include <stddef.h>

enum { EX_ALIGNMENT = 64 }; /* of every buffer that kernels read: one cache line, one AVX-512 register */

/* Zeroed memory for count × size bytes (at least one byte), or NULL when that overflows or there is none. */
void *ex_allocate(size_t count, size_t size);

/* The same, aligned to EX_ALIGNMENT. */
void *ex_allocate_aligned(size_t count, size_t size);

/* Address space for `size` bytes, zero when first touched; untouched pages cost no memory. */
void *ex_reserve(size_t size);
void ex_release(void *memory, size_t size);

#endif
