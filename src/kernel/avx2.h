/* avx2.h - what the AVX2 files share: loads of ragged tails, sums over a register, the exponential function.
 *
 * A tail is always handled in the lanes that its elements have in a full register, with neutral values in the others.
 * So sums do not change when a row gets longer by neutral elements, as happens when a batch is larger. */
#ifndef EX_KERNEL_AVX2_H
#define EX_KERNEL_AVX2_H

#include "kernel/formats.h"
#include "kernel/kernel.h"

#include <immintrin.h>

#define ALWAYS_INLINE static inline __attribute__((always_inline))

/* Before a loop over a tile's rows or tokens: only an unrolled loop leaves its accumulators in registers. */
#if defined(__clang__)
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 8")
#endif

/* All bits set in the first `n` < 8 lanes. */
ALWAYS_INLINE __m256i avx2_first_lanes(size_t n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

/* Eight floats, of which only the first `n` exist when n < 8; the others are `neutral`. */
ALWAYS_INLINE __m256 avx2_load_or(const float *values, size_t n, __m256 neutral) {
    if (n >= 8) return _mm256_loadu_ps(values);
    __m256i lanes = avx2_first_lanes(n);
    return _mm256_blendv_ps(neutral, _mm256_maskload_ps(values, lanes), _mm256_castsi256_ps(lanes));
}

ALWAYS_INLINE void avx2_store_first(float *out, size_t n, __m256 values) {
    if (n >= 8) _mm256_storeu_ps(out, values);
    else _mm256_maskstore_ps(out, avx2_first_lanes(n), values);
}

/* Eight half precision numbers. */
ALWAYS_INLINE __m256 avx2_load_halves(const void *halves) {
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)halves));
}

/* One half precision number in all lanes. */
ALWAYS_INLINE __m256 avx2_broadcast_half(uint16_t half) { return _mm256_cvtph_ps(_mm_set1_epi16((short)half)); }

ALWAYS_INLINE float avx2_sum(__m256 values) {
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(values), _mm256_extractf128_ps(values, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

ALWAYS_INLINE float avx2_maximum_of(__m256 values) {
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(values), _mm256_extractf128_ps(values, 1));
    __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

ALWAYS_INLINE double avx2_sum_pd(__m256d values) {
    __m128d two = _mm_add_pd(_mm256_castpd256_pd128(values), _mm256_extractf128_pd(values, 1));
    return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
}

ALWAYS_INLINE __m256d avx2_low_pd(__m256 values) { return _mm256_cvtps_pd(_mm256_castps256_ps128(values)); }
ALWAYS_INLINE __m256d avx2_high_pd(__m256 values) { return _mm256_cvtps_pd(_mm256_extractf128_ps(values, 1)); }

ALWAYS_INLINE __m256 avx2_absolute(__m256 values) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), values); }

/* The processor's own prefetching stops at the ends of pages. Rows lie one after the other, so what is a little ahead
 * will be needed, whichever row it belongs to. */
ALWAYS_INLINE void avx2_prefetch_ahead(const void *memory, size_t n_bytes) {
    enum { DISTANCE = 4096, LINE = 64 };
    for (size_t i = 0; i < n_bytes; i += LINE) _mm_prefetch((const char *)memory + DISTANCE + i, _MM_HINT_T0);
}

/* Some lines of what comes soon, counted in turn over all streams. */
typedef struct avx2_ahead {
    const ex_streams *ahead;
    size_t first, last;
} avx2_ahead;

ALWAYS_INLINE avx2_ahead avx2_part_ahead(const ex_streams *ahead, size_t from, size_t n_bytes) {
    return ahead ? (avx2_ahead){ahead, from / 64, (from + n_bytes) / 64} : (avx2_ahead){NULL, 0, 0};
}

/* Asks for the part's line `i`, if it has that many. */
ALWAYS_INLINE void avx2_ask_ahead(avx2_ahead part, size_t i) {
    size_t line = part.first + i;
    if (line >= part.last) return;
    _mm_prefetch(part.ahead->streams[line % EX_AHEAD_STREAMS] + line / EX_AHEAD_STREAMS * 64, _MM_HINT_T0);
}

/* e^(x + error) in two factors: x = n ln 2 + r with |r| <= ln 2 / 2; returns e^(r + error) - 1 and gives 2^n. `x` must
 * be in [-87, 88] or NaN, `error` what the rounding of x has lost. The polynomial is the minimax one for
 * (e^r - 1 - r) / r² weighted by r²; its error in e^r is 3.2e-9. */
ALWAYS_INLINE __m256 avx2_exp_parts(__m256 x, __m256 error, __m256 *power) {
    const __m256 log2_e = _mm256_set1_ps(0x1.715476p+0f);
    const __m256 ln2_high = _mm256_set1_ps(0x1.62e4p-1f), ln2_low = _mm256_set1_ps(0x1.7f7d1cp-20f);
    __m256 n = _mm256_round_ps(_mm256_mul_ps(x, log2_e), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    __m256 r = _mm256_fnmadd_ps(n, ln2_low, _mm256_add_ps(_mm256_fnmadd_ps(n, ln2_high, x), error));
    __m256 q = _mm256_set1_ps(1.3950478746918725e-3f);
    q = _mm256_fmadd_ps(q, r, _mm256_set1_ps(8.368883750785984e-3f));
    q = _mm256_fmadd_ps(q, r, _mm256_set1_ps(4.166620598563467e-2f));
    q = _mm256_fmadd_ps(q, r, _mm256_set1_ps(1.666651888572426e-1f));
    q = _mm256_fmadd_ps(q, r, _mm256_set1_ps(5.000000095130389e-1f));
    __m256i exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
    *power = _mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23));
    return _mm256_fmadd_ps(_mm256_mul_ps(r, r), q, r);
}

/* e^x for x <= 0 to 1 unit in the last place; 0 below -87, NaN for NaN. */
ALWAYS_INLINE __m256 avx2_exp_negative(__m256 x) {
    const __m256 lowest = _mm256_set1_ps(-87);
    __m256 power;
    __m256 minus_one = avx2_exp_parts(_mm256_max_ps(lowest, x), _mm256_setzero_ps(), &power);
    __m256 result = _mm256_mul_ps(_mm256_add_ps(minus_one, _mm256_set1_ps(1)), power);
    return _mm256_andnot_ps(_mm256_cmp_ps(x, lowest, _CMP_LT_OQ), result);
}

ex_matmul ex_avx2_matmul_f32, ex_avx2_matmul_f16, ex_avx2_matmul_bf16, ex_avx2_matmul_q8_0, ex_avx2_matmul_q4_0,
    ex_avx2_matmul_q4_k, ex_avx2_matmul_q6_k;

#define EX_DECLARE_AVX2_MATMUL(type, name) ex_matmul ex_avx2_matmul_##name;
EX_UNPACKED_TYPES(EX_DECLARE_AVX2_MATMUL)

ex_attention_scores ex_avx2_attention_scores_f16, ex_avx2_attention_scores_f32,
    ex_avx2_attention_scores_q8_0;
ex_attention_values ex_avx2_attention_values_f16, ex_avx2_attention_values_f32,
    ex_avx2_attention_values_q8_0;
void ex_avx2_softmax(float *row, size_t n, ex_row_statistics *statistics);
ex_head_sums ex_avx2_head_deviation(const float *probabilities, size_t stride, size_t n_head, size_t first,
                                    size_t last);

void ex_avx2_quantize_row(const float *values, size_t n, int8_t *quants, float *scales, int16_t *sums);
void ex_avx2_rms_norm(const float *x, const float *weight, size_t n, float epsilon, float *out);
void ex_avx2_swiglu(float *gate, const float *up, size_t n);
void ex_avx2_add(float *x, const float *y, size_t n);
uint64_t ex_avx2_read_memory(const void *memory, size_t n_bytes);
uint64_t ex_avx2_integer_peak(int32_t state[EX_PEAK_STATE], size_t n_rounds);
float ex_avx2_maximum(const float *values, size_t n);
ex_exponential_sums ex_avx2_exponential_sums(const float *values, size_t n, float *block_maxima);
size_t ex_avx2_select_at_least(const float *values, size_t n, float threshold, int *indices, size_t capacity);

#endif
