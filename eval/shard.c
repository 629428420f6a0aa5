/* shard.c - which part of a run this process does: as it was told, or as its launcher says. */
#include "shard.h"

#include <errno.h>
#include <stdlib.h>

#include "failure.h"

enum { SHARDS_MAX = 1 << 20 };

typedef struct launcher { /* variables of the environment */
    const char *rank, *size;
    const char *first; /* the rank of the first, where it is not 0 */
} launcher;

/* An array's tasks come before the processes of one task, which may be one each. */
static const launcher launchers[] = {
    {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", NULL},
    {"PMI_RANK", "PMI_SIZE", NULL},
    {"SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT", "SLURM_ARRAY_TASK_MIN"},
    {"SLURM_PROCID", "SLURM_NTASKS", NULL},
};

static bool read_number(const char *text, char end, size_t *out, const char **rest) {
    char *after;
    errno = 0;
    const unsigned long value = strtoul(text, &after, 10);
    if (*text < '0' || *text > '9' || errno != 0 || *after != end || value > SHARDS_MAX) return false;
    *out = value;
    if (rest) *rest = after + 1;
    return true;
}

static ex_code find_launcher(eval_shard *out, char *(*get)(const char *name), ex_error *error) {
    for (size_t i = 0; i < sizeof launchers / sizeof *launchers; i++) {
        const launcher *row = &launchers[i];
        const char *rank = get(row->rank), *size = get(row->size), *first = row->first ? get(row->first) : "0";
        size_t base = 0;
        if (!rank || !size || !first) continue;
        const bool is_read = read_number(rank, '\0', &out->index, NULL) && read_number(size, '\0', &out->count, NULL) &&
                             read_number(first, '\0', &base, NULL);
        out->index -= base;
        out->source = row->rank;
        if (is_read && out->index < out->count) return EX_OK;
        return eval_fail(error, EX_ERROR_ARGUMENT, 0, "%s is %s and %s is %s: no part of a run; --shard I/N says which",
                         row->rank, rank, row->size, size);
    }
    *out = (eval_shard){0, 1, "--shard"};
    return EX_OK;
}

ex_code eval_shard_find(eval_shard *out, const char *text, char *(*get)(const char *name), ex_error *error) {
    const char *rest;
    if (!text) return find_launcher(out, get, error);
    out->source = "--shard";
    if (read_number(text, '/', &out->index, &rest) && read_number(rest, '\0', &out->count, NULL) &&
        out->index < out->count)
        return EX_OK;
    return eval_fail(error, EX_ERROR_ARGUMENT, 0, "--shard is '%s', but must be I/N with I from 0 to N - 1", text);
}
