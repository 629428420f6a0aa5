/* avx512.c - the AVX-512 table. */
#include "kernel/avx512.h"

#include "kernel/tables.h"

static bool supported(const ex_cpu *cpu) { return cpu->avx512; }

#define MATMUL_ROW(type, name) [EX_TYPE_##type] = ex_avx512_matmul_##name,

const ex_kernels ex_kernels_avx512 = {
    .name = "avx512",
    .supported = supported,
    .matmul = {
        [EX_TYPE_F32] = ex_avx512_matmul_f32,
        [EX_TYPE_F16] = ex_avx512_matmul_f16,
        [EX_TYPE_BF16] = ex_avx512_matmul_bf16,
        [EX_TYPE_Q8_0] = ex_avx512_matmul_q8_0,
        [EX_TYPE_Q4_0] = ex_avx512_matmul_q4_0,
        [EX_TYPE_Q4_K] = ex_avx512_matmul_q4_k,
        [EX_TYPE_Q6_K] = ex_avx512_matmul_q6_k,
        EX_UNPACKED_TYPES(MATMUL_ROW)
    },
    .matmul_packed = {
        [EX_TYPE_Q8_0] = ex_avx512_matmul_packed_q8_0,
        [EX_TYPE_Q4_0] = ex_avx512_matmul_packed_q4_0,
        [EX_TYPE_Q4_K] = ex_avx512_matmul_packed_q4_k,
        [EX_TYPE_Q5_K] = ex_avx512_matmul_packed_q5_k,
        [EX_TYPE_Q6_K] = ex_avx512_matmul_packed_q6_k,
    },
    .arranged_bytes = ex_avx512_arranged_bytes,
    .arrange = ex_avx512_arrange,
    EX_AVX512_FUNCTIONS,
    .integer_peak = ex_avx512_integer_peak,
};
