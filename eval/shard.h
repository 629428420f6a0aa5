/* shard.h - which part of a run this process does. */
#ifndef EVAL_SHARD_H
#define EVAL_SHARD_H

#include "entropix.h"

typedef struct eval_shard {
    size_t index, count; /* 0 of 1: all of it */
    const char *source;  /* "--shard", or the variable that said so; static storage */
} eval_shard;

/* `text` is "I/N", I from 0; NULL: what mpirun, a Slurm array or srun has put into the environment (`get`, as
 * getenv). */
ex_code eval_shard_find(eval_shard *out, const char *text, char *(*get)(const char *name), ex_error *error);

/* Joins the parts of a run into the folder that the whole run would have left. */
ex_code eval_merge(const char *const *parts, size_t n_parts, const char *folder, ex_error *error);

#endif
