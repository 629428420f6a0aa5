/* packer.h - weights move, matrix by matrix, from the file's map into packed rows (ex_pack_rows) while a model decodes.
 * Prefill gains nothing from them, so a prompt's first token never waits. A sixteenth of the model moves with each
 * decoded token, or 16 MB; the file's pages are given back, so weights are in memory once. */
#ifndef EX_MODEL_PACKER_H
#define EX_MODEL_PACKER_H

#include "base/team.h"
#include "model/weights.h"

typedef struct ex_packer {
    ex_matrix **matrices; /* those that have a packed form, in the order of their use */
    size_t n_matrices, n_packed;
    char *memory, *next; /* reserved for all of them; where the next one goes */
    size_t n_bytes;
} ex_packer;

/* Packs nothing where the kernels know no packed rows, or memory is too short to hold all weights. */
ex_code ex_packer_open(ex_packer *packer, ex_weights *weights, const ex_shape *shape, const ex_kernels *kernels,
                       ex_error *error);
void ex_packer_close(ex_packer *packer);

/* The next matrices, by all workers together; they are changed before it returns. */
void ex_packer_run(ex_packer *packer, const ex_kernels *kernels, ex_worker *worker);

#endif
