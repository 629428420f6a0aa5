#include "model/architecture.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"

static const ex_architecture architectures[] = {
    {"llama", EX_ROPE_PAIRS},
};

enum { N_ARCHITECTURES = sizeof architectures / sizeof *architectures };

/* Beyond these a file is damaged or hostile, not a model that fits into a machine. */
enum { MAX_LAYERS = 1024, MAX_HEADS = 1024, MAX_WIDTH = 1 << 20, MAX_HEAD_DIM = 512, MAX_CONTEXT = 1 << 28 };

static void list_architectures(char *out, size_t size) {
    size_t used = 0;
    out[0] = 0;
    for (size_t i = 0; i < N_ARCHITECTURES && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%s", i ? ", " : "", architectures[i].name);
}

ex_code ex_architecture_find(const ex_architecture **out, const ex_file *file, ex_error *error) {
    const char *path = ex_file_path(file);
    const ex_key *key = ex_file_find_key(file, "general.architecture");
    ex_string name;
    if (!key || !ex_key_string(key, 0, &name))
        return ex_fail(error, EX_ERROR_FORMAT, key ? key->offset : 0,
                       "%s: no text 'general.architecture': this file holds no model", path);
    for (size_t i = 0; i < N_ARCHITECTURES; i++)
        if (ex_string_is(name, architectures[i].name)) {
            *out = &architectures[i];
            return EX_OK;
        }
    char known[200];
    list_architectures(known, sizeof known);
    return ex_fail(error, EX_ERROR_UNSUPPORTED, key->offset,
                   "%s: byte %llu: architecture '%.*s' is not supported (supported: %s)", path,
                   (unsigned long long)key->offset, (int)(name.length < 64 ? name.length : 64), name.data, known);
}

/* Reading keys "ARCHITECTURE.name": a reader carries the first error, so that a list of reads needs one check. */
typedef struct key_reader {
    const ex_file *file;
    ex_string architecture;
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
    if (key->count == 0 || !ex_key_integer(key, 0, &value)) fail(reader, key, full, "is no integer");
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

static float read_positive(key_reader *reader, const char *name, double default_value) {
    char full[160];
    const ex_key *key = find(reader, name, full);
    double value = default_value;
    if (!key && default_value < 0) fail(reader, NULL, full, "is missing");
    if (key && !ex_key_number(key, 0, &value)) fail(reader, key, full, "is no number");
    bool is_positive = isfinite(value) && value > 0;
    if (reader->code == EX_OK && !is_positive) fail(reader, key, full, "is not a finite number above 0");
    return (float)value;
}

static float read_rope_scale(key_reader *reader) {
    char full[160];
    const ex_key *key = find(reader, "rope.scaling.type", full);
    ex_string type = {"linear", 6};
    if (key && !ex_key_string(key, 0, &type)) fail(reader, key, full, "is no text");
    if (reader->code == EX_OK && !ex_string_is(type, "linear") && !ex_string_is(type, "none"))
        fail(reader, key, full, "names a kind of RoPE scaling that is not supported (supported: none, linear)");
    if (ex_string_is(type, "none")) return 1.0f;
    float legacy = read_positive(reader, "rope.scale_linear", 1.0);
    return 1.0f / read_positive(reader, "rope.scaling.factor", legacy);
}

static void refuse_experts(key_reader *reader) {
    if (read_integer(reader, "expert_count", 0, 0, MAX_WIDTH) == 0) return;
    char full[160];
    fail(reader, find(reader, "expert_count", full), full, "asks for a mixture of experts, which is not supported");
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

ex_code ex_shape_read(ex_shape *shape, const ex_file *file, ex_error *error) {
    key_reader reader = {.file = file, .error = error, .code = EX_OK};
    ex_key_string(ex_file_find_key(file, "general.architecture"), 0, &reader.architecture);
    shape->n_layer = read_integer(&reader, "block_count", REQUIRED, 1, MAX_LAYERS);
    shape->n_embd = read_integer(&reader, "embedding_length", REQUIRED, 1, MAX_WIDTH);
    shape->n_ff = read_integer(&reader, "feed_forward_length", REQUIRED, 1, MAX_WIDTH);
    shape->n_head = read_integer(&reader, "attention.head_count", REQUIRED, 1, MAX_HEADS);
    shape->n_head_kv = read_integer(&reader, "attention.head_count_kv", shape->n_head, 1, MAX_HEADS);
    shape->n_context = read_integer(&reader, "context_length", REQUIRED, 1, MAX_CONTEXT);
    if (reader.code != EX_OK) return reader.code;
    shape->head_dim = read_integer(&reader, "attention.key_length", shape->n_embd / shape->n_head, 2, MAX_HEAD_DIM);
    int32_t value_dim = read_integer(&reader, "attention.value_length", shape->head_dim, 2, MAX_HEAD_DIM);
    shape->n_rot = read_integer(&reader, "rope.dimension_count", shape->head_dim, 2, shape->head_dim);
    shape->rms_epsilon = read_positive(&reader, "attention.layer_norm_rms_epsilon", -1);
    shape->rope_base = read_positive(&reader, "rope.freq_base", 10000);
    shape->rope_scale = read_rope_scale(&reader);
    shape->n_vocab = read_vocabulary_size(&reader);
    refuse_experts(&reader);
    if (reader.code != EX_OK) return reader.code;

    const char *path = ex_file_path(file);
    if (shape->n_head % shape->n_head_kv != 0)
        return ex_fail(error, EX_ERROR_FORMAT, 0, "%s: %d heads cannot share %d key-value heads", path, shape->n_head,
                       shape->n_head_kv);
    if (shape->head_dim % 2 != 0 || shape->n_rot % 2 != 0)
        return ex_fail(error, EX_ERROR_FORMAT, 0, "%s: head size %d and rotated size %d must be even", path,
                       shape->head_dim, shape->n_rot);
    if (value_dim != shape->head_dim)
        return ex_fail(error, EX_ERROR_UNSUPPORTED, 0, "%s: keys of %d and values of %d dimensions are not supported",
                       path, shape->head_dim, value_dim);
    return EX_OK;
}
