/* test_tokenizer.c - whole vocabularies: published test vectors, text that survives the way to tokens and back, time
 * that grows with the text and no faster. */
#include "support.h"

#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <utf8proc.h>

#include "base/utf8.h"

/* ---- helpers ---- */

typedef struct ids {
    int32_t *data;
    size_t n;
} ids;

static ids tokenize(const ex_tokenizer *tokenizer, const char *text, size_t length, uint32_t flags) {
    ex_error error;
    ids out = {0};
    assert_ok(ex_tokenize(tokenizer, text, length, flags, NULL, 0, &out.n, &error), &error);
    size_t again;
    out.data = malloc((out.n + 1) * sizeof *out.data);
    assert_non_null(out.data);
    out.data[out.n] = -99;
    assert_ok(ex_tokenize(tokenizer, text, length, flags, out.data, out.n, &again, &error), &error);
    assert_int_equal(again, out.n);
    assert_int_equal(out.data[out.n], -99);
    return out;
}

typedef struct opened {
    ex_file *file;
    ex_tokenizer *tokenizer;
} opened;

static opened open_path(const char *path) {
    ex_error error;
    opened out;
    assert_ok(ex_file_open(&out.file, path, &error), &error);
    assert_ok(ex_tokenizer_open(&out.tokenizer, out.file, &error), &error);
    return out;
}

static void close_opened(opened *o) {
    ex_tokenizer_close(o->tokenizer);
    ex_file_close(o->file);
}

static void compare_ids(ids found, const int32_t *expected, size_t n, const char *text, size_t length) {
    bool equal = found.n == n;
    for (size_t i = 0; equal && i < n; i++) equal = found.data[i] == expected[i];
    if (equal) return;
    print_message("text: %.*s\nfound:", (int)length, text);
    for (size_t i = 0; i < found.n; i++) print_message(" %d", found.data[i]);
    print_message("\nexpected:");
    for (size_t i = 0; i < n; i++) print_message(" %d", expected[i]);
    fail_msg("tokens differ");
}

/* The text of the tokens, one after the other. */
static char *join_texts(const ex_tokenizer *tokenizer, ids tokens, size_t *length) {
    size_t total = 0;
    for (size_t i = 0; i < tokens.n; i++) total += ex_token_text(tokenizer, tokens.data[i], true).length;
    char *out = malloc(total + 1);
    assert_non_null(out);
    *length = 0;
    for (size_t i = 0; i < tokens.n; i++) {
        ex_string text = ex_token_text(tokenizer, tokens.data[i], true);
        memcpy(out + *length, text.data, text.length);
        *length += text.length;
    }
    return out;
}

static const struct {
    const char *file;
    bool space_prefix;   /* the vocabulary puts a space before a text */
    bool not_every_byte; /* some control characters have no token */
    bool nfc;            /* text comes back in normalisation form C */
} vocabularies[] = {
    {"llama3-vocab.gguf", false, false, false},
    {"qwen2-vocab.gguf", false, false, true},
    {"ggml-vocab-llama-spm.gguf", true, false, false},
    {"ggml-vocab-phi-3.gguf", true, false, false},
    {"ggml-vocab-gpt-2.gguf", false, false, false},
    {"ggml-vocab-starcoder.gguf", false, true, false},
    {"ggml-vocab-falcon.gguf", false, true, false},
    {"ggml-vocab-deepseek-llm.gguf", false, false, false},
    {"ggml-vocab-deepseek-coder.gguf", false, false, false},
};
enum { N_VOCABULARIES = sizeof vocabularies / sizeof *vocabularies };

static const char *vocabulary_path(const char *file, const char *suffix) {
    char name[128];
    snprintf(name, sizeof name, "tokenizers/%s%s", file, suffix);
    return shared_golden(name);
}

/* The model of this project: the one that ships, or the one that it is made from. */
static const char *own_model(void) {
    static const char *const paths[] = {EX_SOURCE_DIR "/models/entropix-40m-q6_k.gguf",
                                        EX_SOURCE_DIR "/../shared/models/entropix-40m-f16.gguf"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        if (access(paths[i], R_OK) == 0) return paths[i];
    return NULL;
}

static void check_round_trip(const ex_tokenizer *tokenizer, bool space_prefix, const char *text, size_t length) {
    ids tokens = tokenize(tokenizer, text, length, 0);
    size_t back_length;
    char *back = join_texts(tokenizer, tokens, &back_length);
    size_t skip = space_prefix && length > 0;
    if (skip) assert_true(back_length > 0 && back[0] == ' ');
    assert_int_equal(back_length - skip, length);
    assert_memory_equal(back + skip, text, length);
    free(back);
    free(tokens.data);
}

/* Tokens of the text that tokens give are the same tokens again, and it is the text itself or its form C. */
static void check_both_ways(const ex_tokenizer *tokenizer, bool space_prefix, bool nfc, const char *text,
                            size_t length) {
    if (!nfc) {
        check_round_trip(tokenizer, space_prefix, text, length);
        return;
    }
    utf8proc_uint8_t *normalised;
    utf8proc_ssize_t n = utf8proc_map((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)length, &normalised,
                                      UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    assert_true(n >= 0);
    ids from_text = tokenize(tokenizer, text, length, 0);
    ids from_normalised = tokenize(tokenizer, (const char *)normalised, (size_t)n, 0);
    compare_ids(from_text, from_normalised.data, from_normalised.n, text, length);
    check_round_trip(tokenizer, space_prefix, (const char *)normalised, (size_t)n);
    free(from_text.data);
    free(from_normalised.data);
    free(normalised);
}

/* ---- published vectors ---- */

static size_t read_ids(const char **at, int32_t *out, size_t capacity) {
    size_t n = 0;
    while (**at && **at != '\n') {
        char *end;
        long id = strtol(*at, &end, 10);
        if (end == *at) break;
        assert_true(n < capacity);
        out[n++] = (int32_t)id;
        for (*at = end; **at == ' ';) ++*at;
    }
    if (**at == '\n') ++*at;
    return n;
}

static size_t check_vectors(size_t which) {
    static const char separator[] = "\n__ggml_vocab_test__\n";
    const char *path = vocabulary_path(vocabularies[which].file, "");
    if (!path) return 0;
    char *texts = read_whole_file(vocabulary_path(vocabularies[which].file, ".inp"), NULL);
    char *lines = read_whole_file(vocabulary_path(vocabularies[which].file, ".out"), NULL);
    assert_true(texts && lines);
    opened o = open_path(path);
    size_t n = 0;
    const char *line = lines, *text = texts;
    for (const char *end; (end = strstr(text, separator)); text = end + sizeof separator - 1, n++) {
        int32_t expected[2048];
        size_t n_expected = read_ids(&line, expected, 2048), length = (size_t)(end - text);
        ids found = tokenize(o.tokenizer, text, length, 0);
        compare_ids(found, expected, n_expected, text, length);
        free(found.data);
        check_round_trip(o.tokenizer, vocabularies[which].space_prefix, text, length);
    }
    assert_int_equal(*line, 0);
    close_opened(&o);
    free(texts);
    free(lines);
    return n;
}

static void test_vectors(void **state) {
    (void)state;
    size_t n_files = 0;
    for (size_t i = 0; i < N_VOCABULARIES; i++) {
        size_t n = check_vectors(i);
        n_files += n > 0;
        if (n) print_message("%s: %zu texts\n", vocabularies[i].file, n);
    }
    if (n_files == 0) test_skip("no vocabularies of other makers here");
}

static void test_llama3_texts(void **state) {
    (void)state;
    const char *path = shared_golden("tokenizers/llama3-vocab.gguf");
    const char *cases = shared_golden("tokenizers/llama3_tokens.jsonl");
    if (!path || !cases) test_skip("no Llama-3 vocabulary here");
    opened o = open_path(path);
    char *lines = read_whole_file(cases, NULL), *rest = lines;
    size_t n = 0, n_special = 0;
    for (char *line; (line = strsep(&rest, "\n")) && *line; n++) {
        json_t *row = json_loads(line, JSON_ALLOW_NUL, NULL);
        assert_non_null(row);
        const json_t *text = json_object_get(row, "text"), *array = json_object_get(row, "ids");
        bool special = json_is_true(json_object_get(row, "parse_special"));
        int32_t expected[4096];
        size_t n_expected = json_array_size(array);
        assert_true(n_expected <= 4096);
        for (size_t i = 0; i < n_expected; i++) expected[i] = (int32_t)json_integer_value(json_array_get(array, i));
        size_t length = json_string_length(text);
        ids found = tokenize(o.tokenizer, json_string_value(text), length, special ? EX_TOKENIZE_SPECIAL : 0);
        compare_ids(found, expected, n_expected, json_string_value(text), length);
        free(found.data);
        n_special += special;
        json_decref(row);
    }
    print_message("%zu texts, %zu with special tokens\n", n, n_special);
    assert_true(n > 300 && n_special > 0);
    free(lines);
    close_opened(&o);
}

static void test_own_model(void **state) {
    (void)state;
    const char *path = own_model(), *golden_path = shared_golden("models/entropix-40m-golden.gguf");
    if (!golden_path && access(test_data("models/entropix-40m-golden.gguf"), R_OK) == 0)
        golden_path = test_data("models/entropix-40m-golden.gguf");
    if (!path || !golden_path) test_skip("the model of this project or its golden values are not here");
    opened o = open_path(path);
    ex_file *golden;
    ex_error error;
    assert_ok(ex_file_open(&golden, golden_path, &error), &error);
    for (uint64_t i = 0; i < 8; i++) {
        ex_string prompt;
        assert_true(ex_key_string(ex_file_find_key(golden, "golden.prompts"), i, &prompt));
        char name[64];
        snprintf(name, sizeof name, "golden.%d.tokens", (int)i);
        const ex_key *key = ex_file_find_key(golden, name);
        assert_true(key && key->count < 256);
        int32_t expected[256];
        for (uint64_t j = 0; j < key->count; j++) {
            int64_t id;
            assert_true(ex_key_integer(key, j, &id));
            expected[j] = (int32_t)id;
        }
        uint32_t flags = EX_TOKENIZE_ADD_BEGINNING | EX_TOKENIZE_SPECIAL;
        ids found = tokenize(o.tokenizer, prompt.data, prompt.length, flags);
        compare_ids(found, expected, key->count, prompt.data, prompt.length);
        free(found.data);
    }
    ex_file_close(golden);
    close_opened(&o);
}

/* Spans of different origin are cut as if they were one text, special tokens of the template aside. */
static void test_own_chat(void **state) {
    (void)state;
    const char *path = own_model();
    if (!path) test_skip("the model of this project is not here");
    opened o = open_path(path);
    const ex_message messages[] = {
        {"user", "What is the capital of France?"}, {"assistant", " Paris. "}, {"user", " "}};
    static const char text[] = "<|begin_of_text|><|user|>What is the capital of France?<|end|><|assistant|> Paris. "
                               "<|end|><|user|> <|end|><|assistant|>";
    ids expected = tokenize(o.tokenizer, text, sizeof text - 1, EX_TOKENIZE_SPECIAL);
    int32_t tokens[64];
    size_t count;
    ex_error error;
    assert_ok(ex_chat_tokenize(o.tokenizer, NULL, messages, 3, true, tokens, 64, &count, &error), &error);
    compare_ids((ids){tokens, count}, expected.data, expected.n, text, sizeof text - 1);
    free(expected.data);
    close_opened(&o);
}

/* ---- there and back ---- */

static size_t random_text(uint64_t *state, char *text, size_t n_characters) {
    static const uint32_t spans[][2] = {{0, 0x7F},          {' ', '~'},       {'a', 'z'},       {0x80, 0x7FF},
                                        {0x900, 0x257F},    {0x2582, 0xD7FF}, {0xE000, 0xFFFF}, {0x10000, 0x3FFFF},
                                        {0x1F300, 0x1F6FF}, {0x4E00, 0x9FFF}, {0x300, 0x36F}};
    size_t length = 0;
    for (size_t i = 0; i < n_characters; i++) {
        const uint32_t *span = spans[(size_t)random_between(state, 0, sizeof spans / sizeof *spans)];
        length += ex_utf8_encode(span[0] + (uint32_t)random_between(state, 0, span[1] - span[0] + 1), text + length);
    }
    return length;
}

static void check_random_texts(const char *path, bool space_prefix, bool not_every_byte, bool nfc) {
    opened o = open_path(path);
    uint64_t seed = 7;
    char text[4 * 200];
    int n_checked = 0;
    for (int round = 0; round < 300; round++) {
        size_t count, length = random_text(&seed, text, (size_t)random_between(&seed, 0, 200));
        ex_code code = ex_tokenize(o.tokenizer, text, length, 0, NULL, 0, &count, NULL);
        if (code == EX_ERROR_UNSUPPORTED && not_every_byte) continue;
        check_both_ways(o.tokenizer, space_prefix, nfc, text, length);
        n_checked++;
    }
    assert_true(n_checked > 100);
    close_opened(&o);
}

static void test_random_texts_come_back(void **state) {
    (void)state;
    print_message("seed 7\n");
    bool any = own_model() != NULL;
    if (any) check_random_texts(own_model(), false, false, true);
    for (size_t i = 0; i < N_VOCABULARIES; i++) {
        const char *path = vocabulary_path(vocabularies[i].file, "");
        if (path)
            check_random_texts(path, vocabularies[i].space_prefix, vocabularies[i].not_every_byte, vocabularies[i].nfc);
        any = any || path;
    }
    if (!any) test_skip("no vocabulary here");
}

/* StarCoder has no token for the byte that begins U+40000, and names <|endoftext|> as its "unknown". */
static void test_what_cannot_be_expressed_is_an_error(void **state) {
    (void)state;
    const char *path = shared_golden("tokenizers/ggml-vocab-starcoder.gguf");
    if (!path) test_skip("no StarCoder vocabulary here");
    opened o = open_path(path);
    ex_error error = {0};
    size_t count = 7;
    assert_int_equal(ex_tokenize(o.tokenizer, "ab\xF1\x80\x80\x80", 6, 0, NULL, 0, &count, &error),
                     EX_ERROR_UNSUPPORTED);
    assert_int_equal(error.position, 2);
    assert_non_null(strstr(error.message, "0xF1"));
    assert_int_equal(count, 0);
    close_opened(&o);
}

/* ---- time ---- */

static double seconds_to_tokenize(const ex_tokenizer *tokenizer, const char *text, size_t length) {
    double best = 1e9;
    for (int run = 0; run < 2; run++) {
        size_t count;
        ex_error error;
        struct timespec start, end;
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &start);
        assert_ok(ex_tokenize(tokenizer, text, length, EX_TOKENIZE_SPECIAL, NULL, 0, &count, &error), &error);
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
        double seconds = (double)(end.tv_sec - start.tv_sec) + 1e-9 * (double)(end.tv_nsec - start.tv_nsec);
        if (seconds < best) best = seconds;
    }
    return best;
}

enum { LONG_TEXT = 1 << 20 };

static void fill(char *text, const char *pattern) {
    uint64_t seed = 3;
    size_t n = strlen(pattern);
    for (size_t i = 0; i < LONG_TEXT; i++)
        text[i] = n ? pattern[i % n] : (char)random_between(&seed, 'a', 'z' + 1);
}

/* Twice the text may take three times as long: n log n, processor noise and caches, but nothing quadratic. */
static void check_time(const char *path, char *text) {
    static const char *const patterns[] = {"a", "" /* random letters */, " ", "\n", " \n", "1", "<|", "'", "\xC3\xA9"};
    opened o = open_path(path);
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        fill(text, patterns[i]);
        size_t whole = i < 2 ? LONG_TEXT : LONG_TEXT / 8, half = whole / 2;
        double ratio = 3;
        for (int attempt = 0; ratio >= 3 && attempt < 3; attempt++) /* another program may have been in the way */
            ratio = seconds_to_tokenize(o.tokenizer, text, whole) / seconds_to_tokenize(o.tokenizer, text, half);
        if (ratio >= 3) fail_msg("%s: twice the text of '%s' takes %.2f times as long", path, patterns[i], ratio);
    }
    close_opened(&o);
}

static void test_time_is_not_quadratic(void **state) {
    (void)state;
    const char *paths[] = {own_model(), shared_golden("tokenizers/llama3-vocab.gguf"),
                           shared_golden("tokenizers/ggml-vocab-llama-spm.gguf")};
    char *text = malloc(LONG_TEXT);
    assert_non_null(text);
    bool any = false;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        if (paths[i]) check_time(paths[i], text);
        any = any || paths[i];
    }
    free(text);
    if (!any) test_skip("no vocabulary here");
}

/* ---- threads ---- */

typedef struct task {
    const ex_tokenizer *tokenizer;
    const char *text;
    size_t length;
    int32_t tokens[4096];
    size_t n;
    ex_code code;
} task;

static void *run_task(void *argument) {
    task *t = argument;
    for (int round = 0; round < 20 && t->code == EX_OK; round++)
        t->code = ex_tokenize(t->tokenizer, t->text, t->length, 0, t->tokens, 4096, &t->n, NULL);
    return NULL;
}

static void test_threads_share_a_tokenizer(void **state) {
    (void)state;
    const char *path = own_model() ? own_model() : shared_golden("tokenizers/llama3-vocab.gguf");
    if (!path) test_skip("no vocabulary here");
    opened o = open_path(path);
    static char text[4 * 900];
    uint64_t seed = 11;
    size_t length = random_text(&seed, text, 900);
    static task tasks[4];
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        tasks[i] = (task){.tokenizer = o.tokenizer, .text = text, .length = length};
        assert_int_equal(pthread_create(&threads[i], NULL, run_task, &tasks[i]), 0);
    }
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(tasks[i].code, EX_OK);
        assert_int_equal(tasks[i].n, tasks[0].n);
        assert_memory_equal(tasks[i].tokens, tasks[0].tokens, tasks[0].n * sizeof *tasks[0].tokens);
    }
    close_opened(&o);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_llama3_texts),
        cmocka_unit_test(test_own_model),
        cmocka_unit_test(test_own_chat),
        cmocka_unit_test(test_random_texts_come_back),
        cmocka_unit_test(test_what_cannot_be_expressed_is_an_error),
        cmocka_unit_test(test_time_is_not_quadratic),
        cmocka_unit_test(test_threads_share_a_tokenizer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
