/* avx2_unpack.h - ex_unpack with AVX2, for the types whose bits are numbers or places in a short list. */
#ifndef EX_KERNEL_AVX2_UNPACK_H
#define EX_KERNEL_AVX2_UNPACK_H

#include "kernel/avx2.h"
#include "kernel/formats.h"

#define AVX2_UNPACKED_TYPES(X)                                                                                         \
    X(Q4_1, q4_1) X(Q5_0, q5_0) X(Q5_1, q5_1) X(IQ4_NL, iq4_nl) X(MXFP4, mxfp4)                                        \
    X(Q2_K, q2_k) X(Q3_K, q3_k) X(Q5_K, q5_k) X(IQ4_XS, iq4_xs)

#define AVX2_DECLARE_UNPACK(type, name) ex_unpack avx2_unpack_##name;
AVX2_UNPACKED_TYPES(AVX2_DECLARE_UNPACK)

#endif
