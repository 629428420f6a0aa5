/* test_pretokenise.c - the scanners against the regular expressions that they stand for, as PCRE2 applies them, and
 * the class tables against utf8proc. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <utf8proc.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/rng.h"
#include "base/utf8.h"
#include "text/pattern.h"

/* ---- classes ---- */

static uint32_t expected_class(uint32_t codepoint) {
    if ((codepoint >= 9 && codepoint <= 13) || codepoint == 0x85) return EX_CLASS_SPACE;
    switch (utf8proc_category((utf8proc_int32_t)codepoint)) {
    case UTF8PROC_CATEGORY_LU: return EX_CLASS_LU;
    case UTF8PROC_CATEGORY_LL: return EX_CLASS_LL;
    case UTF8PROC_CATEGORY_LT: return EX_CLASS_LT;
    case UTF8PROC_CATEGORY_LM: return EX_CLASS_LM;
    case UTF8PROC_CATEGORY_LO: return EX_CLASS_LO;
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME: return EX_CLASS_M;
    case UTF8PROC_CATEGORY_ND: return EX_CLASS_ND;
    case UTF8PROC_CATEGORY_NL: return EX_CLASS_NL;
    case UTF8PROC_CATEGORY_NO: return EX_CLASS_NO;
    case UTF8PROC_CATEGORY_PC:
    case UTF8PROC_CATEGORY_PD:
    case UTF8PROC_CATEGORY_PS:
    case UTF8PROC_CATEGORY_PE:
    case UTF8PROC_CATEGORY_PI:
    case UTF8PROC_CATEGORY_PF:
    case UTF8PROC_CATEGORY_PO: return EX_CLASS_P;
    case UTF8PROC_CATEGORY_SM:
    case UTF8PROC_CATEGORY_SC:
    case UTF8PROC_CATEGORY_SK:
    case UTF8PROC_CATEGORY_SO: return EX_CLASS_S;
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP: return EX_CLASS_SPACE;
    default: return EX_CLASS_OTHER;
    }
}

static void test_classes(void **state) {
    (void)state;
    if (strncmp(utf8proc_unicode_version(), "15.0", 4) != 0) test_skip("utf8proc has another version of Unicode");
    for (uint32_t codepoint = 0; codepoint < 0x110000; codepoint++)
        if (ex_unicode_class_of(codepoint) != expected_class(codepoint)) fail_msg("U+%04X", codepoint);
}

/* ---- oracle ---- */

enum { MAX_PIECES = 8192, MAX_TEXT = 8192 };

typedef struct pieces {
    size_t n, ends[MAX_PIECES]; /* bytes */
} pieces;

#define CONTRACTIONS "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define GPT2 "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)"
#define UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define BEFORE "[^\\r\\n\\p{L}\\p{N}]?"
#define REST "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define TWO_CASES(suffix) BEFORE UPPER "*" LOWER "+" suffix "|" BEFORE UPPER "+" LOWER "*" suffix
#define NOT_HAN(set) "(?:(?!\\p{sc:Han})" set ")"
#define HAN_KANA "[一-龥぀-ゟ゠-ヿ]+"
#define DEEPSEEK_LETTERS                                                                                               \
    "\\s?["                                                                                                            \
    "A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ"                         \
    "-Ὅὐ-ὗὙὛὝὟ-\\x{1F7D}ᾀ-ᾴᾶ-ᾼ\\x{1FBE}ῂ-ῄῆ-ῌῐ-\\x{1FD3}ῖ-\\x{1FDB}ῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤ"                                \
    "\\x{2126}ℨ\\x{212A}-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀"                         \
    "-𐳲𑢠-𑣟𞤀-𞥃"                                                                                                         \
    "]+"
#define LLAMA3(letters, numbers, symbols, tail)                                                                        \
    CONTRACTIONS "|" BEFORE letters "+|" numbers "| ?" symbols "+" tail "|" REST

static const struct {
    const char *name;
    const char *expressions[EX_MAX_SPLIT_RULES];
} families[] = {
    {"llama-bpe", {LLAMA3("\\p{L}", "\\p{N}{1,3}", "[^\\s\\p{L}\\p{N}]", "[\\r\\n]*")}},
    {"qwen2", {LLAMA3("\\p{L}", "\\p{N}", "[^\\s\\p{L}\\p{N}]", "[\\r\\n]*")}},
    {"qwen35", {LLAMA3("[\\p{L}\\p{M}]", "\\p{N}", "[^\\s\\p{L}\\p{M}\\p{N}]", "[\\r\\n]*")}},
    {"seed-coder", {LLAMA3("\\p{L}", "\\p{N}{1}", "[^\\s\\p{L}\\p{N}\\r\\n]", "")}},
    {"tekken", {TWO_CASES("") "|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|" REST}},
    {"gpt-4o", {TWO_CASES(CONTRACTIONS "?") "|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|" REST}},
    {"youtu", {"[가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|" HAN_KANA,
               TWO_CASES(CONTRACTIONS "?") "|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|" REST}},
    {"gpt-2", {GPT2}},
    {"starcoder", {"\\p{N}", GPT2}},
    {"falcon", {"[\\p{P}\\$\\+<=>\\^~\\|`]+", GPT2, "[0-9][0-9][0-9]"}},
    {"default", {"[\\p{P}\\$\\+<=>\\^~\\|]+", GPT2, "\\p{N}+", "[0-9][0-9][0-9]"}},
    {"deepseek-llm", {"[\\r\\n]", DEEPSEEK_LETTERS, "\\s?[!-/:-~！-／：-～‘-‟　-。]+", "\\s+$", "[一-龥ࠀ-一가-\\x{D7FF}]+",
                      "\\p{N}+"}},
    {"deepseek-coder", {"[\\r\\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", "[一-龥ࠀ-一가-\\x{D7FF}]+", "\\p{N}"}},
    {"deepseek-v3", {"\\p{N}{1,3}", HAN_KANA,
                     "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"
                     "| ?[\\p{P}\\p{S}]+[\\r\\n]*|" REST}},
    {"jais-2", {CONTRACTIONS "|" BEFORE "\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+"
                "|\\s{512}(?!\\S)|\\s{256}(?!\\S)|\\s{128}(?!\\S)|\\s{64}(?!\\S)|\\s{32}(?!\\S)|\\s{16}(?!\\S)"
                "|\\s{8}(?!\\S)|\\s{4}(?!\\S)|\\s{1,2}(?!\\S)|\\s{1}"}},
    {"exaone-moe", {CONTRACTIONS "|" BEFORE "(?:\\p{L}\\p{M}*(?: \\p{L}\\p{M}*)*)+|\\p{N}"
                    "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]?|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+"}},
    /* PCRE2 has no intersection of classes, and its \p{Han} takes what Han shares with other scripts, too. */
    {"kimi-k2", {"[\\p{sc:Han}]+|"
                 BEFORE NOT_HAN(UPPER) "*" NOT_HAN(LOWER) "+" CONTRACTIONS "?|" BEFORE NOT_HAN(UPPER) "+"
                 NOT_HAN(LOWER) "*" CONTRACTIONS "?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" REST}},
    /* \b between a digit and what is no word character, \w being what Oniguruma takes it for */
    {"tiny_aya", {"\\d{1,3}(?=(?:\\d{3})*(?![\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}]))",
                  TWO_CASES(CONTRACTIONS "?") "|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|" REST}},
    {"afmoe", {"\\p{Nd}{1,3}(?=(?:\\p{Nd}{3})*(?!\\p{Nd}))",
               "[一-鿿㐀-䶿\\x{8C48}-﫿぀-ゟ゠-ヿ･-ﾟ⼀-⿟เ-๿຀-໿ក-៿က-႟ꩠ-ꩿꧠ-꧿가-힯ᄀ-ᇿ]+",
               "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"
               "| ?[\\p{P}\\p{S}]+[\\r\\n]*|" REST}},
    {"superbpe", {"\\p{N}+", "(?=(\\d{3})+(?!\\d))"}},
    {"chameleon", {"<sentinel:[0-9]+>", "(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z", "([\\t\\n]|    |  )", "\\p{N}",
                   "[\\p{P}!-/:-@\\[-`{-~]", GPT2}},
    {"gemma4", {"[^\\n]+|[\\n]+"}},
    {"bloom", {" ?[^(\\s|.,!?…。，、।۔،)]+"}},
    {"viking", {" ?[^(\\s|.,!?…。，、।۔،)]+", "\\p{N}"}},
};
enum { N_FAMILIES = sizeof families / sizeof *families };

static pcre2_code *compile(const char *expression) {
    int number;
    PCRE2_SIZE at;
    pcre2_code *code = pcre2_compile((PCRE2_SPTR)expression, PCRE2_ZERO_TERMINATED,
                                     PCRE2_UTF | PCRE2_UCP | PCRE2_DOLLAR_ENDONLY, &number, &at, NULL);
    if (!code) fail_msg("error %d at %zu in %s", number, at, expression);
    return code;
}

/* Matches and what lies between them become pieces of their own; an empty match parts two of them. */
static void split_piece(const pcre2_code *code, const char *text, size_t first, size_t last, pieces *out) {
    pcre2_match_data *data = pcre2_match_data_create(4, NULL);
    size_t gap = first, at = first;
    PCRE2_SPTR subject = (PCRE2_SPTR)text + first; /* a piece is a text of its own: lookaheads end with it */
    while (at < last && pcre2_match(code, subject, last - first, at - first, PCRE2_NO_UTF_CHECK, data, NULL) >= 0) {
        const PCRE2_SIZE *found = pcre2_get_ovector_pointer(data);
        if (first + found[0] > gap) out->ends[out->n++] = gap = first + found[0];
        at = first + found[1];
        if (found[1] > found[0]) out->ends[out->n++] = gap = at;
        else do at++; while (at < last && (text[at] & 0xC0) == 0x80);
    }
    if (gap < last) out->ends[out->n++] = last;
    pcre2_match_data_free(data);
}

static void split_by_expressions(pcre2_code *const *codes, const char *text, size_t length, pieces *out) {
    static pieces before;
    *out = (pieces){.n = length > 0, .ends = {length}};
    for (size_t i = 0; i < EX_MAX_SPLIT_RULES && codes[i]; i++) {
        before = *out;
        out->n = 0;
        for (size_t j = 0, first = 0; j < before.n; first = before.ends[j++])
            split_piece(codes[i], text, first, before.ends[j], out);
    }
}

static ex_code keep_word(void *context, const char *word, size_t length, ex_error *error) {
    (void)word, (void)error;
    pieces *out = context;
    assert_true(length > 0 && out->n < MAX_PIECES);
    out->ends[out->n] = (out->n ? out->ends[out->n - 1] : 0) + length;
    out->n++;
    return EX_OK;
}

static ex_code count_word(void *context, const char *word, size_t length, ex_error *error) {
    (void)word, (void)length, (void)error;
    ++*(size_t *)context;
    return EX_OK;
}

/* ---- random text ---- */

/* Characters where rules meet, then ranges for variety. */
static const uint32_t favourites[] = {
    ' ', ' ', ' ', '\n', '\n', '\r', '\t', '\'', '\'', 's', 'S', 't', 'r', 'e', 'E', 'v', 'm', 'l', 'L', 'd', 'D',
    'a', 'Z', '0', '1', '9', '.', ',', '!', '-', '/', '/', '$', '`', '|', '(', ')', '_', '"', '\\', '<',
    '>', 'B', 'I', 0, 0x1C, 0x85,
    0xA0, 0xAA, 0xB2, 0xB5, 0xBD, 0x17F, 0x1C5, 0x2B0, 0x301, 0x345, 0x3A9, 0x3C9, 0x410, 0x430, 0x5D0, 0x663, 0x964,
    0x93E, 0xE33, 0x1680, 0x200B, 0x200D, 0x2014, 0x2019, 0x2028, 0x2126, 0x212A, 0x2167, 0x20AC, 0x2026, 0x3000,
    0x3001, 0x3002, 0x3042, 0x30A2, 0x3105, 0x4E2D, 0x9FA5, 0x9FA6, 0xAC00, 0xD7FB, 0xFE0F, 0xFF01, 0xFF0C, 0xFF21,
    0xFF41, 0xE000, 0x2E80, 0x3005, 0x3007, 0x16FE2, 0x1F600, 0x1D400, 0x10400, 0x10428, 0x20000, 0xE0100,
};
static const ex_range spans[] = {{0, 0x7F}, {0, 0x24F}, {0x250, 0x6FF}, {0x900, 0x1FFF}, {0x2000, 0x33FF},
                                 {0x4E00, 0xD7FF}, {0xE000, 0xFFFD}, {0x10000, 0x1FFFF}};

static uint32_t random_below(uint64_t *state, uint32_t n) { return (uint32_t)random_between(state, 0, n); }

/* PCRE2 may know an older Unicode, and counts U+180E as white space, which it is no longer. */
static bool is_known(uint32_t codepoint, pcre2_code *unassigned, pcre2_match_data *data) {
    char text[4];
    size_t n = ex_utf8_encode(codepoint, text);
    bool old = pcre2_match(unassigned, (PCRE2_SPTR)text, n, 0, 0, data, NULL) > 0;
    return codepoint != 0x180E && old == (utf8proc_category((utf8proc_int32_t)codepoint) == UTF8PROC_CATEGORY_CN);
}

/* Texts that whole expressions look for, and runs that are longer than chance makes them. */
static size_t random_snippet(uint64_t *state, char *text) {
    static const char *const snippets[] = {"<sentinel:", "12>", "IMGIMG", "ABCDI", "HZ", "1234567", "12345678 ",
                                           "\xE0\xA5\xA7\xE0\xA5\xA8\xE0\xA5\xA9", "a b c", "    ", "\n\n", "'Re"};
    size_t kind = random_below(state, 16);
    if (kind < sizeof snippets / sizeof *snippets) {
        memcpy(text, snippets[kind], strlen(snippets[kind]));
        return strlen(snippets[kind]);
    }
    size_t n = random_below(state, random_below(state, 8) ? 20 : 1100);
    memset(text, "  01"[kind - 12], n);
    return n;
}

static size_t random_text(uint64_t *state, pcre2_code *unassigned, pcre2_match_data *data, char *text) {
    size_t length = 0, n = random_below(state, 160);
    uint32_t variety = random_below(state, 4); /* of 4 characters, this many come from ranges */
    uint32_t n_favourites = 1 + random_below(state, sizeof favourites / sizeof *favourites);
    uint32_t codepoint = 'a';
    uint32_t rarity = random_below(state, 60);
    for (size_t i = 0; i < n; i++) {
        if (random_below(state, 1 + rarity) == 0 && length < MAX_TEXT - 2000)
            length += random_snippet(state, text + length);
        if (random_below(state, 4) < variety) {
            const ex_range *span = &spans[random_below(state, sizeof spans / sizeof *spans)];
            do codepoint = span->first + random_below(state, span->last - span->first + 1);
            while (!is_known(codepoint, unassigned, data));
        } else if (random_below(state, 3)) { /* else the last one again: runs */
            codepoint = favourites[random_below(state, n_favourites)];
        }
        length += ex_utf8_encode(codepoint, text + length);
    }
    return length;
}

static void compare(const char *name, const pieces *found, const pieces *expected, const char *text, size_t length) {
    for (size_t i = 0; i < found->n && i < expected->n; i++) {
        if (found->ends[i] == expected->ends[i]) continue;
        size_t first = i ? found->ends[i - 1] : 0;
        char shown[512];
        size_t n = 0;
        for (size_t at = first; at < length && at < first + 40; at++)
            n += (size_t)snprintf(shown + n, sizeof shown - n, "%02X ", (unsigned char)text[at]);
        fail_msg("%s: the piece at %zu ends at %zu, not %zu: %s", name, first, found->ends[i], expected->ends[i],
                 shown);
    }
    assert_int_equal(found->n, expected->n);
}

static ex_pattern *open_pattern(const char *const *expressions) {
    ex_error error;
    ex_pattern *pattern;
    assert_ok(ex_pattern_open(&pattern, &error), &error);
    for (size_t i = 0; i < EX_MAX_SPLIT_RULES && expressions[i]; i++)
        assert_ok(ex_pattern_add(pattern, (ex_string){expressions[i], strlen(expressions[i])}, 0, &error), &error);
    return pattern;
}

/* The way of expressions that no scanner is known for gives the same words. */
static void compare_pattern(const ex_pattern *pattern, const char *name, const char *text, size_t length,
                            const pieces *expected) {
    static pieces found;
    ex_error error;
    found.n = 0;
    assert_ok(ex_pattern_split(pattern, text, length, 0, keep_word, &found, NULL, &error), &error);
    compare(name, &found, expected, text, length);
}

static void test_scanners_against_expressions(void **state) {
    (void)state;
    static pieces found, expected;
    char text[MAX_TEXT];
    uint64_t seed = 20261123;
    print_message("seed %llu\n", (unsigned long long)seed);
    pcre2_code *unassigned = compile("\\p{Cn}");
    pcre2_match_data *data = pcre2_match_data_create(1, NULL);
    for (size_t family = 0; family < N_FAMILIES; family++) {
        const char *name = families[family].name;
        const ex_pretokeniser_name *row = ex_pretokeniser_find((ex_string){name, strlen(name)});
        assert_non_null(row);
        pcre2_code *codes[EX_MAX_SPLIT_RULES] = {0};
        for (size_t i = 0; i < EX_MAX_SPLIT_RULES && families[family].expressions[i]; i++)
            codes[i] = compile(families[family].expressions[i]);
        ex_pattern *pattern = open_pattern(families[family].expressions);
        for (int round = 0; round < 500; round++) {
            size_t length = random_text(&seed, unassigned, data, text);
            split_by_expressions(codes, text, length, &expected);
            found.n = 0;
            assert_int_equal(ex_pretokenise(row->pretokeniser, text, length, keep_word, &found, NULL), EX_OK);
            compare(name, &found, &expected, text, length);
            if (round % 4 == 0) compare_pattern(pattern, name, text, length, &expected);
        }
        ex_pattern_close(pattern);
        for (size_t i = 0; i < EX_MAX_SPLIT_RULES; i++) pcre2_code_free(codes[i]);
    }
    pcre2_match_data_free(data);
    pcre2_code_free(unassigned);
}

/* ---- expressions from files ---- */

static void expect_refusal(const char *expression, const char *part) {
    ex_error error = {0};
    ex_pattern *pattern;
    assert_ok(ex_pattern_open(&pattern, &error), &error);
    ex_code code = ex_pattern_add(pattern, (ex_string){expression, strlen(expression)}, 77, &error);
    if (code != EX_ERROR_UNSUPPORTED || !strstr(error.message, part)) fail_msg("%s: %s", expression, error.message);
    assert_int_equal(error.position, 77);
    ex_pattern_close(pattern);
}

static void test_expressions_that_are_refused(void **state) {
    (void)state;
    expect_refusal("[\\p{L}&&[^\\p{Han}]]+", "class within a class");
    expect_refusal("[a[bc]]", "class within a class");
    expect_refusal("(a", "is wrong");
    expect_refusal("\\p{NoSuchThing}", "is wrong");
    expect_refusal("(a+)\\1", "back reference");
    expect_refusal("\\C", "is wrong"); /* would cut characters */
    expect_refusal("(?:(?:(?:a{1,9999}){1,9999}){1,9999})", "is wrong");
    ex_pattern_close(NULL);
}

static void expect_words(const char *expression, const char *text, const char *words) {
    pieces found = {0};
    ex_pattern *pattern = open_pattern((const char *const[EX_MAX_SPLIT_RULES]){expression});
    ex_error error;
    assert_ok(ex_pattern_split(pattern, text, strlen(text), 0, keep_word, &found, NULL, &error), &error);
    char joined[128];
    size_t n = 0;
    for (size_t i = 0, first = 0; i < found.n; first = found.ends[i++])
        n += (size_t)snprintf(joined + n, sizeof joined - n, "%s%.*s", i ? "_" : "", (int)(found.ends[i] - first),
                              text + first);
    assert_string_equal(joined, words);
    ex_pattern_close(pattern);
}

static void test_words_of_expressions(void **state) {
    (void)state;
    expect_words("\\p{Han}+", "a中。b", "a_中_。b");  /* the script alone: 。 is shared */
    expect_words("\\P{Han}+", "a中。b", "a_中_。b");
    expect_words("[]a]+|[^]b]", "]a]bc", "]a]_b_c"); /* a bracket that is first in its class */
    expect_words("[[:digit:]x]+", "a1x2b", "a_1x2_b");
    expect_words("(?=b)", "abab", "a_ba_b");
    expect_words("(?<=b)", "abab", "ab_ab");
    expect_words("x*", "axxb", "a_xx_b");
    expect_words("a\\[b[c\\]]", "xa[b]y", "x_a[b]_y");
}

/* Whatever an expression would take: an answer, or an error, in a time that is in proportion to the text. */
static void test_expressions_that_take_too_long(void **state) {
    (void)state;
    static const char *const expressions[] = {"(a+)+b", "(a|a)*b", "(?:a*)*b", "a+b", "a*a*a*a*b", "(a+)(a+)(a+)x",
                                              "(?:aa|a)*+b", "(?=.*x)y", "(a(?1)?b)", "(?:a(?=a*b))", "a++b",
                                              "(?<=a{100})a*b"};
    enum { LENGTH = 1 << 17 };
    char *text = malloc(LENGTH);
    assert_non_null(text);
    memset(text, 'a', LENGTH);
    for (size_t i = 0; i < sizeof expressions / sizeof *expressions; i++) {
        ex_error error = {0};
        ex_pattern *pattern = open_pattern((const char *const[EX_MAX_SPLIT_RULES]){expressions[i]});
        size_t n_words = 0;
        ex_code code = ex_pattern_split(pattern, text, LENGTH, 0, count_word, &n_words, NULL, &error);
        assert_true(code == EX_OK || (code == EX_ERROR_UNSUPPORTED && strstr(error.message, "takes more than")));
        ex_pattern_close(pattern);
    }
    free(text);
}

/* ---- time ---- */

/* What may be worst for one rule or another; each is repeated to fill a text. */
static const char *const worst[] = {
    "a", "A", "aB", "1", "12x", " ", "  x", "\n", " \n", "\r\n ", "'", "'s", "!",
    "!a", "<sentinel:1", "IMGIMGA", "中", "中A",
    "é", "e\xCC\x81", "\xCC\x81", "a b ", "1 ", "\xF0\x9F\x98\x80", "\xC2\xA0", "②", "_1", "Aa中1 \n",
};

static void repeat(char *text, size_t size, const char *unit) {
    size_t n = strlen(unit);
    for (size_t at = 0; at + n <= size; at += n) memcpy(text + at, unit, n);
}

static double seconds_to_split(const ex_pretokeniser *pretokeniser, const char *text, size_t length) {
    struct timespec start, end;
    size_t n_words = 0;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &start);
    assert_int_equal(ex_pretokenise(pretokeniser, text, length, count_word, &n_words, NULL), EX_OK);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
    return (double)(end.tv_sec - start.tv_sec) + 1e-9 * (double)(end.tv_nsec - start.tv_nsec) + 1e-5;
}

/* Eight times the text may take 24 times as long; what is quadratic takes 64. The shortest of several runs counts, as
 * another program may be in the way. */
static void check_linear(const char *name, const char *unit, const char *text, size_t eighth) {
    const ex_pretokeniser *pretokeniser = ex_pretokeniser_find((ex_string){name, strlen(name)})->pretokeniser;
    double ratio = 24, shortest[2] = {1e9, 1e9};
    for (int attempt = 0; ratio >= 24 && attempt < 5; attempt++) {
        for (size_t i = 0; i < 2; i++) {
            double seconds = seconds_to_split(pretokeniser, text, i ? 8 * eighth : eighth);
            if (seconds < shortest[i]) shortest[i] = seconds;
        }
        ratio = shortest[1] / shortest[0];
    }
    if (ratio >= 24) fail_msg("%s: eight times the text of '%s' takes %.1f times as long", name, unit, ratio);
}

static void test_scanners_take_linear_time(void **state) {
    (void)state;
    enum { LENGTH = 1 << 18 };
    char *text = malloc(LENGTH);
    assert_non_null(text);
    for (size_t i = 0; i < sizeof worst / sizeof *worst; i++) {
        size_t n = strlen(worst[i]);
        repeat(text, LENGTH, worst[i]);
        for (size_t family = 0; family < N_FAMILIES; family++)
            check_linear(families[family].name, worst[i], text, LENGTH / 8 / n * n);
    }
    free(text);
}

/* Expressions that look over the rest of a run again for every piece of it, so that only the scanners of these are
 * linear: for the digits that follow (tiny_aya, superbpe, afmoe: (?=(\d{3})*…)), for a line break behind spaces that
 * are then taken 512 at a time (jais-2: \s*[\r\n]+), for the end behind spaces (deepseek-llm: \s+$). */
static bool looks_back(const char *name) {
    static const char *const names[] = {"jais-2", "tiny_aya", "superbpe", "afmoe", "deepseek-llm"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0) return true;
    return false;
}

/* Steps that the expressions take for `length` bytes; 0 when they are more than is granted. */
static uint64_t count_steps(const ex_pattern *pattern, const char *text, size_t length) {
    ex_error error = {0};
    uint64_t steps;
    size_t n_words = 0;
    ex_code code = ex_pattern_split(pattern, text, length, 0, count_word, &n_words, &steps, &error);
    if (code == EX_OK) return steps;
    assert_int_equal(code, EX_ERROR_UNSUPPORTED);
    if (!strstr(error.message, "of the pre-tokeniser takes more than")) fail_msg("%s", error.message);
    return 0;
}

static void check_steps(const char *name, const ex_pattern *pattern, const char *unit, const char *text) {
    size_t n = strlen(unit);
    uint64_t last = 0;
    for (size_t length = 4096; length <= 32 * 1024; length *= 8) {
        uint64_t steps = count_steps(pattern, text, length / n * n);
        if (steps == 0 && looks_back(name)) return;
        if (steps == 0) fail_msg("%s: too many steps for %zu bytes of '%s'", name, length, unit);
        if (last && steps > 12 * last && steps > 32 * length && !looks_back(name))
            fail_msg("%s: %zu bytes of '%s' take %llu steps, an eighth of them %llu", name, length, unit,
                     (unsigned long long)steps, (unsigned long long)last);
        last = steps;
    }
}

/* Counted, not timed: eight times the text takes some eight times the steps; what is quadratic takes 64. In short
 * texts PCRE2 may see at once that a character that must come does not: few steps say nothing. */
static void test_expressions_take_linear_steps(void **state) {
    (void)state;
    static char text[32 * 1024];
    for (size_t family = 0; family < N_FAMILIES; family++) {
        ex_pattern *pattern = open_pattern(families[family].expressions);
        for (size_t i = 0; i < sizeof worst / sizeof *worst; i++) {
            repeat(text, sizeof text, worst[i]);
            check_steps(families[family].name, pattern, worst[i], text);
        }
        ex_pattern_close(pattern);
    }
}

static ex_code stop_at_third(void *context, const char *word, size_t length, ex_error *error) {
    (void)word, (void)length, (void)error;
    return ++*(int *)context == 3 ? EX_ERROR_MEMORY : EX_OK;
}

static void test_sink_stops_the_scan(void **state) {
    (void)state;
    const ex_pretokeniser_name *row = ex_pretokeniser_find((ex_string){"default", 7});
    int calls = 0;
    assert_int_equal(ex_pretokenise(row->pretokeniser, "a b c d e", 9, stop_at_third, &calls, NULL), EX_ERROR_MEMORY);
    assert_int_equal(calls, 3);
    assert_null(ex_pretokeniser_find((ex_string){"defaul", 6}));
    assert_null(ex_pretokeniser_find((ex_string){"", 0}));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_classes),
        cmocka_unit_test(test_scanners_against_expressions),
        cmocka_unit_test(test_expressions_that_are_refused),
        cmocka_unit_test(test_words_of_expressions),
        cmocka_unit_test(test_expressions_that_take_too_long),
        cmocka_unit_test(test_scanners_take_linear_time),
        cmocka_unit_test(test_expressions_take_linear_steps),
        cmocka_unit_test(test_sink_stops_the_scan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
