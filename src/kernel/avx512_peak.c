/* avx512_peak.c - the most byte products that VNNI can make. */
#include "kernel/avx512.h"

uint64_t ex_avx512_integer_peak(int32_t state[EX_PEAK_STATE], size_t n_rounds) {
    enum { CHAINS = 12 }; /* an instruction takes five cycles, and two can start in each */
    const __m512i bytes = _mm512_loadu_si512(state), others = _mm512_set1_epi32(state[0]);
    __m512i sums[CHAINS];
#pragma GCC unroll 12
    for (int k = 0; k < CHAINS; k++) sums[k] = _mm512_set1_epi32(state[k]);
    for (size_t i = 0; i < n_rounds; i++) {
#pragma GCC unroll 12
        for (int k = 0; k < CHAINS; k++) {
            sums[k] = _mm512_dpbusd_epi32(sums[k], bytes, others);
            __asm__ volatile("" : "+v"(sums[k])); /* or gcc adds a move to each, which takes the place of a product */
        }
    }
#pragma GCC unroll 12
    for (int k = 1; k < CHAINS; k++) sums[0] = _mm512_xor_si512(sums[0], sums[k]);
    _mm512_storeu_si512(state, sums[0]);
    return (uint64_t)n_rounds * CHAINS * sizeof bytes * 2;
}
