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
        const ex_chunk_token token = {x->quants + column, scales, terms.zeros, terms.sums};
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

static void matmul(const ex_quant_product *p) {
    if (p->x->n_tokens == 1) multiply_one(p);
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
