/* avx512_matmul_quant.c - products of quantised weights with quantised activations, and those of one token. A lane is a
 * row, so one output element is one chain of float additions, a block of 32 weights after the other, however rows are
 * grouped; and the products inside a block are integers, exact in any order. */
#include "kernel/avx512_matmul.h"

/* Group g of a slab; all columns. */
static void multiply_group(const ex_quant_product *p, const ex_slab *s, size_t g) {
    const ex_activations *x = p->x;
    _Alignas(64) float sums[EX_LANES] = {0};
    _Alignas(64) ex_ragged_rows copy;
    ex_token_terms terms;
    for (size_t column = 0, offset = 0; column < x->n_in; column += EX_CHUNK, offset += p->type->chunk_bytes) {
        const size_t left = (x->n_in - column) / EX_QUANT_BLOCK;
        const size_t n_blocks = left < EX_CHUNK_BLOCKS ? left : EX_CHUNK_BLOCKS;
        const float *scales = x->scales + column / EX_QUANT_BLOCK;
        ex_prepare_terms(p->type, x->sums + column / EX_SUM_BLOCK, scales, n_blocks, &terms);
        const ex_chunk_token token = {x->quants + column, scales, terms.zeros, terms.sums, {NULL}};
        p->type->add(ex_slab_rows(p, s, g, offset, n_blocks, copy), n_blocks, &token, sums);
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

/* n_groups groups, 1 or EX_STREAMS, chunk by chunk in turn: one stream alone would not get all that memory gives. */
static void multiply_packed(const ex_quant_product *p, size_t first, size_t n_groups) {
    const ex_activations *x = p->x;
    const size_t group_bytes = EX_LANES * p->row_bytes, chunk_bytes = EX_LANES * p->type->chunk_bytes;
    const uint8_t *group = p->weights + first * p->row_bytes, *behind = group + n_groups * group_bytes;
    _Alignas(64) float sums[EX_STREAMS][EX_LANES] = {{0}};
    ex_token_terms terms;
    for (size_t column = 0, at = 0; column < x->n_in; column += EX_CHUNK, at += chunk_bytes) {
        const size_t left = (x->n_in - column) / EX_QUANT_BLOCK;
        const size_t n_blocks = left < EX_CHUNK_BLOCKS ? left : EX_CHUNK_BLOCKS;
        const float *scales = x->scales + column / EX_QUANT_BLOCK;
        const uint8_t *next = at + chunk_bytes < group_bytes ? group + at + chunk_bytes : behind;
        ex_prepare_terms(p->type, x->sums + column / EX_SUM_BLOCK, scales, n_blocks, &terms);
        ex_chunk_token token = {x->quants + column, scales, terms.zeros, terms.sums, {NULL}};
        for (size_t g = 0; g < n_groups; g++) {
            find_ahead(next, group_bytes, n_groups, g, chunk_bytes, token.ahead);
            p->type->add((ex_chunk_rows){group + g * group_bytes + at, 0}, n_blocks, &token, sums[g]);
        }
    }
    for (size_t g = 0; g < n_groups; g++)
        _mm512_storeu_ps(p->out + first + g * EX_LANES, _mm512_load_ps(sums[g]));
}

static void multiply_one_packed(const ex_quant_product *p) {
    const size_t together = EX_STREAMS * EX_LANES;
    size_t first = 0;
    for (; first + together <= p->n_rows; first += together) multiply_packed(p, first, EX_STREAMS);
    for (; first < p->n_rows; first += EX_LANES) multiply_packed(p, first, 1);
}

static void matmul(const ex_quant_product *p) {
    if (p->x->n_tokens == 1 && p->type->packed) multiply_one_packed(p);
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
