/* convert_support.h - small Hugging Face folders made for the tests: four layers' worth of shape, numbers that every
 * type holds exactly, so that each weight can be told from every other place. */
#ifndef EX_TESTS_CONVERT_SUPPORT_H
#define EX_TESTS_CONVERT_SUPPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MADE_LAYERS = 2, MADE_EMBD = 8, MADE_HEADS = 4, MADE_HEADS_KV = 2, MADE_HEAD_DIM = 4, MADE_FF = 12,
       MADE_VOCAB = 24, MADE_TENSORS_MAX = 64 };

typedef struct made_tensor {
    char name[80], dtype[8];
    uint64_t rows, columns; /* rows 0: a vector */
} made_tensor;

typedef struct made_model {
    made_tensor tensors[MADE_TENSORS_MAX];
    size_t n_tensors;
} made_model;

/* The tensors of a family: biases and norms of heads as it has them. */
void made_tensors(made_model *model, const char *family, const char *matrix_dtype, const char *vector_dtype, bool tied);
/* Weight `index` of the tensor of that name. */
float made_weight(const char *name, uint64_t index);
/* The header and data of tensors [first, last) as a safetensors file. */
void made_safetensors(const char *path, const made_model *model, size_t first, size_t last);
/* "TEMPLATE" with the family's name in place of %s, as a file. */
void made_text(const char *path, const char *text);

extern const char made_config[];    /* printf format: family, more members (each ending with a comma) */
extern const char made_tokenizer[]; /* byte-level BPE */

#endif
