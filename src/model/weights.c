#include "model/weights.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"

typedef enum dimension { DIM_EMBD, DIM_QUERY, DIM_KV, DIM_FF, DIM_VOCAB, DIM_ROPE, DIM_COUNT } dimension;

typedef enum tensor_kind { MATRIX, VECTOR, BIAS } tensor_kind;

typedef struct tensor_row { /* one tensor that a model may have, and where it goes */
    const char *name;       /* in a layer, after "blk.N." */
    size_t offset;          /* of an ex_matrix or of a pointer to floats */
    tensor_kind kind;
    dimension n_in, n_out; /* vectors have n_in only */
    bool optional;
} tensor_row;

#define LAYER(member) offsetof(ex_layer, member)
#define MODEL(member) offsetof(ex_weights, member)

static const tensor_row model_rows[] = {
    {"token_embd.weight", MODEL(token_embd), MATRIX, DIM_EMBD, DIM_VOCAB, false},
    {"output_norm.weight", MODEL(output_norm), VECTOR, DIM_EMBD, 0, false},
    {"output.weight", MODEL(output), MATRIX, DIM_EMBD, DIM_VOCAB, true},
    {"rope_freqs.weight", MODEL(rope_freqs), VECTOR, DIM_ROPE, 0, true},
};

static const tensor_row layer_rows[] = {
    {"attn_norm.weight", LAYER(attn_norm), VECTOR, DIM_EMBD, 0, false},
    {"attn_q.weight", LAYER(attn_q), MATRIX, DIM_EMBD, DIM_QUERY, false},
    {"attn_k.weight", LAYER(attn_k), MATRIX, DIM_EMBD, DIM_KV, false},
    {"attn_v.weight", LAYER(attn_v), MATRIX, DIM_EMBD, DIM_KV, false},
    {"attn_output.weight", LAYER(attn_output), MATRIX, DIM_QUERY, DIM_EMBD, false},
    {"attn_q.bias", LAYER(attn_q.bias), BIAS, DIM_QUERY, 0, true},
    {"attn_k.bias", LAYER(attn_k.bias), BIAS, DIM_KV, 0, true},
    {"attn_v.bias", LAYER(attn_v.bias), BIAS, DIM_KV, 0, true},
    {"attn_output.bias", LAYER(attn_output.bias), BIAS, DIM_EMBD, 0, true},
    {"ffn_norm.weight", LAYER(ffn_norm), VECTOR, DIM_EMBD, 0, false},
    {"ffn_gate.weight", LAYER(ffn_gate), MATRIX, DIM_EMBD, DIM_FF, false},
    {"ffn_up.weight", LAYER(ffn_up), MATRIX, DIM_EMBD, DIM_FF, false},
    {"ffn_down.weight", LAYER(ffn_down), MATRIX, DIM_FF, DIM_EMBD, false},
    {"ffn_gate.bias", LAYER(ffn_gate.bias), BIAS, DIM_FF, 0, true},
    {"ffn_up.bias", LAYER(ffn_up.bias), BIAS, DIM_FF, 0, true},
    {"ffn_down.bias", LAYER(ffn_down.bias), BIAS, DIM_EMBD, 0, true},
};

typedef struct loader {
    const ex_file *file;
    const ex_kernels *kernels;
    uint64_t dimensions[DIM_COUNT];
    size_t n_used; /* tensors of the file that have found their place */
    ex_error *error;
} loader;

static ex_code fail_tensor(loader *load, const ex_tensor *tensor, ex_code code, const char *what) {
    return ex_fail(load->error, code, tensor->offset, "%s: byte %llu: tensor '%.*s' %s", ex_file_path(load->file),
                   (unsigned long long)tensor->offset, (int)tensor->name.length, tensor->name.data, what);
}

static ex_code check_shape(loader *load, const ex_tensor *tensor, uint64_t n_in, uint64_t n_out) {
    bool fits = tensor->ne[0] == n_in && tensor->ne[1] == n_out && tensor->ne[2] == 1 && tensor->ne[3] == 1;
    if (fits) return EX_OK;
    char what[160];
    snprintf(what, sizeof what, "has shape [%llu, %llu, %llu, %llu] where [%llu, %llu] is needed",
             (unsigned long long)tensor->ne[0], (unsigned long long)tensor->ne[1], (unsigned long long)tensor->ne[2],
             (unsigned long long)tensor->ne[3], (unsigned long long)n_in, (unsigned long long)n_out);
    return fail_tensor(load, tensor, EX_ERROR_FORMAT, what);
}

static ex_code place_matrix(loader *load, const ex_tensor *tensor, const tensor_row *row, ex_matrix *matrix) {
    ex_code code = check_shape(load, tensor, load->dimensions[row->n_in], load->dimensions[row->n_out]);
    if (code != EX_OK) return code;
    char what[96];
    if (tensor->type >= EX_TYPE_COUNT || !load->kernels->matmul[tensor->type] || !ex_format_find(tensor->type)) {
        snprintf(what, sizeof what, "has type %s, which is not supported", ex_type_name(tensor->type));
        return fail_tensor(load, tensor, EX_ERROR_UNSUPPORTED, what);
    }
    matrix->data = tensor->data;
    matrix->type = tensor->type;
    matrix->n_in = tensor->ne[0];
    matrix->n_out = tensor->ne[1];
    matrix->row_bytes = tensor->n_bytes / tensor->ne[1];
    if (ex_format_find(tensor->type)->integer_dot && matrix->n_in % EX_QUANT_BLOCK != 0)
        return fail_tensor(load, tensor, EX_ERROR_UNSUPPORTED, "has rows that are no multiple of 32");
    return EX_OK;
}

static ex_code place_vector(loader *load, const ex_tensor *tensor, const tensor_row *row, const float **vector) {
    ex_code code = check_shape(load, tensor, load->dimensions[row->n_in], 1);
    if (code != EX_OK) return code;
    if (tensor->type != EX_TYPE_F32)
        return fail_tensor(load, tensor, EX_ERROR_UNSUPPORTED, "must have type F32");
    *vector = tensor->data;
    for (uint64_t i = 0; i < tensor->ne[0]; i++)
        if (!isfinite((*vector)[i]))
            return fail_tensor(load, tensor, EX_ERROR_NUMBER, "holds a value that is not finite");
    return EX_OK;
}

static ex_code place(loader *load, const char *name, const tensor_row *row, void *base) {
    const ex_tensor *tensor = ex_file_find_tensor(load->file, name);
    if (!tensor && row->optional) return EX_OK;
    if (!tensor)
        return ex_fail(load->error, EX_ERROR_FORMAT, 0, "%s: tensor '%s' is missing", ex_file_path(load->file), name);
    load->n_used++;
    void *target = (char *)base + row->offset;
    return row->kind == MATRIX ? place_matrix(load, tensor, row, target) : place_vector(load, tensor, row, target);
}

static ex_code place_all(loader *load, ex_weights *weights, int32_t n_layer) {
    ex_code code = EX_OK;
    for (size_t i = 0; i < sizeof model_rows / sizeof *model_rows && code == EX_OK; i++)
        code = place(load, model_rows[i].name, &model_rows[i], weights);
    for (int32_t layer = 0; layer < n_layer; layer++)
        for (size_t i = 0; i < sizeof layer_rows / sizeof *layer_rows && code == EX_OK; i++) {
            char name[80];
            snprintf(name, sizeof name, "blk.%d.%s", layer, layer_rows[i].name);
            code = place(load, name, &layer_rows[i], &weights->layers[layer]);
        }
    return code;
}

static bool is_known(const char *name, int32_t n_layer) {
    for (size_t i = 0; i < sizeof model_rows / sizeof *model_rows; i++)
        if (strcmp(name, model_rows[i].name) == 0) return true;
    int layer, length = 0;
    if (strncmp(name, "blk.", 4) != 0) return false;
    char *end;
    layer = (int)strtol(name + 4, &end, 10);
    if (end == name + 4 || *end != '.' || layer < 0 || layer >= n_layer) return false;
    length = (int)(end - name) + 1;
    for (size_t i = 0; i < sizeof layer_rows / sizeof *layer_rows; i++)
        if (strcmp(name + length, layer_rows[i].name) == 0) return true;
    return false;
}

static ex_code refuse_unused(loader *load, int32_t n_layer) {
    size_t count = ex_file_tensor_count(load->file);
    if (load->n_used == count) return EX_OK;
    for (size_t i = 0; i < count; i++) {
        const ex_tensor *tensor = ex_file_tensor(load->file, i);
        char name[80];
        snprintf(name, sizeof name, "%.*s", (int)tensor->name.length, tensor->name.data);
        if (!is_known(name, n_layer))
            return fail_tensor(load, tensor, EX_ERROR_UNSUPPORTED, "is not one that this architecture uses here");
    }
    return EX_OK;
}

/* Weights that one token reads: all of them, but of the embedding one row unless it is the output matrix too. */
static void count_bytes(ex_weights *weights, const ex_file *file) {
    for (size_t i = 0; i < ex_file_tensor_count(file); i++) {
        const ex_tensor *tensor = ex_file_tensor(file, i);
        weights->n_parameters += tensor->ne[0] * tensor->ne[1] * tensor->ne[2] * tensor->ne[3];
        weights->n_bytes += tensor->n_bytes;
    }
    const ex_matrix *embedding = &weights->token_embd;
    bool tied = weights->output.data == embedding->data;
    weights->bytes_per_token = weights->n_bytes - (tied ? 0 : (embedding->n_out - 1) * embedding->row_bytes);
}

ex_code ex_weights_open(ex_weights *weights, const ex_file *file, const ex_shape *shape, const ex_kernels *kernels,
                        ex_error *error) {
    *weights = (ex_weights){0};
    weights->layers = ex_allocate((size_t)shape->n_layer, sizeof *weights->layers);
    if (!weights->layers) return ex_fail_memory(error, "the layers");
    loader load = {.file = file, .kernels = kernels, .error = error};
    load.dimensions[DIM_EMBD] = (uint64_t)shape->n_embd;
    load.dimensions[DIM_QUERY] = (uint64_t)shape->n_head * (uint64_t)shape->head_dim;
    load.dimensions[DIM_KV] = (uint64_t)shape->n_head_kv * (uint64_t)shape->head_dim;
    load.dimensions[DIM_FF] = (uint64_t)shape->n_ff;
    load.dimensions[DIM_VOCAB] = (uint64_t)shape->n_vocab;
    load.dimensions[DIM_ROPE] = (uint64_t)shape->n_rot / 2;
    ex_code code = place_all(&load, weights, shape->n_layer);
    if (code == EX_OK) code = refuse_unused(&load, shape->n_layer);
    if (code != EX_OK) {
        ex_weights_close(weights);
        return code;
    }
    if (!weights->output.data) weights->output = weights->token_embd;
    count_bytes(weights, file);
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
                        ex_file_path(file), (unsigned long long)offset, (int)tensor->name.length, tensor->name.data,
                        (unsigned long long)r, (unsigned long long)i);
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
