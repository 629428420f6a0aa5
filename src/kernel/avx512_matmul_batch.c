/* avx512_matmul_batch.c - products of quantised weights with several tokens.
 *
 * Two groups of sixteen rows meet up to six tokens in one tile, whose sums stay in registers through 512 columns: six
 * because vpdpbusd needs some twelve independent sums, and twelve sums beside their integer parts are what 32 registers
 * hold. What tokens bring is read in the order of ex_token_tile, into which the model puts it once for all matrices
 * that read it; without that it is done here, for each call. What a tile does for one element has the bits of what
 * avx512_matmul_quant.c does for one token. */
#include "kernel/avx512_matmul.h"

enum {
    GROUPS = 2,
    TILE_TOKENS = EX_TILE_TOKENS_MAX,
    DEPTH_CHUNKS = EX_TILE_DEPTH / EX_CHUNK, /* that a tile is deep */
    TILES_MAX = 86,      /* that share one unpacking: 512 tokens */
    OWN_TILES_MAX = 43,  /* if they are arranged here */
    TOKENS_MAX = TILES_MAX * TILE_TOKENS,
    CONTIGUOUS_FROM = 16 /* tokens, from which stores cost more than reading in sixteen streams saves */
};

typedef float lane_sums[EX_LANES];

typedef struct tile {
    const ex_chunk *weights[GROUPS]; /* [DEPTH_CHUNKS] */
    const ex_token_tile *tokens;
    size_t n_blocks;
    lane_sums *sums[GROUPS]; /* [tokens of the tile] */
} tile;

typedef struct run { /* tiles that share one unpacking */
    const ex_quant_product *product;
    size_t first_tile, n_tiles;
    ex_token_tile *own; /* [n_tiles], for one depth after the other; NULL: the product's are arranged */
} run;

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

/* ---- activations -------------------------------------------------------------------------------------------- */

/* Tiles differ by one token at most. */
static size_t tile_start(const ex_activations *x, size_t i) { return i * x->n_tokens / ex_tile_count(x->n_tokens); }

static size_t tile_of(const ex_activations *x, size_t token) {
    return ((token + 1) * ex_tile_count(x->n_tokens) - 1) / x->n_tokens;
}

/* Up to EX_TILE_DEPTH columns from `column` on, of one depth, become those of token t of a tile. */
static void arrange(const ex_activations *x, size_t token, size_t column, size_t n, size_t t, ex_token_tile *out) {
    const size_t at = token * x->n_in + column, in_tile = column % EX_TILE_DEPTH;
    const int8_t *quants = x->quants + at;
    for (size_t k = 0; k < n / 4; k++) {
        uint32_t four;
        memcpy(&four, quants + 4 * k, sizeof four);
        four ^= 0x80808080u; /* adds EX_TOKEN_ZERO to each */
        memcpy(out->quants[in_tile / 4 + k][t], &four, sizeof four);
    }
    for (size_t b = 0; b < n / EX_QUANT_BLOCK; b++) {
        const int16_t *sums = x->sums + at / EX_SUM_BLOCK + 2 * b;
        const float scale = x->scales[at / EX_QUANT_BLOCK + b];
        const size_t block = in_tile / EX_QUANT_BLOCK + b;
        out->scales[block][t] = scale;
        out->sums[block][t] = scale * (float)(sums[0] + sums[1]);
        for (size_t i = 0; i < 2; i++) out->half_sums[2 * block + i][t] = scale * (float)sums[i];
    }
}

size_t ex_avx512_arranged_bytes(size_t n_tokens, size_t n_in) {
    return (n_in + EX_TILE_DEPTH - 1) / EX_TILE_DEPTH * ex_tile_count(n_tokens) * sizeof(ex_token_tile);
}

void ex_avx512_arrange(const ex_activations *x, size_t token, size_t from, size_t n, void *arranged) {
    const size_t i = tile_of(x, token), n_tiles = ex_tile_count(x->n_tokens);
    for (size_t column = from, end = from + n; column < end;) {
        const size_t depth = column / EX_TILE_DEPTH, next = least((depth + 1) * EX_TILE_DEPTH, end);
        arrange(x, token, column, next - column, token - tile_start(x, i),
                (ex_token_tile *)arranged + depth * n_tiles + i);
        column = next;
    }
}

/* The tiles of a run from `column` on. */
static const ex_token_tile *run_tiles(const run *r, size_t column) {
    const ex_activations *x = r->product->x;
    if (r->own) return r->own;
    return (const ex_token_tile *)x->arranged + column / EX_TILE_DEPTH * ex_tile_count(x->n_tokens) + r->first_tile;
}

static void arrange_run(const run *r, size_t column) {
    const ex_activations *x = r->product->x;
    const size_t n = least(x->n_in - column, EX_TILE_DEPTH);
    for (size_t i = 0; i < r->n_tiles; i++) {
        const size_t first = tile_start(x, r->first_tile + i), end = tile_start(x, r->first_tile + i + 1);
        for (size_t t = first; t < end; t++) arrange(x, t, column, n, t - first, r->own + i);
    }
}

/* ---- one tile ----------------------------------------------------------------------------------------------- */

EX_INLINE bool has_minimums(ex_chunk_kind kind) {
    return kind == EX_CHUNK_MINIMUM || kind == EX_CHUNK_TWO_MINIMUMS;
}

EX_INLINE bool has_halves(ex_chunk_kind kind) {
    return kind == EX_CHUNK_TWO_SCALES || kind == EX_CHUNK_TWO_MINIMUMS;
}

/* Sums of the products of the n columns that have scale number `i` of chunk c. */
EX_INLINE void dot_columns(const tile *at, size_t n_tokens, size_t c, size_t i, size_t n,
                           __m512i dots[GROUPS][TILE_TOKENS]) {
    const uint8_t(*tokens)[TILE_TOKENS][4] = at->tokens->quants + c * EX_CHUNK_COLUMNS + n * i;
#pragma GCC unroll 2
    for (size_t g = 0; g < GROUPS; g++)
#pragma GCC unroll 6
        for (size_t t = 0; t < n_tokens; t++) dots[g][t] = _mm512_load_si512(at->weights[g][c].starts[i]);
#pragma GCC unroll 8
    for (size_t k = 0; k < n; k++) {
        __m512i quants[GROUPS];
#pragma GCC unroll 2
        for (size_t g = 0; g < GROUPS; g++) quants[g] = _mm512_load_si512(at->weights[g][c].quants[n * i + k]);
#pragma GCC unroll 6
        for (size_t t = 0; t < n_tokens; t++) {
            int32_t four;
            memcpy(&four, tokens[k][t], sizeof four);
#pragma GCC unroll 2
            for (size_t g = 0; g < GROUPS; g++)
                dots[g][t] = _mm512_dpbusd_epi32(dots[g][t], _mm512_set1_epi32(four), quants[g]);
        }
    }
}

/* The same, scaled, where sums begin with the bias. */
EX_INLINE void multiply_columns(const tile *at, ex_chunk_kind kind, size_t n_tokens, size_t c, size_t i, size_t n,
                                __m512 scaled[GROUPS][TILE_TOKENS]) {
    __m512i dots[GROUPS][TILE_TOKENS];
    dot_columns(at, n_tokens, c, i, n, dots);
#pragma GCC unroll 2
    for (size_t g = 0; g < GROUPS; g++) {
        const __m512 scales = _mm512_load_ps(at->weights[g][c].scales[i]);
        const __m512 offsets = _mm512_load_ps(at->weights[g][c].offsets[i]);
#pragma GCC unroll 6
        for (size_t t = 0; t < n_tokens; t++)
            scaled[g][t] = kind == EX_CHUNK_WIDE_SCALE
                               ? ex_scale_dots(_mm512_sub_epi32(dots[g][t], _mm512_set1_epi32(EX_BIAS_BITS)), scales)
                               : ex_scale_biased(dots[g][t], scales, offsets);
    }
}

/* Takes off minimum number i of chunk c; number b of the tile. */
EX_INLINE void subtract_minimums(const tile *at, ex_chunk_kind kind, size_t n_tokens, size_t c, size_t i, size_t b,
                                 __m512 sums[GROUPS][TILE_TOKENS]) {
    const float *token_sums = has_halves(kind) ? at->tokens->half_sums[b] : at->tokens->sums[b];
#pragma GCC unroll 2
    for (size_t g = 0; g < GROUPS; g++)
#pragma GCC unroll 6
        for (size_t t = 0; t < n_tokens; t++)
            sums[g][t] = ex_subtract_minimum(sums[g][t], _mm512_load_ps(at->weights[g][c].minimums[i]), token_sums[t]);
}

/* Block b of chunk c, whose halves have scales of their own. */
EX_INLINE void add_halves(const tile *at, ex_chunk_kind kind, size_t n_tokens, size_t c, size_t b,
                          __m512 sums[GROUPS][TILE_TOKENS]) {
    const size_t block = c * EX_CHUNK_BLOCKS + b;
    __m512 first[GROUPS][TILE_TOKENS];
    __m512i second[GROUPS][TILE_TOKENS];
    multiply_columns(at, kind, n_tokens, c, 2 * b, 4, first);
    dot_columns(at, n_tokens, c, 2 * b + 1, 4, second);
#pragma GCC unroll 2
    for (size_t g = 0; g < GROUPS; g++)
#pragma GCC unroll 6
        for (size_t t = 0; t < n_tokens; t++)
            sums[g][t] = ex_add_halves(sums[g][t], first[g][t], second[g][t],
                                       _mm512_load_ps(at->weights[g][c].scales[2 * b + 1]),
                                       at->tokens->scales[block][t]);
    for (size_t i = 0; has_minimums(kind) && i < 2; i++)
        subtract_minimums(at, kind, n_tokens, c, 2 * b + i, 2 * block + i, sums);
}

EX_INLINE void add_block(const tile *at, ex_chunk_kind kind, size_t n_tokens, size_t c, size_t b,
                         __m512 sums[GROUPS][TILE_TOKENS]) {
    const size_t block = c * EX_CHUNK_BLOCKS + b;
    __m512 scaled[GROUPS][TILE_TOKENS];
    multiply_columns(at, kind, n_tokens, c, b, 8, scaled);
#pragma GCC unroll 2
    for (size_t g = 0; g < GROUPS; g++)
#pragma GCC unroll 6
        for (size_t t = 0; t < n_tokens; t++)
            sums[g][t] = ex_add_block(sums[g][t], scaled[g][t], at->tokens->scales[block][t]);
    if (has_minimums(kind)) subtract_minimums(at, kind, n_tokens, c, b, block, sums);
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
            if (has_halves(kind)) add_halves(at, kind, n_tokens, c, b, sums);
            else add_block(at, kind, n_tokens, c, b, sums);
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
TILES(WIDE_SCALE)
TILES(TWO_SCALES)
TILES(MINIMUM)
TILES(TWO_MINIMUMS)

typedef void multiply_function(const tile *at);

#define TILE_ROW(kind)                                                                                                 \
    [EX_CHUNK_##kind] = {[2] = multiply_##kind##_2, multiply_##kind##_3, multiply_##kind##_4, multiply_##kind##_5,     \
                         multiply_##kind##_6}
static multiply_function *const multiply[][TILE_TOKENS + 1] = {
    TILE_ROW(ONE_SCALE), TILE_ROW(WIDE_SCALE), TILE_ROW(TWO_SCALES), TILE_ROW(MINIMUM), TILE_ROW(TWO_MINIMUMS)};

/* ---- rows and tokens ---------------------------------------------------------------------------------------- */

typedef lane_sums group_sums[TOKENS_MAX];

/* One group or two of a slab, from group g on, times EX_TILE_DEPTH columns of all tokens. */
static void multiply_groups(const run *r, const ex_slab *s, size_t g, size_t column, group_sums *sums) {
    const ex_quant_product *p = r->product;
    const ex_activations *x = p->x;
    const size_t n_blocks = least((x->n_in - column) / EX_QUANT_BLOCK, EX_TILE_BLOCKS);
    const bool both = g + 1 < s->n_groups; /* or the second one does what the first does, and nobody looks */
    ex_chunk weights[GROUPS][DEPTH_CHUNKS];
    _Alignas(64) ex_ragged_rows copy;
    for (size_t i = 0; i < (both ? 2 : 1); i++)
        for (size_t b = 0; b < n_blocks; b += EX_CHUNK_BLOCKS) {
            const size_t offset = (column / EX_CHUNK + b / EX_CHUNK_BLOCKS) * p->type->chunk_bytes;
            const size_t n = least(n_blocks - b, EX_CHUNK_BLOCKS);
            p->type->unpack(ex_slab_rows(p, s, g + i, offset, n, copy), n, &weights[i][b / EX_CHUNK_BLOCKS]);
        }
    const ex_token_tile *tokens = run_tiles(r, column);
    const size_t start = tile_start(x, r->first_tile);
    for (size_t i = 0; i < r->n_tiles; i++) {
        const size_t first = tile_start(x, r->first_tile + i) - start;
        const size_t end = tile_start(x, r->first_tile + i + 1) - start;
        const tile at = {
            {weights[0], weights[both]}, tokens + i, n_blocks, {sums[g] + first, sums[g + 1] + first}};
        multiply[p->type->kind][end - first](&at);
    }
}

/* As many rows as share what is arranged here, or with few tokens, as memory likes. */
static ex_slab next_slab(const run *r, size_t first) {
    return ex_next_slab(r->product, first, r->product->x->n_tokens < CONTIGUOUS_FROM);
}

static void multiply_slab(const run *r, const ex_slab *s) {
    const ex_activations *x = r->product->x;
    const size_t start = tile_start(x, r->first_tile), n_tokens = tile_start(x, r->first_tile + r->n_tiles) - start;
    _Alignas(64) group_sums sums[EX_SLAB_GROUPS];
    for (size_t g = 0; g < s->n_groups + s->n_groups % 2; g++) memset(sums[g], 0, n_tokens * sizeof sums[g][0]);
    for (size_t column = 0; column < x->n_in; column += EX_TILE_DEPTH) {
        if (r->own) arrange_run(r, column);
        for (size_t g = 0; g < s->n_groups; g += GROUPS) multiply_groups(r, s, g, column, sums);
    }
    for (size_t t = 0; t < n_tokens; t++)
        for (size_t g = 0; g < s->n_groups; g++)
            ex_store_group(r->product, s, g, start + t, _mm512_load_ps(sums[g][t]));
}

static void multiply_run(const run *r) {
    ex_slab s;
    for (size_t first = 0; first < r->product->n_rows; first += s.n_groups * EX_LANES) {
        s = next_slab(r, first);
        multiply_slab(r, &s);
    }
}

static void multiply_runs(const ex_quant_product *product, size_t tiles_max, ex_token_tile *own) {
    const size_t n_tiles = ex_tile_count(product->x->n_tokens), n_runs = (n_tiles + tiles_max - 1) / tiles_max;
    for (size_t i = 0; i < n_runs; i++) {
        const size_t first = i * n_tiles / n_runs;
        multiply_run(&(run){product, first, (i + 1) * n_tiles / n_runs - first, own});
    }
}

void ex_avx512_matmul_batch(const ex_quant_product *product) {
    ex_token_tile own[OWN_TILES_MAX];
    if (product->x->arranged) multiply_runs(product, TILES_MAX, NULL);
    else multiply_runs(product, OWN_TILES_MAX, own);
}
