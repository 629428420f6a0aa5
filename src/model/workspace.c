#include "model/workspace.h"

#include "base/checked.h"
#include "base/error.h"
#include "base/memory.h"

enum { TILE_BYTES_MAX = 4 << 20 }; /* of one thread's scores */

typedef struct carver { /* first walked without a base to learn the size, then with one */
    char *base;
    uint64_t used;
    bool overflow;
} carver;

static void *carve(carver *region, uint64_t rows, uint64_t columns, size_t element) {
    uint64_t n_bytes, end;
    uint64_t at = region->used;
    if (!ex_multiply(rows, columns, &n_bytes) || !ex_multiply(n_bytes, element, &n_bytes) ||
        !ex_round_up(n_bytes, EX_ALIGNMENT, &n_bytes) || !ex_add(at, n_bytes, &end))
        region->overflow = true;
    else
        region->used = end;
    return region->base && !region->overflow ? region->base + at : NULL;
}

static size_t largest(size_t a, size_t b) { return a > b ? a : b; }

static void carve_batch(ex_workspace *w, const ex_shape *shape, carver *region) {
    size_t n_embd = (size_t)shape->n_embd, n_ff = (size_t)shape->n_ff;
    size_t n_query = (size_t)shape->n_head * (size_t)shape->head_dim;
    size_t n_kv = (size_t)shape->n_head_kv * (size_t)shape->head_dim;
    size_t widest = largest(largest(n_embd, n_query), n_ff);
    w->x = carve(region, w->n_batch, n_embd, sizeof *w->x);
    w->projected = carve(region, w->n_batch, n_embd, sizeof *w->projected);
    w->normed = carve(region, w->n_batch, n_embd, sizeof *w->normed);
    w->q = carve(region, w->n_batch, n_query, sizeof *w->q);
    w->k = carve(region, w->n_batch, n_kv, sizeof *w->k);
    w->v = carve(region, w->n_batch, n_kv, sizeof *w->v);
    w->attended = carve(region, w->n_batch, n_query, sizeof *w->attended);
    w->gate = carve(region, w->n_batch, n_ff, sizeof *w->gate);
    w->up = carve(region, w->n_batch, n_ff, sizeof *w->up);
    w->quants = carve(region, w->n_batch, widest, sizeof *w->quants);
    w->scales = carve(region, w->n_batch, widest / EX_QUANT_BLOCK + 1, sizeof *w->scales);
    w->sums = carve(region, w->n_batch, widest / EX_SUM_BLOCK + 1, sizeof *w->sums);
    w->cosines = carve(region, w->n_batch, (size_t)shape->n_rot / 2, sizeof *w->cosines);
    w->sines = carve(region, w->n_batch, (size_t)shape->n_rot / 2, sizeof *w->sines);
    w->logits = carve(region, 1, (size_t)shape->n_vocab, sizeof *w->logits);
}

static void carve_attention(ex_workspace *w, const ex_model *model, bool keep_scores, carver *region) {
    const ex_shape *shape = &model->shape;
    size_t n_layer = (size_t)shape->n_layer, n_head = (size_t)shape->n_head, head_dim = (size_t)shape->head_dim;
    size_t n_threads = (size_t)ex_team_size(model->team);
    size_t tile_rows = w->tile_tokens * (n_head / (size_t)shape->n_head_kv);
    w->probabilities = carve(region, n_head, w->scores_stride, sizeof *w->probabilities);
    if (keep_scores) w->scores = carve(region, n_layer * n_head, w->n_context, sizeof *w->scores);
    ex_tile *tiles = carve(region, n_threads, 1, sizeof *tiles);
    for (size_t i = 0; i < n_threads; i++) {
        ex_tile tile = {carve(region, tile_rows, head_dim, sizeof(float)),
                        carve(region, tile_rows, w->scores_stride, sizeof(float)),
                        carve(region, tile_rows, head_dim, sizeof(float))};
        if (tiles) tiles[i] = tile;
    }
    w->tiles = tiles;
    w->deviation = carve(region, n_layer, w->n_chunks, sizeof *w->deviation);
    w->n_positions = carve(region, n_layer, 1, sizeof *w->n_positions);
    w->head_entropy = carve(region, n_layer, n_head, sizeof *w->head_entropy);
    w->head_maximum = carve(region, n_layer, n_head, sizeof *w->head_maximum);
    w->head_strength = carve(region, n_layer, n_head, sizeof *w->head_strength);
    w->layer_deviation = carve(region, n_layer, 1, sizeof *w->layer_deviation);
}

/* A tile's rows must fit into cache together, but there is at least one token in it. */
static size_t choose_tile_tokens(const ex_shape *shape, size_t n_batch, size_t scores_stride) {
    size_t heads_per_kv = (size_t)(shape->n_head / shape->n_head_kv);
    size_t tokens = TILE_BYTES_MAX / (heads_per_kv * scores_stride * sizeof(float));
    if (tokens > EX_TILE_TOKENS) tokens = EX_TILE_TOKENS;
    if (tokens > n_batch) tokens = n_batch;
    return tokens ? tokens : 1;
}

ex_code ex_workspace_open(ex_workspace *workspace, const ex_model *model, size_t n_context, size_t n_batch,
                          bool keep_scores, ex_error *error) {
    ex_workspace *w = workspace;
    *w = (ex_workspace){.n_batch = n_batch, .n_context = n_context};
    w->scores_stride = (n_context + EX_KV_PAGE - 1) / EX_KV_PAGE * EX_KV_PAGE;
    w->n_chunks = (n_context + EX_DEVIATION_CHUNK - 1) / EX_DEVIATION_CHUNK;
    w->tile_tokens = choose_tile_tokens(&model->shape, n_batch, w->scores_stride);
    carver region = {0};
    carve_batch(w, &model->shape, &region);
    carve_attention(w, model, keep_scores, &region);
    if (!region.overflow && region.used <= SIZE_MAX) region.base = ex_reserve(region.used);
    if (!region.base)
        return ex_fail(error, EX_ERROR_MEMORY, 0, "out of memory for a session of %zu positions (batches of %zu)",
                       n_context, n_batch);
    w->region = region.base;
    w->region_bytes = region.used;
    region.used = 0;
    carve_batch(w, &model->shape, &region);
    carve_attention(w, model, keep_scores, &region);
    return EX_OK;
}

void ex_workspace_close(ex_workspace *workspace) {
    ex_release(workspace->region, workspace->region_bytes);
    *workspace = (ex_workspace){0};
}
