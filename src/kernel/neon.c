/* neon.c - the table for 64-bit Arm processors with the dot product instructions. */
#include "kernel/neon.h"

#include "kernel/portable.h"
#include "kernel/tables.h"

#define MATMUL_ROW(type, name) [EX_TYPE_##type] = ex_neon_matmul_##name,

static bool supported(const ex_cpu *cpu) { return cpu->neon_dot; }

const ex_kernels ex_kernels_neon = {
    .name = "neon",
    .supported = supported,
    .matmul = {
        [EX_TYPE_F32] = ex_neon_matmul_f32,
        [EX_TYPE_F16] = ex_neon_matmul_f16,
        [EX_TYPE_BF16] = ex_neon_matmul_bf16,
        [EX_TYPE_Q8_0] = ex_neon_matmul_q8_0,
        [EX_TYPE_Q4_0] = ex_neon_matmul_q4_0,
        [EX_TYPE_Q4_K] = ex_neon_matmul_q4_k,
        [EX_TYPE_Q6_K] = ex_neon_matmul_q6_k,
        EX_UNPACKED_TYPES(MATMUL_ROW)
    },
    .quantize_row = ex_neon_quantize_row,
    .rms_norm = ex_neon_rms_norm,
    .swiglu = ex_neon_swiglu,
    .add = ex_neon_add,
    .attention_scores = {ex_neon_attention_scores_f16, ex_neon_attention_scores_f32,
                         ex_portable_attention_scores_q8_0},
    .softmax = ex_neon_softmax,
    .attention_values = {ex_neon_attention_values_f16, ex_neon_attention_values_f32,
                         ex_portable_attention_values_q8_0},
    .head_deviation = ex_neon_head_deviation,
    .read_memory = ex_neon_read_memory,
    .integer_peak = ex_neon_integer_peak,
    .vector_math = {ex_neon_maximum, ex_neon_exponential_sums, ex_neon_select_at_least},
};
