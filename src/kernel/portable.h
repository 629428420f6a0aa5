/* portable.h - the functions of the portable table, for portable.c and for tables that have nothing better. */
#ifndef EX_KERNEL_PORTABLE_H
#define EX_KERNEL_PORTABLE_H

#include "kernel/formats.h"
#include "kernel/kernel.h"

ex_matmul ex_portable_matmul_f32, ex_portable_matmul_f16, ex_portable_matmul_bf16, ex_portable_matmul_q8_0,
    ex_portable_matmul_q4_0, ex_portable_matmul_q4_k, ex_portable_matmul_q6_k;

#define EX_DECLARE_PORTABLE_MATMUL(type, name) ex_matmul ex_portable_matmul_##name;
EX_UNPACKED_TYPES(EX_DECLARE_PORTABLE_MATMUL)

/* The rows of these types in a table's `matmul`. */
#define EX_PORTABLE_MATMUL_ROW(type, name) [EX_TYPE_##type] = ex_portable_matmul_##name,

ex_attention_scores ex_portable_attention_scores_f16, ex_portable_attention_scores_f32,
    ex_portable_attention_scores_q8_0;
ex_attention_values ex_portable_attention_values_f16, ex_portable_attention_values_f32,
    ex_portable_attention_values_q8_0;
void ex_portable_softmax(float *row, size_t n, ex_row_statistics *statistics);
ex_head_sums ex_portable_head_deviation(const float *probabilities, size_t stride, size_t n_head, size_t first,
                                        size_t last);

#endif
