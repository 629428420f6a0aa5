#include "base/vector_math.h"

#include <math.h>

static float maximum(const float *values, size_t n) {
    float largest = values[0];
    for (size_t i = 1; i < n; i++)
        if (values[i] > largest || isnan(values[i])) largest = values[i];
    return largest;
}

static ex_exponential_sums exponential_sums(const float *values, size_t n, float *block_maxima) {
    ex_exponential_sums sums = {.maximum = maximum(values, n)};
    if (!isfinite(sums.maximum)) return sums;
    for (size_t i = 0; i < n; i++) {
        double x = (double)values[i] - (double)sums.maximum;
        double e = exp(x);
        if (e == 0) continue; /* x may be -infinity, and 0 times that is NaN */
        sums.sum += e;
        sums.sum_x += e * x;
        sums.sum_x_squared += e * x * x;
    }
    for (size_t i = 0; i < n && block_maxima; i += EX_LOGITS_BLOCK)
        block_maxima[i / EX_LOGITS_BLOCK] = maximum(values + i, n - i < EX_LOGITS_BLOCK ? n - i : EX_LOGITS_BLOCK);
    return sums;
}

static size_t select_at_least(const float *values, size_t n, float threshold, int *indices, size_t capacity) {
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        if (!(values[i] >= threshold)) continue;
        if (count < capacity) indices[count] = (int)i;
        count++;
    }
    return count;
}

const ex_vector_math ex_vector_math_portable = {maximum, exponential_sums, select_at_least};

ex_exponential_sums ex_sums_by_pivot(ex_pivot_pass pass, int exponent, const float *values, size_t n,
                                     float *block_maxima) {
    const float reach = 64; /* above the pivot; 56 below */
    float pivot = 0;
    ex_pivot_sums found = pass(values, n, pivot, block_maxima);
    if (isinf(found.maximum)) return (ex_exponential_sums){.maximum = found.maximum};
    if (found.maximum > reach || found.maximum < -56) {
        pivot = reach * rintf(found.maximum / reach);
        found = pass(values, n, pivot, block_maxima);
    }
    if (isnan(found.sum)) return (ex_exponential_sums){.maximum = NAN};
    /* x = y - top, so e^x = e^y · e^-top, and the powers of x are those of y about another point. */
    const double top = (double)found.maximum - (double)pivot, scale = ldexp(exp(-top), -exponent);
    return (ex_exponential_sums){
        .maximum = found.maximum,
        .sum = scale * found.sum,
        .sum_x = scale * (found.sum_y - top * found.sum),
        .sum_x_squared = scale * (found.sum_y_squared - 2 * top * found.sum_y + top * top * found.sum),
    };
}
