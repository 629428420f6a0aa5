#include "sampler/rule_text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "sampler/number.h"

ex_code ex_rule_fail(const ex_rule_text *text, const char *place, const char *format, ...) {
    char message[260];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    bool named = text->rule[0] != 0;
    return ex_fail(text->error, EX_ERROR_FORMAT, text->line, "%.80s:%zu:%zu: %s%s%s%s", text->name, text->line,
                   (size_t)(place - text->begin) + 1, named ? "rule " : "", text->rule, named ? ": " : "", message);
}

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }
static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

bool ex_rule_starts_comment(const ex_rule_text *text, const char *at) {
    return at < text->end && (*at == '#' || *at == ';') && (at == text->begin || is_blank(at[-1]));
}

bool ex_rule_token_is(const ex_rule_token *token, const char *word) {
    return (token->kind == EX_TOKEN_KIND_NAME || token->kind == EX_TOKEN_KIND_SYMBOL) && token->start[0] == word[0] &&
           strncmp(token->start, word, token->length) == 0 && word[token->length] == 0;
}

static const char *after_digits(const ex_rule_text *text, const char *at) {
    while (at < text->end && is_digit(*at)) at++;
    return at;
}

static const char *after_number(const ex_rule_text *text, const char *at) {
    at = after_digits(text, at);
    if (at < text->end && *at == '.') at = after_digits(text, at + 1);
    if (at < text->end && (*at == 'e' || *at == 'E')) {
        const char *exponent = at + 1;
        if (exponent < text->end && (*exponent == '+' || *exponent == '-')) exponent++;
        if (exponent < text->end && is_digit(*exponent)) at = after_digits(text, exponent);
    }
    return at;
}

static ex_code read_number(ex_rule_text *text, ex_rule_token *token) {
    char digits[64];
    token->kind = EX_TOKEN_KIND_NUMBER;
    token->length = (size_t)(after_number(text, text->at) - text->at);
    text->at += token->length;
    if (token->length >= sizeof digits) return ex_rule_fail(text, token->start, "the number has too many digits");
    memcpy(digits, token->start, token->length);
    digits[token->length] = 0;
    if (!ex_number_parse(digits, &token->number))
        return ex_rule_fail(text, token->start, "%s is too large for a number", digits);
    return EX_OK;
}

/* What other languages write, and what is written here; longer signs first. */
static const struct {
    const char *sign, *advice;
} foreign_signs[] = {
    {"==", "compare with <= and >="}, {"!=", "compare with < or >"}, {"=", "compare with <= and >="},
    {"&&", "write \"and\""},          {"&", "write \"and\""},        {"||", "write \"or\""},
    {"|", "write \"or\""},            {"!", "write \"not\""},        {NULL, NULL},
};

static ex_code fail_sign(const ex_rule_text *text) {
    size_t left = (size_t)(text->end - text->at);
    for (size_t i = 0; foreign_signs[i].sign; i++) {
        size_t length = strlen(foreign_signs[i].sign);
        if (length <= left && memcmp(text->at, foreign_signs[i].sign, length) == 0)
            return ex_rule_fail(text, text->at, "there is no %s here: %s", foreign_signs[i].sign,
                                foreign_signs[i].advice);
    }
    if ((unsigned char)*text->at < ' ' || (unsigned char)*text->at > '~')
        return ex_rule_fail(text, text->at, "byte 0x%02x is no part of a condition or formula",
                            (unsigned)(unsigned char)*text->at);
    return ex_rule_fail(text, text->at, "'%c' is no part of a condition or formula", *text->at);
}

static ex_code read_symbol(ex_rule_text *text, ex_rule_token *token) {
    if (!strchr("+-*/()[],<>", *text->at) || *text->at == 0) return fail_sign(text);
    bool comparison = *text->at == '<' || *text->at == '>';
    token->kind = EX_TOKEN_KIND_SYMBOL;
    token->length = comparison && text->at + 1 < text->end && text->at[1] == '=' ? 2 : 1;
    text->at += token->length;
    return EX_OK;
}

ex_code ex_rule_next_token(ex_rule_text *text, ex_rule_token *token) {
    while (text->at < text->end && is_blank(*text->at)) text->at++;
    *token = (ex_rule_token){.kind = EX_TOKEN_KIND_END, .start = text->at};
    if (text->at == text->end || ex_rule_starts_comment(text, text->at)) return EX_OK;
    bool has_point = *text->at == '.' && text->at + 1 < text->end && is_digit(text->at[1]);
    if (is_digit(*text->at) || has_point) return read_number(text, token);
    if (!is_letter(*text->at)) return read_symbol(text, token);
    token->kind = EX_TOKEN_KIND_NAME;
    while (text->at < text->end && (is_letter(*text->at) || is_digit(*text->at))) text->at++;
    token->length = (size_t)(text->at - token->start);
    return EX_OK;
}
