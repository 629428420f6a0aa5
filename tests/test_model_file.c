/* test_model_file.c - a good model file with one thing bent: each must be refused, in words that name it. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "file/gguf.h"
#include "model/model.h"

typedef struct bend {
    const char *what;
    const char *key;          /* replaced or, without a kind, left out */
    char kind;                /* 'u' integer, 'f' number, 's' text, 0 none */
    double number;
    const char *text;
    const char *tensor;       /* declared with its dimensions swapped, or left out when `without` */
    bool without, extra;      /* `extra` adds a tensor that no model reads */
    ex_code code;
    const char *words;        /* in the message */
} bend;

static const bend bends[] = {
    {"nothing", .code = EX_OK},
    {"another architecture", "general.architecture", 's', .text = "mamba", .code = EX_ERROR_UNSUPPORTED,
     .words = "architecture 'mamba' is not supported (supported: llama"},
    {"no architecture", "general.architecture", .code = EX_ERROR_FORMAT, .words = "general.architecture"},
    {"architecture that is a number", "general.architecture", 'u', 7, .code = EX_ERROR_FORMAT,
     .words = "general.architecture"},
    {"no layers", "llama.block_count", 'u', 0, .code = EX_ERROR_FORMAT, .words = "block_count' is 0"},
    {"far too many layers", "llama.block_count", 'u', 4294967295.0, .code = EX_ERROR_FORMAT, .words = "block_count"},
    {"more layers than tensors", "llama.block_count", 'u', 4, .code = EX_ERROR_FORMAT, .words = "blk.3."},
    {"fewer layers than tensors", "llama.block_count", 'u', 2, .code = EX_ERROR_UNSUPPORTED, .words = "blk.2."},
    {"no heads", "llama.attention.head_count", 'u', 0, .code = EX_ERROR_FORMAT, .words = "head_count' is 0"},
    {"heads that cannot share", "llama.attention.head_count_kv", 'u', 3, .code = EX_ERROR_FORMAT,
     .words = "cannot share 3"},
    {"no key-value heads", "llama.attention.head_count_kv", 'u', 0, .code = EX_ERROR_FORMAT, .words = "head_count_kv"},
    {"no width", "llama.embedding_length", 'u', 0, .code = EX_ERROR_FORMAT, .words = "embedding_length"},
    {"another width", "llama.embedding_length", 'u', 64, .code = EX_ERROR_FORMAT,
     .words = "token_embd.weight' has shape"},
    {"width that is a text", "llama.embedding_length", 's', .text = "128", .code = EX_ERROR_FORMAT,
     .words = "is no integer"},
    {"another feed-forward width", "llama.feed_forward_length", 'u', 512, .code = EX_ERROR_FORMAT,
     .words = "ffn_gate"},
    {"no feed-forward width", "llama.feed_forward_length", .code = EX_ERROR_FORMAT, .words = "is missing"},
    {"odd rotation", "llama.rope.dimension_count", 'u', 31, .code = EX_ERROR_FORMAT, .words = "must be even"},
    {"rotation beyond the head", "llama.rope.dimension_count", 'u', 64, .code = EX_ERROR_FORMAT,
     .words = "outside 2 to 32"},
    {"rotation base 0", "llama.rope.freq_base", 'f', 0, .code = EX_ERROR_FORMAT, .words = "above 0"},
    {"infinite rotation base", "llama.rope.freq_base", 'f', 1e39, .code = EX_ERROR_FORMAT, .words = "finite"},
    {"scaling of a kind that is not known", "llama.rope.scaling.type", 's', .text = "ntk", .code = EX_ERROR_FORMAT,
     .words = "supported: none, linear, yarn, longrope"},
    {"epsilon 0", "llama.attention.layer_norm_rms_epsilon", 'f', 0, .code = EX_ERROR_FORMAT, .words = "epsilon"},
    {"negative epsilon", "llama.attention.layer_norm_rms_epsilon", 'f', -1, .code = EX_ERROR_FORMAT,
     .words = "epsilon"},
    {"no context", "llama.context_length", 'u', 0, .code = EX_ERROR_FORMAT, .words = "context_length"},
    {"values of another size", "llama.attention.value_length", 'u', 16, .code = EX_ERROR_UNSUPPORTED,
     .words = "keys of 32 and values of 16"},
    {"experts", "llama.expert_count", 'u', 8, .code = EX_ERROR_FORMAT, .words = "expert_used_count' is missing"},
    {"a matrix on its side", .tensor = "blk.1.ffn_down.weight", .code = EX_ERROR_FORMAT,
     .words = "blk.1.ffn_down.weight' has shape [128, 256, 1, 1] where [256, 128] is needed"},
    {"a missing matrix", .tensor = "blk.2.attn_k.weight", .without = true, .code = EX_ERROR_FORMAT,
     .words = "tensor 'blk.2.attn_k.weight' is missing"},
    {"no embedding", .tensor = "token_embd.weight", .without = true, .code = EX_ERROR_FORMAT,
     .words = "this file holds no weights"},
    {"a tensor that nothing reads", .extra = true, .code = EX_ERROR_UNSUPPORTED, .words = "blk.0.attn_sinks.weight"},
};

static bool text_is(ex_string text, const char *expected) { return expected && ex_string_is(text, expected); }

static void write_keys(ex_writer *writer, const ex_file *source, const bend *b) {
    ex_error error;
    for (size_t i = 0; i < ex_file_key_count(source); i++) {
        const ex_key *key = ex_file_key(source, i);
        if (!text_is(key->name, b->key)) assert_ok(ex_writer_copy_key(writer, key, &error), &error);
    }
    if (b->kind == 'u') assert_ok(ex_writer_u32(writer, b->key, (uint32_t)b->number, &error), &error);
    if (b->kind == 'f') assert_ok(ex_writer_f32(writer, b->key, (float)b->number, &error), &error);
    if (b->kind == 's') assert_ok(ex_writer_string(writer, b->key, b->text, strlen(b->text), &error), &error);
}

static void write_tensors(ex_writer *writer, const ex_file *source, const bend *b) {
    static const float extra[16];
    ex_error error;
    size_t count = ex_file_tensor_count(source);
    for (size_t i = 0; i < count; i++) {
        const ex_tensor *t = ex_file_tensor(source, i);
        bool bent = text_is(t->name, b->tensor);
        if (bent && b->without) continue;
        uint64_t ne[4] = {t->ne[bent], t->ne[!bent], 1, 1};
        assert_ok(ex_writer_declare(writer, t->name, t->type, t->n_dims, bent ? ne : t->ne, &error), &error);
    }
    ex_string name = {"blk.0.attn_sinks.weight", strlen("blk.0.attn_sinks.weight")};
    if (b->extra) assert_ok(ex_writer_declare(writer, name, EX_TYPE_F32, 1, (uint64_t[]){16}, &error), &error);
    for (size_t i = 0; i < count; i++) {
        const ex_tensor *t = ex_file_tensor(source, i);
        if (text_is(t->name, b->tensor) && b->without) continue;
        assert_ok(ex_writer_data(writer, t->data, t->n_bytes, &error), &error);
    }
    if (b->extra) assert_ok(ex_writer_data(writer, extra, sizeof extra, &error), &error);
}

static void check_bend(const ex_file *source, const char *path, const bend *b) {
    ex_error error = {0};
    ex_writer *writer;
    ex_file *file;
    ex_model model;
    assert_ok(ex_writer_open(&writer, path, &error), &error);
    write_keys(writer, source, b);
    write_tensors(writer, source, b);
    assert_ok(ex_writer_finish(writer, &error), &error);
    assert_ok(ex_file_open(&file, path, &error), &error);
    ex_code code = ex_model_open(&model, file, &(ex_engine_options){.n_threads = 1}, &error);
    if (code != b->code || (b->words && !strstr(error.message, b->words)))
        fail_msg("%s: code %d, message \"%s\"; expected %d and \"%s\"", b->what, (int)code, error.message,
                 (int)b->code, b->words ? b->words : "");
    if (code == EX_OK) ex_model_close(&model);
    ex_file_close(file);
    unlink(path);
}

static void test_bent_files(void **state) {
    (void)state;
    char folder[] = "/tmp/entropix-test-XXXXXX", path[64];
    ex_error error;
    ex_file *source;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/bent.gguf", folder);
    assert_ok(ex_file_open(&source, test_data("models/llama2-f16.gguf"), &error), &error);
    for (size_t i = 0; i < sizeof bends / sizeof *bends; i++) check_bend(source, path, &bends[i]);
    ex_file_close(source);
    rmdir(folder);
}

static void test_kernels_by_name(void **state) {
    (void)state;
    ex_error error;
    ex_file *file;
    ex_model model;
    assert_ok(ex_file_open(&file, test_data("models/llama2-f16.gguf"), &error), &error);
    ex_engine_options options = {.n_threads = 1, .kernels = "abacus"};
    assert_int_equal(ex_model_open(&model, file, &options, &error), EX_ERROR_UNSUPPORTED);
    assert_non_null(strstr(error.message, "abacus"));
    assert_non_null(strstr(error.message, "portable"));
    ex_file_close(file);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_bent_files), cmocka_unit_test(test_kernels_by_name)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
