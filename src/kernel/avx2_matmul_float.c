/* avx2_matmul_float.c - matrix products with float weights: eight partial sums, element i in sum i mod 8. With many
 * tokens, a panel of four rows is unpacked to floats that stay in the first-level cache. */
#include "kernel/avx2.h"
#include "kernel/matmul_tiles.h"

#include <string.h>

enum {
    TILE_ROWS = 4,
    TILE_TOKENS = 3,      /* twelve sums in registers, three of activations, one of weights */
    MANY = 10,            /* tokens: fewer do not pay for a panel */
    DEPTH = 1024,         /* columns of a panel: its sums are loaded and stored once for so many */
    TOKENS_TOGETHER = 48, /* that share one unpacking, */
    BLOCK_ROWS = 32,      /* and rows that share their columns */
    STREAMS = 8,          /* rows that one token reads together, */
    STREAM_ROWS = 16,     /* as neighbours of so many others at most, which are read next */
    PREFETCH_BYTES = 512  /* ahead in each of them */
};

typedef __m256 (*load_eight)(const void *weights);

ALWAYS_INLINE __m256 load_f32(const void *weights) { return _mm256_loadu_ps(weights); }

ALWAYS_INLINE __m256 load_f16(const void *weights) { return avx2_load_halves(weights); }

ALWAYS_INLINE __m256 load_bf16(const void *weights) {
    __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)weights));
    return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
}

/* The last n < 8 weights of a row, zeros after them, without reading past them. */
ALWAYS_INLINE __m256 load_tail(load_eight load, size_t weight_bytes, const char *weights, size_t n) {
    _Alignas(32) char padded[32] = {0};
    memcpy(padded, weights, n * weight_bytes);
    return load(padded);
}

/* ---- one token ---------------------------------------------------------------------------------------------- */

typedef struct spaced_rows {
    const char *first;
    size_t spacing; /* in bytes */
} spaced_rows;

ALWAYS_INLINE void add_columns(load_eight load, size_t weight_bytes, spaced_rows rows, size_t n_rows,
                               const float *values, size_t at, __m256 *sums) {
    const __m256 eight = _mm256_loadu_ps(values + at);
    UNROLL for (size_t r = 0; r < n_rows; r++)
        sums[r] = _mm256_fmadd_ps(load(rows.first + r * rows.spacing + at * weight_bytes), eight, sums[r]);
}

/* n_rows rows, each the `step`-th after the one before. */
ALWAYS_INLINE void multiply_one(load_eight load, size_t weight_bytes, const char *first, size_t row_bytes,
                                const ex_activations *x, size_t n_rows, size_t step, float *out) {
    const size_t n = x->n_in, line = 64 / weight_bytes;
    const spaced_rows rows = {first, step * row_bytes};
    __m256 sums[STREAMS];
    UNROLL for (size_t r = 0; r < n_rows; r++) sums[r] = _mm256_setzero_ps();
    size_t at = 0;
    for (; at + line <= n; at += line) {
        const uintptr_t ahead = (uintptr_t)first + at * weight_bytes + PREFETCH_BYTES;
        UNROLL for (size_t r = 0; r < n_rows; r++) _mm_prefetch((const void *)(ahead + r * rows.spacing), _MM_HINT_T0);
        UNROLL for (size_t i = 0; i < line; i += 8)
            add_columns(load, weight_bytes, rows, n_rows, x->values, at + i, sums);
    }
    for (; at + 8 <= n; at += 8) add_columns(load, weight_bytes, rows, n_rows, x->values, at, sums);
    if (at < n) {
        const __m256 values = avx2_load_or(x->values + at, n - at, _mm256_setzero_ps());
        UNROLL for (size_t r = 0; r < n_rows; r++) {
            __m256 weights = load_tail(load, weight_bytes, first + r * rows.spacing + at * weight_bytes, n - at);
            sums[r] = _mm256_fmadd_ps(weights, values, sums[r]);
        }
    }
    UNROLL for (size_t r = 0; r < n_rows; r++) out[r * step] = avx2_sum(sums[r]);
}

/* Rows as STREAMS streams, each of a few whole rows: memory gives more so than for neighbouring rows. */
ALWAYS_INLINE void multiply_streams(load_eight load, size_t weight_bytes, const char *rows, size_t row_bytes,
                                    size_t n_rows, const ex_activations *x, float *out) {
    while (n_rows >= STREAMS) {
        const size_t step = n_rows / STREAMS < STREAM_ROWS ? n_rows / STREAMS : STREAM_ROWS, n = STREAMS * step;
        for (size_t r = 0; r < step; r++)
            multiply_one(load, weight_bytes, rows + r * row_bytes, row_bytes, x, STREAMS, step, out + r);
        rows += n * row_bytes;
        out += n;
        n_rows -= n;
    }
    for (; n_rows > 0; n_rows--, rows += row_bytes) multiply_one(load, weight_bytes, rows, row_bytes, x, 1, 1, out++);
}

/* ---- a few tokens: weights are converted for each tile ------------------------------------------------------- */

ALWAYS_INLINE void float_tile(load_eight load, size_t weight_bytes, const char *rows, size_t row_bytes,
                              const ex_activations *x, size_t token, float *out, size_t out_stride, size_t n_rows,
                              size_t n_tokens) {
    const size_t n = x->n_in, n_whole = n - n % 8;
    const float *values = x->values + token * n;
    __m256 sums[TILE_ROWS][TILE_TOKENS], x_eight[TILE_TOKENS];
    UNROLL for (size_t r = 0; r < n_rows; r++)
        UNROLL for (size_t t = 0; t < n_tokens; t++) sums[r][t] = _mm256_setzero_ps();
    for (size_t i = 0; i < n_whole; i += 8) {
        UNROLL for (size_t t = 0; t < n_tokens; t++) x_eight[t] = _mm256_loadu_ps(values + t * n + i);
        UNROLL for (size_t r = 0; r < n_rows; r++) {
            __m256 weights = load(rows + r * row_bytes + i * weight_bytes);
            UNROLL for (size_t t = 0; t < n_tokens; t++) sums[r][t] = _mm256_fmadd_ps(weights, x_eight[t], sums[r][t]);
        }
    }
    if (n_whole < n) {
        UNROLL for (size_t r = 0; r < n_rows; r++) {
            __m256 weights = load_tail(load, weight_bytes, rows + r * row_bytes + n_whole * weight_bytes, n - n_whole);
            UNROLL for (size_t t = 0; t < n_tokens; t++) {
                __m256 tail = avx2_load_or(values + t * n + n_whole, n - n_whole, _mm256_setzero_ps());
                sums[r][t] = _mm256_fmadd_ps(weights, tail, sums[r][t]);
            }
        }
    }
    UNROLL for (size_t r = 0; r < n_rows; r++)
        UNROLL for (size_t t = 0; t < n_tokens; t++) out[t * out_stride + r] = avx2_sum(sums[r][t]);
}

#define F32_TILE(...) float_tile(load_f32, 4, __VA_ARGS__)
#define F16_TILE(...) float_tile(load_f16, 2, __VA_ARGS__)
#define BF16_TILE(...) float_tile(load_bf16, 2, __VA_ARGS__)

static ex_matmul multiply_few_f32, multiply_few_f16, multiply_few_bf16;
EX_DEFINE_MATMUL(multiply_few_f32, f32, F32_TILE, TILE_ROWS, TILE_TOKENS)
EX_DEFINE_MATMUL(multiply_few_f16, f16, F16_TILE, TILE_ROWS, TILE_TOKENS)
EX_DEFINE_MATMUL(multiply_few_bf16, bf16, BF16_TILE, TILE_ROWS, TILE_TOKENS)

/* ---- many tokens -------------------------------------------------------------------------------------------- */

typedef float panel[TILE_ROWS][DEPTH];
typedef float tile_sums[TILE_ROWS][8]; /* of one token */

/* n columns of the rows that there are. Other rows are zero, and so are the lanes behind the last column. */
ALWAYS_INLINE void unpack(load_eight load, size_t weight_bytes, const char *rows, size_t row_bytes, size_t n_rows,
                          size_t n, panel out) {
    const size_t n_exist = n_rows < TILE_ROWS ? n_rows : TILE_ROWS, n_whole = n - n % 8;
    memset(out + n_exist, 0, (TILE_ROWS - n_exist) * sizeof out[0]);
    for (size_t r = 0; r < n_exist; r++, rows += row_bytes) {
        for (size_t i = 0; i < n_whole; i += 8) {
            _mm_prefetch((const void *)((uintptr_t)rows + i * weight_bytes + PREFETCH_BYTES), _MM_HINT_T0);
            _mm256_store_ps(out[r] + i, load(rows + i * weight_bytes));
        }
        const char *tail = rows + n_whole * weight_bytes;
        if (n_whole < n) _mm256_store_ps(out[r] + n_whole, load_tail(load, weight_bytes, tail, n - n_whole));
    }
}

ALWAYS_INLINE void multiply_columns(panel weights, size_t at, size_t n_tokens, const __m256 x[TILE_TOKENS],
                                    __m256 tile[TILE_TOKENS][TILE_ROWS]) {
    UNROLL for (size_t r = 0; r < TILE_ROWS; r++) {
        __m256 row = _mm256_load_ps(weights[r] + at);
        __asm__("" : "+x"(row)); /* or gcc loads it anew for each token */
        UNROLL for (size_t t = 0; t < n_tokens; t++) tile[t][r] = _mm256_fmadd_ps(row, x[t], tile[t][r]);
    }
}

ALWAYS_INLINE void multiply_tile(panel weights, const float *values, size_t n, size_t stride, size_t n_tokens,
                                 tile_sums *sums) {
    const size_t n_whole = n - n % 8;
    __m256 tile[TILE_TOKENS][TILE_ROWS], x[TILE_TOKENS];
    UNROLL for (size_t t = 0; t < n_tokens; t++)
        UNROLL for (size_t r = 0; r < TILE_ROWS; r++) tile[t][r] = _mm256_load_ps(sums[t][r]);
    for (size_t i = 0; i < n_whole; i += 8) {
        UNROLL for (size_t t = 0; t < n_tokens; t++) x[t] = _mm256_loadu_ps(values + t * stride + i);
        multiply_columns(weights, i, n_tokens, x, tile);
    }
    if (n_whole < n) {
        UNROLL for (size_t t = 0; t < n_tokens; t++)
            x[t] = avx2_load_or(values + t * stride + n_whole, n - n_whole, _mm256_setzero_ps());
        multiply_columns(weights, n_whole, n_tokens, x, tile);
    }
    UNROLL for (size_t t = 0; t < n_tokens; t++)
        UNROLL for (size_t r = 0; r < TILE_ROWS; r++) _mm256_store_ps(sums[t][r], tile[t][r]);
}

static void multiply_panel(panel weights, const float *values, size_t n, size_t stride, size_t n_tokens,
                           tile_sums *sums) {
    size_t t = 0;
    for (; t + TILE_TOKENS <= n_tokens; t += TILE_TOKENS)
        multiply_tile(weights, values + t * stride, n, stride, TILE_TOKENS, sums + t);
    for (; t < n_tokens; t++) multiply_tile(weights, values + t * stride, n, stride, 1, sums + t);
}

/* At most BLOCK_ROWS rows and TOKENS_TOGETHER tokens. */
ALWAYS_INLINE void multiply_block(load_eight load, size_t weight_bytes, const char *rows, size_t row_bytes,
                                  size_t n_rows, const float *values, size_t n_tokens, size_t n_in, float *out,
                                  size_t out_stride) {
    _Alignas(32) panel weights;
    _Alignas(32) tile_sums sums[BLOCK_ROWS / TILE_ROWS][TOKENS_TOGETHER];
    for (size_t r = 0; r < n_rows; r += TILE_ROWS) memset(sums[r / TILE_ROWS], 0, n_tokens * sizeof sums[0][0]);
    for (size_t column = 0; column < n_in; column += DEPTH) {
        const size_t n = n_in - column < DEPTH ? n_in - column : DEPTH;
        for (size_t r = 0; r < n_rows; r += TILE_ROWS) {
            unpack(load, weight_bytes, rows + r * row_bytes + column * weight_bytes, row_bytes, n_rows - r, n, weights);
            multiply_panel(weights, values + column, n, n_in, n_tokens, sums[r / TILE_ROWS]);
        }
    }
    for (size_t t = 0; t < n_tokens; t++)
        for (size_t r = 0; r < n_rows; r++)
            out[t * out_stride + r] = avx2_sum(_mm256_load_ps(sums[r / TILE_ROWS][t][r % TILE_ROWS]));
}

ALWAYS_INLINE void multiply_many(load_eight load, size_t weight_bytes, const char *rows, size_t row_bytes,
                                 size_t n_rows, const ex_activations *x, float *out, size_t out_stride) {
    for (size_t t = 0; t < x->n_tokens; t += TOKENS_TOGETHER)
        for (size_t r = 0; r < n_rows; r += BLOCK_ROWS)
            multiply_block(load, weight_bytes, rows + r * row_bytes, row_bytes,
                           n_rows - r < BLOCK_ROWS ? n_rows - r : BLOCK_ROWS, x->values + t * x->n_in,
                           x->n_tokens - t < TOKENS_TOGETHER ? x->n_tokens - t : TOKENS_TOGETHER, x->n_in,
                           out + t * out_stride + r, out_stride);
}

#define FLOAT_MATMUL(name, weight_bytes)                                                                               \
    void ex_avx2_matmul_##name(const void *weights, size_t row_bytes, size_t n_rows, const ex_activations *x,          \
                               float *out, size_t out_stride) {                                                        \
        if (x->n_tokens == 1) multiply_streams(load_##name, weight_bytes, weights, row_bytes, n_rows, x, out);         \
        else if (x->n_tokens < MANY) multiply_few_##name(weights, row_bytes, n_rows, x, out, out_stride);              \
        else multiply_many(load_##name, weight_bytes, weights, row_bytes, n_rows, x, out, out_stride);                 \
    }
FLOAT_MATMUL(f32, 4)
FLOAT_MATMUL(f16, 2)
FLOAT_MATMUL(bf16, 2)
