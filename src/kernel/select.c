/* select.c - which kernel tables this build has and which one the processor gets. */
#include "kernel/tables.h"

#include "base/error.h"

#include <stdio.h>
#include <string.h>

/* The last that the processor supports is taken. AMX gives the bits of AVX-512 and, with weights in blocks, no more
 * speed (docs/PERFORMANCE.md): it is there for who asks for it. */
static const ex_kernels *const tables[] = {
    &ex_kernels_portable,
#if defined(__x86_64__)
    &ex_kernels_avx2,
    &ex_kernels_amx,
    &ex_kernels_avx512,
#elif defined(__aarch64__)
    &ex_kernels_neon,
#endif
    NULL,
};

const ex_kernels *const *ex_kernels_all(void) { return tables; }

static const ex_kernels *find(const char *name) {
    for (size_t i = 0; tables[i]; i++)
        if (strcmp(tables[i]->name, name) == 0) return tables[i];
    return NULL;
}

static const ex_kernels *best(const ex_cpu *cpu) {
    const ex_kernels *found = NULL;
    for (size_t i = 0; tables[i]; i++)
        if (tables[i]->supported(cpu)) found = tables[i];
    return found;
}

/* Names of the tables that the processor supports, "portable, avx2". */
static void list_supported(const ex_cpu *cpu, char *out, size_t size) {
    size_t length = 0;
    out[0] = 0;
    for (size_t i = 0; tables[i]; i++) {
        if (!tables[i]->supported(cpu)) continue;
        int n = snprintf(out + length, size - length, "%s%s", length > 0 ? ", " : "", tables[i]->name);
        if (n < 0 || (size_t)n >= size - length) return;
        length += (size_t)n;
    }
}

ex_code ex_kernels_select(const ex_kernels **out, const char *name, ex_error *error) {
    ex_cpu cpu = ex_cpu_detect();
    *out = name ? find(name) : best(&cpu);
    if (*out && (*out)->supported(&cpu)) return EX_OK;
    char names[100];
    list_supported(&cpu, names, sizeof names);
    const char *reason = *out ? "not supported by this processor" : "unknown to this build";
    *out = NULL;
    return ex_fail(error, EX_ERROR_UNSUPPORTED, 0, "kernels \"%s\" are %s: use one of %s", name, reason, names);
}
