/* avx512_matmul_quant.c - products of quantised weights with quantised activations. A lane is a row, so one output
 * element is one chain of float additions, a block of 32 weights after the other, however rows are grouped; and the
 * products inside a block are integers, exact in any order. */
#include "kernel/avx512.h"
#include "kernel/avx512_unpack.h"

#include <string.h>

enum {
    GROUPS = 2,          /* of sixteen rows, that many tokens are multiplied with together */
    TILE_TOKENS = 4,     /* tokens whose sums stay in registers */
    TOKENS_MAX = 64,     /* tokens that share one unpacking */
    CONTIGUOUS_FROM = 16, /* tokens, from which stores cost more than reading in sixteen streams saves */
    SLAB_GROUPS = 8
};

typedef struct slab { /* rows that are read as sixteen streams: group g has rows first + g * step + lane * spacing */
    size_t first, n_groups, step, spacing;
} slab;

typedef struct token_terms { /* what tokens add to a chunk besides their quants */
    _Alignas(64) int32_t zeros[TOKENS_MAX][EX_CHUNK_SUMS]; /* -zero * sum of quants, for each 32 or 16 weights */
    float sums[TOKENS_MAX][EX_CHUNK_SUMS];                 /* sum of activations, likewise */
} token_terms;

typedef struct chunk_place { /* of a run of tokens */
    const int8_t *quants;
    const float *scales;
    size_t n_in, n_blocks;
} chunk_place;

typedef float tile_sums[EX_LANES];

/* ---- activations -------------------------------------------------------------------------------------------- */

static void prepare_terms(const ex_chunk_type *type, const chunk_place *at, const int16_t *sums, size_t n_tokens,
                          token_terms *out) {
    const __mmask16 live = ex_first_lanes(2 * at->n_blocks);
    const __m256i factor = _mm256_set1_epi16((short)-type->zero), one = _mm256_set1_epi16(1);
    const __m512i pairs = _mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
    for (size_t t = 0; t < n_tokens; t++, sums += at->n_in / EX_SUM_BLOCK) {
        __m256i sixteen = _mm256_maskz_loadu_epi16(live, sums);
        if (type->kind == EX_CHUNK_TWO_SCALES) {
            __m512i wide = _mm512_cvtepi16_epi32(sixteen);
            _mm512_store_si512(out->zeros[t], _mm512_mullo_epi32(wide, _mm512_set1_epi32(-type->zero)));
        } else if (type->kind == EX_CHUNK_ONE_SCALE) {
            _mm256_store_si256((void *)out->zeros[t], _mm256_madd_epi16(sixteen, factor));
        } else {
            __m256 scales = _mm256_maskz_loadu_ps((__mmask8)ex_first_lanes(at->n_blocks),
                                                  at->scales + t * (at->n_in / EX_QUANT_BLOCK));
            if (type->kind == EX_CHUNK_TWO_MINIMUMS) {
                __m512 twice = _mm512_permutexvar_ps(pairs, _mm512_castps256_ps512(scales));
                __m512 halves = _mm512_cvtepi32_ps(_mm512_cvtepi16_epi32(sixteen));
                _mm512_store_ps(out->sums[t], _mm512_mul_ps(twice, halves));
            } else {
                __m256 block = _mm256_cvtepi32_ps(_mm256_madd_epi16(sixteen, one));
                _mm256_store_ps(out->sums[t], _mm256_mul_ps(scales, block));
            }
        }
    }
}

/* ---- many tokens -------------------------------------------------------------------------------------------- */

typedef struct tile { /* what n_tokens tokens from `first` on need of a chunk */
    const ex_chunk *weights; /* [GROUPS] */
    const int8_t *quants;
    const float *scales;
    size_t n_in, first, n_tokens;
    const token_terms *terms;
} tile;

EX_INLINE bool has_minimums(ex_chunk_kind kind) {
    return kind == EX_CHUNK_MINIMUM || kind == EX_CHUNK_TWO_MINIMUMS;
}

/* Products of n columns of both groups with all tokens, on top of the tokens' terms for sum block or block `zero`. */
EX_INLINE void dot_columns(const tile *at, ex_chunk_kind kind, size_t column, size_t n, size_t zero,
                           __m512i dots[GROUPS][TILE_TOKENS]) {
    for (size_t t = 0; t < at->n_tokens; t++)
        for (size_t g = 0; g < GROUPS; g++)
            dots[g][t] = has_minimums(kind) ? _mm512_setzero_si512()
                                            : _mm512_set1_epi32(at->terms->zeros[at->first + t][zero]);
    for (size_t k = column; k < column + n; k++) {
        __m512i quants[GROUPS];
        for (size_t g = 0; g < GROUPS; g++) quants[g] = _mm512_load_si512(at->weights[g].quants[k]);
        for (size_t t = 0; t < at->n_tokens; t++) {
            int32_t four;
            memcpy(&four, at->quants + t * at->n_in + 4 * k, sizeof four);
            for (size_t g = 0; g < GROUPS; g++)
                dots[g][t] = _mm512_dpbusd_epi32(dots[g][t], quants[g], _mm512_set1_epi32(four));
        }
    }
}

EX_INLINE __m512 load_sixteen(const float values[EX_LANES]) { return _mm512_load_ps(values); }

/* The two halves of block b have scales of their own. */
EX_INLINE void add_halves(const tile *at, ex_chunk_kind kind, size_t b, __m512 sums[GROUPS][TILE_TOKENS]) {
    const size_t n_scales = at->n_in / EX_QUANT_BLOCK;
    __m512i dots[GROUPS][TILE_TOKENS];
    __m512 first[GROUPS][TILE_TOKENS];
    dot_columns(at, kind, 8 * b, 4, 2 * b, dots);
    for (size_t t = 0; t < at->n_tokens; t++)
        for (size_t g = 0; g < GROUPS; g++)
            first[g][t] = ex_scale_dots(dots[g][t], load_sixteen(at->weights[g].scales[2 * b]));
    dot_columns(at, kind, 8 * b + 4, 4, 2 * b + 1, dots);
    for (size_t t = 0; t < at->n_tokens; t++)
        for (size_t g = 0; g < GROUPS; g++) {
            const ex_chunk *weights = &at->weights[g];
            sums[g][t] = ex_add_halves(sums[g][t], first[g][t], dots[g][t], load_sixteen(weights->scales[2 * b + 1]),
                                       at->scales[t * n_scales + b]);
            for (size_t i = 2 * b; kind == EX_CHUNK_TWO_MINIMUMS && i < 2 * b + 2; i++)
                sums[g][t] = ex_subtract_minimum(sums[g][t], load_sixteen(weights->minimums[i]),
                                                 at->terms->sums[at->first + t][i]);
        }
}

EX_INLINE void add_block(const tile *at, ex_chunk_kind kind, size_t b, __m512 sums[GROUPS][TILE_TOKENS]) {
    const size_t n_scales = at->n_in / EX_QUANT_BLOCK;
    __m512i dots[GROUPS][TILE_TOKENS];
    dot_columns(at, kind, 8 * b, 8, b, dots);
    for (size_t t = 0; t < at->n_tokens; t++)
        for (size_t g = 0; g < GROUPS; g++) {
            const ex_chunk *weights = &at->weights[g];
            sums[g][t] = ex_add_block(sums[g][t], dots[g][t], load_sixteen(weights->scales[b]),
                                      at->scales[t * n_scales + b]);
            if (kind == EX_CHUNK_MINIMUM)
                sums[g][t] = ex_subtract_minimum(sums[g][t], load_sixteen(weights->minimums[b]),
                                                 at->terms->sums[at->first + t][b]);
        }
}

EX_INLINE void multiply_tile(ex_chunk_kind kind, const ex_chunk weights[GROUPS], const chunk_place *at,
                             const token_terms *terms, size_t first, size_t n_tokens,
                             tile_sums sums[GROUPS][TOKENS_MAX]) {
    const tile place = {weights, at->quants + first * at->n_in, at->scales + first * (at->n_in / EX_QUANT_BLOCK),
                        at->n_in, first, n_tokens, terms};
    __m512 registers[GROUPS][TILE_TOKENS];
    for (size_t g = 0; g < GROUPS; g++)
        for (size_t t = 0; t < n_tokens; t++) registers[g][t] = _mm512_load_ps(sums[g][first + t]);
    for (size_t b = 0; b < at->n_blocks; b++) {
        if (kind == EX_CHUNK_TWO_SCALES || kind == EX_CHUNK_TWO_MINIMUMS) add_halves(&place, kind, b, registers);
        else add_block(&place, kind, b, registers);
    }
    for (size_t g = 0; g < GROUPS; g++)
        for (size_t t = 0; t < n_tokens; t++) _mm512_store_ps(sums[g][first + t], registers[g][t]);
}

EX_INLINE void multiply(ex_chunk_kind kind, const ex_chunk weights[GROUPS], const chunk_place *at,
                        const token_terms *terms, size_t n_tokens, tile_sums sums[GROUPS][TOKENS_MAX]) {
    size_t t = 0;
    for (; t + TILE_TOKENS <= n_tokens; t += TILE_TOKENS)
        multiply_tile(kind, weights, at, terms, t, TILE_TOKENS, sums);
    for (; t < n_tokens; t++) multiply_tile(kind, weights, at, terms, t, 1, sums);
}

static void multiply_chunk(ex_chunk_kind kind, const ex_chunk weights[GROUPS], const chunk_place *at,
                           const token_terms *terms, size_t n_tokens, tile_sums sums[GROUPS][TOKENS_MAX]) {
    if (kind == EX_CHUNK_ONE_SCALE) multiply(EX_CHUNK_ONE_SCALE, weights, at, terms, n_tokens, sums);
    else if (kind == EX_CHUNK_TWO_SCALES) multiply(EX_CHUNK_TWO_SCALES, weights, at, terms, n_tokens, sums);
    else if (kind == EX_CHUNK_MINIMUM) multiply(EX_CHUNK_MINIMUM, weights, at, terms, n_tokens, sums);
    else multiply(EX_CHUNK_TWO_MINIMUMS, weights, at, terms, n_tokens, sums);
}

/* ---- rows and tokens ---------------------------------------------------------------------------------------- */

typedef struct job {
    const ex_chunk_type *type;
    const uint8_t *weights;
    size_t row_bytes, n_rows;
    const ex_activations *x;
    size_t first_token, n_tokens; /* of x */
    float *out;
    size_t out_stride;
} job;

static size_t chunk_bytes(const ex_chunk_type *type, size_t n_blocks) {
    return n_blocks == EX_CHUNK_BLOCKS ? type->chunk_bytes : n_blocks * type->block_bytes;
}

/* Rows that do not fill a group are multiplied as a copy with zeros behind them. */
static ex_chunk_rows copy_ragged(const job *j, size_t first, size_t offset, size_t bytes,
                                 uint8_t copy[EX_LANES][EX_CHUNK_BYTES_MAX]) {
    size_t n = first < j->n_rows ? j->n_rows - first : 0;
    memset(copy, 0, EX_LANES * sizeof copy[0]);
    for (size_t r = 0; r < n && r < EX_LANES; r++)
        memcpy(copy[r], j->weights + (first + r) * j->row_bytes + offset, bytes);
    return (ex_chunk_rows){copy[0], EX_CHUNK_BYTES_MAX};
}

static void store_group(const job *j, size_t first, size_t spacing, const tile_sums *sums) {
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512i rows = _mm512_mullo_epi32(lanes, _mm512_set1_epi32((int)spacing));
    for (size_t t = 0; t < j->n_tokens; t++) {
        float *out = j->out + (j->first_token + t) * j->out_stride + first;
        __m512 values = _mm512_load_ps(sums[t]);
        if (spacing > 1) _mm512_i32scatter_ps(out, rows, values, sizeof *out);
        else if (first < j->n_rows) _mm512_mask_storeu_ps(out, ex_first_lanes(j->n_rows - first), values);
    }
}

/* n_groups groups of a slab, at most GROUPS, from group g on; all columns. */
static void multiply_groups(const job *j, const slab *s, size_t g, size_t n_groups) {
    _Alignas(64) tile_sums sums[GROUPS][TOKENS_MAX];
    ex_chunk weights[GROUPS];
    token_terms terms;
    _Alignas(64) uint8_t copy[EX_LANES][EX_CHUNK_BYTES_MAX];
    for (size_t i = 0; i < GROUPS; i++) memset(sums[i], 0, j->n_tokens * sizeof sums[i][0]);
    for (size_t column = 0, offset = 0; column < j->x->n_in; column += EX_CHUNK, offset += j->type->chunk_bytes) {
        size_t left = (j->x->n_in - column) / EX_QUANT_BLOCK;
        size_t start = j->first_token * j->x->n_in + column;
        chunk_place at = {j->x->quants + start, j->x->scales + start / EX_QUANT_BLOCK, j->x->n_in,
                          left < EX_CHUNK_BLOCKS ? left : EX_CHUNK_BLOCKS};
        prepare_terms(j->type, &at, j->x->sums + start / EX_SUM_BLOCK, j->n_tokens, &terms);
        const ex_chunk_token token = {at.quants, at.scales, terms.zeros[0], terms.sums[0]};
        for (size_t i = 0; i < n_groups; i++) {
            size_t first = s->first + (g + i) * s->step;
            ex_chunk_rows from = {j->weights + first * j->row_bytes + offset, s->spacing * j->row_bytes};
            if (first + EX_LANES > j->n_rows)
                from = copy_ragged(j, first, offset, chunk_bytes(j->type, at.n_blocks), copy);
            if (j->n_tokens == 1) j->type->add(from, at.n_blocks, &token, sums[i][0]);
            else j->type->unpack(from, at.n_blocks, &weights[i]);
        }
        if (j->n_tokens > 1) multiply_chunk(j->type->kind, weights, &at, &terms, j->n_tokens, sums);
    }
    for (size_t i = 0; i < n_groups; i++)
        store_group(j, s->first + (g + i) * s->step, s->spacing, (const tile_sums *)sums[i]);
}

/* The rows from `first` on that are read together. With few tokens memory is what takes time, and it is fastest in
 * sixteen streams, each of a few whole rows, that do not meet in the same cache sets. */
static slab next_slab(const job *j, size_t first) {
    size_t n_groups = (j->n_rows - first) / EX_LANES;
    if (n_groups > SLAB_GROUPS) n_groups = SLAB_GROUPS;
    if (n_groups == 0) return (slab){first, 1, EX_LANES, 1};
    if (j->n_tokens >= CONTIGUOUS_FROM) return (slab){first, n_groups, EX_LANES, 1};
    if (n_groups > 2 && n_groups * j->row_bytes % 4096 == 0) n_groups -= 2;
    return (slab){first, n_groups, 1, n_groups};
}

static void multiply_rows(const job *j) {
    const size_t together = j->n_tokens == 1 ? 1 : GROUPS;
    slab s;
    for (size_t first = 0; first < j->n_rows; first += s.n_groups * EX_LANES) {
        s = next_slab(j, first);
        for (size_t g = 0; g < s.n_groups; g += together)
            multiply_groups(j, &s, g, s.n_groups - g < together ? s.n_groups - g : together);
    }
}

static void matmul(const ex_chunk_type *type, const void *weights, size_t row_bytes, size_t n_rows,
                   const ex_activations *x, float *out, size_t out_stride) {
    for (size_t first = 0; first < x->n_tokens; first += TOKENS_MAX) {
        size_t n_tokens = x->n_tokens - first < TOKENS_MAX ? x->n_tokens - first : TOKENS_MAX;
        multiply_rows(&(job){type, weights, row_bytes, n_rows, x, first, n_tokens, out, out_stride});
    }
}

#define MATMUL(type, name)                                                                                             \
    void ex_avx512_matmul_##name(const void *weights, size_t row_bytes, size_t n_rows, const ex_activations *x,        \
                                 float *out, size_t out_stride) {                                                      \
        matmul(&ex_chunk_##name, weights, row_bytes, n_rows, x, out, out_stride);                                      \
    }
MATMUL(Q8_0, q8_0)
MATMUL(Q4_0, q4_0)
MATMUL(Q4_K, q4_k)
MATMUL(Q6_K, q6_k)
EX_UNPACKED_TYPES(MATMUL)
