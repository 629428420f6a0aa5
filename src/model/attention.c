/* attention.c - causal attention over the paged KV cache, with the exact statistics of the last query.
 *
 * The unit of work is a tile: some tokens of one timeline and the heads that share one key-value head, so that keys and
 * values are read once for all of them. The statistics of the last query come from its rows of scores while they are
 * in cache; only the deviation between heads needs all heads of a layer and follows after the barrier. Sums run over
 * fixed chunks of positions, so no number depends on how many threads there are.
 *
 * A row of scores has a place for each position from 0 on. Layers with a sliding window fill and read the end of it
 * only; a sink's score stands after the last position. */
#include <math.h>
#include <string.h>

#include "model/batch.h"

typedef struct head_group { /* a key-value head and the query heads that use it */
    size_t kv_head, first_head, n_heads, head_dim;
} head_group;

typedef struct query_tile { /* consecutive tokens of a batch, all of one timeline */
    const ex_timeline *timeline;
    size_t timeline_index;
    size_t first_token, n_tokens;
    size_t position; /* of the first token */
    size_t layer;
    head_group group;
} query_tile;

static head_group group_of(const ex_shape *shape, size_t kv_head) {
    size_t n_heads = (size_t)(shape->n_head / shape->n_head_kv);
    return (head_group){kv_head, kv_head * n_heads, n_heads, (size_t)shape->head_dim};
}

/* The positions that a query attends to. */
static ex_span span_of(const ex_shape *shape, size_t layer, size_t position) {
    size_t window = ex_shape_is_local(shape, layer) ? (size_t)shape->window : 0;
    size_t first = window > 0 && position + 1 > window ? position + 1 - window : 0;
    return (ex_span){first, position + 1};
}

/* ---- queries, keys and values -------------------------------------------------------------------------------- */

static void norm_and_rotate(const ex_batch *batch, size_t layer, size_t token, const float *norm, float *head) {
    const ex_architecture *architecture = batch->model->architecture;
    const ex_shape *shape = &batch->model->shape;
    const ex_workspace *w = &batch->model->work;
    int32_t n_pairs = shape->n_rot / 2, skip = architecture->unrotated_period;
    if (architecture->features & EX_FEATURE_HEAD_NORM)
        batch->model->kernels->rms_norm(head, norm, (size_t)shape->head_dim, shape->rms_epsilon, head);
    if (skip > 0 && (layer + 1) % (size_t)skip == 0) return;
    int kind = ex_shape_is_local(shape, layer) ? EX_ROPE_LOCAL : EX_ROPE_GLOBAL;
    size_t at = token * (size_t)n_pairs;
    ex_rope_apply(architecture->rope, n_pairs, w->cosines[kind] + at, w->sines[kind] + at, head);
}

static void store_key_value(const ex_batch *batch, size_t layer, size_t kv_head, size_t token) {
    const ex_workspace *w = &batch->model->work;
    const ex_shape *shape = &batch->model->shape;
    size_t head_dim = (size_t)shape->head_dim;
    size_t at = token * (size_t)shape->n_head_kv * head_dim + kv_head * head_dim;
    norm_and_rotate(batch, layer, token, batch->model->weights.layers[layer].attn_k_norm, w->k + at);
    ex_kv_store(ex_batch_timeline(batch, token)->kv, batch->model->kernels, ex_batch_position(batch, token), layer,
                kv_head, w->k + at, w->v + at);
}

static ex_activations gather_queries(const ex_batch *batch, const query_tile *tile, const ex_input *queries) {
    const ex_workspace *w = &batch->model->work;
    const ex_kernels *kernels = batch->model->kernels;
    const head_group *group = &tile->group;
    const float *norm = batch->model->weights.layers[tile->layer].attn_q_norm;
    size_t n_query = (size_t)batch->model->shape.n_head * group->head_dim, n_rows = tile->n_tokens * group->n_heads;
    for (size_t t = 0; t < tile->n_tokens; t++)
        for (size_t h = 0; h < group->n_heads; h++) {
            float *query = queries->values + (t * group->n_heads + h) * group->head_dim;
            memcpy(query, w->q + (tile->first_token + t) * n_query + (group->first_head + h) * group->head_dim,
                   group->head_dim * sizeof *query);
            norm_and_rotate(batch, tile->layer, tile->first_token + t, norm, query);
        }
    if (batch->kv_type == EX_KV_Q8_0)
        kernels->quantize_row(queries->values, n_rows * group->head_dim, queries->quants, queries->scales,
                              queries->sums);
    return ex_input_rows(queries, group->head_dim, 0, n_rows);
}

/* ---- scores to probabilities --------------------------------------------------------------------------------- */

static void keep_row(const ex_batch *batch, const query_tile *tile, size_t head, const float *row, ex_span span) {
    float *scores = tile->timeline->scores;
    if (!scores) return;
    size_t n = span.last + ex_layer_sinks(&batch->model->weights.layers[tile->layer]);
    float *kept = scores + (tile->layer * (size_t)batch->model->shape.n_head + head) * n;
    for (size_t j = 0; j < span.first; j++) kept[j] = -INFINITY;
    memcpy(kept + span.first, row + span.first, (n - span.first) * sizeof *row);
}

/* Softmax of one head of a last query, with its statistics; the row stays for the deviation between heads. */
static void reduce_last_row(const ex_batch *batch, const query_tile *tile, size_t head, float *row, ex_span span) {
    const ex_workspace *w = &batch->model->work;
    ex_statistics *statistics = tile->timeline->statistics;
    size_t n_head = (size_t)batch->model->shape.n_head, at = tile->layer * n_head + head;
    size_t n = span.last + ex_layer_sinks(&batch->model->weights.layers[tile->layer]) - span.first;
    ex_row_statistics reduced;
    keep_row(batch, tile, head, row, span);
    batch->model->kernels->softmax(row + span.first, n, statistics ? &reduced : NULL);
    if (!statistics) return;
    statistics->head_entropy[at] = reduced.entropy;
    statistics->head_maximum[at] = (double)reduced.maximum;
    statistics->head_strength[at] = reduced.mean_absolute_score;
    float *kept = w->probabilities + (tile->timeline_index * n_head + head) * w->scores_stride;
    if (row != kept) memcpy(kept + span.first, row + span.first, n * sizeof *row);
}

static void cap_scores(float softcap, float *scores, size_t n) {
    if (softcap > 0)
        for (size_t i = 0; i < n; i++) scores[i] = softcap * tanhf(scores[i] / softcap);
}

/* `seen` are the positions that any query of the tile attends to: to those that only others do, a row gives nothing. */
static void softmax_rows(const ex_batch *batch, const query_tile *tile, ex_span seen, float *scores) {
    const ex_workspace *w = &batch->model->work;
    const ex_shape *shape = &batch->model->shape;
    const ex_layer *layer = &batch->model->weights.layers[tile->layer];
    size_t last_token = ex_batch_last_token(batch, tile->timeline_index);
    for (size_t t = 0; t < tile->n_tokens; t++) {
        ex_span span = span_of(shape, tile->layer, tile->position + t);
        bool is_last = tile->first_token + t == last_token;
        for (size_t h = 0; h < tile->group.n_heads; h++) {
            size_t head = tile->group.first_head + h;
            float *row = scores + (t * tile->group.n_heads + h) * w->scores_stride;
            cap_scores(shape->attention_softcap, row + span.first, span.last - span.first);
            if (layer->attn_sinks) row[span.last] = layer->attn_sinks[head];
            if (is_last) reduce_last_row(batch, tile, head, row, span);
            else batch->model->kernels->softmax(row + span.first, span.last + ex_layer_sinks(layer) - span.first, NULL);
            memset(row + seen.first, 0, (span.first - seen.first) * sizeof *row);
            memset(row + span.last, 0, (seen.last - span.last) * sizeof *row);
        }
    }
}

/* ---- tiles --------------------------------------------------------------------------------------------------- */

static void scatter_out(const ex_batch *batch, const query_tile *tile, const float *out, bool quants) {
    const ex_workspace *w = &batch->model->work;
    size_t n_query = (size_t)batch->model->shape.n_head * tile->group.head_dim;
    size_t width = tile->group.n_heads * tile->group.head_dim, from = tile->group.first_head * tile->group.head_dim;
    const ex_activations x = ex_input_batch(&w->attended, n_query, batch->n_tokens);
    for (size_t t = 0; t < tile->n_tokens; t++) {
        size_t token = tile->first_token + t;
        memcpy(w->attended.values + token * n_query + from, out + t * width, width * sizeof *out);
        if (quants) ex_input_quantize(batch->model->kernels, &w->attended, &x, token, from, width);
    }
}

typedef struct page_range { /* [first, last) */
    size_t first, last;
} page_range;

/* The positions that any query of a tile attends to. */
static ex_span seen_by(const ex_batch *batch, const query_tile *tile) {
    ex_span first = span_of(&batch->model->shape, tile->layer, tile->position);
    return (ex_span){first.first, tile->position + tile->n_tokens};
}

static page_range pages_of(const ex_batch *batch, const query_tile *tile) {
    ex_span seen = seen_by(batch, tile);
    return (page_range){seen.first / EX_KV_PAGE, (seen.last + EX_KV_PAGE - 1) / EX_KV_PAGE};
}

static size_t positions_in_page(size_t page, size_t last) {
    size_t left = last - page * EX_KV_PAGE;
    return left < EX_KV_PAGE ? left : EX_KV_PAGE;
}

/* Where a tile's scores go: those of a token that is alone right to where the deviation looks for them. */
static float *scores_of(const ex_batch *batch, const query_tile *tile, const ex_tile *scratch) {
    const ex_workspace *w = &batch->model->work;
    size_t row = tile->timeline_index * (size_t)batch->model->shape.n_head + tile->group.first_head;
    return ex_batch_is_lone(batch) ? w->probabilities + row * w->scores_stride : scratch->scores;
}

static const void *keys_of(const query_tile *tile, size_t page) {
    return ex_kv_keys(tile->timeline->kv, page, tile->layer, tile->group.kv_head);
}

static const void *values_of(const query_tile *tile, size_t page) {
    return ex_kv_values(tile->timeline->kv, page, tile->layer, tile->group.kv_head);
}

/* The order in which a thread reads pages: a tile's keys, its values, the next tile's keys. Groups of as many pages as
 * there are streams are asked for while the group before is read, a part of each page with each page that is read. */
typedef struct reading_order {
    const query_tile *tile, *next; /* next: what this thread will probably attend to then; NULL: nothing */
    page_range pages, next_pages;
    size_t part_bytes, n_asked;
    ex_streams ahead;
} reading_order;

static const void *page_in_order(const reading_order *order, size_t i) {
    size_t n = order->pages.last - order->pages.first;
    if (i < n) return keys_of(order->tile, order->pages.first + i);
    if (i < 2 * n) return values_of(order->tile, order->pages.first + i - n);
    if (!order->next) return values_of(order->tile, order->pages.last - 1);
    size_t page = order->next_pages.first + i - 2 * n;
    return keys_of(order->next, page < order->next_pages.last ? page : order->next_pages.last - 1);
}

/* What is asked for while one more page is read. */
static const ex_streams *ask_for_more(reading_order *order) {
    size_t group = order->n_asked / EX_AHEAD_STREAMS + 1, part = order->n_asked % EX_AHEAD_STREAMS;
    for (size_t s = 0; s < EX_AHEAD_STREAMS; s++)
        if (part > 0) order->ahead.streams[s] += order->part_bytes;
        else order->ahead.streams[s] = page_in_order(order, group * EX_AHEAD_STREAMS + s);
    order->n_asked++;
    return &order->ahead;
}

static reading_order begin_reading(const ex_batch *batch, const query_tile *tile, const query_tile *next) {
    size_t head_dim = (size_t)batch->model->shape.head_dim;
    reading_order order = {.tile = tile, .next = next, .pages = pages_of(batch, tile),
                           .part_bytes = ex_kv_bytes(batch->kv_type, head_dim) / EX_AHEAD_STREAMS};
    if (next) order.next_pages = pages_of(batch, next);
    return order;
}

static void attend_tile(const ex_batch *batch, const query_tile *tile, const query_tile *next, const ex_tile *scratch,
                        bool quants) {
    const ex_workspace *w = &batch->model->work;
    const ex_kernels *kernels = batch->model->kernels;
    const ex_shape *shape = &batch->model->shape;
    const head_group *group = &tile->group;
    size_t n_rows = tile->n_tokens * group->n_heads;
    ex_span seen = seen_by(batch, tile);
    reading_order order = begin_reading(batch, tile, next);
    page_range pages = order.pages;
    float *scores = scores_of(batch, tile, scratch);

    ex_activations queries = gather_queries(batch, tile, &scratch->queries);
    for (size_t page = pages.first; page < pages.last; page++)
        kernels->attention_scores[batch->kv_type](&queries, keys_of(tile, page), ask_for_more(&order),
                                                  positions_in_page(page, seen.last), shape->attention_scale,
                                                  scores + page * EX_KV_PAGE, w->scores_stride);
    seen.first = pages.first * EX_KV_PAGE;
    softmax_rows(batch, tile, seen, scores);
    memset(scratch->out, 0, n_rows * group->head_dim * sizeof *scratch->out);
    for (size_t page = pages.first; page < pages.last; page++)
        kernels->attention_values[batch->kv_type](scores + page * EX_KV_PAGE, w->scores_stride, n_rows,
                                                  values_of(tile, page), ask_for_more(&order),
                                                  positions_in_page(page, seen.last), group->head_dim, scratch->out);
    scatter_out(batch, tile, scratch->out, quants);
}

/* Work is dealt out head by head: what the timelines or tiles of one head share stays in cache. Later tiles have more
 * positions to attend to and go first, so that threads finish together. */
static query_tile tile_at(const ex_batch *batch, size_t layer, size_t n_tiles, size_t tile_tokens, size_t index) {
    query_tile t = {.layer = layer, .group = group_of(&batch->model->shape, index / n_tiles)};
    size_t within = n_tiles - 1 - index % n_tiles;
    bool many = batch->n_timelines > 1;
    t.timeline_index = many ? within : 0;
    t.timeline = &batch->timelines[t.timeline_index];
    t.first_token = many ? within : within * tile_tokens;
    size_t left = batch->n_tokens - t.first_token;
    t.n_tokens = many ? 1 : left < tile_tokens ? left : tile_tokens;
    t.position = ex_batch_position(batch, t.first_token);
    return t;
}

static void quantize_attended(const ex_batch *batch, ex_worker *worker) {
    const ex_shape *shape = &batch->model->shape;
    const ex_input *attended = &batch->model->work.attended;
    size_t n_query = (size_t)shape->n_head * (size_t)shape->head_dim, first, last;
    const ex_activations x = ex_input_batch(attended, n_query, batch->n_tokens);
    ex_worker_barrier(worker);
    while (ex_worker_next(worker, batch->n_tokens, 1, &first, &last))
        ex_input_quantize(batch->model->kernels, attended, &x, first, 0, n_query);
}

void ex_attention_run(const ex_batch *batch, ex_worker *worker, size_t layer, bool quants, size_t first_token) {
    const ex_workspace *w = &batch->model->work;
    const ex_shape *shape = &batch->model->shape;
    size_t n_head_kv = (size_t)shape->n_head_kv, first, last;
    size_t tile_tokens = batch->n_timelines > 1 ? 1 : w->tile_tokens;
    size_t n_tiles = (batch->n_tokens + tile_tokens - 1) / tile_tokens;
    /* A token that is alone is stored by the thread that attends for it; others before any attends. */
    bool is_lone = ex_batch_is_lone(batch);
    if (!is_lone) {
        while (ex_worker_next(worker, n_head_kv * batch->n_tokens, 16, &first, &last))
            for (size_t i = first; i < last; i++) store_key_value(batch, layer, i % n_head_kv, i / n_head_kv);
        ex_worker_barrier(worker);
    }
    /* Heads that share a key-value head are quantised where they are computed, if whole blocks are theirs. */
    size_t group_width = (size_t)(shape->n_head / shape->n_head_kv) * (size_t)shape->head_dim;
    bool quants_here = quants && group_width % EX_QUANT_BLOCK == 0;
    while (ex_worker_next(worker, n_head_kv * n_tiles, 1, &first, &last)) {
        query_tile t = tile_at(batch, layer, n_tiles, tile_tokens, first), next;
        bool has_next = last < n_head_kv * n_tiles;
        if (has_next) next = tile_at(batch, layer, n_tiles, tile_tokens, last);
        if (t.first_token + t.n_tokens <= first_token) continue;
        if (is_lone) store_key_value(batch, layer, t.group.kv_head, t.first_token);
        attend_tile(batch, &t, has_next ? &next : NULL, &w->tiles[worker->index], quants_here);
    }
    if (quants && !quants_here) quantize_attended(batch, worker);
}

/* ---- between heads ------------------------------------------------------------------------------------------- */

static size_t n_chunks_of(ex_span span) {
    return (span.last - span.first + EX_DEVIATION_CHUNK - 1) / EX_DEVIATION_CHUNK;
}

/* The last query's columns in the rows of scores: its positions and the sink. */
static ex_span columns_of(const ex_batch *batch, size_t timeline, size_t layer) {
    const ex_model *model = batch->model;
    size_t position = ex_batch_position(batch, ex_batch_last_token(batch, timeline));
    ex_span span = span_of(&model->shape, layer, position);
    span.last += ex_layer_sinks(&model->weights.layers[layer]);
    return span;
}

void ex_attention_deviation(const ex_batch *batch, const ex_worker *worker, size_t layer) {
    const ex_workspace *w = &batch->model->work;
    size_t n_head = (size_t)batch->model->shape.n_head, piece = 0;
    for (size_t i = 0; i < batch->n_timelines; i++) {
        const ex_statistics *statistics = batch->timelines[i].statistics;
        if (!statistics) continue;
        ex_span span = columns_of(batch, i, layer);
        for (size_t chunk = 0; chunk < n_chunks_of(span); chunk++, piece++) {
            if (piece % (size_t)worker->count != (size_t)worker->index) continue;
            size_t first = span.first + chunk * EX_DEVIATION_CHUNK;
            size_t last = span.last - first < EX_DEVIATION_CHUNK ? span.last : first + EX_DEVIATION_CHUNK;
            statistics->head_sums[layer * statistics->n_chunks + chunk] = batch->model->kernels->head_deviation(
                w->probabilities + i * n_head * w->scores_stride, w->scores_stride, n_head, first, last);
        }
    }
}

static void finish_timeline(const ex_batch *batch, size_t timeline) {
    ex_statistics *statistics = batch->timelines[timeline].statistics;
    if (!statistics) return;
    for (size_t layer = 0; layer < (size_t)batch->model->shape.n_layer; layer++) {
        ex_span span = columns_of(batch, timeline, layer);
        size_t n_positions = span.last - span.first;
        ex_head_sums sums = {0, 0};
        const double n_terms = (double)batch->model->shape.n_head * (double)n_positions;
        for (size_t i = 0; i < n_chunks_of(span); i++) {
            const ex_head_sums *chunk = &statistics->head_sums[layer * statistics->n_chunks + i];
            sums.deviation += chunk->deviation;
            sums.entropy += chunk->entropy;
        }
        statistics->layer_deviation[layer] = sums.deviation / n_terms;
        statistics->layer_entropy[layer] = sums.entropy;
        statistics->n_positions[layer] = (int32_t)n_positions;
    }
}

void ex_attention_finish(const ex_batch *batch) {
    for (size_t i = 0; i < batch->n_timelines; i++) finish_timeline(batch, i);
}
