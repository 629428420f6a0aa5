#include "tiny_model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file/gguf.h"
#include "kernel/kernel.h"
#include "support.h"

typedef enum pass { DECLARE, WRITE } pass; /* the writer wants all declarations first: the tensors are walked twice */

typedef struct maker {
    tiny_model model;
    ex_writer *writer;
    pass pass;
    uint64_t seed;
    size_t n_matrices; /* so far, for types by turns */
} maker;

/* ---- values ---------------------------------------------------------------------------------------------------- */

static bool is_bent(const maker *m, const char *name, tiny_bend bend) {
    return m->model.bent && m->model.bend == bend && strcmp(m->model.bent, name) == 0;
}

static void declare(const maker *m, const char *name, uint32_t type, uint32_t n_dims, const uint64_t *ne) {
    ex_error error;
    if (is_bent(m, name, TINY_DEEPER)) n_dims++;
    assert_ok(ex_writer_declare(m->writer, (ex_string){name, strlen(name)}, type, n_dims, ne, &error), &error);
}

static void vector(maker *m, const char *name, uint64_t n, uint64_t n_expert, double low, double high) {
    ex_error error;
    if (is_bent(m, name, TINY_WITHOUT)) return;
    if (is_bent(m, name, TINY_WIDER)) n *= 2;
    if (m->pass == DECLARE) {
        declare(m, name, EX_TYPE_F32, n_expert > 1 ? 2 : 1, (uint64_t[]){n, n_expert, 1, 1});
        return;
    }
    float *values = calloc(n * n_expert, sizeof *values);
    for (uint64_t i = 0; i < n * n_expert; i++) values[i] = (float)random_between(&m->seed, low, high);
    assert_ok(ex_writer_data(m->writer, values, n * n_expert * sizeof *values, &error), &error);
    free(values);
}

/* Blocks of MXFP4 have one byte for the exponent and 32 half bytes; any bytes make numbers. */
static void random_mxfp4(maker *m, unsigned char *bytes, size_t n_bytes) {
    for (size_t i = 0; i < n_bytes; i++)
        bytes[i] = (unsigned char)(i % 17 == 0 ? random_between(&m->seed, 123, 126) : random_between(&m->seed, 0, 256));
}

static void random_rows(maker *m, uint32_t type, double scale, const uint64_t *ne, char *bytes, size_t row_bytes) {
    float *row = calloc(ne[0], sizeof *row);
    for (uint64_t r = 0; r < ne[1] * ne[2]; r++) {
        for (uint64_t i = 0; i < ne[0]; i++) row[i] = (float)random_between(&m->seed, -scale, scale);
        ex_format_find(type)->encode(row, ne[0], bytes + r * row_bytes);
    }
    free(row);
}

static uint32_t type_of(maker *m, uint32_t type) {
    static const uint32_t turns[] = {EX_TYPE_Q8_0, EX_TYPE_Q4_K, EX_TYPE_F16, EX_TYPE_Q4_K, EX_TYPE_F32};
    return type == TINY_MIXED ? turns[m->n_matrices++ % 5] : type;
}

static void matrix(maker *m, const char *name, uint32_t wanted, double gain, const uint64_t *shape_wanted) {
    uint32_t type = type_of(m, wanted);
    uint64_t ne[4];
    memcpy(ne, shape_wanted, sizeof ne);
    if (is_bent(m, name, TINY_WITHOUT)) return;
    if (is_bent(m, name, TINY_WIDER)) ne[0] *= 2;
    if (m->pass == DECLARE) {
        declare(m, name, type, ne[2] > 1 ? 3 : 2, ne);
        return;
    }
    ex_error error;
    const ex_type_shape *shape = ex_type_find(type);
    size_t row_bytes = ne[0] / shape->block_elements * shape->block_bytes, n_bytes = row_bytes * ne[1] * ne[2];
    char *bytes = calloc(n_bytes, 1);
    if (type == EX_TYPE_MXFP4) random_mxfp4(m, (unsigned char *)bytes, n_bytes);
    else random_rows(m, type, gain * sqrt(3.0 / (double)ne[0]), ne, bytes, row_bytes);
    bool router = strstr(name, "ffn_gate_inp") != NULL;
    if (router && m->model.features & TINY_EQUAL_ROUTES) memcpy(bytes + 2 * row_bytes, bytes, row_bytes);
    assert_ok(ex_writer_data(m->writer, bytes, n_bytes, &error), &error);
    free(bytes);
}

/* ---- tensors --------------------------------------------------------------------------------------------------- */

static const char *in_layer(uint32_t layer, const char *name) {
    static char full[80];
    snprintf(full, sizeof full, "blk.%u.%s", layer, name);
    return full;
}

static void layer_matrix(maker *m, uint32_t layer, const char *name, uint64_t n_in, uint64_t n_out) {
    matrix(m, in_layer(layer, name), m->model.type, m->model.gain, (uint64_t[]){n_in, n_out, 1, 1});
}

static void layer_norm(maker *m, uint32_t layer, uint32_t feature, const char *name, uint64_t n) {
    if (m->model.features & feature) vector(m, in_layer(layer, name), n, 1, 0.7, 1.3);
}

static void layer_bias(maker *m, uint32_t layer, uint32_t feature, const char *name, uint64_t n) {
    if (m->model.features & feature) vector(m, in_layer(layer, name), n, 1, -0.5, 0.5);
}

static void attention(maker *m, uint32_t layer) {
    uint64_t n_embd = m->model.n_embd, n_query = TINY_HEADS * TINY_HEAD_DIM, n_kv = TINY_HEADS_KV * TINY_HEAD_DIM;
    layer_norm(m, layer, TINY_PRE_NORM, "attn_norm.weight", n_embd);
    if (m->model.features & TINY_FUSED_QKV) {
        layer_matrix(m, layer, "attn_qkv.weight", n_embd, n_query + 2 * n_kv);
        layer_bias(m, layer, TINY_QKV_BIAS, "attn_qkv.bias", n_query + 2 * n_kv);
    } else {
        layer_matrix(m, layer, "attn_q.weight", n_embd, n_query);
        layer_matrix(m, layer, "attn_k.weight", n_embd, n_kv);
        layer_matrix(m, layer, "attn_v.weight", n_embd, n_kv);
        layer_bias(m, layer, TINY_QKV_BIAS, "attn_q.bias", n_query);
        layer_bias(m, layer, TINY_QKV_BIAS, "attn_k.bias", n_kv);
        layer_bias(m, layer, TINY_QKV_BIAS, "attn_v.bias", n_kv);
    }
    bool all = m->model.features & TINY_PROJECTION_NORM;
    layer_norm(m, layer, TINY_HEAD_NORM | TINY_PROJECTION_NORM, "attn_q_norm.weight", all ? n_query : TINY_HEAD_DIM);
    layer_norm(m, layer, TINY_HEAD_NORM | TINY_PROJECTION_NORM, "attn_k_norm.weight", all ? n_kv : TINY_HEAD_DIM);
    if (m->model.features & TINY_SINKS) vector(m, in_layer(layer, "attn_sinks.weight"), TINY_HEADS, 1, -2, 4);
    layer_matrix(m, layer, "attn_output.weight", n_query, n_embd);
    layer_bias(m, layer, TINY_OUTPUT_BIAS, "attn_output.bias", n_embd);
    layer_norm(m, layer, TINY_POST_NORM | TINY_OPENAI_NORM, "post_attention_norm.weight", n_embd);
}

static void experts(maker *m, uint32_t layer) {
    uint64_t n_embd = m->model.n_embd, n_ff = m->model.n_ff, n_expert = m->model.n_expert;
    uint32_t type = m->model.expert_type ? m->model.expert_type : m->model.type;
    double gain = m->model.gain;
    matrix(m, in_layer(layer, "ffn_gate_inp.weight"), EX_TYPE_F32, gain, (uint64_t[]){n_embd, n_expert, 1, 1});
    if (m->model.features & TINY_ROUTER_BIAS) vector(m, in_layer(layer, "ffn_gate_inp.bias"), n_expert, 1, -1, 1);
    if (m->model.features & TINY_FUSED_EXPERTS) {
        matrix(m, in_layer(layer, "ffn_gate_up_exps.weight"), type, gain, (uint64_t[]){n_embd, 2 * n_ff, n_expert, 1});
    } else {
        matrix(m, in_layer(layer, "ffn_gate_exps.weight"), type, gain, (uint64_t[]){n_embd, n_ff, n_expert, 1});
        matrix(m, in_layer(layer, "ffn_up_exps.weight"), type, gain, (uint64_t[]){n_embd, n_ff, n_expert, 1});
    }
    matrix(m, in_layer(layer, "ffn_down_exps.weight"), type, gain, (uint64_t[]){n_ff, n_embd, n_expert, 1});
    if (!(m->model.features & TINY_EXPERT_BIAS)) return;
    vector(m, in_layer(layer, "ffn_gate_exps.bias"), n_ff, n_expert, -1, 1);
    vector(m, in_layer(layer, "ffn_up_exps.bias"), n_ff, n_expert, -1, 1);
    vector(m, in_layer(layer, "ffn_down_exps.bias"), n_embd, n_expert, -1, 1);
}

static void feed_forward(maker *m, uint32_t layer) {
    uint64_t n_embd = m->model.n_embd, n_ff = m->model.n_ff;
    bool pre = m->model.features & TINY_PRE_NORM && !(m->model.features & TINY_OPENAI_NORM);
    layer_norm(m, layer, pre ? TINY_PRE_NORM : 0, "ffn_norm.weight", n_embd);
    layer_norm(m, layer, TINY_POST_NORM, "post_ffw_norm.weight", n_embd);
    if (m->model.n_expert > 0) {
        experts(m, layer);
        return;
    }
    bool fused = m->model.features & TINY_FUSED_UP;
    if (!fused) layer_matrix(m, layer, "ffn_gate.weight", n_embd, n_ff);
    layer_matrix(m, layer, "ffn_up.weight", n_embd, fused ? 2 * n_ff : n_ff);
    layer_matrix(m, layer, "ffn_down.weight", n_ff, n_embd);
    layer_bias(m, layer, TINY_FFN_BIAS, "ffn_gate.bias", n_ff);
    layer_bias(m, layer, TINY_FFN_BIAS, "ffn_up.bias", n_ff);
    layer_bias(m, layer, TINY_FFN_BIAS, "ffn_down.bias", n_embd);
}

static void walk_tensors(maker *m) {
    uint64_t n_embd = m->model.n_embd, n_pairs = (m->model.n_rot ? m->model.n_rot : TINY_HEAD_DIM) / 2;
    const uint64_t ne[4] = {n_embd, TINY_VOCABULARY, 1, 1};
    m->n_matrices = 0;
    matrix(m, "token_embd.weight", m->model.type, 1.5 * sqrt((double)n_embd) / 4, ne);
    vector(m, "output_norm.weight", n_embd, 1, 0.7, 1.3);
    if (m->model.features & TINY_UNTIED) matrix(m, "output.weight", m->model.type, 3, ne);
    if (m->model.features & TINY_ROPE_FREQS) vector(m, "rope_freqs.weight", n_pairs, 1, 1, 8);
    if (m->model.features & TINY_ROPE_FACTORS) {
        vector(m, "rope_factors_short.weight", n_pairs, 1, 1, 1.5);
        vector(m, "rope_factors_long.weight", n_pairs, 1, 1, 16);
    }
    for (uint32_t layer = 0; layer < m->model.n_layer; layer++) {
        attention(m, layer);
        feed_forward(m, layer);
    }
}

/* ---- keys ------------------------------------------------------------------------------------------------------ */

static void write_flags(maker *m, const char *name, const char *digits) {
    unsigned char flags[64];
    size_t n = strlen(digits);
    ex_error error;
    for (size_t i = 0; i < n; i++) flags[i] = digits[i] == '1';
    ex_key key = {.name = {name, strlen(name)}, .type = EX_VALUE_ARRAY, .element = EX_VALUE_BOOL, .count = n,
                  .data = flags, .n_bytes = n};
    assert_ok(ex_writer_copy_key(m->writer, &key, &error), &error);
}

static void write_key(maker *m, const tiny_key *key) {
    char name[120];
    ex_error error;
    snprintf(name, sizeof name, "%s.%s", m->model.architecture, key->name);
    if (key->kind == 'u') assert_ok(ex_writer_u32(m->writer, name, (uint32_t)key->number, &error), &error);
    if (key->kind == 'f') assert_ok(ex_writer_f32(m->writer, name, (float)key->number, &error), &error);
    if (key->kind == 's') assert_ok(ex_writer_string(m->writer, name, key->text, strlen(key->text), &error), &error);
    if (key->kind == 'b') write_flags(m, name, key->text);
}

static bool is_given(const maker *m, const char *name) {
    for (size_t i = 0; i < TINY_KEYS && m->model.keys[i].name; i++)
        if (strcmp(m->model.keys[i].name, name) == 0) return true;
    return false;
}

static void write_keys(maker *m) {
    const char *architecture = m->model.architecture;
    ex_error error;
    const tiny_key usual[] = {
        {"block_count", 'u', m->model.n_layer, NULL},
        {"embedding_length", 'u', m->model.n_embd, NULL},
        {"feed_forward_length", 'u', m->model.n_ff, NULL},
        {"context_length", 'u', TINY_CONTEXT, NULL},
        {"attention.head_count", 'u', TINY_HEADS, NULL},
        {"attention.head_count_kv", 'u', TINY_HEADS_KV, NULL},
        {"attention.key_length", 'u', TINY_HEAD_DIM, NULL},
        {"attention.value_length", 'u', TINY_HEAD_DIM, NULL},
        {"attention.layer_norm_rms_epsilon", 'f', 1e-5, NULL},
        {"expert_count", m->model.n_expert ? 'u' : 0, m->model.n_expert, NULL},
        {"expert_used_count", m->model.n_expert ? 'u' : 0, m->model.n_used, NULL},
        {"rope.dimension_count", m->model.n_rot ? 'u' : 0, m->model.n_rot, NULL},
    };
    assert_ok(ex_writer_string(m->writer, "general.architecture", architecture, strlen(architecture), &error), &error);
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
        if (!is_given(m, usual[i].name)) write_key(m, &usual[i]);
    for (size_t i = 0; i < TINY_KEYS && m->model.keys[i].name; i++) write_key(m, &m->model.keys[i]);
}

void tiny_model_write(const tiny_model *model, const char *path) {
    ex_error error;
    maker m = {.model = *model, .seed = 7};
    if (m.model.n_layer == 0) m.model.n_layer = 3;
    if (m.model.n_embd == 0) m.model.n_embd = 64;
    if (m.model.n_ff == 0) m.model.n_ff = 96;
    if (m.model.gain == 0) m.model.gain = 1.5;
    assert_ok(ex_writer_open(&m.writer, path, &error), &error);
    write_keys(&m);
    walk_tensors(&m);
    m.pass = WRITE;
    walk_tensors(&m);
    assert_ok(ex_writer_finish(m.writer, &error), &error);
}
