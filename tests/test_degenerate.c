/* test_degenerate.c - weights that are zero, infinite, not a number or at the ends of their range; one token in the
 * vocabulary; one position in the context. What comes is finite and in its bounds, or an error says what is wrong. */
#include "support.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hostile/bad_file.h"

enum { N_TOKENS = 5, N_PREDICT = 4, PATH_LENGTH = 64 };

static const int32_t prompt[N_TOKENS] = {257, 256, 104, 101, 256};

static char path[PATH_LENGTH], quantised[PATH_LENGTH];

typedef struct value { /* what weights become, in each form in which they are stored */
    const char *name;
    float single;
    uint16_t half;
    bool is_nan;
} value;

static const value values[] = {
    {"NaN", NAN, 0x7E00, true},
    {"infinity", INFINITY, 0x7C00, false},
    {"-infinity", -INFINITY, 0xFC00, false},
    {"zero", 0, 0, false},
    {"-zero", -0.0F, 0x8000, false},
    {"the largest", FLT_MAX, 0x7BFF, false},
    {"-the largest", -FLT_MAX, 0xFBFF, false},
    {"the smallest", 1e-45F, 1, false},
};

/* How weights lie in a tensor: a number that decides its block, every `stride` bytes. */
static void spoil(const ex_tensor *tensor, const char *file, const value *by, bool all) {
    enum { TYPE_F32 = 0, TYPE_F16 = 1, TYPE_Q8_0 = 8, Q8_0_BYTES = 34 };
    const size_t width = tensor->type == TYPE_F32 ? sizeof(float) : sizeof(uint16_t);
    const uint64_t stride = tensor->type == TYPE_Q8_0 ? Q8_0_BYTES : width;
    assert_true(tensor->type == TYPE_F32 || tensor->type == TYPE_F16 || tensor->type == TYPE_Q8_0);
    FILE *out = fopen(file, "r+b");
    assert_non_null(out);
    for (uint64_t at = all ? 0 : stride; at < tensor->n_bytes; at += stride) {
        fseek(out, (long)(tensor->offset + at), SEEK_SET);
        assert_int_equal(fwrite(width == sizeof(float) ? (const void *)&by->single : &by->half, width, 1, out), 1);
        if (!all) break;
    }
    assert_int_equal(fclose(out), 0);
}

typedef struct verdict {
    ex_code code;
    char reason[sizeof(((ex_error *)0)->message)];
    double entropy; /* of the first step */
    int32_t tokens[N_PREDICT + 1];
    size_t n_tokens;
    ex_end end;
} verdict;

static void check_choice(const ex_choice *choice, int32_t n_vocab) {
    double sum = 0;
    for (size_t i = 0; ex_metric_name(i); i++)
        if (!isfinite(ex_metric_value(&choice->metrics, i))) fail_msg("%s is not finite", ex_metric_name(i));
    assert_true(choice->metrics.logits_entropy >= 0 &&
                choice->metrics.logits_entropy <= log2((double)n_vocab) + 1e-9);
    for (size_t i = 0; i < choice->distribution.count; i++) {
        const double p = choice->distribution.candidates[i].probability;
        assert_true(p >= 0 && p <= 1);
        sum += p;
    }
    if (choice->draw.token == EX_TOKEN_NONE) return; /* the clarification comes instead of a draw */
    assert_true(is_close(sum, 1, 1e-6));
}

static ex_code generate(ex_session *session, const char *preset, size_t n_prompt, int32_t n_vocab, verdict *v,
                        ex_error *error) {
    ex_policy policy;
    ex_generator *generator = NULL;
    ex_event event = {.kind = EX_EVENT_TOKEN};
    assert_ok(ex_policy_preset(&policy, preset, error), error);
    if (n_vocab == 1) policy.clarify_token = 0; /* its text cannot be written in one token */
    ex_generator_options options = ex_generator_options_default();
    options.policy = &policy;
    options.seed = 7;
    options.n_predict = N_PREDICT;
    options.ignore_end = true;
    ex_code code = ex_generator_open(&generator, session, &options, error);
    if (code == EX_OK)
        code = ex_generator_prompt(generator, n_vocab == 1 ? (int32_t[]){0} : prompt, n_prompt, error);
    while (code == EX_OK && event.kind != EX_EVENT_END) {
        code = ex_generator_next(generator, &event, error);
        if (code != EX_OK || event.kind == EX_EVENT_END) break;
        assert_true(event.token >= 0 && event.token < n_vocab && v->n_tokens < N_PREDICT);
        check_choice(event.choice, n_vocab);
        if (v->n_tokens == 0) v->entropy = event.choice->metrics.logits_entropy;
        v->tokens[v->n_tokens++] = event.token;
    }
    v->end = event.end;
    ex_generator_close(generator);
    return code;
}

static verdict try_file(const char *file, const char *kernels, const char *preset, size_t n_context, size_t n_prompt) {
    verdict v = {0};
    ex_error error = {0};
    ex_engine *engine = NULL;
    ex_session *session = NULL;
    ex_engine_options options = ex_engine_options_default();
    options.n_threads = 1;
    options.kernels = kernels;
    ex_session_options session_options = ex_session_options_default();
    session_options.n_context = n_context;
    v.code = ex_engine_open(&engine, file, &options, &error);
    if (v.code == EX_OK) v.code = ex_session_open(&session, engine, &session_options, &error);
    if (v.code == EX_OK)
        v.code = generate(session, preset, n_prompt, ex_engine_get_info(engine).n_vocab, &v, &error);
    if (v.code != EX_OK) snprintf(v.reason, sizeof v.reason, "%s", error.message);
    ex_session_close(session);
    ex_engine_close(engine);
    return v;
}

static void write_model(const bad_row *row) {
    bad_bytes bytes = bad_make(row);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes.data, 1, bytes.length, file), bytes.length);
    assert_int_equal(fclose(file), 0);
    free(bytes.data);
}

static void copy(const char *from, const char *to) {
    size_t length;
    char *bytes = read_whole_file(from, &length);
    FILE *file = fopen(to, "wb");
    assert_true(bytes && file && fwrite(bytes, 1, length, file) == length && fclose(file) == 0);
    free(bytes);
}

static void check_weights(const char *good, const ex_tensor *tensor, const char *kernels, unsigned counts[2]) {
    static const char *const presets[] = {"plain", "entropix"};
    char name[128];
    snprintf(name, sizeof name, "%.*s", (int)tensor->name.length, tensor->name.data);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        for (int all = 0; all < 2; all++) {
            copy(good, path);
            spoil(tensor, path, &values[i], all);
            verdict v = try_file(path, kernels, presets[(i + (size_t)all) % 2], 0, N_TOKENS);
            counts[v.code == EX_OK]++;
            if (v.code == EX_OK ? values[i].is_nan || v.n_tokens != N_PREDICT
                                : v.code != EX_ERROR_NUMBER || !v.reason[0])
                fail_msg("%s of %s: %s (%s): error %d \"%s\", %zu tokens", all ? "all" : "one", name, values[i].name,
                         kernels ? kernels : "best", (int)v.code, v.reason, v.n_tokens);
            if (v.code == EX_OK && values[i].half == 0 && all && strstr(name, "token_embd"))
                assert_true(is_close(v.entropy, log2(BAD_TOKENS), 1e-9)); /* all logits alike */
        }
}

static void check_file(const char *good, const char *kernels) {
    ex_file *file;
    ex_error error;
    unsigned counts[2] = {0};
    assert_ok(ex_file_open(&file, good, &error), &error);
    for (size_t i = 0; i < ex_file_tensor_count(file); i++)
        check_weights(good, ex_file_tensor(file, i), kernels, counts);
    ex_file_close(file);
    print_message("%s: %u spoilt models were refused, %u gave finite numbers\n", kernels ? kernels : "best", counts[0],
                  counts[1]);
    assert_true(counts[0] > 0 && counts[1] > 0);
}

static void check_type(const char *type) {
    ex_error error;
    write_model(&(bad_row){.name = "good"});
    if (type) assert_ok(ex_quantize(path, quantised, type, 1, NULL, NULL, NULL, &error), &error);
    else copy(path, quantised);
    check_file(quantised, NULL);
    check_file(quantised, "portable");
}

static void test_single(void **state) {
    (void)state;
    check_type(NULL);
}

static void test_half(void **state) {
    (void)state;
    check_type("F16");
}

static void test_bytes(void **state) {
    (void)state;
    check_type("Q8_0");
}

static void one_token(bad_file *file, const bad_row *row) {
    static const char *const keys[] = {"tokenizer.ggml.bos_token_id", "tokenizer.ggml.eos_token_id"};
    bad_put_string(bad_begin_array(file, "tokenizer.ggml.tokens", BAD_STRING, 1), row->text, strlen(row->text));
    bad_put_u32(bad_begin_array(file, "tokenizer.ggml.token_type", BAD_I32, 1), 1);
    bad_begin_array(file, "tokenizer.ggml.merges", BAD_STRING, 0);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) bad_drop_key(file, keys[i]);
    bad_tensor *embeddings = bad_find_tensor(file, "token_embd.weight");
    embeddings->ne[1] = 1;
    embeddings->n_bytes = embeddings->ne[0] * sizeof(float);
}

static void test_one_token(void **state) {
    (void)state;
    static const char *const presets[] = {"plain", "entropix", "entropixplained", "entropix-2024-10"};
    write_model(&(bad_row){.edit = one_token, .text = "a"});
    for (size_t i = 0; i < sizeof presets / sizeof *presets; i++) {
        verdict v = try_file(path, NULL, presets[i], 0, 1);
        if (v.code != EX_OK) fail_msg("%s: error %d: %s", presets[i], (int)v.code, v.reason);
        assert_int_equal(v.n_tokens, N_PREDICT);
        assert_true(v.entropy == 0);
    }
}

static void test_one_position(void **state) {
    (void)state;
    write_model(&(bad_row){.name = "good"});
    verdict v = try_file(path, NULL, "entropix", 1, 1);
    assert_int_equal(v.code, EX_OK);
    assert_int_equal(v.end, EX_END_CONTEXT);
    assert_true(v.n_tokens <= 1);
    v = try_file(path, NULL, "entropix", 1, 2);
    assert_int_equal(v.code, EX_ERROR_CONTEXT);
    assert_non_null(strstr(v.reason, "1"));
}

static int begin(void **state) {
    (void)state;
    snprintf(path, sizeof path, "degenerate-%ld.gguf", (long)getpid());
    snprintf(quantised, sizeof quantised, "degenerate-%ld-good.gguf", (long)getpid());
    return 0;
}

static int end(void **state) {
    (void)state;
    unlink(path);
    unlink(quantised);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_single),    cmocka_unit_test(test_half),         cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_one_token), cmocka_unit_test(test_one_position),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
