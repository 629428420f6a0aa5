/* forward.c - one batch through the model, on all threads of a team together: each step deals out rows or tokens, and
 * a barrier stands where a step reads what another thread wrote. */
#include <string.h>

#include "model/batch.h"
#include "model/rope.h"

enum {
    ROWS_UNIT = 16, /* kernels work on so many rows together, so pieces are multiples of it */
    ROWS_MAX = 128, /* rows that a thread takes at a time, at most: what a kernel reads in one sweep */
    PIECES = 4,     /* of a step, for each thread at least: who is free takes the next */
    SEGMENT = 512   /* activations that a thread prepares at a time */
};

static bool needs_quants(const ex_matrix *matrix) { return ex_format_find(matrix->type)->integer_dot; }

static void embed(const ex_batch *batch, ex_worker *worker) {
    const ex_model *model = batch->model;
    const ex_matrix *embedding = &model->weights.token_embd;
    const ex_workspace *w = batch->work;
    int32_t n_pairs = model->shape.n_rot / 2;
    size_t first, last;
    while (ex_worker_next(worker, batch->n_tokens, 1, &first, &last)) {
        const char *row = (const char *)embedding->data + (size_t)batch->tokens[first] * embedding->row_bytes;
        ex_format_find(embedding->type)->decode(row, embedding->n_in, w->x + first * embedding->n_in);
        ex_rope_angles(model->rope_frequencies, n_pairs, batch->first + first, w->cosines + first * (size_t)n_pairs,
                       w->sines + first * (size_t)n_pairs);
    }
    ex_worker_barrier(worker);
}

static void quantize(const ex_batch *batch, const float *values, size_t n_in, size_t token, size_t from, size_t n) {
    const ex_workspace *w = batch->work;
    batch->model->kernels->quantize_row(values + token * n_in + from, n, w->quants + token * n_in + from,
                                        w->scales + (token * n_in + from) / EX_QUANT_BLOCK,
                                        w->sums + (token * n_in + from) / EX_SUM_BLOCK);
}

/* The residual stream takes up what the last block projected (if any) and is normed for the next one. */
static ex_activations prepare_norm(const ex_batch *batch, ex_worker *worker, bool add, const float *norm, bool quants,
                                   size_t first_token) {
    const ex_workspace *w = batch->work;
    const ex_kernels *kernels = batch->model->kernels;
    size_t n_embd = (size_t)batch->model->shape.n_embd, first, last;
    while (ex_worker_next(worker, batch->n_tokens - first_token, 1, &first, &last)) {
        size_t token = first_token + first;
        float *x = w->x + token * n_embd;
        if (add) kernels->add(x, w->projected + token * n_embd, n_embd);
        kernels->rms_norm(x, norm, n_embd, batch->model->shape.rms_epsilon, w->normed + token * n_embd);
        if (quants) quantize(batch, w->normed, n_embd, token, 0, n_embd);
    }
    ex_worker_barrier(worker);
    size_t at = first_token * n_embd;
    return (ex_activations){batch->n_tokens - first_token,    n_embd, w->normed + at, w->quants + at,
                            w->scales + at / EX_QUANT_BLOCK, w->sums + at / EX_SUM_BLOCK};
}

/* Values of a block's inside, [n_tokens][n_in], as activations for its last matrix. With `up`, they are gated first. */
static ex_activations prepare_inner(const ex_batch *batch, ex_worker *worker, float *values, const float *up,
                                    size_t n_in, bool quants) {
    const ex_workspace *w = batch->work;
    size_t n_segments = (n_in + SEGMENT - 1) / SEGMENT, first, last;
    if (quants || up) {
        while (ex_worker_next(worker, batch->n_tokens * n_segments, 1, &first, &last)) {
            size_t token = first / n_segments, from = first % n_segments * SEGMENT;
            size_t n = n_in - from < SEGMENT ? n_in - from : SEGMENT;
            if (up) batch->model->kernels->swiglu(values + token * n_in + from, up + token * n_in + from, n);
            if (quants) quantize(batch, values, n_in, token, from, n);
        }
        ex_worker_barrier(worker);
    }
    return (ex_activations){batch->n_tokens, n_in, values, w->quants, w->scales, w->sums};
}

typedef struct projection {
    const ex_matrix *matrix;
    float *out; /* [n_tokens][matrix->n_out] */
} projection;

static void add_bias(const ex_matrix *matrix, size_t first, size_t n_rows, size_t n_tokens, float *out) {
    for (size_t t = 0; t < n_tokens; t++)
        for (size_t r = first; r < first + n_rows; r++) out[t * matrix->n_out + r] += matrix->bias[r];
}

static void project_rows(const ex_kernels *kernels, const ex_activations *x, const projection *target, size_t first,
                         size_t n_rows) {
    const ex_matrix *matrix = target->matrix;
    kernels->matmul[matrix->type]((const char *)matrix->data + first * matrix->row_bytes, matrix->row_bytes, n_rows, x,
                                  target->out + first, matrix->n_out);
    if (matrix->bias) add_bias(matrix, first, n_rows, x->n_tokens, target->out);
}

/* Several matrices with the same input, as one list of rows that threads share. */
static void project(const ex_batch *batch, ex_worker *worker, const ex_activations *x, const projection *targets,
                    size_t n_targets) {
    size_t n_rows = 0, first, last;
    for (size_t i = 0; i < n_targets; i++) n_rows += targets[i].matrix->n_out;
    size_t chunk = n_rows / ((size_t)worker->count * PIECES) / ROWS_UNIT * ROWS_UNIT;
    chunk = chunk > ROWS_MAX ? ROWS_MAX : chunk < ROWS_UNIT ? ROWS_UNIT : chunk;
    while (ex_worker_next(worker, n_rows, chunk, &first, &last)) {
        size_t start = 0; /* of this matrix in the list */
        for (size_t i = 0; i < n_targets && first < last; i++) {
            size_t end = start + targets[i].matrix->n_out;
            size_t stop = last < end ? last : end;
            if (first < stop) {
                project_rows(batch->model->kernels, x, &targets[i], first - start, stop - first);
                first = stop;
            }
            start = end;
        }
    }
    ex_worker_barrier(worker);
}

static void attention_block(const ex_batch *batch, ex_worker *worker, size_t layer) {
    const ex_layer *weights = &batch->model->weights.layers[layer];
    const ex_workspace *w = batch->work;
    bool quants = needs_quants(&weights->attn_q) || needs_quants(&weights->attn_k) || needs_quants(&weights->attn_v);
    ex_activations x = prepare_norm(batch, worker, layer > 0, weights->attn_norm, quants, 0);
    project(batch, worker, &x,
            (projection[]){{&weights->attn_q, w->q}, {&weights->attn_k, w->k}, {&weights->attn_v, w->v}}, 3);
    ex_attention_run(batch, worker, layer);
    ex_worker_barrier(worker);
    ex_attention_deviation(batch, worker, layer);
    x = prepare_inner(batch, worker, w->attended, NULL, weights->attn_output.n_in, needs_quants(&weights->attn_output));
    project(batch, worker, &x, (projection[]){{&weights->attn_output, w->projected}}, 1);
}

static void feed_forward_block(const ex_batch *batch, ex_worker *worker, size_t layer) {
    const ex_layer *weights = &batch->model->weights.layers[layer];
    const ex_workspace *w = batch->work;
    bool quants = needs_quants(&weights->ffn_gate) || needs_quants(&weights->ffn_up);
    ex_activations x = prepare_norm(batch, worker, true, weights->ffn_norm, quants, 0);
    project(batch, worker, &x, (projection[]){{&weights->ffn_gate, w->gate}, {&weights->ffn_up, w->up}}, 2);
    x = prepare_inner(batch, worker, w->gate, w->up, weights->ffn_down.n_in, needs_quants(&weights->ffn_down));
    project(batch, worker, &x, (projection[]){{&weights->ffn_down, w->projected}}, 1);
}

static void output(const ex_batch *batch, ex_worker *worker) {
    const ex_matrix *matrix = &batch->model->weights.output;
    size_t first_token = batch->all_logits ? 0 : batch->n_tokens - 1;
    ex_activations x = prepare_norm(batch, worker, true, batch->model->weights.output_norm, needs_quants(matrix),
                                    first_token);
    float *logits = batch->all_logits ? batch->all_logits : batch->work->logits;
    project(batch, worker, &x, (projection[]){{matrix, logits}}, 1);
}

void ex_forward(void *context, ex_worker *worker) {
    const ex_batch *batch = context;
    embed(batch, worker);
    for (size_t layer = 0; layer < (size_t)batch->model->shape.n_layer; layer++) {
        attention_block(batch, worker, layer);
        feed_forward_block(batch, worker, layer);
    }
    if (batch->want_logits || batch->all_logits) output(batch, worker);
    if (worker->index == 0) ex_attention_finish(batch);
}
