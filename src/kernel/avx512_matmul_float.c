/* avx512_matmul_float.c - products of F32, F16 and BF16 weights with float activations. One output element is sixteen
 * chains of fused additions, element i in chain i modulo 16, added up by ex_sum_lanes at the end. With many tokens, a
 * panel of eight rows is unpacked to floats that stay in the first-level cache, and what tokens bring to its columns
 * stays in the second while all panels of some rows pass. */
#include "kernel/avx512.h"

#include <string.h>

enum {
    TILE_ROWS = 8,
    TILE_TOKENS = 3,      /* whose sums for all rows of a tile stay in registers */
    DEPTH = 1024,         /* columns of a panel: its sums are loaded and stored once for so many */
    TOKENS_TOGETHER = 96, /* that share one unpacking, */
    BLOCK_ROWS = 32,      /* and rows that share their columns */
    STREAMS = 16,         /* rows that one token reads together, */
    STREAM_ROWS = 8,      /* as neighbours of so many others at most, which are read next */
    PREFETCH_BYTES = 512  /* ahead in each of them; 1,024 is alike */
};

typedef struct job {
    const char *weights; /* the first row of a tile */
    size_t row_bytes, n_in, n_tokens;
    const float *values;
    float *out; /* [token][row] */
    size_t out_stride;
} job;

EX_INLINE __m512 load_weights(ex_type type, const void *row, size_t at, __mmask16 lanes) {
    if (type == EX_TYPE_F32) return _mm512_maskz_loadu_ps(lanes, (const float *)row + at);
    __m256i halves = _mm256_maskz_loadu_epi16(lanes, (const uint16_t *)row + at);
    if (type == EX_TYPE_F16) return _mm512_cvtph_ps(halves);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
}

/* ---- one token ---------------------------------------------------------------------------------------------- */

EX_INLINE void add_columns(const job *j, ex_type type, size_t n_rows, size_t spacing, size_t at, __mmask16 lanes,
                           __m512 *sums) {
    const __m512 values = _mm512_maskz_loadu_ps(lanes, j->values + at);
    for (size_t r = 0; r < n_rows; r++)
        sums[r] = _mm512_fmadd_ps(load_weights(type, j->weights + r * spacing, at, lanes), values, sums[r]);
}

/* n_rows rows, each the `step`-th after the one before. */
EX_INLINE void multiply_one(const job *j, ex_type type, size_t n_rows, size_t step) {
    const size_t element = type == EX_TYPE_F32 ? sizeof(float) : sizeof(uint16_t), line = 64 / element;
    const size_t spacing = step * j->row_bytes;
    __m512 sums[STREAMS];
    for (size_t r = 0; r < n_rows; r++) sums[r] = _mm512_setzero_ps();
    size_t at = 0;
    for (; at + line <= j->n_in; at += line) {
        const uintptr_t ahead = (uintptr_t)j->weights + at * element + PREFETCH_BYTES;
        for (size_t r = 0; r < n_rows; r++) _mm_prefetch((const void *)(ahead + r * spacing), _MM_HINT_T0);
        for (size_t i = 0; i < line; i += EX_LANES) add_columns(j, type, n_rows, spacing, at + i, 0xFFFF, sums);
    }
    for (; at < j->n_in; at += EX_LANES) add_columns(j, type, n_rows, spacing, at, ex_first_lanes(j->n_in - at), sums);
    for (size_t r = 0; r < n_rows; r++) j->out[r * step] = ex_sum_lanes(sums[r]);
}

/* Rows as STREAMS streams, each of a few whole rows: memory gives more so than for neighbouring rows. */
EX_INLINE void multiply_streams(job j, ex_type type, size_t n_rows) {
    while (n_rows >= STREAMS) {
        const size_t step = n_rows / STREAMS < STREAM_ROWS ? n_rows / STREAMS : STREAM_ROWS;
        for (size_t r = 0; r < step; r++, j.weights += j.row_bytes, j.out++) multiply_one(&j, type, STREAMS, step);
        j.weights += (STREAMS - 1) * step * j.row_bytes;
        j.out += (STREAMS - 1) * step;
        n_rows -= STREAMS * step;
    }
    for (; n_rows > 0; n_rows--, j.weights += j.row_bytes, j.out++) multiply_one(&j, type, 1, 1);
}

/* ---- many tokens -------------------------------------------------------------------------------------------- */

typedef float panel[TILE_ROWS][DEPTH];
typedef float tile_sums[TILE_ROWS][EX_LANES]; /* of one token */

/* n columns of the rows that there are; `whole`: no row and no lane is missing, which the compiler is told. */
EX_INLINE void unpack_rows(const job *j, ex_type type, size_t n_rows, size_t column, size_t n, bool whole, panel out) {
    for (size_t r = 0; r < n_rows; r++)
        for (size_t i = 0; i < n; i += EX_LANES) {
            const __mmask16 lanes = whole ? 0xFFFF : ex_first_lanes(n - i);
            _mm512_store_ps(out[r] + i, load_weights(type, j->weights + r * j->row_bytes, column + i, lanes));
        }
}

/* Rows and columns that do not exist are zero. */
EX_INLINE void unpack(const job *j, ex_type type, size_t n_rows, size_t column, size_t n, panel out) {
    if (n_rows >= TILE_ROWS && n % EX_LANES == 0) {
        unpack_rows(j, type, TILE_ROWS, column, n, true, out);
    } else {
        const size_t n_exist = n_rows < TILE_ROWS ? n_rows : TILE_ROWS;
        memset(out + n_exist, 0, (TILE_ROWS - n_exist) * sizeof out[0]);
        unpack_rows(j, type, n_exist, column, n, false, out);
    }
}

EX_INLINE void multiply_columns(panel weights, size_t at, __mmask16 lanes, const float *values, size_t stride,
                                size_t n_tokens, __m512 tile[TILE_TOKENS][TILE_ROWS]) {
    __m512 x[TILE_TOKENS];
    for (size_t t = 0; t < n_tokens; t++) x[t] = _mm512_maskz_loadu_ps(lanes, values + t * stride + at);
    for (size_t r = 0; r < TILE_ROWS; r++) {
        __m512 row = _mm512_load_ps(weights[r] + at);
        __asm__("" : "+v"(row)); /* or gcc loads it anew for each token, and loads are what is short here */
        for (size_t t = 0; t < n_tokens; t++) tile[t][r] = _mm512_fmadd_ps(row, x[t], tile[t][r]);
    }
}

/* A load with a mask that is not known takes the place of a product, so only a last part has one. */
EX_INLINE void multiply_tile(panel weights, const float *values, size_t n, size_t stride, size_t n_tokens,
                             tile_sums *sums) {
    __m512 tile[TILE_TOKENS][TILE_ROWS];
    for (size_t t = 0; t < n_tokens; t++)
        for (size_t r = 0; r < TILE_ROWS; r++) tile[t][r] = _mm512_load_ps(sums[t][r]);
    const size_t n_whole = n - n % EX_LANES;
    for (size_t i = 0; i < n_whole; i += EX_LANES)
        multiply_columns(weights, i, 0xFFFF, values, stride, n_tokens, tile);
    if (n_whole < n) multiply_columns(weights, n_whole, ex_first_lanes(n - n_whole), values, stride, n_tokens, tile);
    for (size_t t = 0; t < n_tokens; t++)
        for (size_t r = 0; r < TILE_ROWS; r++) _mm512_store_ps(sums[t][r], tile[t][r]);
}

static void multiply_panel(panel weights, const float *values, size_t n, size_t stride, size_t n_tokens,
                           tile_sums *sums) {
    size_t t = 0;
    for (; t + TILE_TOKENS <= n_tokens; t += TILE_TOKENS)
        multiply_tile(weights, values + t * stride, n, stride, TILE_TOKENS, sums + t);
    for (; t < n_tokens; t++) multiply_tile(weights, values + t * stride, n, stride, 1, sums + t);
}

/* ex_sum_lanes of each row: lane i is always added to lane i + 8, then + 4, + 2, + 1. */
static __m256 sum_rows(tile_sums rows) {
    __m256 eight[TILE_ROWS], four[4], two[2];
    for (size_t r = 0; r < TILE_ROWS; r++) {
        const __m512 all = _mm512_load_ps(rows[r]);
        eight[r] = _mm256_add_ps(_mm512_castps512_ps256(all), _mm512_extractf32x8_ps(all, 1));
    }
    for (size_t r = 0; r < 4; r++)
        four[r] = _mm256_add_ps(_mm256_permute2f128_ps(eight[r], eight[r + 4], 0x20),
                                _mm256_permute2f128_ps(eight[r], eight[r + 4], 0x31));
    for (size_t r = 0; r < 2; r++)
        two[r] = _mm256_add_ps(_mm256_unpacklo_ps(four[2 * r], four[2 * r + 1]),
                               _mm256_unpackhi_ps(four[2 * r], four[2 * r + 1]));
    const __m256d first = _mm256_castps_pd(two[0]), second = _mm256_castps_pd(two[1]);
    return _mm256_add_ps(_mm256_castpd_ps(_mm256_unpacklo_pd(first, second)),
                         _mm256_castpd_ps(_mm256_unpackhi_pd(first, second)));
}

/* At most BLOCK_ROWS rows and TOKENS_TOGETHER tokens. */
EX_INLINE void multiply_block(const job *block, ex_type type, size_t n_rows) {
    _Alignas(64) panel weights;
    _Alignas(64) tile_sums sums[BLOCK_ROWS / TILE_ROWS][TOKENS_TOGETHER];
    const size_t n_tiles = (n_rows + TILE_ROWS - 1) / TILE_ROWS, n_in = block->n_in;
    for (size_t tile = 0; tile < n_tiles; tile++) memset(sums[tile], 0, block->n_tokens * sizeof sums[tile][0]);
    for (size_t column = 0; column < n_in; column += DEPTH) {
        const size_t n = n_in - column < DEPTH ? n_in - column : DEPTH;
        job j = *block;
        for (size_t tile = 0; tile < n_tiles; tile++, j.weights += TILE_ROWS * j.row_bytes) {
            unpack(&j, type, n_rows - tile * TILE_ROWS, column, n, weights);
            multiply_panel(weights, j.values + column, n, n_in, j.n_tokens, sums[tile]);
        }
    }
    for (size_t t = 0; t < block->n_tokens; t++)
        for (size_t r = 0; r < n_rows; r += TILE_ROWS)
            _mm256_mask_storeu_ps(block->out + t * block->out_stride + r, (__mmask8)ex_first_lanes(n_rows - r),
                                  sum_rows(sums[r / TILE_ROWS][t]));
}

/* ---- rows and tokens ---------------------------------------------------------------------------------------- */

EX_INLINE void multiply_many(job j, ex_type type, size_t n_rows) {
    while (n_rows > 0) {
        const size_t n = n_rows < BLOCK_ROWS ? n_rows : BLOCK_ROWS;
        multiply_block(&j, type, n);
        j.weights += n * j.row_bytes;
        j.out += n;
        n_rows -= n;
    }
}

EX_INLINE void matmul(ex_type type, const void *weights, size_t row_bytes, size_t n_rows, const ex_activations *x,
                      float *out, size_t out_stride) {
    for (size_t first = 0; first < x->n_tokens; first += TOKENS_TOGETHER) {
        size_t n_tokens = x->n_tokens - first < TOKENS_TOGETHER ? x->n_tokens - first : TOKENS_TOGETHER;
        job j = {weights, row_bytes, x->n_in, n_tokens, x->values + first * x->n_in, out + first * out_stride,
                 out_stride};
        if (n_tokens == 1) multiply_streams(j, type, n_rows);
        else multiply_many(j, type, n_rows);
    }
}

void ex_avx512_matmul_f32(const void *weights, size_t row_bytes, size_t n_rows, const ex_activations *x, float *out,
                          size_t out_stride) {
    matmul(EX_TYPE_F32, weights, row_bytes, n_rows, x, out, out_stride);
}

void ex_avx512_matmul_f16(const void *weights, size_t row_bytes, size_t n_rows, const ex_activations *x, float *out,
                          size_t out_stride) {
    matmul(EX_TYPE_F16, weights, row_bytes, n_rows, x, out, out_stride);
}

void ex_avx512_matmul_bf16(const void *weights, size_t row_bytes, size_t n_rows, const ex_activations *x, float *out,
                           size_t out_stride) {
    matmul(EX_TYPE_BF16, weights, row_bytes, n_rows, x, out, out_stride);
}
