#include "base/memory.h"

#include "base/checked.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { HUGE_FROM = 4 << 20 }; /* bytes: two huge pages */

void *ex_allocate(size_t count, size_t size) {
    uint64_t bytes;
    if (!ex_multiply(count, size, &bytes)) return NULL;
    return calloc(bytes ? bytes : 1, 1);
}

void *ex_allocate_aligned(size_t count, size_t size) {
    uint64_t bytes;
    if (!ex_multiply(count, size, &bytes) || !ex_round_up(bytes ? bytes : 1, EX_ALIGNMENT, &bytes)) return NULL;
    void *memory = aligned_alloc(EX_ALIGNMENT, bytes);
    if (memory) memset(memory, 0, bytes);
    return memory;
}

void *ex_reserve(size_t size) {
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    void *memory = mmap(NULL, size ? size : 1, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (memory == MAP_FAILED) return NULL;
    /* Only a hint: sweeps through long caches miss fewer address translations. Small pieces would waste most of one. */
    if (size >= HUGE_FROM) madvise(memory, size, MADV_HUGEPAGE);
    return memory;
}

void ex_release(void *memory, size_t size) {
    if (memory) munmap(memory, size ? size : 1);
}
