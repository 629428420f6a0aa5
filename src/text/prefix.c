#include "text/prefix.h"

#include "base/error.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

static int compare_text(const ex_token *a, const ex_token *b) {
    size_t n = a->length < b->length ? a->length : b->length;
    int order = memcmp(a->text, b->text, n);
    return order ? order : (a->length > b->length) - (a->length < b->length);
}

static int compare_ids(const void *a, const void *b, void *context) {
    const ex_vocabulary *vocabulary = context;
    int32_t i = *(const int32_t *)a, j = *(const int32_t *)b;
    int order = compare_text(&vocabulary->tokens[i], &vocabulary->tokens[j]);
    return order ? order : (i > j) - (i < j);
}

static void drop_duplicates(ex_prefix *prefix, const ex_vocabulary *vocabulary) {
    size_t kept = 0;
    for (size_t i = 0; i < prefix->count; i++) {
        const ex_token *tokens = vocabulary->tokens;
        if (kept && compare_text(&tokens[prefix->ids[kept - 1]], &tokens[prefix->ids[i]]) == 0) continue;
        prefix->ids[kept++] = prefix->ids[i];
    }
    prefix->count = kept;
}

static bool is_wanted(const ex_vocabulary *vocabulary, ex_prefix_filter wanted, int32_t id) {
    return vocabulary->tokens[id].length > 0 && wanted(vocabulary, id);
}

ex_code ex_prefix_open(ex_prefix *prefix, const ex_vocabulary *vocabulary, ex_prefix_filter wanted, ex_error *error) {
    size_t n = 0;
    for (int32_t id = 0; id < vocabulary->size; id++) n += is_wanted(vocabulary, wanted, id);
    prefix->ids = ex_allocate(n, sizeof *prefix->ids);
    if (!prefix->ids) return ex_fail_memory(error, "the index of tokens");
    for (int32_t id = 0; id < vocabulary->size; id++)
        if (is_wanted(vocabulary, wanted, id)) prefix->ids[prefix->count++] = id;
    qsort_r(prefix->ids, prefix->count, sizeof *prefix->ids, compare_ids, (void *)(uintptr_t)vocabulary);
    drop_duplicates(prefix, vocabulary);
    for (size_t i = 0; i < prefix->count; i++)
        prefix->first[1 + (unsigned char)vocabulary->tokens[prefix->ids[i]].text[0]]++;
    for (size_t byte = 0; byte < 256; byte++) prefix->first[byte + 1] += prefix->first[byte];
    return EX_OK;
}

void ex_prefix_close(ex_prefix *prefix) { free(prefix->ids); }

ex_prefix_walk ex_prefix_begin(const ex_prefix *prefix, const ex_vocabulary *vocabulary, const char *text,
                               size_t length) {
    unsigned char byte = (unsigned char)text[0];
    return (ex_prefix_walk){prefix, vocabulary->tokens, text, length, 1, prefix->first[byte], prefix->first[byte + 1]};
}

/* Leaves those that have the text's next byte. Tokens that end at `depth` have been passed before. */
static void narrow(ex_prefix_walk *walk) {
    unsigned char byte = (unsigned char)walk->text[walk->depth];
    size_t bounds[2];
    for (unsigned i = 0; i < 2; i++) { /* the first text with at least byte, then with more than byte */
        size_t first = walk->low, last = walk->high;
        while (first < last) {
            size_t middle = (first + last) / 2;
            const ex_token *token = &walk->tokens[walk->prefix->ids[middle]];
            if ((unsigned char)token->text[walk->depth] < byte + i) first = middle + 1;
            else last = middle;
        }
        bounds[i] = first;
    }
    walk->low = bounds[0];
    walk->high = bounds[1];
    walk->depth++;
}

int32_t ex_prefix_next(ex_prefix_walk *walk) {
    while (walk->low < walk->high) {
        int32_t id = walk->prefix->ids[walk->low];
        if (walk->tokens[id].length == walk->depth) { /* sorted first of those that begin alike */
            walk->low++;
            return id;
        }
        if (walk->depth == walk->length) break;
        narrow(walk);
    }
    return EX_TOKEN_NONE;
}
