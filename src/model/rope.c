#include "model/rope.h"

#include <math.h>

void ex_rope_frequencies(const ex_shape *shape, const float *divisors, float *frequencies) {
    for (int32_t i = 0; i < shape->n_rot / 2; i++) {
        float exponent = (float)(2 * i) / (float)shape->n_rot;
        float frequency = 1.0f / powf(shape->rope_base, exponent);
        frequencies[i] = frequency * shape->rope_scale / (divisors ? divisors[i] : 1.0f);
    }
}

void ex_rope_angles(const float *frequencies, int32_t n_pairs, size_t position, float *cosines, float *sines) {
    for (int32_t i = 0; i < n_pairs; i++) {
        float angle = (float)position * frequencies[i];
        cosines[i] = cosf(angle);
        sines[i] = sinf(angle);
    }
}

void ex_rope_apply(ex_rope_kind kind, int32_t n_pairs, const float *cosines, const float *sines, float *head) {
    int32_t step = kind == EX_ROPE_PAIRS ? 2 : 1;
    int32_t distance = kind == EX_ROPE_PAIRS ? 1 : n_pairs;
    for (int32_t i = 0; i < n_pairs; i++) {
        float *first = &head[i * step], *second = first + distance;
        float x = *first, y = *second;
        *first = x * cosines[i] - y * sines[i];
        *second = x * sines[i] + y * cosines[i];
    }
}
