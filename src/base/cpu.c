#include "base/cpu.h"

#include <sched.h>
#include <stdint.h>
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

/* ---- cores --------------------------------------------------------------------------------------------------- */

enum { PATH_BYTES = 4096 };

/* The first line of a file under `root`; false when there is no such file. */
static bool read_line(const char *root, const char *path, char *line, int n_bytes) {
    char whole[PATH_BYTES];
    if ((size_t)snprintf(whole, sizeof whole, "%s%s", root, path) >= sizeof whole) return false;
    FILE *file = fopen(whole, "re");
    if (!file) return false;
    bool found = fgets(line, n_bytes, file) != NULL;
    fclose(file);
    return found;
}

/* First sibling of a processor, which stands for its core; the processor itself when the kernel does not say. */
static size_t core_of(const char *root, size_t processor) {
    char path[96], line[256], *end;
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%zu/topology/thread_siblings_list", processor);
    if (!read_line(root, path, line, sizeof line)) return processor;
    size_t core = strtoul(line, &end, 10);
    return end > line && core < EX_CPU_PROCESSORS ? core : processor;
}

static int32_t count_cores(const char *root, const bool *allowed) {
    bool seen[EX_CPU_PROCESSORS] = {false};
    int32_t count = 0;
    for (size_t processor = 0; processor < EX_CPU_PROCESSORS; processor++) {
        if (!allowed[processor]) continue;
        size_t core = core_of(root, processor);
        count += !seen[core];
        seen[core] = true;
    }
    return count;
}

/* A quota in processors, rounded up: threads that run out of it stop together until the next period, so the larger team
 * spends all of the quota and the smaller one leaves a part of it. */
static int32_t whole_processors(long long quota, long long period) {
    if (quota <= 0 || period <= 0) return INT32_MAX;
    long long n = quota / period + (quota % period > 0);
    return n < INT32_MAX ? (int32_t)n : INT32_MAX;
}

typedef int32_t quota_reader(const char *root, const char *group);

static int32_t read_quota_2(const char *root, const char *group) {
    char path[PATH_BYTES], line[64], *end;
    if ((size_t)snprintf(path, sizeof path, "%s/cpu.max", group) >= sizeof path ||
        !read_line(root, path, line, sizeof line))
        return INT32_MAX;
    long long quota = strtoll(line, &end, 10); /* "max" is no number: 0 */
    return whole_processors(quota, strtoll(end, NULL, 10));
}

static int32_t read_quota_1(const char *root, const char *group) {
    char path[PATH_BYTES], quota[64], period[64];
    if ((size_t)snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", group) >= sizeof path ||
        !read_line(root, path, quota, sizeof quota))
        return INT32_MAX;
    snprintf(path, sizeof path, "%s/cpu.cfs_period_us", group);
    if (!read_line(root, path, period, sizeof period)) return INT32_MAX;
    return whole_processors(strtoll(quota, NULL, 10), strtoll(period, NULL, 10));
}

/* The least quota of a group ("/a/b") and of those that it lies in. Inside a container the path may be one of the
 * host's, which is not to be seen there: what is missing has no quota. */
static int32_t least_quota(const char *root, quota_reader *read, const char *mount, const char *group) {
    char path[PATH_BYTES];
    int32_t least = INT32_MAX;
    size_t stop = strlen(mount);
    if ((size_t)snprintf(path, sizeof path, "%s%s", mount, group) >= sizeof path) return least;
    for (;;) {
        int32_t quota = read(root, path);
        if (quota < least) least = quota;
        if (strlen(path) <= stop) return least;
        *strrchr(path, '/') = '\0';
    }
}

/* Whether a list of names with commas between them has `name`. */
static bool has_name(const char *list, const char *name) {
    size_t length = strlen(name);
    for (const char *at = list; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
        if (strncmp(at, name, length) == 0 && (at[length] == ',' || at[length] == '\0')) return true;
    return false;
}

/* One line of /proc/self/cgroup, "number:controllers:path"; version 2 names no controllers. */
static int32_t quota_of_line(const char *root, char *line) {
    line[strcspn(line, "\n")] = '\0';
    char *controllers = strchr(line, ':');
    char *group = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!group || group[1] != '/' || strstr(group, "/..")) return INT32_MAX;
    *group++ = '\0';
    controllers++;
    if (*controllers == '\0') return least_quota(root, read_quota_2, "/sys/fs/cgroup", group);
    if (!has_name(controllers, "cpu")) return INT32_MAX;
    int32_t alone = least_quota(root, read_quota_1, "/sys/fs/cgroup/cpu", group);
    int32_t joined = least_quota(root, read_quota_1, "/sys/fs/cgroup/cpu,cpuacct", group);
    return alone < joined ? alone : joined;
}

static int32_t quota_processors(const char *root) {
    char path[PATH_BYTES], line[PATH_BYTES];
    int32_t least = INT32_MAX;
    if ((size_t)snprintf(path, sizeof path, "%s/proc/self/cgroup", root) >= sizeof path) return least;
    FILE *file = fopen(path, "re");
    if (!file) return least;
    while (fgets(line, sizeof line, file)) {
        int32_t quota = quota_of_line(root, line);
        if (quota < least) least = quota;
    }
    fclose(file);
    return least;
}

int32_t ex_cpu_cores_under(const char *root, const bool *allowed) {
    int32_t count = count_cores(root, allowed), quota = quota_processors(root);
    if (quota < count) count = quota;
    return count > 0 ? count : 1;
}

int32_t ex_cpu_cores(void) {
    cpu_set_t mask[EX_CPU_PROCESSORS / CPU_SETSIZE];
    bool allowed[EX_CPU_PROCESSORS];
    if (sched_getaffinity(0, sizeof mask, mask) != 0) return 1;
    for (size_t i = 0; i < EX_CPU_PROCESSORS; i++) allowed[i] = CPU_ISSET(i % CPU_SETSIZE, &mask[i / CPU_SETSIZE]);
    return ex_cpu_cores_under("", allowed);
}
