#include "convert/weights.h"

#include "base/error.h"
#include "base/half.h"
#include "base/memory.h"
#include "base/tensor_type.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum dimension { DIM_ONE, DIM_EMBD, DIM_QUERY, DIM_KV, DIM_FF, DIM_HEAD, DIM_VOCAB, DIM_COUNT } dimension;

typedef enum presence { NEEDED, OPTIONAL, NEEDED_WITH_HEAD_NORMS, UNLESS_TIED } presence;

typedef struct row { /* what a tensor is called on either side */
    const char *theirs, *ours;
    dimension n_rows, n_columns; /* a vector is one row */
    presence presence;
} row;

static const row model_rows[] = {
    {"model.embed_tokens.weight", "token_embd.weight", DIM_VOCAB, DIM_EMBD, NEEDED},
    {"model.norm.weight", "output_norm.weight", DIM_ONE, DIM_EMBD, NEEDED},
    {"lm_head.weight", "output.weight", DIM_VOCAB, DIM_EMBD, UNLESS_TIED},
};

/* After "model.layers.N." and "blk.N.". */
static const row layer_rows[] = {
    {"input_layernorm.weight", "attn_norm.weight", DIM_ONE, DIM_EMBD, NEEDED},
    {"self_attn.q_proj.weight", "attn_q.weight", DIM_QUERY, DIM_EMBD, NEEDED},
    {"self_attn.q_proj.bias", "attn_q.bias", DIM_ONE, DIM_QUERY, OPTIONAL},
    {"self_attn.k_proj.weight", "attn_k.weight", DIM_KV, DIM_EMBD, NEEDED},
    {"self_attn.k_proj.bias", "attn_k.bias", DIM_ONE, DIM_KV, OPTIONAL},
    {"self_attn.v_proj.weight", "attn_v.weight", DIM_KV, DIM_EMBD, NEEDED},
    {"self_attn.v_proj.bias", "attn_v.bias", DIM_ONE, DIM_KV, OPTIONAL},
    {"self_attn.o_proj.weight", "attn_output.weight", DIM_EMBD, DIM_QUERY, NEEDED},
    {"self_attn.o_proj.bias", "attn_output.bias", DIM_ONE, DIM_EMBD, OPTIONAL},
    {"self_attn.q_norm.weight", "attn_q_norm.weight", DIM_ONE, DIM_HEAD, NEEDED_WITH_HEAD_NORMS},
    {"self_attn.k_norm.weight", "attn_k_norm.weight", DIM_ONE, DIM_HEAD, NEEDED_WITH_HEAD_NORMS},
    {"post_attention_layernorm.weight", "ffn_norm.weight", DIM_ONE, DIM_EMBD, NEEDED},
    {"mlp.gate_proj.weight", "ffn_gate.weight", DIM_FF, DIM_EMBD, NEEDED},
    {"mlp.gate_proj.bias", "ffn_gate.bias", DIM_ONE, DIM_FF, OPTIONAL},
    {"mlp.up_proj.weight", "ffn_up.weight", DIM_FF, DIM_EMBD, NEEDED},
    {"mlp.up_proj.bias", "ffn_up.bias", DIM_ONE, DIM_FF, OPTIONAL},
    {"mlp.down_proj.weight", "ffn_down.weight", DIM_EMBD, DIM_FF, NEEDED},
    {"mlp.down_proj.bias", "ffn_down.bias", DIM_ONE, DIM_EMBD, OPTIONAL},
};

enum {
    N_MODEL_ROWS = sizeof model_rows / sizeof *model_rows,
    N_LAYER_ROWS = sizeof layer_rows / sizeof *layer_rows,
    LONGEST_NAME = 96
};

static const char divisors_name[] = "rope_freqs.weight";

/* ---- the plan ---- */

typedef struct planner {
    ex_plan *plan;
    const ex_safetensors *tensors;
    uint64_t dimensions[DIM_COUNT];
    int32_t type;
    uint64_t n_bytes[EX_TYPE_COUNT]; /* of matrices, by type */
    const char *folder;
    ex_error *error;
} planner;

static ex_code fail_weight(const ex_weight *weight, ex_code code, ex_error *error, const char *what) {
    return ex_source_fail(weight->path, code, weight->offset, error, "tensor '%.*s' %s", EX_QUOTED(weight->name), what);
}

static ex_code fail_missing(const planner *p, const char *name) {
    return ex_fail(p->error, EX_ERROR_FORMAT, 0, "%s: tensor '%s' is missing from the safetensors files", p->folder,
                   name);
}

static ex_code check_shape(const planner *p, const ex_weight *weight, const row *r) {
    uint64_t n_rows = p->dimensions[r->n_rows], n_columns = p->dimensions[r->n_columns];
    const uint64_t *shape = weight->shape;
    bool fits = r->n_rows == DIM_ONE ? weight->n_dims == 1 && shape[0] == n_columns
                                     : weight->n_dims == 2 && shape[0] == n_rows && shape[1] == n_columns;
    if (fits) return EX_OK;
    char what[160];
    if (weight->n_dims > 2) snprintf(what, sizeof what, "has %zu dimensions", weight->n_dims);
    else if (r->n_rows == DIM_ONE)
        snprintf(what, sizeof what, "is not a vector of %" PRIu64 ", as config.json says", n_columns);
    else
        snprintf(what, sizeof what, "does not have %" PRIu64 " rows of %" PRIu64 ", as config.json says", n_rows,
                 n_columns);
    return fail_weight(weight, EX_ERROR_FORMAT, p->error, what);
}

static uint32_t target_type(const planner *p, const ex_weight *weight, const row *r) {
    if (r->n_rows == DIM_ONE) return EX_TYPE_F32;
    if (p->type >= 0) return (uint32_t)p->type;
    return weight->dtype->type == EX_TYPE_F32 ? EX_TYPE_F16 : (uint32_t)weight->dtype->type;
}

/* How many heads share the rows of Q or K; 0 for other tensors. */
static int64_t heads_of(const ex_config *config, const row *r) {
    if (!config->family->interleaved) return 0;
    if (strncmp(r->ours, "attn_q.", 7) == 0) return config->n_head;
    return strncmp(r->ours, "attn_k.", 7) == 0 ? config->n_head_kv : 0;
}

static bool may_be_absent(const ex_config *config, const row *r) {
    switch (r->presence) {
    case OPTIONAL: return true;
    case NEEDED_WITH_HEAD_NORMS: return !config->family->head_norms;
    case UNLESS_TIED: return config->tied != EX_TIED_NOT;
    default: return false;
    }
}

/* Present, but of no use here: an output matrix beside an embedding that serves for it. */
static bool is_left_out(const ex_config *config, const row *r) {
    return r->presence == UNLESS_TIED && config->tied == EX_TIED;
}

static ex_code plan_row(planner *p, const row *r, const char *their_prefix, const char *our_prefix) {
    char name[LONGEST_NAME];
    snprintf(name, sizeof name, "%s%s", their_prefix, r->theirs);
    ex_weight *weight = ex_safetensors_find(p->tensors, name);
    const ex_config *config = p->plan->config;
    if (!weight) return may_be_absent(config, r) ? EX_OK : fail_missing(p, name);
    if (r->presence == NEEDED_WITH_HEAD_NORMS && !config->family->head_norms) return EX_OK; /* refused as not used */
    weight->used = true;
    if (is_left_out(config, r)) return EX_OK;
    if (weight->dtype->type < 0) {
        char what[80];
        snprintf(what, sizeof what, "has the type %s; F16, BF16 and F32 can be converted", weight->dtype->name);
        return fail_weight(weight, EX_ERROR_UNSUPPORTED, p->error, what);
    }
    ex_code code = check_shape(p, weight, r);
    if (code != EX_OK) return code;
    ex_planned *planned = &p->plan->tensors[p->plan->n_tensors++];
    *planned = (ex_planned){.weight = weight, .type = target_type(p, weight, r), .n_heads = heads_of(config, r)};
    snprintf(planned->name, sizeof planned->name, "%s%s", our_prefix, r->ours);
    bool turned_vector = planned->n_heads && r->n_rows == DIM_ONE; /* its elements are put in order like rows */
    planned->n_rows = p->dimensions[turned_vector ? r->n_columns : r->n_rows];
    planned->n_columns = turned_vector ? 1 : p->dimensions[r->n_columns];
    planned->is_vector = r->n_rows == DIM_ONE;
    p->plan->n_bytes += weight->end - weight->begin;
    if (r->n_rows != DIM_ONE) p->n_bytes[planned->type] += weight->end - weight->begin;
    return EX_OK;
}

static ex_code plan_rows(planner *p) {
    ex_code code = EX_OK;
    for (size_t i = 0; i < N_MODEL_ROWS && code == EX_OK; i++) code = plan_row(p, &model_rows[i], "", "");
    if (code == EX_OK && p->plan->config->scaling.kind == EX_SCALING_LLAMA3) {
        ex_planned *planned = &p->plan->tensors[p->plan->n_tensors++];
        *planned = (ex_planned){.type = EX_TYPE_F32, .n_rows = 1, .is_vector = true};
        planned->n_columns = p->dimensions[DIM_HEAD] / 2;
        memcpy(planned->name, divisors_name, sizeof divisors_name);
    }
    for (int64_t layer = 0; layer < p->plan->config->n_layer; layer++) {
        char theirs[40], ours[40];
        snprintf(theirs, sizeof theirs, "model.layers.%" PRId64 ".", layer);
        snprintf(ours, sizeof ours, "blk.%" PRId64 ".", layer);
        for (size_t i = 0; i < N_LAYER_ROWS && code == EX_OK; i++) code = plan_row(p, &layer_rows[i], theirs, ours);
    }
    return code;
}

/* Frequencies that old files store: they follow from config.json. */
static bool is_derived(const ex_weight *weight) {
    static const char ending[] = ".rotary_emb.inv_freq";
    size_t n = sizeof ending - 1;
    return weight->name.length >= n && memcmp(weight->name.data + weight->name.length - n, ending, n) == 0;
}

static ex_code refuse_unused(const planner *p) {
    for (size_t i = 0; i < p->tensors->n_weights; i++) {
        const ex_weight *weight = &p->tensors->weights[i];
        if (weight->used || is_derived(weight)) continue;
        char what[100];
        snprintf(what, sizeof what, "has no place in a model of the family %s with %" PRId64 " layers",
                 p->plan->config->family->model_type, p->plan->config->n_layer);
        return fail_weight(weight, EX_ERROR_UNSUPPORTED, p->error, what);
    }
    return EX_OK;
}

static ex_code measure(planner *p) {
    const ex_config *config = p->plan->config;
    const ex_weight *embedding = ex_safetensors_find(p->tensors, model_rows[0].theirs);
    if (!embedding) return fail_missing(p, model_rows[0].theirs);
    if (embedding->n_dims != 2 || embedding->shape[0] == 0 || embedding->shape[0] > INT32_MAX / 4)
        return fail_weight(embedding, EX_ERROR_FORMAT, p->error, "does not have the shape of an embedding");
    p->plan->n_vocab = embedding->shape[0];
    const uint64_t dimensions[DIM_COUNT] = {
        [DIM_ONE] = 1,
        [DIM_EMBD] = (uint64_t)config->n_embd,
        [DIM_QUERY] = (uint64_t)(config->n_head * config->head_dim),
        [DIM_KV] = (uint64_t)(config->n_head_kv * config->head_dim),
        [DIM_FF] = (uint64_t)config->n_ff,
        [DIM_HEAD] = (uint64_t)config->head_dim,
        [DIM_VOCAB] = p->plan->n_vocab,
    };
    memcpy(p->dimensions, dimensions, sizeof dimensions);
    return EX_OK;
}

static int32_t file_type_of(const planner *p) {
    static const struct {
        uint32_t type;
        int32_t file_type;
    } rows[] = {{EX_TYPE_F16, 1}, {EX_TYPE_BF16, 32}, {EX_TYPE_F32, 0}};
    size_t most = 0;
    for (size_t i = 1; i < sizeof rows / sizeof *rows; i++)
        if (p->n_bytes[rows[i].type] > p->n_bytes[rows[most].type]) most = i;
    return rows[most].file_type;
}

ex_code ex_plan_open(ex_plan *plan, const ex_config *config, const ex_safetensors *tensors, int32_t type,
                     const char *folder, ex_error *error) {
    planner p = {.plan = plan, .tensors = tensors, .type = type, .folder = folder, .error = error};
    plan->config = config;
    plan->tensors = ex_allocate(N_MODEL_ROWS + 1 + (size_t)config->n_layer * N_LAYER_ROWS, sizeof *plan->tensors);
    if (!plan->tensors) return ex_fail_memory(error, "the list of tensors");
    ex_code code = measure(&p);
    if (code == EX_OK) code = plan_rows(&p);
    if (code == EX_OK) code = refuse_unused(&p);
    plan->file_type = file_type_of(&p);
    return code;
}

void ex_plan_close(ex_plan *plan) {
    free(plan->tensors);
    *plan = (ex_plan){0};
}

/* ---- writing ---- */

ex_code ex_plan_declare(const ex_plan *plan, ex_writer *writer, ex_error *error) {
    ex_code code = EX_OK;
    for (size_t i = 0; i < plan->n_tensors && code == EX_OK; i++) {
        const ex_planned *planned = &plan->tensors[i];
        uint64_t n_weights = planned->n_rows * planned->n_columns;
        const uint64_t ne[] = {planned->is_vector ? n_weights : planned->n_columns, planned->n_rows};
        code = ex_writer_declare(writer, (ex_string){planned->name, strlen(planned->name)}, planned->type,
                                 planned->is_vector ? 1 : 2, ne, error);
    }
    return code;
}

/* The two halves of a head become neighbours: what was turned together with row i + half now follows it. */
static uint64_t source_row(const ex_planned *planned, uint64_t index) {
    if (!planned->n_heads) return index;
    uint64_t head_rows = planned->n_rows / (uint64_t)planned->n_heads, within = index % head_rows;
    return index - within + within % 2 * (head_rows / 2) + within / 2;
}

static float load(const unsigned char *from, int32_t type) {
    uint16_t half;
    float single;
    if (type == EX_TYPE_F32) {
        memcpy(&single, from, sizeof single);
        return single;
    }
    memcpy(&half, from, sizeof half);
    return type == EX_TYPE_F16 ? ex_half_to_float(half) : ex_bfloat_to_float(half);
}

static void store(unsigned char *to, uint32_t type, float value) {
    uint16_t half = type == EX_TYPE_F16 ? ex_half_from_float(value) : ex_bfloat_from_float(value);
    if (type == EX_TYPE_F32) memcpy(to, &value, sizeof value);
    else memcpy(to, &half, sizeof half);
}

static ex_code fail_number(const ex_planned *planned, uint64_t index, float value, ex_error *error) {
    const ex_weight *weight = planned->weight;
    uint64_t position = weight->offset;
    const char *reason = isfinite(value) ? "is too large for" : "is not finite, which cannot be stored as";
    return ex_source_fail(weight->path, EX_ERROR_NUMBER, position, error,
                          "tensor '%.*s': weight %" PRIu64 " is %g, which %s %s", EX_QUOTED(weight->name), index,
                          (double)value, reason, ex_type_find(planned->type)->name);
}

static ex_code convert_row(const ex_planned *planned, uint64_t index, unsigned char *out, ex_error *error) {
    const ex_weight *weight = planned->weight;
    const float largest = planned->type == EX_TYPE_F16 ? 65504.0f : 0x1.FEp127f;
    const float limit = planned->type == EX_TYPE_F32 ? INFINITY : largest;
    size_t n_bytes = weight->dtype->n_bytes, n_out = ex_type_find(planned->type)->block_bytes;
    uint64_t first = source_row(planned, index) * planned->n_columns;
    for (uint64_t i = 0; i < planned->n_columns; i++) {
        float value = load(weight->data + (first + i) * n_bytes, weight->dtype->type);
        if (!isfinite(value) || fabsf(value) > limit) return fail_number(planned, first + i, value, error);
        store(out + i * n_out, planned->type, value);
    }
    return EX_OK;
}

typedef struct progress_state {
    ex_progress show;
    void *context;
    uint64_t done, shown, total;
} progress_state;

static ex_code tell(progress_state *progress, const char *what, ex_error *error) {
    enum { STEP = 1 << 22 }; /* bytes between two calls */
    bool is_due = progress->done - progress->shown >= STEP || progress->done == progress->total;
    if (!progress->show || !is_due) return EX_OK;
    progress->shown = progress->done;
    if (progress->show(progress->context, progress->done, progress->total, what)) return EX_OK;
    return ex_fail(error, EX_ERROR_ARGUMENT, 0, "stopped on request; nothing was written");
}

static ex_code write_divisors(const ex_plan *plan, ex_writer *writer, unsigned char *buffer, ex_error *error) {
    float *divisors = (float *)(void *)buffer;
    ex_config_divisors(plan->config, divisors);
    return ex_writer_data(writer, divisors, (uint64_t)plan->config->head_dim / 2 * sizeof *divisors, error);
}

static ex_code write_tensor(const ex_planned *planned, ex_writer *writer, unsigned char *buffer,
                            progress_state *progress, ex_error *error) {
    uint64_t n_out = planned->n_columns * ex_type_find(planned->type)->block_bytes;
    ex_code code = EX_OK;
    for (uint64_t i = 0; i < planned->n_rows && code == EX_OK; i++) {
        code = convert_row(planned, i, buffer, error);
        if (code == EX_OK) code = ex_writer_data(writer, buffer, n_out, error);
        progress->done += planned->n_columns * planned->weight->dtype->n_bytes;
        if (code == EX_OK) code = tell(progress, planned->name, error);
    }
    return code;
}

ex_code ex_plan_write(const ex_plan *plan, ex_writer *writer, ex_progress show, void *context, ex_error *error) {
    uint64_t longest = (uint64_t)plan->config->head_dim;
    for (size_t i = 0; i < plan->n_tensors; i++)
        if (plan->tensors[i].n_columns > longest) longest = plan->tensors[i].n_columns;
    unsigned char *buffer = ex_allocate_aligned(longest, sizeof(float));
    if (!buffer) return ex_fail_memory(error, "a row of weights");
    progress_state progress = {.show = show, .context = context, .total = plan->n_bytes};
    ex_code code = EX_OK;
    for (size_t i = 0; i < plan->n_tensors && code == EX_OK; i++) {
        const ex_planned *planned = &plan->tensors[i];
        code = planned->weight ? write_tensor(planned, writer, buffer, &progress, error)
                               : write_divisors(plan, writer, buffer, error);
    }
    free(buffer);
    return code;
}
