#include "model/weights.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"

typedef enum dimension {
    DIM_NONE, DIM_EMBD, DIM_QUERY, DIM_KV, DIM_QUERY_KEY, DIM_QKV, DIM_HEAD, DIM_N_HEAD, DIM_FF, DIM_GATE_UP, DIM_VOCAB,
    DIM_ROPE, DIM_EXPERTS, DIM_COUNT
} dimension;

typedef enum tensor_kind { MATRIX, VECTOR, BIAS, EXPERTS, EXPERT_BIAS } tensor_kind;

typedef struct tensor_row { /* one tensor that a model may have, and where it goes */
    const char *name;       /* in a layer, after "blk.N." */
    size_t offset;          /* of an ex_matrix or of a pointer to floats */
    tensor_kind kind;
    dimension n_in, n_out;  /* of a vector, n_in alone */
    uint32_t needs;        /* features that a model with this tensor has, all of them */
    bool optional;
    dimension start, n_all; /* where several share a tensor: rows before, and rows in all */
} tensor_row;

#define LAYER(member) offsetof(ex_layer, member)
#define MODEL(member) offsetof(ex_weights, member)

static const tensor_row model_rows[] = {
    {"token_embd.weight", MODEL(token_embd), MATRIX, DIM_EMBD, DIM_VOCAB, .optional = false},
    {"output_norm.weight", MODEL(output_norm), VECTOR, DIM_EMBD, DIM_NONE, .optional = false},
    {"output.weight", MODEL(output), MATRIX, DIM_EMBD, DIM_VOCAB, .optional = true},
    {"rope_freqs.weight", MODEL(rope_freqs), VECTOR, DIM_ROPE, DIM_NONE, .optional = true},
    {"rope_factors_short.weight", MODEL(rope_factors_short), VECTOR, DIM_ROPE, DIM_NONE, .optional = true},
    {"rope_factors_long.weight", MODEL(rope_factors_long), VECTOR, DIM_ROPE, DIM_NONE, .optional = true},
};

enum {
    PRE = EX_FEATURE_PRE_NORM, POST = EX_FEATURE_POST_NORM, NAMED = EX_FEATURE_PRE_NORM | EX_FEATURE_NAMED_NORM,
    MISNAMED = EX_FEATURE_PRE_NORM | EX_FEATURE_MISNAMED_NORM, HEADS = EX_FEATURE_HEAD_NORM,
    ALL_HEADS = EX_FEATURE_PROJECTION_NORM, SINKS = EX_FEATURE_SINKS, SPLIT = EX_FEATURE_SPLIT_QKV,
    FUSED = EX_FEATURE_FUSED_QKV, DENSE = EX_FEATURE_DENSE | EX_FEATURE_SPLIT_GATE,
    DENSE_FUSED = EX_FEATURE_DENSE | EX_FEATURE_FUSED_GATE, ROUTED = EX_FEATURE_EXPERTS,
    ROUTED_SPLIT = EX_FEATURE_EXPERTS | EX_FEATURE_SPLIT_GATE, ROUTED_FUSED = EX_FEATURE_EXPERTS | EX_FEATURE_FUSED_GATE
};

static const tensor_row layer_rows[] = {
    {"attn_norm.weight", LAYER(attn_norm), VECTOR, DIM_EMBD, DIM_NONE, .needs = PRE},
    {"attn_q.weight", LAYER(attn_q), MATRIX, DIM_EMBD, DIM_QUERY, .needs = SPLIT},
    {"attn_k.weight", LAYER(attn_k), MATRIX, DIM_EMBD, DIM_KV, .needs = SPLIT},
    {"attn_v.weight", LAYER(attn_v), MATRIX, DIM_EMBD, DIM_KV, .needs = SPLIT},
    {"attn_q.bias", LAYER(attn_q.bias), BIAS, DIM_QUERY, DIM_NONE, .needs = SPLIT, .optional = true},
    {"attn_k.bias", LAYER(attn_k.bias), BIAS, DIM_KV, DIM_NONE, .needs = SPLIT, .optional = true},
    {"attn_v.bias", LAYER(attn_v.bias), BIAS, DIM_KV, DIM_NONE, .needs = SPLIT, .optional = true},
    {"attn_qkv.weight", LAYER(attn_q), MATRIX, DIM_EMBD, DIM_QUERY, .needs = FUSED, .n_all = DIM_QKV},
    {"attn_qkv.weight", LAYER(attn_k), MATRIX, DIM_EMBD, DIM_KV, .needs = FUSED, .start = DIM_QUERY,
     .n_all = DIM_QKV},
    {"attn_qkv.weight", LAYER(attn_v), MATRIX, DIM_EMBD, DIM_KV, .needs = FUSED, .start = DIM_QUERY_KEY,
     .n_all = DIM_QKV},
    {"attn_qkv.bias", LAYER(attn_q.bias), BIAS, DIM_QUERY, DIM_NONE, .needs = FUSED, .optional = true,
     .n_all = DIM_QKV},
    {"attn_qkv.bias", LAYER(attn_k.bias), BIAS, DIM_KV, DIM_NONE, .needs = FUSED, .optional = true,
     .start = DIM_QUERY, .n_all = DIM_QKV},
    {"attn_qkv.bias", LAYER(attn_v.bias), BIAS, DIM_KV, DIM_NONE, .needs = FUSED, .optional = true,
     .start = DIM_QUERY_KEY, .n_all = DIM_QKV},
    {"attn_q_norm.weight", LAYER(attn_q_norm), VECTOR, DIM_HEAD, DIM_NONE, .needs = HEADS},
    {"attn_k_norm.weight", LAYER(attn_k_norm), VECTOR, DIM_HEAD, DIM_NONE, .needs = HEADS},
    {"attn_q_norm.weight", LAYER(attn_q_norm), VECTOR, DIM_QUERY, DIM_NONE, .needs = ALL_HEADS},
    {"attn_k_norm.weight", LAYER(attn_k_norm), VECTOR, DIM_KV, DIM_NONE, .needs = ALL_HEADS},
    {"attn_sinks.weight", LAYER(attn_sinks), VECTOR, DIM_N_HEAD, DIM_NONE, .needs = SINKS},
    {"attn_output.weight", LAYER(attn_output), MATRIX, DIM_QUERY, DIM_EMBD, .optional = false},
    {"attn_output.bias", LAYER(attn_output.bias), BIAS, DIM_EMBD, DIM_NONE, .optional = true},
    {"post_attention_norm.weight", LAYER(attn_post_norm), VECTOR, DIM_EMBD, DIM_NONE, .needs = POST},
    {"ffn_norm.weight", LAYER(ffn_norm), VECTOR, DIM_EMBD, DIM_NONE, .needs = NAMED},
    {"post_attention_norm.weight", LAYER(ffn_norm), VECTOR, DIM_EMBD, DIM_NONE, .needs = MISNAMED},
    {"ffn_gate.weight", LAYER(ffn_gate), MATRIX, DIM_EMBD, DIM_FF, .needs = DENSE},
    {"ffn_up.weight", LAYER(ffn_up), MATRIX, DIM_EMBD, DIM_FF, .needs = DENSE},
    {"ffn_gate.bias", LAYER(ffn_gate.bias), BIAS, DIM_FF, DIM_NONE, .needs = DENSE, .optional = true},
    {"ffn_up.bias", LAYER(ffn_up.bias), BIAS, DIM_FF, DIM_NONE, .needs = DENSE, .optional = true},
    {"ffn_up.weight", LAYER(ffn_gate), MATRIX, DIM_EMBD, DIM_FF, .needs = DENSE_FUSED, .n_all = DIM_GATE_UP},
    {"ffn_up.weight", LAYER(ffn_up), MATRIX, DIM_EMBD, DIM_FF, .needs = DENSE_FUSED, .start = DIM_FF,
     .n_all = DIM_GATE_UP},
    {"ffn_down.weight", LAYER(ffn_down), MATRIX, DIM_FF, DIM_EMBD, .needs = EX_FEATURE_DENSE},
    {"ffn_down.bias", LAYER(ffn_down.bias), BIAS, DIM_EMBD, DIM_NONE, .needs = EX_FEATURE_DENSE, .optional = true},
    {"ffn_gate_inp.weight", LAYER(router), MATRIX, DIM_EMBD, DIM_EXPERTS, .needs = ROUTED},
    {"ffn_gate_inp.bias", LAYER(router.bias), BIAS, DIM_EXPERTS, DIM_NONE, .needs = ROUTED, .optional = true},
    {"ffn_gate_exps.weight", LAYER(ffn_gate), EXPERTS, DIM_EMBD, DIM_FF, .needs = ROUTED_SPLIT},
    {"ffn_up_exps.weight", LAYER(ffn_up), EXPERTS, DIM_EMBD, DIM_FF, .needs = ROUTED_SPLIT},
    {"ffn_gate_exps.bias", LAYER(ffn_gate.bias), EXPERT_BIAS, DIM_FF, DIM_NONE, .needs = ROUTED_SPLIT,
     .optional = true},
    {"ffn_up_exps.bias", LAYER(ffn_up.bias), EXPERT_BIAS, DIM_FF, DIM_NONE, .needs = ROUTED_SPLIT, .optional = true},
    {"ffn_gate_up_exps.weight", LAYER(ffn_gate), EXPERTS, DIM_EMBD, DIM_FF, .needs = ROUTED_FUSED,
     .n_all = DIM_GATE_UP},
    {"ffn_gate_up_exps.weight", LAYER(ffn_up), EXPERTS, DIM_EMBD, DIM_FF, .needs = ROUTED_FUSED, .start = DIM_FF,
     .n_all = DIM_GATE_UP},
    {"ffn_down_exps.weight", LAYER(ffn_down), EXPERTS, DIM_FF, DIM_EMBD, .needs = ROUTED},
    {"ffn_down_exps.bias", LAYER(ffn_down.bias), EXPERT_BIAS, DIM_EMBD, DIM_NONE, .needs = ROUTED, .optional = true},
    {"post_ffw_norm.weight", LAYER(ffn_post_norm), VECTOR, DIM_EMBD, DIM_NONE, .needs = POST},
};

#define N_ROWS(rows) (sizeof(rows) / sizeof *(rows))

typedef struct loader {
    const ex_file *file;
    const ex_kernels *kernels;
    uint64_t dimensions[DIM_COUNT];
    uint32_t features;
    ex_error *error;
} loader;

static ex_code fail_tensor(loader *load, const ex_tensor *tensor, ex_code code, const char *what) {
    return ex_fail(load->error, code, tensor->offset, "%s: byte %llu: tensor '%.*s' %s",
                   ex_file_part_path(load->file, tensor->part),
                   (unsigned long long)tensor->offset, (int)tensor->name.length, tensor->name.data, what);
}

static ex_code check_shape(loader *load, const ex_tensor *tensor, uint64_t n_in, uint64_t n_out, uint64_t n_expert) {
    bool fits = tensor->ne[0] == n_in && tensor->ne[1] == n_out && tensor->ne[2] == n_expert && tensor->ne[3] == 1;
    if (fits) return EX_OK;
    char what[160], needed[80];
    snprintf(needed, sizeof needed, n_expert > 1 ? "%llu, %llu, %llu" : "%llu, %llu", (unsigned long long)n_in,
             (unsigned long long)n_out, (unsigned long long)n_expert);
    snprintf(what, sizeof what, "has shape [%llu, %llu, %llu, %llu] where [%s] is needed",
             (unsigned long long)tensor->ne[0], (unsigned long long)tensor->ne[1], (unsigned long long)tensor->ne[2],
             (unsigned long long)tensor->ne[3], needed);
    return fail_tensor(load, tensor, EX_ERROR_FORMAT, what);
}

static ex_code place_matrix(loader *load, const ex_tensor *tensor, const tensor_row *row, ex_matrix *matrix) {
    uint64_t n_out = load->dimensions[row->n_out], n_all = row->n_all ? load->dimensions[row->n_all] : n_out;
    uint64_t n_expert = row->kind == EXPERTS ? load->dimensions[DIM_EXPERTS] : 1;
    ex_code code = check_shape(load, tensor, load->dimensions[row->n_in], n_all, n_expert);
    if (code != EX_OK) return code;
    if (tensor->type >= EX_TYPE_COUNT || !load->kernels->matmul[tensor->type] || !ex_format_find(tensor->type)) {
        char what[96];
        snprintf(what, sizeof what, "has type %s, which is not supported", ex_type_name(tensor->type));
        return fail_tensor(load, tensor, EX_ERROR_UNSUPPORTED, what);
    }
    matrix->type = tensor->type;
    matrix->n_in = tensor->ne[0];
    matrix->n_out = n_out;
    matrix->row_bytes = tensor->n_bytes / (n_all * n_expert);
    matrix->n_experts = n_expert;
    matrix->expert_bytes = n_all * matrix->row_bytes;
    matrix->matmul = load->kernels->matmul[tensor->type];
    matrix->data = (const char *)tensor->data + load->dimensions[row->start] * matrix->row_bytes;
    if (ex_format_find(tensor->type)->integer_dot && matrix->n_in % EX_QUANT_BLOCK != 0)
        return fail_tensor(load, tensor, EX_ERROR_UNSUPPORTED, "has rows that are no multiple of 32");
    return EX_OK;
}

static ex_code place_vector(loader *load, const ex_tensor *tensor, const tensor_row *row, const float **vector) {
    uint64_t n = load->dimensions[row->n_all ? row->n_all : row->n_in];
    uint64_t n_expert = row->kind == EXPERT_BIAS ? load->dimensions[DIM_EXPERTS] : 1;
    ex_code code = check_shape(load, tensor, n, n_expert, 1);
    if (code != EX_OK) return code;
    if (tensor->type != EX_TYPE_F32) return fail_tensor(load, tensor, EX_ERROR_UNSUPPORTED, "must have type F32");
    const float *values = tensor->data;
    for (uint64_t i = 0; i < n * n_expert; i++)
        if (!isfinite(values[i]))
            return fail_tensor(load, tensor, EX_ERROR_NUMBER, "holds a value that is not finite");
    *vector = values + load->dimensions[row->start];
    return EX_OK;
}

static ex_code place(loader *load, const char *name, const tensor_row *row, void *base) {
    const ex_tensor *tensor = ex_file_find_tensor(load->file, name);
    if (!tensor && row->optional) return EX_OK;
    if (!tensor)
        return ex_fail(load->error, EX_ERROR_FORMAT, 0, "%s: tensor '%s' is missing", ex_file_path(load->file), name);
    void *target = (char *)base + row->offset;
    bool is_matrix = row->kind == MATRIX || row->kind == EXPERTS;
    return is_matrix ? place_matrix(load, tensor, row, target) : place_vector(load, tensor, row, target);
}

static bool applies(const loader *load, const tensor_row *row) { return (row->needs & ~load->features) == 0; }

static ex_code place_all(loader *load, ex_weights *weights, int32_t n_layer) {
    ex_code code = EX_OK;
    for (size_t i = 0; i < N_ROWS(model_rows) && code == EX_OK; i++)
        code = place(load, model_rows[i].name, &model_rows[i], weights);
    for (int32_t layer = 0; layer < n_layer; layer++)
        for (size_t i = 0; i < N_ROWS(layer_rows) && code == EX_OK; i++) {
            if (!applies(load, &layer_rows[i])) continue;
            char name[80];
            snprintf(name, sizeof name, "blk.%d.%s", layer, layer_rows[i].name);
            code = place(load, name, &layer_rows[i], &weights->layers[layer]);
        }
    return code;
}

static bool is_known(const loader *load, const char *name, int32_t n_layer) {
    for (size_t i = 0; i < N_ROWS(model_rows); i++)
        if (strcmp(name, model_rows[i].name) == 0) return true;
    if (strncmp(name, "blk.", 4) != 0) return false;
    char *end;
    long layer = strtol(name + 4, &end, 10);
    if (end == name + 4 || *end != '.' || layer < 0 || layer >= n_layer) return false;
    for (size_t i = 0; i < N_ROWS(layer_rows); i++)
        if (strcmp(end + 1, layer_rows[i].name) == 0 && applies(load, &layer_rows[i])) return true;
    return false;
}

static ex_code refuse_unused(loader *load, int32_t n_layer) {
    for (size_t i = 0; i < ex_file_tensor_count(load->file); i++) {
        const ex_tensor *tensor = ex_file_tensor(load->file, i);
        char name[80];
        snprintf(name, sizeof name, "%.*s", (int)tensor->name.length, tensor->name.data);
        if (!is_known(load, name, n_layer))
            return fail_tensor(load, tensor, EX_ERROR_UNSUPPORTED, "is not one that this architecture uses here");
    }
    return EX_OK;
}

/* Some tensors come in two forms, told apart by what the first layer has. */
static uint32_t find_features(const ex_file *file, const ex_architecture *architecture, const ex_shape *shape) {
    uint32_t features = architecture->features;
    bool experts = shape->n_expert > 0;
    bool fused = experts ? ex_file_find_tensor(file, "blk.0.ffn_gate_up_exps.weight") != NULL
                         : ex_file_find_tensor(file, "blk.0.ffn_gate.weight") == NULL;
    features |= features & EX_FEATURE_MISNAMED_NORM ? 0 : EX_FEATURE_NAMED_NORM;
    features |= experts ? EX_FEATURE_EXPERTS : EX_FEATURE_DENSE;
    features |= fused ? EX_FEATURE_FUSED_GATE : EX_FEATURE_SPLIT_GATE;
    features |= ex_file_find_tensor(file, "blk.0.attn_qkv.weight") ? EX_FEATURE_FUSED_QKV : EX_FEATURE_SPLIT_QKV;
    return features;
}

/* Weights that one token reads: all of them, but of the embedding one row unless it is the output matrix too, and of
 * the experts those that are used. */
static void count_bytes(ex_weights *weights, const ex_shape *shape, const ex_file *file) {
    for (size_t i = 0; i < ex_file_tensor_count(file); i++) {
        const ex_tensor *tensor = ex_file_tensor(file, i);
        weights->n_parameters += tensor->ne[0] * tensor->ne[1] * tensor->ne[2] * tensor->ne[3];
        weights->n_bytes += tensor->n_bytes;
        bool experts = tensor->ne[2] > 1;
        uint64_t n_used = (uint64_t)shape->n_expert_used, n_expert = (uint64_t)shape->n_expert;
        weights->bytes_per_token += experts ? tensor->n_bytes / n_expert * n_used : tensor->n_bytes;
    }
    const ex_matrix *embedding = &weights->token_embd;
    bool tied = weights->output.data == embedding->data;
    if (!tied) weights->bytes_per_token -= (embedding->n_out - 1) * embedding->row_bytes;
}

static void set_dimensions(uint64_t *dimensions, const ex_shape *shape) {
    uint64_t head_dim = (uint64_t)shape->head_dim;
    dimensions[DIM_EMBD] = (uint64_t)shape->n_embd;
    dimensions[DIM_QUERY] = (uint64_t)shape->n_head * head_dim;
    dimensions[DIM_KV] = (uint64_t)shape->n_head_kv * head_dim;
    dimensions[DIM_QUERY_KEY] = dimensions[DIM_QUERY] + dimensions[DIM_KV];
    dimensions[DIM_QKV] = dimensions[DIM_QUERY_KEY] + dimensions[DIM_KV];
    dimensions[DIM_HEAD] = head_dim;
    dimensions[DIM_N_HEAD] = (uint64_t)shape->n_head;
    dimensions[DIM_FF] = (uint64_t)shape->n_ff;
    dimensions[DIM_GATE_UP] = 2 * (uint64_t)shape->n_ff;
    dimensions[DIM_VOCAB] = (uint64_t)shape->n_vocab;
    dimensions[DIM_ROPE] = (uint64_t)shape->n_rot / 2;
    dimensions[DIM_EXPERTS] = (uint64_t)shape->n_expert;
}

static ex_code check_rope(const ex_weights *weights, const ex_shape *shape, const char *path, ex_error *error) {
    if (shape->rope_scaling != EX_ROPE_LONG || (weights->rope_factors_short && weights->rope_factors_long))
        return EX_OK;
    return ex_fail(error, EX_ERROR_FORMAT, 0,
                   "%s: RoPE scaling 'longrope' needs the tensors rope_factors_short.weight and "
                   "rope_factors_long.weight", path);
}

ex_code ex_weights_open(ex_weights *weights, const ex_file *file, const ex_architecture *architecture,
                        const ex_shape *shape, const ex_kernels *kernels, ex_error *error) {
    *weights = (ex_weights){0};
    weights->layers = ex_allocate((size_t)shape->n_layer, sizeof *weights->layers);
    if (!weights->layers) return ex_fail_memory(error, "the layers");
    loader load = {.file = file, .kernels = kernels, .error = error};
    load.features = find_features(file, architecture, shape);
    set_dimensions(load.dimensions, shape);
    ex_code code = place_all(&load, weights, shape->n_layer);
    if (code == EX_OK) code = refuse_unused(&load, shape->n_layer);
    if (code == EX_OK) code = check_rope(weights, shape, ex_file_path(file), error);
    if (code != EX_OK) {
        ex_weights_close(weights);
        return code;
    }
    if (!weights->output.data) weights->output = weights->token_embd;
    count_bytes(weights, shape, file);
    return EX_OK;
}

void ex_weights_close(ex_weights *weights) {
    free(weights->layers);
    weights->layers = NULL;
}

static bool explain_tensor(const ex_file *file, const ex_tensor *tensor, float *row, ex_error *error) {
    const ex_format *format = ex_format_find(tensor->type);
    uint64_t n_rows = tensor->ne[1] * tensor->ne[2] * tensor->ne[3];
    uint64_t row_bytes = tensor->n_bytes / n_rows;
    for (uint64_t r = 0; r < n_rows; r++) {
        format->decode((const char *)tensor->data + r * row_bytes, tensor->ne[0], row);
        for (uint64_t i = 0; i < tensor->ne[0]; i++)
            if (!isfinite(row[i])) {
                uint64_t offset = tensor->offset + r * row_bytes;
                ex_fail(error, EX_ERROR_NUMBER, offset,
                        "%s: byte %llu: tensor '%.*s' has a weight or scale that is not finite (row %llu, column %llu)",
                        ex_file_part_path(file, tensor->part), (unsigned long long)offset, (int)tensor->name.length,
                        tensor->name.data, (unsigned long long)r, (unsigned long long)i);
                return true;
            }
    }
    return false;
}

bool ex_weights_explain(const ex_file *file, ex_error *error) {
    bool found = false;
    for (size_t i = 0; i < ex_file_tensor_count(file) && !found; i++) {
        const ex_tensor *tensor = ex_file_tensor(file, i);
        float *row = ex_allocate(tensor->ne[0], sizeof *row);
        if (!row) return false;
        found = explain_tensor(file, tensor, row, error);
        free(row);
    }
    return found;
}
