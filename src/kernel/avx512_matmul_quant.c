/* avx512_matmul_quant.c - products of quantised weights with quantised activations, and those of one token. A lane is a
 * row, so one output element is one chain of float additions, a block of 32 weights after the other, however rows are
 * grouped; and the products inside a block are integers, exact in any order. */
#include "kernel/avx512_matmul.h"

enum {
    TOKENS_MAX = 16, /* with packed rows, that meet them here; more are faster in the tiles of avx512_matmul_batch.c */
    KEPT_FROM = 7,   /* tokens, from which unpacking a chunk once and keeping it is faster than twice in registers */
    PARTS_MAX = (TOKENS_MAX + EX_FEW_TOKENS - 1) / EX_FEW_TOKENS
};

/* One token's quants of n_blocks blocks, which are a whole chunk but at the end of some rows. */
static inline void copy_quants(const int8_t *quants, size_t n_blocks, int8_t out[EX_CHUNK]) {
    if (n_blocks == EX_CHUNK_BLOCKS)
        for (size_t i = 0; i < EX_CHUNK; i += 64) _mm512_store_si512(out + i, _mm512_loadu_si512(quants + i));
    else memcpy(out, quants, n_blocks * EX_QUANT_BLOCK);
}

/* What tokens [first, last) bring to n_blocks blocks from `column` on. */
static inline void prepare_tokens(const ex_quant_product *p, size_t first, size_t last, size_t column, size_t n_blocks,
                                  ex_chunk_tokens *out) {
    const ex_activations *x = p->x;
    for (size_t t = 0; t < last - first; t++) {
        const size_t at = (first + t) * x->n_in + column;
        const float *scales = x->scales + at / EX_QUANT_BLOCK;
        copy_quants(x->quants + at, n_blocks, out->quants[t]);
        _mm256_store_ps(out->scales[t], _mm256_maskz_loadu_ps((__mmask8)ex_first_lanes(n_blocks), scales));
        ex_prepare_terms(p->type, x->sums + at / EX_SUM_BLOCK, scales, n_blocks, &out->terms[t]);
    }
}

/* Group g of a slab; all columns. */
static void multiply_group(const ex_quant_product *p, const ex_slab *s, size_t g) {
    const ex_activations *x = p->x;
    _Alignas(64) ex_lane_sums sums = {0};
    _Alignas(64) ex_ragged_rows copy;
    ex_chunk_tokens token;
    for (size_t column = 0, offset = 0; column < x->n_in; column += EX_CHUNK, offset += p->type->chunk_bytes) {
        const size_t left = (x->n_in - column) / EX_QUANT_BLOCK;
        const size_t n_blocks = left < EX_CHUNK_BLOCKS ? left : EX_CHUNK_BLOCKS;
        prepare_tokens(p, 0, 1, column, n_blocks, &token);
        p->type->add[1](ex_slab_rows(p, s, g, offset, n_blocks, copy), n_blocks, &token, &sums);
    }
    ex_store_group(p, s, g, 0, _mm512_load_ps(sums));
}

static void multiply_one(const ex_quant_product *p) {
    ex_slab s;
    for (size_t first = 0; first < p->n_rows; first += s.n_groups * EX_LANES) {
        s = ex_next_slab(p, first, true);
        for (size_t g = 0; g < s.n_groups; g++) multiply_group(p, &s, g);
    }
}

/* ---- packed rows -------------------------------------------------------------------------------------------- */

/* Of the chunk that follows, for each of n_groups groups, what is asked for while group g of this one is multiplied. */
static void find_ahead(const uint8_t *next, size_t group_bytes, size_t n_groups, size_t g, size_t bytes,
                       const uint8_t *ahead[EX_STREAMS]) {
    for (size_t s = 0; s < EX_STREAMS; s++) {
        const size_t share = g * (EX_STREAMS / n_groups) + s / n_groups;
        ahead[s] = next + s % n_groups * group_bytes + share * (bytes / EX_STREAMS);
    }
}

typedef struct token_parts { /* that meet a chunk one after the other: tokens [starts[i], starts[i + 1]) */
    size_t n, starts[PARTS_MAX + 1];
    ex_chunk_tokens tokens[PARTS_MAX];
} token_parts;

static void divide_tokens(size_t n_tokens, token_parts *parts) {
    parts->n = n_tokens <= EX_FEW_TOKENS ? 1 : (n_tokens + EX_FEW_TOKENS - 1) / EX_FEW_TOKENS;
    parts->starts[0] = 0;
    for (size_t i = 1; i < parts->n; i++) parts->starts[i] = i * n_tokens / parts->n;
    parts->starts[parts->n] = n_tokens;
}

typedef struct packed_place { /* a chunk of each of n_groups groups */
    const uint8_t *first, *next; /* next: of the chunks after them */
    size_t n_blocks, n_groups;
} packed_place;

static void multiply_in_registers(const ex_quant_product *p, ex_chunk_tokens *tokens, const packed_place *at,
                                  ex_lane_sums sums[EX_STREAMS][TOKENS_MAX]) {
    const size_t group_bytes = EX_LANES * p->row_bytes, chunk_bytes = EX_LANES * p->type->chunk_bytes;
    ex_add_chunk *add = p->type->add[p->x->n_tokens];
    for (size_t g = 0; g < at->n_groups; g++) {
        find_ahead(at->next, group_bytes, at->n_groups, g, chunk_bytes, tokens->ahead);
        add((ex_chunk_rows){at->first + g * group_bytes, 0}, at->n_blocks, tokens, sums[g]);
    }
}

/* Two groups at a time; or the second one does what the first does, and nobody looks. */
static void multiply_kept(const ex_quant_product *p, const token_parts *parts, const packed_place *at,
                          ex_lane_sums sums[EX_STREAMS][TOKENS_MAX]) {
    const size_t group_bytes = EX_LANES * p->row_bytes, chunk_bytes = EX_LANES * p->type->chunk_bytes;
    ex_chunk weights[2];
    for (size_t g = 0; g < at->n_groups; g += 2) {
        for (size_t i = 0; i < 2; i++) {
            const size_t from = g + i < at->n_groups ? g + i : g;
            const uint8_t *ahead[EX_STREAMS];
            find_ahead(at->next, group_bytes, at->n_groups, from, chunk_bytes, ahead);
            p->type->keep(at->first + from * group_bytes, at->n_blocks, ahead, &weights[i]);
        }
        for (size_t i = 0; i < parts->n; i++) {
            const size_t start = parts->starts[i];
            ex_multiply_kept(p->type->kind, weights, at->n_blocks, &parts->tokens[i], parts->starts[i + 1] - start,
                             (ex_lane_sums *const[]){sums[g] + start, sums[g + 1] + start});
        }
    }
}

/* n_groups groups, 1 or EX_STREAMS, chunk by chunk in turn: one stream alone would not get all that memory gives. All
 * tokens meet a chunk while it is in the first-level cache. */
static void multiply_packed(const ex_quant_product *p, token_parts *parts, size_t first, size_t n_groups) {
    const ex_activations *x = p->x;
    const size_t group_bytes = EX_LANES * p->row_bytes, chunk_bytes = EX_LANES * p->type->chunk_bytes;
    const uint8_t *group = p->weights + first * p->row_bytes, *behind = group + n_groups * group_bytes;
    _Alignas(64) ex_lane_sums sums[EX_STREAMS][TOKENS_MAX];
    for (size_t g = 0; g < n_groups + n_groups % 2; g++)
        for (size_t t = 0; t < x->n_tokens; t++) _mm512_store_ps(sums[g][t], _mm512_setzero_ps());
    for (size_t column = 0, at = 0; column < x->n_in; column += EX_CHUNK, at += chunk_bytes) {
        const size_t left = (x->n_in - column) / EX_QUANT_BLOCK;
        const size_t n_blocks = left < EX_CHUNK_BLOCKS ? left : EX_CHUNK_BLOCKS;
        const uint8_t *next = at + chunk_bytes < group_bytes ? group + at + chunk_bytes : behind;
        for (size_t i = 0; i < parts->n; i++)
            prepare_tokens(p, parts->starts[i], parts->starts[i + 1], column, n_blocks, &parts->tokens[i]);
        const packed_place place = {group + at, next, n_blocks, n_groups};
        if (x->n_tokens >= KEPT_FROM) multiply_kept(p, parts, &place, sums);
        else multiply_in_registers(p, &parts->tokens[0], &place, sums);
    }
    for (size_t t = 0; t < x->n_tokens; t++)
        for (size_t g = 0; g < n_groups; g++)
            _mm512_storeu_ps(p->out + t * p->out_stride + first + g * EX_LANES, _mm512_load_ps(sums[g][t]));
}

static void multiply_few_packed(const ex_quant_product *p) {
    const size_t together = EX_STREAMS * EX_LANES;
    size_t first = 0;
    token_parts parts;
    divide_tokens(p->x->n_tokens, &parts);
    for (; first + together <= p->n_rows; first += together) multiply_packed(p, &parts, first, EX_STREAMS);
    for (; first < p->n_rows; first += EX_LANES) multiply_packed(p, &parts, first, 1);
}

static void matmul(const ex_quant_product *p) {
    if (p->x->n_tokens <= TOKENS_MAX && p->type->packed) multiply_few_packed(p);
    else if (p->x->n_tokens == 1) multiply_one(p);
    else ex_avx512_matmul_batch(p);
}

#define MATMUL(type, name)                                                                                             \
    void ex_avx512_matmul_##name(const void *weights, size_t row_bytes, size_t n_rows, const ex_activations *x,        \
                                 float *out, size_t out_stride) {                                                      \
        matmul(&(ex_quant_product){&ex_chunk_##name, weights, row_bytes, n_rows, x, out, out_stride});                 \
    }
MATMUL(Q8_0, q8_0)
MATMUL(Q4_0, q4_0)
MATMUL(Q4_K, q4_k)
MATMUL(Q6_K, q6_k)
EX_UNPACKED_TYPES(MATMUL)

/* Rows that fill no group are not packed. */
static void matmul_packed(const ex_chunk_type *packed, const ex_chunk_type *plain, ex_quant_product p) {
    const size_t n_rows = p.n_rows, n = n_rows - n_rows % EX_LANES;
    p.type = packed;
    p.n_rows = n;
    if (n > 0) matmul(&p);
    p.type = plain;
    p.n_rows = n_rows - n;
    p.weights += n * p.row_bytes;
    p.out += n;
    if (n < n_rows) matmul(&p);
}

#define MATMUL_PACKED(name)                                                                                            \
    void ex_avx512_matmul_packed_##name(const void *weights, size_t row_bytes, size_t n_rows, const ex_activations *x, \
                                        float *out, size_t out_stride) {                                               \
        matmul_packed(&ex_chunk_##name##_packed, &ex_chunk_##name,                                                     \
                      (ex_quant_product){NULL, weights, row_bytes, n_rows, x, out, out_stride});                       \
    }
MATMUL_PACKED(q8_0)
MATMUL_PACKED(q4_0)
MATMUL_PACKED(q4_k)
MATMUL_PACKED(q5_k)
MATMUL_PACKED(q6_k)
