/* avx2_peak.c - the most byte products that AVX2 can make: each product of pairs waits for the last sum of its chain,
 * and there are as many chains as it takes to hide that. */
#include "kernel/avx2.h"

uint64_t ex_avx2_integer_peak(int32_t state[EX_PEAK_STATE], size_t n_rounds) {
    enum { CHAINS = 12 };
    const __m256i bytes = _mm256_loadu_si256((const __m256i *)(const void *)state), ones = _mm256_set1_epi16(1);
    __m256i sums[CHAINS];
    UNROLL for (int k = 0; k < CHAINS; k++) sums[k] = _mm256_set1_epi32(state[k]);
    for (size_t i = 0; i < n_rounds; i++) {
        UNROLL for (int k = 0; k < CHAINS; k++) {
            __m256i products = _mm256_madd_epi16(_mm256_maddubs_epi16(sums[k], bytes), ones);
            sums[k] = _mm256_add_epi32(sums[k], products);
        }
    }
    UNROLL for (int k = 1; k < CHAINS; k++) sums[0] = _mm256_xor_si256(sums[0], sums[k]);
    _mm256_storeu_si256((__m256i *)(void *)state, sums[0]);
    return (uint64_t)n_rounds * CHAINS * sizeof bytes * 2;
}
