/* avx512.h - what the AVX-512 kernels share: tails, reductions in a fixed order, the exponential function. */
#ifndef EX_KERNEL_AVX512_H
#define EX_KERNEL_AVX512_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/formats.h"
#include "kernel/kernel.h"

enum { EX_LANES = 16 }; /* floats in a register */

/* For templates: functions whose arguments are constants at each call, and which are compiled anew for each. */
#define EX_INLINE static inline __attribute__((always_inline))

/* The first n lanes; n of 16 or more means all of them. */
static inline __mmask16 ex_first_lanes(size_t n) { return (__mmask16)(n >= EX_LANES ? 0xFFFF : (1u << n) - 1); }

static inline __m512 ex_load_halves_masked(__mmask16 mask, const uint16_t *halves) {
    return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, halves));
}

/* Asks for as many lines of what comes soon as are in n_bytes from `from` on: lines in turn from all streams. */
EX_INLINE void ex_ask_ahead(const ex_streams *ahead, size_t from, size_t n_bytes) {
    if (!ahead) return;
    const size_t first = from / 64, last = first + (from % 64 + n_bytes) / 64;
    for (size_t line = first; line < last; line++)
        _mm_prefetch(ahead->streams[line % EX_AHEAD_STREAMS] + line / EX_AHEAD_STREAMS * 64, _MM_HINT_T0);
}

/* The sum of all lanes: always of lane i and lane i + 8, then + 4, + 2, + 1. */
static inline float ex_sum_lanes(__m512 values) {
    __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(values), _mm512_extractf32x8_ps(values, 1));
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

static inline double ex_sum_double_lanes(__m512d values) {
    __m256d four = _mm256_add_pd(_mm512_castpd512_pd256(values), _mm512_extractf64x4_pd(values, 1));
    __m128d two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
    return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
}

/* Adds the lanes to eight sums in double precision. */
static inline __m512d ex_add_as_doubles(__m512d sums, __m512 values) {
    __m512d low = _mm512_cvtps_pd(_mm512_castps512_ps256(values));
    __m512d high = _mm512_cvtps_pd(_mm512_extractf32x8_ps(values, 1));
    return _mm512_add_pd(sums, _mm512_add_pd(low, high));
}

static inline __m512 ex_absolute(__m512 values) { return _mm512_andnot_ps(_mm512_set1_ps(-0.0f), values); }

/* Below this e^x is next to subnormal numbers, which are slow, and counts as 0. */
#define EX_EXP_LOWEST (-87.3f)

/* e^x to one unit in the last place: 0 from EX_EXP_LOWEST down, infinity from 88.8 up, NaN for NaN. x = n ln 2 + r with
 * |r| <= ln 2 / 2; the polynomial is 1 + r + r² q(r), with q fitted to the smallest relative error of the whole
 * (3e-9). */
static inline __m512 ex_exp(__m512 x) {
    const __m512 lowest = _mm512_set1_ps(EX_EXP_LOWEST);
    const __mmask16 live = _mm512_cmp_ps_mask(x, lowest, _CMP_NLE_UQ);
    x = _mm512_max_ps(lowest, _mm512_min_ps(_mm512_set1_ps(89), x)); /* of two operands, NaN passes as the second */
    __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(0x1.715476p+0f)),
                                    _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    /* The first part of ln 2 has so few bits that n times it is exact. */
    __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0x1.62e4p-1f), x);
    r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0x1.7f7d1cp-20f), r);
    __m512 q = _mm512_set1_ps(1.3814577e-3f);
    q = _mm512_fmadd_ps(q, r, _mm512_set1_ps(8.3687275e-3f));
    q = _mm512_fmadd_ps(q, r, _mm512_set1_ps(4.1668389e-2f));
    q = _mm512_fmadd_ps(q, r, _mm512_set1_ps(1.66665205e-1f));
    q = _mm512_fmadd_ps(q, r, _mm512_set1_ps(4.99999934e-1f));
    __m512 minus_one = _mm512_fmadd_ps(_mm512_mul_ps(r, r), q, r);
    return _mm512_maskz_scalef_ps(live, _mm512_add_ps(minus_one, _mm512_set1_ps(1)), n);
}

ex_matmul ex_avx512_matmul_f32, ex_avx512_matmul_f16, ex_avx512_matmul_bf16, ex_avx512_matmul_q8_0,
    ex_avx512_matmul_q4_0, ex_avx512_matmul_q4_k, ex_avx512_matmul_q6_k;

#define EX_DECLARE_AVX512_MATMUL(type, name) ex_matmul ex_avx512_matmul_##name;
EX_UNPACKED_TYPES(EX_DECLARE_AVX512_MATMUL)

/* Of packed rows. */
ex_matmul ex_avx512_matmul_packed_q8_0, ex_avx512_matmul_packed_q4_0, ex_avx512_matmul_packed_q4_k,
    ex_avx512_matmul_packed_q5_k, ex_avx512_matmul_packed_q6_k;

ex_attention_scores ex_avx512_attention_scores_f16, ex_avx512_attention_scores_f32,
    ex_avx512_attention_scores_q8_0;
void ex_avx512_softmax(float *row, size_t n, ex_row_statistics *statistics);
ex_attention_values ex_avx512_attention_values_f16, ex_avx512_attention_values_f32,
    ex_avx512_attention_values_q8_0;
ex_head_sums ex_avx512_head_deviation(const float *probabilities, size_t stride, size_t n_head, size_t first,
                                      size_t last);

size_t ex_avx512_arranged_bytes(size_t n_tokens, size_t n_in);
void ex_avx512_arrange(const ex_activations *x, size_t token, size_t from, size_t n, void *arranged);

void ex_avx512_quantize_row(const float *values, size_t n, int8_t *quants, float *scales, int16_t *sums);
void ex_avx512_rms_norm(const float *x, const float *weight, size_t n, float epsilon, float *out);
void ex_avx512_swiglu(float *gate, const float *up, size_t n);
void ex_avx512_add(float *x, const float *y, size_t n);
uint64_t ex_avx512_read_memory(const void *memory, size_t n_bytes);
uint64_t ex_avx512_integer_peak(int32_t state[EX_PEAK_STATE], size_t n_rounds);
float ex_avx512_maximum(const float *values, size_t n);
ex_exponential_sums ex_avx512_exponential_sums(const float *values, size_t n, float *block_maxima);
size_t ex_avx512_select_at_least(const float *values, size_t n, float threshold, int *indices, size_t capacity);

/* What the tables for AVX-512 and for AMX have in common: all but matrix products and the peak. */
#define EX_AVX512_FUNCTIONS                                                                                            \
    .quantize_row = ex_avx512_quantize_row,                                                                            \
    .rms_norm = ex_avx512_rms_norm,                                                                                    \
    .swiglu = ex_avx512_swiglu,                                                                                        \
    .add = ex_avx512_add,                                                                                              \
    .attention_scores = {ex_avx512_attention_scores_f16, ex_avx512_attention_scores_f32,                               \
                         ex_avx512_attention_scores_q8_0},                                                             \
    .softmax = ex_avx512_softmax,                                                                                      \
    .attention_values = {ex_avx512_attention_values_f16, ex_avx512_attention_values_f32,                               \
                         ex_avx512_attention_values_q8_0},                                                             \
    .head_deviation = ex_avx512_head_deviation,                                                                        \
    .read_memory = ex_avx512_read_memory,                                                                              \
    .vector_math = {ex_avx512_maximum, ex_avx512_exponential_sums, ex_avx512_select_at_least}

#endif
