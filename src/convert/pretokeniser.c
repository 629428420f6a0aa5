#include "convert/pretokeniser.h"

#include <string.h>

enum { MAX_STEPS = 6 };

#define CONTRACTIONS "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define SPACES       "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define LLAMA3(n)    CONTRACTIONS "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" n "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*" SPACES
#define UPPER        "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER        "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define BEFORE       "[^\\r\\n\\p{L}\\p{N}]?"
#define SYMBOLS      "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*" SPACES
#define CASED(tail)  BEFORE UPPER "*" LOWER "+" tail "|" BEFORE UPPER "+" LOWER "*" tail
#define QWEN35                                                                                                         \
    CONTRACTIONS "|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*" SPACES
#define DEEPSEEK3                                                                                                      \
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?"             \
    "[\\p{P}\\p{S}]+[\\r\\n]*" SPACES

static const char gpt2[] = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
static const char each_number[] = "\\p{N}";

/* A name stands for expressions, for normalisation (NFC), and for whether a word that is a token needs no merges. */
static const struct {
    const char *name;
    bool whole_words, normalises;
    const char *expressions[MAX_STEPS];
} names[] = {
    {"llama-bpe", true, false, {LLAMA3("\\p{N}{1,3}")}},
    {"dbrx", false, false, {LLAMA3("\\p{N}{1,3}")}},
    {"qwen2", false, true, {LLAMA3("\\p{N}")}},
    {"stablelm2", false, false, {LLAMA3("\\p{N}")}},
    {"qwen35", false, true, {QWEN35}},
    {"gpt-2", false, false, {gpt2}},
    {"olmo", false, true, {gpt2}},
    {"smollm", false, false, {each_number, gpt2}},
    {"command-r", false, true, {each_number, gpt2}},
    {"tekken", true, false, {CASED("") "|\\p{N}" SYMBOLS}},
    {"gpt-4o", false, false, {CASED(CONTRACTIONS "?") "|\\p{N}{1,3}" SYMBOLS}},
    {"deepseek-v3", false, false, {"\\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+", DEEPSEEK3}},
    {"deepseek-coder", false, false,
     {"[\\r\\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", "[一-龥ࠀ-一가-퟿]+", each_number}},
};

typedef struct steps {
    ex_string expressions[MAX_STEPS];
    size_t n_expressions;
    bool byte_level, space_prefix, normalises;
    bool odd; /* something that no name stands for */
} steps;

static void add_expression(steps *s, ex_string expression) {
    if (s->n_expressions < MAX_STEPS) s->expressions[s->n_expressions++] = expression;
    else s->odd = true;
}

static bool is_true(const ex_json *value, bool otherwise) {
    return value && value->kind == EX_JSON_BOOLEAN ? value->as.boolean : otherwise;
}

/* Matches and gaps are words alike. An expression that leaves no gaps may as well be said to remove them. */
static bool keeps_all(const ex_json *split) {
    const ex_json *behaviour = ex_json_member(split, "behavior");
    bool inverted = is_true(ex_json_member(split, "invert"), false);
    return inverted ? ex_json_is(behaviour, "Removed") : !behaviour || ex_json_is(behaviour, "Isolated");
}

static void add_split(steps *s, const ex_json *step) {
    const ex_json *expression = ex_json_member(ex_json_member(step, "pattern"), "Regex");
    if (expression && expression->kind == EX_JSON_TEXT && keeps_all(step)) add_expression(s, expression->as.text);
    else s->odd = true;
}

static void add_digits(steps *s, const ex_json *step) {
    if (is_true(ex_json_member(step, "individual_digits"), false)) add_expression(s, (ex_string){each_number, 5});
    else s->odd = true;
}

static void add_byte_level(steps *s, const ex_json *step) {
    s->byte_level = true;
    s->space_prefix = is_true(ex_json_member(step, "add_prefix_space"), true);
    if (is_true(ex_json_member(step, "use_regex"), true)) add_expression(s, (ex_string){gpt2, sizeof gpt2 - 1});
}

static void add_step(steps *s, const ex_json *step) {
    static const struct {
        const char *type;
        void (*add)(steps *s, const ex_json *step);
    } kinds[] = {{"Split", add_split}, {"Digits", add_digits}, {"ByteLevel", add_byte_level}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (ex_json_is(ex_json_member(step, "type"), kinds[i].type)) {
            kinds[i].add(s, step);
            return;
        }
    s->odd = true;
}

static void add_normaliser(steps *s, const ex_json *step) {
    if (ex_json_is(ex_json_member(step, "type"), "NFC")) s->normalises = true;
    else s->odd = true;
}

static void add_all(steps *s, const ex_json *value, const char *members, void (*add)(steps *, const ex_json *)) {
    if (!value) return;
    if (!ex_json_is(ex_json_member(value, "type"), "Sequence")) {
        add(s, value);
        return;
    }
    const ex_json *list = ex_json_member(value, members);
    for (const ex_json *step = NULL; list && (step = ex_json_next(list, step));) add(s, step);
}

/* The expression of a row and one of a file, which may have a line end where the row has its escape. */
static bool is_expression(ex_string text, const char *expected) {
    size_t at = 0;
    for (; at < text.length && *expected; at++) {
        bool is_line_end = text.data[at] == '\r' || text.data[at] == '\n';
        if (is_line_end && *expected++ != '\\') return false;
        char c = is_line_end ? text.data[at] == '\r' ? 'r' : 'n' : text.data[at];
        if (*expected++ != c) return false;
    }
    return at == text.length && !*expected;
}

static bool is_row(const steps *s, const char *const expressions[MAX_STEPS]) {
    size_t n = 0;
    for (; n < MAX_STEPS && expressions[n]; n++)
        if (n == s->n_expressions || !is_expression(s->expressions[n], expressions[n])) return false;
    return n == s->n_expressions;
}

ex_pretokeniser_steps ex_pretokeniser_recognise(const ex_json *tokenizer) {
    steps s = {0};
    add_all(&s, ex_json_member(tokenizer, "pre_tokenizer"), "pretokenizers", add_step);
    add_all(&s, ex_json_member(tokenizer, "normalizer"), "normalizers", add_normaliser);
    bool whole_words = is_true(ex_json_member(ex_json_member(tokenizer, "model"), "ignore_merges"), false);
    ex_pretokeniser_steps out = {.byte_level = s.byte_level, .space_prefix = s.space_prefix};
    for (size_t i = 0; i < sizeof names / sizeof *names && !s.odd; i++) {
        bool is_alike = names[i].whole_words == whole_words && names[i].normalises == s.normalises;
        if (is_alike && is_row(&s, names[i].expressions)) out.name = names[i].name;
    }
    return out;
}
