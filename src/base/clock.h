/* clock.h - time that only goes on. */
#ifndef EX_BASE_CLOCK_H
#define EX_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline int64_t ex_nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static inline double ex_seconds(void) { return (double)ex_nanoseconds() * 1e-9; }

#endif
