#include "base/memory.h"

#include "base/checked.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

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

/* The number behind `name` in the first line that begins so and has one. */
static uint64_t read_number(const char *path, const char *name, uint64_t otherwise) {
    char line[128];
    FILE *file = fopen(path, "re");
    if (!file) return otherwise;
    while (fgets(line, sizeof line, file)) {
        if (strncmp(line, name, strlen(name)) != 0) continue;
        char *start = line + strlen(name), *end;
        unsigned long long number = strtoull(start, &end, 10);
        if (end == start) continue;
        otherwise = number;
        break;
    }
    fclose(file);
    return otherwise;
}

uint64_t ex_memory_available(void) {
    uint64_t bytes = read_number("/proc/meminfo", "MemAvailable:", 0) * 1024;
    uint64_t limit = read_number("/sys/fs/cgroup/memory.max", "", UINT64_MAX);
    return bytes < limit ? bytes : limit;
}

void ex_forget_file(const void *memory, size_t size) {
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t first = ((uintptr_t)memory + page - 1) / page * page, last = ((uintptr_t)memory + size) / page * page;
    if (first < last) madvise((void *)first, last - first, MADV_DONTNEED);
}
