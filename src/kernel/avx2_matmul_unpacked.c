/* avx2_matmul_unpacked.c - matrix products with the types that are unpacked to bytes and scales.
 *
 * Up to 256 weights of two rows are unpacked, then all tokens of a group are multiplied with them. Sums wait in memory
 * between chunks; each is one chain of additions, whatever else is in the call. Byte products need one unsigned
 * operand: the weights lend their sign to the activations. */
#include "kernel/avx2_unpack.h"

#include <string.h>

#include "kernel/matmul_tiles.h"

enum {
    ROWS = 2,
    TOKENS = 4,
    BLOCKS = EX_SUPER_BLOCK / EX_QUANT_BLOCK /* in a chunk */
};

typedef __m256 row_sums[EX_TOKEN_GROUP];

typedef struct chunk {
    const ex_unpacked *weights; /* [ROWS] */
    bool minimums;
    size_t n_blocks;
    const ex_activations *x;
    size_t first; /* weight of the row */
} chunk;

/* The scales of 32 weights: of the first sixteen in the low lanes, of the others in the high ones. */
ALWAYS_INLINE __m256 load_two_scales(const float *scales) {
    return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_broadcast_ss(scales)), _mm_broadcast_ss(scales + 1), 1);
}

/* Sums of sixteen activations, for all of a chunk; 0 for those past its end. */
ALWAYS_INLINE void load_sums(const chunk *c, size_t token, __m256 out[2]) {
    const size_t at = token * c->x->n_in + c->first;
    int16_t sums[2 * BLOCKS] = {0};
    float scales[BLOCKS] = {0};
    memcpy(sums, c->x->sums + at / EX_SUM_BLOCK, 2 * c->n_blocks * sizeof sums[0]);
    memcpy(scales, c->x->scales + at / EX_QUANT_BLOCK, c->n_blocks * sizeof scales[0]);
    __m256 eight = _mm256_loadu_ps(scales);
    for (int half = 0; half < 2; half++) {
        __m128i integers = _mm_loadu_si128((const __m128i *)(const void *)(sums + 8 * half));
        __m256i pairs = _mm256_add_epi32(_mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3), _mm256_set1_epi32(4 * half));
        out[half] = _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_cvtepi16_epi32(integers)),
                                  _mm256_permutevar8x32_ps(eight, pairs));
    }
}

ALWAYS_INLINE void subtract_minimums(const chunk *c, size_t token, __m256 sums[ROWS][TOKENS], size_t t, size_t n_rows) {
    __m256 x_sums[2];
    load_sums(c, token, x_sums);
    UNROLL for (size_t r = 0; r < n_rows; r++)
        UNROLL for (size_t half = 0; half < 2; half++)
            sums[r][t] = _mm256_fnmadd_ps(_mm256_loadu_ps(c->weights[r].minimums + 8 * half), x_sums[half], sums[r][t]);
}

ALWAYS_INLINE void add_block(const chunk *c, size_t b, size_t token, __m256 sums[ROWS][TOKENS], size_t n_rows,
                             size_t n_tokens) {
    const size_t at = token * c->x->n_in + c->first + b * EX_QUANT_BLOCK;
    UNROLL for (size_t r = 0; r < n_rows; r++) {
        __m256i weights = _mm256_load_si256((const __m256i *)(const void *)(c->weights[r].quants + b * EX_QUANT_BLOCK));
        __m256i magnitudes = _mm256_abs_epi8(weights);
        __m256 scales = load_two_scales(c->weights[r].scales + 2 * b);
        UNROLL for (size_t t = 0; t < n_tokens; t++) {
            const size_t i = at + t * c->x->n_in;
            __m256i quants = _mm256_loadu_si256((const __m256i *)(const void *)(c->x->quants + i));
            __m256i pairs = _mm256_maddubs_epi16(magnitudes, _mm256_sign_epi8(quants, weights));
            __m256 products = _mm256_cvtepi32_ps(_mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
            __m256 factor = _mm256_mul_ps(scales, _mm256_broadcast_ss(c->x->scales + i / EX_QUANT_BLOCK));
            sums[r][t] = _mm256_fmadd_ps(products, factor, sums[r][t]);
        }
    }
}

/* Tokens from `token` on, whose sums begin at `at` of each row's. */
ALWAYS_INLINE void add_tile(const chunk *c, size_t token, row_sums *all, size_t at, size_t n_rows, size_t n_tokens) {
    __m256 sums[ROWS][TOKENS];
    UNROLL for (size_t r = 0; r < n_rows; r++)
        UNROLL for (size_t t = 0; t < n_tokens; t++) sums[r][t] = all[r][at + t];
    if (c->minimums)
        UNROLL for (size_t t = 0; t < n_tokens; t++) subtract_minimums(c, token + t, sums, t, n_rows);
    for (size_t b = 0; b < c->n_blocks; b++) add_block(c, b, token, sums, n_rows, n_tokens);
    UNROLL for (size_t r = 0; r < n_rows; r++)
        UNROLL for (size_t t = 0; t < n_tokens; t++) all[r][at + t] = sums[r][t];
}

ALWAYS_INLINE void add_tokens(const chunk *c, size_t first_token, size_t n_tokens, row_sums *all, size_t n_rows) {
    size_t t = 0;
    for (; t + TOKENS <= n_tokens; t += TOKENS) add_tile(c, first_token + t, all, t, n_rows, TOKENS);
    for (; t < n_tokens; t++) add_tile(c, first_token + t, all, t, n_rows, 1);
}

static void add_tokens_one_row(const chunk *c, size_t first_token, size_t n_tokens, row_sums *all) {
    add_tokens(c, first_token, n_tokens, all, 1);
}

static void add_tokens_all_rows(const chunk *c, size_t first_token, size_t n_tokens, row_sums *all) {
    add_tokens(c, first_token, n_tokens, all, ROWS);
}

typedef struct job {
    const ex_packing *packing;
    ex_unpack *unpack;
    const char *weights;
    size_t row_bytes;
    const ex_activations *x;
    float *out;
    size_t out_stride;
} job;

/* Up to ROWS rows from `row` on, times tokens from first_token on. */
static void multiply_rows(const job *j, size_t row, size_t n_rows, size_t first_token, size_t n_tokens) {
    ex_unpacked unpacked[ROWS];
    row_sums sums[ROWS];
    for (size_t r = 0; r < n_rows; r++)
        for (size_t t = 0; t < n_tokens; t++) sums[r][t] = _mm256_setzero_ps();
    for (size_t i = 0; i < j->x->n_in; i += EX_SUPER_BLOCK) {
        const size_t n = j->x->n_in - i < EX_SUPER_BLOCK ? j->x->n_in - i : EX_SUPER_BLOCK;
        const size_t n_bytes = n / j->packing->weights * j->packing->bytes;
        for (size_t r = 0; r < n_rows; r++) {
            const char *blocks = j->weights + (row + r) * j->row_bytes + i / j->packing->weights * j->packing->bytes;
            if (n < EX_SUPER_BLOCK) memset(unpacked[r].minimums, 0, sizeof unpacked[r].minimums);
            if (n_tokens == 1) avx2_prefetch_ahead(blocks, n_bytes);
            j->unpack(blocks, n / j->packing->weights, &unpacked[r]);
        }
        const chunk c = {unpacked, j->packing->minimums, n / EX_QUANT_BLOCK, j->x, i};
        if (n_rows == ROWS) add_tokens_all_rows(&c, first_token, n_tokens, sums);
        else add_tokens_one_row(&c, first_token, n_tokens, sums);
    }
    for (size_t r = 0; r < n_rows; r++)
        for (size_t t = 0; t < n_tokens; t++)
            j->out[(first_token + t) * j->out_stride + row + r] = avx2_sum(sums[r][t]);
}

#define UNPACK_ROW(type, name) [EX_TYPE_##type] = avx2_unpack_##name,

/* Types that are not here are unpacked as the portable table does it. */
static ex_unpack *const unpackers[EX_TYPE_COUNT] = {AVX2_UNPACKED_TYPES(UNPACK_ROW)};

static void matmul(ex_type type, const void *weights, size_t row_bytes, size_t n_rows, const ex_activations *x,
                   float *out, size_t out_stride) {
    const ex_packing *packing = ex_packing_find(type);
    ex_unpack *unpack = unpackers[type] ? unpackers[type] : packing->unpack;
    const job j = {packing, unpack, weights, row_bytes, x, out, out_stride};
    for (size_t t = 0; t < x->n_tokens; t += EX_TOKEN_GROUP) {
        size_t n_tokens = x->n_tokens - t < EX_TOKEN_GROUP ? x->n_tokens - t : EX_TOKEN_GROUP;
        for (size_t r = 0; r < n_rows; r += ROWS)
            multiply_rows(&j, r, n_rows - r < ROWS ? n_rows - r : ROWS, t, n_tokens);
    }
}

#define MATMUL(type, name)                                                                                             \
    void ex_avx2_matmul_##name(const void *weights, size_t row_bytes, size_t n_rows, const ex_activations *x,          \
                               float *out, size_t out_stride) {                                                        \
        matmul(EX_TYPE_##type, weights, row_bytes, n_rows, x, out, out_stride);                                        \
    }
EX_UNPACKED_TYPES(MATMUL)
