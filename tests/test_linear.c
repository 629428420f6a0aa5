/* test_linear.c - one mebibyte without white space through every kind of tokenizer: a time that grows with the text and
 * no faster. The vocabularies are made here, with tokens long enough that merges go on for a while. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "file/gguf.h"

enum { LENGTH = 1 << 20, MAX_TOKENS = 64 };

static const struct kind {
    const char *name, *model, *pre, *expression; /* the last two may be NULL */
} kinds[] = {
    {"byte-level BPE", "gpt2", "llama-bpe", NULL},
    {"byte-level BPE with NFC", "gpt2", "qwen2", NULL},
    {"byte-level BPE with an expression", "gpt2", "of-its-own",
     "\\p{L}+|\\p{N}{1,3}|[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"},
    {"BPE over characters", "gemma4", NULL, NULL},
    {"SentencePiece BPE", "llama", NULL, NULL},
    {"unigram", "t5", NULL, NULL},
};
enum { N_KINDS = sizeof kinds / sizeof *kinds };

/* ---- vocabularies ---- */

typedef struct words {
    char texts[MAX_TOKENS][48], merges[MAX_TOKENS][96];
    size_t n_texts, n_merges;
} words;

static void add(words *w, const char *left, const char *right) {
    snprintf(w->texts[w->n_texts++], sizeof *w->texts, "%s%s", left, right);
    if (*right) snprintf(w->merges[w->n_merges++], sizeof *w->merges, "%s %s", left, right);
}

/* <unk>, <s>, </s>, letters, and what merges make of them: each token the double of another, or two different ones. */
static void make_words(words *w) {
    static const char *const pairs[][2] = {{"a", "b"}, {"b", "a"}, {"ab", "ab"}, {"ba", "b"}, {"c", "a"}, {"ca", "ab"}};
    static const char *const singles[] = {"<unk>", "<s>", "</s>", "a", "b", "c", "\xE2\x96\x81", "1"};
    for (size_t i = 0; i < sizeof singles / sizeof *singles; i++) add(w, singles[i], "");
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) add(w, pairs[i][0], pairs[i][1]);
    char text[48] = "a";
    for (int i = 0; i < 5; i++) {
        char twice[48];
        snprintf(twice, sizeof twice, "%s", text);
        add(w, text, twice);
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s", twice);
    }
}

static void write_vocabulary(const char *path, const struct kind *kind) {
    static words w;
    ex_string texts[MAX_TOKENS], merges[MAX_TOKENS];
    int32_t types[MAX_TOKENS];
    float scores[MAX_TOKENS];
    ex_error error;
    ex_writer *writer;
    w = (words){0};
    make_words(&w);
    for (size_t i = 0; i < w.n_texts; i++) {
        texts[i] = (ex_string){w.texts[i], strlen(w.texts[i])};
        types[i] = i == 0 ? 2 : i < 3 ? 3 : 1;
        scores[i] = -(float)i;
    }
    for (size_t i = 0; i < w.n_merges; i++) merges[i] = (ex_string){w.merges[i], strlen(w.merges[i])};
    assert_ok(ex_writer_open(&writer, path, &error), &error);
    assert_ok(ex_writer_string(writer, "tokenizer.ggml.model", kind->model, strlen(kind->model), &error), &error);
    const char *const named[][2] = {{"tokenizer.ggml.pre", kind->pre},
                                    {"entropix.tokenizer.pre_pattern", kind->expression}};
    for (size_t i = 0; i < 2; i++)
        if (named[i][1])
            assert_ok(ex_writer_string(writer, named[i][0], named[i][1], strlen(named[i][1]), &error), &error);
    assert_ok(ex_writer_string_array(writer, "tokenizer.ggml.tokens", texts, w.n_texts, &error), &error);
    assert_ok(ex_writer_i32_array(writer, "tokenizer.ggml.token_type", types, w.n_texts, &error), &error);
    assert_ok(ex_writer_f32_array(writer, "tokenizer.ggml.scores", scores, w.n_texts, &error), &error);
    assert_ok(ex_writer_string_array(writer, "tokenizer.ggml.merges", merges, w.n_merges, &error), &error);
    assert_ok(ex_writer_u32(writer, "tokenizer.ggml.unknown_token_id", 0, &error), &error);
    assert_ok(ex_writer_u32(writer, "tokenizer.ggml.bos_token_id", 1, &error), &error);
    assert_ok(ex_writer_u32(writer, "tokenizer.ggml.eos_token_id", 2, &error), &error);
    assert_ok(ex_writer_finish(writer, &error), &error);
}

static ex_tokenizer *open_kind(const struct kind *kind) {
    char path[] = "/tmp/test_linear.XXXXXX";
    int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    close(descriptor);
    write_vocabulary(path, kind);
    ex_file *file;
    ex_tokenizer *tokenizer;
    ex_error error;
    assert_ok(ex_file_open(&file, path, &error), &error);
    assert_ok(ex_tokenizer_open(&tokenizer, file, &error), &error);
    ex_file_close(file);
    unlink(path);
    return tokenizer;
}

/* ---- texts ---- */

/* The unit again and again; an empty one stands for letters by chance. */
static const char *const units[] = {
    "a", "ab", "", "1", "!", "'s", "<s>", "<", "\xE2\x96\x81", "\xF0\x9F\x98\x80",
    "\xCC\x81",                 /* one mark for a mebibyte */
    "\xCC\x81\xCC\xA7",         /* marks that change places in the normal form */
    "a\xCC\x81\xE1\x84\x80\xE1\x85\xA1", /* what composes: a letter with its mark, parts of a syllable */
};

static size_t fill(char *text, const char *unit) {
    uint64_t seed = 7;
    size_t n = strlen(unit), length = n ? LENGTH / n * n : LENGTH;
    for (size_t i = 0; i < length; i++) text[i] = n ? unit[i % n] : (char)random_between(&seed, 'a', 'd');
    return length;
}

static double seconds_to_tokenize(const ex_tokenizer *tokenizer, const char *text, size_t length) {
    struct timespec start, end;
    size_t count = 0;
    ex_error error;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &start);
    assert_ok(ex_tokenize(tokenizer, text, length, EX_TOKENIZE_SPECIAL, NULL, 0, &count, &error), &error);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
    assert_true(count > 0);
    return (double)(end.tv_sec - start.tv_sec) + 1e-9 * (double)(end.tv_nsec - start.tv_nsec) + 1e-4;
}

/* Eight times the text may take 24 times as long: n log n, caches and other programs, while what is quadratic takes 64.
 * The shortest of several runs counts. */
static void check_linear(const struct kind *kind, const ex_tokenizer *tokenizer, const char *unit, const char *text,
                         size_t length) {
    size_t n = *unit ? strlen(unit) : 1, eighth = length / 8 / n * n;
    double ratio = 24, shortest[2] = {1e9, 1e9};
    for (int attempt = 0; ratio >= 24 && attempt < 5; attempt++) {
        for (size_t i = 0; i < 2; i++) {
            double seconds = seconds_to_tokenize(tokenizer, text, i ? 8 * eighth : eighth);
            if (seconds < shortest[i]) shortest[i] = seconds;
        }
        ratio = shortest[1] / shortest[0];
    }
    if (ratio >= 24) fail_msg("%s: eight times the text of '%s' takes %.1f times as long", kind->name, unit, ratio);
}

static void test_every_kind_takes_linear_time(void **state) {
    (void)state;
    char *text = malloc(LENGTH);
    assert_non_null(text);
    for (size_t k = 0; k < N_KINDS; k++) {
        ex_tokenizer *tokenizer = open_kind(&kinds[k]);
        for (size_t i = 0; i < sizeof units / sizeof *units; i++)
            check_linear(&kinds[k], tokenizer, units[i], text, fill(text, units[i]));
        ex_tokenizer_close(tokenizer);
    }
    free(text);
}

static void test_invalid_text_is_an_error_at_its_place(void **state) {
    (void)state;
    char *text = malloc(LENGTH);
    assert_non_null(text);
    for (size_t k = 0; k < N_KINDS; k++) {
        ex_tokenizer *tokenizer = open_kind(&kinds[k]);
        for (size_t good = 0; good < LENGTH; good += LENGTH - 1) {
            ex_error error = {0};
            size_t count = 1;
            memset(text, 'a', good);
            memset(text + good, 0xFF, LENGTH - good);
            assert_int_equal(ex_tokenize(tokenizer, text, LENGTH, 0, NULL, 0, &count, &error), EX_ERROR_FORMAT);
            assert_int_equal(error.position, good);
            assert_non_null(strstr(error.message, "not valid UTF-8"));
            assert_int_equal(count, 0);
        }
        ex_tokenizer_close(tokenizer);
    }
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kind_takes_linear_time),
        cmocka_unit_test(test_invalid_text_is_an_error_at_its_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
