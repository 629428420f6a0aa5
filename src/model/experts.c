/* experts.c - a feed-forward block of which each token uses some experts (Shazeer et al., "Outrageously Large Neural
 * Networks", 2017). Tokens are sorted by expert into slots, so that each expert's weights are read once for all tokens
 * that want it. A token's result is summed in the order of its routes, whatever else is in the batch. */
#include <math.h>
#include <string.h>

#include "model/batch.h"

typedef struct expert_run { /* the experts' place in a batch */
    const ex_batch *batch;
    const ex_layer *layer;
    const ex_routing *routing;
    size_t n_expert, n_used, n_slots;
} expert_run;

static bool is_taken(const ex_route *routes, size_t n, int32_t expert) {
    for (size_t i = 0; i < n; i++)
        if (routes[i].expert == expert) return true;
    return false;
}

/* The likeliest experts of one token (the lowest index on a tie), weighed by the softmax over those taken. */
static void route_token(const expert_run *run, size_t token) {
    const float *logits = run->routing->router + token * run->n_expert;
    ex_route *routes = run->routing->routes + token * run->n_used;
    float sum = 0;
    for (size_t i = 0; i < run->n_used; i++) {
        int32_t best = -1;
        for (int32_t e = 0; e < (int32_t)run->n_expert; e++)
            if (!is_taken(routes, i, e) && (best < 0 || logits[e] > logits[best])) best = e;
        routes[i].expert = best;
        routes[i].weight = expf(logits[best] - logits[routes[0].expert]);
        sum += routes[i].weight;
    }
    float scale = run->batch->model->shape.expert_scale / sum;
    for (size_t i = 0; i < run->n_used; i++) routes[i].weight *= scale;
}

/* Slots of one expert follow each other; within it, tokens keep their order. */
static void assign_slots(const expert_run *run) {
    const ex_routing *r = run->routing;
    uint32_t *first = r->first_slot;
    memset(first, 0, (run->n_expert + 1) * sizeof *first);
    for (size_t i = 0; i < run->n_slots; i++) first[r->routes[i].expert + 1]++;
    for (size_t e = 0; e < run->n_expert; e++) first[e + 1] += first[e];
    for (size_t i = 0; i < run->n_slots; i++) {
        uint32_t slot = first[r->routes[i].expert]++;
        r->slots[i] = slot;
        r->slot_tokens[slot] = (uint32_t)(i / run->n_used);
    }
    for (size_t e = run->n_expert; e > 0; e--) first[e] = first[e - 1]; /* each had moved to its end */
    first[0] = 0;
}

static void copy_row(const ex_input *to, size_t to_row, const ex_input *from, size_t from_row, size_t width) {
    size_t n_scales = width / EX_QUANT_BLOCK, n_sums = width / EX_SUM_BLOCK;
    memcpy(to->values + to_row * width, from->values + from_row * width, width * sizeof *to->values);
    memcpy(to->quants + to_row * width, from->quants + from_row * width, width * sizeof *to->quants);
    memcpy(to->scales + to_row * n_scales, from->scales + from_row * n_scales, n_scales * sizeof *to->scales);
    memcpy(to->sums + to_row * n_sums, from->sums + from_row * n_sums, n_sums * sizeof *to->sums);
}

typedef enum matrix_pair { GATE_UP, DOWN } matrix_pair;

static void project_slots(const expert_run *run, matrix_pair pair, size_t expert, size_t first, size_t n_rows) {
    const ex_workspace *w = &run->batch->model->work;
    const ex_matrix *down = &run->layer->ffn_down;
    size_t slot = run->routing->first_slot[expert], n_slots = run->routing->first_slot[expert + 1] - slot;
    if (pair == GATE_UP) {
        ex_activations x = ex_input_rows(&run->routing->in, run->layer->ffn_gate.n_in, slot, n_slots);
        ex_project_gated(run->batch, &x, run->layer, expert, slot, first, n_rows);
    } else {
        ex_activations x = ex_input_rows(&w->gated, down->n_in, slot, n_slots);
        ex_project_rows(&x, down, expert, first, n_rows, run->routing->out + slot * down->n_out);
    }
}

/* The rows of all experts as one list that threads share; who has no slots costs a look. */
static void project_experts(const expert_run *run, ex_worker *worker, matrix_pair pair) {
    size_t n_rows = pair == GATE_UP ? run->layer->ffn_gate.n_out : run->layer->ffn_down.n_out;
    size_t chunk = ex_rows_chunk(worker, n_rows), n_chunks = (n_rows + chunk - 1) / chunk, first, last;
    while (ex_worker_next(worker, run->n_expert * n_chunks, 1, &first, &last)) {
        size_t expert = first / n_chunks, row = first % n_chunks * chunk;
        if (run->routing->first_slot[expert] == run->routing->first_slot[expert + 1]) continue;
        project_slots(run, pair, expert, row, n_rows - row < chunk ? n_rows - row : chunk);
    }
    ex_worker_barrier(worker);
}

static void combine(const expert_run *run, size_t token) {
    size_t n_embd = run->layer->ffn_down.n_out;
    float *out = run->batch->model->work.projected + token * n_embd;
    memset(out, 0, n_embd * sizeof *out);
    for (size_t i = 0; i < run->n_used; i++) {
        size_t route = token * run->n_used + i;
        const float *part = run->routing->out + run->routing->slots[route] * n_embd;
        float weight = run->routing->routes[route].weight;
        for (size_t d = 0; d < n_embd; d++) out[d] += weight * part[d];
    }
}

void ex_experts_run(const ex_batch *batch, ex_worker *worker, const ex_layer *layer, const ex_input *normed) {
    const ex_shape *shape = &batch->model->shape;
    size_t n_tokens = batch->n_tokens, n_embd = (size_t)shape->n_embd, first, last;
    expert_run run = {batch, layer, &batch->model->work.routing, (size_t)shape->n_expert, (size_t)shape->n_expert_used,
                      n_tokens * (size_t)shape->n_expert_used};
    ex_activations x = ex_input_batch(normed, n_embd, n_tokens);
    ex_project(worker, &x, (ex_projection[]){{&layer->router, run.routing->router}}, 1);
    while (ex_worker_next(worker, n_tokens, 1, &first, &last)) route_token(&run, first);
    ex_worker_barrier(worker);
    if (worker->index == 0) assign_slots(&run);
    ex_worker_barrier(worker);
    while (ex_worker_next(worker, run.n_slots, 1, &first, &last))
        copy_row(&run.routing->in, first, normed, run.routing->slot_tokens[first], n_embd);
    ex_worker_barrier(worker);
    project_experts(&run, worker, GATE_UP);
    project_experts(&run, worker, DOWN);
    while (ex_worker_next(worker, n_tokens, 1, &first, &last)) combine(&run, first);
    ex_worker_barrier(worker);
}
