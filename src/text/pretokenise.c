/* pretokenise.c - the scanners behind pretokenise.h. Linear in the text: a character is looked at again only when the
 * match that it was read for ended before it, and then belongs to the next one. What a rule must know of a run that
 * becomes many pieces is measured once and remembered. */
#include "text/pretokenise.h"

#include "base/utf8.h"

#include <string.h>

typedef struct character {
    uint32_t codepoint, class;
    const char *end; /* where the next one begins */
} character;

typedef struct match {
    const char *end;
    bool found; /* if not, nothing matches from here up to `end` */
    bool cut;   /* … but a piece begins here */
} match;

typedef struct memory { /* of one rule on one piece */
    const char *end; /* of the run that was measured last; NULL: none yet */
    size_t n_left;   /* groups: its characters from where the scan is */
    bool never;      /* groups: nothing of it matches */
} memory;

static bool read_character(const char *at, const char *last, character *out) {
    size_t n = ex_utf8_decode(at, (size_t)(last - at), &out->codepoint);
    if (n == 0) return false; /* the end: the text is valid */
    out->class = ex_unicode_class_of(out->codepoint);
    out->end = at + n;
    return true;
}

static bool in_ranges(const ex_character_set *set, uint32_t codepoint) {
    size_t low = 0, high = set->n_ranges;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (set->ranges[middle].last < codepoint) low = middle + 1;
        else high = middle;
    }
    return low < set->n_ranges && set->ranges[low].first <= codepoint;
}

static bool in_set(const ex_character_set *set, const character *c) {
    bool in = (set->classes & c->class) || in_ranges(set, c->codepoint);
    return in != set->except;
}

/* End of the run of `set` that begins at `at`; `limit` 0: none. */
static const char *run_end(const ex_character_set *set, const char *at, const char *last, size_t limit) {
    character c;
    for (size_t n = 0; (limit == 0 || n < limit) && read_character(at, last, &c) && in_set(set, &c); n++) at = c.end;
    return at;
}

/* ---- runs ---- */

static bool is_lead(ex_lead lead, const character *c) {
    return lead == EX_LEAD_SPACE ? c->codepoint == ' ' : lead == EX_LEAD_WHITE_SPACE && c->class == EX_CLASS_SPACE;
}

static size_t count_characters(const char *at, const char *end) {
    size_t n = 0;
    for (; at < end; at++) n += (*at & 0xC0) != 0x80;
    return n;
}

static const char *skip_literal(const char *literal, const char *at, const char *last) {
    size_t length = literal ? strlen(literal) : 0;
    if ((size_t)(last - at) < length || memcmp(at, literal ? literal : "", length) != 0) return NULL;
    return at + length;
}

/* The run with its prefix and suffix. Neither has characters of the set, so there is nothing to give back. */
static match match_framed(const ex_split_rule *rule, const char *at, const char *last) {
    const char *first = skip_literal(rule->prefix, at, last);
    if (!first) return (match){.end = at + 1};
    const char *end = run_end(&rule->set, first, last, rule->at_most);
    const char *after = end > first ? skip_literal(rule->suffix, end, last) : NULL;
    return after ? (match){.end = after, .found = true} : (match){.end = first};
}

static match match_run(const ex_split_rule *rule, const char *at, const char *last, memory *known) {
    (void)known;
    character c;
    read_character(at, last, &c);
    if (rule->prefix) return c.codepoint == (unsigned char)*rule->prefix ? match_framed(rule, at, last)
                                                                        : (match){.end = c.end};
    const char *first = at;
    if (!in_set(&rule->set, &c)) {
        first = c.end;
        if (!is_lead(rule->lead, &c) || run_end(&rule->set, first, last, 1) == first) return (match){.end = c.end};
    }
    const char *end = run_end(&rule->set, first, last, rule->at_most);
    if (rule->at_least > 1 && count_characters(first, end) < rule->at_least) return (match){.end = end};
    return (match){.end = end, .found = !rule->at_end || end == last};
}

/* ---- literals ---- */

static match match_literals(const ex_split_rule *rule, const char *at, const char *last, memory *known) {
    (void)known;
    for (const char *const *literal = rule->literals; *literal; literal++) {
        const char *end = skip_literal(*literal, at, last);
        if (end) return (match){.end = end, .found = true};
    }
    character c;
    read_character(at, last, &c);
    return (match){.end = c.end};
}

/* ---- groups of three ---- */

/* \w as Oniguruma has it: alphabetic characters, marks, decimal digits, connecting punctuation. */
static bool is_word_character(const character *c) {
    static const ex_range connectors[] = {
        {'_', '_'}, {0x203F, 0x2040}, {0x2054, 0x2054}, {0xFE33, 0xFE34}, {0xFE4D, 0xFE4F}, {0xFF3F, 0xFF3F}};
    const ex_character_set set = {.classes = EX_CLASS_L | EX_CLASS_M | EX_CLASS_ND | EX_CLASS_NL,
                                  .ranges = connectors, .n_ranges = sizeof connectors / sizeof *connectors};
    return in_set(&set, c);
}

static void measure_groups(const ex_split_rule *rule, const char *at, const char *last, memory *known) {
    known->end = run_end(&rule->set, at, last, 0);
    known->n_left = count_characters(at, known->end);
    character c;
    known->never = rule->at_boundary && read_character(known->end, last, &c) && is_word_character(&c);
}

static match match_groups(const ex_split_rule *rule, const char *at, const char *last, memory *known) {
    character c;
    read_character(at, last, &c);
    if (!known->end || at >= known->end) {
        if (!in_set(&rule->set, &c)) return (match){.end = c.end};
        measure_groups(rule, at, last, known);
    }
    if (known->never) return (match){.end = known->end};
    size_t first = known->n_left % 3, n = first ? first : 3;
    known->n_left -= n;
    return (match){run_end(&rule->set, at, last, n), .found = !rule->cuts, .cut = rule->cuts && first == 0};
}

/* ---- words ---- */

/* U+017F, the long s, is an s to a regular expression that ignores case. */
static uint32_t fold(uint32_t codepoint) {
    if (codepoint == 0x17F) return 's';
    return codepoint >= 'A' && codepoint <= 'Z' ? codepoint + 32 : codepoint;
}

/* End of the contraction at `at`, or `at` when there is none. */
static const char *contraction_end(const char *at, const char *last, bool any_case) {
    character mark, first, second;
    if (!read_character(at, last, &mark) || mark.codepoint != '\'') return at;
    if (!read_character(mark.end, last, &first)) return at;
    uint32_t a = any_case ? fold(first.codepoint) : first.codepoint;
    if (a == 's' || a == 't' || a == 'm' || a == 'd') return first.end;
    if (!read_character(first.end, last, &second)) return at;
    uint32_t b = any_case ? fold(second.codepoint) : second.codepoint;
    return ((a == 'r' || a == 'v') && b == 'e') || (a == 'l' && b == 'l') ? second.end : at;
}

static bool is_ascii_letter(uint32_t c) { return (c | 32) >= 'a' && (c | 32) <= 'z'; }

static const char *punctuated_word_end(const char *at, const char *last, const character *c) {
    if (c->codepoint >= 0x7F || !(c->class & (EX_CLASS_P | EX_CLASS_S))) return at;
    const char *end = c->end;
    while (end < last && is_ascii_letter((unsigned char)*end)) end++;
    return end > c->end ? end : at;
}

enum {
    CASE_BOTH = EX_CLASS_LM | EX_CLASS_LO | EX_CLASS_M,
    CASE_UPPER = EX_CLASS_LU | EX_CLASS_LT | CASE_BOTH,
    CASE_LOWER = EX_CLASS_LL | CASE_BOTH
};

/* The expression is upper* lower+ | upper+ lower*, where characters of CASE_BOTH are upper and lower. The upper run
 * gives back what lower+ needs: when no lower case letter follows it, its last character of CASE_BOTH. */
typedef struct cased_word {
    const char *upper_end;  /* of the first run */
    const char *after_both; /* behind its last character of CASE_BOTH, or NULL */
    const char *end;        /* of the lower run that follows; equal to upper_end when there is none */
} cased_word;

static bool read_cased(const ex_word_rule *rule, const char *at, const char *last, uint32_t classes, character *c) {
    return read_character(at, last, c) && (c->class & classes) && !in_set(&rule->apart, c);
}

static cased_word read_cased_word(const ex_word_rule *rule, const char *at, const char *last) {
    cased_word word = {at, NULL, at};
    character c;
    while (read_cased(rule, word.upper_end, last, CASE_UPPER, &c)) {
        word.upper_end = c.end;
        if (c.class & CASE_BOTH) word.after_both = c.end;
    }
    for (word.end = word.upper_end; read_cased(rule, word.end, last, CASE_LOWER, &c);) word.end = c.end;
    return word;
}

static const char *lower_ending(const cased_word *word) {
    return word->end > word->upper_end ? word->end : word->after_both;
}

static const char *cased_word_end(const ex_word_rule *rule, const char *at, const char *last, const character *c) {
    bool before = in_set(&rule->before, c);
    const char *first = before ? c->end : at;
    cased_word word = read_cased_word(rule, first, last);
    const char *end = lower_ending(&word);
    if (end) return end;
    if (before && c->class == EX_CLASS_M) return c->end; /* not what precedes a word, but one by itself */
    return word.upper_end > first ? word.upper_end : at;
}

/* \p{L}\p{M}* over and over, with a space or none in between */
static const char *phrase_end(const char *at, const char *last) {
    const ex_character_set marks = {.classes = EX_CLASS_M};
    const char *end = at;
    character c;
    while (read_character(end > at && end < last && *end == ' ' ? end + 1 : end, last, &c) && (c.class & EX_CLASS_L))
        end = run_end(&marks, c.end, last, 0);
    return end;
}

static const char *letters_end(const ex_word_rule *rule, const char *at, const char *last) {
    return rule->phrase ? phrase_end(at, last) : run_end(&rule->letters, at, last, 0);
}

static const char *plain_word_end(const ex_word_rule *rule, const char *at, const char *last, const character *c) {
    const char *end = letters_end(rule, at, last);
    if (end > at || !in_set(&rule->before, c)) return end;
    end = letters_end(rule, c->end, last);
    return end > c->end ? end : at;
}

static const char *word_end(const ex_word_rule *rule, const char *at, const char *last, const character *c) {
    const char *end = rule->cased ? cased_word_end(rule, at, last, c) : plain_word_end(rule, at, last, c);
    if (end == at || rule->contraction != EX_CONTRACTION_SUFFIX) return end;
    return contraction_end(end, last, true);
}

static const char *number_end(const ex_word_rule *rule, const char *at, const char *last, const character *c) {
    const ex_character_set numbers = {.classes = EX_CLASS_N};
    if (rule->number_length == 0) return at;
    bool space = rule->number_space && c->codepoint == ' ';
    const char *first = space ? c->end : at;
    const char *end = run_end(&numbers, first, last, rule->number_length);
    return end > first ? end : at;
}

static const char *symbols_end(const ex_word_rule *rule, const char *at, const char *last, const character *c) {
    const char *first = c->codepoint == ' ' ? c->end : at;
    const char *end = run_end(&rule->symbols, first, last, 0);
    if (end == first) return at;
    for (const char *limit = rule->one_in_tail && end < last ? end + 1 : last; end < limit; end++)
        if (!*end || !strchr(rule->symbol_tail, *end)) break;
    return end;
}

/* The longest of 512, 256 … 1 characters that [at, end) has; the last one is left to what follows it. */
static const char *doubling_end(const char *at, const char *end, const char *last) {
    enum { LONGEST = 512 };
    const char *after[LONGEST + 1]; /* so many characters */
    size_t n = 0, length = 1;
    after[0] = at;
    for (character c; n < LONGEST && after[n] < end && read_character(after[n], last, &c); n++) after[n + 1] = c.end;
    if (after[n] == end && end < last) n--;
    while (2 * length <= n) length *= 2;
    return after[length];
}

/* A run of white space leaves its last character to what follows it, unless that is all there is. */
static const char *white_space_end(const ex_word_rule *rule, const char *at, const char *last, memory *known) {
    if (known->end && at < known->end) return doubling_end(at, known->end, last);
    const char *end = at, *final = at, *after_newline = NULL;
    character c;
    while (read_character(end, last, &c) && c.class == EX_CLASS_SPACE) {
        final = end;
        end = c.end;
        if (c.codepoint == '\r' || c.codepoint == '\n') after_newline = end;
    }
    if (rule->newlines && after_newline) return after_newline;
    if (rule->doubling && end > at) {
        known->end = end;
        return doubling_end(at, end, last);
    }
    return end == last || final == at ? end : final;
}

static match match_words(const ex_split_rule *split_rule, const char *at, const char *last, memory *known) {
    const ex_word_rule *rule = split_rule->words;
    character c;
    read_character(at, last, &c);
    const char *end = run_end(&rule->apart, at, last, 0);
    if (end == at && (rule->contraction == EX_CONTRACTION_LOWER || rule->contraction == EX_CONTRACTION_ANY_CASE))
        end = contraction_end(at, last, rule->contraction == EX_CONTRACTION_ANY_CASE);
    if (end == at && rule->punctuated_word) end = punctuated_word_end(at, last, &c);
    if (end == at) end = word_end(rule, at, last, &c);
    if (end == at) end = number_end(rule, at, last, &c);
    if (end == at) end = symbols_end(rule, at, last, &c);
    if (end == at) end = white_space_end(rule, at, last, known);
    return end == at ? (match){.end = c.end} : (match){.end = end, .found = true};
}

/* ---- pieces ---- */

typedef struct scan {
    const ex_pretokeniser *pretokeniser;
    ex_word_sink sink;
    void *context;
    ex_error *error;
} scan;

typedef match (*matcher)(const ex_split_rule *rule, const char *at, const char *last, memory *known);

static const matcher matchers[] = {
    [EX_SPLIT_RUN] = match_run,
    [EX_SPLIT_WORDS] = match_words,
    [EX_SPLIT_LITERALS] = match_literals,
    [EX_SPLIT_GROUPS] = match_groups,
};

/* Calls itself once for each further rule: at most EX_MAX_SPLIT_RULES deep. */
static ex_code split(const scan *s, size_t depth, const char *at, const char *last) {
    if (at == last) return EX_OK;
    const ex_split_rule *rule = depth < EX_MAX_SPLIT_RULES ? s->pretokeniser->rules[depth] : NULL;
    if (!rule) return s->sink(s->context, at, (size_t)(last - at), s->error);
    const char *gap = at;
    memory known = {0};
    while (at < last) {
        match m = matchers[rule->kind](rule, at, last, &known);
        ex_code code = m.found || m.cut ? split(s, depth + 1, gap, at) : EX_OK;
        if (code == EX_OK && m.found) code = split(s, depth + 1, at, m.end);
        if (code != EX_OK) return code;
        if (m.found || m.cut) gap = m.found ? m.end : at;
        at = m.end;
    }
    return split(s, depth + 1, gap, last);
}

ex_code ex_pretokenise(const ex_pretokeniser *pretokeniser, const char *text, size_t length, ex_word_sink sink,
                       void *context, ex_error *error) {
    scan s = {pretokeniser, sink, context, error};
    return split(&s, 0, text, text + length);
}
