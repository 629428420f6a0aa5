/* template_lex.c - a template's source as tokens, with the white space already removed that trim_blocks, lstrip_blocks
 * and the signs in {%- -%} take away. */
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/utf8.h"
#include "text/template_tree.h"

typedef struct source_lexer {
    ex_template *template;
    ex_jinja_tokens *tokens;
    const char *source;
    size_t length, position;
    size_t counted; /* bytes up to here are in line and column */
    uint32_t line, column;
    char open[EX_JINJA_NESTING_MAX]; /* brackets to close */
    size_t n_open;
    ex_code code;
    ex_error *error;
} source_lexer;

bool ex_jinja_is_space(uint32_t codepoint) {
    return (codepoint >= 9 && codepoint <= 13) || (codepoint >= 0x1C && codepoint <= 0x20) || codepoint == 0x85 ||
           codepoint == 0xA0 || codepoint == 0x1680 || (codepoint >= 0x2000 && codepoint <= 0x200A) ||
           codepoint == 0x2028 || codepoint == 0x2029 || codepoint == 0x202F || codepoint == 0x205F ||
           codepoint == 0x3000;
}

size_t ex_jinja_leading_space(const char *bytes, size_t length) {
    size_t at = 0;
    while (at < length) {
        uint32_t codepoint;
        size_t n = ex_utf8_decode(bytes + at, length - at, &codepoint);
        if (n == 0 || !ex_jinja_is_space(codepoint)) break;
        at += n;
    }
    return at;
}

size_t ex_jinja_trailing_space(const char *bytes, size_t length) {
    size_t end = length;
    while (end > 0) {
        size_t start = end - 1;
        while (start > 0 && end - start < 4 && ((unsigned char)bytes[start] & 0xC0) == 0x80) start--;
        uint32_t codepoint;
        if (ex_utf8_decode(bytes + start, end - start, &codepoint) != end - start || !ex_jinja_is_space(codepoint))
            break;
        end = start;
    }
    return length - end;
}

static void locate(source_lexer *lexer, size_t position) {
    if (position < lexer->counted) { /* an error that is told where something began */
        lexer->counted = 0;
        lexer->line = lexer->column = 1;
    }
    for (; lexer->counted < position; lexer->counted++) {
        unsigned char byte = (unsigned char)lexer->source[lexer->counted];
        if (byte == '\n') {
            lexer->line++;
            lexer->column = 1;
        } else if ((byte & 0xC0) != 0x80) {
            lexer->column++;
        }
    }
}

static bool fail(source_lexer *lexer, size_t position, const char *what) {
    locate(lexer, position);
    lexer->code = ex_fail(lexer->error, EX_ERROR_FORMAT, lexer->line, "%s:%u:%u: %s", lexer->template->label,
                          lexer->line, lexer->column, what);
    return false;
}

static bool fail_memory(source_lexer *lexer) {
    lexer->code = lexer->tokens->arena.full || lexer->template->arena.full
                      ? ex_fail(lexer->error, EX_ERROR_FORMAT, lexer->line, "%s:%u:%u: the template is too large",
                                lexer->template->label, lexer->line, lexer->column)
                      : ex_fail_memory(lexer->error, "a chat template");
    return false;
}

/* A token that begins at `position`. The caller fills in the rest. */
static ex_jinja_token *add(source_lexer *lexer, ex_jinja_token_kind kind, size_t position) {
    ex_jinja_tokens *tokens = lexer->tokens;
    locate(lexer, position);
    if (tokens->count == tokens->capacity) {
        size_t capacity = tokens->capacity ? tokens->capacity * 2 : 256;
        ex_jinja_token *items = ex_template_take(&tokens->arena, capacity, sizeof *items);
        if (!items) {
            fail_memory(lexer);
            return NULL;
        }
        if (tokens->count) memcpy(items, tokens->items, tokens->count * sizeof *items);
        tokens->items = items;
        tokens->capacity = capacity;
    }
    ex_jinja_token *token = &tokens->items[tokens->count++];
    *token = (ex_jinja_token){.kind = (uint8_t)kind, .line = lexer->line, .column = lexer->column,
                              .bytes = lexer->source + position};
    return token;
}

static bool starts(const source_lexer *lexer, size_t position, const char *what) {
    size_t n = strlen(what);
    return lexer->length - position >= n && memcmp(lexer->source + position, what, n) == 0;
}

static size_t skip_space(const source_lexer *lexer, size_t position) {
    return position + ex_jinja_leading_space(lexer->source + position, lexer->length - position);
}

/* The end of a tag at `position`, or 0: `-` takes the white space behind it, `+` keeps the line break that a block's
 * or comment's end would take. */
static size_t tag_end(const source_lexer *lexer, size_t position, const char *close, bool takes_line_break) {
    if (starts(lexer, position, "-") && starts(lexer, position + 1, close)) return skip_space(lexer, position + 3);
    if (takes_line_break && starts(lexer, position, "+") && starts(lexer, position + 1, close)) return position + 3;
    if (!starts(lexer, position, close)) return 0;
    position += 2;
    return takes_line_break && starts(lexer, position, "\n") ? position + 1 : position;
}

/* Emits what lies between `first` and a tag at `last`, less what the tag's sign takes away. */
static bool add_data(source_lexer *lexer, size_t first, size_t last, char sign, bool strips_line) {
    const char *bytes = lexer->source + first;
    size_t length = last - first;
    if (sign == '-') {
        length -= ex_jinja_trailing_space(bytes, length);
    } else if (sign != '+' && strips_line) {
        const char *line_break = length ? memrchr(bytes, '\n', length) : NULL;
        size_t line = line_break ? (size_t)(line_break - bytes) + 1 : 0;
        bool at_line_start = line > 0 || first == 0 || lexer->source[first - 1] == '\n';
        if (at_line_start && ex_jinja_leading_space(bytes + line, length - line) == length - line) length = line;
    }
    if (length == 0) return true;
    ex_jinja_token *token = add(lexer, EX_JINJA_TOKEN_DATA, first);
    if (!token) return false;
    token->length = length;
    return true;
}

static char sign_at(const source_lexer *lexer, size_t position) {
    if (position >= lexer->length) return 0;
    char c = lexer->source[position];
    return c == '-' || c == '+' ? c : 0;
}

static bool lex_comment(source_lexer *lexer, size_t begin) {
    for (size_t at = lexer->position; at < lexer->length; at++) {
        size_t end = tag_end(lexer, at, "#}", true);
        if (!end) continue;
        lexer->position = end;
        return true;
    }
    return fail(lexer, begin, "this comment has no end: #} is missing");
}

/* Where the tag {% word %} at `position` ends, or 0 when it is another tag. */
static size_t word_tag(const source_lexer *lexer, size_t position, const char *word, bool takes_line_break) {
    if (!starts(lexer, position, "{%")) return 0;
    position += 2;
    if (sign_at(lexer, position)) position++;
    position = skip_space(lexer, position);
    if (!starts(lexer, position, word)) return 0;
    return tag_end(lexer, skip_space(lexer, position + strlen(word)), "%}", takes_line_break);
}

static bool lex_raw(source_lexer *lexer, size_t begin, size_t first) {
    for (size_t at = first; at < lexer->length; at++) {
        size_t end = word_tag(lexer, at, "endraw", true);
        if (!end) continue;
        lexer->position = end;
        return add_data(lexer, first, at, sign_at(lexer, at + 2), true);
    }
    return fail(lexer, begin, "this raw block has no end: {% endraw %} is missing");
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Reads `count` hexadecimal digits; false when there are fewer. */
static bool read_hex(const char *bytes, size_t length, size_t count, uint32_t *codepoint) {
    if (length < count) return false;
    *codepoint = 0;
    for (size_t i = 0; i < count; i++) {
        int digit = hex_digit(bytes[i]);
        if (digit < 0) return false;
        *codepoint = *codepoint << 4 | (uint32_t)digit;
    }
    return true;
}

/* Writes what the escape at `bytes` (behind the backslash) stands for; returns its length, 0 when it is malformed. An
 * unknown escape stands for itself, backslash included. */
static size_t decode_escape(const char *bytes, size_t length, char *out, size_t *written) {
    static const char letters[] = "abfnrtv\\'\"", values[] = "\a\b\f\n\r\t\v\\'\"";
    const char *letter = strchr(letters, bytes[0]);
    uint32_t codepoint = 0;
    size_t n = 1, digits = bytes[0] == 'x' ? 2 : bytes[0] == 'u' ? 4 : bytes[0] == 'U' ? 8 : 0;
    *written = 0;
    if (bytes[0] == '\n') return 1;
    if (letter) {
        codepoint = (unsigned char)values[letter - letters];
    } else if (digits) {
        if (!read_hex(bytes + 1, length - 1, digits, &codepoint)) return 0;
        if (codepoint > 0x10FFFF || (codepoint >= 0xD800 && codepoint < 0xE000)) return 0;
        n += digits;
    } else if (bytes[0] >= '0' && bytes[0] <= '7') {
        for (n = 0; n < 3 && n < length && bytes[n] >= '0' && bytes[n] <= '7'; n++)
            codepoint = codepoint * 8 + (uint32_t)(bytes[n] - '0');
    } else {
        out[0] = '\\';
        out[1] = bytes[0];
        *written = 2;
        return 1;
    }
    *written = ex_utf8_encode(codepoint, out);
    return n;
}

static bool lex_text(source_lexer *lexer) {
    size_t begin = lexer->position, end = begin + 1;
    char quote = lexer->source[begin];
    while (end < lexer->length && lexer->source[end] != quote) end += lexer->source[end] == '\\' ? 2 : 1;
    if (end >= lexer->length) return fail(lexer, begin, "this text has no closing quote");
    ex_jinja_token *token = add(lexer, EX_JINJA_TOKEN_TEXT, begin);
    if (!token) return false;
    char *out = ex_template_take(&lexer->template->arena, end - begin, 1); /* no escape gets longer by decoding */
    if (!out) return fail_memory(lexer);
    size_t length = 0;
    for (size_t at = begin + 1; at < end;) {
        if (lexer->source[at] != '\\') {
            out[length++] = lexer->source[at++];
            continue;
        }
        size_t written, n = decode_escape(lexer->source + at + 1, end - at - 1, out + length, &written);
        if (n == 0) return fail(lexer, at, "this escape in a text names no character");
        at += 1 + n;
        length += written;
    }
    token->bytes = out;
    token->length = length;
    lexer->position = end + 1;
    return true;
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* Digits with single underscores between them, of the given base; returns where they end. */
static size_t digits_end(const source_lexer *lexer, size_t at, int base) {
    size_t start = at;
    while (at < lexer->length) {
        int digit = hex_digit(lexer->source[at]);
        bool separator = lexer->source[at] == '_' && at > start && at + 1 < lexer->length &&
                         hex_digit(lexer->source[at + 1]) >= 0 && hex_digit(lexer->source[at + 1]) < base;
        if (!separator && (digit < 0 || digit >= base)) break;
        at++;
    }
    return at;
}

static size_t number_end(const source_lexer *lexer, size_t at, bool *is_integer, int *base) {
    static const struct {
        const char *prefix;
        int base;
    } prefixes[] = {{"0x", 16}, {"0X", 16}, {"0o", 8}, {"0O", 8}, {"0b", 2}, {"0B", 2}};
    *is_integer = true;
    *base = 10;
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        if (!starts(lexer, at, prefixes[i].prefix) || digits_end(lexer, at + 2, prefixes[i].base) == at + 2) continue;
        *base = prefixes[i].base;
        return digits_end(lexer, at + 2, *base);
    }
    bool after_dot = at > 0 && lexer->source[at - 1] == '.';
    at = digits_end(lexer, at, 10);
    if (after_dot) return at;
    if (starts(lexer, at, ".") && at + 1 < lexer->length && is_digit(lexer->source[at + 1])) {
        *is_integer = false;
        at = digits_end(lexer, at + 1, 10);
    }
    if (at < lexer->length && (lexer->source[at] | 0x20) == 'e') {
        size_t exponent = at + 1 + (sign_at(lexer, at + 1) != 0);
        if (exponent < lexer->length && is_digit(lexer->source[exponent])) {
            *is_integer = false;
            at = digits_end(lexer, exponent, 10);
        }
    }
    return at;
}

static bool read_number(const char *digits, double *number) {
    locale_t locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!locale) return false;
    *number = strtod_l(digits, NULL, locale);
    freelocale(locale);
    return true;
}

static bool lex_number(source_lexer *lexer) {
    char digits[400];
    size_t begin = lexer->position, length = 0;
    bool is_integer;
    int base;
    size_t end = number_end(lexer, begin, &is_integer, &base);
    ex_jinja_token *token = add(lexer, is_integer ? EX_JINJA_TOKEN_INTEGER : EX_JINJA_TOKEN_NUMBER, begin);
    if (!token) return false;
    for (size_t at = begin + (base == 10 ? 0 : 2); at < end; at++) {
        if (length + 1 == sizeof digits) return fail(lexer, begin, "this number has too many digits");
        if (lexer->source[at] != '_') digits[length++] = lexer->source[at];
    }
    digits[length] = '\0';
    lexer->position = end;
    if (!is_integer) return read_number(digits, &token->as.number) || fail_memory(lexer);
    for (size_t i = 0; i < length; i++) {
        int64_t digit = hex_digit(digits[i]);
        if (__builtin_mul_overflow(token->as.integer, base, &token->as.integer) ||
            __builtin_add_overflow(token->as.integer, digit, &token->as.integer))
            return fail(lexer, begin, "this integer does not fit into 64 bits");
    }
    return true;
}

static bool is_name_byte(char c) {
    char lower = (char)(c | 0x20);
    return (lower >= 'a' && lower <= 'z') || is_digit(c) || c == '_' || (unsigned char)c >= 0x80;
}

static bool lex_name(source_lexer *lexer) {
    size_t begin = lexer->position;
    ex_jinja_token *token = add(lexer, EX_JINJA_TOKEN_NAME, begin);
    if (!token) return false;
    while (lexer->position < lexer->length && is_name_byte(lexer->source[lexer->position])) lexer->position++;
    token->length = lexer->position - begin;
    return true;
}

/* Brackets must match, so that the }} of {{ {'a': {}} }} is no end of the tag. */
static bool balance(source_lexer *lexer, char c) {
    static const char opening[] = "([{", closing[] = ")]}";
    const char *open = strchr(opening, c), *close = strchr(closing, c);
    if (open) {
        if (lexer->n_open == sizeof lexer->open) return fail(lexer, lexer->position, "brackets are nested too deeply");
        lexer->open[lexer->n_open++] = closing[open - opening];
    } else if (close) {
        if (lexer->n_open == 0 || lexer->open[--lexer->n_open] != c)
            return fail(lexer, lexer->position, "this closing bracket matches no opening one");
    }
    return true;
}

static bool lex_operator(source_lexer *lexer) {
    static const struct {
        const char *text;
        uint8_t operator;
    } pairs[] = {{"==", EX_JINJA_OP_EQUAL},       {"!=", EX_JINJA_OP_NOT_EQUAL}, {">=", EX_JINJA_OP_AT_LEAST},
                 {"<=", EX_JINJA_OP_AT_MOST},     {"//", EX_JINJA_OP_FLOOR_DIVIDE}, {"**", EX_JINJA_OP_POWER}};
    size_t begin = lexer->position;
    char c = lexer->source[begin];
    ex_jinja_token *token = add(lexer, EX_JINJA_TOKEN_OPERATOR, begin);
    if (!token) return false;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        if (!starts(lexer, begin, pairs[i].text)) continue;
        token->operator = pairs[i].operator;
        lexer->position += 2;
        return true;
    }
    if (!strchr("+-/*%~[](){}><=.:|,;", c)) return fail(lexer, begin, "this character has no meaning here");
    token->operator = (uint8_t)c;
    if (!balance(lexer, c)) return false;
    lexer->position++;
    return true;
}

static bool lex_one(source_lexer *lexer) {
    char c = lexer->source[lexer->position];
    if (c == '\'' || c == '"') return lex_text(lexer);
    if (is_digit(c)) return lex_number(lexer);
    if (is_name_byte(c)) return lex_name(lexer);
    return lex_operator(lexer);
}

/* The inside of {{ }} or {% %}. */
static bool lex_tag(source_lexer *lexer, size_t begin, bool is_block) {
    const char *close = is_block ? "%}" : "}}";
    if (!add(lexer, is_block ? EX_JINJA_TOKEN_BLOCK_BEGIN : EX_JINJA_TOKEN_OUTPUT_BEGIN, begin)) return false;
    lexer->n_open = 0;
    for (;;) {
        lexer->position = skip_space(lexer, lexer->position);
        if (lexer->position >= lexer->length) return fail(lexer, begin, "this tag has no end");
        size_t end = lexer->n_open ? 0 : tag_end(lexer, lexer->position, close, is_block);
        if (end) {
            size_t at = lexer->position;
            lexer->position = end;
            return add(lexer, is_block ? EX_JINJA_TOKEN_BLOCK_END : EX_JINJA_TOKEN_OUTPUT_END, at) != NULL;
        }
        if (!lex_one(lexer)) return false;
    }
}

static size_t find_tag(const source_lexer *lexer, size_t from) {
    for (size_t at = from; at + 1 < lexer->length; at++) {
        const char *brace = memchr(lexer->source + at, '{', lexer->length - 1 - at);
        if (!brace) break;
        at = (size_t)(brace - lexer->source);
        if (brace[1] == '{' || brace[1] == '%' || brace[1] == '#') return at;
    }
    return lexer->length;
}

static bool lex_all(source_lexer *lexer) {
    while (lexer->position < lexer->length) {
        size_t first = lexer->position, begin = find_tag(lexer, first);
        if (begin == lexer->length) {
            lexer->position = begin;
            if (!add_data(lexer, first, begin, '+', false)) return false;
            break;
        }
        char kind = lexer->source[begin + 1], sign = sign_at(lexer, begin + 2);
        if (!add_data(lexer, first, begin, sign, kind != '{')) return false;
        size_t raw = word_tag(lexer, begin, "raw", false);
        lexer->position = begin + 2 + (sign != 0);
        bool ok = raw ? lex_raw(lexer, begin, raw)
                      : kind == '#' ? lex_comment(lexer, begin) : lex_tag(lexer, begin, kind == '%');
        if (!ok) return false;
    }
    return add(lexer, EX_JINJA_TOKEN_END, lexer->length) != NULL;
}

ex_code ex_jinja_lex(ex_template *template, ex_jinja_tokens *tokens, ex_error *error) {
    source_lexer lexer = {.template = template, .tokens = tokens, .source = template->source,
                          .length = template->length, .line = 1, .column = 1, .error = error};
    size_t valid = ex_utf8_valid_prefix(lexer.source, lexer.length);
    const char *zero = memchr(lexer.source, '\0', lexer.length);
    if (zero) fail(&lexer, (size_t)(zero - lexer.source), "a template must not hold a zero byte");
    else if (valid < lexer.length) fail(&lexer, valid, "this is not UTF-8");
    else lex_all(&lexer);
    return lexer.code;
}
