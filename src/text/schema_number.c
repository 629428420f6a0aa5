/* schema_number.c - numbers as JSON writes them, of a bounded number of digits, between limits. Whether digits that are
 * read from the left make a number between two others depends on how many there are and how they compare with the
 * same number of digits of each limit. */
#include <math.h>
#include <string.h>

#include "text/schema.h"

enum { DIGITS = EX_SCHEMA_DIGITS_MAX };

static const int64_t LARGEST = 999999999999999999; /* of DIGITS digits */
static const double EXACT = 9007199254740992.0;

typedef struct limits {
    int64_t min, max;    /* of integers */
    double low, high;    /* of numbers; infinite: none */
    bool above, below;   /* and not the limit itself */
} limits;

/* ---- reading the keywords ---------------------------------------------------------------------------------------- */

static bool number_of(ex_schema *schema, const ex_json *map, const char *keyword, double *out) {
    const ex_json *value = ex_schema_keyword(map, keyword);
    if (!value) return false;
    if (value->kind == EX_JSON_INTEGER) *out = (double)value->as.integer;
    else if (value->kind == EX_JSON_NUMBER) *out = value->as.number;
    else return ex_schema_fail(schema, map, keyword, EX_ERROR_FORMAT, "a number is needed"), false;
    const bool is_upper = keyword[0] == 'm' ? keyword[1] == 'a' : keyword[10] == 'a';
    const double size = is_upper ? *out : -*out; /* beyond what is written anyway, nothing is limited */
    if (fabs(*out) <= EXACT || size >= (double)LARGEST) return true;
    ex_schema_fail(schema, map, keyword, EX_ERROR_UNSUPPORTED, "limits lie between -2^53 and 2^53");
    return false;
}

static void narrow(limits *l, double value, bool is_lower, bool excludes) {
    double *limit = is_lower ? &l->low : &l->high;
    bool *excluded = is_lower ? &l->above : &l->below;
    if (is_lower ? value > *limit : value < *limit) {
        *limit = value;
        *excluded = excludes;
    } else if (value == *limit) {
        *excluded = *excluded || excludes;
    }
}

static int64_t clamp(double value) {
    return value >= (double)LARGEST ? LARGEST : value <= -(double)LARGEST ? -LARGEST : (int64_t)value;
}

static limits read_limits(ex_schema *schema, const ex_parts *parts) {
    limits l = {.low = -INFINITY, .high = INFINITY};
    double value;
    for (size_t i = 0; i < parts->count; i++) {
        const ex_json *map = parts->items[i].schema;
        if (number_of(schema, map, "minimum", &value)) narrow(&l, value, true, false);
        if (number_of(schema, map, "maximum", &value)) narrow(&l, value, false, false);
        if (number_of(schema, map, "exclusiveMinimum", &value)) narrow(&l, value, true, true);
        if (number_of(schema, map, "exclusiveMaximum", &value)) narrow(&l, value, false, true);
    }
    l.min = clamp(ceil(l.low));
    l.max = clamp(floor(l.high));
    if (l.above && (double)l.min == l.low) l.min++;
    if (l.below && (double)l.max == l.high) l.max--;
    return l;
}

/* ---- integers between two others, none negative ------------------------------------------------------------------ */

typedef struct between {
    ex_builder *builder;
    char low[DIGITS + 2], high[DIGITS + 2]; /* digits of the limits */
    int n_low, n_high;
    uint32_t next;
    uint32_t nodes[DIGITS + 1][3][3]; /* after so many digits, by how they compare with each limit: less, equal, more */
} between;

static int digits_of(int64_t value, char *out) {
    char reversed[DIGITS + 2];
    int n = 0;
    do reversed[n++] = (char)('0' + value % 10);
    while ((value /= 10) > 0);
    for (int i = 0; i < n; i++) out[i] = reversed[n - 1 - i];
    return n;
}

/* Behind the last digit of a limit nothing compares any more: the count of digits decides. */
static int compare(int before, const char *limit, int n, int at, char digit) {
    if (before != 1 || at >= n) return before;
    return digit < limit[at] ? 0 : digit > limit[at] ? 2 : 1;
}

static bool may_end(const between *b, int n, int low, int high) {
    const bool is_enough = n > b->n_low || (n == b->n_low && low >= 1);
    const bool is_too_much = n > b->n_high || (n == b->n_high && high > 1);
    return is_enough && !is_too_much;
}

/* From the longest to the shortest, so that what a node goes on with is there. */
static uint32_t digits_node(between *b, int n, int low, int high) {
    ex_grammar_edge edges[10];
    size_t count = 0;
    for (char digit = '0'; digit <= '9' && n < b->n_high; digit++) {
        const int next_low = compare(low, b->low, b->n_low, n, digit);
        const int next_high = compare(high, b->high, b->n_high, n, digit);
        const uint32_t target = b->nodes[n + 1][next_low][next_high];
        if (target == EX_NODE_DEAD || (n == 0 && digit == '0')) continue;
        edges[count++] = (ex_grammar_edge){(uint8_t)digit, (uint8_t)digit, target};
    }
    const uint32_t on = ex_build_bytes(b->builder, edges, count);
    return ex_build_either(b->builder, n > 0 && may_end(b, n, low, high) ? b->next : EX_NODE_DEAD, on);
}

static uint32_t build_between(ex_builder *builder, int64_t low, int64_t high, uint32_t next) {
    if (low > high || high < 0 || next == EX_NODE_DEAD) return EX_NODE_DEAD;
    between b = {.builder = builder, .next = next};
    const uint32_t zero = low <= 0 ? ex_build_range(builder, '0', '0', next) : EX_NODE_DEAD;
    if (low < 1) low = 1;
    if (high < low) return zero;
    b.n_low = digits_of(low, b.low);
    b.n_high = digits_of(high, b.high);
    for (int n = b.n_high; n > 0; n--)
        for (int i = 0; i < 9; i++) b.nodes[n][i / 3][i % 3] = digits_node(&b, n, i / 3, i % 3);
    return ex_build_either(builder, zero, digits_node(&b, 0, 1, 1));
}

static uint32_t build_integer(ex_builder *builder, int64_t min, int64_t max, uint32_t next) {
    const uint32_t positive = build_between(builder, min > 0 ? min : 0, max, next);
    const uint32_t negative = build_between(builder, max < 0 ? -max : 1, -min, next);
    return ex_build_either(builder, positive, ex_build_range(builder, '-', '-', negative));
}

/* ---- numbers ----------------------------------------------------------------------------------------------------- */

/* Between one and as many digits. */
static uint32_t digits(ex_builder *builder, int most, uint32_t next) {
    uint32_t more = EX_NODE_DEAD;
    for (int i = 0; i < most; i++) more = ex_build_range(builder, '0', '9', ex_build_either(builder, next, more));
    return more;
}

/* A point and digits that are not all zero. */
static uint32_t positive_fraction(ex_builder *builder, uint32_t next) {
    uint32_t any = EX_NODE_DEAD, zeros = EX_NODE_DEAD;
    for (int i = 0; i < DIGITS; i++) {
        const uint32_t after = ex_build_either(builder, next, any);
        const ex_grammar_edge edges[] = {{'1', '9', after}, {'0', '0', zeros}};
        const ex_grammar_edge ordered[] = {edges[1], edges[0]};
        any = ex_build_range(builder, '0', '9', after);
        zeros = zeros == EX_NODE_DEAD ? ex_build_bytes(builder, edges, 1) : ex_build_bytes(builder, ordered, 2);
    }
    return ex_build_range(builder, '.', '.', zeros);
}

static uint32_t fraction(ex_builder *builder, uint32_t next) {
    return ex_build_either(builder, next, ex_build_range(builder, '.', '.', digits(builder, DIGITS, next)));
}

/* Without limits there may be an exponent, of two digits. */
static uint32_t build_any(ex_builder *builder, uint32_t next) {
    const uint32_t power = digits(builder, 2, next);
    const ex_grammar_edge signs[] = {{'+', '+', power}, {'-', '-', power}};
    const uint32_t signed_power = ex_build_either(builder, power, ex_build_bytes(builder, signs, 2));
    const ex_grammar_edge letters[] = {{'E', 'E', signed_power}, {'e', 'e', signed_power}};
    const uint32_t after = ex_build_either(builder, next, ex_build_bytes(builder, letters, 2));
    const uint32_t whole = build_between(builder, 0, LARGEST, fraction(builder, after));
    return ex_build_either(builder, whole, ex_build_range(builder, '-', '-', whole));
}

/* Magnitudes from `low` to `high`, whole numbers; `above`, `below`: and not the limit itself. */
static uint32_t build_magnitude(ex_builder *builder, int64_t low, bool above, int64_t high, bool below, uint32_t next) {
    if (high < 0 || low > high) return EX_NODE_DEAD;
    const uint32_t with_fraction = fraction(builder, next);
    const uint32_t inner = build_between(builder, above ? low + 1 : low, high - 1, with_fraction);
    const uint32_t last = below || (above && low == high) ? EX_NODE_DEAD : build_between(builder, high, high, next);
    const uint32_t first =
        above && low < high ? build_between(builder, low, low, positive_fraction(builder, next)) : EX_NODE_DEAD;
    const uint32_t all[] = {inner, last, first};
    return ex_build_fork(builder, all, 3);
}

static uint32_t build_limited(ex_builder *builder, const limits *l, uint32_t next) {
    const int64_t low = clamp(l->low), high = clamp(l->high);
    const bool has_zero = low <= 0, from_zero = low < 0;
    const uint32_t positive = build_magnitude(builder, has_zero ? 0 : low, low < 0 ? false : l->above, high, l->below,
                                              next);
    const uint32_t negative =
        from_zero ? build_magnitude(builder, high < 0 ? -high : 0, high < 0 ? l->below : true, -low, l->above, next)
                  : EX_NODE_DEAD;
    return ex_build_either(builder, positive, ex_build_range(builder, '-', '-', negative));
}

static bool is_whole(double limit) { return isinf(limit) || limit == floor(limit); }

uint32_t ex_schema_number(ex_schema *schema, const ex_parts *parts, bool integer, uint32_t next) {
    const limits l = read_limits(schema, parts);
    if (integer) return build_integer(&schema->builder, l.min, l.max, next);
    if (isinf(l.low) && isinf(l.high)) return build_any(&schema->builder, next);
    if (!is_whole(l.low) || !is_whole(l.high))
        return ex_schema_fail(schema, parts->items[0].schema, NULL, EX_ERROR_UNSUPPORTED,
                              "limits of numbers that are not integers must be whole: %g to %g", l.low, l.high);
    return build_limited(&schema->builder, &l, next);
}
