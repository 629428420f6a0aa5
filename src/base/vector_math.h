/* vector_math.h - the passes over one row of logits that the sampler makes for every token. The sampler needs base
 * alone, so the interface and a portable version live here; the kernel room has faster rows of the same table. */
#ifndef EX_BASE_VECTOR_MATH_H
#define EX_BASE_VECTOR_MATH_H

#include <stddef.h>

typedef struct ex_exponential_sums {
    double sum;           /* sum of e^x,      x = values[i] - maximum */
    double sum_x;         /* sum of e^x · x   (natural units, <= 0) */
    double sum_x_squared; /* sum of e^x · x² */
} ex_exponential_sums;

typedef struct ex_vector_math {
    /* Largest value. NaN anywhere gives NaN; n >= 1. */
    float (*maximum)(const float *values, size_t n);
    /* One pass; -infinity contributes nothing. `maximum` is finite. Sums are accurate to 1e-7 relative or better:
     * the pass may use single precision exponentials, and adds in double precision. */
    ex_exponential_sums (*exponential_sums)(const float *values, size_t n, float maximum);
    /* Indices of all values >= threshold, ascending, at most `capacity` of them; returns how many there are in all. */
    size_t (*select_at_least)(const float *values, size_t n, float threshold, int *indices, size_t capacity);
} ex_vector_math;

extern const ex_vector_math ex_vector_math_portable;

#endif
