/* test_unigram.c - the unigram tokenizer against its definition: every way to cut a text, normalisation by hand, and
 * tables of it that were damaged on purpose. */
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "file/gguf.h"

/* ---- a vocabulary made here ---- */

enum { MAX_PIECES = 64 };

typedef struct piece {
    const char *text;
    float score;
    int32_t kind;
} piece;

#define SPACE "\xE2\x96\x81"

/* Longer ways sometimes win, sometimes lose; "ab" + "c" and "a" + "bc" are equal. */
static const piece pieces[] = {
    {"<pad>", 0, 3},     {"</s>", 0, 3},      {"<unk>", 0, 2},    {SPACE, -2, 1},      {"a", -3, 1},
    {"b", -3.5f, 1},     {"c", -4, 1},        {"ab", -5, 1},      {"bc", -6, 1},       {"abc", -9.25f, 1},
    {SPACE "a", -4, 1},  {SPACE "ab", -9, 1}, {"ca", -5.5f, 1},   {"caca", -12, 1},    {"\xC3\xA9", -4, 1},
    {"\xC3\xA9" "a", -5, 1}, {"bb", -6.5f, 1}, {"bbbb", -12.5f, 1}, {"aaaaaaaa", -20, 1}, {"cb", 1, 5},
    {"x", -INFINITY, 1}, {"A", -4, 1},        {"fi", -4, 1},
};
enum { N_PIECES = sizeof pieces / sizeof *pieces, PAD = 0, END = 1, UNKNOWN = 2 };

typedef struct settings {
    bool prefix, remove;
    const unsigned char *charsmap;
    size_t n_charsmap;
    bool bytes;      /* tokens for all bytes, after the pieces */
    bool no_unknown; /* no token for unknown text */
} settings;

static char path[64];

static ex_code write_pieces(ex_writer *writer, const settings *s, ex_error *error) {
    static char names[256][8];
    ex_string texts[N_PIECES + 256];
    float scores[N_PIECES + 256];
    int32_t kinds[N_PIECES + 256];
    size_t n = N_PIECES + (s->bytes ? 256 : 0);
    for (size_t i = 0; i < n; i++) {
        if (i >= N_PIECES) snprintf(names[i - N_PIECES], sizeof *names, "<0x%02X>", (unsigned)(i - N_PIECES));
        const piece p = i < N_PIECES ? pieces[i] : (piece){names[i - N_PIECES], 0, 6};
        texts[i] = (ex_string){p.text, strlen(p.text)};
        scores[i] = p.score;
        kinds[i] = p.kind;
    }
    ex_code code = ex_writer_string_array(writer, "tokenizer.ggml.tokens", texts, n, error);
    if (code == EX_OK) code = ex_writer_f32_array(writer, "tokenizer.ggml.scores", scores, n, error);
    if (code == EX_OK) code = ex_writer_i32_array(writer, "tokenizer.ggml.token_type", kinds, n, error);
    return code;
}

static ex_code write_file(const settings *s, ex_error *error) {
    ex_writer *writer;
    assert_ok(ex_writer_open(&writer, path, error), error);
    assert_ok(ex_writer_string(writer, "tokenizer.ggml.model", "t5", 2, error), error);
    assert_ok(write_pieces(writer, s, error), error);
    assert_ok(ex_writer_bool(writer, "tokenizer.ggml.add_space_prefix", s->prefix, error), error);
    assert_ok(ex_writer_bool(writer, "tokenizer.ggml.remove_extra_whitespaces", s->remove, error), error);
    if (s->no_unknown)
        assert_ok(ex_writer_u32(writer, "tokenizer.ggml.unknown_token_id", UINT32_MAX, error), error);
    if (s->n_charsmap) {
        ex_key key = {.name = {"tokenizer.ggml.precompiled_charsmap", 35}, .type = EX_VALUE_ARRAY,
                      .element = EX_VALUE_U8, .count = s->n_charsmap, .data = s->charsmap, .n_bytes = s->n_charsmap};
        assert_ok(ex_writer_copy_key(writer, &key, error), error);
    }
    return ex_writer_finish(writer, error);
}

static ex_code open_settings(const settings *s, ex_tokenizer **out, ex_error *error) {
    assert_ok(write_file(s, error), error);
    ex_file *file;
    assert_ok(ex_file_open(&file, path, error), error);
    ex_code code = ex_tokenizer_open(out, file, error);
    ex_file_close(file);
    return code;
}

static ex_tokenizer *open_good(settings s) {
    ex_error error;
    ex_tokenizer *tokenizer;
    assert_ok(open_settings(&s, &tokenizer, &error), &error);
    return tokenizer;
}

static int make_path(void **state) {
    (void)state;
    snprintf(path, sizeof path, "/tmp/test_unigram.XXXXXX");
    int descriptor = mkstemp(path);
    return descriptor < 0 ? -1 : close(descriptor);
}

static int remove_path(void **state) {
    (void)state;
    return unlink(path);
}

/* Tokens as text: "▁a|bc|#2" with ids of unknown text and bytes as numbers. */
static const char *tokens_of(const ex_tokenizer *tokenizer, const char *text) {
    static char out[1024];
    int32_t tokens[256];
    size_t n, length = 0;
    ex_error error;
    assert_ok(ex_tokenize(tokenizer, text, strlen(text), 0, tokens, 256, &n, &error), &error);
    assert_true(n <= 256);
    out[0] = 0;
    for (size_t i = 0; i < n; i++) {
        bool known = tokens[i] != UNKNOWN && tokens[i] < N_PIECES;
        const char *bar = i ? "|" : "";
        length += (size_t)(known ? snprintf(out + length, sizeof out - length, "%s%s", bar, pieces[tokens[i]].text)
                                 : snprintf(out + length, sizeof out - length, "%s#%d", bar, tokens[i]));
        assert_true(length < sizeof out);
    }
    return out;
}

/* ---- the definition ---- */

static const double unknown_score = -20 - 10; /* ten below the lowest */

/* The score of the best way to cut `text` (spaces written as U+2581), by trying them all. */
static double best_score(const char *text) {
    if (!*text) return 0;
    double best = -INFINITY;
    size_t n = 1;
    while ((text[n] & 0xC0) == 0x80) n++;
    bool single = false;
    for (size_t i = 0; i < N_PIECES; i++) {
        size_t length = strlen(pieces[i].text);
        if (pieces[i].kind != 1 || isinf(pieces[i].score) || strncmp(text, pieces[i].text, length) != 0) continue;
        single = single || length == n;
        best = fmax(best, (double)pieces[i].score + best_score(text + length));
    }
    return single ? best : fmax(best, unknown_score + best_score(text + n));
}

static double score_of(const ex_tokenizer *tokenizer, const char *plain, size_t n_characters_unknown) {
    int32_t tokens[256];
    size_t n;
    ex_error error;
    assert_ok(ex_tokenize(tokenizer, plain, strlen(plain), 0, tokens, 256, &n, &error), &error);
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        assert_true(i == 0 || tokens[i] != UNKNOWN || tokens[i - 1] != UNKNOWN);
        if (tokens[i] != UNKNOWN) sum += (double)pieces[tokens[i]].score;
    }
    return sum + (double)n_characters_unknown * unknown_score;
}

static void test_best_of_all_ways(void **state) {
    (void)state;
    ex_tokenizer *tokenizer = open_good((settings){0});
    static const char *const characters[] = {"a", "b", "c", SPACE, "\xC3\xA9", "z", "a", "b"};
    uint64_t seed = 19;
    print_message("seed 19\n");
    for (int round = 0; round < 4000; round++) {
        char text[64] = "", plain[64] = "";
        size_t n_unknown = 0, n = (size_t)random_between(&seed, 0, 13);
        for (size_t i = 0; i < n; i++) {
            const char *c = characters[(size_t)random_between(&seed, 0, 8)];
            strncat(text, c, sizeof text - strlen(text) - 1);
            strncat(plain, strcmp(c, SPACE) == 0 ? " " : c, sizeof plain - strlen(plain) - 1);
            n_unknown += *c == 'z';
        }
        double expected = best_score(text), found = score_of(tokenizer, plain, n_unknown);
        if (!is_close(found, expected, 1e-12)) fail_msg("\"%s\": %g, not %g", text, found, expected);
    }
    ex_tokenizer_close(tokenizer);
}

static void test_ways(void **state) {
    (void)state;
    ex_tokenizer *tokenizer = open_good((settings){0});
    assert_string_equal(tokens_of(tokenizer, ""), "");
    assert_string_equal(tokens_of(tokenizer, "ab"), "ab");
    assert_string_equal(tokens_of(tokenizer, "abc"), "a|bc");        /* of equals the longer last one */
    assert_string_equal(tokens_of(tokenizer, " ab"), SPACE "|ab");   /* -7 before -9 */
    assert_string_equal(tokens_of(tokenizer, "cb"), "c|b");          /* "cb" is unused */
    assert_string_equal(tokens_of(tokenizer, "azzzb"), "a|#2|b");    /* unknown text is one token */
    assert_string_equal(tokens_of(tokenizer, "xz"), "#2");           /* a score of -infinity is no score */
    assert_string_equal(tokens_of(tokenizer, SPACE "a"), SPACE "a"); /* U+2581 counts as a space */
    int32_t tokens[8];
    size_t n;
    uint32_t both = EX_TOKENIZE_ADD_BEGINNING | EX_TOKENIZE_ADD_END;
    assert_int_equal(ex_tokenize(tokenizer, "a", 1, both, tokens, 8, &n, NULL), EX_OK);
    assert_true(n == 2 && tokens[0] == 4 && tokens[1] == END); /* t5 has an end and no beginning */
    ex_tokenizer_close(tokenizer);
    tokenizer = open_good((settings){.bytes = true});
    assert_string_equal(tokens_of(tokenizer, "az\xC3\xBC"), "a|#145|#218|#211");
    ex_tokenizer_close(tokenizer);
    tokenizer = open_good((settings){.no_unknown = true});
    ex_error error = {0};
    assert_int_equal(ex_tokenize(tokenizer, "az", 2, 0, NULL, 0, &n, &error), EX_ERROR_UNSUPPORTED);
    ex_tokenizer_close(tokenizer);
}

static void test_spaces(void **state) {
    (void)state;
    static const struct {
        const char *text, *kept, *prefixed, *removed, *both;
    } cases[] = {
        {"", "", "", "", ""},
        {" ", SPACE, SPACE "|" SPACE, "", ""},
        {"b", "b", SPACE "|b", "b", SPACE "|b"},
        {" b", SPACE "|b", SPACE "|" SPACE "|b", "b", SPACE "|b"},
        {"  b  c ", SPACE "|" SPACE "|b|" SPACE "|" SPACE "|c|" SPACE,
         SPACE "|" SPACE "|" SPACE "|b|" SPACE "|" SPACE "|c|" SPACE, "b|" SPACE "|c", SPACE "|b|" SPACE "|c"},
        {"\n", "#2", SPACE "|#2", "#2", SPACE "|#2"}, /* only the space is a space */
    };
    for (int way = 0; way < 4; way++) {
        ex_tokenizer *tokenizer = open_good((settings){.prefix = way & 1, .remove = way & 2});
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            const char *expected[] = {cases[i].kept, cases[i].prefixed, cases[i].removed, cases[i].both};
            assert_string_equal(tokens_of(tokenizer, cases[i].text), expected[way]);
        }
        ex_tokenizer_close(tokenizer);
    }
}

/* ---- normalisation ---- */

/* A double array by hand: children of the root at block 0, further levels in blocks of their own. Units are 4 bytes:
 * label, bit 8 for "a value hangs here", offset to the children from bit 10. */
enum { N_UNITS = 7 * 256 };

typedef struct trie {
    uint32_t units[N_UNITS];
    size_t n_blocks;
} trie;

/* The offset is exclusive-or'ed with the place of the unit itself. */
static void set_unit(trie *t, size_t at, uint32_t label, bool value, size_t children) {
    t->units[at] = label | (uint32_t)value << 8 | (uint32_t)(children ^ at) << 10;
}

static void add_key(trie *t, const char *key, uint32_t value) {
    size_t block = 256; /* the root's children */
    for (size_t i = 0; key[i]; i++) {
        unsigned char byte = (unsigned char)key[i];
        size_t at = block ^ byte;
        bool last = !key[i + 1];
        size_t children = t->units[at] ? (t->units[at] >> 10 ^ at) : 256 * ++t->n_blocks;
        assert_true(children + 256 <= N_UNITS);
        set_unit(t, at, byte, last || (t->units[at] >> 8 & 1), children);
        if (last) t->units[children] = value | 0x80000000u;
        block = children;
    }
}

static size_t make_charsmap(unsigned char *out) {
    /* fi ligature, full-width A, a soft hyphen that goes, a wide space, and é for e with an accent */
    static const char texts[] = "fi\0A\0\0 \0\xC3\xA9"; /* at 0, 3, 5, 6, 8 */
    static trie t;
    t = (trie){.n_blocks = 1};
    set_unit(&t, 0, 0, false, 256);
    add_key(&t, "\xC2\xAD", 5);
    add_key(&t, "e\xCC\x81", 8);
    uint32_t n_trie = (uint32_t)sizeof t.units;
    memcpy(out, &n_trie, 4);
    memcpy(out + 4, t.units, n_trie);
    memcpy(out + 4 + n_trie, texts, sizeof texts);
    return 4 + n_trie + sizeof texts;
}

static unsigned char charsmap[8192];

static void test_normalisation(void **state) {
    (void)state;
    size_t n = make_charsmap(charsmap);
    settings s = {.charsmap = charsmap, .n_charsmap = n, .prefix = true, .remove = true};
    ex_tokenizer *tokenizer = open_good(s);
    assert_string_equal(tokens_of(tokenizer, "be\xCC\x81" "a"), SPACE "|b|\xC3\xA9" "a");
    assert_string_equal(tokens_of(tokenizer, "a\xC2\xAD" "b"), SPACE "|ab"); /* nothing is in between */
    assert_string_equal(tokens_of(tokenizer, "\xC2\xAD \xC2\xAD"), "");
    assert_string_equal(tokens_of(tokenizer, "e\xCC\x80"), SPACE "|#2");
    ex_tokenizer_close(tokenizer);
}

/* Whatever a damaged table says: an error, or a tokenizer that ends and gives tokens that exist. */
static void check_damaged(size_t n) {
    ex_error error = {0};
    ex_tokenizer *tokenizer;
    settings s = {.charsmap = charsmap, .n_charsmap = n, .prefix = true};
    ex_code code = open_settings(&s, &tokenizer, &error);
    if (code != EX_OK) {
        assert_int_equal(code, EX_ERROR_FORMAT);
        return;
    }
    static const char text[] = "be\xCC\x81" "a \xC2\xAD\xC2\xAD\xC2\xADzzzabc\xF0\x9F\x98\x80 eeee\xCC\x81\xCC\x81";
    int32_t tokens[512];
    assert_ok(ex_tokenize(tokenizer, text, sizeof text - 1, 0, tokens, 512, &n, &error), &error);
    for (size_t i = 0; i < n && i < 512; i++) assert_true(tokens[i] >= 0 && tokens[i] < N_PIECES);
    ex_tokenizer_close(tokenizer);
}

static void test_damaged_tables(void **state) {
    (void)state;
    size_t n = make_charsmap(charsmap), trie_end = n - 11;
    uint64_t seed = 23;
    print_message("seed 23\n");
    for (int round = 0; round < 1500; round++) {
        make_charsmap(charsmap);
        for (int change = 0; change <= round % 8; change++) {
            /* Units that the text reaches matter most: those that are not empty. */
            size_t at = (size_t)random_between(&seed, round % 3 ? 4 : (double)trie_end, (double)n);
            if (round % 3 == 1)
                for (size_t i = 0; i < 4000 && !charsmap[at]; i++) at = 4 + (at + 1) % (n - 4);
            charsmap[at] = (unsigned char)random_between(&seed, 0, 256);
        }
        check_damaged(round % 5 ? n : (size_t)random_between(&seed, 1, (double)n));
    }
}

static void expect_table_error(size_t n, const char *part) {
    ex_error error = {0};
    ex_tokenizer *tokenizer;
    settings s = {.charsmap = charsmap, .n_charsmap = n};
    assert_int_equal(open_settings(&s, &tokenizer, &error), EX_ERROR_FORMAT);
    if (!strstr(error.message, part)) fail_msg("%s", error.message);
}

static void test_tables_that_cannot_be(void **state) {
    (void)state;
    size_t n = make_charsmap(charsmap);
    expect_table_error(3, "trie that is not there");
    expect_table_error(100, "trie that is not there");
    expect_table_error(n - 1, "without an end");
    charsmap[n - 2] = 0xFF;
    expect_table_error(n, "not UTF-8");
    memset(charsmap + n - 1, 'a', 300);
    charsmap[n - 2] = 'a';
    charsmap[n + 299] = 0;
    expect_table_error(n + 300, "not UTF-8");
    charsmap[n - 3] = 'a';
    expect_table_error(n + 300, "over 256 bytes");
    charsmap[0] = 3;
    expect_table_error(n, "trie that is not there");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_best_of_all_ways),
        cmocka_unit_test(test_ways),
        cmocka_unit_test(test_spaces),
        cmocka_unit_test(test_normalisation),
        cmocka_unit_test(test_damaged_tables),
        cmocka_unit_test(test_tables_that_cannot_be),
    };
    return cmocka_run_group_tests(tests, make_path, remove_path);
}
