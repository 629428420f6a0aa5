/* recipe.h - which type each matrix gets when a model is quantised. */
#ifndef EX_MODEL_RECIPE_H
#define EX_MODEL_RECIPE_H

#include <stddef.h>

#include "base/tensor_type.h"
#include "entropix.h"

typedef struct ex_recipe {
    const char *name;
    uint32_t file_type; /* general.file_type, informative */
    uint32_t type;       /* of most matrices */
    uint32_t important;  /* of those in some layers whose rounding errors cost most */
    uint32_t vocabulary; /* of the token embedding and the output */
} ex_recipe;

/* By name, in any case; NULL when there is none. */
const ex_recipe *ex_recipe_find(const char *name);

/* "F32, F16, …" for messages. */
void ex_recipe_names(char *out, size_t capacity);

/* The type for a matrix in a model of `n_layer` layers, whatever its shape. */
uint32_t ex_recipe_wanted(const ex_recipe *recipe, ex_string tensor, uint64_t n_layer);

/* The type for a matrix with rows of `n_columns` weights: the wanted one. Rows that are no whole number of its blocks
 * fall back to Q8_0, and if that does not fit either, to F16. */
uint32_t ex_recipe_type(const ex_recipe *recipe, ex_string tensor, uint64_t n_columns, uint64_t n_layer);

/* N of "blk.N.REST" (`rest` is then REST), or -1. */
int64_t ex_tensor_layer(ex_string tensor, ex_string *rest);

#endif
