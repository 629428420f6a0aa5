#include "bad_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N_EMBD = 32, N_FF = 32, N_KV = 16, N_LAYER = 2, ALIGNMENT = 32 };

/* ---- bytes ---- */

void bad_put(bad_bytes *bytes, const void *data, size_t length) {
    if (bytes->length + length > bytes->capacity) {
        bytes->capacity = 2 * (bytes->length + length);
        bytes->data = realloc(bytes->data, bytes->capacity);
        if (!bytes->data) abort();
    }
    if (length) memcpy(bytes->data + bytes->length, data, length);
    bytes->length += length;
}

void bad_put_u32(bad_bytes *bytes, uint32_t value) { bad_put(bytes, &value, sizeof value); }

void bad_put_u64(bad_bytes *bytes, uint64_t value) { bad_put(bytes, &value, sizeof value); }

void bad_put_string(bad_bytes *bytes, const char *text, size_t length) {
    bad_put_u64(bytes, length);
    bad_put(bytes, text, length);
}

static bool is_named(const bad_bytes *bytes, const char *name) {
    return bytes->length == strlen(name) && memcmp(bytes->data, name, bytes->length) == 0;
}

/* ---- keys ---- */

static bad_key *look_up(bad_file *file, const char *name) {
    for (size_t i = 0; i < file->n_keys; i++)
        if (is_named(&file->keys[i].name, name)) return &file->keys[i];
    return NULL;
}

bad_key *bad_find_key(bad_file *file, const char *name) {
    bad_key *key = look_up(file, name);
    if (key) return key;
    if (file->n_keys == BAD_KEYS) abort();
    key = &file->keys[file->n_keys++];
    bad_put(&key->name, name, strlen(name));
    key->name_length = strlen(name);
    return key;
}

bad_key *bad_renew_key(bad_file *file, const char *name, uint32_t type) {
    bad_key *key = bad_find_key(file, name);
    key->type = type;
    key->value.length = 0;
    return key;
}

void bad_drop_key(bad_file *file, const char *name) {
    bad_key *key = look_up(file, name);
    if (!key) return;
    free(key->name.data);
    free(key->value.data);
    memmove(key, key + 1, (size_t)(file->keys + file->n_keys - key - 1) * sizeof *key);
    file->keys[--file->n_keys] = (bad_key){0};
}

bad_bytes *bad_begin_array(bad_file *file, const char *name, uint32_t element, uint64_t count) {
    bad_key *key = bad_renew_key(file, name, BAD_ARRAY);
    bad_put_u32(&key->value, element);
    bad_put_u64(&key->value, count);
    return &key->value;
}

static void put_number(bad_file *file, const char *name, uint32_t number) {
    bad_put_u32(&bad_renew_key(file, name, BAD_U32)->value, number);
}

static void put_real(bad_file *file, const char *name, float real) {
    bad_put(&bad_renew_key(file, name, BAD_F32)->value, &real, sizeof real);
}

static void put_text(bad_file *file, const char *name, const char *text) {
    bad_put_string(&bad_renew_key(file, name, BAD_STRING)->value, text, strlen(text));
}

/* ---- edits ---- */

void bad_edit_u32(bad_file *file, const bad_row *row) { put_number(file, row->target, (uint32_t)row->number); }

void bad_edit_u64(bad_file *file, const bad_row *row) {
    bad_put_u64(&bad_renew_key(file, row->target, BAD_U64)->value, row->number);
}

void bad_edit_f32(bad_file *file, const bad_row *row) { put_real(file, row->target, (float)row->real); }

void bad_edit_string(bad_file *file, const bad_row *row) {
    bad_bytes *value = &bad_renew_key(file, row->target, BAD_STRING)->value;
    uint64_t times = row->count ? row->count : 1;
    bad_put_u64(value, times * strlen(row->text));
    for (uint64_t i = 0; i < times; i++) bad_put(value, row->text, strlen(row->text));
}

void bad_edit_array(bad_file *file, const bad_row *row) {
    bad_bytes *value = bad_begin_array(file, row->target, BAD_U32, row->count);
    for (uint64_t i = 0; i < row->count; i++) bad_put_u32(value, (uint32_t)row->number);
}

void bad_edit_floats(bad_file *file, const bad_row *row) {
    const float real = (float)row->real;
    bad_bytes *value = bad_begin_array(file, row->target, BAD_F32, row->count);
    for (uint64_t i = 0; i < row->count; i++) bad_put(value, &real, sizeof real);
}

void bad_edit_strings(bad_file *file, const bad_row *row) {
    bad_bytes *value = bad_begin_array(file, row->target, BAD_STRING, row->count);
    for (uint64_t i = 0; i < row->count; i++) bad_put_string(value, row->text, strlen(row->text));
}

void bad_edit_drop(bad_file *file, const bad_row *row) { bad_drop_key(file, row->target); }

/* ---- the good model ---- */

bad_tensor *bad_find_tensor(bad_file *file, const char *name) {
    for (size_t i = 0; i < file->n_tensors; i++)
        if (is_named(&file->tensors[i].name, name)) return &file->tensors[i];
    abort();
}

bad_tensor *bad_add_tensor(bad_file *file, const char *name, uint64_t n_columns, uint64_t n_rows) {
    if (file->n_tensors == BAD_TENSORS) abort();
    bad_tensor *tensor = &file->tensors[file->n_tensors++];
    bad_put(&tensor->name, name, strlen(name));
    tensor->name_length = strlen(name);
    tensor->n_dims = n_rows ? 2 : 1;
    for (int i = 0; i < BAD_DIMS; i++) tensor->ne[i] = 1;
    tensor->ne[0] = n_columns;
    if (n_rows) tensor->ne[1] = n_rows;
    tensor->offset = UINT64_MAX;
    tensor->n_bytes = n_columns * (n_rows ? n_rows : 1) * sizeof(float);
    tensor->mean = n_rows ? 0 : 1;
    tensor->deviation = n_rows ? 0.25F : 0;
    return tensor;
}

static void add_layer(bad_file *file, int layer) {
    static const struct { const char *name; uint64_t n_columns, n_rows; } parts[] = {
        {"attn_norm", N_EMBD, 0}, {"attn_q", N_EMBD, N_EMBD}, {"attn_k", N_EMBD, N_KV},
        {"attn_v", N_EMBD, N_KV}, {"attn_output", N_EMBD, N_EMBD}, {"ffn_norm", N_EMBD, 0},
        {"ffn_gate", N_EMBD, N_FF}, {"ffn_up", N_EMBD, N_FF}, {"ffn_down", N_FF, N_EMBD},
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        char name[64];
        snprintf(name, sizeof name, "blk.%d.%s.weight", layer, parts[i].name);
        bad_add_tensor(file, name, parts[i].n_columns, parts[i].n_rows);
    }
}

static void add_shape(bad_file *file) {
    static const struct { const char *name; uint32_t number; } numbers[] = {
        {"llama.block_count", N_LAYER}, {"llama.context_length", 128}, {"llama.embedding_length", N_EMBD},
        {"llama.feed_forward_length", N_FF}, {"llama.attention.head_count", 2},
        {"llama.attention.head_count_kv", 1}, {"llama.rope.dimension_count", 16},
    };
    put_text(file, "general.architecture", "llama");
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) put_number(file, numbers[i].name, numbers[i].number);
    put_real(file, "llama.rope.freq_base", 10000);
    put_real(file, "llama.attention.layer_norm_rms_epsilon", 1e-5F);
}

/* The letter that byte-level BPE writes for a byte: itself when it is printable, else one from U+0100 on. */
static size_t letter_of_byte(int byte, char *out) {
    int code = 0x100;
    for (int b = 0; b <= byte; b++) {
        bool printable = (b >= 33 && b <= 126) || (b >= 161 && b != 173);
        if (b == byte && printable) code = b;
        else if (b < byte && !printable) code++;
    }
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    out[0] = (char)(0xC0 | code >> 6);
    out[1] = (char)(0x80 | (code & 63));
    return 2;
}

static void add_vocabulary(bad_file *file) {
    put_text(file, "tokenizer.ggml.model", "gpt2");
    put_text(file, "tokenizer.ggml.pre", "llama-bpe");
    bad_bytes *tokens = bad_begin_array(file, "tokenizer.ggml.tokens", BAD_STRING, BAD_TOKENS);
    for (int byte = 0; byte < 256; byte++) {
        char letter[2];
        bad_put_string(tokens, letter, letter_of_byte(byte, letter));
    }
    bad_put_string(tokens, "he", 2);
    bad_put_string(tokens, "<s>", 3);
    bad_put_string(tokens, "</s>", 4);
    bad_bytes *types = bad_begin_array(file, "tokenizer.ggml.token_type", BAD_I32, BAD_TOKENS);
    for (uint32_t i = 0; i < BAD_TOKENS; i++) bad_put_u32(types, i < 257 ? 1 : 3);
    bad_put_string(bad_begin_array(file, "tokenizer.ggml.merges", BAD_STRING, 1), "h e", 3);
    put_number(file, "tokenizer.ggml.bos_token_id", 257);
    put_number(file, "tokenizer.ggml.eos_token_id", 258);
}

static void make_good(bad_file *file) {
    *file = (bad_file){.version = 3, .alignment = ALIGNMENT};
    add_shape(file);
    add_vocabulary(file);
    bad_add_tensor(file, "token_embd.weight", N_EMBD, BAD_TOKENS);
    for (int layer = 0; layer < N_LAYER; layer++) add_layer(file, layer);
    bad_add_tensor(file, "output_norm.weight", N_EMBD, 0);
}

/* ---- writing ---- */

static uint64_t padded(uint64_t size, uint64_t alignment) { return (size + alignment - 1) / alignment * alignment; }

static void pad(bad_bytes *bytes, uint64_t alignment) {
    while (bytes->length % alignment) bad_put(bytes, "", 1);
}

static void write_data(bad_bytes *out, const bad_file *file) {
    uint32_t state = 1;
    pad(out, file->alignment);
    for (size_t i = 0; i < file->n_tensors; i++) {
        const bad_tensor *tensor = &file->tensors[i];
        for (uint64_t at = 0; at < tensor->n_bytes; at += sizeof(float)) {
            state = state * 1664525 + 1013904223;
            float value = tensor->mean + tensor->deviation * ((float)(state >> 8) / 8388608.0F - 1);
            bad_put(out, &value, sizeof value);
        }
        pad(out, file->alignment);
    }
}

static void write_file(bad_bytes *out, const bad_file *file) {
    bad_put(out, "GGUF", 4);
    bad_put_u32(out, file->version);
    bad_put_u64(out, file->n_tensors + file->n_tensors_more);
    bad_put_u64(out, file->n_keys + file->n_keys_more);
    for (size_t i = 0; i < file->n_keys; i++) {
        const bad_key *key = &file->keys[i];
        bad_put_u64(out, key->name_length);
        bad_put(out, key->name.data, key->name.length);
        bad_put_u32(out, key->type);
        bad_put(out, key->value.data, key->value.length);
    }
    uint64_t offset = 0;
    for (size_t i = 0; i < file->n_tensors; i++) {
        const bad_tensor *tensor = &file->tensors[i];
        bad_put_u64(out, tensor->name_length);
        bad_put(out, tensor->name.data, tensor->name.length);
        bad_put_u32(out, tensor->n_dims);
        for (uint32_t d = 0; d < tensor->n_dims && d < BAD_DIMS; d++) bad_put_u64(out, tensor->ne[d]);
        bad_put_u32(out, tensor->type);
        bad_put_u64(out, tensor->offset == UINT64_MAX ? offset : tensor->offset);
        offset += padded(tensor->n_bytes, file->alignment);
    }
    write_data(out, file);
}

static void free_file(bad_file *file) {
    for (size_t i = 0; i < file->n_keys; i++) {
        free(file->keys[i].name.data);
        free(file->keys[i].value.data);
    }
    for (size_t i = 0; i < file->n_tensors; i++) free(file->tensors[i].name.data);
}

bad_bytes bad_make(const bad_row *row) {
    bad_bytes out = {0};
    bad_file file;
    make_good(&file);
    if (row->edit) row->edit(&file, row);
    write_file(&out, &file);
    if (row->spoil) row->spoil(&out, row);
    free_file(&file);
    return out;
}
