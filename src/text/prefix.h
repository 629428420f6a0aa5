/* prefix.h - which tokens a text begins with: one walk along the text finds them all, the shortest first. */
#ifndef EX_TEXT_PREFIX_H
#define EX_TEXT_PREFIX_H

#include "text/vocabulary.h"

typedef struct ex_prefix {
    int32_t *ids; /* sorted by text, each text once: the lowest id */
    size_t count;
    size_t first[257]; /* those that begin with byte b: first[b] to first[b + 1] */
} ex_prefix;

typedef bool (*ex_prefix_filter)(const ex_vocabulary *vocabulary, int32_t id);

/* All tokens with a text that the filter wants. */
ex_code ex_prefix_open(ex_prefix *prefix, const ex_vocabulary *vocabulary, ex_prefix_filter wanted, ex_error *error);
void ex_prefix_close(ex_prefix *prefix);

typedef struct ex_prefix_walk {
    const ex_prefix *prefix;
    const ex_token *tokens;
    const char *text;
    size_t length, depth;
    size_t low, high; /* of the ids, those that agree with the text up to depth and are not passed yet */
} ex_prefix_walk;

/* `length` is at least 1. */
ex_prefix_walk ex_prefix_begin(const ex_prefix *prefix, const ex_vocabulary *vocabulary, const char *text,
                               size_t length);
/* The next longer token that the text begins with, or EX_TOKEN_NONE when there is no more. */
int32_t ex_prefix_next(ex_prefix_walk *walk);

#endif
