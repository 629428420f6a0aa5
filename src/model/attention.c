/* attention.c - causal attention over the paged KV cache, with the exact statistics of the last query.
 *
 * The unit of work is a tile: some tokens of the batch and the heads that share one key-value head, so that keys and
 * values are read once for all of them. The statistics of the last query come from its rows of scores while they are
 * in cache; only the deviation between heads needs all heads of a layer and follows after the barrier. Sums run over
 * fixed chunks of positions, so no number depends on how many threads there are. */
#include <math.h>
#include <string.h>

#include "model/batch.h"
#include "model/rope.h"

typedef struct head_group { /* a key-value head and the query heads that use it */
    size_t kv_head, first_head, n_heads, head_dim;
} head_group;

static head_group group_of(const ex_shape *shape, size_t kv_head) {
    size_t n_heads = (size_t)(shape->n_head / shape->n_head_kv);
    return (head_group){kv_head, kv_head * n_heads, n_heads, (size_t)shape->head_dim};
}

static void rotate(const ex_batch *batch, size_t token, float *head) {
    const ex_workspace *w = batch->work;
    int32_t n_pairs = batch->model->shape.n_rot / 2;
    ex_rope_apply(batch->model->architecture->rope, n_pairs, w->cosines + token * (size_t)n_pairs,
                  w->sines + token * (size_t)n_pairs, head);
}

static void store_key_value(const ex_batch *batch, size_t layer, size_t kv_head, size_t token) {
    const ex_workspace *w = batch->work;
    const ex_shape *shape = &batch->model->shape;
    size_t head_dim = (size_t)shape->head_dim;
    size_t at = token * (size_t)shape->n_head_kv * head_dim + kv_head * head_dim;
    rotate(batch, token, w->k + at);
    ex_kv_store(batch->kv, batch->first + token, layer, kv_head, w->k + at, w->v + at);
}

static void gather_queries(const ex_batch *batch, const head_group *group, size_t first_token, size_t n_tokens,
                           float *queries) {
    const ex_workspace *w = batch->work;
    size_t n_query = (size_t)batch->model->shape.n_head * group->head_dim;
    for (size_t t = 0; t < n_tokens; t++)
        for (size_t h = 0; h < group->n_heads; h++) {
            float *query = queries + (t * group->n_heads + h) * group->head_dim;
            memcpy(query, w->q + (first_token + t) * n_query + (group->first_head + h) * group->head_dim,
                   group->head_dim * sizeof *query);
            rotate(batch, first_token + t, query);
        }
}

static void keep_row(const ex_batch *batch, size_t layer, size_t head, const float *row, size_t n_positions) {
    const ex_workspace *w = batch->work;
    size_t n_head = (size_t)batch->model->shape.n_head;
    if (batch->keep_scores) memcpy(w->scores + (layer * n_head + head) * n_positions, row, n_positions * sizeof *row);
}

/* Softmax of one head of the last query, with its statistics; the row stays for the deviation between heads. */
static void reduce_last_row(const ex_batch *batch, size_t layer, size_t head, float *row, size_t n_positions) {
    const ex_workspace *w = batch->work;
    size_t at = layer * (size_t)batch->model->shape.n_head + head;
    ex_row_statistics statistics;
    keep_row(batch, layer, head, row, n_positions);
    batch->model->kernels->softmax(row, n_positions, batch->statistics ? &statistics : NULL);
    if (!batch->statistics) return;
    w->head_entropy[at] = statistics.entropy;
    w->head_maximum[at] = (double)statistics.maximum;
    w->head_strength[at] = statistics.mean_absolute_score;
    float *kept = w->probabilities + head * w->scores_stride;
    if (row != kept) memcpy(kept, row, n_positions * sizeof *row);
}

static void softmax_rows(const ex_batch *batch, size_t layer, const head_group *group, size_t first_token,
                         size_t n_tokens, float *scores) {
    const ex_workspace *w = batch->work;
    size_t tile_positions = batch->first + first_token + n_tokens;
    for (size_t t = 0; t < n_tokens; t++) {
        size_t n_positions = batch->first + first_token + t + 1;
        bool is_last = first_token + t + 1 == batch->n_tokens;
        for (size_t h = 0; h < group->n_heads; h++) {
            float *row = scores + (t * group->n_heads + h) * w->scores_stride;
            if (is_last) reduce_last_row(batch, layer, group->first_head + h, row, n_positions);
            else batch->model->kernels->softmax(row, n_positions, NULL);
            /* later positions of the tile exist for its other tokens: they get weight 0 */
            for (size_t j = n_positions; j < tile_positions; j++) row[j] = 0;
        }
    }
}

static void scatter_out(const ex_batch *batch, const head_group *group, size_t first_token, size_t n_tokens,
                        const float *out) {
    const ex_workspace *w = batch->work;
    size_t n_query = (size_t)batch->model->shape.n_head * group->head_dim;
    for (size_t t = 0; t < n_tokens; t++)
        memcpy(w->attended + (first_token + t) * n_query + group->first_head * group->head_dim,
               out + t * group->n_heads * group->head_dim, group->n_heads * group->head_dim * sizeof *out);
}

static size_t positions_in_page(size_t page, size_t n_positions) {
    size_t left = n_positions - page * EX_KV_PAGE;
    return left < EX_KV_PAGE ? left : EX_KV_PAGE;
}

/* Where a tile's scores go: those of a token that is decoded alone right to where the deviation looks for them. */
static float *scores_of(const ex_batch *batch, const head_group *group, const ex_tile *tile) {
    const ex_workspace *w = batch->work;
    return batch->n_tokens == 1 ? w->probabilities + group->first_head * w->scores_stride : tile->scores;
}

static void attend_tile(const ex_batch *batch, size_t layer, size_t kv_head, size_t first_token, size_t n_tokens,
                        const ex_tile *tile) {
    const ex_workspace *w = batch->work;
    const ex_kernels *kernels = batch->model->kernels;
    head_group group = group_of(&batch->model->shape, kv_head);
    size_t n_rows = n_tokens * group.n_heads;
    size_t n_positions = batch->first + first_token + n_tokens;
    size_t n_pages = (n_positions + EX_KV_PAGE - 1) / EX_KV_PAGE;
    float scale = 1.0f / sqrtf((float)group.head_dim);
    float *scores = scores_of(batch, &group, tile);

    gather_queries(batch, &group, first_token, n_tokens, tile->queries);
    for (size_t page = 0; page < n_pages; page++)
        kernels->attention_scores[batch->kv_type](
            tile->queries, n_rows, group.head_dim, ex_kv_keys(batch->kv, page, layer, kv_head),
            positions_in_page(page, n_positions), scale, scores + page * EX_KV_PAGE, w->scores_stride);
    softmax_rows(batch, layer, &group, first_token, n_tokens, scores);
    memset(tile->out, 0, n_rows * group.head_dim * sizeof *tile->out);
    for (size_t page = 0; page < n_pages; page++)
        kernels->attention_values[batch->kv_type](
            scores + page * EX_KV_PAGE, w->scores_stride, n_rows, ex_kv_values(batch->kv, page, layer, kv_head),
            positions_in_page(page, n_positions), group.head_dim, tile->out);
    scatter_out(batch, &group, first_token, n_tokens, tile->out);
}

void ex_attention_run(const ex_batch *batch, ex_worker *worker, size_t layer) {
    const ex_workspace *w = batch->work;
    size_t n_head_kv = (size_t)batch->model->shape.n_head_kv;
    size_t n_tiles = (batch->n_tokens + w->tile_tokens - 1) / w->tile_tokens;
    size_t first, last;
    /* With one token, the thread that attends is the one that stored; with more, all are stored before any attends. */
    if (batch->n_tokens > 1) {
        while (ex_worker_next(worker, n_head_kv * batch->n_tokens, 16, &first, &last))
            for (size_t i = first; i < last; i++) store_key_value(batch, layer, i % n_head_kv, i / n_head_kv);
        ex_worker_barrier(worker);
    }
    while (ex_worker_next(worker, n_head_kv * n_tiles, 1, &first, &last)) {
        /* later tiles have more positions to attend to: they go first so that threads finish together */
        size_t tile = n_tiles - 1 - first / n_head_kv, kv_head = first % n_head_kv;
        size_t first_token = tile * w->tile_tokens, left = batch->n_tokens - first_token;
        size_t n_tokens = left < w->tile_tokens ? left : w->tile_tokens;
        if (batch->n_tokens == 1) store_key_value(batch, layer, kv_head, 0);
        attend_tile(batch, layer, kv_head, first_token, n_tokens, &w->tiles[worker->index]);
    }
}

void ex_attention_deviation(const ex_batch *batch, const ex_worker *worker, size_t layer) {
    if (!batch->statistics) return;
    const ex_workspace *w = batch->work;
    size_t n_positions = batch->first + batch->n_tokens;
    size_t n_chunks = (n_positions + EX_DEVIATION_CHUNK - 1) / EX_DEVIATION_CHUNK;
    for (size_t chunk = (size_t)worker->index; chunk < n_chunks; chunk += (size_t)worker->count) {
        size_t first = chunk * EX_DEVIATION_CHUNK;
        size_t last = n_positions - first < EX_DEVIATION_CHUNK ? n_positions : first + EX_DEVIATION_CHUNK;
        w->deviation[layer * w->n_chunks + chunk] = batch->model->kernels->head_deviation(
            w->probabilities, w->scores_stride, (size_t)batch->model->shape.n_head, first, last);
    }
}

void ex_attention_finish(const ex_batch *batch) {
    if (!batch->statistics) return;
    const ex_workspace *w = batch->work;
    size_t n_positions = batch->first + batch->n_tokens;
    size_t n_chunks = (n_positions + EX_DEVIATION_CHUNK - 1) / EX_DEVIATION_CHUNK;
    double n_terms = (double)batch->model->shape.n_head * (double)n_positions;
    for (int32_t layer = 0; layer < batch->model->shape.n_layer; layer++) {
        double sum = 0;
        for (size_t chunk = 0; chunk < n_chunks; chunk++) sum += w->deviation[(size_t)layer * w->n_chunks + chunk];
        w->layer_deviation[layer] = sum / n_terms;
        w->n_positions[layer] = (int32_t)n_positions;
    }
}
