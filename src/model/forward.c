/* forward.c - one batch through the model, on all threads of a team together: each step deals out rows or tokens, and
 * a barrier stands where a step reads what another thread wrote. */
#include <math.h>
#include <string.h>

#include "model/batch.h"

enum {
    PREPARE_TOKENS = 6, /* that a thread norms at a time: what products with many tokens read lies by sixes */
    PREPARE_MANY = 64   /* tokens from which that leaves enough for all threads */
};

/* What a block adds to the residual stream, taken up when the next block reads it: NULL norm where there is none. */
typedef struct addition {
    const float *projected; /* [n_tokens][n_embd]; NULL: nothing yet */
    const float *post_norm;
} addition;

static void embed_row(const ex_batch *batch, size_t token, float *x) {
    const ex_matrix *embedding = &batch->model->weights.token_embd;
    float scale = batch->model->shape.embedding_scale;
    const char *row = (const char *)embedding->data + (size_t)batch->tokens[token] * embedding->row_bytes;
    ex_format_find(embedding->type)->decode(row, embedding->n_in, x);
    if (scale != 1)
        for (size_t i = 0; i < embedding->n_in; i++) x[i] *= scale;
}

static void prepare_angles(const ex_batch *batch, size_t token) {
    const ex_shape *shape = &batch->model->shape;
    const ex_workspace *w = &batch->model->work;
    int32_t n_pairs = shape->n_rot / 2;
    const ex_timeline *timeline = ex_batch_timeline(batch, token);
    for (int kind = 0; kind < ex_rope_kinds(shape); kind++) {
        float magnitude = kind == EX_ROPE_LOCAL && shape->local_rope_base > 0 ? 1 : shape->rope_magnitude;
        size_t at = token * (size_t)n_pairs;
        ex_rope_angles(timeline->rope_frequencies + kind * n_pairs, n_pairs, ex_batch_position(batch, token), magnitude,
                       w->cosines[kind] + at, w->sines[kind] + at);
    }
}

/* Each thread keeps a single token's residual stream for itself. */
static bool is_private(const ex_batch *batch) { return batch->n_tokens == 1; }

static void embed(const ex_batch *batch, ex_worker *worker) {
    const ex_workspace *w = &batch->model->work;
    size_t n_embd = (size_t)batch->model->shape.n_embd, first, last;
    if (is_private(batch)) {
        embed_row(batch, 0, w->privates[worker->index].x);
        if (worker->index == 0) prepare_angles(batch, 0);
        return;
    }
    while (ex_worker_next(worker, batch->n_tokens, 1, &first, &last)) {
        embed_row(batch, first, w->x + first * n_embd);
        prepare_angles(batch, first);
    }
    ex_worker_barrier(worker);
}

/* x += scale * projected, where the block's own norm stands between. `scratch` is as long as x and may be lost. */
static void take_up(const ex_batch *batch, const float *projected, const float *post_norm, float *x, float *scratch) {
    const ex_shape *shape = &batch->model->shape;
    const ex_kernels *kernels = batch->model->kernels;
    size_t n_embd = (size_t)shape->n_embd;
    if (post_norm) {
        kernels->rms_norm(projected, post_norm, n_embd, shape->rms_epsilon, scratch);
        projected = scratch;
    }
    if (shape->residual_scale != 1) {
        for (size_t i = 0; i < n_embd; i++) scratch[i] = projected[i] * shape->residual_scale;
        projected = scratch;
    }
    kernels->add(x, projected, n_embd);
}

/* `quants`: of which the row is one; NULL: not wanted. */
static void prepare_row(const ex_batch *batch, addition added, size_t token, const float *norm,
                        const ex_activations *quants, float *x, const ex_input *normed, size_t row) {
    const ex_kernels *kernels = batch->model->kernels;
    size_t n_embd = (size_t)batch->model->shape.n_embd;
    float *out = normed->values + row * n_embd;
    if (added.projected) take_up(batch, added.projected + token * n_embd, added.post_norm, x, out);
    if (norm) kernels->rms_norm(x, norm, n_embd, batch->model->shape.rms_epsilon, out);
    else memcpy(out, x, n_embd * sizeof *out);
    if (quants) ex_input_quantize(kernels, normed, quants, row, 0, n_embd);
}

/* Rows of the batch from `first_token` on. */
static ex_activations input_from(const ex_input *input, size_t width, const ex_batch *batch, size_t first_token) {
    if (first_token == 0) return ex_input_batch(input, width, batch->n_tokens);
    return ex_input_rows(input, width, first_token, batch->n_tokens - first_token);
}

/* Nobody asks what the last layer makes of tokens whose logits are not wanted: there, keys and values are all that
 * others need of them. Experts are sorted for whole batches. */
static size_t first_wanted(const ex_batch *batch, size_t layer) {
    bool is_last = layer + 1 == (size_t)batch->model->shape.n_layer;
    bool all = batch->all_logits || batch->model->weights.layers[layer].router.data;
    return is_last && !all ? batch->n_tokens - batch->n_timelines : 0;
}

/* The residual stream takes up what the last block projected and is normed for the next one, from `first_token` on. */
static const ex_input *prepare(const ex_batch *batch, ex_worker *worker, addition added, const float *norm, bool quants,
                               size_t first_token) {
    const ex_workspace *w = &batch->model->work;
    size_t n_embd = (size_t)batch->model->shape.n_embd, first, last;
    if (is_private(batch)) {
        const ex_private *own = &w->privates[worker->index];
        const ex_activations x = ex_input_rows(&own->normed, n_embd, 0, 1);
        prepare_row(batch, added, 0, norm, quants ? &x : NULL, own->x, &own->normed, 0);
        return &own->normed;
    }
    const ex_activations x = input_from(&w->normed, n_embd, batch, 0);
    size_t chunk = batch->n_tokens < PREPARE_MANY ? 1 : PREPARE_TOKENS;
    while (ex_worker_next(worker, batch->n_tokens - first_token, chunk, &first, &last))
        for (size_t token = first_token + first; token < first_token + last; token++)
            prepare_row(batch, added, token, norm, quants ? &x : NULL, w->x + token * n_embd, &w->normed, token);
    ex_worker_barrier(worker);
    return &w->normed;
}

/* Queries and keys of all heads normed together, where an architecture does that (otherwise attention norms heads). */
static void norm_projections(const ex_batch *batch, ex_worker *worker, const ex_layer *layer) {
    if (!(batch->model->architecture->features & EX_FEATURE_PROJECTION_NORM)) return;
    const ex_workspace *w = &batch->model->work;
    const ex_kernels *kernels = batch->model->kernels;
    float epsilon = batch->model->shape.rms_epsilon;
    size_t n_query = layer->attn_q.n_out, n_kv = layer->attn_k.n_out, first, last;
    while (ex_worker_next(worker, batch->n_tokens, 1, &first, &last)) {
        float *q = w->q + first * n_query, *k = w->k + first * n_kv;
        kernels->rms_norm(q, layer->attn_q_norm, n_query, epsilon, q);
        kernels->rms_norm(k, layer->attn_k_norm, n_kv, epsilon, k);
    }
    ex_worker_barrier(worker);
}

static addition attention_block(const ex_batch *batch, ex_worker *worker, size_t index, addition added) {
    const ex_layer *layer = &batch->model->weights.layers[index];
    const ex_workspace *w = &batch->model->work;
    bool quants = ex_needs_quants(&layer->attn_q) || ex_needs_quants(&layer->attn_k) || ex_needs_quants(&layer->attn_v);
    const ex_input *normed = prepare(batch, worker, added, layer->attn_norm, quants, 0);
    ex_activations x = input_from(normed, layer->attn_q.n_in, batch, 0);
    size_t first_token = first_wanted(batch, index);
    ex_project(worker, &x,
               (ex_projection[]){{&layer->attn_q, w->q}, {&layer->attn_k, w->k}, {&layer->attn_v, w->v}}, 3);
    norm_projections(batch, worker, layer);
    ex_attention_run(batch, worker, index, ex_needs_quants(&layer->attn_output), first_token);
    ex_worker_barrier(worker);
    ex_attention_deviation(batch, worker, index);
    x = input_from(&w->attended, layer->attn_output.n_in, batch, first_token);
    float *projected = w->projected + first_token * layer->attn_output.n_out;
    ex_project(worker, &x, (ex_projection[]){{&layer->attn_output, projected}}, 1);
    return (addition){w->projected, layer->attn_post_norm};
}

static addition feed_forward_block(const ex_batch *batch, ex_worker *worker, size_t index, addition added) {
    const ex_layer *layer = &batch->model->weights.layers[index];
    const ex_workspace *w = &batch->model->work;
    size_t n_ff = layer->ffn_gate.n_out, first_token = first_wanted(batch, index), first, last;
    bool routed = layer->router.data != NULL;
    bool quants = ex_needs_quants(&layer->ffn_gate) || ex_needs_quants(&layer->ffn_up) ||
                  (routed && ex_needs_quants(&layer->router));
    const ex_input *normed = prepare(batch, worker, added, layer->ffn_norm, quants, first_token);
    if (routed) {
        ex_experts_run(batch, worker, layer, normed);
        return (addition){w->projected, layer->ffn_post_norm};
    }
    ex_activations x = input_from(normed, layer->ffn_gate.n_in, batch, first_token);
    while (ex_worker_next(worker, n_ff, ex_rows_chunk(worker, n_ff), &first, &last))
        ex_project_gated(batch, &x, layer, 0, first_token, first, last - first);
    ex_worker_barrier(worker);
    x = input_from(&w->gated, n_ff, batch, first_token);
    float *projected = w->projected + first_token * layer->ffn_down.n_out;
    ex_project(worker, &x, (ex_projection[]){{&layer->ffn_down, projected}}, 1);
    return (addition){w->projected, layer->ffn_post_norm};
}

static void finish_logits(const ex_shape *shape, float *logits, size_t n) {
    if (shape->logit_scale != 1)
        for (size_t i = 0; i < n; i++) logits[i] *= shape->logit_scale;
    if (shape->logit_softcap > 0)
        for (size_t i = 0; i < n; i++) logits[i] = shape->logit_softcap * tanhf(logits[i] / shape->logit_softcap);
}

/* Logits of rows [first, first + n) of the vocabulary for each token of `x`, to where they are wanted. */
static void output_rows(const ex_batch *batch, const ex_activations *x, float *out, size_t first, size_t n) {
    const ex_matrix *matrix = &batch->model->weights.output;
    ex_project_rows(x, matrix, 0, first, n, out);
    for (size_t t = 0; t < x->n_tokens; t++) {
        float *logits = out + t * matrix->n_out + first;
        finish_logits(&batch->model->shape, logits, n);
        if (batch->n_timelines > 1) memcpy(batch->timelines[t].logits + first, logits, n * sizeof *logits);
    }
}

static void output(const ex_batch *batch, ex_worker *worker, addition added) {
    const ex_weights *weights = &batch->model->weights;
    size_t n_rows = batch->all_logits ? batch->n_tokens : batch->n_timelines, first_token = batch->n_tokens - n_rows;
    const ex_input *normed =
        prepare(batch, worker, added, weights->output_norm, ex_needs_quants(&weights->output), first_token);
    ex_activations x = ex_input_rows(normed, weights->output.n_in, first_token, n_rows);
    float *one = batch->timelines[0].logits;
    float *out = batch->all_logits ? batch->all_logits : batch->n_timelines > 1 ? batch->model->work.logits : one;
    size_t n_vocab = weights->output.n_out, first, last;
    while (ex_worker_next(worker, n_vocab, ex_rows_chunk(worker, n_vocab), &first, &last))
        output_rows(batch, &x, out, first, last - first);
    ex_worker_barrier(worker);
}

void ex_forward(void *context, ex_worker *worker) {
    const ex_batch *batch = context;
    addition added = {NULL, NULL};
    bool decodes = batch->n_tokens == batch->n_timelines && batch->timelines[0].first > 0; /* no prompt of one token */
    if (decodes) ex_packer_run(&batch->model->packer, batch->model->kernels, worker);
    embed(batch, worker);
    for (size_t layer = 0; layer < (size_t)batch->model->shape.n_layer; layer++) {
        added = attention_block(batch, worker, layer, added);
        added = feed_forward_block(batch, worker, layer, added);
    }
    if (batch->timelines[0].logits || batch->all_logits) output(batch, worker, added);
    if (worker->index == 0) ex_attention_finish(batch);
}
