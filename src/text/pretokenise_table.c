/* pretokenise_table.c - which pre-tokeniser a value of tokenizer.ggml.pre stands for: rules as rows of data.
 * Beside each rule stands the regular expression that it stands for; tests/test_pretokenise.c compares the two. */
#include "text/pretokenise.h"

#include "base/text.h"

#define RANGES(array) .ranges = (array), .n_ranges = sizeof(array) / sizeof *(array)

static const ex_range newlines[] = {{'\n', '\n'}, {'\r', '\r'}};
static const ex_range space[] = {{' ', ' '}};
static const ex_range ascii_digits[] = {{'0', '9'}};
static const ex_range ascii_symbols[] = { /* $ + < = > ^ ` | ~ */
    {'$', '$'}, {'+', '+'}, {'<', '>'}, {'^', '^'}, {'`', '`'}, {'|', '|'}, {'~', '~'},
};
static const ex_range ascii_symbols_no_grave[] = {
    {'$', '$'}, {'+', '+'}, {'<', '>'}, {'^', '^'}, {'|', '|'}, {'~', '~'},
};
static const ex_range line_feed[] = {{'\n', '\n'}};
static const ex_range ascii_punctuation[] = {{'!', '/'}, {':', '@'}, {'[', '`'}, {'{', '~'}};
static const ex_range a_to_i[] = {{'A', 'I'}};
static const ex_range han_kana[] = {{0x3040, 0x30FF}, {0x4E00, 0x9FA5}};
static const ex_range hangul[] = {{0x3131, 0x318E}, {0xAC00, 0xD7A3}};
static const ex_range bopomofo[] = {{0x3105, 0x312F}};
static const ex_range cjk_punctuation[] = {
    {0x2014, 0x2014}, {0x2018, 0x2019}, {0x201C, 0x201D}, {0x2026, 0x2026}, {0x3001, 0x303F}, {0xFE30, 0xFE4F},
    {0xFF01, 0xFF01}, {0xFF0C, 0xFF0C}, {0xFF1A, 0xFF1B},
};
static const ex_range phrase_ends[] = {
    {'!', '!'}, {'(', ')'}, {',', ','}, {'.', '.'}, {'?', '?'}, {'|', '|'}, {0x60C, 0x60C}, {0x6D4, 0x6D4},
    {0x964, 0x964}, {0x2026, 0x2026}, {0x3001, 0x3002}, {0xFF0C, 0xFF0C},
};
static const ex_range afmoe_scripts[] = { /* that write without spaces */
    {0xE40, 0xEFF}, {0x1000, 0x109F}, {0x1100, 0x11FF}, {0x1780, 0x17FF}, {0x2F00, 0x2FDF}, {0x3040, 0x30FF},
    {0x3400, 0x4DBF}, {0x4E00, 0xFAFF}, {0xFF65, 0xFF9F},
};
static const ex_range deepseek_cjk[] = {{0x800, 0x9FA5}, {0xAC00, 0xD7FF}};
static const ex_range deepseek_punctuation[] = {
    {0x21, 0x2F}, {0x3A, 0x7E}, {0x2018, 0x201F}, {0x3000, 0x3002}, {0xFF01, 0xFF0F}, {0xFF1A, 0xFF5E},
};
static const ex_range deepseek_letters[] = {
    {0x41, 0x5A}, {0x61, 0x7A}, {0xB5, 0xB5}, {0xC0, 0xD6}, {0xD8, 0xF6}, {0xF8, 0x1BA}, {0x1BC, 0x1BF},
    {0x1C4, 0x293}, {0x295, 0x2AF}, {0x370, 0x373}, {0x376, 0x377}, {0x37B, 0x37D}, {0x37F, 0x37F}, {0x386, 0x386},
    {0x388, 0x38A}, {0x38C, 0x38C}, {0x38E, 0x3A1}, {0x3A3, 0x3F5}, {0x3F7, 0x481}, {0x48A, 0x52F}, {0x531, 0x556},
    {0x10A0, 0x10C5}, {0x13A0, 0x13F5}, {0x13F8, 0x13FD}, {0x1C90, 0x1CBA}, {0x1CBD, 0x1CBF}, {0x1D00, 0x1D2B},
    {0x1D6B, 0x1D77}, {0x1D79, 0x1D9A}, {0x1E00, 0x1F15}, {0x1F18, 0x1F1D}, {0x1F20, 0x1F45}, {0x1F48, 0x1F4D},
    {0x1F50, 0x1F57}, {0x1F59, 0x1F59}, {0x1F5B, 0x1F5B}, {0x1F5D, 0x1F5D}, {0x1F5F, 0x1F7D}, {0x1F80, 0x1FB4},
    {0x1FB6, 0x1FBC}, {0x1FBE, 0x1FBE}, {0x1FC2, 0x1FC4}, {0x1FC6, 0x1FCC}, {0x1FD0, 0x1FD3}, {0x1FD6, 0x1FDB},
    {0x1FE0, 0x1FEC}, {0x1FF2, 0x1FF4}, {0x1FF6, 0x1FFC}, {0x2102, 0x2102}, {0x2107, 0x2107}, {0x210A, 0x2113},
    {0x2115, 0x2115}, {0x2119, 0x211D}, {0x2124, 0x2124}, {0x2126, 0x2126}, {0x2128, 0x2128}, {0x212A, 0x212D},
    {0x212F, 0x2134}, {0x2139, 0x2139}, {0x213C, 0x213F}, {0x2145, 0x2149}, {0x214E, 0x214E}, {0x2183, 0x2184},
    {0x2C00, 0x2C7B}, {0x2C7E, 0x2CE4}, {0x2CEB, 0x2CEE}, {0x2CF2, 0x2CF3}, {0xA640, 0xA66D}, {0xA680, 0xA69B},
    {0xA722, 0xA76F}, {0xA771, 0xA787}, {0xA78B, 0xA78E}, {0xAB70, 0xABBF}, {0xFB00, 0xFB06}, {0xFB13, 0xFB17},
    {0xFF21, 0xFF3A}, {0xFF41, 0xFF5A}, {0x10400, 0x1044F}, {0x104B0, 0x104D3}, {0x104D8, 0x104FB},
    {0x10C80, 0x10CB2}, {0x10CC0, 0x10CF2}, {0x118A0, 0x118DF}, {0x1E900, 0x1E943},
};

/* ---- words ---- */

/* [^\r\n\p{L}\p{N}]? */
#define BEFORE_WORD {.classes = EX_CLASS_L | EX_CLASS_N, RANGES(newlines), .except = true}
/* [^\s\p{L}\p{N}]+ */
#define SYMBOLS {.classes = EX_CLASS_SPACE | EX_CLASS_L | EX_CLASS_N, .except = true}

/* 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ */
static const ex_word_rule gpt2_words = {
    .contraction = EX_CONTRACTION_LOWER,
    .before = {RANGES(space)},
    .letters = {.classes = EX_CLASS_L},
    .number_length = SIZE_MAX,
    .number_space = true,
    .symbols = SYMBOLS,
    .symbol_tail = "",
};

/* (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+
 * |\s+(?!\S)|\s+ */
static const ex_word_rule llama3_words = {
    .contraction = EX_CONTRACTION_ANY_CASE,
    .before = BEFORE_WORD,
    .letters = {.classes = EX_CLASS_L},
    .number_length = 3,
    .symbols = SYMBOLS,
    .symbol_tail = "\r\n",
    .newlines = true,
};

/* llama3 with \p{N} */
static const ex_word_rule qwen2_words = {
    .contraction = EX_CONTRACTION_ANY_CASE,
    .before = BEFORE_WORD,
    .letters = {.classes = EX_CLASS_L},
    .number_length = 1,
    .symbols = SYMBOLS,
    .symbol_tail = "\r\n",
    .newlines = true,
};

/* qwen2 with [\p{L}\p{M}]+ and [^\s\p{L}\p{M}\p{N}]+ */
static const ex_word_rule qwen35_words = {
    .contraction = EX_CONTRACTION_ANY_CASE,
    .before = BEFORE_WORD,
    .letters = {.classes = EX_CLASS_L | EX_CLASS_M},
    .number_length = 1,
    .symbols = {.classes = EX_CLASS_SPACE | EX_CLASS_L | EX_CLASS_M | EX_CLASS_N, .except = true},
    .symbol_tail = "\r\n",
    .newlines = true,
};

/* qwen2 with ' ?[^\s\p{L}\p{N}\r\n]+' */
static const ex_word_rule seed_words = {
    .contraction = EX_CONTRACTION_ANY_CASE,
    .before = BEFORE_WORD,
    .letters = {.classes = EX_CLASS_L},
    .number_length = 1,
    .symbols = SYMBOLS,
    .symbol_tail = "",
    .newlines = true,
};

/* [^\r\n\p{L}\p{N}]?U*V+|[^\r\n\p{L}\p{N}]?U+V*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+
 * where U is [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}] and V is [\p{Ll}\p{Lm}\p{Lo}\p{M}] */
static const ex_word_rule tekken_words = {
    .before = BEFORE_WORD,
    .cased = true,
    .number_length = 1,
    .symbols = SYMBOLS,
    .symbol_tail = "\r\n/",
    .newlines = true,
};

/* llama3 with \s{512}(?!\S)|\s{256}(?!\S)|\s{128}(?!\S)|…|\s{4}(?!\S)|\s{1,2}(?!\S)|\s{1} for \s+(?!\S)|\s+ */
static const ex_word_rule jais2_words = {
    .contraction = EX_CONTRACTION_ANY_CASE,
    .before = BEFORE_WORD,
    .letters = {.classes = EX_CLASS_L},
    .number_length = 3,
    .symbols = SYMBOLS,
    .symbol_tail = "\r\n",
    .newlines = true,
    .doubling = true,
};

/* qwen2 with [^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+ and ' ?[^\s\p{L}\p{N}]+[\r\n/]?' */
static const ex_word_rule exaone_moe_words = {
    .contraction = EX_CONTRACTION_ANY_CASE,
    .before = BEFORE_WORD,
    .phrase = true,
    .number_length = 1,
    .symbols = SYMBOLS,
    .symbol_tail = "\r\n/",
    .one_in_tail = true,
    .newlines = true,
};

/* tekken with \p{N}{1,3} and (?i:'s|'t|'re|'ve|'m|'ll|'d)? after a word */
static const ex_word_rule gpt4o_words = {
    .contraction = EX_CONTRACTION_SUFFIX,
    .before = BEFORE_WORD,
    .cased = true,
    .number_length = 3,
    .symbols = SYMBOLS,
    .symbol_tail = "\r\n/",
    .newlines = true,
};

/* gpt-4o with \p{N} */
static const ex_word_rule youtu_words = {
    .contraction = EX_CONTRACTION_SUFFIX,
    .before = BEFORE_WORD,
    .cased = true,
    .number_length = 1,
    .symbols = SYMBOLS,
    .symbol_tail = "\r\n/",
    .newlines = true,
};

/* [\p{Han}]+, then gpt-4o with [U&&[^\p{Han}]], [V&&[^\p{Han}]] and ' ?[^\s\p{L}\p{N}]+[\r\n]*' */
static const ex_word_rule kimi_words = {
    .apart = {.ranges = ex_unicode_han, .n_ranges = EX_HAN_RANGES},
    .contraction = EX_CONTRACTION_SUFFIX,
    .before = BEFORE_WORD,
    .cased = true,
    .number_length = 3,
    .symbols = SYMBOLS,
    .symbol_tail = "\r\n",
    .newlines = true,
};

/* [ASCII punctuation][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+ */
static const ex_word_rule deepseek3_words = {
    .punctuated_word = true,
    .before = {.classes = EX_CLASS_L | EX_CLASS_P | EX_CLASS_S, RANGES(newlines), .except = true},
    .letters = {.classes = EX_CLASS_L | EX_CLASS_M},
    .symbols = {.classes = EX_CLASS_P | EX_CLASS_S},
    .symbol_tail = "\r\n",
    .newlines = true,
};

/* ---- rules ---- */

static const ex_split_rule split_gpt2 = {EX_SPLIT_WORDS, .words = &gpt2_words};
static const ex_split_rule split_llama3 = {EX_SPLIT_WORDS, .words = &llama3_words};
static const ex_split_rule split_qwen2 = {EX_SPLIT_WORDS, .words = &qwen2_words};
static const ex_split_rule split_qwen35 = {EX_SPLIT_WORDS, .words = &qwen35_words};
static const ex_split_rule split_seed = {EX_SPLIT_WORDS, .words = &seed_words};
static const ex_split_rule split_tekken = {EX_SPLIT_WORDS, .words = &tekken_words};
static const ex_split_rule split_gpt4o = {EX_SPLIT_WORDS, .words = &gpt4o_words};
static const ex_split_rule split_youtu = {EX_SPLIT_WORDS, .words = &youtu_words};
static const ex_split_rule split_jais2 = {EX_SPLIT_WORDS, .words = &jais2_words};
static const ex_split_rule split_exaone_moe = {EX_SPLIT_WORDS, .words = &exaone_moe_words};
static const ex_split_rule split_kimi = {EX_SPLIT_WORDS, .words = &kimi_words};
static const ex_split_rule split_deepseek3 = {EX_SPLIT_WORDS, .words = &deepseek3_words};

static const ex_split_rule each_number = {.set = {.classes = EX_CLASS_N}, .at_most = 1};           /* \p{N} */
static const ex_split_rule numbers_by_three = {.set = {.classes = EX_CLASS_N}, .at_most = 3};      /* \p{N}{1,3} */
static const ex_split_rule numbers = {.set = {.classes = EX_CLASS_N}};                             /* \p{N}+ */
static const ex_split_rule three_digits = {.set = {RANGES(ascii_digits)}, .at_least = 3, .at_most = 3}; /* [0-9]{3} */
static const ex_split_rule each_newline = {.set = {RANGES(newlines)}, .at_most = 1};               /* [\r\n] */
static const ex_split_rule final_space = {.set = {.classes = EX_CLASS_SPACE}, .at_end = true};     /* \s+$ */

static const ex_split_rule line_feeds = {.set = {RANGES(line_feed)}};                              /* [^\n]+|[\n]+ */

/* \d{1,3}(?=(?:\d{3})*\b) */
static const ex_split_rule aya_digits = {EX_SPLIT_GROUPS, .set = {.classes = EX_CLASS_ND}, .at_boundary = true};
/* \p{Nd}{1,3}(?=(?:\p{Nd}{3})*(?!\p{Nd})) */
static const ex_split_rule afmoe_digits = {EX_SPLIT_GROUPS, .set = {.classes = EX_CLASS_ND}};
/* (?=(\d{3})+(?!\d)), which matches nothing but a place */
static const ex_split_rule thousands = {EX_SPLIT_GROUPS, .set = {.classes = EX_CLASS_ND}, .cuts = true};

/* <sentinel:[0-9]+>, (IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z, ([\t\n]|    |  ), [\p{P}!-/:-@\[-`{-~] */
static const ex_split_rule sentinel = {.prefix = "<sentinel:", .set = {RANGES(ascii_digits)}, .suffix = ">"};
static const ex_split_rule image = {.prefix = "IMGIMG", .set = {RANGES(a_to_i)}, .at_most = 4, .suffix = "Z"};
static const char *const indents[] = {"\t", "\n", "    ", "  ", NULL};
static const ex_split_rule indent = {EX_SPLIT_LITERALS, .literals = indents};
static const ex_split_rule each_mark = {.set = {.classes = EX_CLASS_P, RANGES(ascii_punctuation)}, .at_most = 1};

/* [\p{P}\$\+<=>\^~\|`]+ */
static const ex_split_rule falcon_punctuation = {.set = {.classes = EX_CLASS_P, RANGES(ascii_symbols)}};
/* [\p{P}\$\+<=>\^~\|]+ */
static const ex_split_rule default_punctuation = {.set = {.classes = EX_CLASS_P, RANGES(ascii_symbols_no_grave)}};
/* ' ?[^(\s|.,!?…。，、।۔،)]+' */
static const ex_split_rule poro_phrase = {
    .set = {.classes = EX_CLASS_SPACE, RANGES(phrase_ends), .except = true}, .lead = EX_LEAD_SPACE};

/* \s?[A-Za-zµÀ-Ö…]+, \s?[!-/:-~！-／：-～‘-‟　-。]+, [一-龥ࠀ-一가-퟿]+, \s?\p{L}+, \s?\p{P}+ */
static const ex_split_rule deepseek_word = {.set = {RANGES(deepseek_letters)}, .lead = EX_LEAD_WHITE_SPACE};
static const ex_split_rule deepseek_mark = {.set = {RANGES(deepseek_punctuation)}, .lead = EX_LEAD_WHITE_SPACE};
static const ex_split_rule deepseek_han = {.set = {RANGES(deepseek_cjk)}};
static const ex_split_rule coder_word = {.set = {.classes = EX_CLASS_L}, .lead = EX_LEAD_WHITE_SPACE};
static const ex_split_rule coder_mark = {.set = {.classes = EX_CLASS_P}, .lead = EX_LEAD_WHITE_SPACE};

/* One expression in the original, an alternation of sets that have nothing in common. */
static const ex_split_rule hangul_run = {.set = {RANGES(hangul)}};
static const ex_split_rule cjk_punctuation_run = {.set = {RANGES(cjk_punctuation)}};
static const ex_split_rule bopomofo_run = {.set = {RANGES(bopomofo)}};
static const ex_split_rule han_kana_run = {.set = {RANGES(han_kana)}};
/* [一-鿿㐀-䶿豈-﫿぀-ゟ゠-ヿ･-ﾟ⼀-⿟เ-๿຀-໿ក-៿က-႟ꩠ-ꩿꧠ-꧿가-힯ᄀ-ᇿ]+ */
static const ex_split_rule afmoe_run = {.set = {RANGES(afmoe_scripts)}};

/* ---- pre-tokenisers ---- */

static const ex_pretokeniser gpt2 = {{&split_gpt2}};
static const ex_pretokeniser starcoder = {{&each_number, &split_gpt2}};
static const ex_pretokeniser falcon = {{&falcon_punctuation, &split_gpt2, &three_digits}};
static const ex_pretokeniser fallback = {{&default_punctuation, &split_gpt2, &numbers, &three_digits}};
static const ex_pretokeniser llama3 = {{&split_llama3}};
static const ex_pretokeniser qwen2 = {{&split_qwen2}};
static const ex_pretokeniser qwen35 = {{&split_qwen35}};
static const ex_pretokeniser seed = {{&split_seed}};
static const ex_pretokeniser tekken = {{&split_tekken}};
static const ex_pretokeniser gpt4o = {{&split_gpt4o}};
static const ex_pretokeniser deepseek_llm = {
    {&each_newline, &deepseek_word, &deepseek_mark, &final_space, &deepseek_han, &numbers}};
static const ex_pretokeniser deepseek_coder = {{&each_newline, &coder_word, &coder_mark, &deepseek_han, &each_number}};
static const ex_pretokeniser deepseek3 = {{&numbers_by_three, &han_kana_run, &split_deepseek3}};
static const ex_pretokeniser youtu = {
    {&hangul_run, &cjk_punctuation_run, &bopomofo_run, &han_kana_run, &split_youtu}};
static const ex_pretokeniser jais2 = {{&split_jais2}};
static const ex_pretokeniser exaone_moe = {{&split_exaone_moe}};
static const ex_pretokeniser kimi = {{&split_kimi}};
static const ex_pretokeniser tiny_aya = {{&aya_digits, &split_gpt4o}};
static const ex_pretokeniser afmoe = {{&afmoe_digits, &afmoe_run, &split_deepseek3}};
static const ex_pretokeniser superbpe = {{&numbers, &thousands}};
static const ex_pretokeniser chameleon = {{&sentinel, &image, &indent, &each_number, &each_mark, &split_gpt2}};
static const ex_pretokeniser gemma4 = {{&line_feeds}};
static const ex_pretokeniser poro = {{&poro_phrase}};
static const ex_pretokeniser viking = {{&poro_phrase, &each_number}};

/* ---- names ---- */

enum { LLAMA3_FLAGS = EX_PRE_WHOLE_WORDS | EX_PRE_ADD_BEGINNING };

/* EX_PRE_NFC stands for the normaliser of three tokenizer classes of transformers: Qwen2's, GPTNeoX's and Cohere's.
 * That the models of the other rows with it (deepseek-r1-qwen, f2llmv2, qwen35; olmo, mpt, modern-bert; tiny_aya) kept
 * it follows from their having been made from these. A file can say otherwise: entropix.tokenizer.normalizer. */
static const ex_pretokeniser_name names[] = {
    {"default", &fallback, 0},
    /* llama3 */
    {"llama-bpe", &llama3, LLAMA3_FLAGS}, {"llama3", &llama3, LLAMA3_FLAGS}, {"llama-v3", &llama3, LLAMA3_FLAGS},
    {"laguna", &llama3, LLAMA3_FLAGS}, {"falcon3", &llama3, LLAMA3_FLAGS}, {"falcon-h1", &llama3, LLAMA3_FLAGS},
    {"pixtral", &llama3, LLAMA3_FLAGS}, {"midm-2.0", &llama3, LLAMA3_FLAGS}, {"lfm2", &llama3, LLAMA3_FLAGS},
    {"jina-v5-nano", &llama3, LLAMA3_FLAGS}, {"dbrx", &llama3, 0}, {"smaug-bpe", &llama3, 0}, {"glm4", &llama3, 0},
    {"chatglm-bpe", &llama3, 0}, {"jais-2", &jais2, 0},
    /* qwen2 */
    {"qwen2", &qwen2, EX_PRE_NFC}, {"deepseek-r1-qwen", &qwen2, EX_PRE_NFC}, {"f2llmv2", &qwen2, EX_PRE_NFC},
    {"stablelm2", &qwen2, 0}, {"kormo", &qwen2, 0}, {"openpangu", &qwen2, 0}, {"megrez", &qwen2, 0},
    {"hunyuan", &qwen2, 0}, {"solar-open", &qwen2, 0}, {"grok-2", &qwen2, 0}, {"bailingmoe", &qwen2, 0},
    {"bailingmoe2", &qwen2, 0}, {"llada-moe", &qwen2, 0}, {"qwen35", &qwen35, EX_PRE_NFC}, {"seed-coder", &seed, 0},
    {"exaone-moe", &exaone_moe, 0},
    /* gpt-2 */
    {"gpt-2", &gpt2, 0}, {"phi-2", &gpt2, 0}, {"jina-es", &gpt2, 0}, {"jina-de", &gpt2, 0}, {"jina-v1-en", &gpt2, 0},
    {"jina-v2-es", &gpt2, 0}, {"jina-v2-de", &gpt2, 0}, {"jina-v2-code", &gpt2, 0}, {"roberta-bpe", &gpt2, 0},
    {"gigachat", &gpt2, 0}, {"a.x-4.0", &gpt2, 0}, {"mellum", &gpt2, 0}, {"modern-bert", &gpt2, EX_PRE_NFC},
    {"exaone4", &gpt2, 0}, {"mpt", &gpt2, EX_PRE_NFC}, {"olmo", &gpt2, EX_PRE_NFC}, {"jais", &gpt2, 0},
    {"trillion", &gpt2, 0}, {"granite-docling", &gpt2, 0},
    /* digits one by one, then gpt-2 */
    {"starcoder", &starcoder, 0}, {"refact", &starcoder, 0}, {"command-r", &starcoder, EX_PRE_NFC},
    {"cohere2_moe", &starcoder, EX_PRE_NFC}, {"smollm", &starcoder, 0}, {"codeshell", &starcoder, 0},
    {"exaone", &starcoder, 0}, {"minerva-7b", &starcoder, 0}, {"mellum2", &starcoder, 0},
    /* words by case */
    {"tekken", &tekken, LLAMA3_FLAGS}, {"gpt-4o", &gpt4o, 0}, {"llama4", &gpt4o, 0}, {"kanana2", &gpt4o, 0},
    {"minimax-m2", &gpt4o, 0}, {"youtu", &youtu, EX_PRE_WHOLE_WORDS}, {"kimi-k2", &kimi, 0},
    {"tiny_aya", &tiny_aya, EX_PRE_NFC},
    /* others */
    {"falcon", &falcon, 0}, {"deepseek-llm", &deepseek_llm, 0}, {"deepseek-coder", &deepseek_coder, 0},
    {"deepseek-v3", &deepseek3, 0}, {"hunyuan-dense", &deepseek3, 0}, {"joyai-llm", &deepseek3, 0},
    {"poro-chat", &poro, 0}, {"bloom", &poro, 0}, {"gpt3-finnish", &poro, 0}, {"viking", &viking, 0},
    {"afmoe", &afmoe, 0}, {"superbpe", &superbpe, 0}, {"chameleon", &chameleon, EX_PRE_ADD_BEGINNING},
    {"gemma4", &gemma4, EX_PRE_ADD_BEGINNING | EX_PRE_WHOLE_NEWLINES},
};

const ex_pretokeniser_name *ex_pretokeniser_find(ex_string name) {
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (ex_string_is(name, names[i].name)) return &names[i];
    return NULL;
}
