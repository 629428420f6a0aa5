#include "convert/config.h"

#include "base/error.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const ex_family families[] = {
    {"llama", "llama", true, false},
    {"mistral", "llama", true, false},
    {"qwen2", "qwen2", false, false},
    {"qwen3", "qwen3", false, true},
};

/* Beyond these a file is damaged or hostile. */
enum { MAX_LAYERS = 1024, MAX_HEADS = 1024, MAX_WIDTH = 1 << 20, MAX_HEAD_DIM = 512, MAX_CONTEXT = 1 << 28 };

static void find_family(ex_config *config, ex_fields *fields) {
    const ex_json *type = ex_json_member(fields->map, "model_type");
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        if (ex_json_is(type, families[i].model_type)) config->family = &families[i];
    if (config->family) return;
    char known[100];
    size_t used = 0;
    for (size_t i = 0; i < sizeof families / sizeof *families && used < sizeof known; i++)
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "", families[i].model_type);
    ex_string name = ex_field_text(fields, "model_type");
    ex_field_fail(fields, EX_ERROR_UNSUPPORTED, type, "model_type '%.*s' cannot be converted (there are: %s)",
                  EX_QUOTED(name), known);
}

/* ---- RoPE ---- */

static void read_llama3(ex_scaling *scaling, ex_fields *rope) {
    scaling->low_frequency = ex_field_positive(rope, "low_freq_factor", EX_REQUIRED);
    scaling->high_frequency = ex_field_positive(rope, "high_freq_factor", EX_REQUIRED);
    if (scaling->high_frequency <= scaling->low_frequency)
        ex_field_fail(rope, EX_ERROR_FORMAT, NULL, "'high_freq_factor' must be above 'low_freq_factor'");
}

static double magnitude(double factor, double multiplier) {
    return factor > 1 ? 0.1 * multiplier * log(factor) + 1 : 1;
}

/* GGUF keeps what the usual magnitude of a factor is multiplied by. */
static void read_yarn(ex_scaling *scaling, ex_fields *rope) {
    double usual = magnitude(scaling->factor, 1), wanted = usual;
    scaling->beta_fast = ex_field_positive(rope, "beta_fast", 32);
    scaling->beta_slow = ex_field_positive(rope, "beta_slow", 1);
    if (ex_json_member(rope->map, "mscale") && ex_json_member(rope->map, "mscale_all_dim"))
        wanted = magnitude(scaling->factor, ex_field_positive(rope, "mscale", 1)) /
                 magnitude(scaling->factor, ex_field_positive(rope, "mscale_all_dim", 1));
    scaling->attention_factor = ex_field_positive(rope, "attention_factor", wanted) / usual;
    if (!ex_field_boolean(rope, "truncate", true))
        ex_field_fail(rope, EX_ERROR_UNSUPPORTED, ex_json_member(rope->map, "truncate"),
                      "YaRN without 'truncate' cannot be written as GGUF");
}

static const struct {
    const char *name;
    ex_scaling_kind kind;
    void (*read)(ex_scaling *scaling, ex_fields *rope);
} scalings[] = {
    {"default", EX_SCALING_NONE, NULL},
    {"linear", EX_SCALING_LINEAR, NULL},
    {"yarn", EX_SCALING_YARN, read_yarn},
    {"llama3", EX_SCALING_LLAMA3, read_llama3},
};

static void read_scaling(ex_config *config, ex_fields *rope) {
    const ex_json *type = ex_json_member(rope->map, "rope_type");
    if (!type) type = ex_json_member(rope->map, "type");
    if (!type) return;
    for (size_t i = 0; i < sizeof scalings / sizeof *scalings; i++) {
        if (!ex_json_is(type, scalings[i].name)) continue;
        config->scaling.kind = scalings[i].kind;
        if (config->scaling.kind == EX_SCALING_NONE) return;
        config->scaling.factor = ex_field_positive(rope, "factor", EX_REQUIRED);
        config->scaling.original_context =
            ex_field_positive(rope, "original_max_position_embeddings", (double)config->n_context);
        if (scalings[i].read) scalings[i].read(&config->scaling, rope);
        return;
    }
    ex_string name = type->kind == EX_JSON_TEXT ? type->as.text : (ex_string){"", 0};
    ex_field_fail(rope, EX_ERROR_UNSUPPORTED, type,
                  "RoPE scaling '%.*s' cannot be converted (there are: default, linear, yarn, llama3)",
                  EX_QUOTED(name));
}

/* Older files have rope_theta and rope_scaling, newer ones both in rope_parameters. */
static void read_rope(ex_config *config, ex_fields *fields) {
    const ex_json *parameters = ex_json_member(fields->map, "rope_parameters");
    ex_fields rope = {fields->path, parameters ? parameters : ex_json_member(fields->map, "rope_scaling"),
                      fields->error, fields->code};
    config->rope_base = ex_field_positive(fields, "rope_theta", 10000);
    if (rope.map && rope.map->kind != EX_JSON_MAP)
        ex_field_fail(&rope, EX_ERROR_FORMAT, rope.map, "the RoPE parameters are no map");
    config->rope_base = ex_field_positive(&rope, "rope_theta", config->rope_base);
    read_scaling(config, &rope);
    double rotated = ex_field_positive(&rope, "partial_rotary_factor", 1);
    if (ex_field_positive(fields, "partial_rotary_factor", rotated) != 1)
        ex_field_fail(fields, EX_ERROR_UNSUPPORTED, NULL, "RoPE over a part of each head cannot be converted");
    if (fields->code == EX_OK) fields->code = rope.code;
}

/* ---- the rest ---- */

/* Within a window that is the whole context, attention is as without one. */
static void read_context(ex_config *config, ex_fields *fields) {
    config->n_context = ex_field_integer(fields, "max_position_embeddings", EX_REQUIRED, 1, MAX_CONTEXT);
    const ex_json *window = ex_json_member(fields->map, "sliding_window");
    const ex_json *use = ex_json_member(fields->map, "use_sliding_window");
    if (!window || (use && !ex_field_boolean(fields, "use_sliding_window", true))) return;
    if (use) {
        ex_field_fail(fields, EX_ERROR_UNSUPPORTED, use, "attention in sliding windows cannot be converted");
        return;
    }
    bool has_window = strcmp(config->family->model_type, "mistral") == 0;
    int64_t width = ex_field_integer(fields, "sliding_window", config->n_context, 1, MAX_CONTEXT);
    if (has_window && width < config->n_context) config->n_context = width;
}

static void read_tied(ex_config *config, ex_fields *fields) {
    config->tied = EX_TIED_UNSTATED;
    if (!ex_json_member(fields->map, "tie_word_embeddings")) return;
    config->tied = ex_field_boolean(fields, "tie_word_embeddings", false) ? EX_TIED : EX_TIED_NOT;
}

static void refuse_others(ex_fields *fields) {
    const ex_json *activation = ex_json_member(fields->map, "hidden_act");
    const ex_json *quantised = ex_json_member(fields->map, "quantization_config");
    if (activation && !ex_json_is(activation, "silu"))
        ex_field_fail(fields, EX_ERROR_UNSUPPORTED, activation, "'hidden_act' is not silu, which these models have");
    if (quantised)
        ex_field_fail(fields, EX_ERROR_UNSUPPORTED, quantised,
                      "the weights are quantised already; convert the model that they were made from");
}

static void check_heads(ex_config *config, ex_fields *fields) {
    if (fields->code != EX_OK) return;
    if (config->n_head % config->n_head_kv != 0)
        ex_field_fail(fields, EX_ERROR_FORMAT, ex_json_member(fields->map, "num_key_value_heads"),
                      "%d heads cannot share %d key-value heads", (int)config->n_head, (int)config->n_head_kv);
    if (config->head_dim % 2 != 0)
        ex_field_fail(fields, EX_ERROR_FORMAT, ex_json_member(fields->map, "head_dim"), "heads of %d are not even",
                      (int)config->head_dim);
}

ex_code ex_config_read(ex_config *config, const ex_source *source, ex_error *error) {
    ex_fields fields = {source->path, source->map, error, EX_OK};
    *config = (ex_config){0};
    find_family(config, &fields);
    if (fields.code != EX_OK) return fields.code;
    refuse_others(&fields);
    config->n_layer = ex_field_integer(&fields, "num_hidden_layers", EX_REQUIRED, 1, MAX_LAYERS);
    config->n_embd = ex_field_integer(&fields, "hidden_size", EX_REQUIRED, 1, MAX_WIDTH);
    config->n_ff = ex_field_integer(&fields, "intermediate_size", EX_REQUIRED, 1, MAX_WIDTH);
    config->n_head = ex_field_integer(&fields, "num_attention_heads", EX_REQUIRED, 1, MAX_HEADS);
    if (fields.code != EX_OK) return fields.code;
    config->n_head_kv = ex_field_integer(&fields, "num_key_value_heads", config->n_head, 1, MAX_HEADS);
    config->head_dim = ex_field_integer(&fields, "head_dim", config->n_embd / config->n_head, 2, MAX_HEAD_DIM);
    config->rms_epsilon = ex_field_positive(&fields, "rms_norm_eps", EX_REQUIRED);
    read_context(config, &fields);
    read_rope(config, &fields);
    read_tied(config, &fields);
    check_heads(config, &fields);
    return fields.code;
}

void ex_config_divisors(const ex_config *config, float *divisors) {
    const ex_scaling *s = &config->scaling;
    const double turn = 6.283185307179586;
    for (int64_t i = 0; i < config->head_dim / 2; i++) {
        double frequency = pow(config->rope_base, -2.0 * (double)i / (double)config->head_dim);
        double turns = s->original_context * frequency / turn; /* in the context that it was trained for */
        double share = (turns - s->low_frequency) / (s->high_frequency - s->low_frequency);
        share = share < 0 ? 0 : share > 1 ? 1 : share;
        divisors[i] = (float)(1 / ((1 - share) / s->factor + share));
    }
}

/* ---- writing ---- */

typedef struct key_writer { /* of keys that begin with the architecture; carries the first error */
    const ex_config *config;
    ex_writer *writer;
    ex_error *error;
    ex_code code;
    char name[96];
} key_writer;

static const char *full_name(key_writer *w, const char *name) {
    snprintf(w->name, sizeof w->name, "%s.%s", w->config->family->architecture, name);
    return w->name;
}

static void put_integer(key_writer *w, const char *name, int64_t value) {
    if (w->code == EX_OK) w->code = ex_writer_u32(w->writer, full_name(w, name), (uint32_t)value, w->error);
}

static void put_number(key_writer *w, const char *name, double value) {
    if (w->code == EX_OK) w->code = ex_writer_f32(w->writer, full_name(w, name), (float)value, w->error);
}

static void put_text(key_writer *w, const char *name, const char *text) {
    if (w->code == EX_OK) w->code = ex_writer_string(w->writer, full_name(w, name), text, strlen(text), w->error);
}

static void put_scaling(key_writer *w, const ex_scaling *s) {
    if (s->kind != EX_SCALING_LINEAR && s->kind != EX_SCALING_YARN) return;
    put_text(w, "rope.scaling.type", s->kind == EX_SCALING_YARN ? "yarn" : "linear");
    put_number(w, "rope.scaling.factor", s->factor);
    if (s->kind == EX_SCALING_LINEAR) return;
    put_integer(w, "rope.scaling.original_context_length", (int64_t)s->original_context);
    put_number(w, "rope.scaling.yarn_beta_fast", s->beta_fast);
    put_number(w, "rope.scaling.yarn_beta_slow", s->beta_slow);
    put_number(w, "rope.scaling.attn_factor", s->attention_factor);
}

ex_code ex_config_write(const ex_config *config, ex_writer *writer, ex_error *error) {
    key_writer w = {.config = config, .writer = writer, .error = error};
    put_integer(&w, "block_count", config->n_layer);
    put_integer(&w, "context_length", config->n_context);
    put_integer(&w, "embedding_length", config->n_embd);
    put_integer(&w, "feed_forward_length", config->n_ff);
    put_integer(&w, "attention.head_count", config->n_head);
    put_integer(&w, "attention.head_count_kv", config->n_head_kv);
    put_integer(&w, "attention.key_length", config->head_dim);
    put_integer(&w, "attention.value_length", config->head_dim);
    put_number(&w, "attention.layer_norm_rms_epsilon", config->rms_epsilon);
    put_integer(&w, "rope.dimension_count", config->head_dim);
    put_number(&w, "rope.freq_base", config->rope_base);
    put_scaling(&w, &config->scaling);
    return w.code;
}
