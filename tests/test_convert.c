/* test_convert.c - Hugging Face folders become GGUF files: every key, token and weight where it belongs, the reference
 * model with its reference logits, and nothing that a folder holds can do more than fail. */
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "base/half.h"
#include "base/tensor_type.h"
#include "convert_support.h"
#include "model/model.h"

static char folder[64];

static int make_folder(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/test_convert.XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static const char *in_folder(const char *name) {
    static char paths[4][160];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static const char *const file_names[] = {
    "config.json",      "tokenizer.json",      "tokenizer_config.json",
    "model.safetensors", "chat_template.jinja", "generation_config.json",
    "part-1.safetensors", "part-2.safetensors", "model.safetensors.index.json",
    "out.gguf",         "again.gguf",
};

static int empty_folder(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof file_names / sizeof *file_names; i++) unlink(in_folder(file_names[i]));
    return count_files(folder) == 0 ? 0 : -1;
}

static int remove_folder(void **state) {
    (void)state;
    return rmdir(folder);
}

/* A folder that converts. `members` go into config.json, each with a comma behind it. */
static void write_folder(made_model *model, const char *family, const char *members, const char *dtype, bool tied) {
    char config[2000];
    snprintf(config, sizeof config, made_config, family, members);
    made_text(in_folder("config.json"), config);
    made_text(in_folder("tokenizer.json"), made_tokenizer);
    made_tensors(model, family, dtype, dtype, tied);
    made_safetensors(in_folder("model.safetensors"), model, 0, model->n_tensors);
}

static ex_file *convert_type(const char *type) {
    ex_error error;
    ex_file *file;
    assert_ok(ex_convert(folder, in_folder("out.gguf"), type, NULL, NULL, &error), &error);
    assert_ok(ex_file_open(&file, in_folder("out.gguf"), &error), &error);
    return file;
}

static ex_file *convert(void) { return convert_type(NULL); }

static void refuse(ex_code code, const char *words) {
    ex_error error = {0};
    ex_code got = ex_convert(folder, in_folder("out.gguf"), NULL, NULL, NULL, &error);
    if (got != code || !strstr(error.message, words))
        fail_msg("code %d, not %d with '%s': %s", (int)got, (int)code, words, error.message);
    assert_int_equal(access(in_folder("out.gguf"), F_OK), -1);
}

/* ---- what the file says ---- */

static int64_t integer(const ex_file *file, const char *name, uint64_t index) {
    int64_t value = 0;
    if (!ex_key_integer(ex_file_find_key(file, name), index, &value)) fail_msg("%s is no integer", name);
    return value;
}

static double number(const ex_file *file, const char *name, uint64_t index) {
    double value = 0;
    if (!ex_key_number(ex_file_find_key(file, name), index, &value)) fail_msg("%s is no number", name);
    return value;
}

static void assert_text(const ex_file *file, const char *name, uint64_t index, const char *expected) {
    ex_string value = {0};
    if (!ex_key_string(ex_file_find_key(file, name), index, &value)) fail_msg("%s is no text", name);
    if (value.length != strlen(expected) || memcmp(value.data, expected, value.length) != 0)
        fail_msg("%s %d is '%.*s', not '%s'", name, (int)index, (int)value.length, value.data, expected);
}

static float weight_at(const ex_tensor *tensor, uint64_t index) {
    uint16_t half;
    float single;
    memcpy(&single, (const char *)tensor->data + (tensor->type == EX_TYPE_F32 ? index * 4 : 0), sizeof single);
    memcpy(&half, (const char *)tensor->data + (tensor->type == EX_TYPE_F32 ? 0 : index * 2), sizeof half);
    if (tensor->type == EX_TYPE_F32) return single;
    return tensor->type == EX_TYPE_F16 ? ex_half_to_float(half) : ex_bfloat_to_float(half);
}

static const struct {
    const char *ours, *theirs;
} pairs[] = {
    {"attn_norm.weight", "input_layernorm.weight"},
    {"attn_q.weight", "self_attn.q_proj.weight"},
    {"attn_q.bias", "self_attn.q_proj.bias"},
    {"attn_k.weight", "self_attn.k_proj.weight"},
    {"attn_k.bias", "self_attn.k_proj.bias"},
    {"attn_v.weight", "self_attn.v_proj.weight"},
    {"attn_v.bias", "self_attn.v_proj.bias"},
    {"attn_output.weight", "self_attn.o_proj.weight"},
    {"attn_q_norm.weight", "self_attn.q_norm.weight"},
    {"attn_k_norm.weight", "self_attn.k_norm.weight"},
    {"ffn_norm.weight", "post_attention_layernorm.weight"},
    {"ffn_gate.weight", "mlp.gate_proj.weight"},
    {"ffn_up.weight", "mlp.up_proj.weight"},
    {"ffn_down.weight", "mlp.down_proj.weight"},
    {"token_embd.weight", "model.embed_tokens.weight"},
    {"output_norm.weight", "model.norm.weight"},
    {"output.weight", "lm_head.weight"},
};

static const made_tensor *source_of(const made_model *model, ex_string name) {
    char wanted[100] = "";
    int layer = 0, at = 0;
    bool in_layer = sscanf(name.data, "blk.%d.%n", &layer, &at) == 1;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        size_t n = strlen(pairs[i].ours);
        if (name.length - (size_t)at != n || memcmp(name.data + at, pairs[i].ours, n) != 0) continue;
        if (in_layer) snprintf(wanted, sizeof wanted, "model.layers.%d.%s", layer, pairs[i].theirs);
        else snprintf(wanted, sizeof wanted, "%s", pairs[i].theirs);
    }
    for (size_t i = 0; i < model->n_tensors; i++)
        if (strcmp(model->tensors[i].name, wanted) == 0) return &model->tensors[i];
    fail_msg("no source of tensor %.*s", (int)name.length, name.data);
    return NULL;
}

/* Where row `row` of a tensor comes from: heads of Q and K are interleaved for families that turn neighbours. */
static uint64_t row_of_source(const char *name, uint64_t row, bool interleaved) {
    bool turned = interleaved && (strstr(name, "q_proj") || strstr(name, "k_proj"));
    uint64_t within = row % MADE_HEAD_DIM;
    return turned ? row - within + (within % 2) * (MADE_HEAD_DIM / 2) + within / 2 : row;
}

static void check_tensor(const made_model *model, const ex_tensor *tensor, bool interleaved, uint32_t matrix_type) {
    const made_tensor *source = source_of(model, tensor->name);
    bool is_vector = source->rows == 0;
    assert_int_equal(tensor->n_dims, is_vector ? 1 : 2);
    assert_int_equal(tensor->ne[0], source->columns);
    assert_int_equal(tensor->ne[1], is_vector ? 1 : source->rows);
    assert_int_equal(tensor->type, is_vector ? EX_TYPE_F32 : matrix_type);
    uint64_t n_columns = is_vector ? 1 : source->columns, n_rows = is_vector ? source->columns : source->rows;
    for (uint64_t row = 0; row < n_rows; row++)
        for (uint64_t column = 0; column < n_columns; column++) {
            uint64_t from = row_of_source(source->name, row, interleaved) * n_columns + column;
            if (weight_at(tensor, row * n_columns + column) != made_weight(source->name, from))
                fail_msg("%s: row %d, column %d", source->name, (int)row, (int)column);
        }
}

static void check_tensors(const made_model *model, const ex_file *file, bool interleaved, uint32_t matrix_type) {
    assert_int_equal(ex_file_tensor_count(file), model->n_tensors);
    for (size_t i = 0; i < model->n_tensors; i++)
        check_tensor(model, ex_file_tensor(file, i), interleaved, matrix_type);
}

/* ---- families ---- */

/* Three tokens through the forward pass: it takes the file, and the numbers are numbers. */
static void run_model(const ex_file *file) {
    const ex_architecture *architecture;
    ex_error error;
    if (ex_architecture_find(&architecture, file, &error) == EX_ERROR_UNSUPPORTED) return;
    ex_model model;
    ex_session *session;
    ex_step step;
    ex_engine_options options = {.n_threads = 1};
    assert_ok(ex_model_open(&model, file, &options, &error), &error);
    assert_ok(ex_model_session(&session, &model, &(ex_session_options){.n_context = 8}, &error), &error);
    assert_ok(ex_session_evaluate(session, (int32_t[]){20, 4, 2}, 3, NULL, &step, &error), &error);
    for (int32_t i = 0; i < step.n_vocab; i++) assert_true(isfinite(step.logits[i]));
    ex_session_close(session);
    ex_model_close(&model);
}

static void test_families(void **state) {
    (void)state;
    static const struct {
        const char *family, *architecture;
        bool interleaved, tied;
    } rows[] = {{"llama", "llama", true, true},
                {"mistral", "llama", true, false},
                {"qwen2", "qwen2", false, true},
                {"qwen3", "qwen3", false, false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        made_model model;
        char name[60];
        const char *tied = rows[i].tied ? "\"tie_word_embeddings\": true," : "\"tie_word_embeddings\": false,";
        write_folder(&model, rows[i].family, tied, "F16", rows[i].tied);
        ex_file *file = convert();
        assert_text(file, "general.architecture", 0, rows[i].architecture);
        assert_text(file, "general.name", 0, strrchr(folder, '/') + 1);
        assert_int_equal(integer(file, "general.file_type", 0), 1);
        static const struct { const char *name; int64_t value; } keys[] = {
            {"block_count", 2},          {"embedding_length", 8},      {"feed_forward_length", 12},
            {"attention.head_count", 4}, {"attention.head_count_kv", 2}, {"attention.key_length", 4},
            {"rope.dimension_count", 4}, {"context_length", 64},       {"vocab_size", 24}};
        for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
            snprintf(name, sizeof name, "%s.%s", rows[i].architecture, keys[k].name);
            assert_int_equal(integer(file, name, 0), keys[k].value);
        }
        snprintf(name, sizeof name, "%s.attention.layer_norm_rms_epsilon", rows[i].architecture);
        assert_true(is_close(number(file, name, 0), 1e-5, 1e-11));
        check_tensors(&model, file, rows[i].interleaved, EX_TYPE_F16);
        run_model(file);
        ex_file_close(file);
    }
}

/* Biases of Q and K are turned with their rows. */
static void test_biases_of_llama(void **state) {
    (void)state;
    made_model model;
    write_folder(&model, "llama", "", "F16", true);
    made_tensors(&model, "biased", "F16", "F32", true);
    made_safetensors(in_folder("model.safetensors"), &model, 0, model.n_tensors);
    ex_file *file = convert();
    check_tensors(&model, file, true, EX_TYPE_F16);
    ex_file_close(file);
}

static void test_types(void **state) {
    (void)state;
    static const struct {
        const char *dtype, *wanted;
        uint32_t type;
        int64_t file_type;
    } rows[] = {{"F16", NULL, EX_TYPE_F16, 1},   {"BF16", NULL, EX_TYPE_BF16, 32}, {"F32", NULL, EX_TYPE_F16, 1},
                {"F32", "f32", EX_TYPE_F32, 0},  {"F16", "BF16", EX_TYPE_BF16, 32}, {"BF16", "F16", EX_TYPE_F16, 1},
                {"BF16", "F32", EX_TYPE_F32, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        made_model model;
        write_folder(&model, "llama", "", rows[i].dtype, false);
        ex_file *file = convert_type(rows[i].wanted);
        assert_int_equal(integer(file, "general.file_type", 0), rows[i].file_type);
        check_tensors(&model, file, true, rows[i].type);
        ex_file_close(file);
    }
    ex_error error;
    assert_int_equal(ex_convert(folder, in_folder("out.gguf"), "Q8_0", NULL, NULL, &error), EX_ERROR_ARGUMENT);
    assert_non_null(strstr(error.message, "quantise the result"));
}

static void test_tied_embeddings(void **state) {
    (void)state;
    made_model model;
    write_folder(&model, "llama", "\"tie_word_embeddings\": true,", "F16", false); /* the matrix is there, too */
    ex_file *file = convert();
    assert_null(ex_file_find_tensor(file, "output.weight"));
    ex_file_close(file);
    write_folder(&model, "llama", "", "F16", false); /* not said: then it counts */
    file = convert();
    assert_non_null(ex_file_find_tensor(file, "output.weight"));
    ex_file_close(file);
    unlink(in_folder("out.gguf"));
    write_folder(&model, "llama", "\"tie_word_embeddings\": false,", "F16", true);
    refuse(EX_ERROR_FORMAT, "'lm_head.weight' is missing");
}

static bool same_bytes(const char *a, const char *b) {
    size_t n, m;
    char *x = read_whole_file(a, &n), *y = read_whole_file(b, &m);
    bool same = x && y && n == m && memcmp(x, y, n) == 0;
    free(x);
    free(y);
    return same;
}

static void write_shards(const made_model *model, size_t cut) {
    char *index = calloc(1, 1 << 16);
    size_t n = (size_t)snprintf(index, 1 << 16, "{\"metadata\": {}, \"weight_map\": {");
    for (size_t i = 0; i < model->n_tensors; i++)
        n += (size_t)snprintf(index + n, (1 << 16) - n, "%s\"%s\": \"part-%d.safetensors\"", i ? "," : "",
                              model->tensors[i].name, i < cut ? 1 : 2);
    snprintf(index + n, (1 << 16) - n, "}}");
    made_text(in_folder("model.safetensors.index.json"), index);
    made_safetensors(in_folder("part-1.safetensors"), model, 0, cut);
    made_safetensors(in_folder("part-2.safetensors"), model, cut, model->n_tensors);
    unlink(in_folder("model.safetensors"));
    free(index);
}

/* The same model in one file, once more, and in two files: the same bytes. */
static void test_shards_and_repetition_give_the_same_bytes(void **state) {
    (void)state;
    made_model model;
    ex_error error;
    write_folder(&model, "qwen3", "", "BF16", false);
    ex_file_close(convert());
    assert_ok(ex_convert(folder, in_folder("again.gguf"), NULL, NULL, NULL, &error), &error);
    assert_true(same_bytes(in_folder("out.gguf"), in_folder("again.gguf")));
    write_shards(&model, 9);
    assert_ok(ex_convert(folder, in_folder("again.gguf"), NULL, NULL, NULL, &error), &error);
    assert_true(same_bytes(in_folder("out.gguf"), in_folder("again.gguf")));
    unlink(in_folder("out.gguf"));

    unlink(in_folder("part-2.safetensors"));
    refuse(EX_ERROR_IO, "part-2.safetensors");
    made_safetensors(in_folder("part-2.safetensors"), &model, 8, model.n_tensors);
    refuse(EX_ERROR_FORMAT, "is also in");
    made_safetensors(in_folder("part-2.safetensors"), &model, 10, model.n_tensors);
    refuse(EX_ERROR_FORMAT, "is in the index, but not in part-2.safetensors");
    made_text(in_folder("model.safetensors.index.json"), "{\"weight_map\": {\"a\": \"../part-1.safetensors\"}}");
    refuse(EX_ERROR_FORMAT, "no name of a file in this folder");
    made_text(in_folder("model.safetensors.index.json"), "{\"weight_map\": []}");
    refuse(EX_ERROR_FORMAT, "no map 'weight_map'");
}

/* ---- RoPE ---- */

static void test_rope_scaling(void **state) {
    (void)state;
    made_model model;
    write_folder(&model, "llama", "\"rope_theta\": 5000, \"rope_scaling\": {\"type\": \"linear\", \"factor\": 4},",
                 "F16", true);
    ex_file *file = convert();
    assert_text(file, "llama.rope.scaling.type", 0, "linear");
    assert_true(number(file, "llama.rope.scaling.factor", 0) == 4);
    assert_true(number(file, "llama.rope.freq_base", 0) == 5000);
    ex_file_close(file);

    write_folder(&model, "qwen2",
                 "\"rope_parameters\": {\"rope_theta\": 1e6, \"rope_type\": \"yarn\", \"factor\": 4.0,"
                 " \"original_max_position_embeddings\": 16, \"attention_factor\": 1.5},",
                 "F16", true);
    file = convert();
    assert_text(file, "qwen2.rope.scaling.type", 0, "yarn");
    assert_int_equal(integer(file, "qwen2.rope.scaling.original_context_length", 0), 16);
    assert_true(number(file, "qwen2.rope.freq_base", 0) == 1e6);
    assert_true(number(file, "qwen2.rope.scaling.yarn_beta_fast", 0) == 32);
    assert_true(is_close(number(file, "qwen2.rope.scaling.attn_factor", 0), 1.5 / (1 + 0.1 * log(4)), 1e-6));
    ex_file_close(file);

    /* base 100, four dimensions: frequencies 1 and 0.1, wavelengths 6.28 and 62.8 */
    write_folder(&model, "llama",
                 "\"rope_parameters\": {\"rope_theta\": 100, \"rope_type\": \"llama3\", \"factor\": 8.0,"
                 " \"low_freq_factor\": 1.0, \"high_freq_factor\": 4.0, \"original_max_position_embeddings\": 100},",
                 "F16", true);
    file = convert();
    const ex_tensor *divisors = ex_file_find_tensor(file, "rope_freqs.weight");
    assert_non_null(divisors);
    assert_int_equal(divisors->ne[0], 2);
    double smooth = (100 / (20 * M_PI) - 1) / 3;
    assert_true(weight_at(divisors, 0) == 1);
    assert_true(is_close(weight_at(divisors, 1), 1 / ((1 - smooth) / 8 + smooth), 1e-6));
    assert_null(ex_file_find_key(file, "llama.rope.scaling.type"));
    ex_file_close(file);
}

/* ---- tokenizers ---- */

static void test_byte_level_tokenizer(void **state) {
    (void)state;
    made_model model;
    write_folder(&model, "llama", "\"bos_token_id\": 20,", "F16", true);
    made_text(in_folder("generation_config.json"), "{\"eos_token_id\": [21, 22], \"pad_token_id\": 6}");
    made_text(in_folder("tokenizer_config.json"),
              "{\"add_bos_token\": true, \"eos_token\": {\"content\": \"</s>\"}, \"bos_token\": \"<s>\","
              " \"pad_token\": null, \"model_max_length\": 1000000000000000019884624838656,"
              " \"chat_template\": [{\"name\": \"tools\", \"template\": \"x\"},"
              " {\"name\": \"default\", \"template\": \"{{ messages }}\"}]}");
    ex_file *file = convert();
    assert_text(file, "tokenizer.ggml.model", 0, "gpt2");
    assert_text(file, "tokenizer.ggml.pre", 0, "gpt-2");
    assert_int_equal(ex_file_find_key(file, "tokenizer.ggml.tokens")->count, 24);
    static const struct { uint64_t id; const char *text; int64_t kind; } tokens[] = {
        {0, "a", 1},       {4, "ab", 1},    {5, "\xC4\xA0""ab", 1}, {7, "[PAD7]", 5},
        {20, "<s>", 3}, {21, "</s>", 3}, {22, "<think>", 4},     {23, "[PAD23]", 5}};
    for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++) {
        assert_text(file, "tokenizer.ggml.tokens", tokens[i].id, tokens[i].text);
        assert_int_equal(integer(file, "tokenizer.ggml.token_type", tokens[i].id), tokens[i].kind);
    }
    assert_text(file, "tokenizer.ggml.merges", 0, "a b");
    assert_text(file, "tokenizer.ggml.merges", 1, "\xC4\xA0 ab");
    assert_text(file, "tokenizer.ggml.merges", 2, "ab c");
    assert_int_equal(integer(file, "tokenizer.ggml.bos_token_id", 0), 20);
    assert_int_equal(integer(file, "tokenizer.ggml.eos_token_id", 0), 21);
    assert_int_equal(integer(file, "tokenizer.ggml.eot_token_id", 0), 22);
    assert_int_equal(integer(file, "tokenizer.ggml.padding_token_id", 0), 6);
    assert_int_equal(integer(file, "tokenizer.ggml.add_bos_token", 0), 1);
    assert_text(file, "tokenizer.chat_template", 0, "{{ messages }}");
    ex_tokenizer *tokenizer;
    ex_error error;
    int32_t ids[8];
    size_t n;
    assert_ok(ex_tokenizer_open(&tokenizer, file, &error), &error);
    assert_ok(ex_tokenize(tokenizer, "abc ab<think>", 13, EX_TOKENIZE_ADD_BEGINNING, ids, 8, &n, &error), &error);
    assert_int_equal(n, 4);
    assert_memory_equal(ids, ((int32_t[]){20, 6, 5, 22}), n * sizeof *ids);
    ex_tokenizer_close(tokenizer);
    ex_file_close(file);

    made_text(in_folder("chat_template.jinja"), "{{ bos_token }}\n");
    file = convert();
    assert_text(file, "tokenizer.chat_template", 0, "{{ bos_token }}\n");
    ex_file_close(file);
}

static const char escaped_space[] =
    "{\"added_tokens\": [{\"id\": 0, \"content\": \"<unk>\", \"special\": true}, {\"id\": 1, \"content\": \"<s>\","
    " \"special\": true}, {\"id\": 2, \"content\": \"</s>\", \"special\": true}],"
    " \"normalizer\": {\"type\": \"Sequence\", \"normalizers\": [{\"type\": \"Prepend\", \"prepend\": \"\\u2581\"},"
    " {\"type\": \"Replace\", \"pattern\":"
    " {\"String\": \" \"}, \"content\": \"\\u2581\"}]}, \"pre_tokenizer\": null, \"post_processor\": {\"type\":"
    " \"TemplateProcessing\", \"single\": [{\"SpecialToken\": {\"id\": \"<s>\"}}, {\"Sequence\": {\"id\": \"A\"}}]},"
    " \"model\": {\"type\": \"BPE\", \"unk_token\": \"<unk>\", \"byte_fallback\": true, \"vocab\": {\"<unk>\": 0,"
    " \"<s>\": 1, \"</s>\": 2, \"<0x41>\": 3, \"<0xC3>\": 4, \"\\u2581a\": 6, \"ab\": 5, \"\\u2581ab\": 7, \"a\": 8,"
    " \"b\": 9, \"\\u2581\": 10}, \"merges\": [\"a b\", \"\\u2581 a\", \"\\u2581a b\", \"\\u2581 ab\"]}}";

static void test_escaped_space_tokenizer(void **state) {
    (void)state;
    made_model model;
    write_folder(&model, "llama", "\"bos_token_id\": 1,", "F16", true);
    made_text(in_folder("tokenizer.json"), escaped_space);
    made_text(in_folder("tokenizer_config.json"), "{\"eos_token\": \"</s>\", \"unk_token\": \"<unk>\"}");
    ex_file *file = convert();
    assert_text(file, "tokenizer.ggml.model", 0, "llama");
    static const int64_t kinds[] = {2, 3, 3, 6, 6, 1, 1, 1, 1, 1, 1, 5};
    static const double scores[] = {0, 0, 0, 0, 0, 0, -1, -2, -12, -13, -14, 0};
    for (uint64_t i = 0; i < 12; i++) {
        assert_int_equal(integer(file, "tokenizer.ggml.token_type", i), kinds[i]);
        assert_true(number(file, "tokenizer.ggml.scores", i) == scores[i]);
    }
    assert_null(ex_file_find_key(file, "tokenizer.ggml.merges"));
    assert_int_equal(integer(file, "tokenizer.ggml.add_space_prefix", 0), 1);
    assert_int_equal(integer(file, "tokenizer.ggml.add_bos_token", 0), 1);
    assert_int_equal(integer(file, "tokenizer.ggml.add_eos_token", 0), 0);
    assert_int_equal(integer(file, "tokenizer.ggml.unknown_token_id", 0), 0);
    ex_tokenizer *tokenizer;
    ex_error error;
    int32_t ids[8];
    size_t n;
    assert_ok(ex_tokenizer_open(&tokenizer, file, &error), &error);
    assert_ok(ex_tokenize(tokenizer, "ab aA", 5, EX_TOKENIZE_ADD_BEGINNING, ids, 8, &n, &error), &error);
    assert_int_equal(n, 4);
    assert_memory_equal(ids, ((int32_t[]){1, 7, 6, 3}), n * sizeof *ids);
    ex_tokenizer_close(tokenizer);
    ex_file_close(file);
}

/* made_tokenizer with other rules for words. */
static void write_words(const char *normaliser, const char *words, bool ignore_merges) {
    static const char tail[] = "\"model\": {", old[] = "\"normalizer\": null,";
    const char *begin = strstr(made_tokenizer, old), *model = strstr(made_tokenizer, tail);
    char text[6000];
    snprintf(text, sizeof text, "%.*s\"normalizer\": %s, \"pre_tokenizer\": %s, %s\"ignore_merges\": %s, %s",
             (int)(begin - made_tokenizer), made_tokenizer, normaliser, words, tail, ignore_merges ? "true" : "false",
             model + strlen(tail));
    made_text(in_folder("tokenizer.json"), text);
}

#define SPLIT(expression)                                                                                              \
    "{\"type\": \"Split\", \"pattern\": {\"Regex\": \"" expression "\"}, \"behavior\": \"Isolated\", \"invert\": false}"
#define SEQUENCE(steps)                                                                                                \
    "{\"type\": \"Sequence\", \"pretokenizers\": [" steps                                                              \
    ", {\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"use_regex\": false}]}"
#define LIKE_LLAMA3(digits)                                                                                            \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|" digits                                     \
    "| ?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+"

static void test_pretokenisers_are_recognised(void **state) {
    (void)state;
    static const struct {
        const char *normaliser, *words;
        bool ignore_merges;
        const char *name;
    } rows[] = {
        {"null", SEQUENCE(SPLIT(LIKE_LLAMA3("\\\\p{N}{1,3}"))), true, "llama-bpe"},
        {"null", SEQUENCE(SPLIT(LIKE_LLAMA3("\\\\p{N}{1,3}"))), false, "dbrx"},
        {"{\"type\": \"NFC\"}", SEQUENCE(SPLIT(LIKE_LLAMA3("\\\\p{N}"))), false, "qwen2"},
        {"null", SEQUENCE(SPLIT(LIKE_LLAMA3("\\\\p{N}"))), false, "stablelm2"},
        {"null", "{\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"Digits\", \"individual_digits\": true},"
                 " {\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"use_regex\": true}]}", false, "smollm"},
        {"null", SEQUENCE(SPLIT("[\\r\\n]") "," SPLIT("\\\\s?\\\\p{L}+") "," SPLIT("\\\\s?\\\\p{P}+") ","
                          SPLIT("[一-龥ࠀ-一가-퟿]+") ", {\"type\": \"Digits\", \"individual_digits\": true}"), false,
         "deepseek-coder"},
        {"null", SEQUENCE(SPLIT(LIKE_LLAMA3("\\\\p{N}"))), true, "unknown"},
        {"null", SEQUENCE(SPLIT("\\\\w+|\\\\W+")), false, "unknown"},
        {"null", SEQUENCE(SPLIT(LIKE_LLAMA3("\\\\p{N}")) "," SPLIT("x")), false, "unknown"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        made_model model;
        write_folder(&model, "llama", "", "F16", true);
        write_words(rows[i].normaliser, rows[i].words, rows[i].ignore_merges);
        ex_file *file = convert();
        assert_text(file, "tokenizer.ggml.pre", 0, rows[i].name);
        ex_string rules;
        ex_tokenizer *tokenizer;
        ex_error error;
        assert_ok(ex_tokenizer_open(&tokenizer, file, &error), &error); /* by its name, or by the rules in the file */
        ex_tokenizer_close(tokenizer);
        bool has_rules = ex_key_string(ex_file_find_key(file, "tokenizer.huggingface.json"), 0, &rules);
        assert_int_equal(has_rules, strcmp(rows[i].name, "unknown") == 0);
        if (has_rules) {
            json_t *json = json_loadb(rules.data, rules.length, 0, NULL);
            assert_string_equal(json_string_value(json_object_get(json_object_get(json, "pre_tokenizer"), "type")),
                                "Sequence");
            assert_true(json_is_boolean(json_object_get(json_object_get(json, "model"), "ignore_merges")));
            json_decref(json);
        }
        ex_file_close(file);
    }
}

/* ---- the reference model ---- */

static double relative_error(const float *values, const float *expected, size_t n) {
    double difference = 0, norm = 0;
    for (size_t i = 0; i < n; i++) {
        difference += ((double)values[i] - (double)expected[i]) * ((double)values[i] - (double)expected[i]);
        norm += (double)expected[i] * (double)expected[i];
    }
    return sqrt(difference / norm);
}

static void check_logits(const ex_file *file, const ex_file *golden) {
    enum { N_PROMPT = 40, N_GREEDY = 16, N_VOCAB = 512 };
    static float logits[N_PROMPT * N_VOCAB];
    int32_t prompt[N_PROMPT];
    ex_error error;
    ex_model model;
    ex_session *session;
    ex_step step;
    ex_engine_options options = {.n_threads = 2};
    assert_ok(ex_model_open(&model, file, &options, &error), &error);
    ex_session_options session_options = {.n_context = 64, .kv_type = EX_KV_F32};
    assert_ok(ex_model_session(&session, &model, &session_options, &error), &error);
    for (uint64_t i = 0; i < N_PROMPT; i++) prompt[i] = (int32_t)integer(golden, "golden.prompt", i);
    assert_ok(ex_session_evaluate(session, prompt, N_PROMPT, logits, &step, &error), &error);
    const ex_tensor *expected = ex_file_find_tensor(golden, "logits");
    assert_true(expected->ne[0] == N_VOCAB && expected->ne[1] == N_PROMPT);
    for (size_t i = 0; i < N_PROMPT; i++) {
        const float *row = (const float *)expected->data + i * N_VOCAB;
        assert_true(relative_error(logits + i * N_VOCAB, row, N_VOCAB) < 1e-5);
    }
    for (uint64_t i = 0; i < N_GREEDY; i++) {
        int32_t best = 0;
        for (int32_t token = 1; token < N_VOCAB; token++)
            if (step.logits[token] > step.logits[best]) best = token;
        assert_int_equal(best, integer(golden, "golden.greedy", i));
        assert_ok(ex_session_evaluate(session, &best, 1, NULL, &step, &error), &error);
    }
    ex_session_close(session);
    ex_model_close(&model);
}

static void check_line(const ex_tokenizer *tokenizer, const char *line) {
    ex_error error;
    int32_t tokens[4096];
    size_t n;
    json_t *json = json_loads(line, 0, NULL);
    const json_t *text = json_object_get(json, "text"), *ids = json_object_get(json, "ids");
    /* Hugging Face's tokenizers find control tokens in any text */
    assert_ok(ex_tokenize(tokenizer, json_string_value(text), json_string_length(text), EX_TOKENIZE_SPECIAL, tokens,
                          4096, &n, &error),
              &error);
    assert_int_equal(n, json_array_size(ids));
    for (size_t i = 0; i < n; i++) assert_int_equal(tokens[i], json_integer_value(json_array_get(ids, i)));
    json_decref(json);
}

static void check_tokens(const ex_file *file, const char *path) {
    ex_error error;
    ex_tokenizer *tokenizer;
    char *text = read_whole_file(path, &(size_t){0}), *rest = text;
    int n_lines = 0;
    assert_non_null(text);
    assert_ok(ex_tokenizer_open(&tokenizer, file, &error), &error);
    for (char *line; (line = strsep(&rest, "\n")) && *line; n_lines++) check_line(tokenizer, line);
    assert_true(n_lines > 10);
    assert_true(ex_token_ends_generation(tokenizer, 2) && ex_token_ends_generation(tokenizer, 5));
    ex_tokenizer_close(tokenizer);
    free(text);
}

static void test_reference_model(void **state) {
    (void)state;
    char source[300], golden_path[300];
    const char *found = shared_golden("hf/llama3/config.json");
    if (!found) test_skip("no Hugging Face folder beside the project");
    snprintf(source, sizeof source, "%.*s", (int)(strrchr(found, '/') - found), found);
    snprintf(golden_path, sizeof golden_path, "%s", shared_golden("hf/llama3-golden.gguf"));
    ex_error error;
    ex_file *file, *golden;
    assert_ok(ex_convert(source, in_folder("out.gguf"), NULL, NULL, NULL, &error), &error);
    assert_ok(ex_file_open(&file, in_folder("out.gguf"), &error), &error);
    assert_ok(ex_file_open(&golden, golden_path, &error), &error);
    assert_text(file, "general.name", 0, "llama3");
    assert_text(file, "tokenizer.ggml.pre", 0, "llama-bpe");
    check_logits(file, golden);
    check_tokens(file, shared_golden("hf/llama3-tokens.jsonl"));
    ex_file_close(golden);
    ex_file_close(file);
}

/* ---- what is refused ---- */

/* made_config, made_tokenizer or a setting with one part replaced by another. */
static void replace(const char *name, const char *text, const char *part, const char *by) {
    char changed[6000];
    const char *at = strstr(text, part);
    assert_non_null(at);
    snprintf(changed, sizeof changed, "%.*s%s%s", (int)(at - text), text, by, at + strlen(part));
    made_text(in_folder(name), changed);
}

static void test_refuses_configs(void **state) {
    (void)state;
    static const struct {
        const char *part, *by;
        ex_code code;
        const char *words;
    } rows[] = {
        {"\"llama\"", "\"gemma3\"", EX_ERROR_UNSUPPORTED, "'gemma3' cannot be converted (there are: llama, mistral"},
        {"\"model_type\"", "\"type\"", EX_ERROR_UNSUPPORTED, "model_type ''"},
        {"\"silu\"", "\"gelu\"", EX_ERROR_UNSUPPORTED, "not silu"},
        {"\"hidden_size\": 8", "\"hidden_size\": \"8\"", EX_ERROR_FORMAT, "'hidden_size' is a text, not an integer"},
        {"\"hidden_size\": 8", "\"hidden_size\": 0", EX_ERROR_FORMAT, "'hidden_size' is 0, outside 1"},
        {"\"hidden_size\": 8", "\"hidden_size\": 16", EX_ERROR_FORMAT, "does not have 24 rows of 16, as config"},
        {"\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3", EX_ERROR_FORMAT, "'model.layers.2.input_layernorm"},
        {"\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1", EX_ERROR_UNSUPPORTED, "no place in a model"},
        {"\"num_hidden_layers\": 2", "\"num_hidden_layers\": 4294967298", EX_ERROR_FORMAT, "outside 1 to 1024"},
        {"\"num_hidden_layers\": 2,", "", EX_ERROR_FORMAT, "'num_hidden_layers' is missing"},
        {"\"num_key_value_heads\": 2", "\"num_key_value_heads\": 3", EX_ERROR_FORMAT, "4 heads cannot share 3"},
        {"\"head_dim\": 4", "\"head_dim\": 3", EX_ERROR_FORMAT, "not even"},
        {"1e-05", "-1", EX_ERROR_FORMAT, "'rms_norm_eps' is -1"},
        {"\"head_dim\"", "\"rope_scaling\": {\"type\": \"longrope\"}, \"head_dim\"", EX_ERROR_UNSUPPORTED,
         "'longrope'"},
        {"\"head_dim\"", "\"rope_scaling\": {\"type\": \"linear\"}, \"head_dim\"", EX_ERROR_FORMAT,
         "'factor' is missing"},
        {"\"head_dim\"", "\"rope_scaling\": [1], \"head_dim\"", EX_ERROR_FORMAT, "no map"},
        {"\"head_dim\"", "\"use_sliding_window\": true, \"sliding_window\": 8, \"head_dim\"", EX_ERROR_UNSUPPORTED,
         "sliding windows"},
        {"\"head_dim\"", "\"quantization_config\": {}, \"head_dim\"", EX_ERROR_UNSUPPORTED, "quantised already"},
        {"\"head_dim\"", "\"hidden_size\": 8, \"head_dim\"", EX_ERROR_FORMAT, "'hidden_size' occurs twice"},
    };
    made_model model;
    char config[2000];
    write_folder(&model, "llama", "", "F16", true);
    snprintf(config, sizeof config, made_config, "llama", "");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        replace("config.json", config, rows[i].part, rows[i].by);
        refuse(rows[i].code, rows[i].words);
    }
    unlink(in_folder("config.json"));
    refuse(EX_ERROR_IO, "config.json");
}

static void test_refuses_tokenizers(void **state) {
    (void)state;
    static const struct {
        const char *part, *by;
        ex_code code;
        const char *words;
    } rows[] = {
        {"\"BPE\"", "\"Unigram\"", EX_ERROR_UNSUPPORTED, "'Unigram' cannot be converted"},
        {"\"ByteLevel\"", "\"Whitespace\"", EX_ERROR_UNSUPPORTED, "without ByteLevel"},
        {"\"add_prefix_space\": false", "\"add_prefix_space\": true", EX_ERROR_UNSUPPORTED, "add_prefix_space"},
        {"\"id\": 22", "\"id\": 24", EX_ERROR_FORMAT, "'<think>' has the id 24, but the embedding has 24 rows"},
        {"\"id\": 22", "\"id\": -1", EX_ERROR_FORMAT, "has the id -1"},
        {"\"id\": 22", "\"id\": 21", EX_ERROR_FORMAT, "have the same id 21"},
        {"\"id\": 20", "\"id\": 19", EX_ERROR_FORMAT, "'<s>' has two ids"},
        {"\"content\": \"</s>\"", "\"text\": \"</s>\"", EX_ERROR_FORMAT, "no 'content'"},
        {"\"b\": 1", "\"b\": 0", EX_ERROR_FORMAT, "have the same id 0"},
        {"\"b\": 1", "\"b\": 1.5", EX_ERROR_FORMAT, "'b' has no id"},
        {"\"a b\"", "\"ab\"", EX_ERROR_FORMAT, "merge 0 is not two tokens"},
        {"\"a b\"", "\"b a\"", EX_ERROR_FORMAT, "merge 0 makes a token that is not in the vocabulary"},
        {"[\"\\u0120\", \"ab\"]", "[\"\\u0120\"]", EX_ERROR_FORMAT, "merge 1 is neither a text nor a pair"},
        {"[\"\\u0120\", \"ab\"]", "[\"a b\", \"c\"]", EX_ERROR_FORMAT, "merge 1 has a space in its first token"},
        {"\"merges\"", "\"others\"", EX_ERROR_FORMAT, "no list 'merges'"},
        {"\"vocab\"", "\"words\"", EX_ERROR_FORMAT, "no map 'vocab'"},
        {"\"c\": 2", "\"a\": 2", EX_ERROR_FORMAT, "'a' occurs twice"},
    };
    made_model model;
    write_folder(&model, "llama", "", "F16", true);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        replace("tokenizer.json", made_tokenizer, rows[i].part, rows[i].by);
        refuse(rows[i].code, rows[i].words);
    }
    made_text(in_folder("tokenizer.json"), made_tokenizer);
    made_text(in_folder("tokenizer_config.json"), "{\"bos_token\": \"<none>\"}");
    refuse(EX_ERROR_FORMAT, "bos_token '<none>' is not in the vocabulary");
    unlink(in_folder("tokenizer_config.json"));
    made_text(in_folder("generation_config.json"), "{\"eos_token_id\": [21, 24]}");
    refuse(EX_ERROR_FORMAT, "generation_config.json: byte 22: 'eos_token_id' is not the id");
    unlink(in_folder("tokenizer.json"));
    refuse(EX_ERROR_IO, "tokenizer.json");
}

static void write_header(const char *header, uint64_t length, size_t n_data) {
    FILE *file = fopen(in_folder("model.safetensors"), "wb");
    assert_non_null(file);
    fwrite(&length, sizeof length, 1, file);
    fputs(header, file);
    for (size_t i = 0; i < n_data; i++) fputc(0, file);
    assert_int_equal(fclose(file), 0);
}

#define ENTRY(name, dtype, shape, offsets) \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"

static void test_refuses_hostile_safetensors(void **state) {
    (void)state;
    static const struct {
        const char *header;
        size_t n_data;
        const char *words;
    } rows[] = {
        {"{" ENTRY("a", "F16", "[4]", "[0,8]") "}", 7, "byte 55: tensor 'a' ends at byte 8 of the data"},
        {"{" ENTRY("a", "F16", "[4]", "[0,8]") "}", 9, "1 bytes follow the last tensor"},
        {"{" ENTRY("a", "F16", "[4]", "[2,10]") "}", 10, "tensor 'a' leaves a gap"},
        {"{" ENTRY("a", "F16", "[4]", "[0,8]") "," ENTRY("b", "F16", "[4]", "[6,14]") "}", 14, "'b' overlaps"},
        {"{" ENTRY("a", "F16", "[4]", "[0,8]") "," ENTRY("a", "F16", "[4]", "[8,16]") "}", 16, "'a' occurs twice"},
        {"{" ENTRY("a", "F16", "[4]", "[8,0]") "}", 8, "no range of bytes"},
        {"{" ENTRY("a", "F16", "[4]", "[-8,0]") "}", 8, "no range of bytes"},
        {"{" ENTRY("a", "F16", "[4]", "[0,1e1]") "}", 8, "no range of bytes"},
        {"{" ENTRY("a", "F16", "[4]", "[0]") "}", 8, "no list 'data_offsets' of two"},
        {"{" ENTRY("a", "F16", "[5]", "[0,8]") "}", 8, "not what its shape needs"},
        {"{" ENTRY("a", "F16", "[9223372036854775807,2]", "[0,8]") "}", 8, "not what its shape needs"},
        {"{" ENTRY("a", "F16", "[4294967296,4294967296,2]", "[0,0]") "}", 0, "not what its shape needs"},
        {"{" ENTRY("a", "F16", "[18446744073709551615]", "[0,8]") "}", 8, "no size"},
        {"{" ENTRY("a", "F16", "[-4]", "[0,8]") "}", 8, "no size"},
        {"{" ENTRY("a", "F16", "[1,1,1,1,4]", "[0,8]") "}", 8, "more than four dimensions"},
        {"{" ENTRY("a", "F17", "[4]", "[0,8]") "}", 8, "has the type 'F17', which is unknown"},
        {"{\"a\":{\"shape\":[4],\"data_offsets\":[0,8]}}", 8, "no text 'dtype'"},
        {"{\"a\":[1]}", 0, "not described by a map"},
        {"[]", 0, "no map of tensors"},
        {"{\"a\"", 0, "ends too early"},
        {"{" ENTRY("a", "F16", "[4]", "[0,9223372036854775808]") "}", 8, "no range of bytes"},
        {"{}", 0, "'model.embed_tokens.weight' is missing"},
        {"{" ENTRY("model.embed_tokens.weight", "F16", "[4]", "[0,8]") "}", 8, "shape of an embedding"},
        {"{" ENTRY("model.embed_tokens.weight", "F16", "[0,8]", "[0,0]") "}", 0, "shape of an embedding"},
        {"{" ENTRY("model.embed_tokens.weight", "I64", "[24,8]", "[0,1536]") "}", 1536, "has the type I64; F16, BF16"},
        {"{" ENTRY("model.embed_tokens.weight", "F8_E4M3", "[24,8]", "[0,192]") "}", 192, "has the type F8_E4M3"},
    };
    made_model model;
    write_folder(&model, "llama", "", "F16", true);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        write_header(rows[i].header, strlen(rows[i].header), rows[i].n_data);
        ex_error error = {0};
        assert_true(ex_convert(folder, in_folder("out.gguf"), NULL, NULL, NULL, &error) != EX_OK);
        if (!strstr(error.message, rows[i].words) || !strstr(error.message, folder))
            fail_msg("%s: the message is \"%s\"", rows[i].header, error.message);
    }
    static const uint64_t lengths[] = {3, 100000001, UINT64_MAX, (uint64_t)1 << 63};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        write_header("{}", lengths[i], 0);
        refuse(EX_ERROR_FORMAT, "byte 0: the header is said to have");
    }
    char *deep = calloc(1, 200001);
    memset(deep, '[', 200000);
    write_header(deep, 200000, 0);
    refuse(EX_ERROR_FORMAT, "nested too deep");
    free(deep);
}

static void test_refuses_numbers_that_do_not_fit(void **state) {
    (void)state;
    static const struct {
        float value;
        const char *words;
    } rows[] = {{65520, "weight 5 is 65520, which is too large for F16"},
                {NAN, "which is not finite"},
                {-INFINITY, "weight 5 is -inf, which is not finite"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        made_model model;
        write_folder(&model, "llama", "", "F32", true);
        size_t n;
        char *bytes = read_whole_file(in_folder("model.safetensors"), &n);
        uint64_t header;
        memcpy(&header, bytes, sizeof header);
        memcpy(bytes + 8 + header + 5 * sizeof(float), &rows[i].value, sizeof(float));
        FILE *file = fopen(in_folder("model.safetensors"), "wb");
        fwrite(bytes, 1, n, file);
        fclose(file);
        free(bytes);
        refuse(EX_ERROR_NUMBER, rows[i].words);
    }
}

/* A file of the folder, cut at every byte, is refused and leaves nothing behind. */
static void cut_everywhere(const char *name, size_t step) {
    size_t n;
    char *bytes = read_whole_file(in_folder(name), &n);
    int n_files = count_files(folder);
    for (size_t cut = 0; cut < n; cut += step) {
        FILE *file = fopen(in_folder(name), "wb");
        fwrite(bytes, 1, cut, file);
        fclose(file);
        ex_error error = {0};
        if (ex_convert(folder, in_folder("out.gguf"), NULL, NULL, NULL, &error) == EX_OK)
            fail_msg("%s cut to %zu bytes was accepted", name, cut);
        if (!strstr(error.message, name)) fail_msg("%s cut to %zu bytes: \"%s\"", name, cut, error.message);
    }
    assert_int_equal(count_files(folder), n_files);
    FILE *file = fopen(in_folder(name), "wb");
    fwrite(bytes, 1, n, file);
    fclose(file);
    free(bytes);
}

static void test_survives_cuts(void **state) {
    (void)state;
    made_model model;
    write_folder(&model, "qwen2", "", "F16", true);
    cut_everywhere("config.json", 1);
    cut_everywhere("tokenizer.json", 1);
    cut_everywhere("model.safetensors", 1);
    write_shards(&model, 5);
    cut_everywhere("model.safetensors.index.json", 7);
    cut_everywhere("part-2.safetensors", 13);
}

static bool stop_at_once(void *context, uint64_t done, uint64_t total, const char *what) {
    assert_true(done > 0 && done <= total && strlen(what) > 0);
    ++*(int *)context;
    return false;
}

static void test_stops_on_request(void **state) {
    (void)state;
    made_model model;
    ex_error error;
    int n_calls = 0;
    write_folder(&model, "llama", "", "F16", true);
    ex_code code = ex_convert(folder, in_folder("out.gguf"), NULL, stop_at_once, &n_calls, &error);
    assert_int_equal(code, EX_ERROR_ARGUMENT);
    assert_non_null(strstr(error.message, "stopped on request"));
    assert_int_equal(n_calls, 1);
    assert_int_equal(access(in_folder("out.gguf"), F_OK), -1);
    assert_int_equal(ex_convert(NULL, NULL, NULL, NULL, NULL, &error), EX_ERROR_ARGUMENT);
    assert_int_equal(ex_convert("/nonexistent", in_folder("out.gguf"), NULL, NULL, NULL, &error), EX_ERROR_IO);
}

#define TEST(function) cmocka_unit_test_teardown(function, empty_folder)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_families),
        TEST(test_biases_of_llama),
        TEST(test_types),
        TEST(test_tied_embeddings),
        TEST(test_shards_and_repetition_give_the_same_bytes),
        TEST(test_rope_scaling),
        TEST(test_byte_level_tokenizer),
        TEST(test_escaped_space_tokenizer),
        TEST(test_pretokenisers_are_recognised),
        TEST(test_reference_model),
        TEST(test_refuses_configs),
        TEST(test_refuses_tokenizers),
        TEST(test_refuses_hostile_safetensors),
        TEST(test_refuses_numbers_that_do_not_fit),
        TEST(test_survives_cuts),
        TEST(test_stops_on_request),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
