#include "model/region.h"

#include "base/checked.h"
#include "base/memory.h"

void *ex_region_carve(ex_region *region, uint64_t rows, uint64_t columns, size_t element) {
    uint64_t n_bytes, end;
    uint64_t at = region->used;
    if (!ex_multiply(rows, columns, &n_bytes) || !ex_multiply(n_bytes, element, &n_bytes) ||
        !ex_round_up(n_bytes, EX_ALIGNMENT, &n_bytes) || !ex_add(at, n_bytes, &end))
        region->overflow = true;
    else
        region->used = end;
    return region->base && !region->overflow ? region->base + at : NULL;
}

bool ex_region_reserve(ex_region *region) {
    if (region->overflow || region->used > SIZE_MAX) return false;
    region->base = ex_reserve(region->used);
    region->used = 0;
    return region->base != NULL;
}
