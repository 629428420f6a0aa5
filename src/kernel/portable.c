/* portable.c - the portable table and its small vector functions. */
#include "kernel/portable.h"

#include "kernel/tables.h"

#include <float.h>
#include <math.h>
#include <string.h>

static bool supported(const ex_cpu *cpu) {
    (void)cpu;
    return true;
}

/* A block with a NaN or infinity gets the scale NaN, so that the fault reaches the logits, where it is found. */
static void quantize_block(const float *values, int8_t *quants, float *scale) {
    float largest = 0;
    bool finite = true;
    for (size_t i = 0; i < EX_QUANT_BLOCK; i++) {
        largest = fmaxf(largest, fabsf(values[i]));
        finite = finite && isfinite(values[i]);
    }
    *scale = finite ? largest / 127 : NAN;
    if (!(*scale >= FLT_MIN)) { /* nothing, or less than has an inverse */
        memset(quants, 0, EX_QUANT_BLOCK);
        if (finite) *scale = 0;
        return;
    }
    float inverse = 1 / *scale;
    for (size_t i = 0; i < EX_QUANT_BLOCK; i++) quants[i] = (int8_t)lrintf(values[i] * inverse);
}

static void quantize_row(const float *values, size_t n, int8_t *quants, float *scales, int16_t *sums) {
    for (size_t b = 0; b < n / EX_QUANT_BLOCK; b++)
        quantize_block(values + b * EX_QUANT_BLOCK, quants + b * EX_QUANT_BLOCK, scales + b);
    for (size_t b = 0; b < n / EX_SUM_BLOCK; b++) {
        int sum = 0;
        for (size_t i = 0; i < EX_SUM_BLOCK; i++) sum += quants[b * EX_SUM_BLOCK + i];
        sums[b] = (int16_t)sum;
    }
}

static void rms_norm(const float *x, const float *weight, size_t n, float epsilon, float *out) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)x[i] * (double)x[i];
    float scale = (float)(1 / sqrt(sum / (double)n + (double)epsilon));
    for (size_t i = 0; i < n; i++) out[i] = x[i] * scale * weight[i];
}

static void swiglu(float *gate, const float *up, size_t n) {
    for (size_t i = 0; i < n; i++) gate[i] = gate[i] / (1 + expf(-gate[i])) * up[i];
}

static void add(float *x, const float *y, size_t n) {
    for (size_t i = 0; i < n; i++) x[i] += y[i];
}

static uint64_t read_memory(const void *memory, size_t n_bytes) {
    const unsigned char *bytes = memory;
    uint64_t sums[8] = {0}, words[8];
    size_t i = 0;
    for (; i + sizeof words <= n_bytes; i += sizeof words) {
        memcpy(words, bytes + i, sizeof words);
        for (int lane = 0; lane < 8; lane++) sums[lane] += words[lane];
    }
    for (; i < n_bytes; i++) sums[0] += bytes[i];
    for (int lane = 1; lane < 8; lane++) sums[0] += sums[lane];
    return sums[0];
}

/* What a compiler makes of sums of products. One factor changes with the round, or all products would be the same. */
static uint64_t integer_peak(int32_t state[EX_PEAK_STATE], size_t n_rounds) {
    enum { N = EX_PEAK_STATE * sizeof(int32_t) };
    int8_t bytes[N];
    uint32_t sums[N] = {0};
    memcpy(bytes, state, N);
    for (size_t round = 0; round < n_rounds; round++) {
        const int8_t factor = (int8_t)(round & 127);
        for (size_t i = 0; i < N; i++) sums[i] += (uint32_t)(bytes[i] * (bytes[N - 1 - i] ^ factor));
    }
    for (size_t i = 0; i < N; i++) state[i % EX_PEAK_STATE] ^= (int32_t)sums[i];
    return (uint64_t)n_rounds * N * 2;
}

/* Rows of ex_vector_math_portable cannot initialise a constant table in C, so these pass the calls on. */
static float maximum(const float *values, size_t n) { return ex_vector_math_portable.maximum(values, n); }

static ex_exponential_sums exponential_sums(const float *values, size_t n, float *block_maxima) {
    return ex_vector_math_portable.exponential_sums(values, n, block_maxima);
}

static size_t select_at_least(const float *values, size_t n, float threshold, int *indices, size_t capacity) {
    return ex_vector_math_portable.select_at_least(values, n, threshold, indices, capacity);
}

const ex_kernels ex_kernels_portable = {
    .name = "portable",
    .supported = supported,
    .matmul = {
        [EX_TYPE_F32] = ex_portable_matmul_f32,
        [EX_TYPE_F16] = ex_portable_matmul_f16,
        [EX_TYPE_BF16] = ex_portable_matmul_bf16,
        [EX_TYPE_Q8_0] = ex_portable_matmul_q8_0,
        [EX_TYPE_Q4_0] = ex_portable_matmul_q4_0,
        [EX_TYPE_Q4_K] = ex_portable_matmul_q4_k,
        [EX_TYPE_Q6_K] = ex_portable_matmul_q6_k,
        EX_UNPACKED_TYPES(EX_PORTABLE_MATMUL_ROW)
    },
    .quantize_row = quantize_row,
    .rms_norm = rms_norm,
    .swiglu = swiglu,
    .add = add,
    .attention_scores = {ex_portable_attention_scores_f16, ex_portable_attention_scores_f32,
                         ex_portable_attention_scores_q8_0},
    .softmax = ex_portable_softmax,
    .attention_values = {ex_portable_attention_values_f16, ex_portable_attention_values_f32,
                         ex_portable_attention_values_q8_0},
    .head_deviation = ex_portable_head_deviation,
    .read_memory = read_memory,
    .integer_peak = integer_peak,
    .vector_math = {maximum, exponential_sums, select_at_least},
};
