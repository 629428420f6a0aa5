/* avx512_matmul_float.c - products of F32, F16 and BF16 weights with float activations. One output element is sixteen
 * chains of fused additions, element i in chain i modulo 16, added up by ex_sum_lanes at the end. With many tokens, a
 * chunk of the weights of eight rows is unpacked to floats that stay in the first-level cache. */
#include "kernel/avx512.h"

#include <string.h>

enum {
    TILE_ROWS = 8,
    TILE_TOKENS = 3,      /* whose sums for all rows of a tile stay in registers */
    CHUNK = 256,          /* weights of one row */
    TOKENS_TOGETHER = 24, /* that share one unpacking */
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

typedef float chunk_rows[TILE_ROWS][CHUNK];
typedef float token_sums[TILE_ROWS][EX_LANES];

/* Rows and columns that do not exist are zero. */
EX_INLINE void unpack(const job *j, ex_type type, size_t n_rows, size_t column, chunk_rows out) {
    for (size_t r = 0; r < TILE_ROWS; r++)
        for (size_t i = 0; i < CHUNK; i += EX_LANES) {
            __mmask16 lanes = r < n_rows && column + i < j->n_in ? ex_first_lanes(j->n_in - column - i) : 0;
            _mm512_store_ps(out[r] + i, load_weights(type, j->weights + r * j->row_bytes, column + i, lanes));
        }
}

EX_INLINE void multiply_tile(chunk_rows weights, const float *values, size_t n, size_t stride, size_t n_tokens,
                             token_sums *sums) {
    __m512 tile[TILE_TOKENS][TILE_ROWS];
    for (size_t t = 0; t < n_tokens; t++)
        for (size_t r = 0; r < TILE_ROWS; r++) tile[t][r] = _mm512_load_ps(sums[t][r]);
    for (size_t i = 0; i < n; i += EX_LANES) {
        __mmask16 lanes = ex_first_lanes(n - i);
        __m512 x[TILE_TOKENS];
        for (size_t t = 0; t < n_tokens; t++) x[t] = _mm512_maskz_loadu_ps(lanes, values + t * stride + i);
        for (size_t r = 0; r < TILE_ROWS; r++) {
            __m512 row = _mm512_load_ps(weights[r] + i);
            __asm__("" : "+v"(row)); /* or gcc loads it anew for each token, and loads are what is short here */
            for (size_t t = 0; t < n_tokens; t++) tile[t][r] = _mm512_fmadd_ps(row, x[t], tile[t][r]);
        }
    }
    for (size_t t = 0; t < n_tokens; t++)
        for (size_t r = 0; r < TILE_ROWS; r++) _mm512_store_ps(sums[t][r], tile[t][r]);
}

EX_INLINE void multiply_many(const job *j, ex_type type, size_t n_rows) {
    _Alignas(64) chunk_rows weights;
    _Alignas(64) token_sums sums[TOKENS_TOGETHER];
    memset(sums, 0, j->n_tokens * sizeof sums[0]);
    for (size_t column = 0; column < j->n_in; column += CHUNK) {
        const size_t n = j->n_in - column < CHUNK ? j->n_in - column : CHUNK;
        const float *values = j->values + column;
        unpack(j, type, n_rows, column, weights);
        size_t t = 0;
        for (; t + TILE_TOKENS <= j->n_tokens; t += TILE_TOKENS)
            multiply_tile(weights, values + t * j->n_in, n, j->n_in, TILE_TOKENS, sums + t);
        for (; t < j->n_tokens; t++) multiply_tile(weights, values + t * j->n_in, n, j->n_in, 1, sums + t);
    }
    for (size_t t = 0; t < j->n_tokens; t++)
        for (size_t r = 0; r < n_rows; r++) j->out[t * j->out_stride + r] = ex_sum_lanes(_mm512_load_ps(sums[t][r]));
}

/* ---- rows and tokens ---------------------------------------------------------------------------------------- */

EX_INLINE void multiply_rows(job j, ex_type type, size_t n_rows) {
    for (; n_rows > 0; j.weights += TILE_ROWS * j.row_bytes, j.out += TILE_ROWS) {
        size_t n = n_rows < TILE_ROWS ? n_rows : TILE_ROWS;
        multiply_many(&j, type, n);
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
        else multiply_rows(j, type, n_rows);
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
