/* avx512_matmul_batch.c - products of quantised weights with several tokens.
 *
 * Two groups of sixteen rows meet up to six tokens in one tile, whose sums stay in registers through 1,024 columns: six
 * because vpdpbusd needs some twelve independent sums, and twelve sums beside their integer parts are what 32 registers
 * hold. What tokens bring besides quants is first gathered tile by tile: more than six pointers do not fit registers.
 * What a tile does for one element is what avx512_matmul_quant.c does for one token. */
#include "kernel/avx512_matmul.h"

enum {
    GROUPS = 2,
    TILE_TOKENS = 6,
    DEPTH_CHUNKS = 4, /* that a tile is deep */
    DEPTH_BLOCKS = DEPTH_CHUNKS * EX_CHUNK_BLOCKS,
    DEPTH = DEPTH_CHUNKS * EX_CHUNK,
    TOKENS_MAX = 256,    /* that share one unpacking */
    TILES_MAX = (TOKENS_MAX + TILE_TOKENS - 1) / TILE_TOKENS, /* that are packed at a time */
    SLAB_GROUPS = 16,    /* of rows; at least EX_SLAB_GROUPS */
    PREFETCH_TOKENS = 6, /* ahead */
    CONTIGUOUS_FROM = 16 /* tokens, from which stores cost more than reading in sixteen streams saves */
};

typedef struct tile_tokens { /* what a tile's tokens bring to its columns besides their quants */
    _Alignas(64) float scales[TILE_TOKENS][DEPTH_BLOCKS];
    ex_token_terms terms[TILE_TOKENS][DEPTH_CHUNKS];
} tile_tokens;

typedef float lane_sums[EX_LANES];

typedef struct tile {
    const ex_chunk *weights[GROUPS]; /* [DEPTH_CHUNKS] */
    const int8_t *quants; /* of its first token */
    size_t n_in;
    const tile_tokens *tokens;
    size_t n_blocks;
    lane_sums *sums[GROUPS]; /* [tokens of the tile] */
} tile;

typedef struct run { /* tokens that share one unpacking */
    const ex_quant_product *product;
    size_t first, n_tokens, n_tiles, n_depths; /* n_depths: so many times DEPTH columns are packed at a time */
} run;

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

/* ---- activations -------------------------------------------------------------------------------------------- */

/* The first token of tile i: tiles differ by one token at most. */
static size_t tile_start(const run *r, size_t i) { return i * r->n_tokens / r->n_tiles; }

/* Rows of activations lie apart, so what is not asked for ahead is waited for. */
static void prefetch_terms(const ex_activations *x, size_t token, size_t column) {
    const uintptr_t at = token * x->n_in + column;
    const uintptr_t scales = (uintptr_t)x->scales + at / EX_QUANT_BLOCK * sizeof *x->scales;
    const uintptr_t sums = (uintptr_t)x->sums + at / EX_SUM_BLOCK * sizeof *x->sums;
    for (size_t i = 0; i < DEPTH_BLOCKS * sizeof *x->scales; i += 64) {
        _mm_prefetch((const void *)(scales + i), _MM_HINT_T0);
        _mm_prefetch((const void *)(sums + i), _MM_HINT_T0);
    }
}

static void pack_token(const ex_quant_product *p, size_t token, size_t column, size_t t, tile_tokens *out) {
    const ex_activations *x = p->x;
    const size_t start = token * x->n_in + column, n_blocks = least((x->n_in - column) / EX_QUANT_BLOCK, DEPTH_BLOCKS);
    prefetch_terms(x, token + PREFETCH_TOKENS, column);
    for (size_t b = 0; b < n_blocks; b += EX_CHUNK_BLOCKS) {
        const float *scales = x->scales + start / EX_QUANT_BLOCK + b;
        const size_t n = least(n_blocks - b, EX_CHUNK_BLOCKS);
        _mm256_store_ps(out->scales[t] + b, _mm256_maskz_loadu_ps((__mmask8)ex_first_lanes(n), scales));
        ex_prepare_terms(p->type, x->sums + start / EX_SUM_BLOCK + 2 * b, scales, n,
                         &out->terms[t][b / EX_CHUNK_BLOCKS]);
    }
}

/* Columns from `column` on, tile by tile. */
static void pack_tokens(const run *r, size_t column, tile_tokens *out) {
    for (size_t i = 0; i < r->n_tiles; i++, out++)
        for (size_t t = tile_start(r, i); t < tile_start(r, i + 1); t++)
            pack_token(r->product, r->first + t, column, t - tile_start(r, i), out);
}

/* ---- one tile ----------------------------------------------------------------------------------------------- */

EX_INLINE bool has_minimums(ex_chunk_kind kind) {
    return kind == EX_CHUNK_MINIMUM || kind == EX_CHUNK_TWO_MINIMUMS;
}

/* Products of n columns from `column` of chunk c on, on top of the tokens' terms number `term`. */
EX_INLINE void dot_columns(const tile *at, ex_chunk_kind kind, size_t n_tokens, size_t c, size_t column, size_t n,
                           size_t term, __m512i dots[GROUPS][TILE_TOKENS]) {
    const int8_t *tokens = at->quants + c * EX_CHUNK + 4 * column;
#pragma GCC unroll 6
    for (size_t t = 0; t < n_tokens; t++)
#pragma GCC unroll 2
        for (size_t g = 0; g < GROUPS; g++)
            dots[g][t] = has_minimums(kind) ? _mm512_setzero_si512()
                                            : _mm512_set1_epi32(at->tokens->terms[t][c].zeros[term]);
#pragma GCC unroll 8
    for (size_t k = 0; k < n; k++) {
        __m512i quants[GROUPS];
#pragma GCC unroll 2
        for (size_t g = 0; g < GROUPS; g++) quants[g] = _mm512_load_si512(at->weights[g][c].quants[column + k]);
#pragma GCC unroll 6
        for (size_t t = 0; t < n_tokens; t++) {
            int32_t four;
            memcpy(&four, tokens + t * at->n_in + 4 * k, sizeof four);
#pragma GCC unroll 2
            for (size_t g = 0; g < GROUPS; g++)
                dots[g][t] = _mm512_dpbusd_epi32(dots[g][t], quants[g], _mm512_set1_epi32(four));
        }
    }
}

EX_INLINE __m512 load_sixteen(const float values[EX_LANES]) { return _mm512_load_ps(values); }

/* The two halves of block b of chunk c have scales of their own. */
EX_INLINE void add_halves(const tile *at, ex_chunk_kind kind, size_t n_tokens, size_t c, size_t b,
                          __m512 sums[GROUPS][TILE_TOKENS]) {
    __m512i dots[GROUPS][TILE_TOKENS];
    __m512 first[GROUPS][TILE_TOKENS];
    dot_columns(at, kind, n_tokens, c, 8 * b, 4, 2 * b, dots);
#pragma GCC unroll 2
    for (size_t g = 0; g < GROUPS; g++)
#pragma GCC unroll 6
        for (size_t t = 0; t < n_tokens; t++)
            first[g][t] = ex_scale_dots(dots[g][t], load_sixteen(at->weights[g][c].scales[2 * b]));
    dot_columns(at, kind, n_tokens, c, 8 * b + 4, 4, 2 * b + 1, dots);
#pragma GCC unroll 2
    for (size_t g = 0; g < GROUPS; g++)
#pragma GCC unroll 6
        for (size_t t = 0; t < n_tokens; t++) {
            const ex_chunk *weights = &at->weights[g][c];
            sums[g][t] = ex_add_halves(sums[g][t], first[g][t], dots[g][t], load_sixteen(weights->scales[2 * b + 1]),
                                       at->tokens->scales[t][c * EX_CHUNK_BLOCKS + b]);
            for (size_t i = 2 * b; kind == EX_CHUNK_TWO_MINIMUMS && i < 2 * b + 2; i++)
                sums[g][t] = ex_subtract_minimum(sums[g][t], load_sixteen(weights->minimums[i]),
                                                 at->tokens->terms[t][c].sums[i]);
        }
}

EX_INLINE void add_block(const tile *at, ex_chunk_kind kind, size_t n_tokens, size_t c, size_t b,
                         __m512 sums[GROUPS][TILE_TOKENS]) {
    __m512i dots[GROUPS][TILE_TOKENS];
    dot_columns(at, kind, n_tokens, c, 8 * b, 8, b, dots);
#pragma GCC unroll 2
    for (size_t g = 0; g < GROUPS; g++)
#pragma GCC unroll 6
        for (size_t t = 0; t < n_tokens; t++) {
            const ex_chunk *weights = &at->weights[g][c];
            sums[g][t] = ex_add_block(sums[g][t], dots[g][t], load_sixteen(weights->scales[b]),
                                      at->tokens->scales[t][c * EX_CHUNK_BLOCKS + b]);
            if (kind == EX_CHUNK_MINIMUM)
                sums[g][t] = ex_subtract_minimum(sums[g][t], load_sixteen(weights->minimums[b]),
                                                 at->tokens->terms[t][c].sums[b]);
        }
}

EX_INLINE void multiply_tile(const tile *at, ex_chunk_kind kind, size_t n_tokens) {
    __m512 sums[GROUPS][TILE_TOKENS];
#pragma GCC unroll 2
    for (size_t g = 0; g < GROUPS; g++)
#pragma GCC unroll 6
        for (size_t t = 0; t < n_tokens; t++) sums[g][t] = _mm512_load_ps(at->sums[g][t]);
    for (size_t c = 0; c * EX_CHUNK_BLOCKS < at->n_blocks; c++) {
        const size_t n_blocks = least(at->n_blocks - c * EX_CHUNK_BLOCKS, EX_CHUNK_BLOCKS);
#pragma GCC unroll 1
        for (size_t b = 0; b < n_blocks; b++) {
            if (kind == EX_CHUNK_TWO_SCALES || kind == EX_CHUNK_TWO_MINIMUMS)
                add_halves(at, kind, n_tokens, c, b, sums);
            else
                add_block(at, kind, n_tokens, c, b, sums);
        }
    }
#pragma GCC unroll 2
    for (size_t g = 0; g < GROUPS; g++)
#pragma GCC unroll 6
        for (size_t t = 0; t < n_tokens; t++) _mm512_store_ps(at->sums[g][t], sums[g][t]);
}

#define TILE(kind, n_tokens)                                                                                           \
    static void multiply_##kind##_##n_tokens(const tile *at) { multiply_tile(at, EX_CHUNK_##kind, n_tokens); }
#define TILES(kind) TILE(kind, 2) TILE(kind, 3) TILE(kind, 4) TILE(kind, 5) TILE(kind, 6)
TILES(ONE_SCALE)
TILES(TWO_SCALES)
TILES(MINIMUM)
TILES(TWO_MINIMUMS)

typedef void multiply_function(const tile *at);

#define TILE_ROW(kind)                                                                                                 \
    [EX_CHUNK_##kind] = {[2] = multiply_##kind##_2, multiply_##kind##_3, multiply_##kind##_4, multiply_##kind##_5,     \
                         multiply_##kind##_6}
static multiply_function *const multiply[][TILE_TOKENS + 1] = {
    TILE_ROW(ONE_SCALE), TILE_ROW(TWO_SCALES), TILE_ROW(MINIMUM), TILE_ROW(TWO_MINIMUMS)};

/* ---- rows and tokens ---------------------------------------------------------------------------------------- */

typedef lane_sums group_sums[TOKENS_MAX];

/* One group or two of a slab, from group g on, times DEPTH columns of all tokens. */
static void multiply_groups(const run *r, const ex_slab *s, size_t g, size_t column, const tile_tokens *tokens,
                            group_sums *sums) {
    const ex_quant_product *p = r->product;
    const size_t n_blocks = least((p->x->n_in - column) / EX_QUANT_BLOCK, DEPTH_BLOCKS);
    const bool both = g + 1 < s->n_groups; /* or the second one does what the first does, and nobody looks */
    ex_chunk weights[GROUPS][DEPTH_CHUNKS];
    _Alignas(64) ex_ragged_rows copy;
    for (size_t i = 0; i < (both ? 2 : 1); i++)
        for (size_t b = 0; b < n_blocks; b += EX_CHUNK_BLOCKS) {
            const size_t offset = (column / EX_CHUNK + b / EX_CHUNK_BLOCKS) * p->type->chunk_bytes;
            const size_t n = least(n_blocks - b, EX_CHUNK_BLOCKS);
            p->type->unpack(ex_slab_rows(p, s, g + i, offset, n, copy), n, &weights[i][b / EX_CHUNK_BLOCKS]);
        }
    for (size_t i = 0; i < r->n_tiles; i++) {
        const size_t first = tile_start(r, i);
        const int8_t *quants = p->x->quants + (r->first + first) * p->x->n_in + column;
        const tile at = {{weights[0], weights[both]}, quants,   p->x->n_in,
                         tokens + i,                  n_blocks, {sums[g] + first, sums[g + 1] + first}};
        multiply[p->type->kind][tile_start(r, i + 1) - first](&at);
    }
}

/* As many rows as can share what is packed, or with few tokens, as memory likes. */
static ex_slab next_slab(const run *r, size_t first) {
    const ex_quant_product *p = r->product;
    const size_t n_groups = least((p->n_rows - first) / EX_LANES, SLAB_GROUPS);
    if (r->n_tokens < CONTIGUOUS_FROM) return ex_next_slab(p, first, true);
    return (ex_slab){first, n_groups > 0 ? n_groups : 1, EX_LANES, 1};
}

static void multiply_slab(const run *r, const ex_slab *s, tile_tokens *tokens) {
    const size_t n_in = r->product->x->n_in, together = r->n_depths * DEPTH;
    _Alignas(64) group_sums sums[SLAB_GROUPS];
    for (size_t g = 0; g < s->n_groups + s->n_groups % 2; g++) memset(sums[g], 0, r->n_tokens * sizeof sums[g][0]);
    for (size_t start = 0; start < n_in; start += together) {
        const size_t end = least(start + together, n_in);
        if (s->first == 0 || n_in > together)
            for (size_t column = start; column < end; column += DEPTH)
                pack_tokens(r, column, tokens + (column - start) / DEPTH * r->n_tiles);
        for (size_t g = 0; g < s->n_groups; g += GROUPS)
            for (size_t column = start; column < end; column += DEPTH)
                multiply_groups(r, s, g, column, tokens + (column - start) / DEPTH * r->n_tiles, sums);
    }
    for (size_t t = 0; t < r->n_tokens; t++)
        for (size_t g = 0; g < s->n_groups; g++)
            ex_store_group(r->product, s, g, r->first + t, _mm512_load_ps(sums[g][t]));
}

static void multiply_run(const run *r) {
    tile_tokens tokens[TILES_MAX];
    ex_slab s;
    for (size_t first = 0; first < r->product->n_rows; first += s.n_groups * EX_LANES) {
        s = next_slab(r, first);
        multiply_slab(r, &s, tokens);
    }
}

void ex_avx512_matmul_batch(const ex_quant_product *product) {
    const size_t n_tokens = product->x->n_tokens, n_runs = (n_tokens + TOKENS_MAX - 1) / TOKENS_MAX;
    for (size_t i = 0; i < n_runs; i++) {
        const size_t first = i * n_tokens / n_runs, n = (i + 1) * n_tokens / n_runs - first;
        const size_t n_tiles = (n + TILE_TOKENS - 1) / TILE_TOKENS;
        multiply_run(&(run){product, first, n, n_tiles, TILES_MAX / n_tiles});
    }
}
