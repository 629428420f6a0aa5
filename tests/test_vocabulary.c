/* test_vocabulary.c - small vocabularies made here: what a file may get wrong, special tokens, ends of generation,
 * conversations. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "file/gguf.h"

/* ---- files made for the tests ---- */

enum { MAX_LINES = 24, MAX_VALUES = 64 };

/* One key a line: "T NAME;VALUE…" with T = s a string, u a u32, b a bool, S strings, i integers, f numbers. NAME goes
 * without "tokenizer.ggml.", unless it begins with a dot, which stands for "tokenizer", or with a slash. */
typedef struct recipe {
    const char *lines[MAX_LINES];
} recipe;

static size_t split_values(const char *at, ex_string *out) {
    size_t n = 0;
    while (*at == ';') {
        size_t length = strcspn(++at, ";");
        assert_true(n < MAX_VALUES);
        out[n++] = (ex_string){at, length};
        at += length;
    }
    return n;
}

static ex_code write_line(ex_writer *writer, const char *line, ex_error *error) {
    char name[64];
    bool whole = line[2] == '/';
    const char *prefix = whole ? "" : line[2] == '.' ? "tokenizer" : "tokenizer.ggml.", *rest = line + 2 + whole;
    int length = (int)strcspn(rest, ";");
    snprintf(name, sizeof name, "%s%.*s", prefix, length, rest);
    ex_string values[MAX_VALUES];
    size_t n = split_values(rest + length, values);
    int32_t integers[MAX_VALUES];
    float numbers[MAX_VALUES];
    for (size_t i = 0; i < n; i++) {
        integers[i] = atoi(values[i].data);
        numbers[i] = (float)atof(values[i].data);
    }
    switch (line[0]) {
    case 's': return ex_writer_string(writer, name, values[0].data, values[0].length, error);
    case 'u': return ex_writer_u32(writer, name, (uint32_t)integers[0], error);
    case 'b': return ex_writer_bool(writer, name, integers[0] != 0, error);
    case 'S': return ex_writer_string_array(writer, name, values, n, error);
    case 'i': return ex_writer_i32_array(writer, name, integers, n, error);
    default: return ex_writer_f32_array(writer, name, numbers, n, error);
    }
}

static char path[64];

static void write_recipe(const recipe *r) {
    ex_error error;
    ex_writer *writer;
    assert_ok(ex_writer_open(&writer, path, &error), &error);
    for (size_t i = 0; i < MAX_LINES && r->lines[i]; i++) assert_ok(write_line(writer, r->lines[i], &error), &error);
    assert_ok(ex_writer_finish(writer, &error), &error);
}

static ex_code open_recipe(const recipe *r, ex_tokenizer **out, ex_error *error) {
    write_recipe(r);
    ex_file *file;
    assert_ok(ex_file_open(&file, path, error), error);
    ex_code code = ex_tokenizer_open(out, file, error);
    ex_file_close(file); /* the tokenizer must not need it any more */
    return code;
}

static ex_tokenizer *open_good(const recipe *r) {
    ex_error error;
    ex_tokenizer *tokenizer;
    assert_ok(open_recipe(r, &tokenizer, &error), &error);
    return tokenizer;
}

static int make_path(void **state) {
    (void)state;
    snprintf(path, sizeof path, "/tmp/test_vocabulary.XXXXXX");
    int descriptor = mkstemp(path);
    return descriptor < 0 ? -1 : close(descriptor);
}

static int remove_path(void **state) {
    (void)state;
    return unlink(path);
}

/* `expected` ends at -1. */
static void expect_tokens(const ex_tokenizer *tokenizer, const char *text, uint32_t flags, const int32_t *expected) {
    int32_t tokens[64];
    size_t n, n_expected = 0;
    ex_error error;
    while (expected[n_expected] != -1) n_expected++;
    assert_ok(ex_tokenize(tokenizer, text, strlen(text), flags, tokens, 64, &n, &error), &error);
    assert_int_equal(n, n_expected);
    assert_memory_equal(tokens, expected, n * sizeof *tokens);
}
#define IDS(...) ((const int32_t[]){__VA_ARGS__, -1})
#define NO_IDS ((const int32_t[]){-1})

/* G stands for U+0120, the space of byte-level BPE; its other letters are themselves. */
#define G "\xC4\xA0"
#define SP "\xE2\x96\x81"
static const recipe bpe = {{
    "s model;gpt2",
    "s pre;llama-bpe",
    "S tokens;a;b;c;d;" G ";ab;bc;abc;" G "a;<|x|>;<|xy|>;<u>;cd;abcd;|;<;>;x;y;u;\xC3\xA9;\xC3\x83;\xC2\xA9",
    "i token_type;1;1;1;1;1;1;1;1;1;3;3;4;1;1;1;1;1;1;1;1;1;1;1",
    "S merges;b c;a b;ab c;" G " a;c d;a zz;b c",
    "u bos_token_id;9",
    "u eos_token_id;10",
}};
enum { A, B, C, D, SPACE, AB, BC, ABC, SPACE_A, CONTROL_X, CONTROL_XY, USER, CD, ABCD, BAR, LESS, MORE, X, Y, U };

static const recipe spm = {{
    "s model;llama",
    "S tokens;<unk>;<s>;</s>;<0x41>;<0xC3>;<0xA9>;\xE2\x96\x81;a;b;ab;\xE2\x96\x81" "a;</;s;>;<;/;aa;aaa;;[U]",
    "i token_type;2;3;3;6;6;6;1;1;1;1;1;1;1;1;1;1;1;1;1;4",
    "f scores;0;0;0;0;0;0;-9;-9;-9;-2;-3;-4;-9;-9;-9;-9;-1;-8;0;0",
}};
enum { S_UNK, S_BOS, S_EOS, S_41, S_C3, S_A9, S_SPACE, S_A, S_B, S_AB, S_SPACE_A, S_OPEN, S_S, S_MORE, S_LESS, S_SLASH,
       S_AA, S_AAA, S_EMPTY, S_USER };

/* ---- merging ---- */

static void test_merges(void **state) {
    (void)state;
    ex_tokenizer *tokenizer = open_good(&bpe);
    assert_int_equal(ex_tokenizer_size(tokenizer), 23);
    expect_tokens(tokenizer, "", 0, NO_IDS);
    expect_tokens(tokenizer, "abc", 0, IDS(ABC));          /* whole word: merges alone give a, bc */
    expect_tokens(tokenizer, "abcd", 0, IDS(ABCD));
    expect_tokens(tokenizer, "abca", 0, IDS(A, BC, A));    /* "b c" comes before "a b" */
    expect_tokens(tokenizer, "abab", 0, IDS(AB, AB));
    expect_tokens(tokenizer, "aa aab", 0, IDS(A, A, SPACE_A, AB));
    expect_tokens(tokenizer, "ab", EX_TOKENIZE_ADD_BEGINNING, IDS(CONTROL_X, AB)); /* llama-bpe asks for it */
    ex_tokenizer_close(tokenizer);
    recipe by_merges = bpe;
    by_merges.lines[1] = "s pre;qwen2";
    tokenizer = open_good(&by_merges);
    expect_tokens(tokenizer, "abc", 0, IDS(A, BC));
    expect_tokens(tokenizer, "abcd", EX_TOKENIZE_ADD_BEGINNING, IDS(A, BC, D));
    ex_tokenizer_close(tokenizer);
    by_merges.lines[1] = "b add_bos_token;1"; /* and no pre: "default" */
    tokenizer = open_good(&by_merges);
    expect_tokens(tokenizer, "abcd", EX_TOKENIZE_ADD_BEGINNING, IDS(CONTROL_X, A, BC, D));
    ex_tokenizer_close(tokenizer);
}

static void test_sentencepiece(void **state) {
    (void)state;
    ex_tokenizer *tokenizer = open_good(&spm);
    expect_tokens(tokenizer, "", 0, NO_IDS);
    expect_tokens(tokenizer, "ab", 0, IDS(S_SPACE, S_AB));             /* -2 comes before -3 */
    expect_tokens(tokenizer, "aaaa", 0, IDS(S_SPACE, S_AA, S_AA));     /* leftmost of equals */
    expect_tokens(tokenizer, "aaa", 0, IDS(S_SPACE, S_AAA));
    expect_tokens(tokenizer, "ab", EX_TOKENIZE_ADD_BEGINNING, IDS(S_BOS, S_SPACE, S_AB));
    expect_tokens(tokenizer, "b\xC3\xA9", 0, IDS(S_SPACE, S_B, S_C3, S_A9));
    expect_tokens(tokenizer, "b\xC3\xA8", 0, IDS(S_SPACE, S_B, S_UNK)); /* not all of its bytes have tokens */
    expect_tokens(tokenizer, "b\xE2\x96\x81" "b", 0, IDS(S_SPACE, S_B, S_SPACE, S_B));
    expect_tokens(tokenizer, "[U]b", 0, IDS(S_USER, S_SPACE, S_B));
    /* Merging alone would find the control token. */
    expect_tokens(tokenizer, "</s>", 0, IDS(S_SPACE, S_OPEN, S_S, S_MORE));
    expect_tokens(tokenizer, "<unk>", EX_TOKENIZE_SPECIAL, IDS(S_UNK));
    expect_tokens(tokenizer, "b</s>b", EX_TOKENIZE_SPECIAL, IDS(S_SPACE, S_B, S_EOS, S_SPACE, S_B));
    ex_string space = ex_token_text(tokenizer, S_SPACE, false), a9 = ex_token_text(tokenizer, S_A9, false);
    assert_true(space.length == 1 && space.data[0] == ' ');
    assert_true(a9.length == 1 && a9.data[0] == '\xA9');
    assert_int_equal(ex_token_text(tokenizer, S_EMPTY, true).length, 0);
    ex_tokenizer_close(tokenizer);
    recipe plain = spm;
    plain.lines[4] = "b add_space_prefix;0";
    plain.lines[5] = "b add_bos_token;0";
    tokenizer = open_good(&plain);
    expect_tokens(tokenizer, "ab ab", EX_TOKENIZE_ADD_BEGINNING, IDS(S_AB, S_SPACE, S_AB));
    ex_tokenizer_close(tokenizer);
}

/* Characters merged by rank; spaces are U+2581, bytes have tokens, line feeds stay together. */
static void test_characters_by_rank(void **state) {
    (void)state;
    const recipe r = {{"s model;gemma4",
                       "S tokens;<pad>;<eos>;<bos>;<unk>;" SP ";a;b;ab;" SP "a;\n;\n\n;<0xC3>;<0xA9>;" SP SP ";<x>",
                       "i token_type;3;3;3;3;1;1;1;1;1;1;1;6;6;1;4",
                       "S merges;a b;" SP " a;" SP " " SP}};
    ex_tokenizer *tokenizer = open_good(&r);
    expect_tokens(tokenizer, "ab", EX_TOKENIZE_ADD_BEGINNING, IDS(2, 7));
    expect_tokens(tokenizer, " ab a", 0, IDS(4, 7, 8));      /* "a b" is the first merge */
    expect_tokens(tokenizer, "   a", 0, IDS(13, 8));
    expect_tokens(tokenizer, "a\n\nb", 0, IDS(5, 10, 6));    /* though no merge makes it */
    expect_tokens(tokenizer, "\n\n\n", 0, IDS(9, 9, 9));
    expect_tokens(tokenizer, "\xC3\xA9" "b", 0, IDS(11, 12, 6));
    expect_tokens(tokenizer, "\xC3\xA8", 0, IDS(3));
    expect_tokens(tokenizer, "a<x>b", 0, IDS(5, 14, 6));
    assert_int_equal(ex_token_beginning(tokenizer), 2);
    ex_tokenizer_close(tokenizer);
}

/* ---- the file's own expressions ---- */

static void check_own_words(const char *line, const int32_t *expected) {
    const recipe r = {{"s model;gpt2", "s pre;of-its-own", "S tokens;1;2;12;a;a1;" G ";" G "a",
                       "S merges;1 2;a 1;" G " a", line}};
    ex_tokenizer *tokenizer = open_good(&r);
    expect_tokens(tokenizer, "a12 a", 0, expected);
    ex_tokenizer_close(tokenizer);
}

#define JSON(normaliser, steps)                                                                                        \
    "s .huggingface.json;{\"normalizer\":" normaliser                                                                  \
    ",\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[" steps "]}}"
#define SPLIT(pattern) "{\"type\":\"Split\",\"pattern\":" pattern ",\"behavior\":\"Isolated\",\"invert\":false}"
#define BYTE_LEVEL "{\"type\":\"ByteLevel\",\"use_regex\":false}"

static void test_expressions_of_the_file(void **state) {
    (void)state;
    const int32_t *apart = IDS(3, 0, 1, 6), *together = IDS(3, 2, 6);
    check_own_words("s /entropix.tokenizer.pre_pattern;\\p{N}", apart);
    check_own_words("s /entropix.tokenizer.pre_pattern; ?\\p{L}+|\\p{N}+", together);
    check_own_words("S /entropix.tokenizer.pre_pattern;\\p{N};x", apart);
    check_own_words(JSON("null", SPLIT("{\"Regex\":\"\\\\p{N}\"}") "," BYTE_LEVEL), apart);
    check_own_words(JSON("{\"type\":\"NFC\"}", "{\"type\":\"Digits\",\"individual_digits\":true}," BYTE_LEVEL), apart);
    check_own_words(JSON("null", "{\"type\":\"Digits\"}"), together);
    check_own_words(JSON("null", "{\"type\":\"ByteLevel\"}"), together);
    check_own_words(JSON("null", SPLIT("{\"String\":\"a\"}")), IDS(3, 2, 5, 3));
}

static void test_form_c(void **state) {
    (void)state;
    recipe r = {{"s model;gpt2", "s pre;qwen2",
                 "S tokens;e;\xC3\x8C;\xC4\xA3;\xC3\x83;\xC2\xA9;\xC3\x83\xC2\xA9",
                 "S merges;\xC3\x83 \xC2\xA9", "b add_eos_token;0"}};
    ex_tokenizer *tokenizer = open_good(&r); /* e and U+0301 become U+00E9 */
    expect_tokens(tokenizer, "e\xCC\x81", 0, IDS(5));
    ex_tokenizer_close(tokenizer);
    r.lines[1] = "s pre;gpt-2";
    tokenizer = open_good(&r);
    expect_tokens(tokenizer, "e\xCC\x81", 0, IDS(0, 1, 2));
    ex_tokenizer_close(tokenizer);
    r.lines[4] = "s /entropix.tokenizer.normalizer;nfc";
    tokenizer = open_good(&r);
    expect_tokens(tokenizer, "e\xCC\x81", 0, IDS(5));
    ex_tokenizer_close(tokenizer);
}

/* ---- special tokens ---- */

static void test_white_space_beside_special_tokens(void **state) {
    (void)state;
    const recipe phi = {{"s model;llama", "s /general.architecture;phi3",
                         "S tokens;<unk>;<s>;</s>;" SP ";a;<|user|>;<|endoftext|>;\n", "i token_type;2;3;3;1;1;4;3;1",
                         "f scores;0;0;0;-1;-1;0;0;-1", "b add_space_prefix;0"}};
    ex_tokenizer *tokenizer = open_good(&phi);
    expect_tokens(tokenizer, "a <|user|> \n\xC2\xA0 a a", 0, IDS(4, 3, 5, 4, 3, 4));
    expect_tokens(tokenizer, "<|user|>\n<|user|>\n", 0, IDS(5, 5));
    expect_tokens(tokenizer, "</s> a", EX_TOKENIZE_SPECIAL, IDS(2, 4));
    expect_tokens(tokenizer, "<s> a<|endoftext|>\n", EX_TOKENIZE_SPECIAL, IDS(1, 3, 4, 6, 7));
    expect_tokens(tokenizer, "</s> a", 0, IDS(0, 0, 0, 0, 3, 4)); /* a user's: unknown characters */
    ex_tokenizer_close(tokenizer);
    const recipe phi4_mini = {{"s model;gpt2", "s /general.architecture;phi3", "S tokens;a;" G ";<|user|>",
                               "i token_type;1;1;4", "S merges;z z"}};
    tokenizer = open_good(&phi4_mini);
    expect_tokens(tokenizer, "a <|user|> a", 0, IDS(0, 1, 2, 1, 0));
    ex_tokenizer_close(tokenizer);
    const recipe jina = {{"s model;gpt2", "s pre;jina-v2-de", "S tokens;a;" G ";<mask>", "i token_type;1;1;4",
                          "S merges;z z"}};
    tokenizer = open_good(&jina);
    expect_tokens(tokenizer, "a  <mask> a", 0, IDS(0, 2, 1, 0));
    ex_tokenizer_close(tokenizer);
}

static void test_end_of_sequence(void **state) {
    (void)state;
    recipe r = bpe;
    r.lines[7] = "b add_eos_token;1";
    uint32_t both = EX_TOKENIZE_ADD_BEGINNING | EX_TOKENIZE_ADD_END;
    ex_tokenizer *tokenizer = open_good(&r);
    expect_tokens(tokenizer, "a", 0, IDS(A));
    expect_tokens(tokenizer, "a", EX_TOKENIZE_ADD_END, IDS(A, CONTROL_XY));
    expect_tokens(tokenizer, "", both, IDS(CONTROL_X, CONTROL_XY));
    ex_tokenizer_close(tokenizer);
    tokenizer = open_good(&bpe);
    expect_tokens(tokenizer, "a", both, IDS(CONTROL_X, A)); /* asked for, but the file does not want it */
    ex_tokenizer_close(tokenizer);
}

static void test_special_tokens(void **state) {
    (void)state;
    ex_tokenizer *tokenizer = open_good(&bpe);
    expect_tokens(tokenizer, "<|x|>", 0, IDS(LESS, BAR, X, BAR, MORE));
    expect_tokens(tokenizer, "<|x|>", EX_TOKENIZE_SPECIAL, IDS(CONTROL_X));
    expect_tokens(tokenizer, "<|x|", EX_TOKENIZE_SPECIAL, IDS(LESS, BAR, X, BAR));
    expect_tokens(tokenizer, "a<|xy|><|x|>b", EX_TOKENIZE_SPECIAL, IDS(A, CONTROL_XY, CONTROL_X, B));
    expect_tokens(tokenizer, "<<u>u", 0, IDS(LESS, USER, U));
    /* A text that begins with the beginning gets no second one. */
    uint32_t both = EX_TOKENIZE_SPECIAL | EX_TOKENIZE_ADD_BEGINNING;
    expect_tokens(tokenizer, "<|x|>a", both, IDS(CONTROL_X, A));
    expect_tokens(tokenizer, "<|xy|>a", both, IDS(CONTROL_X, CONTROL_XY, A));
    expect_tokens(tokenizer, "<|x|>", EX_TOKENIZE_ADD_BEGINNING, IDS(CONTROL_X, LESS, BAR, X, BAR, MORE));
    assert_int_equal(ex_token_beginning(tokenizer), CONTROL_X);
    assert_true(ex_token_is_control(tokenizer, CONTROL_X));
    assert_false(ex_token_is_control(tokenizer, USER));
    assert_int_equal(ex_token_text(tokenizer, CONTROL_X, false).length, 0);
    assert_int_equal(ex_token_text(tokenizer, CONTROL_X, true).length, 5);
    assert_true(ex_token_ends_generation(tokenizer, CONTROL_XY));
    assert_false(ex_token_ends_generation(tokenizer, CONTROL_X));
    const int32_t outside[] = {-1, 23, INT32_MIN, INT32_MAX};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(ex_token_text(tokenizer, outside[i], true).length, 0);
        assert_false(ex_token_is_control(tokenizer, outside[i]));
        assert_false(ex_token_ends_generation(tokenizer, outside[i]));
    }
    ex_tokenizer_close(tokenizer);
    ex_tokenizer_close(NULL);
}

static void test_longest_special_token_wins(void **state) {
    (void)state;
    const recipe r = {{"s model;gpt2", "S tokens;a;b;ab;abb;abbba;b", "i token_type;4;1;4;4;4;1", "S merges;b b"}};
    ex_tokenizer *tokenizer = open_good(&r);
    expect_tokens(tokenizer, "aababbabbbabbbb", 0, IDS(0, 2, 3, 4, 1, 1, 1, 1));
    ex_tokenizer_close(tokenizer);
}

static void test_ends_of_generation_by_text(void **state) {
    (void)state;
    const recipe r = {{"s model;gpt2", "S merges;a a", "u eot_token_id;6",
                       "S tokens;a;<|im_end|>;<|eot_id|>;<|end|>;<｜end▁of▁sentence｜>;<|fim_pad|>;b;</s>"}};
    ex_tokenizer *tokenizer = open_good(&r);
    for (int32_t id = 0; id < 8; id++) {
        assert_int_equal(ex_token_ends_generation(tokenizer, id), id != 0);
        assert_int_equal(ex_token_is_control(tokenizer, id), id != 0 && id != 6);
    }
    expect_tokens(tokenizer, "a<|im_end|>", EX_TOKENIZE_SPECIAL, IDS(0, 1));
    ex_tokenizer_close(tokenizer);
}

static void test_harmony_marks_are_shown_but_not_for_users(void **state) {
    (void)state;
    const recipe r = {{"s model;gpt2", "S tokens;a;<|return|>;<|call|>;<|end|>;<|channel|>;<;|;e;n;d;>",
                       "i token_type;1;3;3;3;3;1;1;1;1;1;1", "S merges;a a"}};
    ex_tokenizer *tokenizer = open_good(&r);
    assert_true(ex_token_ends_generation(tokenizer, 1) && ex_token_ends_generation(tokenizer, 2));
    for (int32_t id = 3; id < 5; id++) {
        assert_false(ex_token_ends_generation(tokenizer, id));
        assert_true(ex_token_text(tokenizer, id, false).length > 0);
    }
    expect_tokens(tokenizer, "<|end|>", EX_TOKENIZE_SPECIAL, IDS(3));
    expect_tokens(tokenizer, "<|end|>", 0, IDS(5, 6, 7, 8, 9, 6, 10));
    ex_tokenizer_close(tokenizer);
}

/* ---- what may be wrong ---- */

static void test_text_that_is_not_utf8(void **state) {
    (void)state;
    ex_tokenizer *tokenizer = open_good(&bpe);
    const struct { const char *text; size_t length, position; } bad[] = {
        {"ab\xFF", 3, 2},         {"\x80", 1, 0},     {"ab\xC3", 3, 2},
        {"\xED\xA0\x80", 3, 0}, {"\xC0\x80", 2, 0}, {"ab\xC3\xA9\xF5", 5, 4},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ex_error error = {0};
        size_t count = 5;
        ex_code code = ex_tokenize(tokenizer, bad[i].text, bad[i].length, 0, NULL, 0, &count, &error);
        assert_int_equal(code, EX_ERROR_FORMAT);
        assert_int_equal(error.position, bad[i].position);
        assert_int_equal(count, 0);
    }
    ex_error error = {0};
    size_t count;
    assert_int_equal(ex_tokenize(tokenizer, "a\0z", 3, 0, NULL, 0, &count, &error), EX_ERROR_UNSUPPORTED);
    assert_int_equal(error.position, 1); /* the vocabulary above has no token for it */
    assert_int_equal(ex_tokenize(tokenizer, NULL, 0, 0, NULL, 0, &count, &error), EX_OK);
    ex_tokenizer_close(tokenizer);
}

typedef struct fault {
    const recipe *base;
    const char *line; /* takes the place of the line for the same key, or is added */
    ex_code code;
    const char *message; /* part of it */
    const char *at;      /* what stands in the file at the error's position; NULL: not checked */
} fault;

static const recipe own = {{"s model;gpt2", "s pre;of-its-own", "S tokens;a;b;ab", "S merges;a b"}};

static const fault faults[] = {
    {&bpe, "s pre;no-such-thing", EX_ERROR_UNSUPPORTED, "\"no-such-thing\"", NULL},
    {&bpe, "u pre;1", EX_ERROR_FORMAT, "tokenizer.ggml.pre at offset", NULL},
    {&bpe, "s model;bert", EX_ERROR_UNSUPPORTED, "\"bert\": WordPiece", NULL},
    {&bpe, "s model;rwkv", EX_ERROR_UNSUPPORTED, "RWKV", NULL},
    {&bpe, "s model;plamo2", EX_ERROR_UNSUPPORTED, "PLaMo-2", NULL},
    {&bpe, "s model;other", EX_ERROR_UNSUPPORTED, "\"other\": a kind of tokenizer that this version does not", NULL},
    {&own, "s /entropix.tokenizer.pre_pattern;(a", EX_ERROR_UNSUPPORTED, "\"(a\" is wrong", "(a"},
    {&own, "S /entropix.tokenizer.pre_pattern;b;(a", EX_ERROR_UNSUPPORTED, "\"(a\" is wrong", "(a"},
    {&own, "u /entropix.tokenizer.pre_pattern;1", EX_ERROR_FORMAT, "must be a string or an array", NULL},
    {&own, "s .huggingface.json;{", EX_ERROR_FORMAT, "", NULL},
    {&own, JSON("null", "{\"type\":\"Metaspace\"}"), EX_ERROR_UNSUPPORTED, "pre-tokeniser \"Metaspace\"", "{\"type\""},
    {&own, JSON("{\"type\":\"NFKC\"}", BYTE_LEVEL), EX_ERROR_UNSUPPORTED, "normaliser \"NFKC\"", NULL},
    {&own, JSON("null", SPLIT("{\"Regex\":\"(a\"}")), EX_ERROR_UNSUPPORTED, "\"(a\" is wrong", NULL},
    {&own, JSON("null", SPLIT("{}")), EX_ERROR_FORMAT, "a Split without a pattern", NULL},
    {&own, JSON("null", "{\"type\":\"Split\",\"behavior\":\"MergedWithNext\"}"), EX_ERROR_UNSUPPORTED,
     "behavior \"MergedWithNext\"", NULL},
    {&bpe, "s /entropix.tokenizer.normalizer;nfkd", EX_ERROR_UNSUPPORTED, "knows nfc and none", NULL},
    {&bpe, "u add_eos_token;1", EX_ERROR_FORMAT, "must be a bool", NULL},
    {&bpe, "u model;1", EX_ERROR_FORMAT, "must be a string", NULL},
    {&bpe, "i tokens;1;2", EX_ERROR_FORMAT, "tokenizer.ggml.tokens at offset", NULL},
    {&bpe, "S tokens", EX_ERROR_FORMAT, "has 0 elements", NULL},
    {&bpe, "S token_type;1;2", EX_ERROR_FORMAT, "must be an array of integers", NULL},
    {&bpe, "i token_type;1;2", EX_ERROR_FORMAT, "has 2 elements, but there are 23 tokens", NULL},
    {&bpe, "f token_type;1;2", EX_ERROR_FORMAT, "tokenizer.ggml.token_type", NULL},
    {&bpe, "i token_type;1;1;1;1;1;1;1;1;1;3;3;4;1;1;1;1;1;1;1;1;1;1;7", EX_ERROR_FORMAT, "token 22 has type 7", NULL},
    {&bpe, "i token_type;6;1;1;1;1;1;1;1;1;3;3;4;1;1;1;1;1;1;1;1;1;1;1", EX_ERROR_FORMAT, "token 0 is of type byte",
     "a"},
    {&bpe, "S merges;a b;bc;c d", EX_ERROR_FORMAT, "a merge without a space", "bc"},
    {&bpe, "S merges; a;c d", EX_ERROR_FORMAT, "a merge without a space", " a"},
    {&bpe, "i merges;1", EX_ERROR_FORMAT, "tokenizer.ggml.merges at offset", NULL},
    {&bpe, "u bos_token_id;23", EX_ERROR_FORMAT, "tokenizer.ggml.bos_token_id at offset", NULL},
    {&bpe, "s eos_token_id;1", EX_ERROR_FORMAT, "must be an integer", NULL},
    {&bpe, "u eot_token_id;99", EX_ERROR_FORMAT, "tokenizer.ggml.eot_token_id", NULL},
    {&bpe, "u add_bos_token;1", EX_ERROR_FORMAT, "must be a bool", NULL},
    {&bpe, "u .chat_template;1", EX_ERROR_FORMAT, "tokenizer.chat_template", NULL},
    {&bpe, "f scores;1;2", EX_ERROR_FORMAT, "tokenizer.ggml.scores", NULL},
    {&spm, "i scores;1", EX_ERROR_FORMAT, "floating-point", NULL},
    {&spm, "f scores;nan;0;0;0;0;0;-9;-9;-9;-2;-3;-4;-9;-9;-9;-9;-1;-8;0;0", EX_ERROR_FORMAT,
     "token 0 is not a number", NULL},
    {&spm, "S tokens;<unk>;<s>;</s>;<0x-1>;b;c;d;e;f;g;h;i;j;k;l;m;n;o;p;q", EX_ERROR_FORMAT, "token 3", "<0x-1>"},
    {&spm, "S tokens;<unk>;<s>;</s>;<0xGG>;b;c;d;e;f;g;h;i;j;k;l;m;n;o;p;q", EX_ERROR_FORMAT, "token 3", "<0xGG>"},
    {&spm, "S tokens;<unk>;<s>;</s>;<0x100>;b;c;d;e;f;g;h;i;j;k;l;m;n;o;p;q", EX_ERROR_FORMAT, "token 3", "<0x100>"},
    {&spm, "S tokens;<unk>;<s>;</s>;<0x41 ;b;c;d;e;f;g;h;i;j;k;l;m;n;o;p;q", EX_ERROR_FORMAT, "token 3", "<0x41 "},
    {&spm, "u add_space_prefix;1", EX_ERROR_FORMAT, "must be a bool", NULL},
};

static recipe with_line(const recipe *base, const char *line) {
    recipe out = *base;
    size_t i = 0, name = strcspn(line + 2, ";");
    for (; out.lines[i]; i++)
        if (strncmp(out.lines[i] + 2, line + 2, name) == 0 && out.lines[i][2 + name] == ';') break;
    out.lines[i] = line;
    return out;
}

static void check_position(const fault *f, const ex_error *error) {
    size_t length;
    char *bytes = read_whole_file(path, &length);
    assert_non_null(bytes);
    assert_true(error->position + strlen(f->at) <= length);
    assert_memory_equal(bytes + error->position, f->at, strlen(f->at));
    free(bytes);
}

static void test_faults_are_named(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        const fault *f = &faults[i];
        recipe r = with_line(f->base, f->line);
        ex_error error = {0};
        ex_tokenizer *tokenizer = (ex_tokenizer *)1;
        ex_code code = open_recipe(&r, &tokenizer, &error);
        if (code != f->code || !strstr(error.message, f->message))
            fail_msg("%s: code %d, %s", f->line, (int)code, error.message);
        assert_null(tokenizer);
        assert_true(error.position > 0);
        if (f->at) check_position(f, &error);
    }
}

static void test_missing_keys_are_named(void **state) {
    (void)state;
    const struct { const recipe *base; size_t line; ex_code code; const char *message; } missing[] = {
        {&bpe, 0, EX_ERROR_UNSUPPORTED, "tokenizer.ggml.model"},
        {&bpe, 2, EX_ERROR_FORMAT, "tokenizer.ggml.tokens is missing"},
        {&bpe, 4, EX_ERROR_FORMAT, "tokenizer.ggml.merges is missing"},
        {&spm, 3, EX_ERROR_FORMAT, "tokenizer.ggml.scores is missing"},
    };
    for (size_t i = 0; i < sizeof missing / sizeof *missing; i++) {
        recipe r = *missing[i].base;
        r.lines[missing[i].line] = "u unrelated;1";
        ex_error error = {0};
        ex_tokenizer *tokenizer;
        assert_int_equal(open_recipe(&r, &tokenizer, &error), missing[i].code);
        if (!strstr(error.message, missing[i].message)) fail_msg("%s", error.message);
    }
}

static void test_tolerated_oddities(void **state) {
    (void)state;
    const recipe r = {{"s model;gpt2", "S tokens;a;b;;a;ab;ab;", "S merges;a b;a ;b a;zz a;a zz;a b",
                       "u bos_token_id;-1", "u padding_token_id;4000"}};
    ex_tokenizer *tokenizer = open_good(&r);
    expect_tokens(tokenizer, "abab", EX_TOKENIZE_ADD_BEGINNING, IDS(4, 4)); /* the first of equal texts */
    assert_int_equal(ex_token_beginning(tokenizer), EX_TOKEN_NONE);
    assert_int_equal(ex_tokenizer_chat_template(tokenizer).length, 0);
    ex_tokenizer_close(tokenizer);
}

/* Whatever a damaged file says: an error, or a tokenizer that works. */
static void check_damaged(const char *bytes, size_t length) {
    FILE *out = fopen(path, "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(bytes, 1, length, out), length);
    assert_int_equal(fclose(out), 0);
    ex_file *file;
    ex_tokenizer *tokenizer;
    if (ex_file_open(&file, path, NULL) != EX_OK) return;
    ex_code code = ex_tokenizer_open(&tokenizer, file, NULL);
    ex_file_close(file);
    if (code != EX_OK) return;
    static const char text[] = "ab abc</s><|xy|>\xC3\xA9 <u>aaaa \n\n1234 [U]";
    int32_t tokens[64];
    size_t n;
    code = ex_tokenize(tokenizer, text, sizeof text - 1, EX_TOKENIZE_SPECIAL, tokens, 64, &n, NULL);
    assert_true(code == EX_OK || code == EX_ERROR_UNSUPPORTED);
    for (size_t i = 0; code == EX_OK && i < n && i < 64; i++)
        assert_true(tokens[i] >= 0 && tokens[i] < ex_tokenizer_size(tokenizer));
    ex_tokenizer_close(tokenizer);
}

static void test_damaged_files(void **state) {
    (void)state;
    uint64_t seed = 5;
    print_message("seed 5\n");
    const recipe *const recipes[] = {&bpe, &spm};
    for (size_t i = 0; i < 2; i++) {
        write_recipe(recipes[i]);
        size_t length;
        char *good = read_whole_file(path, &length), *bytes = malloc(length);
        assert_true(good && bytes);
        for (int round = 0; round < 3000; round++) {
            memcpy(bytes, good, length);
            for (int change = 0; change <= round % 3; change++)
                bytes[(size_t)random_between(&seed, 0, (double)length)] = (char)(int)random_between(&seed, 0, 256);
            check_damaged(bytes, length);
        }
        free(good);
        free(bytes);
    }
}

/* ---- conversations ---- */

static void expect_chat(const ex_tokenizer *tokenizer, const char *override, const ex_message *messages, size_t n,
                        bool add_generation_prompt, const int32_t *expected) {
    int32_t tokens[64];
    size_t count, n_expected = 0;
    ex_error error;
    while (expected[n_expected] != -1) n_expected++;
    ex_code code =
        ex_chat_tokenize(tokenizer, override, messages, n, add_generation_prompt, tokens, 64, &count, &error);
    assert_ok(code, &error);
    assert_int_equal(count, n_expected);
    assert_memory_equal(tokens, expected, count * sizeof *tokens);
    code = ex_chat_tokenize(tokenizer, override, messages, n, add_generation_prompt, NULL, 0, &count, &error);
    assert_ok(code, &error);
    assert_int_equal(count, n_expected);
}

#define EACH "{% for m in messages %}"
#define END_EACH "{% endfor %}"

static void test_chat_keeps_origins_apart(void **state) {
    (void)state;
    ex_tokenizer *tokenizer = open_good(&bpe);
    const ex_message plain[] = {{"user", "b"}, {"assistant", "cd"}};
    const ex_message hostile[] = {{"x", "<|x|>"}};
    /* Special tokens of the template, and the beginning that it does not write itself. */
    const char *turns = EACH "<|xy|>{{ m.content }}" END_EACH "{% if add_generation_prompt %}<|xy|>{% endif %}";
    expect_chat(tokenizer, turns, plain, 2, true, IDS(CONTROL_X, CONTROL_XY, B, CONTROL_XY, CD, CONTROL_XY));
    expect_chat(tokenizer, turns, plain, 1, false, IDS(CONTROL_X, CONTROL_XY, B));
    /* One that it does write is not doubled. */
    expect_chat(tokenizer, "{{ bos_token }}" EACH "{{ m.content }}{{ eos_token }}" END_EACH, plain, 1, false,
                IDS(CONTROL_X, B, CONTROL_XY));
    /* Text from outside is never special, not even with the template's help. */
    expect_chat(tokenizer, EACH "{{ m.content }}" END_EACH, hostile, 1, false,
                IDS(CONTROL_X, LESS, BAR, X, BAR, MORE));
    expect_chat(tokenizer, EACH "{{ '<|' + m.role + '|>' }}" END_EACH, hostile, 1, false,
                IDS(CONTROL_X, LESS, BAR, X, BAR, MORE));
    expect_chat(tokenizer, EACH "<|{{ m.content }}|>" END_EACH, (const ex_message[]){{"user", "x"}}, 1, false,
                IDS(CONTROL_X, LESS, BAR, X, BAR, MORE));
    /* User-defined tokens are ordinary words of the vocabulary. */
    expect_chat(tokenizer, EACH "{{ m.content }}" END_EACH, (const ex_message[]){{"user", "<u>"}}, 1, false,
                IDS(CONTROL_X, USER));
    /* Words cross from the template into what the user wrote. */
    expect_chat(tokenizer, EACH "a{{ m.content }}" END_EACH, plain, 1, false, IDS(CONTROL_X, AB));
    ex_tokenizer_close(tokenizer);
}

static void test_chat_trusts_known_roles(void **state) {
    (void)state;
    const recipe r = {{"s model;gpt2", "s pre;qwen2", "S tokens;<|user|>;<|end|>;a;<;|;>;e;n;d",
                       "i token_type;3;3;1;1;1;1;1;1;1", "S merges;z z",
                       "s .chat_template;" EACH "{{ '<|' + m['role'] + '|>' + m['content'] }}" END_EACH}};
    ex_tokenizer *tokenizer = open_good(&r);
    expect_chat(tokenizer, NULL, (const ex_message[]){{"user", "a"}}, 1, false, IDS(0, 2));
    expect_chat(tokenizer, NULL, (const ex_message[]){{"end", "a"}}, 1, false, IDS(3, 4, 6, 7, 8, 4, 5, 2));
    ex_tokenizer_close(tokenizer);
}

static void expect_chat_error(const ex_tokenizer *tokenizer, const char *override, ex_message message, ex_code code,
                              const char *part) {
    ex_error error = {0};
    size_t count = 3;
    assert_int_equal(ex_chat_tokenize(tokenizer, override, &message, 1, true, NULL, 0, &count, &error), code);
    if (!strstr(error.message, part)) fail_msg("%s", error.message);
    assert_int_equal(count, 0);
}

static void test_chat_errors(void **state) {
    (void)state;
    ex_tokenizer *tokenizer = open_good(&bpe);
    const ex_message good = {"user", "b"};
    expect_chat_error(tokenizer, NULL, good, EX_ERROR_UNSUPPORTED, "--chat-template FILE");
    expect_chat_error(tokenizer, "{{ raise_exception('no such role') }}", good, EX_ERROR_ARGUMENT, "no such role");
    expect_chat_error(tokenizer, "x", (ex_message){"user", "b\xFF"}, EX_ERROR_FORMAT, "message 1");
    expect_chat_error(tokenizer, "x", (ex_message){"user", NULL}, EX_ERROR_ARGUMENT, "no content");
    expect_chat_error(tokenizer, "x", (ex_message){NULL, "b"}, EX_ERROR_ARGUMENT, "no role");
    ex_error error = {0};
    size_t count;
    assert_true(ex_chat_tokenize(tokenizer, "{% if %}", &good, 1, true, NULL, 0, &count, &error) < 0);
    ex_tokenizer_close(tokenizer);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_merges),
        cmocka_unit_test(test_sentencepiece),
        cmocka_unit_test(test_characters_by_rank),
        cmocka_unit_test(test_expressions_of_the_file),
        cmocka_unit_test(test_form_c),
        cmocka_unit_test(test_white_space_beside_special_tokens),
        cmocka_unit_test(test_end_of_sequence),
        cmocka_unit_test(test_special_tokens),
        cmocka_unit_test(test_longest_special_token_wins),
        cmocka_unit_test(test_ends_of_generation_by_text),
        cmocka_unit_test(test_harmony_marks_are_shown_but_not_for_users),
        cmocka_unit_test(test_text_that_is_not_utf8),
        cmocka_unit_test(test_faults_are_named),
        cmocka_unit_test(test_missing_keys_are_named),
        cmocka_unit_test(test_tolerated_oddities),
        cmocka_unit_test(test_damaged_files),
        cmocka_unit_test(test_chat_keeps_origins_apart),
        cmocka_unit_test(test_chat_trusts_known_roles),
        cmocka_unit_test(test_chat_errors),
    };
    return cmocka_run_group_tests(tests, make_path, remove_path);
}
