#include "convert_support.h"

#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/half.h"

const char made_config[] =
    "{\"model_type\": \"%s\", %s \"hidden_size\": 8, \"intermediate_size\": 12, \"num_hidden_layers\": 2,"
    " \"num_attention_heads\": 4, \"num_key_value_heads\": 2, \"head_dim\": 4, \"max_position_embeddings\": 64,"
    " \"rms_norm_eps\": 1e-05, \"hidden_act\": \"silu\", \"vocab_size\": 24, \"eos_token_id\": 21}";

const char made_tokenizer[] =
    "{\"added_tokens\": [{\"id\": 20, \"content\": \"<s>\", \"special\": true}, {\"id\": 21, \"content\": \"</s>\","
    " \"special\": true}, {\"id\": 22, \"content\": \"<think>\", \"special\": false}], \"normalizer\": null,"
    " \"pre_tokenizer\": {\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"use_regex\": true},"
    " \"post_processor\": null, \"model\": {\"type\": \"BPE\", \"unk_token\": null, \"byte_fallback\": false,"
    " \"vocab\": {\"a\": 0, \"b\": 1, \"c\": 2, \"\\u0120\": 3, \"ab\": 4, \"\\u0120ab\": 5, \"abc\": 6, \"<s>\": 20},"
    " \"merges\": [\"a b\", [\"\\u0120\", \"ab\"], \"ab c\"]}}";

static void add(made_model *model, const char *dtype, uint64_t rows, uint64_t columns, int layer, const char *name) {
    made_tensor *tensor = &model->tensors[model->n_tensors++];
    if (layer < 0) snprintf(tensor->name, sizeof tensor->name, "%s", name);
    else snprintf(tensor->name, sizeof tensor->name, "model.layers.%d.%s", layer, name);
    snprintf(tensor->dtype, sizeof tensor->dtype, "%s", dtype);
    tensor->rows = rows;
    tensor->columns = columns;
}

void made_tensors(made_model *model, const char *family, const char *matrix_dtype, const char *vector_dtype,
                  bool tied) {
    enum { QUERY = MADE_HEADS * MADE_HEAD_DIM, KV = MADE_HEADS_KV * MADE_HEAD_DIM };
    bool biases = strcmp(family, "qwen2") == 0 || strcmp(family, "biased") == 0, norms = strcmp(family, "qwen3") == 0;
    memset(model, 0, sizeof *model);
    add(model, matrix_dtype, MADE_VOCAB, MADE_EMBD, -1, "model.embed_tokens.weight");
    for (int i = 0; i < MADE_LAYERS; i++) {
        add(model, vector_dtype, 0, MADE_EMBD, i, "input_layernorm.weight");
        add(model, matrix_dtype, QUERY, MADE_EMBD, i, "self_attn.q_proj.weight");
        add(model, matrix_dtype, KV, MADE_EMBD, i, "self_attn.k_proj.weight");
        add(model, matrix_dtype, KV, MADE_EMBD, i, "self_attn.v_proj.weight");
        add(model, matrix_dtype, MADE_EMBD, QUERY, i, "self_attn.o_proj.weight");
        if (biases) add(model, vector_dtype, 0, QUERY, i, "self_attn.q_proj.bias");
        if (biases) add(model, vector_dtype, 0, KV, i, "self_attn.k_proj.bias");
        if (biases) add(model, vector_dtype, 0, KV, i, "self_attn.v_proj.bias");
        if (norms) add(model, vector_dtype, 0, MADE_HEAD_DIM, i, "self_attn.q_norm.weight");
        if (norms) add(model, vector_dtype, 0, MADE_HEAD_DIM, i, "self_attn.k_norm.weight");
        add(model, vector_dtype, 0, MADE_EMBD, i, "post_attention_layernorm.weight");
        add(model, matrix_dtype, MADE_FF, MADE_EMBD, i, "mlp.gate_proj.weight");
        add(model, matrix_dtype, MADE_FF, MADE_EMBD, i, "mlp.up_proj.weight");
        add(model, matrix_dtype, MADE_EMBD, MADE_FF, i, "mlp.down_proj.weight");
    }
    add(model, vector_dtype, 0, MADE_EMBD, -1, "model.norm.weight");
    if (!tied) add(model, matrix_dtype, MADE_VOCAB, MADE_EMBD, -1, "lm_head.weight");
}

float made_weight(const char *name, uint64_t index) {
    uint64_t hash = 7;
    for (; *name; name++) hash = hash * 31 + (unsigned char)*name;
    return (float)((int)((hash + index * 37) % 511) - 255) / 64; /* eight bits, as bfloat16 has them */
}

static size_t put(unsigned char *out, const char *dtype, float value) {
    bool is_half = strcmp(dtype, "F16") == 0;
    uint16_t half = is_half ? ex_half_from_float(value) : ex_bfloat_from_float(value);
    if (strcmp(dtype, "F32") == 0) memcpy(out, &value, sizeof value);
    else memcpy(out, &half, sizeof half);
    return strcmp(dtype, "F32") == 0 ? sizeof value : sizeof half;
}

static uint64_t count_weights(const made_tensor *tensor) { return (tensor->rows ? tensor->rows : 1) * tensor->columns; }

static size_t put_header(char *out, size_t size, const made_model *model, size_t first, size_t last) {
    size_t n = (size_t)snprintf(out, size, "{\"__metadata__\":{\"format\":\"pt\"}"), at = 0;
    for (size_t i = first; i < last; i++) {
        const made_tensor *tensor = &model->tensors[i];
        size_t n_bytes = count_weights(tensor) * (strcmp(tensor->dtype, "F32") == 0 ? 4 : 2);
        n += (size_t)snprintf(out + n, size - n, ",\"%s\":{\"dtype\":\"%s\",\"shape\":[", tensor->name, tensor->dtype);
        if (tensor->rows) n += (size_t)snprintf(out + n, size - n, "%llu,", (unsigned long long)tensor->rows);
        n += (size_t)snprintf(out + n, size - n, "%llu],\"data_offsets\":[%zu,%zu]}",
                              (unsigned long long)tensor->columns, at, at + n_bytes);
        at += n_bytes;
    }
    n += (size_t)snprintf(out + n, size - n, "}   ");
    assert_true(n < size);
    return n;
}

void made_safetensors(const char *path, const made_model *model, size_t first, size_t last) {
    enum { ROOM = 1 << 16 };
    char *header = calloc(ROOM, 1);
    unsigned char number[4];
    FILE *file = fopen(path, "wb");
    assert_true(header && file);
    uint64_t n = put_header(header, ROOM, model, first, last);
    fwrite(&n, sizeof n, 1, file);
    fwrite(header, 1, n, file);
    for (size_t i = first; i < last; i++)
        for (uint64_t w = 0; w < count_weights(&model->tensors[i]); w++)
            fwrite(number, put(number, model->tensors[i].dtype, made_weight(model->tensors[i].name, w)), 1, file);
    assert_int_equal(fclose(file), 0);
    free(header);
}

void made_text(const char *path, const char *text) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}
