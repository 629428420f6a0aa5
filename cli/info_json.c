/* info_json.c - a description as one JSON object, with every key and tensor; long arrays are counted, not listed. */
#include "info.h"
#include "json_output.h"

#include <string.h>

enum { LISTED_MAX = 16, NAME_SIZE = 300 };

/* The writer wants keys that end with a zero byte. */
static const char *terminated(char buffer[NAME_SIZE], ex_string name) {
    size_t n = name.length < NAME_SIZE ? name.length : NAME_SIZE - 1;
    memcpy(buffer, name.data, n);
    buffer[n] = '\0';
    return buffer;
}

static void emit_element(emitter *json, const char *name, const ex_key *key, uint64_t index) {
    int64_t integer;
    double number;
    ex_string text;
    if (key->element == EX_VALUE_STRING && ex_key_string(key, index, &text))
        emit_bytes(json, name, text);
    else if (key->element == EX_VALUE_BOOL && ex_key_integer(key, index, &integer))
        emit_truth(json, name, integer != 0);
    else if (ex_key_integer(key, index, &integer))
        emit_whole(json, name, integer);
    else if (ex_key_number(key, index, &number))
        emit_real(json, name, number);
    else
        emit_null(json, name);
}

static void emit_key(emitter *json, const ex_key *key) {
    char buffer[NAME_SIZE];
    const char *name = terminated(buffer, key->name);
    if (key->type != EX_VALUE_ARRAY) {
        emit_element(json, name, key, 0);
    } else if (key->count <= LISTED_MAX) {
        emit_array_begin(json, name);
        for (uint64_t i = 0; i < key->count; i++) emit_element(json, NULL, key, i);
        emit_array_end(json);
    } else {
        emit_object_begin(json, name);
        emit_text(json, "array_of", value_type_name(key->element));
        emit_count(json, "count", key->count);
        emit_object_end(json);
    }
}

static void emit_types(emitter *json, const cli_description *description) {
    emit_array_begin(json, "types");
    for (size_t i = 0; i < description->n_types; i++) {
        const type_share *share = &description->types[i];
        char type[24];
        emit_object_begin(json, NULL);
        emit_text(json, "type", type_label(type, share->type));
        emit_count(json, "tensors", share->n_tensors);
        emit_count(json, "bytes", share->n_bytes);
        emit_real(json, "bits_per_weight", bits_per_weight(share->n_bytes, share->n_weights));
        emit_object_end(json);
    }
    emit_array_end(json);
}

static void emit_tokenizer(emitter *json, const cli_description *description) {
    emit_object_begin(json, "tokenizer");
    emit_bytes(json, "model", description->tokenizer_model);
    emit_bytes(json, "pre", description->tokenizer_pre);
    emit_count(json, "n_vocab", description->n_vocab);
    emit_truth(json, "supported", description->tokenizes);
    if (!description->tokenizes) emit_text(json, "reason", description->tokenizer_error.message);
    emit_object_begin(json, "special_tokens");
    for (size_t i = 0; i < description->n_specials; i++) {
        char buffer[NAME_SIZE];
        emit_object_begin(json, terminated(buffer, description->specials[i].role));
        emit_whole(json, "token", description->specials[i].token);
        emit_bytes(json, "text", description->specials[i].text);
        emit_object_end(json);
    }
    emit_object_end(json);
    emit_truth(json, "chat_template", description->template_bytes > 0);
    if (description->template_bytes && !description->renders)
        emit_text(json, "chat_template_reason", description->template_error.message);
    emit_object_end(json);
}

static void emit_support(emitter *json, const cli_description *description) {
    emit_truth(json, "supported", description->runs);
    if (!description->runs) {
        emit_text(json, "reason", description->run_error.message);
        return;
    }
    emit_count(json, "bytes_per_token", description->engine.bytes_per_token);
    emit_count(json, "kv_bytes_per_position", description->engine.kv_bytes_per_position);
    emit_text(json, "kernels", description->engine.kernels);
    emit_whole(json, "threads", description->engine.n_threads);
}

static void emit_tensors(emitter *json, const ex_file *file) {
    emit_array_begin(json, "tensors");
    for (size_t i = 0; i < ex_file_tensor_count(file); i++) {
        const ex_tensor *tensor = ex_file_tensor(file, i);
        char type[24];
        emit_object_begin(json, NULL);
        emit_bytes(json, "name", tensor->name);
        emit_text(json, "type", type_label(type, tensor->type));
        emit_array_begin(json, "shape");
        for (uint32_t d = 0; d < tensor->n_dims; d++) emit_count(json, NULL, tensor->ne[d]);
        emit_array_end(json);
        emit_count(json, "bytes", tensor->n_bytes);
        emit_object_end(json);
    }
    emit_array_end(json);
}

static void emit_shape(emitter *json, const cli_description *description) {
    emit_object_begin(json, "shape");
    for (int i = 0; i < SHAPE_COUNT; i++)
        if (description->shape[i] >= 0) emit_whole(json, shape_names[i], description->shape[i]);
    emit_object_end(json);
}

void info_json(const cli_description *description) {
    const ex_file *file = description->file;
    emitter json = {.out = stdout};
    emit_object_begin(&json, NULL);
    emit_text(&json, "file", ex_file_path(file));
    emit_count(&json, "files", ex_file_part_count(file));
    emit_count(&json, "bytes", ex_file_size(file));
    emit_count(&json, "gguf_version", ex_file_version(file));
    emit_bytes(&json, "architecture", description->architecture);
    emit_bytes(&json, "name", description->name);
    emit_bytes(&json, "licence", description->licence);
    emit_count(&json, "n_parameters", description->n_weights);
    emit_shape(&json, description);
    emit_types(&json, description);
    emit_tokenizer(&json, description);
    emit_support(&json, description);
    emit_object_begin(&json, "keys");
    for (size_t i = 0; i < ex_file_key_count(file); i++) emit_key(&json, ex_file_key(file, i));
    emit_object_end(&json);
    emit_tensors(&json, file);
    emit_object_end(&json);
    emit_line_end(&json);
}
