/* packer.c - which matrices are packed, in what order, and where to. */
#include "model/packer.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/memory.h"

enum {
    STEPS = 16,              /* tokens over which packing is spread */
    PIECE_BYTES = 256 << 10, /* that a thread packs at a time, at least */
    LAYER_MATRICES = 8
};

static uint64_t matrix_bytes(const ex_matrix *matrix) {
    return (uint64_t)matrix->n_experts * matrix->n_out * matrix->row_bytes;
}

/* Its place among packed matrices: each begins with a cache line of its own. */
static uint64_t place_bytes(const ex_matrix *matrix) {
    return (matrix_bytes(matrix) + EX_ALIGNMENT - 1) / EX_ALIGNMENT * EX_ALIGNMENT;
}

static void add_matrix(ex_packer *packer, ex_matrix *matrix, const ex_kernels *kernels) {
    if (!matrix->data || !kernels->matmul_packed[matrix->type]) return;
    packer->matrices[packer->n_matrices++] = matrix;
    packer->n_bytes += place_bytes(matrix);
}

static void add_layer(ex_packer *packer, ex_layer *layer, const ex_kernels *kernels) {
    ex_matrix *matrices[LAYER_MATRICES] = {&layer->attn_q, &layer->attn_k,   &layer->attn_v, &layer->attn_output,
                                           &layer->router, &layer->ffn_gate, &layer->ffn_up, &layer->ffn_down};
    for (size_t i = 0; i < LAYER_MATRICES; i++) add_matrix(packer, matrices[i], kernels);
}

/* Pages of a file can be dropped when memory is short, packed rows cannot. */
static bool fits(size_t n_bytes) { return n_bytes < ex_memory_available() / 8 * 7; }

ex_code ex_packer_open(ex_packer *packer, ex_weights *weights, const ex_shape *shape, const ex_kernels *kernels,
                       ex_error *error) {
    *packer = (ex_packer){0};
    size_t n_layer = (size_t)shape->n_layer;
    packer->matrices = ex_allocate(n_layer * LAYER_MATRICES + 1, sizeof(ex_matrix *));
    if (!packer->matrices) return ex_fail_memory(error, "the list of matrices");
    for (size_t i = 0; i < n_layer; i++) add_layer(packer, &weights->layers[i], kernels);
    add_matrix(packer, &weights->output, kernels);
    if (packer->n_matrices > 0 && fits(packer->n_bytes)) packer->memory = ex_reserve(packer->n_bytes);
    if (!packer->memory) packer->n_matrices = 0;
    packer->next = packer->memory;
    return EX_OK;
}

void ex_packer_close(ex_packer *packer) {
    ex_release(packer->memory, packer->n_bytes);
    free(packer->matrices);
    *packer = (ex_packer){0};
}

static void pack_piece(const ex_matrix *matrix, size_t expert, size_t first, size_t n_rows, char *packed) {
    const char *rows = (const char *)matrix->data + expert * matrix->expert_bytes + first * matrix->row_bytes;
    char *out = packed + (expert * matrix->n_out + first) * matrix->row_bytes;
    ex_pack_rows(matrix->type, rows, matrix->row_bytes, n_rows, out);
    ex_forget_file(rows, n_rows * matrix->row_bytes);
}

/* Piece by piece, so that hardly any of it is in memory twice. */
static void pack_matrix(const ex_matrix *matrix, ex_worker *worker, char *packed) {
    size_t rows = (PIECE_BYTES / matrix->row_bytes / EX_PACK_ROWS + 1) * EX_PACK_ROWS, first, last;
    size_t n_pieces = (matrix->n_out + rows - 1) / rows;
    while (ex_worker_next(worker, matrix->n_experts * n_pieces, 1, &first, &last)) {
        size_t row = first % n_pieces * rows;
        pack_piece(matrix, first / n_pieces, row, matrix->n_out - row < rows ? matrix->n_out - row : rows, packed);
    }
    ex_worker_barrier(worker);
}

static void replace(ex_matrix *matrix, const ex_kernels *kernels, const char *packed) {
    matrix->data = packed;
    matrix->expert_bytes = matrix->n_out * matrix->row_bytes;
    matrix->matmul = kernels->matmul_packed[matrix->type];
}

void ex_packer_run(ex_packer *packer, const ex_kernels *kernels, ex_worker *worker) {
    if (packer->n_packed == packer->n_matrices) return;
    size_t at = packer->n_packed, moved = 0;
    char *out = packer->next;
    for (; at < packer->n_matrices && moved < packer->n_bytes / STEPS; at++) {
        ex_matrix *matrix = packer->matrices[at];
        size_t n_bytes = place_bytes(matrix);
        pack_matrix(matrix, worker, out);
        if (worker->index == 0) replace(matrix, kernels, out);
        out += n_bytes;
        moved += n_bytes;
    }
    if (worker->index == 0) {
        packer->n_packed = at;
        packer->next = out;
    }
    ex_worker_barrier(worker);
}
