#include "model/shape.h"

#include <math.h>
#include <stdio.h>

#include "base/error.h"
#include "base/text.h"

enum { MAX_HEADS = 1024, MAX_WIDTH = 1 << 20, MAX_HEAD_DIM = 512, MAX_CONTEXT = 1 << 28 };

/* Reading keys "ARCHITECTURE.name": a reader carries the first error, so that a list of reads needs one check. */
typedef struct key_reader {
    const ex_file *file;
    ex_string architecture;
    int32_t n_layer; /* once it is known: arrays have as many values */
    ex_error *error;
    ex_code code;
} key_reader;

static const ex_key *find(key_reader *reader, const char *name, char full[160]) {
    snprintf(full, 160, "%.*s.%s", (int)reader->architecture.length, reader->architecture.data, name);
    return ex_file_find_key(reader->file, full);
}

static void fail(key_reader *reader, const ex_key *key, const char *name, const char *what) {
    if (reader->code != EX_OK) return;
    uint64_t offset = key ? key->offset : 0;
    reader->code = ex_fail(reader->error, EX_ERROR_FORMAT, offset, "%s: byte %llu: key '%s' %s",
                           ex_file_path(reader->file), (unsigned long long)offset, name, what);
}

enum { REQUIRED = -1 }; /* as a default: the key must be there */

/* An integer in [low, high]. Some writers store one value for each layer; that is the same as long as all agree. */
static int32_t read_integer(key_reader *reader, const char *name, int64_t default_value, int64_t low, int64_t high) {
    char full[160], what[96];
    const ex_key *key = find(reader, name, full);
    if (!key) {
        if (default_value == REQUIRED) fail(reader, NULL, full, "is missing");
        return (int32_t)default_value;
    }
    int64_t value = 0, other;
    if (key->count == 0 || key->element == EX_VALUE_BOOL || !ex_key_integer(key, 0, &value))
        fail(reader, key, full, "is no integer");
    if (key->type == EX_VALUE_ARRAY && key->count != (uint64_t)reader->n_layer)
        fail(reader, key, full, "is an array, but does not have one value for each layer");
    for (uint64_t i = 1; i < key->count && reader->code == EX_OK; i++)
        if (!ex_key_integer(key, i, &other) || other != value)
            fail(reader, key, full, "differs between layers, which is not supported for this architecture");
    if (value < low || value > high) {
        snprintf(what, sizeof what, "is %lld, outside %lld to %lld", (long long)value, (long long)low, (long long)high);
        fail(reader, key, full, what);
        return (int32_t)low;
    }
    return (int32_t)value;
}

/* A finite number above 0, and not so small that one divided by it is infinite.
 * A negative default: the key must be there. Some keys say "no" with a 0: `or_zero`. */
static float read_number(key_reader *reader, const char *name, double default_value, bool or_zero) {
    char full[160];
    const ex_key *key = find(reader, name, full);
    double value = default_value;
    if (!key) {
        if (default_value < 0) fail(reader, NULL, full, "is missing");
        return (float)value;
    }
    if (key->type == EX_VALUE_ARRAY || !ex_key_number(key, 0, &value)) fail(reader, key, full, "is no number");
    if (or_zero && value == 0) return (float)default_value;
    if (reader->code == EX_OK && !(isnormal((float)value) && value > 0))
        fail(reader, key, full, "is not a finite number above 0");
    return (float)value;
}

static float read_positive(key_reader *reader, const char *name, double default_value) {
    return read_number(reader, name, default_value, false);
}

static float read_optional(key_reader *reader, const char *name, double default_value) {
    return read_number(reader, name, default_value, true);
}

static const struct { const char *name; ex_rope_scaling scaling; } rope_scalings[] = {
    {"none", EX_ROPE_LINEAR}, {"linear", EX_ROPE_LINEAR}, {"yarn", EX_ROPE_YARN}, {"longrope", EX_ROPE_LONG},
    {"su", EX_ROPE_LONG}, /* what the first files called it */
};

enum { N_ROPE_SCALINGS = sizeof rope_scalings / sizeof *rope_scalings };

static void read_rope_scaling(key_reader *reader, const ex_architecture *architecture, ex_shape *shape) {
    char full[160];
    const ex_key *key = find(reader, "rope.scaling.type", full);
    ex_string type = {"linear", 6};
    if (key && !ex_key_string(key, 0, &type)) fail(reader, key, full, "is no text");
    size_t row = 0;
    while (row < N_ROPE_SCALINGS && !ex_string_is(type, rope_scalings[row].name)) row++;
    if (row == N_ROPE_SCALINGS) {
        fail(reader, key, full, "names a kind of RoPE scaling that is not supported "
                                "(supported: none, linear, yarn, longrope)");
        return;
    }
    shape->rope_scaling = rope_scalings[row].scaling;
    float legacy = read_optional(reader, "rope.scale_linear", 1);
    float factor = read_optional(reader, "rope.scaling.factor", legacy);
    shape->rope_scale = row == 0 ? 1 : 1 / factor;
    shape->n_context_original =
        read_integer(reader, "rope.scaling.original_context_length", shape->n_context, 1, MAX_CONTEXT);
    shape->rope_magnitude = read_optional(reader, "rope.scaling.attn_factor", 1);
    if (shape->rope_scaling != EX_ROPE_YARN) return;
    shape->rope_magnitude *= 1 + 0.1f * logf(factor);
    shape->yarn_extrapolation = read_optional(reader, "rope.scaling.yarn_ext_factor", 1);
    shape->yarn_beta_fast = read_optional(reader, "rope.scaling.yarn_beta_fast", 32);
    shape->yarn_beta_slow = read_optional(reader, "rope.scaling.yarn_beta_slow", 1);
    shape->exact_yarn_ramp = architecture->exact_yarn_ramp;
}

static void read_rope(key_reader *reader, const ex_architecture *architecture, ex_shape *shape) {
    shape->n_rot = read_integer(reader, "rope.dimension_count", shape->head_dim, 2, shape->head_dim);
    shape->rope_base = read_positive(reader, "rope.freq_base", 10000);
    float local_base = architecture->local_rope_base > 0 ? architecture->local_rope_base : shape->rope_base;
    if (architecture->plain_local_rope && shape->window > 0)
        shape->local_rope_base = read_positive(reader, "rope.freq_base_swa", (double)local_base);
    read_rope_scaling(reader, architecture, shape);
}

static void set_local(ex_shape *shape, int32_t layer) { shape->local_layers[layer / 64] |= UINT64_C(1) << layer % 64; }

/* The pattern is a period, a flag for each layer, or what the architecture always has. */
static void read_window(key_reader *reader, const ex_architecture *architecture, ex_shape *shape) {
    char full[160];
    int32_t window = read_integer(reader, "attention.sliding_window", architecture->window, 0, INT32_MAX);
    if (window == 0 || architecture->window_period == 0) return;
    shape->window = window;
    const ex_key *key = find(reader, "attention.sliding_window_pattern", full);
    int64_t value = architecture->window_period;
    bool each = key && key->type == EX_VALUE_ARRAY && key->count == (uint64_t)shape->n_layer;
    for (int32_t layer = 0; each && layer < shape->n_layer; layer++) {
        if (!ex_key_integer(key, (uint64_t)layer, &value)) fail(reader, key, full, "is no flag for each layer");
        if (value != 0) set_local(shape, layer);
    }
    if (each) return;
    if (key && (key->type == EX_VALUE_ARRAY || !ex_key_integer(key, 0, &value) || value < 1 || value > EX_WINDOW_ALL))
        fail(reader, key, full, "is neither a period nor a flag for each layer");
    for (int32_t layer = 0; layer < shape->n_layer; layer++)
        if (value > 0 && (layer + 1) % value != 0) set_local(shape, layer);
}

/* Softmax over all experts and then over those taken is the same as softmax over the taken ones alone. */
static void read_experts(key_reader *reader, ex_shape *shape) {
    char full[160];
    shape->n_expert = read_integer(reader, "expert_count", 0, 0, EX_MAX_EXPERTS);
    shape->expert_scale = read_optional(reader, "expert_weights_scale", 1);
    int32_t dense = read_integer(reader, "feed_forward_length", shape->n_expert > 0 ? 1 : REQUIRED, 1, MAX_WIDTH);
    shape->n_ff = dense;
    if (shape->n_expert == 0) return;
    shape->n_expert_used = read_integer(reader, "expert_used_count", REQUIRED, 1, shape->n_expert);
    shape->n_ff = read_integer(reader, "expert_feed_forward_length", dense, 1, MAX_WIDTH);
    int32_t gating = read_integer(reader, "expert_gating_func", 1, 0, INT32_MAX);
    if (gating != 1 && gating != 3)
        fail(reader, find(reader, "expert_gating_func", full), full,
             "asks for a kind of routing that is not supported (supported: 1 and 3, softmax)");
}

static int32_t read_vocabulary_size(key_reader *reader) {
    const ex_tensor *embedding = ex_file_find_tensor(reader->file, "token_embd.weight");
    if (embedding && embedding->n_dims == 2 && embedding->ne[1] > 0 && embedding->ne[1] <= INT32_MAX / 2)
        return (int32_t)embedding->ne[1];
    if (reader->code == EX_OK)
        reader->code = ex_fail(reader->error, EX_ERROR_FORMAT, 0, "%s: %s", ex_file_path(reader->file),
                               embedding ? "tensor 'token_embd.weight' does not have the shape of an embedding"
                                         : "no tensor 'token_embd.weight': this file holds no weights");
    return 1;
}

static void read_scales(key_reader *reader, const ex_architecture *architecture, ex_shape *shape) {
    bool is_wide = architecture->wide_n_layer > 0 && shape->n_layer == architecture->wide_n_layer;
    double width = is_wide ? (double)shape->n_embd / shape->n_head : (double)shape->head_dim;
    shape->attention_scale = read_optional(reader, "attention.scale", 1 / sqrt(width));
    shape->attention_softcap =
        read_optional(reader, "attn_logit_softcapping", (double)architecture->attention_softcap);
    shape->logit_softcap = read_optional(reader, "final_logit_softcapping", (double)architecture->logit_softcap);
    shape->logit_scale = 1 / read_optional(reader, "logit_scale", 1);
    shape->residual_scale = read_optional(reader, "residual_scale", 1);
    double embedding = architecture->scales_embedding ? sqrt(shape->n_embd) : 1;
    shape->embedding_scale = read_optional(reader, "embedding_scale", embedding);
    shape->rms_epsilon = read_positive(reader, "attention.layer_norm_rms_epsilon", -1);
}

static ex_code check_heads(const ex_shape *shape, int32_t value_dim, const char *path, ex_error *error) {
    if (shape->n_head % shape->n_head_kv != 0)
        return ex_fail(error, EX_ERROR_FORMAT, 0, "%s: %d heads cannot share %d key-value heads", path, shape->n_head,
                       shape->n_head_kv);
    if (shape->head_dim < 2 || shape->head_dim > MAX_HEAD_DIM)
        return ex_fail(error, EX_ERROR_FORMAT, 0, "%s: %d dimensions for %d heads: a head has 2 to %d", path,
                       shape->n_embd, shape->n_head, MAX_HEAD_DIM);
    if (shape->head_dim % 2 != 0 || shape->n_rot % 2 != 0)
        return ex_fail(error, EX_ERROR_FORMAT, 0, "%s: head size %d and rotated size %d must be even", path,
                       shape->head_dim, shape->n_rot);
    if (value_dim != shape->head_dim)
        return ex_fail(error, EX_ERROR_UNSUPPORTED, 0, "%s: keys of %d and values of %d dimensions are not supported",
                       path, shape->head_dim, value_dim);
    return EX_OK;
}

ex_code ex_shape_read(ex_shape *shape, const ex_architecture *architecture, const ex_file *file, ex_error *error) {
    key_reader reader = {.file = file, .error = error, .code = EX_OK};
    *shape = (ex_shape){0};
    ex_key_string(ex_file_find_key(file, "general.architecture"), 0, &reader.architecture);
    shape->n_layer = read_integer(&reader, "block_count", REQUIRED, 1, EX_MAX_LAYERS);
    reader.n_layer = shape->n_layer;
    shape->n_embd = read_integer(&reader, "embedding_length", REQUIRED, 1, MAX_WIDTH);
    shape->n_head = read_integer(&reader, "attention.head_count", REQUIRED, 1, MAX_HEADS);
    shape->n_head_kv = read_integer(&reader, "attention.head_count_kv", shape->n_head, 1, MAX_HEADS);
    shape->n_context = read_integer(&reader, "context_length", REQUIRED, 1, MAX_CONTEXT);
    read_experts(&reader, shape);
    if (reader.code != EX_OK) return reader.code;
    shape->head_dim = read_integer(&reader, "attention.key_length", shape->n_embd / shape->n_head, 2, MAX_HEAD_DIM);
    int32_t value_dim = read_integer(&reader, "attention.value_length", shape->head_dim, 2, MAX_HEAD_DIM);
    if (reader.code != EX_OK) return reader.code;
    read_window(&reader, architecture, shape);
    read_rope(&reader, architecture, shape);
    read_scales(&reader, architecture, shape);
    shape->n_vocab = read_vocabulary_size(&reader);
    if (reader.code != EX_OK) return reader.code;
    return check_heads(shape, value_dim, ex_file_path(file), error);
}
