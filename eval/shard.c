/* shard.c - which part of a run this process does: as it was told, or as its launcher says. */
#include "shard.h"

#include <errno.h>
#include <stdlib.h>

#include "failure.h"

enum { SHARDS_MAX = 1 << 20 };

typedef struct launcher { /* variables of the environment */
    const char *rank, *size;
    const char *first, *step; /* NULL: ranks are 0, 1, 2, ... */
} launcher;

/* An array's tasks come before the processes of one task, which may be one each. SLURM_NTASKS is not looked at: the
 * script of a batch job has it too, and is one process. */
static const launcher launchers[] = {
    {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", NULL, NULL},
    {"PMI_RANK", "PMI_SIZE", NULL, NULL},
    {"SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT", "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_STEP"},
    {"SLURM_PROCID", "SLURM_STEP_NUM_TASKS", NULL, NULL},
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

/* NULL means `otherwise`, and so does a variable that is not set. */
static bool read_variable(char *(*get)(const char *name), const char *name, const char *otherwise, size_t *out) {
    const char *text = name ? get(name) : NULL;
    return read_number(text ? text : otherwise, '\0', out, NULL);
}

static bool read_launcher(const launcher *row, char *(*get)(const char *name), eval_shard *out) {
    size_t rank, first, step;
    if (!read_variable(get, row->rank, "", &rank) || !read_variable(get, row->size, "", &out->count) ||
        !read_variable(get, row->first, "0", &first) || !read_variable(get, row->step, "1", &step))
        return false;
    if (step == 0 || rank < first || (rank - first) % step != 0) return false;
    out->index = (rank - first) / step;
    out->source = row->rank;
    return out->index < out->count;
}

static ex_code find_launcher(eval_shard *out, char *(*get)(const char *name), ex_error *error) {
    for (size_t i = 0; i < sizeof launchers / sizeof *launchers; i++) {
        const launcher *row = &launchers[i];
        const char *rank = get(row->rank), *size = get(row->size);
        if (!rank || !size) continue;
        if (read_launcher(row, get, out)) return EX_OK;
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
