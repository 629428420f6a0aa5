/* project.c - matrices times a batch: rows dealt out to threads, quants beside values where the weights want them. */
#include <math.h>

#include "model/batch.h"

enum {
    ROWS_UNIT = 32,  /* kernels work on so many rows together, and so many gated values share a scale */
    ROWS_MAX = 128,  /* rows that a thread takes at a time, at most: what a kernel reads in one sweep */
    PIECES = 4       /* of a step, for each thread at least: who is free takes the next */
};

bool ex_needs_quants(const ex_matrix *matrix) { return ex_format_find(matrix->type)->integer_dot; }

ex_activations ex_input_rows(const ex_input *input, size_t width, size_t first, size_t n_rows) {
    size_t at = first * width;
    return (ex_activations){n_rows, width, input->values + at, input->quants + at, input->scales + at / EX_QUANT_BLOCK,
                            input->sums + at / EX_SUM_BLOCK, NULL};
}

ex_activations ex_input_batch(const ex_input *input, size_t width, size_t n_rows) {
    ex_activations x = ex_input_rows(input, width, 0, n_rows);
    if (n_rows > 1) x.arranged = input->arranged;
    return x;
}

void ex_input_quantize(const ex_kernels *kernels, const ex_input *input, const ex_activations *x, size_t row,
                       size_t from, size_t n) {
    size_t at = row * x->n_in + from;
    kernels->quantize_row(input->values + at, n, input->quants + at, input->scales + at / EX_QUANT_BLOCK,
                          input->sums + at / EX_SUM_BLOCK);
    if (x->arranged) kernels->arrange(x, row, from, n, input->arranged);
}

static void add_bias(const float *bias, size_t n_rows, size_t n_tokens, float *out, size_t out_stride) {
    for (size_t t = 0; t < n_tokens; t++)
        for (size_t r = 0; r < n_rows; r++) out[t * out_stride + r] += bias[r];
}

void ex_project_rows(const ex_activations *x, const ex_matrix *matrix, size_t expert, size_t first, size_t n_rows,
                     float *out) {
    const char *rows = (const char *)matrix->data + expert * matrix->expert_bytes + first * matrix->row_bytes;
    matrix->matmul(rows, matrix->row_bytes, n_rows, x, out + first, matrix->n_out);
    if (matrix->bias)
        add_bias(matrix->bias + expert * matrix->n_out + first, n_rows, x->n_tokens, out + first, matrix->n_out);
}

size_t ex_rows_chunk(const ex_worker *worker, size_t n_rows) {
    size_t chunk = n_rows / ((size_t)worker->count * PIECES) / ROWS_UNIT * ROWS_UNIT;
    return chunk > ROWS_MAX ? ROWS_MAX : chunk < ROWS_UNIT ? ROWS_UNIT : chunk;
}

void ex_project(ex_worker *worker, const ex_activations *x, const ex_projection *targets, size_t n_targets) {
    size_t n_rows = 0, first, last;
    for (size_t i = 0; i < n_targets; i++) n_rows += targets[i].matrix->n_out;
    size_t chunk = ex_rows_chunk(worker, n_rows);
    while (ex_worker_next(worker, n_rows, chunk, &first, &last)) {
        size_t start = 0; /* of this matrix in the list */
        for (size_t i = 0; i < n_targets && first < last; i++) {
            size_t end = start + targets[i].matrix->n_out;
            size_t stop = last < end ? last : end;
            if (first < stop) {
                ex_project_rows(x, targets[i].matrix, 0, first - start, stop - first, targets[i].out);
                first = stop;
            }
            start = end;
        }
    }
    ex_worker_barrier(worker);
}

/* activation(gate) * up, brought into the form z / (1 + e^-z) * u that the kernel computes. */
static void prepare_gate(ex_gate gate, float *z, float *u, size_t n) {
    /* GELU is x / (1 + e^-z) with z = 2 sqrt(2 / pi) (x + 0.044715 x^3): Hendrycks and Gimpel, 2016 */
    if (gate == EX_GATE_GELU)
        for (size_t i = 0; i < n; i++) {
            float slope = 1.5957691216f * (1 + 0.044715f * fminf(z[i] * z[i], 1e6f));
            u[i] /= slope;
            z[i] *= slope;
        }
    if (gate == EX_GATE_SILU_CLAMPED)
        for (size_t i = 0; i < n; i++) {
            u[i] = (fminf(fmaxf(u[i], -7), 7) + 1) / 1.702f;
            z[i] = 1.702f * fminf(z[i], 7);
        }
}

void ex_project_gated(const ex_batch *batch, const ex_activations *x, const ex_layer *layer, size_t expert,
                      size_t first_token, size_t first, size_t n_rows) {
    const ex_kernels *kernels = batch->model->kernels;
    const ex_workspace *w = &batch->model->work;
    size_t n_ff = layer->ffn_gate.n_out;
    float *gate = w->gated.values + first_token * n_ff, *up = w->up + first_token * n_ff;
    ex_project_rows(x, &layer->ffn_gate, expert, first, n_rows, gate);
    ex_project_rows(x, &layer->ffn_up, expert, first, n_rows, up);
    ex_activations gated = ex_input_rows(&w->gated, n_ff, 0, first_token + x->n_tokens);
    if (x->n_tokens == batch->n_tokens && !layer->router.data) gated = ex_input_batch(&w->gated, n_ff, x->n_tokens);
    for (size_t t = 0; t < x->n_tokens; t++) {
        size_t at = t * n_ff + first;
        prepare_gate(batch->model->architecture->gate, gate + at, up + at, n_rows);
        kernels->swiglu(gate + at, up + at, n_rows);
        if (ex_needs_quants(&layer->ffn_down))
            ex_input_quantize(kernels, &w->gated, &gated, first_token + t, first, n_rows);
    }
}
