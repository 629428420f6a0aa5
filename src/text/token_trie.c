#include "text/token_trie.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "text/grammar.h"
#include "text/tokenizer.h"

typedef struct sorted_token {
    const char *text;
    uint32_t length;
    int32_t id;
} sorted_token;

static int by_bytes(const void *a, const void *b) {
    const sorted_token *x = a, *y = b;
    const int order = memcmp(x->text, y->text, x->length < y->length ? x->length : y->length);
    if (order != 0) return order;
    if (x->length != y->length) return x->length < y->length ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

static bool is_text(const ex_token *token) {
    return token->kind != EX_KIND_CONTROL && token->kind != EX_KIND_UNKNOWN && !token->ends_generation &&
           token->length > 0 && token->length <= EX_TRIE_DEPTH;
}

static size_t common_length(const sorted_token *a, const sorted_token *b) {
    size_t n = 0;
    while (n < a->length && n < b->length && a->text[n] == b->text[n]) n++;
    return n;
}

/* Nodes that all tokens need together. */
static size_t count_nodes(const sorted_token *tokens, size_t count) {
    size_t n_nodes = 0;
    for (size_t i = 0; i < count; i++) {
        n_nodes += tokens[i].length;
        if (i > 0) n_nodes -= common_length(&tokens[i - 1], &tokens[i]);
    }
    return n_nodes;
}

/* A node is made for the first token that has its bytes, so those that end there lie before the next node's. */
static void fill(ex_token_trie *trie, const sorted_token *tokens) {
    uint32_t path[EX_TRIE_DEPTH + 1]; /* the node of each depth */
    size_t depth = 0, n = 0;
    for (size_t i = 0; i < trie->n_tokens; i++) {
        const size_t shared = i > 0 ? common_length(&tokens[i - 1], &tokens[i]) : 0;
        for (; depth > shared; depth--) trie->nodes[path[depth]].next = (uint32_t)n;
        while (depth < tokens[i].length) {
            const uint8_t byte = (uint8_t)tokens[i].text[depth++];
            path[depth] = (uint32_t)n;
            trie->nodes[n++] = (ex_trie_node){.tokens = (uint32_t)i, .byte = byte, .depth = (uint8_t)depth};
        }
        trie->tokens[i] = tokens[i].id;
    }
    for (; depth > 0; depth--) trie->nodes[path[depth]].next = (uint32_t)n;
    trie->nodes[n] = (ex_trie_node){.next = (uint32_t)n, .tokens = (uint32_t)trie->n_tokens};
}

/* From the last node to the first, so that those behind a node are known. */
static void look_behind(ex_token_trie *trie) {
    for (size_t at = 0; at < trie->n_nodes; at++) trie->nodes[at].is_plain = true;
    for (size_t at = trie->n_nodes; at-- > 0;) {
        ex_trie_node *node = &trie->nodes[at];
        for (size_t child = at + 1; child < node->next; child = trie->nodes[child].next) {
            const ex_trie_node *one = &trie->nodes[child];
            if (one->height + 1 > node->height) node->height = (uint8_t)(one->height + 1);
            node->is_plain = node->is_plain && one->is_plain && ex_is_plain_byte(one->byte);
        }
    }
}

static ex_code sort_tokens(ex_token_trie *trie, const ex_vocabulary *vocabulary, sorted_token *sorted) {
    for (int32_t id = 0; id < vocabulary->size; id++) {
        const ex_token *token = &vocabulary->tokens[id];
        if (token->ends_generation) trie->ends[trie->n_ends++] = id;
        if (is_text(token)) sorted[trie->n_tokens++] = (sorted_token){token->text, token->length, id};
    }
    qsort(sorted, trie->n_tokens, sizeof *sorted, by_bytes);
    trie->n_nodes = count_nodes(sorted, trie->n_tokens);
    trie->nodes = ex_allocate(trie->n_nodes + 1, sizeof *trie->nodes);
    trie->tokens = ex_allocate(trie->n_tokens, sizeof *trie->tokens);
    return trie->nodes && trie->tokens ? EX_OK : EX_ERROR_MEMORY;
}

static ex_token_trie *open_trie(const ex_vocabulary *vocabulary) {
    const size_t n_vocab = (size_t)vocabulary->size;
    ex_token_trie *trie = ex_allocate(1, sizeof *trie);
    sorted_token *sorted = ex_allocate(n_vocab, sizeof *sorted);
    ex_code code = EX_ERROR_MEMORY;
    if (trie) {
        trie->n_vocab = n_vocab;
        trie->ends = ex_allocate(n_vocab, sizeof *trie->ends);
    }
    if (trie && sorted && trie->ends) code = sort_tokens(trie, vocabulary, sorted);
    if (code == EX_OK) {
        fill(trie, sorted);
        look_behind(trie);
    } else {
        ex_token_trie_close(trie);
        trie = NULL;
    }
    free(sorted);
    return trie;
}

void ex_token_trie_close(ex_token_trie *trie) {
    if (!trie) return;
    free(trie->nodes);
    free(trie->tokens);
    free(trie->ends);
    free(trie);
}

/* Of two threads that build one, the first keeps it. */
ex_code ex_tokenizer_trie(const ex_token_trie **out, const ex_tokenizer *tokenizer, ex_error *error) {
    ex_token_trie *trie = atomic_load(&tokenizer->trie->built);
    if (!trie) {
        ex_token_trie *made = open_trie(&tokenizer->vocabulary);
        if (!made) return ex_fail_memory(error, "the tokens by their bytes");
        if (atomic_compare_exchange_strong(&tokenizer->trie->built, &trie, made)) trie = made;
        else ex_token_trie_close(made);
    }
    *out = trie;
    return EX_OK;
}
