/* test_model.c - the forward pass and its attention statistics against float64 reference values (tests/data), with
 * every kernel table that this machine can run; sessions that rewind, fork and cut prompts differently. */
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "file/gguf.h"
#include "kernel/kernel.h"
#include "model/kv_pages.h"
#include "model/model.h"

typedef struct fixture { /* a model and what another implementation computed with it */
    ex_file *file, *golden;
    ex_model model;
} fixture;

/* Two models are in the tree; the others lie beside it. */
static const char *model_path(const char *name, const char *kind) {
    char path[100];
    snprintf(path, sizeof path, "models/%s-%s.gguf", name, kind);
    return strncmp(name, "llama", 5) == 0 ? test_data(path) : shared_golden(path);
}

static void open_fixture(fixture *f, const char *name, const char *kernels, int32_t n_threads) {
    ex_error error;
    assert_ok(ex_file_open(&f->file, model_path(name, "f16"), &error), &error);
    assert_ok(ex_file_open(&f->golden, model_path(name, "golden"), &error), &error);
    ex_engine_options options = {.n_threads = n_threads, .kernels = kernels};
    assert_ok(ex_model_open(&f->model, f->file, &options, &error), &error);
}

static void close_fixture(fixture *f) {
    ex_model_close(&f->model);
    ex_file_close(f->golden);
    ex_file_close(f->file);
}

static int32_t *golden_tokens(const fixture *f, const char *name, size_t *count) {
    const ex_key *key = ex_file_find_key(f->golden, name);
    assert_non_null(key);
    int32_t *tokens = calloc(key->count, sizeof *tokens);
    for (uint64_t i = 0; i < key->count; i++) {
        int64_t token;
        assert_true(ex_key_integer(key, i, &token));
        tokens[i] = (int32_t)token;
    }
    *count = key->count;
    return tokens;
}

static double relative_error(const float *values, const float *expected, size_t n) {
    double difference = 0, norm = 0;
    for (size_t i = 0; i < n; i++) {
        if (isinf(expected[i]) && values[i] == expected[i]) continue;
        difference += ((double)values[i] - (double)expected[i]) * ((double)values[i] - (double)expected[i]);
        norm += (double)expected[i] * (double)expected[i];
    }
    return sqrt(difference / norm);
}

static int32_t argmax(const float *logits, int32_t n) {
    int32_t best = 0;
    for (int32_t i = 1; i < n; i++)
        if (logits[i] > logits[best]) best = i;
    return best;
}

static double golden_number(const fixture *f, const char *prefix, const char *metric) {
    char name[60];
    double value = 0;
    snprintf(name, sizeof name, "%s%s", prefix, metric);
    assert_true(ex_key_number(ex_file_find_key(f->golden, name), 0, &value));
    return value;
}

static void check_metrics(const fixture *f, const char *prefix, const ex_step *step) {
    const ex_attention *attention = step->attention;
    size_t n = (size_t)attention->n_layer * (size_t)attention->n_head;
    double entropy = 0, strength = 0, agreement = 0, expected;
    for (size_t i = 0; i < n; i++) {
        entropy += attention->head_entropy[i] / (double)n;
        strength += attention->head_strength[i] / (double)n;
    }
    for (int32_t layer = 0; layer < attention->n_layer; layer++)
        agreement += attention->layer_deviation[layer] / attention->n_layer;
    assert_true(is_close(entropy, golden_number(f, prefix, "attn_entropy"), 1e-3));
    assert_true(is_close(strength, golden_number(f, prefix, "interaction_strength"), 1e-3));
    expected = golden_number(f, prefix, "agreement");
    assert_true(fabs(agreement - expected) <= 1e-3 * expected);
}

/* What our own reducer, tested elsewhere, makes of the reference scores: head by head and layer by layer. */
static void check_statistics(const ex_tensor *scores, const ex_step *step, double tolerance) {
    ex_error error;
    ex_score_reducer *reducer;
    const ex_attention *expected, *ours = step->attention;
    assert_ok(ex_score_reducer_open(&reducer, &error), &error);
    assert_ok(ex_score_reduce(reducer, scores->data, (int32_t)scores->ne[2], (int32_t)scores->ne[1],
                              (size_t)scores->ne[0], &expected, &error), &error);
    for (int32_t layer = 0; layer < ours->n_layer; layer++) {
        assert_int_equal(ours->n_positions[layer], expected->n_positions[layer]);
        assert_true(is_close(ours->layer_deviation[layer], expected->layer_deviation[layer], tolerance));
        for (int32_t i = layer * ours->n_head; i < (layer + 1) * ours->n_head; i++) {
            assert_true(is_close(ours->head_entropy[i], expected->head_entropy[i], tolerance));
            assert_true(is_close(ours->head_maximum[i], expected->head_maximum[i], tolerance));
            assert_true(is_close(ours->head_strength[i], expected->head_strength[i], tolerance));
        }
    }
    ex_score_reducer_close(reducer);
}

static void check_greedy(const fixture *f, const char *name, ex_session *session, ex_step step) {
    ex_error error;
    size_t n_greedy;
    int32_t *greedy = golden_tokens(f, name, &n_greedy);
    for (size_t i = 0; i < n_greedy; i++) {
        int32_t token = argmax(step.logits, step.n_vocab);
        assert_int_equal(token, greedy[i]);
        assert_ok(ex_session_evaluate(session, &token, 1, NULL, &step, &error), &error);
    }
    free(greedy);
}

/* What the cache may change, relative. Random models, whose attention looks at nothing in particular, feel rounding
 * most: up to 2.1e-3 with halves and 8.3e-2 with bytes, 2.3e-1 where another expert wins by it. */
static const struct cache_bounds {
    double logits, scores, trained_logits, trained_scores;
    bool same_greedy; /* on random models, where the best two tokens may be close */
} cache_bounds[EX_KV_TYPE_COUNT] = {
    [EX_KV_F16] = {4e-3, 2e-3, 2e-3, 1e-3, true},
    [EX_KV_F32] = {1e-5, 1e-5, 2e-3, 1e-3, true},
    [EX_KV_Q8_0] = {3e-1, 5e-2, 1.5e-2, 1.5e-2, false},
};

static void check_golden(const char *name, const char *kernels, ex_kv_type kv_type) {
    double logits_bound = cache_bounds[kv_type].logits, scores_bound = cache_bounds[kv_type].scores;
    fixture f;
    open_fixture(&f, name, kernels, 2);
    ex_error error;
    size_t n_prompt, n_positions;
    int32_t *prompt = golden_tokens(&f, "golden.prompt", &n_prompt);
    size_t n_vocab = (size_t)f.model.shape.n_vocab;
    float *logits = calloc(n_prompt * n_vocab, sizeof *logits);
    ex_session_options options = {.n_context = 100, .kv_type = kv_type, .keep_scores = true};
    ex_session *session;
    ex_step step;
    assert_ok(ex_model_session(&session, &f.model, &options, &error), &error);
    assert_ok(ex_session_evaluate(session, prompt, n_prompt, logits, &step, &error), &error);

    const float *expected = ex_file_find_tensor(f.golden, "logits")->data;
    for (size_t i = 0; i < n_prompt; i++)
        assert_true(relative_error(logits + i * n_vocab, expected + i * n_vocab, n_vocab) < logits_bound);
    const ex_tensor *scores = ex_file_find_tensor(f.golden, "scores");
    const float *ours = ex_session_scores(session, &n_positions);
    assert_int_equal(n_positions, n_prompt);
    assert_true(relative_error(ours, scores->data, scores->ne[0] * scores->ne[1] * scores->ne[2]) < scores_bound);
    check_statistics(scores, &step, 10 * scores_bound);
    bool has_metrics = ex_file_find_key(f.golden, "golden.attn_entropy"); /* not where layers see different positions */
    if (has_metrics && cache_bounds[kv_type].same_greedy) check_metrics(&f, "golden.", &step);
    if (cache_bounds[kv_type].same_greedy) check_greedy(&f, "golden.greedy", session, step);

    ex_session_close(session);
    free(logits);
    free(prompt);
    close_fixture(&f);
}

static void check_golden_models(const char *const *models) {
    ex_cpu cpu = ex_cpu_detect();
    for (const ex_kernels *const *kernels = ex_kernels_all(); *kernels; kernels++)
        for (size_t i = 0; models[i] && (*kernels)->supported(&cpu); i++) {
            print_message("%s, %s kernels\n", models[i], (*kernels)->name);
            for (ex_kv_type type = 0; type < EX_KV_TYPE_COUNT; type++)
                check_golden(models[i], (*kernels)->name, type);
        }
}

static void test_golden(void **state) {
    (void)state;
    check_golden_models((const char *const[]){"llama2", "llama3", NULL});
}

static void test_golden_architectures(void **state) {
    (void)state;
    if (!shared_golden("models/qwen2-f16.gguf")) test_skip("the reference models of other architectures are not here");
    check_golden_models((const char *const[]){"qwen2", "qwen3", "gemma3", "phi3", "smollm3", "granite", "olmo2",
                                              "qwen3moe", NULL});
}

/* One reference prompt of the shipped model: logits, scores and metrics, then the greedy continuation. */
static void check_prompt(fixture *f, int prompt, ex_kv_type kv_type) {
    char name[40];
    size_t n_tokens, n_positions, n_vocab = (size_t)f->model.shape.n_vocab;
    ex_error error;
    ex_session *session;
    ex_step step;
    snprintf(name, sizeof name, "golden.%d.tokens", prompt);
    int32_t *tokens = golden_tokens(f, name, &n_tokens);
    float *logits = calloc(n_tokens * n_vocab, sizeof *logits);
    ex_session_options options = {.n_context = 128, .kv_type = kv_type, .keep_scores = true};
    assert_ok(ex_model_session(&session, &f->model, &options, &error), &error);
    assert_ok(ex_session_evaluate(session, tokens, n_tokens, logits, &step, &error), &error);
    snprintf(name, sizeof name, "logits.%d", prompt);
    const ex_tensor *expected = ex_file_find_tensor(f->golden, name);
    const float *rows = expected->data;
    assert_int_equal(expected->ne[1], n_tokens);
    for (size_t t = 0; t < n_tokens; t++)
        assert_true(relative_error(logits + t * n_vocab, rows + t * n_vocab, n_vocab) <
                    cache_bounds[kv_type].trained_logits);
    snprintf(name, sizeof name, "scores.%d", prompt);
    const ex_tensor *scores = ex_file_find_tensor(f->golden, name);
    const float *ours = ex_session_scores(session, &n_positions);
    assert_true(relative_error(ours, scores->data, scores->ne[0] * scores->ne[1] * scores->ne[2]) <
                cache_bounds[kv_type].trained_scores);
    snprintf(name, sizeof name, "golden.%d.", prompt);
    if (kv_type != EX_KV_Q8_0) check_metrics(f, name, &step);
    snprintf(name, sizeof name, "golden.%d.greedy", prompt);
    check_greedy(f, name, session, step);
    ex_session_close(session);
    free(logits);
    free(tokens);
}

/* On the F16 file that the shipped model was quantised from (not in the tree: 80 MB). */
static void test_shipped_model(void **state) {
    (void)state;
    const char *path = shared_golden("../models/entropix-40m-f16.gguf");
    if (!path) test_skip("the F16 file of the shipped model is not here");
    ex_cpu cpu = ex_cpu_detect();
    for (const ex_kernels *const *kernels = ex_kernels_all(); *kernels; kernels++) {
        if (!(*kernels)->supported(&cpu)) continue;
        fixture f;
        ex_error error;
        ex_engine_options options = {.n_threads = 2, .kernels = (*kernels)->name};
        assert_ok(ex_file_open(&f.file, path, &error), &error);
        assert_ok(ex_file_open(&f.golden, test_data("models/entropix-40m-golden.gguf"), &error), &error);
        assert_ok(ex_model_open(&f.model, f.file, &options, &error), &error);
        /* portable code takes a minute for all eight */
        int n_prompts = strcmp((*kernels)->name, "portable") == 0 ? 3 : 8;
        for (int i = 0; i < n_prompts; i++) check_prompt(&f, i, (ex_kv_type)(i % EX_KV_TYPE_COUNT));
        close_fixture(&f);
    }
}

/* Everything that a step says, as bytes. */
static uint64_t step_hash(const ex_step *step) {
    const ex_attention *a = step->attention;
    size_t n = (size_t)a->n_layer * (size_t)a->n_head;
    struct { const void *data; size_t n_bytes; } parts[] = {
        {step->logits, (size_t)step->n_vocab * sizeof(float)}, {a->head_entropy, n * sizeof(double)},
        {a->head_maximum, n * sizeof(double)},                 {a->head_strength, n * sizeof(double)},
        {a->layer_deviation, (size_t)a->n_layer * sizeof(double)}};
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        for (size_t b = 0; b < parts[i].n_bytes; b++)
            hash = (hash ^ ((const unsigned char *)parts[i].data)[b]) * 1099511628211u;
    return hash;
}

enum { LONG_PROMPT = 1300 }; /* several pages, tiles and deviation chunks */

static void fill_tokens(int32_t *tokens, size_t n, int32_t n_vocab) {
    uint64_t seed = 11;
    for (size_t i = 0; i < n; i++) tokens[i] = (int32_t)random_between(&seed, 0, n_vocab);
}

static void check_same_bits(ex_kv_type kv_type) {
    static int32_t tokens[LONG_PROMPT];
    static const struct { int32_t n_threads; size_t n_batch, cut; } ways[] = {
        {1, 256, LONG_PROMPT}, {2, 512, LONG_PROMPT},         {3, 7, LONG_PROMPT},
        {5, 64, 700},          {2, LONG_PROMPT, LONG_PROMPT - 1}};
    uint64_t expected = 0;
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        fixture f;
        ex_error error;
        ex_session *session;
        ex_step step;
        open_fixture(&f, "llama3", NULL, ways[i].n_threads);
        fill_tokens(tokens, LONG_PROMPT, f.model.shape.n_vocab);
        ex_session_options options = {.n_context = LONG_PROMPT, .n_batch = ways[i].n_batch, .kv_type = kv_type};
        assert_ok(ex_model_session(&session, &f.model, &options, &error), &error);
        for (size_t done = 0; done < LONG_PROMPT;) {
            size_t n = LONG_PROMPT - done < ways[i].cut ? LONG_PROMPT - done : ways[i].cut;
            assert_ok(ex_session_evaluate(session, tokens + done, n, NULL, &step, &error), &error);
            done += n;
        }
        uint64_t hash = step_hash(&step);
        if (i == 0) expected = hash;
        assert_true(hash == expected);
        ex_session_close(session);
        close_fixture(&f);
    }
}

static void test_same_bits_for_any_threads_and_batches(void **state) {
    (void)state;
    check_same_bits(EX_KV_F16);
    check_same_bits(EX_KV_Q8_0);
}

static void test_rewind_and_fork(void **state) {
    (void)state;
    fixture f;
    ex_error error;
    ex_session *session, *fork;
    ex_step step;
    int32_t tokens[300];
    open_fixture(&f, "llama2", NULL, 2);
    fill_tokens(tokens, 300, f.model.shape.n_vocab);
    assert_ok(ex_model_session(&session, &f.model, &(ex_session_options){.n_context = 300}, &error), &error);
    assert_ok(ex_session_evaluate(session, tokens, 300, NULL, &step, &error), &error);
    uint64_t straight = step_hash(&step);
    assert_int_equal(ex_session_evaluate(session, tokens, 1, NULL, &step, &error), EX_ERROR_CONTEXT);
    assert_int_equal(ex_session_position(session), 300);

    assert_ok(ex_session_rewind(session, 150, &error), &error);
    assert_int_equal(ex_session_rewind(session, 151, &error), EX_ERROR_ARGUMENT);
    assert_ok(ex_session_fork(&fork, session, &error), &error);
    int32_t other = (tokens[150] + 1) % f.model.shape.n_vocab;
    assert_ok(ex_session_evaluate(fork, &other, 1, NULL, &step, &error), &error);
    assert_ok(ex_session_evaluate(session, tokens + 150, 150, NULL, &step, &error), &error);
    assert_true(step_hash(&step) == straight);

    assert_ok(ex_session_rewind(fork, 150, &error), &error);
    ex_session_close(session); /* the fork keeps the pages that it shares */
    assert_ok(ex_session_evaluate(fork, tokens + 150, 150, NULL, &step, &error), &error);
    assert_true(step_hash(&step) == straight);
    ex_session_close(fork);
    close_fixture(&f);
}

static void test_pages_are_shared_and_given_back(void **state) {
    (void)state;
    ex_error error;
    ex_kv_table first, second;
    assert_ok(ex_kv_open(&first, (ex_kv_shape){EX_KV_F16, 2, 3, 16}, 1000, &error), &error);
    assert_int_equal(ex_kv_open(&second, (ex_kv_shape){EX_KV_Q8_0, 2, 3, 16}, 1000, &error), EX_ERROR_UNSUPPORTED);
    ex_kv_prepare(&first, 0, 130);
    assert_int_equal(ex_kv_pages_in_use(&first), 3);
    assert_ok(ex_kv_fork(&second, &first, &error), &error);
    assert_int_equal(ex_kv_pages_in_use(&first), 3);
    uint16_t *ours = ex_kv_keys(&first, 2, 1, 2);
    ours[5] = 77;
    ex_kv_prepare(&second, 130, 131); /* copies the half-full page and leaves the full ones shared */
    assert_int_equal(ex_kv_pages_in_use(&first), 4);
    uint16_t *theirs = ex_kv_keys(&second, 2, 1, 2);
    assert_int_equal(theirs[5], 77);
    theirs[5] = 78;
    assert_int_equal(ours[5], 77);
    ex_kv_prepare(&second, 131, 1000);
    ex_kv_truncate(&first, 0);
    ex_kv_prepare(&first, 0, 1000);
    assert_int_equal(ex_kv_pages_in_use(&first), 32);
    ex_kv_close(&second);
    assert_int_equal(ex_kv_pages_in_use(&first), 16);
    ex_kv_close(&first);
}

static void test_wrong_tokens(void **state) {
    (void)state;
    fixture f;
    ex_error error;
    ex_session *session;
    open_fixture(&f, "llama2", NULL, 1);
    assert_ok(ex_model_session(&session, &f.model, &(ex_session_options){.n_context = 8}, &error), &error);
    assert_int_equal(ex_session_evaluate(session, (int32_t[]){1, -1}, 2, NULL, NULL, &error), EX_ERROR_ARGUMENT);
    assert_int_equal(error.position, 1);
    assert_int_equal(ex_session_evaluate(session, (int32_t[]){512}, 1, NULL, NULL, &error), EX_ERROR_ARGUMENT);
    assert_int_equal(ex_session_evaluate(session, NULL, 0, NULL, NULL, &error), EX_ERROR_ARGUMENT);
    assert_int_equal(ex_session_position(session), 0);
    ex_session_close(session);
    ex_session_options too_long = {.n_context = 1000000};
    assert_int_equal(ex_model_session(&session, &f.model, &too_long, &error), EX_ERROR_CONTEXT);
    close_fixture(&f);
}

/* One weight of the file bent to NaN: the first evaluation fails and names the place. */
static void test_weight_that_is_not_finite(void **state) {
    (void)state;
    size_t length;
    ex_error error;
    ex_file *file;
    ex_model model;
    ex_session *session;
    char path[] = "/tmp/entropix-test-XXXXXX";
    char *bytes = read_whole_file(test_data("models/llama2-f16.gguf"), &length);
    assert_ok(ex_file_open(&file, test_data("models/llama2-f16.gguf"), &error), &error);
    uint64_t at = ex_file_find_tensor(file, "blk.1.ffn_up.weight")->offset + 128 * 2 * 3; /* row 3 */
    ex_file_close(file);
    memcpy(bytes + at, "\xFF\x7E", 2);
    FILE *out = fdopen(mkstemp(path), "wb");
    assert_int_equal(fwrite(bytes, 1, length, out), length);
    fclose(out);
    free(bytes);

    assert_ok(ex_file_open(&file, path, &error), &error);
    assert_ok(ex_model_open(&model, file, &(ex_engine_options){.n_threads = 1}, &error), &error);
    assert_ok(ex_model_session(&session, &model, NULL, &error), &error);
    assert_int_equal(ex_session_evaluate(session, (int32_t[]){5, 6}, 2, NULL, NULL, &error), EX_ERROR_NUMBER);
    assert_non_null(strstr(error.message, "blk.1.ffn_up.weight"));
    assert_int_equal(error.position, at);
    assert_int_equal(ex_session_position(session), 0);
    ex_session_close(session);
    ex_model_close(&model);
    ex_file_close(file);
    unlink(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_golden_architectures),
        cmocka_unit_test(test_shipped_model),
        cmocka_unit_test(test_same_bits_for_any_threads_and_batches),
        cmocka_unit_test(test_rewind_and_fork),
        cmocka_unit_test(test_pages_are_shared_and_given_back),
        cmocka_unit_test(test_wrong_tokens),
        cmocka_unit_test(test_weight_that_is_not_finite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
