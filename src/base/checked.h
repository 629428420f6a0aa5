/* checked.h - sizes are computed in 64 bits and every sum and product that a file can influence is checked. */
#ifndef EX_BASE_CHECKED_H
#define EX_BASE_CHECKED_H

#include <stdbool.h>
#include <stdint.h>

static inline bool ex_multiply(uint64_t a, uint64_t b, uint64_t *out) { return !__builtin_mul_overflow(a, b, out); }

static inline bool ex_add(uint64_t a, uint64_t b, uint64_t *out) { return !__builtin_add_overflow(a, b, out); }

/* Rounds up to a multiple of `alignment`, a power of two. */
static inline bool ex_round_up(uint64_t value, uint64_t alignment, uint64_t *out) {
    uint64_t sum;
    if (!ex_add(value, alignment - 1, &sum)) return false;
    *out = sum & ~(alignment - 1);
    return true;
}

#endif
