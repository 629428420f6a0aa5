/* tensor_type.h - the tensor types of GGUF: how many weights share a block and how many bytes it takes.
 * What the bytes mean is the kernel room's business. */
#ifndef EX_BASE_TENSOR_TYPE_H
#define EX_BASE_TENSOR_TYPE_H

#include <stdbool.h>
#include <stdint.h>

typedef enum ex_type {
    EX_TYPE_F32 = 0, EX_TYPE_F16 = 1, EX_TYPE_Q4_0 = 2, EX_TYPE_Q4_1 = 3, EX_TYPE_Q5_0 = 6, EX_TYPE_Q5_1 = 7,
    EX_TYPE_Q8_0 = 8, EX_TYPE_Q2_K = 10, EX_TYPE_Q3_K = 11, EX_TYPE_Q4_K = 12, EX_TYPE_Q5_K = 13, EX_TYPE_Q6_K = 14,
    EX_TYPE_IQ2_XXS = 16, EX_TYPE_IQ2_XS = 17, EX_TYPE_IQ3_XXS = 18, EX_TYPE_IQ1_S = 19, EX_TYPE_IQ4_NL = 20,
    EX_TYPE_IQ3_S = 21, EX_TYPE_IQ2_S = 22, EX_TYPE_IQ4_XS = 23, EX_TYPE_I8 = 24, EX_TYPE_I16 = 25, EX_TYPE_I32 = 26,
    EX_TYPE_I64 = 27, EX_TYPE_F64 = 28, EX_TYPE_IQ1_M = 29, EX_TYPE_BF16 = 30, EX_TYPE_TQ1_0 = 34,
    EX_TYPE_TQ2_0 = 35, EX_TYPE_MXFP4 = 39,
    EX_TYPE_COUNT = 43
} ex_type;

typedef struct ex_type_shape {
    const char *name;
    uint32_t block_elements, block_bytes;
} ex_type_shape;

/* NULL for an id that does not exist or was removed from the format. */
const ex_type_shape *ex_type_find(uint32_t type);

/* Bytes of `elements` consecutive weights (one row); false when they are no whole number of blocks or it overflows. */
bool ex_type_row_bytes(uint32_t type, uint64_t elements, uint64_t *bytes);

#endif
