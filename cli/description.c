/* description.c - the keys that every architecture has, the types of the tensors, and a try to open it all. */
#include "description.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const shape_names[SHAPE_COUNT] = {"n_layer", "n_embd",    "n_head",   "n_head_kv",    "head_dim",
                                              "n_ff",    "n_context", "n_expert", "n_expert_used"};
static const char *const shape_keys[SHAPE_COUNT] = {
    "block_count",          "embedding_length",    "attention.head_count", "attention.head_count_kv",
    "attention.key_length", "feed_forward_length", "context_length",       "expert_count",
    "expert_used_count"};

const char *type_label(char buffer[24], uint32_t type) {
    const char *name = ex_type_name(type);
    if (!name) snprintf(buffer, 24, "type %u", type);
    return name ? name : buffer;
}

double bits_per_weight(uint64_t n_bytes, uint64_t n_weights) {
    return n_weights ? 8 * (double)n_bytes / (double)n_weights : 0;
}

static ex_string text_of(const ex_file *file, const char *name) {
    ex_string text = {"", 0};
    const ex_key *key = ex_file_find_key(file, name);
    if (key) ex_key_string(key, 0, &text);
    return text;
}

static void describe_shape(cli_description *out) {
    for (int i = 0; i < SHAPE_COUNT; i++) {
        char name[160];
        snprintf(name, sizeof name, "%.*s.%s", (int)out->architecture.length, out->architecture.data, shape_keys[i]);
        const ex_key *key = ex_file_find_key(out->file, name);
        if (!key || !ex_key_integer(key, 0, &out->shape[i])) out->shape[i] = -1;
    }
}

static type_share *share_of(cli_description *out, uint32_t type) {
    for (size_t i = 0; i < out->n_types; i++)
        if (out->types[i].type == type) return &out->types[i];
    if (out->n_types == TYPES_MAX) return NULL;
    out->types[out->n_types].type = type;
    return &out->types[out->n_types++];
}

static int most_bytes_first(const void *a, const void *b) {
    uint64_t x = ((const type_share *)a)->n_bytes, y = ((const type_share *)b)->n_bytes;
    return x < y ? 1 : x > y ? -1 : 0;
}

static void describe_types(cli_description *out) {
    for (size_t i = 0; i < ex_file_tensor_count(out->file); i++) {
        const ex_tensor *tensor = ex_file_tensor(out->file, i);
        uint64_t n_weights = tensor->ne[0] * tensor->ne[1] * tensor->ne[2] * tensor->ne[3];
        type_share *share = share_of(out, tensor->type);
        out->n_weights += n_weights;
        out->tensor_bytes += tensor->n_bytes;
        if (!share) continue;
        share->n_tensors++;
        share->n_bytes += tensor->n_bytes;
        share->n_weights += n_weights;
    }
    qsort(out->types, out->n_types, sizeof *out->types, most_bytes_first);
}

static bool is_special(ex_string name, ex_string *role) {
    static const char before[] = "tokenizer.ggml.", after[] = "_token_id";
    size_t n_before = sizeof before - 1, n_after = sizeof after - 1;
    if (name.length <= n_before + n_after || memcmp(name.data, before, n_before) != 0) return false;
    if (memcmp(name.data + name.length - n_after, after, n_after) != 0) return false;
    *role = (ex_string){name.data + n_before, name.length - n_before - n_after};
    return true;
}

static void describe_specials(cli_description *out) {
    const ex_key *tokens = ex_file_find_key(out->file, "tokenizer.ggml.tokens");
    if (tokens && tokens->type == EX_VALUE_ARRAY) out->n_vocab = tokens->count;
    for (size_t i = 0; i < ex_file_key_count(out->file) && out->n_specials < SPECIALS_MAX; i++) {
        const ex_key *key = ex_file_key(out->file, i);
        special_token *special = &out->specials[out->n_specials];
        if (!is_special(key->name, &special->role) || !ex_key_integer(key, 0, &special->token)) continue;
        special->text = (ex_string){"", 0};
        if (tokens && special->token >= 0 && (uint64_t)special->token < out->n_vocab)
            ex_key_string(tokens, (uint64_t)special->token, &special->text);
        out->n_specials++;
    }
}

static void try_tokenizer(cli_description *out) {
    ex_tokenizer *tokenizer;
    out->tokenizes = ex_tokenizer_open(&tokenizer, out->file, &out->tokenizer_error) == EX_OK;
    if (out->tokenizes) ex_tokenizer_close(tokenizer);
}

static void try_template(cli_description *out) {
    static const char name[] = "tokenizer.chat_template";
    ex_string source = text_of(out->file, name);
    ex_template *chat_template = NULL;
    out->template_bytes = source.length;
    out->renders = source.length > 0 && ex_template_open(&chat_template, source.data, source.length, name,
                                                         &out->template_error) == EX_OK;
    ex_template_close(chat_template);
}

static void try_engine(cli_description *out) {
    ex_engine_options options = ex_engine_options_default();
    ex_engine *engine;
    snprintf(out->run_error.message, sizeof out->run_error.message, "the file holds no weights");
    out->runs = ex_file_tensor_count(out->file) > 0 &&
                ex_engine_open(&engine, ex_file_path(out->file), &options, &out->run_error) == EX_OK;
    if (!out->runs) return;
    out->engine = ex_engine_get_info(engine);
    out->engine.name = out->name; /* the engine's own go with it */
    out->engine.architecture = out->architecture;
    ex_engine_close(engine);
}

/* That memory or a read failed here says nothing about the file. */
static ex_code first_failure(const cli_description *d, ex_error *error) {
    const ex_error *const tried[] = {&d->tokenizer_error, &d->template_error, &d->run_error};
    for (size_t i = 0; i < sizeof tried / sizeof *tried; i++) {
        if (tried[i]->code != EX_ERROR_MEMORY && tried[i]->code != EX_ERROR_IO) continue;
        *error = *tried[i];
        return error->code;
    }
    return EX_OK;
}

ex_code describe(cli_description *out, const ex_file *file, ex_error *error) {
    *out = (cli_description){.file = file};
    out->architecture = text_of(file, "general.architecture");
    out->name = text_of(file, "general.name");
    out->licence = text_of(file, "general.license");
    out->tokenizer_model = text_of(file, "tokenizer.ggml.model");
    out->tokenizer_pre = text_of(file, "tokenizer.ggml.pre");
    describe_shape(out);
    describe_types(out);
    describe_specials(out);
    try_tokenizer(out);
    try_template(out);
    try_engine(out);
    return first_failure(out, error);
}
