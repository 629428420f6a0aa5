/* well_formed.c - a reader of elements with a stack of their names. */
#include "well_formed.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

enum { DEPTH_MAX = 64 };

typedef struct name {
    const char *at;
    size_t length;
} name;

static size_t name_length(const char *at) { return strcspn(at, " \t\n/>=<\"'&"); }

static bool is_entity(const char *at) {
    static const char *const entities[] = {"&amp;", "&lt;", "&gt;", "&quot;", "&apos;"};
    for (size_t i = 0; i < sizeof entities / sizeof *entities; i++)
        if (strncmp(at, entities[i], strlen(entities[i])) == 0) return true;
    return false;
}

/* Past one attribute and the blanks before it; NULL: it is none. */
static const char *skip_attribute(const char *at) {
    at += strspn(at, " \n");
    const size_t length = name_length(at);
    if (length == 0 || at[length] != '=' || at[length + 1] != '"') return NULL;
    for (at += length + 2; *at != '"'; at++)
        if (*at == '\0' || *at == '<' || (*at == '&' && !is_entity(at))) return NULL;
    return at + 1;
}

/* Past a beginning tag; NULL: it is none. `ends` tells one that ends itself. */
static const char *skip_tag(const char *at, bool *ends) {
    while (*at != '>' && strncmp(at, "/>", 2) != 0) {
        at = skip_attribute(at);
        if (!at) return NULL;
    }
    *ends = *at == '/';
    return at + (*ends ? 2 : 1);
}

static size_t utf8_length(const char *text) {
    const unsigned char *at = (const unsigned char *)text;
    const size_t n = *at < 0x80 ? 1 : *at >= 0xC2 && *at < 0xE0 ? 2 : *at >= 0xE0 && *at < 0xF0 ? 3 : *at >= 0xF0 ? 4
        : 0;
    for (size_t i = 1; i < n; i++)
        if ((at[i] & 0xC0) != 0x80) return 0;
    return *at < 0x20 && *at != '\n' ? 0 : n;
}

const char *find_malformed(const char *text) {
    name stack[DEPTH_MAX];
    size_t depth = 0;
    for (const char *check = text; *check; check += utf8_length(check))
        if (utf8_length(check) == 0) return check;
    const char *at = strncmp(text, "<!DOCTYPE html>", 15) == 0 ? text + 15 : text;
    while (*at) {
        if (*at == '&' && !is_entity(at)) return at;
        if (*at != '<') {
            if (depth == 0 && *at != '\n') return at;
            at++;
            continue;
        }
        const bool is_end = at[1] == '/';
        const char *start = at;
        const name found = {at + 1 + is_end, name_length(at + 1 + is_end)};
        bool ends_itself = false;
        at = found.at + found.length;
        if (found.length == 0) return start;
        if (is_end) {
            if (*at++ != '>' || depth == 0 || stack[depth - 1].length != found.length ||
                memcmp(stack[depth - 1].at, found.at, found.length) != 0) return start;
            depth--;
            continue;
        }
        at = skip_tag(at, &ends_itself);
        if (!at || (!ends_itself && depth == DEPTH_MAX)) return start;
        if (!ends_itself) stack[depth++] = found;
    }
    return depth ? stack[depth - 1].at : NULL;
}
