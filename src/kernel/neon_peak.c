/* neon_peak.c - the most byte products that the dot product instructions can make. */
#include "kernel/neon.h"

uint64_t ex_neon_integer_peak(int32_t state[EX_PEAK_STATE], size_t n_rounds) {
    enum { CHAINS = 16 }; /* an instruction takes up to four cycles, and four can start in each */
    const int8x16_t bytes = vreinterpretq_s8_s32(vld1q_s32(state)), others = vreinterpretq_s8_s32(vld1q_s32(state + 4));
    int32x4_t sums[CHAINS];
    for (int k = 0; k < CHAINS; k++) sums[k] = vdupq_n_s32(state[k]);
    for (size_t i = 0; i < n_rounds; i++)
        UNROLL for (int k = 0; k < CHAINS; k++) sums[k] = vdotq_s32(sums[k], bytes, others);
    for (int k = 1; k < CHAINS; k++) sums[0] = veorq_s32(sums[0], sums[k]);
    vst1q_s32(state, sums[0]);
    return (uint64_t)n_rounds * CHAINS * sizeof bytes * 2;
}
