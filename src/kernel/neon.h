/* neon.h - what the NEON files share: loads of ragged tails, sums over a register, the exponential function.
 *
 * A tail is always handled in the lanes that its elements have in a full register, with neutral values in the others.
 * So sums do not change when a row gets longer by neutral elements, as happens when a batch is larger. */
#ifndef EX_KERNEL_NEON_H
#define EX_KERNEL_NEON_H

#include "kernel/formats.h"
#include "kernel/kernel.h"

#include <arm_neon.h>

#define ALWAYS_INLINE static inline __attribute__((always_inline))

/* Before a loop over a tile's rows or tokens: only an unrolled loop leaves its accumulators in registers. */
#if defined(__clang__)
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 8")
#endif

/* Four floats, of which only the first `n` exist when n < 4; the others are `neutral`. */
ALWAYS_INLINE float32x4_t neon_load_or(const float *values, size_t n, float neutral) {
    if (n >= 4) return vld1q_f32(values);
    float four[4] = {neutral, neutral, neutral, neutral};
    for (size_t i = 0; i < n; i++) four[i] = values[i];
    return vld1q_f32(four);
}

ALWAYS_INLINE void neon_store_first(float *out, size_t n, float32x4_t values) {
    if (n >= 4) {
        vst1q_f32(out, values);
        return;
    }
    float four[4];
    vst1q_f32(four, values);
    for (size_t i = 0; i < n; i++) out[i] = four[i];
}

typedef struct neon_eight {
    float32x4_t low, high;
} neon_eight;

ALWAYS_INLINE neon_eight neon_load_eight(const float *values) {
    return (neon_eight){vld1q_f32(values), vld1q_f32(values + 4)};
}

/* Eight half precision numbers. */
ALWAYS_INLINE neon_eight neon_load_halves(const void *halves) {
    float16x8_t eight = vreinterpretq_f16_u16(vld1q_u16((const uint16_t *)halves));
    return (neon_eight){vcvt_f32_f16(vget_low_f16(eight)), vcvt_high_f32_f16(eight)};
}

ALWAYS_INLINE float neon_half(uint16_t half) {
    return vgetq_lane_f32(vcvt_f32_f16(vreinterpret_f16_u16(vdup_n_u16(half))), 0);
}

ALWAYS_INLINE float neon_sum(float32x4_t values) {
    float32x2_t two = vadd_f32(vget_low_f32(values), vget_high_f32(values));
    return vget_lane_f32(vpadd_f32(two, two), 0);
}

ALWAYS_INLINE float64x2_t neon_low_double(float32x4_t values) { return vcvt_f64_f32(vget_low_f32(values)); }
ALWAYS_INLINE float64x2_t neon_high_double(float32x4_t values) { return vcvt_high_f64_f32(values); }

/* Adds the lanes to two sums in double precision. */
ALWAYS_INLINE float64x2_t neon_add_as_doubles(float64x2_t sums, float32x4_t values) {
    return vaddq_f64(sums, vaddq_f64(neon_low_double(values), neon_high_double(values)));
}

/* Rows lie one after the other, so what is a little ahead will be needed, whichever row it belongs to. */
ALWAYS_INLINE void neon_prefetch_ahead(const void *memory, size_t n_bytes) {
    enum { DISTANCE = 2048, LINE = 64 };
    for (size_t i = 0; i < n_bytes; i += LINE) __builtin_prefetch((const char *)memory + DISTANCE + i);
}

/* e^x for x <= 0 to 1 unit in the last place; 0 below -87, NaN for NaN. x = n ln 2 + r with |r| <= ln 2 / 2; the first
 * part of ln 2 has so few bits that n times it is exact. The polynomial is the minimax one for (e^r - 1 - r) / r²
 * weighted by r²; its error in e^r is 3.2e-9. */
ALWAYS_INLINE float32x4_t neon_exp_negative(float32x4_t x) {
    const float32x4_t lowest = vdupq_n_f32(-87);
    float32x4_t clamped = vmaxq_f32(lowest, x);
    float32x4_t n = vrndnq_f32(vmulq_n_f32(clamped, 0x1.715476p+0f));
    float32x4_t r = vfmsq_f32(clamped, n, vdupq_n_f32(0x1.62e4p-1f));
    r = vfmsq_f32(r, n, vdupq_n_f32(0x1.7f7d1cp-20f));
    float32x4_t q = vdupq_n_f32(1.3950478746918725e-3f);
    q = vfmaq_f32(vdupq_n_f32(8.368883750785984e-3f), q, r);
    q = vfmaq_f32(vdupq_n_f32(4.166620598563467e-2f), q, r);
    q = vfmaq_f32(vdupq_n_f32(1.666651888572426e-1f), q, r);
    q = vfmaq_f32(vdupq_n_f32(5.000000095130389e-1f), q, r);
    float32x4_t minus_one = vfmaq_f32(r, vmulq_f32(r, r), q);
    int32x4_t exponent = vaddq_s32(vcvtq_s32_f32(n), vdupq_n_s32(127));
    float32x4_t power = vreinterpretq_f32_s32(vshlq_n_s32(exponent, 23));
    float32x4_t result = vmulq_f32(vaddq_f32(minus_one, vdupq_n_f32(1)), power);
    return vbslq_f32(vcltq_f32(x, lowest), vdupq_n_f32(0), result);
}

ex_matmul ex_neon_matmul_f32, ex_neon_matmul_f16, ex_neon_matmul_bf16, ex_neon_matmul_q8_0, ex_neon_matmul_q4_0,
    ex_neon_matmul_q4_k, ex_neon_matmul_q6_k;

#define EX_DECLARE_NEON_MATMUL(type, name) ex_matmul ex_neon_matmul_##name;
EX_UNPACKED_TYPES(EX_DECLARE_NEON_MATMUL)

ex_attention_scores ex_neon_attention_scores_f16, ex_neon_attention_scores_f32;
ex_attention_values ex_neon_attention_values_f16, ex_neon_attention_values_f32;
void ex_neon_softmax(float *row, size_t n, ex_row_statistics *statistics);
ex_head_sums ex_neon_head_deviation(const float *probabilities, size_t stride, size_t n_head, size_t first,
                                    size_t last);

void ex_neon_quantize_row(const float *values, size_t n, int8_t *quants, float *scales, int16_t *sums);
void ex_neon_rms_norm(const float *x, const float *weight, size_t n, float epsilon, float *out);
void ex_neon_swiglu(float *gate, const float *up, size_t n);
void ex_neon_add(float *x, const float *y, size_t n);
uint64_t ex_neon_read_memory(const void *memory, size_t n_bytes);
uint64_t ex_neon_integer_peak(int32_t state[EX_PEAK_STATE], size_t n_rounds);
float ex_neon_maximum(const float *values, size_t n);
ex_exponential_sums ex_neon_exponential_sums(const float *values, size_t n, float *block_maxima);
size_t ex_neon_select_at_least(const float *values, size_t n, float threshold, int *indices, size_t capacity);

#endif
