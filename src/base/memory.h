/* memory.h - allocation, checked and zeroed. Everything that a token needs is taken when a handle opens. */
#ifndef EX_BASE_MEMORY_H
#define EX_BASE_MEMORY_H

#include <stddef.h>
#include <stdint.h>

enum { EX_ALIGNMENT = 64 }; /* of every buffer that kernels read: one cache line, one AVX-512 register */

/* Zeroed memory for count × size bytes (at least one byte), or NULL when that overflows or there is none. */
void *ex_allocate(size_t count, size_t size);

/* The same, aligned to EX_ALIGNMENT. */
void *ex_allocate_aligned(size_t count, size_t size);

/* Address space for `size` bytes, zero when first touched; untouched pages cost no memory. */
void *ex_reserve(size_t size);
void ex_release(void *memory, size_t size);

/* Bytes that can be taken without pushing out other programs, within the limit of the process's control group. */
uint64_t ex_memory_available(void);

/* Gives back the whole pages inside a piece of a file's read-only map; who reads them again waits for the file. */
void ex_forget_file(const void *memory, size_t size);

#endif
