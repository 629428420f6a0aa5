/* avx2.c - the table for processors with AVX2, FMA and F16C. */
#include "kernel/avx2.h"

#include "kernel/tables.h"

static bool supported(const ex_cpu *cpu) { return cpu->avx2; }

#define MATMUL_ROW(type, name) [EX_TYPE_##type] = ex_avx2_matmul_##name,

const ex_kernels ex_kernels_avx2 = {
    .name = "avx2",
    .supported = supported,
    .matmul = {
        [EX_TYPE_F32] = ex_avx2_matmul_f32,
        [EX_TYPE_F16] = ex_avx2_matmul_f16,
        [EX_TYPE_BF16] = ex_avx2_matmul_bf16,
        [EX_TYPE_Q8_0] = ex_avx2_matmul_q8_0,
        [EX_TYPE_Q4_0] = ex_avx2_matmul_q4_0,
        [EX_TYPE_Q4_K] = ex_avx2_matmul_q4_k,
        [EX_TYPE_Q6_K] = ex_avx2_matmul_q6_k,
        EX_UNPACKED_TYPES(MATMUL_ROW)
    },
    .quantize_row = ex_avx2_quantize_row,
    .rms_norm = ex_avx2_rms_norm,
    .swiglu = ex_avx2_swiglu,
    .add = ex_avx2_add,
    .attention_scores = {ex_avx2_attention_scores_f16, ex_avx2_attention_scores_f32,
                         ex_avx2_attention_scores_q8_0},
    .softmax = ex_avx2_softmax,
    .attention_values = {ex_avx2_attention_values_f16, ex_avx2_attention_values_f32,
                         ex_avx2_attention_values_q8_0},
    .head_deviation = ex_avx2_head_deviation,
    .read_memory = ex_avx2_read_memory,
    .integer_peak = ex_avx2_integer_peak,
    .vector_math = {ex_avx2_maximum, ex_avx2_exponential_sums, ex_avx2_select_at_least},
};
