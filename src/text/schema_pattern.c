/* schema_pattern.c - the keyword `pattern`: the part of regular expressions that an automaton reads byte by byte.
 * Literals, classes, groups, alternatives, quantifiers, and anchors at the ends. An expression is parsed into a tree,
 * and the tree is built from its end. A character that JSON escapes is written in its short escape; control characters
 * that have none never come. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "text/schema.h"

enum { NO_TERM = UINT32_MAX, GROUPS_MAX = 32, PATTERN_MAX = 4096, PIECES_MAX = 160, LARGEST_CODE = 0x10FFFF };

typedef enum term_kind { TERM_SET, TERM_SEQUENCE, TERM_CHOICE, TERM_REPEAT } term_kind;

typedef struct range {
    uint32_t first, last;
} range;

typedef struct term {
    term_kind kind;
    uint32_t last_child, before; /* its newest child; the sibling before it */
    uint32_t min, max;           /* REPEAT */
    size_t first_range, n_ranges; /* SET */
    bool may_be_empty;
    bool from_start, to_end;      /* SEQUENCE at the top: anchored */
} term;

typedef struct parser {
    ex_schema *schema;
    const ex_json *where;
    const char *text;
    size_t length, at;
    term *terms;   /* [capacity]: a byte makes two at most */
    range *ranges;
    size_t n_terms, n_ranges, capacity, ranges_capacity;
    size_t depth;
} parser;

static uint32_t fail(const parser *p, const char *what) {
    ex_schema_fail(p->schema, p->where, "pattern", EX_ERROR_UNSUPPORTED,
                   "character %zu: %s; there are literals, classes, groups, |, quantifiers, ^ at the beginning and $ "
                   "at the end",
                   p->at, what);
    return NO_TERM;
}

static bool is_ok(const parser *p) { return p->schema->builder.code == EX_OK; }
static char peek(const parser *p) { return p->at < p->length ? p->text[p->at] : 0; }
static bool is_end(const parser *p) { return p->at >= p->length; }

static bool skip(parser *p, char c) {
    if (is_end(p) || p->text[p->at] != c) return false;
    p->at++;
    return true;
}

static uint32_t new_term(parser *p, term made) {
    if (p->n_terms == p->capacity) return fail(p, "too much");
    made.before = NO_TERM;
    if (made.kind != TERM_REPEAT) made.last_child = NO_TERM;
    p->terms[p->n_terms] = made;
    return (uint32_t)p->n_terms++;
}

static void append(parser *p, uint32_t parent, uint32_t child) {
    if (child == NO_TERM) return;
    p->terms[child].before = p->terms[parent].last_child;
    p->terms[parent].last_child = child;
}

/* ---- sets of characters ------------------------------------------------------------------------------------------ */

static const range digits[] = {{'0', '9'}};
static const range words[] = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
static const range spaces[] = {{'\t', '\r'},     {' ', ' '},       {0xA0, 0xA0},     {0x1680, 0x1680},
                               {0x2000, 0x200A}, {0x2028, 0x2029}, {0x202F, 0x202F}, {0x205F, 0x205F},
                               {0x3000, 0x3000}, {0xFEFF, 0xFEFF}};
static const range line_ends[] = {{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}};

static void add_range(parser *p, uint32_t first, uint32_t last) {
    if (p->n_ranges == p->ranges_capacity) fail(p, "too many ranges");
    else p->ranges[p->n_ranges++] = (range){first, last};
}

static int by_first(const void *a, const void *b) {
    const uint32_t x = ((const range *)a)->first, y = ((const range *)b)->first;
    return (x > y) - (x < y);
}

/* The ranges from `first` on, in order and apart. */
static void tidy(parser *p, size_t first) {
    size_t kept = first;
    qsort(p->ranges + first, p->n_ranges - first, sizeof *p->ranges, by_first);
    for (size_t i = first; i < p->n_ranges; i++) {
        const range next = p->ranges[i];
        if (kept > first && next.first <= p->ranges[kept - 1].last + 1) {
            if (next.last > p->ranges[kept - 1].last) p->ranges[kept - 1].last = next.last;
        } else {
            p->ranges[kept++] = next;
        }
    }
    p->n_ranges = kept;
}

static void invert(parser *p, size_t first) {
    tidy(p, first);
    const size_t count = p->n_ranges - first;
    uint32_t from = 1;
    for (size_t i = 0; i < count; i++) {
        const range taken = p->ranges[first + i];
        const bool is_gap = taken.first > from;
        const range gap = {from, taken.first - 1};
        from = taken.last + 1;
        p->ranges[first + i] = is_gap ? gap : (range){1, 0};
    }
    if (from <= LARGEST_CODE) add_range(p, from, LARGEST_CODE);
    size_t kept = first;
    for (size_t i = first; i < p->n_ranges; i++)
        if (p->ranges[i].first <= p->ranges[i].last) p->ranges[kept++] = p->ranges[i];
    p->n_ranges = kept;
}

static void add_class(parser *p, const range *ranges, size_t count, bool inverted) {
    const size_t first = p->n_ranges;
    for (size_t i = 0; i < count; i++) add_range(p, ranges[i].first, ranges[i].last);
    if (inverted) invert(p, first);
}

/* \d \w \s and their opposites. */
static bool read_class_escape(parser *p) {
    static const struct {
        char letter;
        const range *ranges;
        size_t count;
    } classes[] = {{'d', digits, 1}, {'w', words, 4}, {'s', spaces, sizeof spaces / sizeof *spaces}};
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        const char letter = peek(p);
        if (letter != classes[i].letter && letter != classes[i].letter - 'a' + 'A') continue;
        add_class(p, classes[i].ranges, classes[i].count, letter != classes[i].letter);
        p->at++;
        return true;
    }
    return false;
}

static bool read_hex(parser *p, size_t n, uint32_t *code) {
    static const char hex[] = "0123456789abcdef0123456789ABCDEF";
    *code = 0;
    for (size_t i = 0; i < n; i++) {
        const char *found = peek(p) ? strchr(hex, peek(p)) : NULL;
        if (!found) return false;
        *code = *code << 4 | (uint32_t)((found - hex) & 15);
        p->at++;
    }
    return true;
}

/* Behind the backslash: one character. */
static uint32_t read_escape(parser *p) {
    static const char letters[] = "nrtfv0", values[] = "\n\r\t\f\v";
    uint32_t code = 0;
    const char c = peek(p);
    const size_t n_digits = c == 'x' ? 2 : c == 'u' ? 4 : 0;
    if (n_digits > 0) {
        p->at++;
        if (!read_hex(p, n_digits, &code)) fail(p, "\\x and \\u need two and four hexadecimal digits");
        return code;
    }
    const char *found = c && c != '0' ? strchr(letters, c) : NULL;
    if (found) {
        p->at++;
        return (uint32_t)values[found - letters];
    }
    const bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == 0;
    if (is_letter) {
        fail(p, "this escape is not supported");
        return 0;
    }
    p->at++;
    return (uint32_t)(unsigned char)c;
}

static uint32_t read_character(parser *p) {
    uint32_t code = 0;
    if (skip(p, '\\')) return read_escape(p);
    const size_t n = ex_utf8_decode(p->text + p->at, p->length - p->at, &code);
    p->at += n ? n : 1;
    return code;
}

/* Behind the opening bracket. */
static void read_bracket(parser *p) {
    const size_t first = p->n_ranges;
    const bool inverted = skip(p, '^');
    while (is_ok(p) && !skip(p, ']')) {
        if (is_end(p)) {
            fail(p, "a class without its end");
            return;
        }
        if (peek(p) == '\\' && p->at + 1 < p->length) {
            p->at++;
            if (read_class_escape(p)) continue;
            if (peek(p) == 'b') {
                fail(p, "this escape is not supported");
                return;
            }
            p->at--;
        }
        const uint32_t low = read_character(p);
        uint32_t high = low;
        if (peek(p) == '-' && p->at + 1 < p->length && p->text[p->at + 1] != ']') {
            p->at++;
            const size_t before = p->at;
            if (skip(p, '\\') && strchr("dwsDWS", peek(p))) fail(p, "a range that ends with a class");
            p->at = before;
            high = read_character(p);
        }
        if (high < low) fail(p, "a range that ends before it begins");
        add_range(p, low, high);
    }
    if (inverted) invert(p, first);
    else tidy(p, first);
}

static uint32_t read_set(parser *p) {
    const size_t first = p->n_ranges;
    if (skip(p, '.')) {
        add_class(p, line_ends, sizeof line_ends / sizeof *line_ends, true);
    } else if (skip(p, '[')) {
        read_bracket(p);
    } else {
        const bool is_escape = peek(p) == '\\' && p->at + 1 < p->length;
        p->at += is_escape;
        if (!is_escape || !read_class_escape(p)) {
            p->at -= is_escape;
            const uint32_t code = read_character(p);
            add_range(p, code, code);
        }
    }
    return new_term(p, (term){.kind = TERM_SET, .first_range = first, .n_ranges = p->n_ranges - first});
}

/* ---- the tree ---------------------------------------------------------------------------------------------------- */

static uint32_t read_choice(parser *p);

/* Behind the opening parenthesis. */
static uint32_t read_group(parser *p) {
    if (skip(p, '?')) {
        const bool is_name = peek(p) == '<' && p->at + 1 < p->length && !strchr("=!", p->text[p->at + 1]);
        while (is_name && !is_end(p) && peek(p) != '>') p->at++;
        if (!skip(p, is_name ? '>' : ':')) return fail(p, "this kind of group is not supported");
    }
    if (++p->depth > GROUPS_MAX) return fail(p, "groups are nested too deep");
    const uint32_t choice = read_choice(p);
    p->depth--;
    if (is_ok(p) && !skip(p, ')')) return fail(p, "a group without its end");
    return choice;
}

static bool read_number(parser *p, uint32_t *out) {
    const size_t first = p->at;
    uint64_t value = 0;
    for (; peek(p) >= '0' && peek(p) <= '9'; p->at++)
        if (value < EX_UNLIMITED) value = value * 10 + (uint64_t)(peek(p) - '0');
    *out = value < EX_UNLIMITED ? (uint32_t)value : EX_UNLIMITED;
    return p->at > first;
}

/* False where none follows; a brace that is no quantifier stands for itself. */
static bool read_quantifier(parser *p, uint32_t *min, uint32_t *max) {
    const size_t before = p->at;
    *min = 0;
    *max = EX_UNLIMITED;
    if (skip(p, '*')) return true;
    if (skip(p, '+')) return *min = 1, true;
    if (skip(p, '?')) return *max = 1, true;
    if (!skip(p, '{') || !read_number(p, min)) {
        p->at = before;
        return false;
    }
    if (!skip(p, ',')) *max = *min;
    else if (!read_number(p, max)) *max = EX_UNLIMITED;
    if (skip(p, '}')) return true;
    p->at = before;
    return false;
}

static uint32_t read_repeated(parser *p) {
    const uint32_t child = skip(p, '(') ? read_group(p) : read_set(p);
    uint32_t min, max;
    if (!is_ok(p) || !read_quantifier(p, &min, &max)) return child;
    skip(p, '?'); /* which text is found first makes no difference here */
    if (peek(p) == '+' || peek(p) == '*') return fail(p, "this quantifier is not supported");
    if (max < min || min == EX_UNLIMITED) return fail(p, "a quantifier that ends before it begins, or is too large");
    if (p->terms[child].may_be_empty && max > 1) return fail(p, "what is repeated can be empty");
    const bool may_be_empty = min == 0 || p->terms[child].may_be_empty;
    return new_term(p, (term){.kind = TERM_REPEAT, .last_child = child, .min = min, .max = max,
                              .may_be_empty = may_be_empty});
}

static uint32_t read_sequence(parser *p) {
    const uint32_t sequence = new_term(p, (term){.kind = TERM_SEQUENCE, .may_be_empty = true});
    if (p->depth == 0 && is_ok(p)) p->terms[sequence].from_start = skip(p, '^');
    while (is_ok(p) && !is_end(p) && peek(p) != '|' && peek(p) != ')') {
        const bool is_last = p->at + 1 == p->length || p->text[p->at + 1] == '|';
        if (peek(p) == '$' && p->depth == 0 && is_last) {
            p->at++;
            p->terms[sequence].to_end = true;
            break;
        }
        if (peek(p) == '$' || peek(p) == '^') return fail(p, "an anchor in the middle");
        if (strchr("*+?", peek(p))) return fail(p, "nothing to repeat");
        const uint32_t child = read_repeated(p);
        if (!is_ok(p)) return NO_TERM;
        if (!p->terms[child].may_be_empty) p->terms[sequence].may_be_empty = false;
        append(p, sequence, child);
    }
    return sequence;
}

static uint32_t read_choice(parser *p) {
    const uint32_t choice = new_term(p, (term){.kind = TERM_CHOICE});
    do {
        const uint32_t sequence = read_sequence(p);
        if (!is_ok(p)) return NO_TERM;
        if (p->terms[sequence].may_be_empty) p->terms[choice].may_be_empty = true;
        append(p, choice, sequence);
    } while (skip(p, '|'));
    return choice;
}

/* ---- characters as bytes ----------------------------------------------------------------------------------------- */

typedef struct pieces { /* first bytes, each with the node behind it */
    ex_grammar_edge edges[PIECES_MAX];
    size_t count;
} pieces;

static void add_piece(parser *p, pieces *list, uint8_t low, uint8_t high, uint32_t target) {
    if (list->count == PIECES_MAX) fail(p, "too many ranges in a class");
    else list->edges[list->count++] = (ex_grammar_edge){low, high, target};
}

/* Bytes of two characters that differ in a way that every byte between them may come. */
static void add_sequence(parser *p, pieces *list, uint32_t first, uint32_t last, uint32_t next) {
    char low[4], high[4];
    const size_t n = ex_utf8_encode(first, low);
    ex_utf8_encode(last, high);
    for (size_t i = n; i-- > 1;) next = ex_build_range(&p->schema->builder, (uint8_t)low[i], (uint8_t)high[i], next);
    add_piece(p, list, (uint8_t)low[0], (uint8_t)high[0], next);
}

static void add_codes(parser *p, pieces *list, uint32_t first, uint32_t last, uint32_t next) {
    static const uint32_t bounds[] = {0x7FF, 0xD7FF, 0xDFFF, 0xFFFF, LARGEST_CODE}; /* surrogates by themselves */
    for (size_t i = 0; i < sizeof bounds / sizeof *bounds && first <= last && is_ok(p); i++) {
        if (first > bounds[i]) continue;
        uint32_t end = last < bounds[i] ? last : bounds[i];
        while (first <= end && i != 2 && is_ok(p)) {
            uint32_t until = end;
            for (int bits = 6; bits <= 18; bits += 6) {
                const uint32_t mask = (1u << bits) - 1;
                if ((first & ~mask) == (until & ~mask)) break;
                if (first & mask) until = first | mask;
                else if ((until & mask) != mask) until = (until & ~mask) - 1;
            }
            add_sequence(p, list, first, until, next);
            first = until + 1;
        }
        if (i == 2) first = end + 1;
    }
}

static bool contains(const parser *p, const term *set, uint32_t code) {
    for (size_t i = 0; i < set->n_ranges; i++) {
        const range *r = &p->ranges[set->first_range + i];
        if (r->first <= code && code <= r->last) return true;
    }
    return false;
}

static void add_ascii(parser *p, pieces *list, const term *set, uint32_t next) {
    static const struct {
        uint8_t letter;
        uint32_t code;
    } escapes[] = {{'"', '"'}, {'\\', '\\'}, {'b', '\b'}, {'f', '\f'}, {'n', '\n'}, {'r', '\r'}, {'t', '\t'}};
    ex_grammar_edge edges[sizeof escapes / sizeof *escapes];
    size_t count = 0;
    for (size_t i = 0; i < sizeof escapes / sizeof *escapes; i++)
        if (contains(p, set, escapes[i].code))
            edges[count++] = (ex_grammar_edge){escapes[i].letter, escapes[i].letter, next};
    if (count > 0) add_piece(p, list, '\\', '\\', ex_build_bytes(&p->schema->builder, edges, count));
    for (uint32_t code = ' '; code < 0x80; code++) {
        const uint32_t first = code;
        while (code < 0x80 && code != '"' && code != '\\' && contains(p, set, code)) code++;
        if (code > first) add_piece(p, list, (uint8_t)first, (uint8_t)(code - 1), next);
    }
}

static int by_low(const void *a, const void *b) {
    return (int)((const ex_grammar_edge *)a)->low - (int)((const ex_grammar_edge *)b)->low;
}

/* Nodes of bytes know a byte once: what overlaps goes to the next of them. */
static uint32_t build_pieces(parser *p, pieces *list) {
    enum { NODES = 16 };
    ex_builder *builder = &p->schema->builder;
    uint32_t nodes[NODES];
    size_t n_nodes = 0;
    qsort(list->edges, list->count, sizeof *list->edges, by_low);
    while (list->count > 0 && n_nodes < NODES) {
        ex_grammar_edge edges[PIECES_MAX];
        size_t taken = 0, left = 0;
        for (size_t i = 0; i < list->count; i++) {
            if (taken == 0 || edges[taken - 1].high < list->edges[i].low) edges[taken++] = list->edges[i];
            else list->edges[left++] = list->edges[i];
        }
        list->count = left;
        nodes[n_nodes++] = ex_build_bytes(builder, edges, taken);
    }
    if (list->count > 0) fail(p, "a class whose ranges lie too close to each other");
    return ex_build_fork(builder, nodes, n_nodes);
}

static uint32_t build_set(parser *p, const term *set, uint32_t next) {
    pieces list = {.count = 0};
    if (next == EX_NODE_DEAD) return EX_NODE_DEAD;
    add_ascii(p, &list, set, next);
    for (size_t i = 0; i < set->n_ranges && is_ok(p); i++) {
        const range *r = &p->ranges[set->first_range + i];
        if (r->first <= 0x80 && r->last == LARGEST_CODE && list.count + 8 <= PIECES_MAX)
            list.count += ex_schema_utf8_edges(&p->schema->builder, next, list.edges + list.count);
        else if (r->last >= 0x80)
            add_codes(p, &list, r->first < 0x80 ? 0x80 : r->first, r->last, next);
    }
    return build_pieces(p, &list);
}

/* ---- the tree as nodes ------------------------------------------------------------------------------------------- */

static uint32_t build(parser *p, uint32_t index, uint32_t next);

static uint32_t build_repeat(parser *p, const term *t, uint32_t next) {
    ex_builder *builder = &p->schema->builder;
    if (t->max == 0) return next;
    if (t->max == 1) {
        const uint32_t once = build(p, t->last_child, next);
        return t->min == 1 ? once : ex_build_either(builder, once, next);
    }
    if (t->max != EX_UNLIMITED || t->min > 1)
        return ex_build_repeat(builder, build(p, t->last_child, EX_NODE_END), t->min, t->max, next);
    const uint32_t again = ex_build_later(builder);
    const uint32_t body = build(p, t->last_child, again);
    const uint32_t targets[] = {body, next};
    if (body == EX_NODE_DEAD) return t->min == 0 ? next : EX_NODE_DEAD;
    ex_build_set_fork(builder, again, targets, 2);
    return t->min == 0 ? again : body;
}

static uint32_t build_choice(parser *p, const term *t, uint32_t next) {
    uint32_t targets[EX_GRAMMAR_THREADS];
    size_t count = 0;
    for (uint32_t child = t->last_child; child != NO_TERM; child = p->terms[child].before) {
        if (count == EX_GRAMMAR_THREADS) return fail(p, "too many alternatives"), EX_NODE_DEAD;
        targets[count++] = build(p, child, next);
    }
    return ex_build_fork(&p->schema->builder, targets, count);
}

static uint32_t build(parser *p, uint32_t index, uint32_t next) {
    const term *t = &p->terms[index];
    if (!is_ok(p)) return EX_NODE_DEAD;
    switch (t->kind) {
    case TERM_SET:
        return build_set(p, t, next);
    case TERM_SEQUENCE:
        for (uint32_t child = t->last_child; child != NO_TERM; child = p->terms[child].before)
            next = build(p, child, next);
        return next;
    case TERM_CHOICE:
        return build_choice(p, t, next);
    case TERM_REPEAT:
        return build_repeat(p, t, next);
    }
    return EX_NODE_DEAD;
}

/* An alternative at the top, with any text where it is not anchored, and the quotes around it. */
static uint32_t build_top(parser *p, uint32_t sequence, uint32_t quote) {
    ex_builder *builder = &p->schema->builder;
    const term *t = &p->terms[sequence];
    const uint32_t body = build(p, sequence, t->to_end ? quote : p->schema->texts.inside);
    if (t->from_start || body == EX_NODE_DEAD) return body;
    const uint32_t before = ex_build_later(builder);
    const uint32_t targets[] = {body, ex_schema_character(builder, before)};
    ex_build_set_fork(builder, before, targets, 2);
    return before;
}

static uint32_t build_all(parser *p, uint32_t choice, uint32_t next) {
    ex_builder *builder = &p->schema->builder;
    const uint32_t quote = ex_build_range(builder, '"', '"', next);
    uint32_t targets[EX_GRAMMAR_THREADS];
    size_t count = 0;
    for (uint32_t child = p->terms[choice].last_child; child != NO_TERM; child = p->terms[child].before) {
        if (count == EX_GRAMMAR_THREADS) return fail(p, "too many alternatives"), EX_NODE_DEAD;
        targets[count++] = build_top(p, child, quote);
    }
    return ex_build_range(builder, '"', '"', ex_build_fork(builder, targets, count));
}

/* `next` is EX_NODE_END: what follows the pattern without an anchor ends there, too. */
uint32_t ex_schema_pattern(ex_schema *schema, const ex_json *where, ex_string pattern, uint32_t next) {
    parser p = {.schema = schema, .where = where, .text = pattern.data, .length = pattern.length};
    if (pattern.length > PATTERN_MAX)
        return ex_schema_fail(schema, where, "pattern", EX_ERROR_UNSUPPORTED, "at most %d bytes", (int)PATTERN_MAX);
    p.capacity = 3 * pattern.length + 4;
    p.ranges_capacity = 16 * pattern.length + 16;
    p.terms = ex_allocate(p.capacity, sizeof *p.terms);
    p.ranges = ex_allocate(p.ranges_capacity, sizeof *p.ranges);
    uint32_t node = EX_NODE_DEAD;
    if (p.terms && p.ranges) {
        const uint32_t choice = read_choice(&p);
        if (is_ok(&p) && !is_end(&p)) fail(&p, "a parenthesis that nothing opens");
        if (is_ok(&p)) node = build_all(&p, choice, next);
    } else {
        ex_build_fail(&schema->builder, ex_fail_memory(schema->error, "a pattern"));
    }
    free(p.terms);
    free(p.ranges);
    return node;
}
