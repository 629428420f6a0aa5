/* weights.h - the tensors of a model: which there must be, what they are called in GGUF, and their bytes there. */
#ifndef EX_CONVERT_WEIGHTS_H
#define EX_CONVERT_WEIGHTS_H

#include "convert/config.h"
#include "convert/safetensors.h"

typedef struct ex_planned { /* one tensor of the output */
    char name[64];
    ex_weight *weight; /* NULL for the divisors of the frequencies */
    uint32_t type;
    int64_t n_heads; /* whose rows are put into another order; 0: none are */
    uint64_t n_rows, n_columns;
    bool is_vector;
} ex_planned;

typedef struct ex_plan {
    const ex_config *config;
    ex_planned *tensors;
    size_t n_tensors;
    uint64_t n_vocab;  /* rows of the embedding */
    uint64_t n_bytes;  /* of all sources */
    int32_t file_type; /* general.file_type: what most matrices are */
} ex_plan;

/* `type` is that of the matrices, or -1: as they are, single precision as F16. Every tensor of the folder has a place
 * or is refused. `plan` is zeroed by the caller and may be closed whatever the outcome. */
ex_code ex_plan_open(ex_plan *plan, const ex_config *config, const ex_safetensors *tensors, int32_t type,
                     const char *folder, ex_error *error);
void ex_plan_close(ex_plan *plan);
ex_code ex_plan_declare(const ex_plan *plan, ex_writer *writer, ex_error *error);
ex_code ex_plan_write(const ex_plan *plan, ex_writer *writer, ex_progress progress, void *context, ex_error *error);

#endif
