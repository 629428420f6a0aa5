/* template_case.c - upper, lower and title case, character by character, each keeping its origin. */
#include <utf8proc.h>

#include "text/template_run.h"

enum { SHARP_S = 0xDF }; /* the one letter in use whose upper case is two */

static bool is_cased(uint32_t codepoint) {
    utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)codepoint);
    return category == UTF8PROC_CATEGORY_LU || category == UTF8PROC_CATEGORY_LL || category == UTF8PROC_CATEGORY_LT;
}

static uint32_t upper(uint32_t codepoint) { return (uint32_t)utf8proc_toupper((utf8proc_int32_t)codepoint); }
static uint32_t lower(uint32_t codepoint) { return (uint32_t)utf8proc_tolower((utf8proc_int32_t)codepoint); }

/* Whether the character behind `codepoint` begins a word in the title filter's sense. */
static bool opens_word(uint32_t codepoint) {
    return codepoint == '-' || codepoint == '(' || codepoint == '{' || codepoint == '[' || codepoint == '<' ||
           ex_jinja_is_space(codepoint);
}

static uint32_t change(uint32_t codepoint, ex_jinja_case how, bool is_first, uint32_t previous) {
    switch (how) {
    case EX_JINJA_UPPER: return upper(codepoint);
    case EX_JINJA_LOWER: return lower(codepoint);
    case EX_JINJA_CAPITALIZE: return is_first ? upper(codepoint) : lower(codepoint);
    case EX_JINJA_TITLE: return is_first || !is_cased(previous) ? upper(codepoint) : lower(codepoint);
    case EX_JINJA_HEADLINE: return is_first || opens_word(previous) ? upper(codepoint) : lower(codepoint);
    default: break;
    }
    uint32_t raised = upper(codepoint);
    return raised != codepoint ? raised : lower(codepoint);
}

bool ex_jinja_change_case(ex_jinja_run *run, const ex_jinja_text *text, ex_jinja_case how, ex_value *out) {
    size_t start = run->length;
    uint32_t previous = 0, codepoint;
    for (size_t at = 0; at < text->length; previous = codepoint) {
        size_t n = ex_jinja_character(text, at, &codepoint);
        uint32_t changed = change(codepoint, how, at == 0, previous);
        bool trusted = ex_jinja_is_trusted(text, at);
        bool ok = changed == codepoint ? ex_jinja_emit_part(run, text, at, n)
                  : codepoint == SHARP_S
                      ? ex_jinja_emit(run, how == EX_JINJA_UPPER || how == EX_JINJA_SWAP ? "SS" : "Ss", 2, trusted)
                      : ex_jinja_emit_character(run, changed, trusted);
        if (!ok) return false;
        at += n;
    }
    return ex_jinja_cut_value(run, start, out);
}
