/* amx.c - the table for processors with AMX: matrix products of quantised weights with many tokens in tiles, all else
 * as with AVX-512. */
#include "kernel/amx.h"

#include "kernel/tables.h"

static bool supported(const ex_cpu *cpu) { return cpu->avx512 && cpu->amx_int8; }

#define MATMUL_ROW(type, name) [EX_TYPE_##type] = ex_amx_matmul_##name,

const ex_kernels ex_kernels_amx = {
    .name = "amx",
    .supported = supported,
    .matmul = {
        [EX_TYPE_F32] = ex_avx512_matmul_f32,
        [EX_TYPE_F16] = ex_avx512_matmul_f16,
        [EX_TYPE_BF16] = ex_avx512_matmul_bf16,
        MATMUL_ROW(Q8_0, q8_0)
        MATMUL_ROW(Q4_0, q4_0)
        MATMUL_ROW(Q4_K, q4_k)
        MATMUL_ROW(Q6_K, q6_k)
        EX_UNPACKED_TYPES(MATMUL_ROW)
    },
    .matmul_packed = {
        [EX_TYPE_Q8_0] = ex_amx_matmul_packed_q8_0,
        [EX_TYPE_Q4_0] = ex_amx_matmul_packed_q4_0,
        [EX_TYPE_Q4_K] = ex_amx_matmul_packed_q4_k,
        [EX_TYPE_Q5_K] = ex_amx_matmul_packed_q5_k,
        [EX_TYPE_Q6_K] = ex_amx_matmul_packed_q6_k,
    },
    EX_AVX512_FUNCTIONS,
    .integer_peak = ex_amx_integer_peak,
};
