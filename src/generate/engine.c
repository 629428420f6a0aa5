#include "generate/engine.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/memory.h"
#include "model/kv_pages.h"

#if defined(__clang__)
#define COMPILER "clang " __clang_version__
#else
#define COMPILER "gcc " __VERSION__
#endif

const char *ex_version(void) { return EX_VERSION " (" COMPILER ")"; }

ex_engine_options ex_engine_options_default(void) { return (ex_engine_options){0}; }

static ex_code check_vocabulary(const ex_engine *engine, ex_error *error) {
    int32_t n_tokens = ex_tokenizer_size(engine->tokenizer), n_vocab = engine->model.shape.n_vocab;
    if (n_tokens == n_vocab) return EX_OK;
    return ex_fail(error, EX_ERROR_FORMAT, 0, "%s: %d tokens in the vocabulary, but embeddings for %d",
                   ex_file_path(engine->file), n_tokens, n_vocab);
}

static ex_code open_parts(ex_engine *engine, const char *path, const ex_engine_options *options, ex_error *error) {
    ex_engine_options chosen = options ? *options : ex_engine_options_default();
    ex_code code = ex_file_open(&engine->file, path, error);
    if (code == EX_OK) code = ex_model_open(&engine->model, engine->file, &chosen, error);
    if (code == EX_OK) code = ex_tokenizer_open(&engine->tokenizer, engine->file, error);
    if (code == EX_OK) code = check_vocabulary(engine, error);
    engine->model.tokenizer = engine->tokenizer;
    return code;
}

ex_code ex_engine_open(ex_engine **out, const char *path, const ex_engine_options *options, ex_error *error) {
    *out = NULL;
    ex_engine *engine = ex_allocate(1, sizeof *engine);
    if (!engine) return ex_fail_memory(error, "the engine");
    ex_code code = open_parts(engine, path, options, error);
    if (code != EX_OK) {
        ex_engine_close(engine);
        return code;
    }
    *out = engine;
    return EX_OK;
}

void ex_engine_close(ex_engine *engine) {
    if (!engine) return;
    ex_model_close(&engine->model);
    ex_tokenizer_close(engine->tokenizer);
    ex_file_close(engine->file);
    free(engine);
}

const ex_file *ex_engine_file(const ex_engine *engine) { return engine->file; }

const ex_tokenizer *ex_engine_tokenizer(const ex_engine *engine) { return engine->tokenizer; }

static ex_string text_of_key(const ex_file *file, const char *name) {
    ex_string text = {"", 0};
    const ex_key *key = ex_file_find_key(file, name);
    if (key) ex_key_string(key, 0, &text);
    return text;
}

ex_engine_info ex_engine_get_info(const ex_engine *engine) {
    const ex_model *model = &engine->model;
    const ex_shape *shape = &model->shape;
    ex_kv_shape kv = {EX_KV_F16, (size_t)shape->n_layer, (size_t)shape->n_head_kv, (size_t)shape->head_dim};
    return (ex_engine_info){
        .architecture = text_of_key(engine->file, "general.architecture"),
        .name = text_of_key(engine->file, "general.name"),
        .n_layer = shape->n_layer,
        .n_head = shape->n_head,
        .n_head_kv = shape->n_head_kv,
        .n_embd = shape->n_embd,
        .n_ff = shape->n_ff,
        .n_vocab = shape->n_vocab,
        .head_dim = shape->head_dim,
        .n_context = shape->n_context,
        .n_parameters = model->weights.n_parameters,
        .weight_bytes = model->weights.n_bytes,
        .bytes_per_token = model->weights.bytes_per_token,
        .kv_bytes_per_position = ex_kv_bytes_per_position(kv),
        .kernels = model->kernels->name,
        .n_threads = ex_team_size(model->team),
    };
}

ex_code ex_session_open(ex_session **out, ex_engine *engine, const ex_session_options *options, ex_error *error) {
    return ex_model_session(out, &engine->model, options, error);
}
