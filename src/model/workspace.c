#include "model/workspace.h"

#include "base/error.h"
#include "base/memory.h"
#include "model/model.h"
#include "model/region.h"

enum { TILE_BYTES_MAX = 4 << 20 }; /* of one thread's scores */

static size_t largest(size_t a, size_t b) { return a > b ? a : b; }

static ex_input carve_input(ex_region *region, size_t rows, size_t width) {
    ex_input input = {.arranged = NULL};
    input.values = ex_region_carve(region, rows, width, sizeof *input.values);
    input.quants = ex_region_carve(region, rows, width, sizeof *input.quants);
    input.scales = ex_region_carve(region, rows, width / EX_QUANT_BLOCK + 1, sizeof *input.scales);
    input.sums = ex_region_carve(region, rows, width / EX_SUM_BLOCK + 1, sizeof *input.sums);
    return input;
}

/* Of a whole batch, which many matrices read. */
static ex_input carve_batch_input(ex_region *region, const ex_kernels *kernels, size_t rows, size_t width) {
    ex_input input = carve_input(region, rows, width);
    if (kernels->arrange) input.arranged = ex_region_carve(region, kernels->arranged_bytes(rows, width), 1, 1);
    return input;
}

static void carve_batch(ex_workspace *w, const ex_model *model, size_t n_slots, ex_region *region) {
    const ex_shape *shape = &model->shape;
    const ex_kernels *kernels = model->kernels;
    size_t n_embd = (size_t)shape->n_embd, n_ff = (size_t)shape->n_ff, n_pairs = (size_t)shape->n_rot / 2;
    size_t n_query = (size_t)shape->n_head * (size_t)shape->head_dim;
    size_t n_kv = (size_t)shape->n_head_kv * (size_t)shape->head_dim;
    w->x = ex_region_carve(region, w->n_batch, n_embd, sizeof *w->x);
    w->projected = ex_region_carve(region, w->n_batch, n_embd, sizeof *w->projected);
    w->normed = carve_batch_input(region, kernels, w->n_batch, n_embd);
    w->q = ex_region_carve(region, w->n_batch, n_query, sizeof *w->q);
    w->k = ex_region_carve(region, w->n_batch, n_kv, sizeof *w->k);
    w->v = ex_region_carve(region, w->n_batch, n_kv, sizeof *w->v);
    w->attended = carve_batch_input(region, kernels, w->n_batch, n_query);
    w->gated = carve_batch_input(region, kernels, n_slots, n_ff);
    w->up = ex_region_carve(region, n_slots, n_ff, sizeof *w->up);
    for (int kind = 0; kind < EX_ROPE_COUNT; kind++) {
        w->cosines[kind] = ex_region_carve(region, w->n_batch, n_pairs, sizeof *w->cosines[kind]);
        w->sines[kind] = ex_region_carve(region, w->n_batch, n_pairs, sizeof *w->sines[kind]);
    }
    w->logits = ex_region_carve(region, EX_TIMELINES, (size_t)shape->n_vocab, sizeof *w->logits);
}

static void carve_routing(ex_workspace *w, const ex_shape *shape, size_t n_slots, ex_region *region) {
    ex_routing *r = &w->routing;
    size_t n_embd = (size_t)shape->n_embd, n_expert = (size_t)shape->n_expert, n_used = (size_t)shape->n_expert_used;
    r->router = ex_region_carve(region, w->n_batch, n_expert, sizeof *r->router);
    r->routes = ex_region_carve(region, w->n_batch, n_used, sizeof *r->routes);
    r->first_slot = ex_region_carve(region, n_expert + 1, 1, sizeof *r->first_slot);
    r->slot_tokens = ex_region_carve(region, n_slots, 1, sizeof *r->slot_tokens);
    r->slots = ex_region_carve(region, w->n_batch, n_used, sizeof *r->slots);
    r->in = carve_input(region, n_slots, n_embd);
    r->out = ex_region_carve(region, n_slots, n_embd, sizeof *r->out);
}

static void carve_threads(ex_workspace *w, const ex_shape *shape, size_t n_threads, ex_region *region) {
    size_t tile_rows = w->tile_tokens * (size_t)(shape->n_head / shape->n_head_kv);
    size_t n_embd = (size_t)shape->n_embd, head_dim = (size_t)shape->head_dim;
    ex_tile *tiles = ex_region_carve(region, n_threads, 1, sizeof *tiles);
    ex_private *privates = ex_region_carve(region, n_threads, 1, sizeof *privates);
    for (size_t i = 0; i < n_threads; i++) {
        ex_tile tile;
        tile.queries = carve_input(region, tile_rows, head_dim);
        tile.scores = ex_region_carve(region, tile_rows, w->scores_stride, sizeof(float));
        tile.out = ex_region_carve(region, tile_rows, head_dim, sizeof(float));
        ex_private private = {ex_region_carve(region, 1, n_embd, sizeof(float)), carve_input(region, 1, n_embd)};
        if (!tiles || !privates) continue;
        tiles[i] = tile;
        privates[i] = private;
    }
    w->tiles = tiles;
    w->privates = privates;
}

static void carve_all(ex_workspace *w, const ex_model *model, ex_region *region) {
    const ex_shape *shape = &model->shape;
    size_t n_used = (size_t)shape->n_expert_used, n_slots = w->n_batch * largest(n_used, 1);
    carve_batch(w, model, n_slots, region);
    if (n_used > 0) carve_routing(w, shape, n_slots, region);
    w->probabilities = ex_region_carve(region, (size_t)EX_TIMELINES * (size_t)shape->n_head, w->scores_stride,
                                       sizeof *w->probabilities);
    carve_threads(w, shape, (size_t)ex_team_size(model->team), region);
}

/* A tile's rows must fit into cache together, but there is at least one token in it. */
static size_t choose_tile_tokens(const ex_shape *shape, size_t n_batch, size_t scores_stride) {
    size_t heads_per_kv = (size_t)(shape->n_head / shape->n_head_kv);
    size_t tokens = TILE_BYTES_MAX / (heads_per_kv * scores_stride * sizeof(float));
    if (tokens > EX_TILE_TOKENS) tokens = EX_TILE_TOKENS;
    if (tokens > n_batch) tokens = n_batch;
    return tokens ? tokens : 1;
}

static ex_code open_workspace(ex_workspace *w, const ex_model *model, size_t n_batch, size_t n_context,
                              ex_error *error) {
    *w = (ex_workspace){.n_batch = n_batch, .n_context = n_context};
    w->scores_stride = (n_context + 1 + EX_KV_PAGE - 1) / EX_KV_PAGE * EX_KV_PAGE;
    w->tile_tokens = choose_tile_tokens(&model->shape, n_batch, w->scores_stride);
    ex_region region = {0};
    carve_all(w, model, &region);
    w->n_bytes = region.used;
    if (!ex_region_reserve(&region))
        return ex_fail(error, EX_ERROR_MEMORY, 0, "out of memory for a session of %zu positions (batches of %zu)",
                       n_context, n_batch);
    w->memory = region.base;
    carve_all(w, model, &region);
    return EX_OK;
}

typedef struct growth {
    ex_model *model;
    size_t n_batch, n_context;
    ex_code code;
    ex_error *error;
} growth;

/* Runs on the team, and so never while a batch does. */
static void grow(void *context, ex_worker *worker) {
    growth *g = context;
    ex_workspace *now = &g->model->work, larger;
    if (worker->index != 0 || (g->n_batch <= now->n_batch && g->n_context <= now->n_context)) return;
    g->code = open_workspace(&larger, g->model, largest(g->n_batch, now->n_batch),
                             largest(g->n_context, now->n_context), g->error);
    if (g->code != EX_OK) return;
    ex_workspace_close(now);
    *now = larger;
}

ex_code ex_workspace_grow(ex_model *model, size_t n_batch, size_t n_context, ex_error *error) {
    growth g = {model, largest(n_batch, EX_TIMELINES), n_context, EX_OK, error};
    ex_team_run(model->team, grow, &g);
    return g.code;
}

void ex_workspace_close(ex_workspace *workspace) {
    ex_release(workspace->memory, workspace->n_bytes);
    *workspace = (ex_workspace){0};
}
