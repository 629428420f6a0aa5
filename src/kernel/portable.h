/* portable.h - the functions of the portable table, for portable.c and for tables that have nothing better. */
#ifndef EX_KERNEL_PORTABLE_H
#define EX_KERNEL_PORTABLE_H

#include "kernel/kernel.h"

void ex_portable_matmul_f32(const void *weights, size_t row_bytes, size_t n_rows, const ex_activations *x, float *out,
                            size_t out_stride);
void ex_portable_matmul_f16(const void *weights, size_t row_bytes, size_t n_rows, const ex_activations *x, float *out,
                            size_t out_stride);
void ex_portable_matmul_bf16(const void *weights, size_t row_bytes, size_t n_rows, const ex_activations *x, float *out,
                             size_t out_stride);
void ex_portable_matmul_q8_0(const void *weights, size_t row_bytes, size_t n_rows, const ex_activations *x, float *out,
                             size_t out_stride);
void ex_portable_matmul_q4_0(const void *weights, size_t row_bytes, size_t n_rows, const ex_activations *x, float *out,
                             size_t out_stride);
void ex_portable_matmul_q4_k(const void *weights, size_t row_bytes, size_t n_rows, const ex_activations *x, float *out,
                             size_t out_stride);
void ex_portable_matmul_q6_k(const void *weights, size_t row_bytes, size_t n_rows, const ex_activations *x, float *out,
                             size_t out_stride);

void ex_portable_attention_scores_f16(const float *queries, size_t n_query, size_t head_dim, const void *keys,
                                      size_t n_positions, float scale, float *scores, size_t scores_stride);
void ex_portable_attention_scores_f32(const float *queries, size_t n_query, size_t head_dim, const void *keys,
                                      size_t n_positions, float scale, float *scores, size_t scores_stride);
void ex_portable_attention_values_f16(const float *probabilities, size_t stride, size_t n_query, const void *values,
                                      size_t n_positions, size_t head_dim, float *out);
void ex_portable_attention_values_f32(const float *probabilities, size_t stride, size_t n_query, const void *values,
                                      size_t n_positions, size_t head_dim, float *out);
void ex_portable_softmax(float *row, size_t n, ex_row_statistics *statistics);
double ex_portable_head_deviation(const float *probabilities, size_t stride, size_t n_head, size_t first, size_t last);

#endif
