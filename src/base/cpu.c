#include "base/cpu.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#elif defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

#if defined(__x86_64__)
/* Linux gives the tile registers to processes that ask for them; all threads of the process then have them. */
static bool tiles_allowed(void) {
    enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 }; /* of arch_prctl; not in the headers of older systems */
    return syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
}
#endif

ex_cpu ex_cpu_detect(void) {
    ex_cpu cpu = {0};
#if defined(__x86_64__)
    __builtin_cpu_init();
    unsigned a, b, c, d;
    bool f16c = __get_cpuid(1, &a, &b, &c, &d) && ((c >> 29) & 1);
    cpu.avx2 = f16c && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    cpu.avx512 = cpu.avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                 __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                 __builtin_cpu_supports("avx512vnni");
    if (cpu.avx512 && __get_cpuid_count(7, 1, &a, &b, &c, &d)) cpu.avx512_bf16 = (a >> 5) & 1;
    if (cpu.avx512 && __get_cpuid_count(7, 0, &a, &b, &c, &d))
        cpu.amx_int8 = ((d >> 24) & 1) && ((d >> 25) & 1) && tiles_allowed();
#elif defined(__aarch64__)
    cpu.neon_dot = getauxval(AT_HWCAP) & HWCAP_ASIMDDP;
#endif
    return cpu;
}

/* First sibling of a processor, which stands for its core; the processor itself when the kernel does not say. */
static size_t core_of(size_t processor) {
    char path[96], line[64] = "";
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%zu/topology/thread_siblings_list", processor);
    FILE *file = fopen(path, "re");
    if (!file) return processor;
    char *got = fgets(line, sizeof line, file);
    fclose(file);
    size_t core = got ? strtoul(line, NULL, 10) : processor;
    return core < CPU_SETSIZE ? core : processor;
}

/* The cgroup v2 quota in processors, rounded up; 0 when there is none. */
static int quota_processors(void) {
    FILE *file = fopen("/sys/fs/cgroup/cpu.max", "re");
    if (!file) return 0;
    char line[64] = "";
    char *got = fgets(line, sizeof line, file);
    fclose(file);
    if (!got || strncmp(line, "max", 3) == 0) return 0;
    char *end;
    long quota = strtol(line, &end, 10);
    long period = strtol(end, NULL, 10);
    return quota > 0 && period > 0 ? (int)((quota + period - 1) / period) : 0;
}

int32_t ex_cpu_cores(void) {
    cpu_set_t mask, cores;
    CPU_ZERO(&cores);
    if (sched_getaffinity(0, sizeof mask, &mask) != 0) return 1;
    for (size_t processor = 0; processor < CPU_SETSIZE; processor++)
        if (CPU_ISSET(processor, &mask)) CPU_SET(core_of(processor), &cores);
    int count = CPU_COUNT(&cores);
    int quota = quota_processors();
    if (quota > 0 && quota < count) count = quota;
    return count > 0 ? count : 1;
}
