/* region.h - several buffers carved out of one reserved piece of memory: walked once without memory to learn the size,
 * then again with it. */
#ifndef EX_MODEL_REGION_H
#define EX_MODEL_REGION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ex_region {
    char *base; /* NULL: only the size is wanted */
    uint64_t used;
    bool overflow;
} ex_region;

/* The next rows × columns elements, on a cache line of their own; NULL while only the size is wanted. */
void *ex_region_carve(ex_region *region, uint64_t rows, uint64_t columns, size_t element);

/* Reserves what the first walk has counted and makes ready for the second; false when there is no such memory. */
bool ex_region_reserve(ex_region *region);

#endif
