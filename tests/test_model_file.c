/* test_model_file.c - a good model file with one thing bent: each must be refused, in words that name it. */
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "file/gguf.h"
#include "model/model.h"
#include "tiny_model.h"

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

/* ---- keys and tensors that only some architectures have ---------------------------------------------------------- */

enum {
    PRE = TINY_PRE_NORM,
    GEMMA3 = TINY_PRE_NORM | TINY_POST_NORM | TINY_HEAD_NORM,
    OPENAI = TINY_PRE_NORM | TINY_OPENAI_NORM | TINY_SINKS | TINY_UNTIED
};

typedef struct odd_model {
    const char *what;
    tiny_model model;
    ex_code code;
    const char *words;
} odd_model;

static const odd_model odd_models[] = {
    {"more experts used than there are", {"llama", PRE, .n_expert = 4, .n_used = 5}, EX_ERROR_FORMAT,
     "expert_used_count' is 5, outside 1 to 4"},
    {"no expert used", {"llama", PRE, .n_expert = 4, .n_used = 0}, EX_ERROR_FORMAT, "expert_used_count' is 0"},
    {"experts that no key announces",
     {"llama", PRE, .n_expert = 4, .n_used = 2, .keys = {{"expert_count", 'u', 0, NULL}}}, EX_ERROR_FORMAT,
     "ffn_up.weight' is missing"},
    {"another number of experts", {"llama", PRE, .n_expert = 4, .n_used = 2, .keys = {{"expert_count", 'u', 5, NULL}}},
     EX_ERROR_FORMAT, "ffn_gate_inp.weight' has shape"},
    {"too many experts", {"llama", PRE, .n_expert = 4, .n_used = 2, .keys = {{"expert_count", 'u', 1025, NULL}}},
     EX_ERROR_FORMAT, "expert_count' is 1025"},
    {"no router",
     {"llama", PRE, .n_expert = 4, .n_used = 2, .bent = "blk.1.ffn_gate_inp.weight", .bend = TINY_WITHOUT},
     EX_ERROR_FORMAT, "blk.1.ffn_gate_inp.weight' is missing"},
    {"a router that is too wide",
     {"llama", PRE, .n_expert = 4, .n_used = 2, .bent = "blk.0.ffn_gate_inp.weight", .bend = TINY_WIDER},
     EX_ERROR_FORMAT, "ffn_gate_inp.weight' has shape"},
    {"sigmoid routing", {"llama", PRE, .n_expert = 4, .n_used = 2, .keys = {{"expert_gating_func", 'u', 2, NULL}}},
     EX_ERROR_FORMAT, "expert_gating_func' asks for a kind of routing"},
    {"routing of an unknown kind",
     {"llama", PRE, .n_expert = 4, .n_used = 2, .keys = {{"expert_gating_func", 'u', 77, NULL}}}, EX_ERROR_FORMAT,
     "expert_gating_func"},
    {"experts scaled by NaN",
     {"llama", PRE, .n_expert = 4, .n_used = 2, .keys = {{"expert_weights_scale", 'f', NAN, NULL}}}, EX_ERROR_FORMAT,
     "expert_weights_scale' is not a finite number above 0"},
    {"biases of experts where one is too long",
     {"gpt-oss", OPENAI | TINY_EXPERT_BIAS, .n_expert = 4, .n_used = 2, .bent = "blk.2.ffn_up_exps.bias",
      .bend = TINY_WIDER}, EX_ERROR_FORMAT, "blk.2.ffn_up_exps.bias' has shape"},
    {"window flags for fewer layers",
     {"gemma3", GEMMA3, .n_layer = 4, .keys = {{"attention.sliding_window", 'u', 8, NULL},
                                               {"attention.sliding_window_pattern", 'b', 0, "101"}}},
     EX_ERROR_FORMAT, "neither a period nor a flag for each layer"},
    {"one window flag",
     {"gemma3", GEMMA3, .n_layer = 4, .keys = {{"attention.sliding_window", 'u', 8, NULL},
                                               {"attention.sliding_window_pattern", 'b', 0, "1"}}},
     EX_ERROR_FORMAT, "neither a period nor a flag for each layer"},
    {"no window flags at all",
     {"gemma3", GEMMA3, .keys = {{"attention.sliding_window", 'u', 8, NULL},
                                 {"attention.sliding_window_pattern", 'b', 0, ""}}},
     EX_ERROR_FORMAT, "neither a period nor a flag for each layer"},
    {"window pattern that is a text",
     {"gemma3", GEMMA3, .keys = {{"attention.sliding_window", 'u', 8, NULL},
                                 {"attention.sliding_window_pattern", 's', 0, "all"}}},
     EX_ERROR_FORMAT, "neither a period nor a flag for each layer"},
    {"a huge window", {"gemma3", GEMMA3, .keys = {{"attention.sliding_window", 'u', 4294967295.0, NULL}}},
     EX_ERROR_FORMAT, "attention.sliding_window' is 4294967295"},
    {"negative scores", {"granite", PRE, .keys = {{"attention.scale", 'f', -1, NULL}}}, EX_ERROR_FORMAT,
     "attention.scale' is not a finite number above 0"},
    {"scores scaled by NaN", {"granite", PRE, .keys = {{"attention.scale", 'f', NAN, NULL}}}, EX_ERROR_FORMAT,
     "attention.scale"},
    {"logits scaled by infinity", {"granite", PRE, .keys = {{"logit_scale", 'f', INFINITY, NULL}}}, EX_ERROR_FORMAT,
     "logit_scale"},
    {"residual scale that is a text", {"granite", PRE, .keys = {{"residual_scale", 's', 0, "1"}}}, EX_ERROR_FORMAT,
     "residual_scale' is no number"},
    {"negative embedding scale", {"granite", PRE, .keys = {{"embedding_scale", 'f', -3, NULL}}}, EX_ERROR_FORMAT,
     "embedding_scale"},
    {"negative soft cap", {"gemma2", PRE | TINY_POST_NORM, .keys = {{"attn_logit_softcapping", 'f', -50, NULL}}},
     EX_ERROR_FORMAT, "attn_logit_softcapping"},
    {"soft cap of NaN", {"gemma2", PRE | TINY_POST_NORM, .keys = {{"final_logit_softcapping", 'f', NAN, NULL}}},
     EX_ERROR_FORMAT, "final_logit_softcapping"},
    {"longrope without factors", {"phi3", PRE, .keys = {{"rope.scaling.type", 's', 0, "longrope"}}}, EX_ERROR_FORMAT,
     "needs the tensors rope_factors_short.weight"},
    {"longrope without one of them",
     {"phi3", PRE | TINY_ROPE_FACTORS, .keys = {{"rope.scaling.type", 's', 0, "longrope"}},
      .bent = "rope_factors_long.weight", .bend = TINY_WITHOUT}, EX_ERROR_FORMAT, "rope_factors_long.weight"},
    {"too many factors",
     {"phi3", PRE | TINY_ROPE_FACTORS, .keys = {{"rope.scaling.type", 's', 0, "longrope"}},
      .bent = "rope_factors_short.weight", .bend = TINY_WIDER}, EX_ERROR_FORMAT,
     "rope_factors_short.weight' has shape [32"},
    {"negative yarn factor",
     {"llama", PRE, .keys = {{"rope.scaling.type", 's', 0, "yarn"}, {"rope.scaling.factor", 'f', -4, NULL}}},
     EX_ERROR_FORMAT, "rope.scaling.factor"},
    {"yarn factor 0, which says none",
     {"llama", PRE, .keys = {{"rope.scaling.type", 's', 0, "yarn"}, {"rope.scaling.factor", 'f', 0, NULL}}}, EX_OK,
     NULL},
    {"yarn from no context",
     {"llama", PRE, .keys = {{"rope.scaling.type", 's', 0, "yarn"},
                             {"rope.scaling.original_context_length", 'u', 0, NULL}}},
     EX_ERROR_FORMAT, "original_context_length' is 0"},
    {"yarn whose ramp has no place",
     {"llama", PRE, .keys = {{"rope.scaling.type", 's', 0, "yarn"}, {"rope.freq_base", 'f', 1, NULL},
                             {"rope.scaling.factor", 'f', 4, NULL}}}, EX_OK, NULL},
    {"too many sinks",
     {"gpt-oss", OPENAI, .n_expert = 4, .n_used = 2, .bent = "blk.1.attn_sinks.weight", .bend = TINY_WIDER},
     EX_ERROR_FORMAT, "blk.1.attn_sinks.weight' has shape"},
    {"no sinks",
     {"gpt-oss", OPENAI, .n_expert = 4, .n_used = 2, .bent = "blk.1.attn_sinks.weight", .bend = TINY_WITHOUT},
     EX_ERROR_FORMAT, "blk.1.attn_sinks.weight' is missing"},
    {"a matrix with one dimension more", {"llama", PRE, .bent = "blk.0.attn_q.weight", .bend = TINY_DEEPER}, EX_OK,
     NULL},
    {"post norms in a model without", {"llama", PRE | TINY_POST_NORM, .n_layer = 1}, EX_ERROR_UNSUPPORTED,
     "post_attention_norm.weight' is not one that"},
    {"one layer too many", {"llama", PRE, .n_layer = 1, .keys = {{"block_count", 'u', 1025, NULL}}}, EX_ERROR_FORMAT,
     "block_count' is 1025, outside 1 to 1024"},
    {"as many layers as there may be",
     {"llama", PRE, .n_layer = 1024, .n_embd = 32, .n_ff = 32, .type = EX_TYPE_Q4_0,
      .keys = {{"attention.sliding_window", 'u', 4, NULL}}}, EX_OK, NULL},
};

/* What opens must also run: to logits, or to words about why not. */
static void evaluate_some(ex_model *model, const char *what) {
    ex_error error = {0};
    ex_session *session;
    ex_session_options options = {.n_context = 8};
    assert_ok(ex_model_session(&session, model, &options, &error), &error);
    ex_code code = ex_session_evaluate(session, (int32_t[]){1, 2, 3, 4, 5, 6}, 6, NULL, NULL, &error);
    if (code != EX_OK && code != EX_ERROR_NUMBER) fail_msg("%s: %s", what, error.message);
    ex_session_close(session);
}

static void test_odd_models(void **state) {
    (void)state;
    char folder[] = "/tmp/entropix-test-XXXXXX", path[64];
    ex_error error;
    ex_file *file;
    ex_model model;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/odd.gguf", folder);
    for (size_t i = 0; i < sizeof odd_models / sizeof *odd_models; i++) {
        const odd_model *odd = &odd_models[i];
        error = (ex_error){0};
        tiny_model_write(&odd->model, path);
        assert_ok(ex_file_open(&file, path, &error), &error);
        ex_code code = ex_model_open(&model, file, &(ex_engine_options){.n_threads = 1}, &error);
        if (code != odd->code || (odd->words && !strstr(error.message, odd->words)))
            fail_msg("%s: code %d, message \"%s\"; expected %d and \"%s\"", odd->what, (int)code, error.message,
                     (int)odd->code, odd->words ? odd->words : "");
        if (code == EX_OK) {
            evaluate_some(&model, odd->what);
            ex_model_close(&model);
        }
        ex_file_close(file);
        unlink(path);
    }
    rmdir(folder);
}

/* Windows that are longer than a test's contexts. */
static void check_window(const char *path, const tiny_model *wanted, int32_t window) {
    ex_error error;
    ex_file *file;
    ex_model model;
    tiny_model_write(wanted, path);
    assert_ok(ex_file_open(&file, path, &error), &error);
    assert_ok(ex_model_open(&model, file, &(ex_engine_options){.n_threads = 1}, &error), &error);
    assert_int_equal(model.shape.window, window);
    ex_model_close(&model);
    ex_file_close(file);
    unlink(path);
}

static void test_windows_without_key(void **state) {
    (void)state;
    char path[] = "/tmp/entropix-test-XXXXXX";
    close(mkstemp(path));
    check_window(path, &(tiny_model){"gemma2", PRE | TINY_POST_NORM, .n_layer = 2}, 4096);
    check_window(path, &(tiny_model){"gpt-oss", OPENAI, .n_expert = 2, .n_used = 1}, 128);
    check_window(path, &(tiny_model){"llama", PRE, .n_layer = 2}, 0);
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
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_bent_files), cmocka_unit_test(test_odd_models),
                                       cmocka_unit_test(test_windows_without_key),
                                       cmocka_unit_test(test_kernels_by_name)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
