/* bpe.h - byte-level byte-pair encoding (tokenizer.ggml.model "gpt2"): words from a pre-tokeniser, merged by rank. */
#ifndef EX_TEXT_BPE_H
#define EX_TEXT_BPE_H

#include "text/merge.h"
#include "text/pretokenise.h"
#include "text/vocabulary.h"

typedef struct ex_merge {
    int32_t left, right, result;
} ex_merge;

typedef struct ex_bpe {
    const ex_vocabulary *vocabulary;
    const ex_pretokeniser_name *pre;
    int32_t bytes[256]; /* the token of each single byte, or EX_TOKEN_NONE */
    ex_merge *merges;   /* the index is the rank */
    uint32_t *slots;    /* hash table by (left, right): rank + 1, or 0 when free */
    size_t n_merges, n_slots;
} ex_bpe;

/* `bpe` is zeroed by the caller and may be closed whatever the outcome. Merges of tokens that the vocabulary does not
 * have, or that would make a control token, can never apply and are left out; of equal ones the first counts. */
ex_code ex_bpe_open(ex_bpe *bpe, const ex_vocabulary *vocabulary, const ex_file *file, ex_error *error);
void ex_bpe_close(ex_bpe *bpe);

/* Tokens of ordinary text, valid UTF-8. `offset` is where it begins in the caller's text, for errors. */
ex_code ex_bpe_run(const ex_bpe *bpe, const char *text, size_t length, uint64_t offset, ex_merger *merger,
                   ex_token_list *out, ex_error *error);

#endif
