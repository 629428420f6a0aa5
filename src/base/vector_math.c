#include "base/vector_math.h"

#include <math.h>

static float maximum(const float *values, size_t n) {
    float largest = values[0];
    for (size_t i = 1; i < n; i++)
        if (values[i] > largest || isnan(values[i])) largest = values[i];
    return largest;
}

static ex_exponential_sums exponential_sums(const float *values, size_t n, float largest) {
    ex_exponential_sums sums = {0, 0, 0};
    for (size_t i = 0; i < n; i++) {
        double x = (double)values[i] - (double)largest;
        double e = exp(x);
        if (e == 0) continue; /* x may be -infinity, and 0 times that is NaN */
        sums.sum += e;
        sums.sum_x += e * x;
        sums.sum_x_squared += e * x * x;
    }
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
