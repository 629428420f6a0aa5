#include "model/rope.h"

#include <math.h>

typedef struct yarn_ramp { /* pairs before `low` keep their frequency, those after `high` are scaled */
    float low, high;
} yarn_ramp;

/* The pair that turns `rotations` times within the context that a model was first trained for. */
static float pair_of(const ex_shape *shape, float rotations) {
    float wave = (float)shape->n_context_original / (rotations * 2 * (float)M_PI);
    return (float)shape->n_rot * logf(wave) / (2 * logf(shape->rope_base));
}

static yarn_ramp ramp_of(const ex_shape *shape) {
    float low = pair_of(shape, shape->yarn_beta_fast), high = pair_of(shape, shape->yarn_beta_slow);
    if (!shape->exact_yarn_ramp) {
        low = floorf(low);
        high = ceilf(high);
    }
    return (yarn_ramp){fmaxf(0, low), fminf((float)shape->n_rot - 1, high)};
}

static float yarn(const ex_shape *shape, yarn_ramp ramp, int32_t pair, float frequency) {
    float along = ((float)pair - ramp.low) / fmaxf(0.001f, ramp.high - ramp.low);
    float kept = (1 - fminf(fmaxf(along, 0), 1)) * shape->yarn_extrapolation;
    return frequency * shape->rope_scale * (1 - kept) + frequency * kept;
}

/* Llama 3's rule comes as divisors in the file; longrope has two sets, for short sessions and for long ones. */
static const float *divisors_of(const ex_shape *shape, const ex_weights *weights, size_t n_context) {
    if (shape->rope_scaling != EX_ROPE_LONG) return weights->rope_freqs;
    bool is_long = n_context > (size_t)shape->n_context_original;
    return is_long ? weights->rope_factors_long : weights->rope_factors_short;
}

void ex_rope_frequencies(const ex_shape *shape, const ex_weights *weights, int kind, size_t n_context,
                         float *frequencies) {
    bool own_base = kind == EX_ROPE_LOCAL && shape->local_rope_base > 0; /* and then no scaling */
    float base = own_base ? shape->local_rope_base : shape->rope_base;
    const float *divisors = own_base ? NULL : divisors_of(shape, weights, n_context);
    yarn_ramp ramp = shape->rope_scaling == EX_ROPE_YARN ? ramp_of(shape) : (yarn_ramp){0};
    for (int32_t i = 0; i < shape->n_rot / 2; i++) {
        float exponent = (float)(2 * i) / (float)shape->n_rot;
        float frequency = 1.0f / powf(base, exponent) / (divisors ? divisors[i] : 1.0f);
        if (own_base) frequencies[i] = frequency;
        else if (shape->rope_scaling == EX_ROPE_YARN) frequencies[i] = yarn(shape, ramp, i, frequency);
        else frequencies[i] = frequency * shape->rope_scale;
    }
}

void ex_rope_angles(const float *frequencies, int32_t n_pairs, size_t position, float magnitude, float *cosines,
                    float *sines) {
    for (int32_t i = 0; i < n_pairs; i++) {
        float angle = (float)position * frequencies[i];
        cosines[i] = magnitude * cosf(angle);
        sines[i] = magnitude * sinf(angle);
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
