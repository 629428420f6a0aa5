/* merge.h - the merging that both kinds of byte-pair encoding share: of all neighbours that can be merged, those of the
 * lowest rank first, the leftmost of equals. A heap of candidates makes it n log n in the symbols of one word. */
#ifndef EX_TEXT_MERGE_H
#define EX_TEXT_MERGE_H

#include "entropix.h"

#define EX_NO_SYMBOL UINT32_MAX

typedef struct ex_symbol {
    uint32_t first, length; /* bytes of the word */
    int32_t token;          /* EX_TOKEN_NONE when there is none for these bytes */
    int32_t merged;         /* what it and its right neighbour become, or EX_TOKEN_NONE */
    uint32_t rank;          /* of that */
    uint32_t previous, next; /* neighbours, or EX_NO_SYMBOL */
} ex_symbol;

/* The token that two neighbours become and its rank, or EX_TOKEN_NONE. */
typedef int32_t (*ex_merge_pair)(const void *context, const char *word, const ex_symbol *left, const ex_symbol *right,
                                 uint32_t *rank);

typedef struct ex_merger { /* working memory, zeroed by the caller */
    ex_symbol *symbols;
    uint64_t *heap; /* rank in the high half, index of the left symbol in the low half */
    size_t capacity, n_heap;
} ex_merger;

/* Room for the symbols of a word. */
ex_code ex_merger_reserve(ex_merger *merger, size_t n_symbols, ex_error *error);
void ex_merger_close(ex_merger *merger);

/* Merges `n_symbols` (at least one) symbols whose first, length and token are set. What remains is the chain from
 * symbol 0 along `next`. */
void ex_merger_run(ex_merger *merger, size_t n_symbols, const char *word, ex_merge_pair pair, const void *context);

#endif
