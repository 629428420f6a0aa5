/* packer.c - which matrices are packed, in what order, and where to. */
#include "model/packer.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/memory.h"
#include "model/batch.h"

enum {
    STEPS = 16,                /* tokens over which packing is spread */
    STEP_BYTES_MIN = 16 << 20, /* in some milliseconds: less than what a small model gains by them in as many tokens */
    GIVE_BACK_BYTES = 1 << 20, /* at a time: each time interrupts all threads */
    LAYER_MATRICES = 8
};

typedef struct span { /* of a file's map: what a thread has packed and not yet given back */
    const char *first, *last;
} span;

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

static void give_back(span *done) {
    if (done->first) ex_forget_file(done->first, (size_t)(done->last - done->first));
    *done = (span){NULL, NULL};
}

static void pack_piece(const ex_matrix *matrix, size_t expert, size_t first, size_t n_rows, char *packed, span *done) {
    const char *rows = (const char *)matrix->data + expert * matrix->expert_bytes + first * matrix->row_bytes;
    char *out = packed + (expert * matrix->n_out + first) * matrix->row_bytes;
    ex_pack_rows(matrix->type, rows, matrix->row_bytes, n_rows, out);
    if (rows != done->last) {
        give_back(done);
        done->first = rows;
    }
    done->last = rows + n_rows * matrix->row_bytes;
    if (done->last - done->first >= GIVE_BACK_BYTES) give_back(done);
}

/* Dealt out as it will be when it is multiplied (project.c), so that whoever writes rows first is who reads them. */
static void pack_matrix(const ex_matrix *matrix, ex_worker *worker, char *packed) {
    size_t rows = ex_rows_chunk(worker, matrix->n_out), first, last;
    size_t n_pieces = (matrix->n_out + rows - 1) / rows;
    span done = {NULL, NULL};
    while (ex_worker_next(worker, matrix->n_experts * n_pieces, 1, &first, &last)) {
        size_t row = first % n_pieces * rows, n = matrix->n_out - row < rows ? matrix->n_out - row : rows;
        pack_piece(matrix, first / n_pieces, row, n, packed, &done);
    }
    give_back(&done);
    ex_worker_barrier(worker);
}

static void replace(ex_matrix *matrix, const ex_kernels *kernels, const char *packed) {
    matrix->data = packed;
    matrix->expert_bytes = matrix->n_out * matrix->row_bytes;
    matrix->matmul = kernels->matmul_packed[matrix->type];
}

void ex_packer_run(ex_packer *packer, const ex_kernels *kernels, ex_worker *worker) {
    if (packer->n_packed == packer->n_matrices) return;
    size_t at = packer->n_packed, moved = 0, wanted = packer->n_bytes / STEPS;
    char *out = packer->next;
    if (wanted < STEP_BYTES_MIN) wanted = STEP_BYTES_MIN;
    for (; at < packer->n_matrices && moved < wanted; at++) {
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
