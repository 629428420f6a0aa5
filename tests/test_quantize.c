/* test_quantize.c - models in other types: errors within bounds, keys kept, nothing left behind; and make_model. */
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/half.h"
#include "base/tensor_type.h"
#include "file/gguf.h"
#include "kernel/kernel.h"
#include "model/recipe.h"

static char folder[64], input[96], output[96];

static int make_folder(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/test_quantize.XXXXXX");
    if (!mkdtemp(folder)) return -1;
    snprintf(input, sizeof input, "%s/in.gguf", folder);
    snprintf(output, sizeof output, "%s/out.gguf", folder);
    return 0;
}

static int remove_folder(void **state) {
    (void)state;
    unlink(input);
    unlink(output);
    return rmdir(folder);
}

/* ---- a model to convert ---- */

enum { N_LAYER = 8, WIDE = 10240 };

typedef struct part {
    const char *name;
    uint32_t type, n_dims;
    uint64_t ne[3];
} part;

static const part parts[] = {
    {"token_embd.weight", EX_TYPE_F16, 2, {512, 64, 1}},
    {"output_norm.weight", EX_TYPE_F32, 1, {512, 1, 1}},
    {"rope_freqs.weight", EX_TYPE_F32, 1, {32, 1, 1}},
    {"blk.0.attn_q.weight", EX_TYPE_F16, 2, {512, 300, 1}},
    {"blk.0.attn_q.bias", EX_TYPE_F32, 1, {300, 1, 1}},
    {"blk.0.attn_k.weight", EX_TYPE_F32, 2, {WIDE, 3, 1}},
    {"blk.0.ffn_gate_inp.weight", EX_TYPE_F32, 2, {512, 4, 1}},
    {"blk.0.ffn_up_exps.weight", EX_TYPE_F16, 3, {256, 5, 4}},
    {"blk.1.odd.weight", EX_TYPE_F16, 2, {96, 7, 1}},   /* no whole number of blocks of 256 */
    {"blk.1.odder.weight", EX_TYPE_F16, 2, {40, 9, 1}}, /* nor of 32 */
    {"blk.7.ids", EX_TYPE_I32, 2, {4, 4, 1}},
};

enum { N_PARTS = sizeof parts / sizeof *parts };

/* Two uniform numbers make something with a middle and tails, as weights have. */
static float weight(uint64_t *random) {
    return (float)(0.03 * (random_between(random, -1, 1) + random_between(random, -1, 1)));
}

static void *make_data(const part *p, uint64_t *random, uint64_t *n_bytes, float bad, uint64_t bad_at) {
    uint64_t n = p->ne[0] * p->ne[1] * p->ne[2];
    assert_true(ex_type_row_bytes(p->type, n, n_bytes));
    unsigned char *data = calloc(1, *n_bytes);
    float *values = calloc(n, sizeof *values);
    assert_true(data && values);
    for (uint64_t i = 0; i < n; i++) values[i] = weight(random);
    if (bad_at < n) values[bad_at] = bad;
    if (p->type != EX_TYPE_I32) ex_format_find(p->type)->encode(values, n, data);
    free(values);
    return data;
}

/* With `bad` at weight `bad_at` of the part of that name. */
static void write_input(const char *bad_part, float bad, uint64_t bad_at) {
    ex_error error;
    ex_writer *writer;
    uint64_t random = 1;
    assert_ok(ex_writer_open(&writer, input, &error), &error);
    assert_ok(ex_writer_string(writer, "general.architecture", "llama", 5, &error), &error);
    assert_ok(ex_writer_u32(writer, "general.file_type", 1, &error), &error);
    assert_ok(ex_writer_u32(writer, "llama.block_count", N_LAYER, &error), &error);
    assert_ok(ex_writer_string_array(writer, "tokenizer.ggml.tokens", (ex_string[]){{"a", 1}, {"bc", 2}}, 2, &error),
              &error);
    for (size_t i = 0; i < N_PARTS; i++) {
        ex_string name = {parts[i].name, strlen(parts[i].name)};
        assert_ok(ex_writer_declare(writer, name, parts[i].type, parts[i].n_dims, parts[i].ne, &error), &error);
    }
    for (size_t i = 0; i < N_PARTS; i++) {
        bool here = bad_part && strcmp(bad_part, parts[i].name) == 0;
        uint64_t n_bytes;
        void *data = make_data(&parts[i], &random, &n_bytes, bad, here ? bad_at : UINT64_MAX);
        assert_ok(ex_writer_data(writer, data, n_bytes, &error), &error);
        free(data);
    }
    assert_ok(ex_writer_finish(writer, &error), &error);
}

static ex_code quantize(const char *type, int32_t n_threads, ex_error *error) {
    return ex_quantize(input, output, type, n_threads, NULL, NULL, NULL, error);
}

static ex_file *open_file(const char *path) {
    ex_error error;
    ex_file *file;
    assert_ok(ex_file_open(&file, path, &error), &error);
    return file;
}

static uint32_t type_of(const ex_file *file, const char *name) {
    const ex_tensor *tensor = ex_file_find_tensor(file, name);
    assert_non_null(tensor);
    return tensor->type;
}

/* sqrt(sum of squared errors / sum of squares) */
static double relative_error(const ex_tensor *a, const ex_tensor *b) {
    uint64_t n = a->ne[0] * a->ne[1] * a->ne[2];
    float *x = calloc(n, sizeof *x), *y = calloc(n, sizeof *y);
    ex_format_find(a->type)->decode(a->data, n, x);
    ex_format_find(b->type)->decode(b->data, n, y);
    double errors = 0, squares = 0;
    for (uint64_t i = 0; i < n; i++) {
        errors += ((double)x[i] - (double)y[i]) * ((double)x[i] - (double)y[i]);
        squares += (double)x[i] * (double)x[i];
    }
    free(x);
    free(y);
    return sqrt(errors / squares);
}

/* ---- tests ---- */

static void test_errors_stay_within_bounds(void **state) {
    (void)state;
    static const struct {
        const char *name;
        uint32_t type, file_type;
        double bound;
    } rows[] = {{"F32", EX_TYPE_F32, 0, 0},         {"F16", EX_TYPE_F16, 1, 3e-4},
                {"BF16", EX_TYPE_BF16, 32, 1.8e-3}, {"Q8_0", EX_TYPE_Q8_0, 7, 0.0052},
                {"Q6_K", EX_TYPE_Q6_K, 18, 0.017},  {"Q5_K", EX_TYPE_Q5_K, 16, 0.035},
                {"Q4_K", EX_TYPE_Q4_K, 14, 0.07},   {"Q4_0", EX_TYPE_Q4_0, 2, 0.083}};
    write_input(NULL, 0, 0);
    ex_file *before = open_file(input);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ex_error error;
        assert_ok(quantize(rows[i].name, 2, &error), &error);
        ex_file *after = open_file(output);
        int64_t file_type = -1;
        assert_true(ex_key_integer(ex_file_find_key(after, "general.file_type"), 0, &file_type));
        assert_int_equal(file_type, rows[i].file_type);
        const char *converted[] = {"token_embd.weight", "blk.0.attn_q.weight", "blk.0.attn_k.weight",
                                   "blk.0.ffn_up_exps.weight"};
        for (size_t t = 0; t < 4; t++) {
            assert_int_equal(type_of(after, converted[t]), rows[i].type);
            double is =
                relative_error(ex_file_find_tensor(before, converted[t]), ex_file_find_tensor(after, converted[t]));
            if (!(is <= rows[i].bound)) fail_msg("%s of %s: relative error %g", rows[i].name, converted[t], is);
        }
        ex_file_close(after);
    }
    ex_file_close(before);
}

static void test_keeps_what_is_no_matrix(void **state) {
    (void)state;
    ex_error error;
    write_input(NULL, 0, 0);
    assert_ok(quantize("q4_k", 2, &error), &error);
    ex_file *before = open_file(input), *after = open_file(output);
    const char *kept[] = {"output_norm.weight", "rope_freqs.weight", "blk.0.attn_q.bias", "blk.0.ffn_gate_inp.weight",
                          "blk.7.ids"};
    for (size_t i = 0; i < 5; i++) {
        const ex_tensor *a = ex_file_find_tensor(before, kept[i]), *b = ex_file_find_tensor(after, kept[i]);
        assert_true(a->type == b->type && a->n_bytes == b->n_bytes);
        assert_memory_equal(a->data, b->data, a->n_bytes);
    }
    assert_int_equal(type_of(after, "blk.1.odd.weight"), EX_TYPE_Q8_0);
    assert_int_equal(type_of(after, "blk.1.odder.weight"), EX_TYPE_F16);
    assert_int_equal(ex_file_tensor_count(after), N_PARTS);
    assert_int_equal(ex_file_key_count(after), 5); /* general.quantization_version is new */
    ex_string token;
    assert_true(ex_key_string(ex_file_find_key(after, "tokenizer.ggml.tokens"), 1, &token) && token.length == 2);
    ex_file_close(before);
    ex_file_close(after);
}

static uint32_t chosen(const ex_recipe *recipe, const char *name) {
    return ex_recipe_type(recipe, (ex_string){name, strlen(name)}, 2048, 16);
}

static void test_mixed_recipe(void **state) {
    (void)state;
    const ex_recipe *mixed = ex_recipe_find("Q4_K_M");
    assert_non_null(mixed);
    assert_int_equal(chosen(mixed, "token_embd.weight"), EX_TYPE_Q6_K);
    assert_int_equal(chosen(mixed, "output.weight"), EX_TYPE_Q6_K);
    assert_int_equal(chosen(mixed, "blk.0.attn_q.weight"), EX_TYPE_Q4_K);
    assert_int_equal(chosen(mixed, "blk.0.attn_output.weight"), EX_TYPE_Q4_K);
    int better = 0;
    for (int layer = 0; layer < 16; layer++) {
        char name[40];
        snprintf(name, sizeof name, "blk.%d.ffn_down.weight", layer);
        better += chosen(mixed, name) == EX_TYPE_Q6_K;
        snprintf(name, sizeof name, "blk.%d.attn_v.weight", layer);
        better += chosen(mixed, name) == EX_TYPE_Q6_K;
    }
    assert_int_equal(better, 16);
    assert_int_equal(chosen(mixed, "blk.0.ffn_down.weight"), EX_TYPE_Q6_K);
    assert_int_equal(chosen(mixed, "blk.15.ffn_down.weight"), EX_TYPE_Q6_K);
    assert_int_equal(chosen(ex_recipe_find("Q4_K"), "output.weight"), EX_TYPE_Q4_K);
}

static void test_recipes_go_by_name(void **state) {
    (void)state;
    static const struct {
        const char *recipe, *tensor;
        uint32_t type;
    } rows[] = {
        {"Q5_K_M", "output.weight", EX_TYPE_Q6_K},
        {"Q5_K_M", "blk.0.attn_qkv.weight", EX_TYPE_Q6_K},
        {"Q5_K_M", "blk.2.attn_qkv.weight", EX_TYPE_Q5_K},
        {"Q5_K_M", "blk.4.ffn_down_exps.weight", EX_TYPE_Q6_K},
        {"Q5_K_M", "blk.4.ffn_down_shexp.weight", EX_TYPE_Q6_K},
        {"Q5_K_M", "blk.4.ffn_down.3.weight", EX_TYPE_Q6_K},
        {"Q5_K_M", "blk.4.ffn_up_exps.weight", EX_TYPE_Q5_K},
        {"Q5_K_M", "blk.4.attn_output.weight", EX_TYPE_Q5_K},
        {"Q5_K_S", "blk.4.ffn_down.weight", EX_TYPE_Q5_K},
        {"Q5_K_S", "token_embd.weight", EX_TYPE_Q6_K},
        {"Q4_K_S", "blk.0.attn_v.weight", EX_TYPE_Q4_K},
        {"Q4_K_S", "output.weight", EX_TYPE_Q6_K},
        {"q5_k", "output.weight", EX_TYPE_Q5_K},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const ex_recipe *recipe = ex_recipe_find(rows[i].recipe);
        assert_non_null(recipe);
        uint32_t is = chosen(recipe, rows[i].tensor);
        if (is != rows[i].type) fail_msg("%s of %s: %s", rows[i].recipe, rows[i].tensor, ex_type_name(is));
        ex_string name = {rows[i].tensor, strlen(rows[i].tensor)};
        assert_int_equal(ex_recipe_wanted(recipe, name, 16), rows[i].type);
        assert_int_equal(ex_recipe_type(recipe, name, 96, 16), EX_TYPE_Q8_0);
    }
}

/* ---- reports ---- */

typedef struct reports {
    size_t n;
    ex_quantized rows[N_PARTS];
    char names[N_PARTS][64];
} reports;

static void take_report(void *context, const ex_quantized *result) {
    reports *r = context;
    assert_true(r->n < N_PARTS);
    snprintf(r->names[r->n], sizeof *r->names, "%.*s", (int)result->tensor->name.length, result->tensor->name.data);
    r->rows[r->n++] = *result;
}

static void check_report(const ex_file *before, const ex_file *after, const char *name, const ex_quantized *is) {
    const ex_tensor *old = ex_file_find_tensor(before, name), *new = ex_file_find_tensor(after, name);
    assert_true(is->type == new->type && is->n_bytes == new->n_bytes);
    if (old->type == new->type) {
        assert_true(is->relative_error == 0 && is->largest_error == 0);
        return;
    }
    uint64_t n = old->ne[0] * old->ne[1] * old->ne[2];
    float *x = calloc(n, sizeof *x), *y = calloc(n, sizeof *y);
    ex_format_find(old->type)->decode(old->data, n, x);
    ex_format_find(new->type)->decode(new->data, n, y);
    double largest = 0;
    for (uint64_t i = 0; i < n; i++) largest = fmax(largest, fabs((double)x[i] - (double)y[i]));
    free(x);
    free(y);
    assert_true(is->largest_error == largest && largest > 0);
    assert_true(is_close(is->relative_error / relative_error(old, new), 1, 1e-12));
}

static void test_reports_the_error_of_each_tensor(void **state) {
    (void)state;
    static const char *const types[] = {"Q4_K_M", "Q5_K_M", "BF16"};
    write_input(NULL, 0, 0);
    ex_file *before = open_file(input);
    for (size_t t = 0; t < 3; t++) {
        ex_error error;
        reports one = {0}, three = {0};
        assert_ok(ex_quantize(input, output, types[t], 1, NULL, take_report, &one, &error), &error);
        assert_ok(ex_quantize(input, output, types[t], 3, NULL, take_report, &three, &error), &error);
        ex_file *after = open_file(output);
        assert_int_equal(one.n, N_PARTS);
        for (size_t i = 0; i < N_PARTS; i++) {
            assert_string_equal(one.names[i], parts[i].name);
            assert_true(one.rows[i].relative_error == three.rows[i].relative_error);
            check_report(before, after, one.names[i], &three.rows[i]);
        }
        ex_file_close(after);
        assert_int_equal(one.rows[3].wanted, one.rows[3].type);
        if (t == 1) assert_int_equal(one.rows[8].wanted, EX_TYPE_Q5_K); /* blk.1.odd, which became Q8_0 */
    }
    ex_file_close(before);
}

/* ---- what it reads ---- */

static void write_tensor(const char *name, uint32_t type, const uint64_t ne[2], const void *data, uint64_t n_bytes) {
    ex_error error;
    ex_writer *writer;
    assert_ok(ex_writer_open(&writer, input, &error), &error);
    assert_ok(ex_writer_declare(writer, (ex_string){name, strlen(name)}, type, 2, ne, &error), &error);
    assert_ok(ex_writer_data(writer, data, n_bytes, &error), &error);
    assert_ok(ex_writer_finish(writer, &error), &error);
}

/* More weights than are converted at a time: slabs are written one behind the other. */
static void test_long_tensors(void **state) {
    (void)state;
    const uint64_t ne[2] = {4096, 1100}, n = ne[0] * ne[1];
    uint64_t random = 9;
    uint16_t *data = calloc(n, sizeof *data);
    assert_non_null(data);
    for (uint64_t i = 0; i < n; i++) data[i] = ex_half_from_float(weight(&random) * (float)(1 + i / 700000));
    write_tensor("token_embd.weight", EX_TYPE_F16, ne, data, n * sizeof *data);
    free(data);
    ex_error error;
    assert_ok(quantize("Q8_0", 2, &error), &error);
    ex_file *before = open_file(input), *after = open_file(output);
    assert_true(relative_error(ex_file_tensor(before, 0), ex_file_tensor(after, 0)) < 0.0052);
    ex_file_close(before);
    ex_file_close(after);
}

static void test_reads_every_type_that_can_be_decoded(void **state) {
    (void)state;
    const char *path = shared_golden("blocks/blocks.gguf");
    if (!path) test_skip("no reference blocks beside the project");
    ex_file *blocks = open_file(path);
    int n_types = 0;
    for (uint32_t type = 0; type < EX_TYPE_COUNT; type++) {
        if (!ex_format_find(type)) continue;
        char name[32];
        snprintf(name, sizeof name, "%s.raw", ex_type_name(type));
        const ex_tensor *raw = ex_file_find_tensor(blocks, name);
        snprintf(name, sizeof name, "%s.f32", ex_type_name(type));
        const ex_tensor *expected = ex_file_find_tensor(blocks, name);
        if (!raw || !expected) continue;
        ex_error error;
        write_tensor("blk.0.attn_q.weight", type, expected->ne, raw->data, raw->n_bytes);
        assert_ok(quantize("F32", 2, &error), &error);
        ex_file *after = open_file(output);
        assert_true(relative_error(expected, ex_file_tensor(after, 0)) < 1e-7);
        ex_file_close(after);
        n_types++;
    }
    assert_true(n_types >= 18);
    ex_file_close(blocks);
}

static void check_architecture(const char *path, const char *type) {
    ex_error error;
    assert_ok(ex_quantize(path, output, type, 2, NULL, NULL, NULL, &error), &error);
    ex_file *before = open_file(path), *after = open_file(output);
    for (size_t i = 0; i < ex_file_tensor_count(before); i++) {
        const ex_tensor *old = ex_file_tensor(before, i), *new = ex_file_tensor(after, i);
        assert_int_equal(old->name.length, new->name.length);
        assert_memory_equal(old->name.data, new->name.data, old->name.length);
        bool kept = old->type == EX_TYPE_F32 || memmem(old->name.data, old->name.length, "ffn_gate_inp", 12);
        assert_true(kept == (old->type == new->type));
        if (kept) continue;
        double is = relative_error(old, new);
        if (!(is < 0.08)) fail_msg("%s: %.*s: error %g", path, (int)old->name.length, old->name.data, is);
    }
    ex_file_close(before);
    ex_file_close(after);
}

static void test_every_architecture(void **state) {
    (void)state;
    static const char *const names[] = {"gemma3", "granite", "llama2", "llama3",   "olmo2",
                                        "phi3",   "qwen2",   "qwen3",  "qwen3moe", "smollm3"};
    int n_found = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char name[64];
        snprintf(name, sizeof name, "models/%s-f16.gguf", names[i]);
        const char *path = shared_golden(name);
        if (!path) continue;
        check_architecture(path, "Q4_K_M");
        check_architecture(path, "Q5_K_M");
        n_found++;
    }
    if (n_found == 0) test_skip("no models beside the project");
}

static void test_threads_do_not_change_bytes(void **state) {
    (void)state;
    ex_error error;
    write_input(NULL, 0, 0);
    assert_ok(quantize("Q4_K_M", 1, &error), &error);
    size_t n_one = 0, n_three = 0;
    char *one = read_whole_file(output, &n_one);
    assert_ok(quantize("Q4_K_M", 3, &error), &error);
    char *three = read_whole_file(output, &n_three);
    assert_true(one && three);
    assert_int_equal(n_one, n_three);
    assert_memory_equal(one, three, n_one);
    free(one);
    free(three);
}

static void test_converts_in_place(void **state) {
    (void)state;
    ex_error error;
    write_input(NULL, 0, 0);
    unlink(output);
    assert_ok(ex_quantize(input, input, "Q8_0", 2, NULL, NULL, NULL, &error), &error);
    ex_file *file = open_file(input);
    assert_int_equal(type_of(file, "token_embd.weight"), EX_TYPE_Q8_0);
    ex_file_close(file);
    assert_int_equal(count_files(folder), 1);
    assert_ok(ex_quantize(input, input, "Q4_K", 2, NULL, NULL, NULL, &error), &error); /* from a quantised file */
    file = open_file(input);
    assert_int_equal(type_of(file, "token_embd.weight"), EX_TYPE_Q4_K);
    ex_file_close(file);
}

static void test_names_weights_that_are_no_numbers(void **state) {
    (void)state;
    static const struct {
        const char *part, *type;
        float bad;
        uint64_t at;
        const char *words;
    } rows[] = {
        {"blk.0.attn_k.weight", "Q8_0", NAN, WIDE + 5,
         "tensor 'blk.0.attn_k.weight': weight 10245 (row 1, column 5) is nan, which is not finite"},
        {"blk.0.attn_k.weight", "F32", -INFINITY, 8191, "weight 8191 (row 0, column 8191) is -inf"},
        {"token_embd.weight", "F16", INFINITY, 64 * 512 - 1, "weight 32767 (row 63, column 511) is inf"},
        {"output_norm.weight", "Q4_0", NAN, 7, "'output_norm.weight': weight 7 (row 0, column 7) is nan"},
        {"blk.0.attn_k.weight", "F16", 70000, 0, "weight 0 (row 0, column 0) is 70000, which is too large for F16"},
        {"blk.0.attn_k.weight", "Q6_K", -1e9f, 300, "is -1e+09, which is too large for Q6_K"},
    };
    unlink(output);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ex_error error;
        write_input(rows[i].part, rows[i].bad, rows[i].at);
        assert_int_equal(quantize(rows[i].type, 2, &error), EX_ERROR_NUMBER);
        if (!strstr(error.message, rows[i].words)) fail_msg("the message is \"%s\"", error.message);
        assert_int_equal(count_files(folder), 1);
    }
    ex_error error;
    write_input("blk.0.attn_k.weight", 70000, 0); /* fits bfloat16 */
    assert_ok(quantize("BF16", 2, &error), &error);
}

static void test_refuses_bad_arguments(void **state) {
    (void)state;
    ex_error error;
    write_input(NULL, 0, 0);
    unlink(output);
    assert_int_equal(quantize("Q5_1", 1, &error), EX_ERROR_ARGUMENT);
    assert_non_null(strstr(error.message,
                           "'Q5_1' cannot be written; choose one of F32, F16, BF16, Q8_0, Q6_K, Q5_K_M, "
                           "Q5_K_S, Q5_K, Q4_K_M, Q4_K_S, Q4_K, Q4_0"));
    assert_int_equal(quantize("Q8_0", -1, &error), EX_ERROR_ARGUMENT);
    assert_int_equal(ex_quantize(input, NULL, "Q8_0", 1, NULL, NULL, NULL, &error), EX_ERROR_ARGUMENT);
    assert_int_equal(ex_quantize("/nowhere/in.gguf", output, "Q8_0", 1, NULL, NULL, NULL, &error), EX_ERROR_IO);
    assert_int_equal(ex_quantize(input, "/nowhere/out.gguf", "Q8_0", 1, NULL, NULL, NULL, &error), EX_ERROR_IO);
    assert_non_null(strstr(error.message, "/nowhere/out.gguf: cannot create the file"));
    assert_int_equal(count_files(folder), 1);
}

typedef struct watch {
    uint64_t calls, done, total;
    uint64_t stop_after;
    char first[64], last[64];
} watch;

static bool look(void *context, uint64_t done, uint64_t total, const char *what) {
    watch *w = context;
    assert_true(done > w->done && done <= total);
    if (w->calls++ == 0) snprintf(w->first, sizeof w->first, "%s", what);
    snprintf(w->last, sizeof w->last, "%s", what);
    w->done = done;
    w->total = total;
    return w->calls != w->stop_after;
}

static void test_progress(void **state) {
    (void)state;
    ex_error error;
    watch w = {0};
    write_input(NULL, 0, 0);
    unlink(output);
    assert_ok(ex_quantize(input, output, "Q8_0", 2, look, NULL, &w, &error), &error);
    assert_int_equal(w.done, w.total);
    assert_true(w.calls >= N_PARTS);
    assert_string_equal(w.first, "token_embd.weight");
    assert_string_equal(w.last, "blk.7.ids");
    unlink(output);
    for (uint64_t stop = 1; stop <= N_PARTS; stop += N_PARTS - 1) {
        w = (watch){.stop_after = stop};
        assert_int_equal(ex_quantize(input, output, "Q8_0", 2, look, NULL, &w, &error), EX_ERROR_ARGUMENT);
        assert_non_null(strstr(error.message, "stopped on request"));
        assert_int_equal(count_files(folder), 1);
    }
}

/* ---- make_model ---- */

static int make_model(const char *arguments) {
    char command[400];
    snprintf(command, sizeof command, "%s %s -o %s 2>/dev/null", EX_MAKE_MODEL, arguments, output);
    int status = system(command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void check_made(uint32_t type) {
    ex_file *file = open_file(output);
    assert_int_equal(ex_file_tensor_count(file), 2 * 9 + 2);
    assert_int_equal(ex_file_find_key(file, "tokenizer.ggml.tokens")->count, 300);
    const ex_tensor *t = ex_file_find_tensor(file, "blk.1.ffn_up.weight");
    assert_non_null(t);
    assert_true(t->type == type && t->ne[0] == 256 && t->ne[1] == 512);
    static float values[256 * 512];
    ex_format_find(type)->decode(t->data, 256 * 512, values);
    double sum = 0, squares = 0, largest = 0;
    for (size_t i = 0; i < 256 * 512; i++) {
        sum += (double)values[i];
        squares += (double)values[i] * (double)values[i];
        largest = fmax(largest, fabs((double)values[i]));
    }
    assert_true(fabs(sqrt(squares / (256 * 512)) - 0.02) < 0.001);
    assert_true(fabs(sum / (256 * 512)) < 0.0005);
    assert_true(largest > 0.06 && largest < 0.08);
    assert_memory_not_equal(values, values + 256, 256 * sizeof *values); /* rows differ */
    ex_file_close(file);
}

#define TINY "--n-embd 256 --n-layer 2 --n-head 4 --n-head-kv 2 --n-ff 512 --n-vocab 300 "

static void test_make_model(void **state) {
    (void)state;
    const char *types[] = {"F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_K", "Q5_K", "Q6_K"};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        char arguments[200];
        snprintf(arguments, sizeof arguments, TINY "--type %s", types[i]);
        assert_int_equal(make_model(arguments), 0);
        check_made((uint32_t)ex_type_from_name(types[i]));
    }
    assert_int_equal(make_model(TINY "--type Q4_K_M --untied"), 0);
    ex_file *file = open_file(output);
    assert_int_equal(type_of(file, "output.weight"), EX_TYPE_Q6_K);
    ex_file_close(file);
}

static void test_make_model_repeats_itself(void **state) {
    (void)state;
    char *files[3];
    size_t lengths[3];
    const char *arguments[] = {TINY "--seed 5", "--seed 5 " TINY, TINY "--seed 6"};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(make_model(arguments[i]), 0);
        files[i] = read_whole_file(output, &lengths[i]);
        assert_non_null(files[i]);
        assert_int_equal(lengths[i], lengths[0]);
    }
    assert_memory_equal(files[0], files[1], lengths[0]);
    assert_memory_not_equal(files[0], files[2], lengths[0]);
    for (int i = 0; i < 3; i++) free(files[i]);
    unlink(output);
    assert_int_equal(make_model("--n-embd 100"), 2);
    assert_int_equal(make_model("--type Q9"), 2);
    assert_int_equal(make_model("--n-vocab 12"), 2);
    assert_int_not_equal(access(output, F_OK), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_errors_stay_within_bounds),
        cmocka_unit_test(test_keeps_what_is_no_matrix),
        cmocka_unit_test(test_mixed_recipe),
        cmocka_unit_test(test_recipes_go_by_name),
        cmocka_unit_test(test_reports_the_error_of_each_tensor),
        cmocka_unit_test(test_long_tensors),
        cmocka_unit_test(test_reads_every_type_that_can_be_decoded),
        cmocka_unit_test(test_every_architecture),
        cmocka_unit_test(test_threads_do_not_change_bytes),
        cmocka_unit_test(test_converts_in_place),
        cmocka_unit_test(test_names_weights_that_are_no_numbers),
        cmocka_unit_test(test_refuses_bad_arguments),
        cmocka_unit_test(test_progress),
        cmocka_unit_test(test_make_model),
        cmocka_unit_test(test_make_model_repeats_itself),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
