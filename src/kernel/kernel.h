/* kernel.h - everything that is done to long rows of numbers, as one table of functions for each instruction set.
 *
 * `portable` is the readable reference; the others must agree with it to rounding. One table is chosen at run time
 * (select.c). Kernels check nothing: callers guarantee shapes. They allocate nothing and touch no global state.
 *
 * Determinism contract: what a kernel computes for one output element (one weight row and one token; one query and one
 * position) is the same sequence of operations whatever the number of rows, tokens or queries in the call. So tokens
 * come out bit for bit the same however a prompt was cut into batches and rows were dealt to threads. */
#ifndef EX_KERNEL_KERNEL_H
#define EX_KERNEL_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cpu.h"
#include "base/tensor_type.h"
#include "base/vector_math.h"
#include "entropix.h"

enum {
    EX_QUANT_BLOCK = 32,  /* activations share one scale */
    EX_SUM_BLOCK = 16,    /* activations share one sum */
    EX_PACK_ROWS = 16,    /* rows of weights that are interleaved */
    EX_KV_PAGE = 64,      /* positions in one page of the KV cache */
    EX_AHEAD_STREAMS = 4, /* that are asked for side by side; measured: 2 are slower, 8 no faster */
    EX_PEAK_STATE = 16    /* of integer_peak */
};

/* Activations as kernels read them, n_in values for each of n_tokens. Float weights (F32, F16, BF16) read `values`;
 * quantised weights read the rest: values[t][i] ~ scales[t][i / 32] * quants[t][i], quants in [-127, 127].
 * All rows are contiguous and every array is 64-byte aligned. */
typedef struct ex_activations {
    size_t n_tokens, n_in;
    const float *values;   /* [n_tokens][n_in] */
    const int8_t *quants;  /* [n_tokens][n_in] */
    const float *scales;   /* [n_tokens][n_in / 32] */
    const int16_t *sums;   /* [n_tokens][n_in / 16], of 16 quants each */
    const void *arranged;  /* quants, scales and sums in the order of a table's `arrange`; NULL: they were not */
} ex_activations;

/* out[t * out_stride + r] = sum over i of weights[r][i] * x[t][i], for r in [0, n_rows) and all tokens.
 * `weights` points at the first of n_rows rows, `row_bytes` apart (any alignment that the type's block has). */
typedef void ex_matmul(const void *weights, size_t row_bytes, size_t n_rows, const ex_activations *x, float *out,
                       size_t out_stride);

/* What will be read soon, in places that lie apart: memory answers several streams faster than one. */
typedef struct ex_streams {
    const char *streams[EX_AHEAD_STREAMS];
} ex_streams;

/* Keys and values of one head and page, for each way to store them (ex_kv_type):
 *   EX_KV_F16, EX_KV_F32: halves or floats; keys TRANSPOSED, [head_dim][EX_KV_PAGE]; values [EX_KV_PAGE][head_dim].
 *   EX_KV_Q8_0: bytes in [-127, 127], keys by fours of dimensions, [head_dim / 4][EX_KV_PAGE][4]; values
 *   [EX_KV_PAGE][head_dim]; then, for both, scales as halves, [head_dim / 32][EX_KV_PAGE]. head_dim is a multiple
 *   of 32.
 * `ahead` may be asked for ahead, evenly from all streams: each a quarter of such a page, from anywhere; or NULL.
 *
 * Scores of queries against n_positions (<= EX_KV_PAGE) keys:
 * scores[q * scores_stride + j] = scale * sum over d of queries[q][d] * keys[d][j].
 * queries->n_tokens queries of queries->n_in = head_dim values; against EX_KV_Q8_0 their quants are read, else their
 * values. May write scores up to EX_KV_PAGE positions of each row (room is guaranteed); those past n_positions are
 * not read. */
typedef void ex_attention_scores(const ex_activations *queries, const void *keys, const ex_streams *ahead,
                                 size_t n_positions, float scale, float *scores, size_t scores_stride);

/* Likewise: out[q][d] += sum over j < n_positions of probabilities[q * stride + j] * values[j][d], positions in
 * order. */
typedef void ex_attention_values(const float *probabilities, size_t stride, size_t n_query, const void *values,
                                 const ex_streams *ahead, size_t n_positions, size_t head_dim, float *out);

/* Bytes of one head's keys, or of its values, in a page. */
static inline size_t ex_kv_bytes(ex_kv_type type, size_t head_dim) {
    static const size_t of_32[EX_KV_TYPE_COUNT] = {[EX_KV_F16] = 64, [EX_KV_F32] = 128, [EX_KV_Q8_0] = 34};
    return EX_KV_PAGE * head_dim * of_32[type] / 32;
}

/* EX_KV_Q8_0: where the scales are, and one key's byte. */
static inline const uint16_t *ex_kv_scales(const void *page, size_t head_dim) {
    return (const uint16_t *)((const int8_t *)page + EX_KV_PAGE * head_dim);
}

static inline size_t ex_kv_key_index(size_t d, size_t position) {
    return (d / 4 * EX_KV_PAGE + position) * 4 + d % 4;
}

enum { EX_BITS_OF_SQRT_HALF = 0x3F3504F3 }; /* as a float */

typedef struct ex_head_sums { /* over positions, M the mean over heads of P */
    double deviation; /* of |P - M|, over heads too */
    double entropy;   /* of -M log2 M, with log2 M right within 2^-22 max(1, |log2 M|) */
} ex_head_sums;

typedef struct ex_row_statistics { /* of one head's attention */
    float maximum;       /* largest probability */
    double entropy;      /* bits */
    double mean_absolute_score;
} ex_row_statistics;

typedef struct ex_kernels {
    const char *name; /* "portable", "avx2", "avx512", "amx", "neon" */
    bool (*supported)(const ex_cpu *cpu);

    ex_matmul *matmul[EX_TYPE_COUNT]; /* NULL: weights of this type are not supported */
    /* The same, bit for bit, for rows of ex_pack_rows; `weights` begins with a group. NULL: there is none. */
    ex_matmul *matmul_packed[EX_TYPE_COUNT];

    /* Matrix products with many tokens read quants faster from a copy, `arranged` of so many bytes: columns
     * [from, from + n) of one token of x, both multiples of 32. A copy serves one n_tokens. NULL: no such order. */
    size_t (*arranged_bytes)(size_t n_tokens, size_t n_in);
    void (*arrange)(const ex_activations *x, size_t token, size_t from, size_t n, void *arranged);

    /* One row of n values (a multiple of 32) to quants, scales and sums; scale = max|x| / 127, round half to even. */
    void (*quantize_row)(const float *values, size_t n, int8_t *quants, float *scales, int16_t *sums);

    /* out = x / sqrt(mean(x²) + epsilon) * weight. out may be x. */
    void (*rms_norm)(const float *x, const float *weight, size_t n, float epsilon, float *out);
    /* gate[i] = gate[i] / (1 + e^-gate[i]) * up[i] */
    void (*swiglu)(float *gate, const float *up, size_t n);
    /* x += y */
    void (*add)(float *x, const float *y, size_t n);

    ex_attention_scores *attention_scores[EX_KV_TYPE_COUNT];
    /* In place: scores of one query over n positions to probabilities. `statistics` may be NULL. Masked positions are
     * -infinity: probability 0, and they count neither in the sums nor in the mean. */
    void (*softmax)(float *row, size_t n, ex_row_statistics *statistics);
    ex_attention_values *attention_values[EX_KV_TYPE_COUNT];
    /* Of positions [first, last); probabilities [n_head][stride]. */
    ex_head_sums (*head_deviation)(const float *probabilities, size_t stride, size_t n_head, size_t first,
                                   size_t last);

    /* Reads every byte, for measuring bandwidth; the result only keeps the compiler from dropping the loads. */
    uint64_t (*read_memory)(const void *memory, size_t n_bytes);
    /* Multiplies bytes and adds the products, n_rounds times all that the registers hold and as fast as the processor
     * can, for measuring its peak. Returns how many multiplications and additions that was. `state` is read and
     * written, so that nothing of it can be left out. */
    uint64_t (*integer_peak)(int32_t state[EX_PEAK_STATE], size_t n_rounds);

    ex_vector_math vector_math;
} ex_kernels;

/* The tables that this build has, best last, ending with NULL. */
const ex_kernels *const *ex_kernels_all(void);

/* The best table that the CPU supports, or the one named. EX_ERROR_UNSUPPORTED says what there is. */
ex_code ex_kernels_select(const ex_kernels **out, const char *name, ex_error *error);

/* Copies n_rows rows, each EX_PACK_ROWS of them interleaved into a group of as many bytes (formats_pack.c says how).
 * Rows behind the last whole group stay as they are, and so do all rows of other types than matmul_packed may have. */
void ex_pack_rows(uint32_t type, const void *rows, size_t row_bytes, size_t n_rows, void *out);

/* ---- formats (formats.h) ------------------------------------------------------------------------------------ */

typedef void (*ex_decode_row)(const void *row, size_t n, float *out);
typedef void (*ex_encode_row)(const float *values, size_t n, void *row);

typedef struct ex_format { /* what a tensor type's bytes mean; n is a multiple of its block's elements */
    ex_decode_row decode; /* NULL: not supported */
    ex_encode_row encode; /* NULL: `quantize` cannot write it */
    bool integer_dot;     /* matmul reads quants, not values */
} ex_format;

/* NULL when the type cannot be decoded. */
const ex_format *ex_format_find(uint32_t type);

#endif
