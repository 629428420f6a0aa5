/* cpu.h - what the processor and the scheduler allow. Read afresh at each call: nothing is cached in globals. */
#ifndef EX_BASE_CPU_H
#define EX_BASE_CPU_H

#include <stdbool.h>
#include <stdint.h>

typedef struct ex_cpu {
    bool avx2;        /* AVX2, FMA and F16C */
    bool avx512;      /* AVX-512 F, BW, DQ, VL and VNNI */
    bool avx512_bf16;
    bool amx_int8;    /* AMX with byte products, and the system lets this process use it */
    bool neon_dot;
} ex_cpu;

ex_cpu ex_cpu_detect(void);

enum { EX_CPU_PROCESSORS = 8192 }; /* that Linux can have */

/* Physical cores that the affinity mask allows, not more than the processor quota of this process's cgroup, of version
 * 1 or 2, and of those that it lies in; at least 1. */
int32_t ex_cpu_cores(void);

/* The same for an affinity mask [EX_CPU_PROCESSORS] and a system whose /proc and /sys lie under `root`. */
int32_t ex_cpu_cores_under(const char *root, const bool *allowed);

#endif
