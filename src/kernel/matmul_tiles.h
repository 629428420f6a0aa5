/* matmul_tiles.h - how a matrix product is cut into tiles that fit the registers.
 *
 * A tile is some rows times some tokens; every weight that it loads serves all its tokens. Each element of a tile has
 * its own accumulator and the same operations in the same order in every tile, so the cut changes no bit. */
#ifndef EX_KERNEL_MATMUL_TILES_H
#define EX_KERNEL_MATMUL_TILES_H

#include "kernel/kernel.h"

/* Rows from `rows` on times tokens from `token` on; out points at the first element. */
typedef void (*ex_matmul_tile)(const char *rows, size_t row_bytes, const ex_activations *x, size_t token, float *out,
                          size_t out_stride);

typedef struct ex_matmul_tiles {
    size_t n_rows, n_tokens;          /* of a full tile */
    ex_matmul_tile full, column, row; /* full; all its rows, one token; one row, all its tokens */
    ex_matmul_tile single;
} ex_matmul_tiles;

enum { EX_TOKEN_GROUP = 24 }; /* tokens whose activations stay in the second level cache while all rows pass */

static inline void ex_run_tiles(const ex_matmul_tiles *tiles, const void *weights, size_t row_bytes, size_t n_rows,
                                const ex_activations *x, float *out, size_t out_stride) {
    for (size_t first = 0; first < x->n_tokens; first += EX_TOKEN_GROUP) {
        size_t last = x->n_tokens - first < EX_TOKEN_GROUP ? x->n_tokens : first + EX_TOKEN_GROUP;
        for (size_t r = 0; r < n_rows;) {
            bool all_rows = n_rows - r >= tiles->n_rows;
            const char *rows = (const char *)weights + r * row_bytes;
            for (size_t t = first; t < last;) {
                bool all_tokens = last - t >= tiles->n_tokens;
                ex_matmul_tile tile = all_rows ? (all_tokens ? tiles->full : tiles->column)
                                               : (all_tokens ? tiles->row : tiles->single);
                tile(rows, row_bytes, x, t, out + t * out_stride + r, out_stride);
                t += all_tokens ? tiles->n_tokens : 1;
            }
            r += all_rows ? tiles->n_rows : 1;
        }
    }
}

/* Defines FUNCTION, an ex_matmul, from body(rows, row_bytes, x, token, out, out_stride, n_rows, n_tokens), which is
 * inlined with the numbers of each tile; NAME tells its tiles from those of others. */
#define EX_DEFINE_TILE(name, body, rows_in_tile, tokens_in_tile)                                                      \
    static void name(const char *rows, size_t row_bytes, const ex_activations *x, size_t token, float *out,           \
                     size_t out_stride) {                                                                              \
        body(rows, row_bytes, x, token, out, out_stride, rows_in_tile, tokens_in_tile);                               \
    }
#define EX_DEFINE_MATMUL(function, name, body, rows_in_tile, tokens_in_tile)                                          \
    EX_DEFINE_TILE(name##_full, body, rows_in_tile, tokens_in_tile)                                                   \
    EX_DEFINE_TILE(name##_column, body, rows_in_tile, 1)                                                              \
    EX_DEFINE_TILE(name##_row, body, 1, tokens_in_tile)                                                               \
    EX_DEFINE_TILE(name##_single, body, 1, 1)                                                                         \
    void function(const void *weights, size_t row_bytes, size_t n_rows, const ex_activations *x, float *out,          \
                  size_t out_stride) {                                                                                 \
        static const ex_matmul_tiles tiles = {rows_in_tile, tokens_in_tile, name##_full,                              \
                                              name##_column, name##_row, name##_single};                              \
        ex_run_tiles(&tiles, weights, row_bytes, n_rows, x, out, out_stride);                                          \
    }

#endif
