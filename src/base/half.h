/* half.h - IEEE half precision and bfloat16, portable and exact. */
#ifndef EX_BASE_HALF_H
#define EX_BASE_HALF_H

#include <stdint.h>
#include <string.h>

static inline float ex_float_from_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline uint32_t ex_float_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline float ex_half_to_float(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    uint32_t exponent = (half >> 10) & 0x1Fu;
    uint32_t mantissa = half & 0x3FFu;
    if (exponent == 31) return ex_float_from_bits(sign | 0x7F800000u | mantissa << 13);
    if (exponent != 0) return ex_float_from_bits(sign | (exponent + 112) << 23 | mantissa << 13);
    float subnormal = (float)mantissa * 0x1p-24f;
    return sign ? -subnormal : subnormal;
}

/* Rounds to nearest, ties to even, as the hardware does. */
static inline uint16_t ex_half_from_float(float value) {
    uint32_t bits = ex_float_bits(value);
    uint32_t sign = (bits >> 16) & 0x8000u;
    uint32_t magnitude = bits & 0x7FFFFFFFu;
    if (magnitude > 0x7F800000u) return (uint16_t)(sign | 0x7E00u | ((magnitude >> 13) & 0x1FFu));
    if (magnitude >= 0x477FF000u) return (uint16_t)(sign | 0x7C00u);
    if (magnitude < 0x38800000u) { /* subnormal half: adding 0.5 leaves the rounded mantissa in the low bits */
        float shifted = ex_float_from_bits(magnitude) + 0.5f;
        return (uint16_t)(sign | (ex_float_bits(shifted) - 0x3F000000u));
    }
    uint32_t rounded = magnitude + 0xFFFu + ((magnitude >> 13) & 1u);
    return (uint16_t)(sign | ((rounded - 0x38000000u) >> 13));
}

static inline float ex_bfloat_to_float(uint16_t value) { return ex_float_from_bits((uint32_t)value << 16); }

static inline uint16_t ex_bfloat_from_float(float value) {
    uint32_t bits = ex_float_bits(value);
    if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return (uint16_t)(bits >> 16 | 0x40u);
    return (uint16_t)((bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16);
}

#endif
