/* token_trie.h - the tokens of a vocabulary by their bytes: what begins alike is walked once. */
#ifndef EX_TEXT_TOKEN_TRIE_H
#define EX_TEXT_TOKEN_TRIE_H

#include "entropix.h"

enum { EX_TRIE_DEPTH = 64 }; /* bytes; longer tokens are left out */

typedef struct ex_trie_node {
    uint32_t next;   /* the first node that does not begin with this one's bytes */
    uint32_t tokens; /* those of exactly these bytes: from here in `tokens` to where the next node's begin */
    uint8_t byte;
    uint8_t depth;   /* bytes up to and with this one */
    uint8_t height;  /* bytes that the longest token has behind it */
    bool is_plain;   /* all bytes behind it are plain (text/grammar.h) */
} ex_trie_node;

/* Nodes in the order of their bytes, each before those that begin with it. Tokens that end generation, control tokens
 * and such without bytes are not in it. Immutable. */
typedef struct ex_token_trie {
    ex_trie_node *nodes; /* [n_nodes], and one behind the last */
    int32_t *tokens;
    int32_t *ends;       /* tokens that end generation */
    size_t n_nodes, n_tokens, n_ends, n_vocab;
} ex_token_trie;

/* The tokenizer's, built when it is first asked for: any thread may. It belongs to the tokenizer. */
ex_code ex_tokenizer_trie(const ex_token_trie **out, const ex_tokenizer *tokenizer, ex_error *error);
void ex_token_trie_close(ex_token_trie *trie);

#endif
