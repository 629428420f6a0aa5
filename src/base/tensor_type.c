#include "base/tensor_type.h"

#include "base/checked.h"
#include "entropix.h"

#include <stddef.h>
#include <string.h>

static const ex_type_shape shapes[EX_TYPE_COUNT] = {
    [EX_TYPE_F32] = {"F32", 1, 4},          [EX_TYPE_F16] = {"F16", 1, 2},
    [EX_TYPE_Q4_0] = {"Q4_0", 32, 18},      [EX_TYPE_Q4_1] = {"Q4_1", 32, 20},
    [EX_TYPE_Q5_0] = {"Q5_0", 32, 22},      [EX_TYPE_Q5_1] = {"Q5_1", 32, 24},
    [EX_TYPE_Q8_0] = {"Q8_0", 32, 34},      [EX_TYPE_Q2_K] = {"Q2_K", 256, 84},
    [EX_TYPE_Q3_K] = {"Q3_K", 256, 110},    [EX_TYPE_Q4_K] = {"Q4_K", 256, 144},
    [EX_TYPE_Q5_K] = {"Q5_K", 256, 176},    [EX_TYPE_Q6_K] = {"Q6_K", 256, 210},
    [EX_TYPE_IQ2_XXS] = {"IQ2_XXS", 256, 66}, [EX_TYPE_IQ2_XS] = {"IQ2_XS", 256, 74},
    [EX_TYPE_IQ3_XXS] = {"IQ3_XXS", 256, 98}, [EX_TYPE_IQ1_S] = {"IQ1_S", 256, 50},
    [EX_TYPE_IQ4_NL] = {"IQ4_NL", 32, 18},  [EX_TYPE_IQ3_S] = {"IQ3_S", 256, 110},
    [EX_TYPE_IQ2_S] = {"IQ2_S", 256, 82},   [EX_TYPE_IQ4_XS] = {"IQ4_XS", 256, 136},
    [EX_TYPE_I8] = {"I8", 1, 1},            [EX_TYPE_I16] = {"I16", 1, 2},
    [EX_TYPE_I32] = {"I32", 1, 4},          [EX_TYPE_I64] = {"I64", 1, 8},
    [EX_TYPE_F64] = {"F64", 1, 8},          [EX_TYPE_IQ1_M] = {"IQ1_M", 256, 56},
    [EX_TYPE_BF16] = {"BF16", 1, 2},        [EX_TYPE_TQ1_0] = {"TQ1_0", 256, 54},
    [EX_TYPE_TQ2_0] = {"TQ2_0", 256, 66},   [EX_TYPE_MXFP4] = {"MXFP4", 32, 17},
    [40] = {"NVFP4", 64, 36},               [41] = {"Q1_0", 128, 18},
    [42] = {"Q2_0", 64, 18},
};

const ex_type_shape *ex_type_find(uint32_t type) {
    return type < EX_TYPE_COUNT && shapes[type].name ? &shapes[type] : NULL;
}

bool ex_type_row_bytes(uint32_t type, uint64_t elements, uint64_t *bytes) {
    const ex_type_shape *shape = ex_type_find(type);
    if (!shape || elements % shape->block_elements != 0) return false;
    return ex_multiply(elements / shape->block_elements, shape->block_bytes, bytes);
}

const char *ex_type_name(uint32_t type) {
    const ex_type_shape *shape = ex_type_find(type);
    return shape ? shape->name : NULL;
}

int32_t ex_type_from_name(const char *name) {
    for (int32_t type = 0; type < EX_TYPE_COUNT; type++)
        if (shapes[type].name && strcmp(shapes[type].name, name) == 0) return type;
    return -1;
}
