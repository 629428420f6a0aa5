/* vector_math.h - the passes over one row of logits that the sampler makes for every token. The sampler needs base
 * alone, so the interface and a portable version live here; the kernel room has faster rows of the same table. */
#ifndef EX_BASE_VECTOR_MATH_H
#define EX_BASE_VECTOR_MATH_H

#include <stddef.h>

enum { EX_LOGITS_BLOCK = 256 }; /* values that share an entry of `block_maxima` */

typedef struct ex_exponential_sums {
    float maximum;        /* of all values; NaN or an infinity when there are no sums */
    double sum;           /* sum of e^x,      x = values[i] - maximum */
    double sum_x;         /* sum of e^x · x   (natural units, <= 0) */
    double sum_x_squared; /* sum of e^x · x² */
} ex_exponential_sums;

typedef struct ex_vector_math {
    /* Largest value. NaN anywhere gives NaN; n >= 1. */
    float (*maximum)(const float *values, size_t n);
    /* -infinity contributes nothing; with a NaN or +infinity, or nothing finite, there are no sums. Each e^x is
     * accurate to 1e-8 relative or better and the same in all three sums, which are added in double precision; moving
     * them to the maximum may cost another 1e-10 of `sum`.
     * `block_maxima` receives the maximum of each EX_LOGITS_BLOCK values (the last block may be shorter); it may be
     * NULL. */
    ex_exponential_sums (*exponential_sums)(const float *values, size_t n, float *block_maxima);
    /* Indices of all values >= threshold, ascending, at most `capacity` of them; returns how many there are in all. */
    size_t (*select_at_least)(const float *values, size_t n, float threshold, int *indices, size_t capacity);
} ex_vector_math;

extern const ex_vector_math ex_vector_math_portable;

/* What one pass gathers that does not know the maximum yet: it takes y = value - pivot, and e^y times a power of two
 * for weights. */
typedef struct ex_pivot_sums {
    float maximum; /* of the values; NaNs are passed over */
    double sum, sum_y, sum_y_squared;
} ex_pivot_sums;

/* The pass must be right, to the accuracy above, while the maximum is in [pivot - 56, pivot + 64], and must give a NaN
 * in `sum` for a NaN or +infinity. `pivot` is 0 or a multiple of 64, so that value - pivot is exact in single precision
 * for every value that counts beside the maximum. */
typedef ex_pivot_sums (*ex_pivot_pass)(const float *values, size_t n, float pivot, float *block_maxima);

/* exponential_sums by one pass around 0, where the logits of all common models lie, or else a second one around the
 * maximum that the first has found. The weights are e^y · 2^exponent. */
ex_exponential_sums ex_sums_by_pivot(ex_pivot_pass pass, int exponent, const float *values, size_t n,
                                     float *block_maxima);

#endif
