/* amx.h - what the AMX files share: the shapes of the tiles. Everything else of the table is that of AVX-512. */
#ifndef EX_KERNEL_AMX_H
#define EX_KERNEL_AMX_H

#include "kernel/avx512.h"

enum {
    AMX_TOKENS = 16, /* rows of a tile of activations, and of a tile of results */
    AMX_ROWS = 16    /* columns of a tile of weights, and of a tile of results */
};

/* Tile registers, numbered in the instructions themselves. */
#define AMX_RESULT 0        /* [AMX_TOKENS][AMX_ROWS] sums of products, 32 bits */
#define AMX_TOKENS_BLOCK 1  /* [AMX_TOKENS][32] activations */
#define AMX_WEIGHTS_BLOCK 2 /* [8][AMX_ROWS][4] weights: 32 of each row, in fours */
#define AMX_TOKENS_HALF 3   /* [AMX_TOKENS][16] */
#define AMX_WEIGHTS_HALF 4  /* [4][AMX_ROWS][4] */

/* Gives the tile registers these shapes, in this thread. _tile_release() gives them back. */
void ex_amx_configure(void);

#define EX_DECLARE_AMX_MATMUL(type, name) ex_matmul ex_amx_matmul_##name;
EX_DECLARE_AMX_MATMUL(Q8_0, q8_0)
EX_DECLARE_AMX_MATMUL(Q4_0, q4_0)
EX_DECLARE_AMX_MATMUL(Q4_K, q4_k)
EX_DECLARE_AMX_MATMUL(Q6_K, q6_k)
EX_UNPACKED_TYPES(EX_DECLARE_AMX_MATMUL)
ex_matmul ex_amx_matmul_packed_q8_0, ex_amx_matmul_packed_q4_0, ex_amx_matmul_packed_q4_k, ex_amx_matmul_packed_q5_k,
    ex_amx_matmul_packed_q6_k;

uint64_t ex_amx_integer_peak(int32_t state[EX_PEAK_STATE], size_t n_rounds);

#endif
