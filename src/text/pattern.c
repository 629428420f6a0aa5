/* pattern.c - regular expressions from files: how they are checked, compiled and kept within bounds. */
#include "text/pattern.h"

#include "base/error.h"
#include "base/memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

struct ex_pattern {
    pcre2_code *codes[EX_MAX_EXPRESSIONS];
    size_t count;
};

enum {
    MAX_EXPRESSION = 1 << 14, /* bytes */
    MAX_MEMORY = 256 * 1024,  /* of one match, KiB */
    WORK_PER_BYTE = 256,      /* steps of an expression and bytes that it looks at, all matches together */
    WORK_AT_LEAST = 1 << 24   /* a moment */
};

/* ---- compiling ---- */

/* A callout at every item is how the work of a match is counted. */
static pcre2_code *compile(const char *expression, size_t length, int *number, PCRE2_SIZE *at) {
    const uint32_t options =
        PCRE2_UTF | PCRE2_UCP | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C | PCRE2_AUTO_CALLOUT;
    return pcre2_compile((PCRE2_SPTR)expression, length, options, number, at, NULL);
}

/* Since 10.40, \p{Han} means the script and what other scripts share with it; elsewhere it is the script alone. */
static bool is_script(const char *name, size_t length) {
    char expression[48];
    if (length < 3 || length > 30) return false;
    memcpy(expression, "\\p{sc:", 6);
    memcpy(expression + 6, name, length);
    expression[6 + length] = '}';
    int number;
    PCRE2_SIZE at;
    pcre2_code *code = compile(expression, length + 7, &number, &at);
    pcre2_code_free(code);
    return code != NULL;
}

typedef struct rewriting {
    ex_string from;
    size_t at;
    char *to;
    size_t length;
    bool in_class;
} rewriting;

static bool comes(const rewriting *r, const char *text) {
    size_t n = strlen(text);
    return r->from.length - r->at >= n && memcmp(r->from.data + r->at, text, n) == 0;
}

static void copy_bytes(rewriting *r, size_t n) {
    memcpy(r->to + r->length, r->from.data + r->at, n);
    r->length += n;
    r->at += n;
}

static void copy_escape(rewriting *r) {
    bool property = comes(r, "\\p{") || comes(r, "\\P{");
    copy_bytes(r, r->from.length - r->at < 2 ? 1 : 2);
    if (!property) return;
    copy_bytes(r, 1);
    if (comes(r, "^")) copy_bytes(r, 1);
    const char *name = r->from.data + r->at, *end = memchr(name, '}', r->from.length - r->at);
    if (!end) return;
    if (is_script(name, (size_t)(end - name))) {
        memcpy(r->to + r->length, "sc:", 3);
        r->length += 3;
    }
    copy_bytes(r, (size_t)(end - name));
}

/* False where PCRE2 would read something else than the programs that such expressions are written for. */
static bool copy_next(rewriting *r) {
    if (comes(r, "\\")) {
        copy_escape(r);
        return true;
    }
    if (r->in_class && (comes(r, "&&") || (comes(r, "[") && !comes(r, "[:")))) return false;
    if (r->in_class && comes(r, "[:")) {
        copy_bytes(r, 2);
        const char *end = memchr(r->from.data + r->at, ']', r->from.length - r->at);
        if (end) copy_bytes(r, (size_t)(end + 1 - r->from.data) - r->at);
        return true;
    }
    if (!r->in_class && comes(r, "[")) {
        r->in_class = true;
        copy_bytes(r, 1);
        if (comes(r, "^")) copy_bytes(r, 1);
        if (comes(r, "]")) copy_bytes(r, 1); /* as the first of a class it stands for itself */
        return true;
    }
    if (comes(r, "]")) r->in_class = false;
    copy_bytes(r, 1);
    return true;
}

static ex_code refuse(ex_string expression, uint64_t position, const char *reason, ex_error *error) {
    return ex_fail(error, EX_ERROR_UNSUPPORTED, position, "the pre-tokeniser's expression \"%.*s%s\" %s",
                   expression.length < 60 ? (int)expression.length : 60, expression.data,
                   expression.length < 60 ? "" : "…", reason);
}

ex_code ex_pattern_add(ex_pattern *pattern, ex_string expression, uint64_t position, ex_error *error) {
    if (pattern->count == EX_MAX_EXPRESSIONS) return refuse(expression, position, "is one too many", error);
    if (expression.length > MAX_EXPRESSION) return refuse(expression, position, "is longer than 16 KiB", error);
    rewriting r = {.from = expression, .to = ex_allocate(2 * expression.length, 1)};
    if (!r.to) return ex_fail_memory(error, "an expression");
    bool good = true;
    while (good && r.at < expression.length) good = copy_next(&r);
    int number = 0;
    PCRE2_SIZE at = 0;
    pcre2_code *code = good ? compile(r.to, r.length, &number, &at) : NULL;
    free(r.to);
    if (!good) return refuse(expression, position, "has a class within a class, which is not supported", error);
    uint32_t back_references = 0;
    if (code) pcre2_pattern_info(code, PCRE2_INFO_BACKREFMAX, &back_references);
    if (back_references) {
        pcre2_code_free(code);
        return refuse(expression, position, "has a back reference, which is not supported", error);
    }
    if (code) {
        pattern->codes[pattern->count++] = code;
        return EX_OK;
    }
    char message[100] = "is wrong: ";
    pcre2_get_error_message(number, (PCRE2_UCHAR *)message + strlen(message), sizeof message - strlen(message));
    return refuse(expression, position, message, error);
}

ex_code ex_pattern_add_literal(ex_pattern *pattern, ex_string literal, uint64_t position, ex_error *error) {
    if (literal.length == 0 || literal.length > MAX_EXPRESSION / 2)
        return refuse(literal, position, "is empty or longer than 8 KiB", error);
    char *quoted = ex_allocate(2 * literal.length, 1);
    if (!quoted) return ex_fail_memory(error, "an expression");
    size_t n = 0;
    for (size_t i = 0; i < literal.length; i++) {
        if (strchr("\\^$.[]|()?*+{}#-", literal.data[i]) && literal.data[i]) quoted[n++] = '\\';
        quoted[n++] = literal.data[i];
    }
    ex_code code = ex_pattern_add(pattern, (ex_string){quoted, n}, position, error);
    free(quoted);
    return code;
}

ex_code ex_pattern_open(ex_pattern **out, ex_error *error) {
    *out = ex_allocate(1, sizeof **out);
    return *out ? EX_OK : ex_fail_memory(error, "the pre-tokeniser");
}

void ex_pattern_close(ex_pattern *pattern) {
    if (!pattern) return;
    for (size_t i = 0; i < pattern->count; i++) pcre2_code_free(pattern->codes[i]);
    free(pattern);
}

/* ---- matching ---- */

typedef struct splitting {
    const ex_pattern *pattern;
    const char *text;
    size_t length;
    uint64_t offset;
    pcre2_match_context *limits;
    pcre2_match_data *data;
    uint64_t work, most_work;
    size_t last_place; /* where in its piece the expression was */
    ex_word_sink sink;
    void *context;
    ex_error *error;
} splitting;

typedef struct piece { /* a subject of its own: assertions end with it */
    const char *first;
    size_t length;
} piece;

/* Between two items an expression may have looked at all that lies between two places. */
static int count_work(pcre2_callout_block *block, void *context) {
    splitting *s = context;
    size_t place = block->current_position, last = s->last_place;
    s->work += 1 + (place > last ? place - last : last - place);
    s->last_place = place;
    return s->work > s->most_work ? PCRE2_ERROR_CALLOUT : 0;
}

static ex_code refuse_match(const splitting *s, size_t number, int result, uint64_t position) {
    char what[80];
    if (result == PCRE2_ERROR_CALLOUT) snprintf(what, sizeof what, "takes more than %" PRIu64 " steps", s->most_work);
    else if (result == PCRE2_ERROR_HEAPLIMIT) snprintf(what, sizeof what, "needs more than %d KiB", MAX_MEMORY);
    else snprintf(what, sizeof what, "cannot be matched (PCRE2 error %d)", result);
    return ex_fail(s->error, EX_ERROR_UNSUPPORTED, position,
                   "expression %zu of the pre-tokeniser %s for a text of %zu bytes, at its byte %" PRIu64, number, what,
                   s->length, position);
}

/* Tries at `at` and nowhere else. */
static ex_code match_at(splitting *s, size_t number, piece p, size_t at, bool *found, size_t *end) {
    s->last_place = at;
    int result = pcre2_match(s->pattern->codes[number], (PCRE2_SPTR)p.first, p.length, at,
                             PCRE2_ANCHORED | PCRE2_NO_UTF_CHECK, s->data, s->limits);
    *found = false;
    if (result == PCRE2_ERROR_NOMATCH) return EX_OK;
    const PCRE2_SIZE *places = pcre2_get_ovector_pointer(s->data);
    if (result >= 0 && places[0] == at && places[1] >= at) { /* \K may move the beginning */
        *found = true;
        *end = places[1];
        return EX_OK;
    }
    return refuse_match(s, number + 1, result, s->offset + (uint64_t)(p.first - s->text) + at);
}

static size_t next_character(piece p, size_t at) {
    do at++;
    while (at < p.length && (p.first[at] & 0xC0) == 0x80);
    return at;
}

/* Calls itself once for each further expression. What lies between matches is a piece too; an empty match parts two of
 * them, unless it follows another match at once. */
static ex_code split(splitting *s, size_t depth, piece p) {
    if (p.length == 0) return EX_OK;
    if (depth == s->pattern->count) return s->sink(s->context, p.first, p.length, s->error);
    size_t gap = 0;
    for (size_t at = 0; at < p.length;) {
        bool found;
        size_t end = at;
        ex_code code = match_at(s, depth, p, at, &found, &end);
        if (code == EX_OK && found) {
            code = split(s, depth + 1, (piece){p.first + gap, at - gap});
            if (code == EX_OK) code = split(s, depth + 1, (piece){p.first + at, end - at});
            gap = end;
        }
        if (code != EX_OK) return code;
        at = end > at ? end : next_character(p, at);
    }
    return split(s, depth + 1, (piece){p.first + gap, p.length - gap});
}

ex_code ex_pattern_split(const ex_pattern *pattern, const char *text, size_t length, uint64_t offset, ex_word_sink sink,
                         void *context, uint64_t *work, ex_error *error) {
    splitting s = {.pattern = pattern, .text = text, .length = length, .offset = offset, .sink = sink,
                   .context = context, .error = error, .most_work = WORK_PER_BYTE * (uint64_t)length + WORK_AT_LEAST};
    s.limits = pcre2_match_context_create(NULL);
    s.data = pcre2_match_data_create(1, NULL);
    ex_code code = s.limits && s.data ? EX_OK : ex_fail_memory(error, "the tokenizer");
    if (code == EX_OK) {
        pcre2_set_heap_limit(s.limits, MAX_MEMORY);
        pcre2_set_match_limit(s.limits, UINT32_MAX);
        pcre2_set_callout(s.limits, count_work, &s);
        code = split(&s, 0, (piece){text, length});
    }
    pcre2_match_data_free(s.data);
    pcre2_match_context_free(s.limits);
    if (work) *work = s.work;
    return code;
}
