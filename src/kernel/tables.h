/* tables.h - the kernel tables by name, for select.c. Which of them a build has depends on the processor family. */
#ifndef EX_KERNEL_TABLES_H
#define EX_KERNEL_TABLES_H

#include "kernel/kernel.h"

extern const ex_kernels ex_kernels_portable;
#if defined(__x86_64__)
extern const ex_kernels ex_kernels_avx2;
extern const ex_kernels ex_kernels_avx512;
extern const ex_kernels ex_kernels_amx;
#elif defined(__aarch64__)
extern const ex_kernels ex_kernels_neon;
#endif

#endif
