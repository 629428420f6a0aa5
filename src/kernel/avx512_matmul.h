/* avx512_matmul.h - what products with one token (avx512_matmul_quant.c), a few (avx512_matmul_few.c) and many
 * (avx512_matmul_batch.c) share: in which order rows are read, and what tokens bring to a chunk. */
#ifndef EX_KERNEL_AVX512_MATMUL_H
#define EX_KERNEL_AVX512_MATMUL_H

#include <string.h>

#include "kernel/avx512_unpack.h"

enum { EX_SLAB_GROUPS = 8 };

typedef struct ex_quant_product { /* one call of a kernel for quantised weights */
    const ex_chunk_type *type;
    const uint8_t *weights;
    size_t row_bytes, n_rows;
    const ex_activations *x;
    float *out;
    size_t out_stride;
} ex_quant_product;

/* For any number of tokens but one. */
void ex_avx512_matmul_batch(const ex_quant_product *product);

/* Two groups' kept chunks times n_tokens tokens, 3 to EX_FEW_TOKENS: adds to the sums of each group, [n_tokens]. */
void ex_multiply_kept(ex_chunk_kind kind, const ex_chunk weights[2], size_t n_blocks, const ex_chunk_tokens *tokens,
                      size_t n_tokens, ex_lane_sums *const sums[2]);

enum {
    EX_TILE_TOKENS_MAX = 6,
    EX_TILE_DEPTH = 512, /* columns */
    EX_TILE_COLUMNS = EX_TILE_DEPTH / 4,
    EX_TILE_BLOCKS = EX_TILE_DEPTH / EX_QUANT_BLOCK
};

/* What a tile's tokens bring to its columns: the order in which a product reads them. Arranged activations (ex_arrange)
 * are [n_in / EX_TILE_DEPTH, rounded up][tiles] of these, and of n tokens tile i has those from i * n / tiles on. */
typedef struct ex_token_tile {
    _Alignas(64) uint8_t quants[EX_TILE_COLUMNS][EX_TILE_TOKENS_MAX][4]; /* EX_TOKEN_ZERO more */
    float scales[EX_TILE_BLOCKS][EX_TILE_TOKENS_MAX];
    float sums[EX_TILE_BLOCKS][EX_TILE_TOKENS_MAX];          /* of activations: each 32, */
    float half_sums[2 * EX_TILE_BLOCKS][EX_TILE_TOKENS_MAX]; /* and each 16 */
} ex_token_tile;

static inline size_t ex_tile_count(size_t n_tokens) { return (n_tokens + EX_TILE_TOKENS_MAX - 1) / EX_TILE_TOKENS_MAX; }

typedef struct ex_slab { /* rows read as sixteen streams: group g has rows first + g * step + lane * spacing */
    size_t first, n_groups, step, spacing;
} ex_slab;

/* The rows from `first` on that are read together. `streams`: where memory is what takes time, it is fastest in sixteen
 * streams, each of a few whole rows, that do not meet in the same cache sets. */
static inline ex_slab ex_next_slab(const ex_quant_product *p, size_t first, bool streams) {
    size_t n_groups = (p->n_rows - first) / EX_LANES;
    if (n_groups > EX_SLAB_GROUPS) n_groups = EX_SLAB_GROUPS;
    if (n_groups == 0) return (ex_slab){first, 1, EX_LANES, 1};
    if (!streams || p->type->packed) return (ex_slab){first, n_groups, EX_LANES, 1};
    if (n_groups > 2 && n_groups * p->row_bytes % 4096 == 0) n_groups -= 2;
    return (ex_slab){first, n_groups, 1, n_groups};
}

typedef uint8_t ex_ragged_rows[EX_LANES][EX_CHUNK_BYTES_MAX];

/* n_blocks blocks of group g of a slab. Rows that fill no group are multiplied as a copy with zeros behind them. */
static inline ex_chunk_rows ex_slab_rows(const ex_quant_product *p, const ex_slab *s, size_t g, size_t offset,
                                         size_t n_blocks, ex_ragged_rows copy) {
    const size_t first = s->first + g * s->step;
    if (p->type->packed) return ex_group_rows(p->type, p->weights, p->row_bytes, first, offset);
    if (first + EX_LANES <= p->n_rows)
        return (ex_chunk_rows){p->weights + first * p->row_bytes + offset, s->spacing * p->row_bytes};
    const size_t n_rows = first < p->n_rows ? p->n_rows - first : 0;
    const size_t bytes = n_blocks == EX_CHUNK_BLOCKS ? p->type->chunk_bytes : n_blocks * p->type->block_bytes;
    memset(copy, 0, sizeof(ex_ragged_rows));
    for (size_t r = 0; r < n_rows; r++) memcpy(copy[r], p->weights + (first + r) * p->row_bytes + offset, bytes);
    return (ex_chunk_rows){copy[0], EX_CHUNK_BYTES_MAX};
}

/* To row `first` and the others of its group, `spacing` apart, of one token. */
static inline void ex_store_group(const ex_quant_product *p, const ex_slab *s, size_t g, size_t token, __m512 values) {
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const size_t first = s->first + g * s->step;
    float *out = p->out + token * p->out_stride + first;
    if (s->spacing > 1)
        _mm512_i32scatter_ps(out, _mm512_mullo_epi32(lanes, _mm512_set1_epi32((int)s->spacing)), values, sizeof *out);
    else if (first < p->n_rows)
        _mm512_mask_storeu_ps(out, ex_first_lanes(p->n_rows - first), values);
}

static inline void ex_prepare_terms(const ex_chunk_type *type, const int16_t *sums, const float *scales,
                                    size_t n_blocks, ex_token_terms *out) {
    const __m512i pairs = _mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
    const __m256i sixteen = _mm256_maskz_loadu_epi16(ex_first_lanes(2 * n_blocks), sums);
    const __m256 eight = _mm256_maskz_loadu_ps((__mmask8)ex_first_lanes(n_blocks), scales);
    if (type->kind == EX_CHUNK_TWO_SCALES) {
        const __m512i zeros = _mm512_mullo_epi32(_mm512_cvtepi16_epi32(sixteen), _mm512_set1_epi32(-type->zero));
        _mm512_store_si512(out->starts, _mm512_add_epi32(zeros, _mm512_set1_epi64(EX_BIAS_BITS)));
    } else if (type->kind == EX_CHUNK_ONE_SCALE || type->kind == EX_CHUNK_WIDE_SCALE) {
        const __m256i zeros = _mm256_madd_epi16(sixteen, _mm256_set1_epi16((short)-type->zero));
        const int32_t bias = type->kind == EX_CHUNK_ONE_SCALE ? EX_BIAS_BITS : 0;
        _mm256_store_si256((void *)out->starts, _mm256_add_epi32(zeros, _mm256_set1_epi32(bias)));
    } else if (type->kind == EX_CHUNK_TWO_MINIMUMS) {
        __m512 twice = _mm512_permutexvar_ps(pairs, _mm512_castps256_ps512(eight));
        __m512 halves = _mm512_cvtepi32_ps(_mm512_cvtepi16_epi32(sixteen));
        _mm512_store_ps(out->sums, _mm512_mul_ps(twice, halves));
    } else {
        __m256 block = _mm256_cvtepi32_ps(_mm256_madd_epi16(sixteen, _mm256_set1_epi16(1)));
        _mm256_store_ps(out->sums, _mm256_mul_ps(eight, block));
    }
}

#endif
